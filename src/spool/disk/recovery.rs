//! Start-up: what an earlier run left becomes the spool's state again.
//!
//! The runtime directory's log is read first: it knows of receipts that the card was not told yet. Then each channel's
//! segments, oldest first. A torn end is cut. A segment with damage inside is copied aside as `*.bad`, for people to look
//! at, and written anew with the records that are whole; one that cannot be read at all is left alone.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io;

use crate::entry::ChannelId;
use crate::spool::disk::fast;
use crate::spool::disk::held::Held;
use crate::spool::disk::queue::Queue;
use crate::spool::disk::segment::{self, BAD, Segment, told_in};
use crate::spool::note::{self, Began, Kept, Note, Time};
use crate::spool::storage::{Storage, UNFINISHED};
use crate::spool::{Backlog, Key};
use crate::time::{BootId, Mono, Utc};

/// What was found at the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Entries that wait, by channel.
    pub waiting: BTreeMap<ChannelId, usize>,
    /// Files whose end was torn by a crash, and was cut off.
    pub torn: usize,
    /// Files with damage inside, which were copied aside; what was whole in them goes on.
    pub bad: Vec<String>,
    /// Files or directories that could not be read or mended, with the reason.
    pub unreadable: Vec<(String, String)>,
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
    reading.read_fast(fast, &mut told, &mut queues);
    reading.read_card(&mut told, &mut queues);
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
    waiting: BTreeMap<Key, (Held, ChannelId)>,
    settled: BTreeSet<Key>,
    /// Those of them that the card knows of.
    settled_on_card: BTreeSet<Key>,
    restamped: BTreeMap<Key, Utc>,
    /// Entries that were sent.
    sent: BTreeSet<Key>,
    /// Those that wait on the card and are named in one of these: keys count over all channels.
    on_card: BTreeMap<Key, ChannelId>,
    /// What the card says of the rest: it is told what it lacks.
    restamped_on_card: BTreeMap<Key, Utc>,
    began_on_card: HashSet<(ChannelId, BootId)>,
}

impl Told {
    /// Whose an entry is that waits.
    fn channel_of(&self, key: Key) -> Option<ChannelId> {
        self.on_card.get(&key).copied().or_else(|| self.waiting.get(&key).map(|(_, channel)| *channel))
    }

    /// Whose entry a note of the runtime directory's log is about, as far as it is known by then.
    fn channel_of_note(&self, note: &Note) -> Option<ChannelId> {
        match note {
            Note::Entry(kept) => Some(kept.draft.channel),
            Note::Restamped(key, _) => self.channel_of(*key),
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
    fn read_fast(&mut self, fast: &dyn Storage, told: &mut Told, queues: &mut BTreeMap<ChannelId, Queue>) {
        let bytes = match fast.read(fast::FILE) {
            Ok(bytes) => bytes,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    self.found.unreadable.push((fast::FILE.to_owned(), error.to_string()));
                }
                return;
            }
        };
        let read = note::read(&bytes);
        if read.is_damaged {
            self.found.bad.push(fast::FILE.to_owned());
            if self.repair
                && let Err(error) = fast.replace(&format!("{}{BAD}", fast::FILE), &bytes, false)
            {
                self.found.unreadable.push((fast::FILE.to_owned(), error.to_string()));
            }
        } else if !read.is_whole {
            self.found.torn += 1;
        }
        for (boot, note) in read.notes {
            self.is_first_run &= boot != self.boot;
            if let Some(at) = segment::time_in(&note)
                && let Some(channel) = told.channel_of_note(&note)
            {
                queue_of(queues, channel).known.taken.give(at);
            }
            match note {
                Note::Echoes(channel, echoes) if boot == self.boot => queue_of(queues, channel).known.echoes = echoes,
                Note::Columns(channel, columns) => {
                    let queue = queue_of(queues, channel);
                    queue.known.columns = columns;
                }
                Note::Given(channel, taken, has_past) => {
                    let known = &mut queue_of(queues, channel).known;
                    known.taken.learn(&taken);
                    known.has_past = has_past && boot == self.boot;
                }
                Note::Entry(kept) => {
                    let channel = kept.draft.channel;
                    let queue = queue_of(queues, channel);
                    if boot == self.boot {
                        queue.last_end = queue.last_end.max(Some(kept.draft.end));
                    }
                    self.use_up(kept.key);
                    told.waiting.insert(kept.key, (Held { kept, boot, taken: false, on_card: false }, channel));
                }
                Note::Settled(key) => {
                    self.use_up(key);
                    if told.waiting.remove(&key).is_none() {
                        settle_aside(queues, boot, key);
                    }
                    told.settled.insert(key);
                }
                Note::Aside(kept) => {
                    self.use_up(kept.key);
                    let channel = kept.draft.channel;
                    let queue = queue_of(queues, channel);
                    queue.aside.push((boot, Note::Aside(kept)));
                }
                Note::Sent(key) => _ = told.sent.insert(key),
                Note::Latest(channel, at, end) => {
                    let queue = queue_of(queues, channel);
                    if let Some(at) = at {
                        queue.known.taken.give(at);
                    }
                    if boot == self.boot {
                        queue.last_end = queue.last_end.max(end);
                    }
                }
                Note::Believed => self.believed |= boot == self.boot,
                note => self.common(&note, told, queues),
            }
        }
    }

    /// A key that any record names is not given again: its receipt would settle somebody else.
    fn use_up(&mut self, key: Key) {
        self.next = self.next.max(Key(key.0.saturating_add(1)));
    }

    /// What both logs may say.
    fn common(&mut self, note: &Note, told: &mut Told, queues: &mut BTreeMap<ChannelId, Queue>) {
        match note {
            Note::Restamped(key, at) => {
                // Both logs may tell of several; times only grow.
                let latest = told.restamped.entry(*key).or_insert(*at);
                *latest = (*at).max(*latest);
                if let Some((held, _)) = told.waiting.get_mut(key) {
                    held.kept.time = Time::Known(*at);
                }
            }
            Note::Began(channel, of, began) => {
                let queue = queue_of(queues, *channel);
                know(queue, *of, *began);
            }
            Note::Next(key) => self.next = self.next.max(*key),
            _ => {}
        }
    }

    fn read_card(&mut self, told: &mut Told, queues: &mut BTreeMap<ChannelId, Queue>) {
        let names = match self.card.list() {
            Ok(names) => names,
            Err(error) => {
                self.found.unreadable.push(("the state directory".to_owned(), error.to_string()));
                return;
            }
        };
        let mut segments: Vec<(ChannelId, Key, String)> = Vec::new();
        for name in names {
            if let Some((channel, first)) = segment::parse(&name) {
                segments.push((channel, first, name));
            } else if let Some(channel) = segment::parse_doubtful(&name) {
                queue_of(queues, channel);
                self.use_up_doubtful(channel, &name, queues);
            } else if self.repair && name.ends_with(UNFINISHED) {
                // A replacement that was cut off; what it was to replace is there.
                let _ = self.card.remove(&name);
            }
        }
        segments.sort();
        let mut on_card: HashMap<ChannelId, Vec<(Segment, Vec<Key>)>> = HashMap::new();
        for (channel, first, name) in segments {
            queue_of(queues, channel);
            self.use_up(first);
            if let Some(read) = self.read_segment(channel, first, name, told, queues) {
                on_card.entry(channel).or_default().push(read);
            }
        }
        for (channel, segments) in on_card {
            let queue = queues.get_mut(&channel).expect("made above");
            for (mut segment, keys) in segments {
                let (left, waiting): (Vec<Key>, Vec<Key>) =
                    keys.into_iter().partition(|key| told.settled.contains(key));
                for key in &waiting {
                    told.waiting.remove(key);
                    if told.restamped.contains_key(key) || told.sent.contains(key) {
                        told.on_card.insert(*key, channel);
                    }
                }
                queue.written = queue.written.max(waiting.last().copied().unwrap_or_default());
                queue.written = queue.written.max(left.last().copied().unwrap_or_default());
                for key in &left {
                    if !told.settled_on_card.contains(key) {
                        queue.unnoted.push((BootId::default(), Note::Settled(*key)));
                    }
                }
                segment.waiting = waiting.len();
                queue.left.extend(left);
                queue.segments.push_back(segment);
            }
        }
        for (key, at) in &told.restamped {
            if let Some(queue) = told.channel_of(*key).and_then(|channel| queues.get_mut(&channel)) {
                queue.restamped.insert(*key, *at);
                queue.known.taken.give(*at);
                if told.restamped_on_card.get(key) != Some(at) {
                    queue.unnoted.push((BootId::default(), Note::Restamped(*key, *at)));
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
                queue.unnoted.push((BootId::default(), Note::Began(*id, boot, began)));
            }
        }
    }

    /// The keys of unconfirmed entries are used, too, and so are their seconds.
    fn use_up_doubtful(&mut self, channel: ChannelId, name: &str, queues: &mut BTreeMap<ChannelId, Queue>) {
        let bytes = self.card.read(name).unwrap_or_default();
        for (_, note) in note::read(&bytes).notes {
            if let (Note::Aside(Kept { time: Time::Known(at), .. }), Some(queue)) = (&note, queues.get_mut(&channel)) {
                queue.known.given_on_card.give(*at);
            }
            if let Note::Aside(Kept { key, .. }) | Note::Settled(key) = note {
                self.use_up(key);
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
        let bytes = match self.card.read(&file) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.found.unreadable.push((file, error.to_string()));
                return None;
            }
        };
        let read = note::read(&bytes);
        let mut segment = Segment { bytes: read.end, ..Segment::new(channel, first) };
        if read.is_damaged {
            let notes: Vec<_> = read.notes.clone();
            self.mend_damage(&file, &bytes, &mut segment, notes);
        } else if !read.is_whole {
            self.found.torn += 1;
            if self.repair {
                // Where that fails, the next group is written over it.
                let _ = self.card.truncate(&file, read.end);
            }
        }
        segment.file = file;
        let mut keys = Vec::new();
        for (boot, note) in read.notes {
            let queue = queues.get_mut(&channel).expect("made by the caller");
            // What the card tells is older than what the runtime directory does.
            if let Some(at) = segment::time_in(&note) {
                queue.known.given_on_card.give(at);
            }
            match note {
                Note::Entry(kept) => {
                    self.use_up(kept.key);
                    segment.last = segment.last.max(kept.key);
                    if let Time::Claimed(at) = kept.time {
                        queue.note_untimed(boot, kept.draft.end, at);
                    }
                    keys.push(kept.key);
                }
                Note::Settled(key) => {
                    self.use_up(key);
                    told.settled.insert(key);
                    told.settled_on_card.insert(key);
                    told.waiting.remove(&key);
                }
                note => {
                    match note {
                        Note::Restamped(key, at) => {
                            let latest = told.restamped_on_card.entry(key).or_insert(at);
                            *latest = at.max(*latest);
                        }
                        Note::Began(of, boot, _) => _ = told.began_on_card.insert((of, boot)),
                        _ => {}
                    }
                    self.common(&note, told, queues);
                }
            }
        }
        Some((segment, keys))
    }

    /// Keeps a copy of a damaged segment for people, and goes on with what is whole.
    fn mend_damage(&mut self, file: &str, bytes: &[u8], segment: &mut Segment, notes: Vec<(BootId, Note)>) {
        self.found.bad.push(file.to_owned());
        if !self.repair {
            return;
        }
        let mended = told_in(notes);
        let copied = self.card.replace(&format!("{file}{BAD}"), bytes, true);
        match copied.and_then(|()| self.card.replace(file, &mended, true)) {
            Ok(()) => segment.bytes = mended.len() as u64,
            Err(error) => self.found.unreadable.push((file.to_owned(), error.to_string())),
        }
    }
}

fn queue_of(queues: &mut BTreeMap<ChannelId, Queue>, channel: ChannelId) -> &mut Queue {
    queues.entry(channel).or_insert_with(|| Queue::new(channel, Backlog::default()))
}

/// A late receipt of a doubtful entry, of which the card may have been told or not.
fn settle_aside(queues: &mut BTreeMap<ChannelId, Queue>, boot: BootId, key: Key) {
    let has_it =
        |queue: &&mut Queue| queue.aside.iter().any(|(_, note)| matches!(note, Note::Aside(kept) if kept.key == key));
    if let Some(queue) = queues.values_mut().find(has_it) {
        queue.aside.push((boot, Note::Settled(key)));
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
        .filter_map(|held| match held.kept.time {
            Time::Claimed(at) => Some((held.boot, held.kept.draft.end, at)),
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
    } else {
        queue.left.clear();
    }
}
