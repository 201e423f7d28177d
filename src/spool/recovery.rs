//! Start-up: what an earlier run left becomes the spool's state again.
//!
//! The runtime directory's log is read first: it knows of receipts that the card was not told yet. Then the state
//! directory's files are put in order ([`order`]), and each channel's segments are read, oldest first. A torn end is cut. What
//! is damaged stays as `*.bad`, for people to look at, and what is whole in it is written anew; a file that cannot be read at
//! all is left alone.

mod order;
mod scan;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io::ErrorKind;

use crate::entry::ChannelId;
use crate::spool::queue::Queue;
use crate::spool::queued::Queued;
use crate::spool::records::{Began, EntryRecord, LogRecord, LogRecords, Time};
use crate::spool::runtime_log;
use crate::spool::segment::{self, BAD, Segment};
use crate::spool::{Backlog, Key};
use crate::store::storage::Storage;
use crate::time::{BootId, Mono, Utc};

use order::{Damage, Order, put_in_order};
use scan::{Condition, Scan};

/// What was found at the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Entries that wait, by channel.
    pub waiting: BTreeMap<ChannelId, usize>,
    /// Files whose end was torn by a crash, and was cut off.
    pub torn: Vec<String>,
    /// Files that are damaged; what was whole in them goes on.
    pub bad: Vec<Damaged>,
    /// Files that were renamed, copied or mixed up by somebody; their entries were sorted in.
    pub sorted: Vec<String>,
    /// Files or directories that could not be read or mended, with the reason.
    pub unreadable: Vec<(String, String)>,
}

/// A file that is damaged. As it was it stays beside, with `.bad` at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// Its name.
    pub file: String,
    /// How many entries are lost with it, at most: by the keys and the bytes that are missing.
    pub lost: usize,
}

/// The state that was read.
pub(super) struct Recovered {
    pub(super) queues: BTreeMap<ChannelId, Queue>,
    pub(super) next: Key,
    /// This boot's clock was found right already.
    pub(super) believed: bool,
    /// Nothing is known of an earlier run of this boot.
    pub(super) is_first_run: bool,
    pub(super) found: Found,
}

/// Reads both directories. With `repair` what is torn or damaged on the card is mended.
pub(super) fn recover(boot: BootId, fast: &dyn Storage, card: &dyn Storage, repair: bool) -> Recovered {
    let mut reading =
        Reading { boot, card, repair, found: Found::default(), next: Key(1), believed: false, is_first_run: true };
    let mut queues: BTreeMap<ChannelId, Queue> = BTreeMap::new();
    let mut told = Told::default();
    let rotten = reading.read_fast(fast, &mut told, &mut queues);
    let order = put_in_order(card, repair, &mut reading.found);
    reading.read_card(order, rotten, &mut told, &mut queues);
    for (held, channel) in told.waiting.into_values() {
        let queue = queue_of(&mut queues, channel);
        queue.held.insert(held);
    }
    for queue in queues.values_mut() {
        finish(queue);
    }
    let Reading { mut found, next, believed, is_first_run, .. } = reading;
    found.waiting =
        queues.iter().map(|(id, queue)| (*id, queue.waiting())).filter(|(_, waiting)| *waiting > 0).collect();
    Recovered { queues, next, believed, is_first_run, found }
}

/// What the notes of all logs say together.
#[derive(Default)]
struct Told {
    /// Entries of the runtime directory's log.
    waiting: BTreeMap<Key, (Queued, ChannelId)>,
    settled: BTreeSet<Key>,
    /// Those of them that the log of a channel tells of. Another channel's may be gone before the entry is.
    settled_on_card: HashSet<(ChannelId, Key)>,
    retimed: BTreeMap<Key, Utc>,
    /// Entries that were sent.
    sent: BTreeSet<Key>,
    /// Those that wait on the card and are named in one of these: keys count over all channels.
    on_card: BTreeMap<Key, ChannelId>,
    /// What each channel's log says of the rest: it is told what it lacks.
    restamped_on_card: HashMap<(ChannelId, Key), Utc>,
    began_on_card: HashSet<(ChannelId, BootId)>,
}

impl Told {
    /// Every key that some log names, sorted: those of entries on the card, and what the runtime directory tells of.
    fn named<'a>(&'a self, on_card: impl Iterator<Item = &'a Key>) -> Vec<Key> {
        let mut named: Vec<Key> =
            on_card.chain(self.waiting.keys()).chain(&self.settled).chain(&self.sent).copied().collect();
        named.sort_unstable();
        named.dedup();
        named
    }

    /// An entry waits no more, whatever else tells of it.
    fn has_left(&mut self, key: Key) {
        self.settled.insert(key);
        self.waiting.remove(&key);
    }

    /// Whose an entry is that waits.
    fn channel_of(&self, key: Key) -> Option<ChannelId> {
        self.on_card.get(&key).copied().or_else(|| self.waiting.get(&key).map(|(_, channel)| *channel))
    }

    /// Whose entry a note of the runtime directory's log is about, as far as it is known by then.
    fn channel_of_note(&self, note: &LogRecord) -> Option<ChannelId> {
        match note {
            LogRecord::Entry(kept) => Some(kept.draft.channel),
            LogRecord::Retimed(key, _) => self.channel_of(*key),
            _ => None,
        }
    }
}

struct Reading<'a> {
    boot: BootId,
    card: &'a dyn Storage,
    repair: bool,
    found: Found,
    next: Key,
    believed: bool,
    is_first_run: bool,
}

impl Reading<'_> {
    /// Returns what is wrong with the file, if it is rotten.
    fn read_fast(
        &mut self,
        fast: &dyn Storage,
        told: &mut Told,
        queues: &mut BTreeMap<ChannelId, Queue>,
    ) -> Option<Damage> {
        let bytes = read_file(fast, runtime_log::FILE, self.repair, &mut self.found)?;
        let mut scan = Scan::new(&bytes, Key(0));
        for (boot, note) in scan.by_ref() {
            self.is_first_run &= boot != self.boot;
            if let Some(at) = segment::time_in(&note)
                && let Some(channel) = told.channel_of_note(&note)
            {
                queue_of(queues, channel).known.taken.give(at);
            }
            match note {
                LogRecord::Echoes(channel, echoes) if boot == self.boot => {
                    queue_of(queues, channel).known.echoes = echoes;
                }
                LogRecord::Columns(channel, columns) => {
                    let queue = queue_of(queues, channel);
                    queue.known.columns = columns;
                }
                LogRecord::Given(channel, taken, has_past) => {
                    let known = &mut queue_of(queues, channel).known;
                    known.taken.learn(&taken);
                    known.has_past = has_past && boot == self.boot;
                }
                LogRecord::Entry(kept) => {
                    let channel = kept.draft.channel;
                    let queue = queue_of(queues, channel);
                    if boot == self.boot {
                        queue.last_end = queue.last_end.max(Some(kept.draft.end));
                    }
                    self.use_up(kept.key);
                    if !told.settled.contains(&kept.key) {
                        told.waiting.insert(kept.key, (Queued::new(kept, boot), channel));
                    }
                }
                LogRecord::Settled(key) => {
                    self.use_up(key);
                    if told.waiting.remove(&key).is_none() {
                        settle_aside(queues, boot, key);
                    }
                    told.settled.insert(key);
                }
                LogRecord::Aside(kept) => {
                    self.use_up(kept.key);
                    told.has_left(kept.key);
                    queue_of(queues, kept.draft.channel).aside.push((boot, LogRecord::Aside(kept)));
                }
                LogRecord::Sent(key) => _ = told.sent.insert(key),
                LogRecord::Latest(channel, at, end) => {
                    let queue = queue_of(queues, channel);
                    if let Some(at) = at {
                        queue.known.taken.give(at);
                    }
                    if boot == self.boot {
                        queue.last_end = queue.last_end.max(end);
                    }
                }
                LogRecord::Believed => self.believed |= boot == self.boot,
                note => self.common(&note, told, queues),
            }
        }
        match scan.condition() {
            Condition::Whole => return None,
            Condition::Torn => {
                self.found.torn.push(runtime_log::FILE.to_owned());
                return None;
            }
            Condition::Rotten => {}
        }
        if self.repair
            && let Err(error) = fast.replace(&format!("{}{BAD}", runtime_log::FILE), &bytes, false)
        {
            self.found.unreadable.push((runtime_log::FILE.to_owned(), error.to_string()));
        }
        let lost = scan.strange_entries();
        Some(Damage { file: runtime_log::FILE.to_owned(), holes: scan.holes(), lost, until: None })
    }

    /// A key that any record names is not given again: its receipt would settle somebody else.
    fn use_up(&mut self, key: Key) {
        self.next = self.next.max(Key(key.0.saturating_add(1)));
    }

    /// What both logs may say.
    fn common(&mut self, note: &LogRecord, told: &mut Told, queues: &mut BTreeMap<ChannelId, Queue>) {
        match note {
            LogRecord::Retimed(key, at) => {
                // Both logs may tell of several; times only grow.
                let latest = told.retimed.entry(*key).or_insert(*at);
                *latest = (*at).max(*latest);
                if let Some((held, _)) = told.waiting.get_mut(key) {
                    held.record.time = Time::Known(*at);
                }
            }
            LogRecord::Began(channel, of, began) => {
                let queue = queue_of(queues, *channel);
                know(queue, *of, *began);
            }
            LogRecord::Next(key) => self.next = self.next.max(*key),
            _ => {}
        }
    }

    fn read_card(
        &mut self,
        order: Order,
        rotten: Option<Damage>,
        told: &mut Told,
        queues: &mut BTreeMap<ChannelId, Queue>,
    ) {
        let Order { segments, doubtful, loose, asides, damaged } = order;
        let is_damaged = rotten.is_some() || !damaged.is_empty();
        for (channel, name) in doubtful {
            queue_of(queues, channel);
            self.use_up_doubtful(channel, &name, told, queues);
        }
        let mut on_card: HashMap<ChannelId, Vec<(Segment, Vec<Key>)>> = HashMap::new();
        for (channel, first, name) in segments {
            queue_of(queues, channel);
            self.use_up(first);
            if let Some(read) = self.read_segment(channel, first, name, told, queues) {
                on_card.entry(channel).or_default().push(read);
            }
        }
        self.take_loose(loose, asides, told, queues);
        if is_damaged {
            let keys = on_card.values().flatten().flat_map(|(_, keys)| keys);
            self.count_lost(rotten.into_iter().chain(damaged), &told.named(keys));
        }
        for (channel, segments) in on_card {
            let queue = queues.get_mut(&channel).expect("made above");
            for (mut segment, keys) in segments {
                let (left, waiting): (Vec<Key>, Vec<Key>) =
                    keys.into_iter().partition(|key| told.settled.contains(key));
                for key in &waiting {
                    told.waiting.remove(key);
                    if told.retimed.contains_key(key) || told.sent.contains(key) {
                        told.on_card.insert(*key, channel);
                    }
                }
                // A segment without entries has a key in its name all the same: none below it belongs there.
                queue.written = queue.written.max(Key(segment.first.0.saturating_sub(1)));
                queue.written = queue.written.max(waiting.last().copied().unwrap_or_default());
                queue.written = queue.written.max(left.last().copied().unwrap_or_default());
                for key in &left {
                    if !told.settled_on_card.contains(&(channel, *key)) {
                        queue.unnoted.push((BootId::default(), LogRecord::Settled(*key)));
                    }
                }
                segment.waiting = waiting.len();
                queue.left.extend(left);
                queue.segments.push_back(segment);
            }
        }
        for (key, at) in &told.retimed {
            if let Some(queue) = told.channel_of(*key).and_then(|channel| queues.get_mut(&channel)) {
                queue.retimed.insert(*key, *at);
                queue.known.taken.give(*at);
                if told.restamped_on_card.get(&(queue.id, *key)) != Some(at) {
                    queue.unnoted.push((BootId::default(), LogRecord::Retimed(*key, *at)));
                }
            }
        }
        for key in &told.sent {
            if let Some(queue) = told.channel_of(*key).and_then(|channel| queues.get_mut(&channel)) {
                queue.sent.insert(*key);
            }
        }
        for (id, queue) in queues.iter_mut() {
            let on_card = |boot: BootId| queue.untimed.iter().any(|run| run.boot == boot);
            let lacks = |boot: BootId| on_card(boot) && !told.began_on_card.contains(&(*id, boot));
            let untold: Vec<_> = queue.began.iter().filter(|(boot, _)| lacks(*boot)).copied().collect();
            for (boot, began) in untold {
                queue.hushed = true;
                queue.unnoted.push((BootId::default(), LogRecord::Began(*id, boot, began)));
            }
        }
    }

    /// The keys of unconfirmed entries are used, too, and so are their seconds. They do not wait, though the power may have been
    /// cut before their segment was told.
    fn use_up_doubtful(
        &mut self,
        channel: ChannelId,
        name: &str,
        told: &mut Told,
        queues: &mut BTreeMap<ChannelId, Queue>,
    ) {
        let bytes = self.card.read(name).unwrap_or_default();
        for (_, note) in LogRecords::new(&bytes) {
            if let (LogRecord::Aside(EntryRecord { time: Time::Known(at), .. }), Some(queue)) =
                (&note, queues.get_mut(&channel))
            {
                queue.known.given_on_card.give(*at);
            }
            if let LogRecord::Aside(EntryRecord { key, .. }) | LogRecord::Settled(key) = note {
                self.use_up(key);
                told.has_left(key);
            }
        }
    }

    fn read_segment(
        &mut self,
        channel: ChannelId,
        first: Key,
        file: String,
        told: &mut Told,
        queues: &mut BTreeMap<ChannelId, Queue>,
    ) -> Option<(Segment, Vec<Key>)> {
        let bytes = read_file(self.card, &file, false, &mut self.found)?;
        let mut segment = Segment { file, ..Segment::new(channel, first) };
        let mut keys = Vec::new();
        let mut scan = Scan::new(&bytes, first);
        for (boot, note) in scan.by_ref() {
            let queue = queues.get_mut(&channel).expect("made by the caller");
            // What the card tells is older than what the runtime directory does.
            if let Some(at) = segment::time_in(&note) {
                queue.known.given_on_card.give(at);
            }
            match note {
                LogRecord::Entry(kept) => {
                    self.use_up(kept.key);
                    segment.last = segment.last.max(kept.key);
                    if let Time::Claimed(at) = kept.time {
                        queue.note_untimed(boot, kept.draft.end, at);
                    }
                    keys.push(kept.key);
                }
                LogRecord::Settled(key) => {
                    self.use_up(key);
                    told.has_left(key);
                    told.settled_on_card.insert((channel, key));
                }
                note => {
                    match note {
                        LogRecord::Retimed(key, at) => {
                            let latest = told.restamped_on_card.entry((channel, key)).or_insert(at);
                            *latest = at.max(*latest);
                        }
                        LogRecord::Began(of, boot, _) if of == channel => _ = told.began_on_card.insert((of, boot)),
                        _ => {}
                    }
                    self.common(&note, told, queues);
                }
            }
        }
        segment.bytes = scan.end();
        Some((segment, keys))
    }

    /// Takes what is in files that cannot be gone on with. Their entries are in memory alone.
    fn take_loose(
        &mut self,
        loose: Vec<(BootId, LogRecord)>,
        asides: Vec<Vec<(BootId, LogRecord)>>,
        told: &mut Told,
        queues: &mut BTreeMap<ChannelId, Queue>,
    ) {
        self.take_loose_asides(asides, told, queues);
        let mut entries = Vec::new();
        for (boot, note) in loose {
            match note {
                LogRecord::Entry(kept) => entries.push((boot, kept)),
                LogRecord::Settled(key) => {
                    self.use_up(key);
                    told.has_left(key);
                }
                note => self.common(&note, told, queues),
            }
        }
        for (boot, mut kept) in entries {
            self.use_up(kept.key);
            let queue = queue_of(queues, kept.draft.channel);
            if let Time::Known(at) = kept.time {
                queue.known.given_on_card.give(at);
            }
            // The file is still there: its receipt has to be told there too.
            queue.attempted = queue.attempted.max(kept.key);
            if told.settled.contains(&kept.key) {
                continue;
            }
            if let Some(at) = told.retimed.get(&kept.key) {
                kept.time = Time::Known(*at);
            }
            let channel = kept.draft.channel;
            let held = Queued::new(kept, boot);
            told.waiting.entry(held.record.key).or_insert((held, channel));
        }
    }

    /// Takes doubtful entries of files that cannot be gone on with. What the runtime directory tells of them is newer.
    fn take_loose_asides(
        &mut self,
        asides: Vec<Vec<(BootId, LogRecord)>>,
        told: &mut Told,
        queues: &mut BTreeMap<ChannelId, Queue>,
    ) {
        let newer: Vec<_> = queues.iter_mut().map(|(id, queue)| (*id, std::mem::take(&mut queue.aside))).collect();
        for file in asides {
            let mut channels: BTreeMap<Key, ChannelId> = BTreeMap::new();
            for (boot, note) in file {
                if let LogRecord::Aside(EntryRecord { key, .. }) | LogRecord::Settled(key) = note {
                    self.use_up(key);
                    told.has_left(key);
                }
                let channel = match &note {
                    LogRecord::Aside(kept) => {
                        channels.insert(kept.key, kept.draft.channel);
                        Some(kept.draft.channel)
                    }
                    LogRecord::Settled(key) => channels.get(key).copied(),
                    _ => {
                        self.common(&note, told, queues);
                        None
                    }
                };
                if let Some(channel) = channel {
                    queue_of(queues, channel).aside.push((boot, note));
                }
            }
        }
        for (id, newer) in newer {
            queue_of(queues, id).aside.extend(newer);
        }
    }

    /// Counts what is lost with damaged files, now that it is known what is there.
    fn count_lost(&mut self, damaged: impl Iterator<Item = Damage>, named: &[Key]) {
        for Damage { file, holes, lost, until } in damaged {
            let in_holes: usize = holes.iter().map(|hole| hole.lost(until, self.next, named)).sum();
            self.found.bad.push(Damaged { file, lost: lost + in_holes });
        }
    }
}

/// Reads a file. Something that is not a plain file of a sane size is set aside, so that it is in the way of nothing.
fn read_file(storage: &dyn Storage, name: &str, repair: bool, found: &mut Found) -> Option<Vec<u8>> {
    let error = match storage.read(name) {
        Ok(bytes) => return Some(bytes),
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => error,
    };
    let mut why = error.to_string();
    if repair && matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::FileTooLarge) {
        let aside = format!("{name}{BAD}");
        why = match storage.rename(name, &aside) {
            Ok(()) => format!("{why}; it is called {aside} now"),
            Err(error) => format!("{why}; and it cannot be set aside: {error}"),
        };
    }
    found.unreadable.push((name.to_owned(), why));
    None
}

fn queue_of(queues: &mut BTreeMap<ChannelId, Queue>, channel: ChannelId) -> &mut Queue {
    queues.entry(channel).or_insert_with(|| Queue::new(channel, Backlog::default()))
}

/// A late receipt of a doubtful entry, of which the card may have been told or not.
fn settle_aside(queues: &mut BTreeMap<ChannelId, Queue>, boot: BootId, key: Key) {
    let has_it = |queue: &&mut Queue| {
        queue.aside.iter().any(|(_, note)| matches!(note, LogRecord::Aside(kept) if kept.key == key))
    };
    if let Some(queue) = queues.values_mut().find(has_it) {
        queue.aside.push((boot, LogRecord::Settled(key)));
    }
}

fn know(queue: &mut Queue, boot: BootId, began: Began) {
    if queue.began_of(boot).is_none() {
        queue.began.push((boot, began));
    }
}

/// Puts together what was read of a channel.
fn finish(queue: &mut Queue) {
    let in_memory: Vec<(BootId, Mono, Utc)> = queue
        .held
        .values()
        .filter_map(|held| match held.record.time {
            Time::Claimed(at) => Some((held.boot, held.record.draft.end, at)),
            Time::Known(_) => None,
        })
        .collect();
    for (boot, end, at) in in_memory {
        queue.note_untimed(boot, end, at);
    }
    let began = std::mem::take(&mut queue.began);
    let known = |boot: BootId| began.iter().find(|(known, _)| *known == boot).map(|(_, began)| began);
    let mut spans = Vec::new();
    queue.untimed.retain(|run| match known(run.boot) {
        Some(began) => {
            spans.push((began.time_of(run.first), began.time_of(run.last)));
            false
        }
        None => true,
    });
    queue.known.taken.learn(&std::mem::take(&mut queue.known.given_on_card));
    for (first, last) in spans {
        queue.known.taken.give_span(first, last);
    }
    queue.began = began;
    if queue.segments.iter().any(|segment| segment.waiting > 0) {
        queue.head = Some(Key(0));
    }
}
