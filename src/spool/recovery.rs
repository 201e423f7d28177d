//! Start-up: what an earlier run left becomes the spool's state again.
//!
//! The runtime directory's log is read first: it knows of acknowledgements that the disk was not told yet. Then the state
//! directory's files are put in order ([`order`]), and each channel's segments are read, oldest first. A torn end is cut. What
//! is damaged stays as `*.bad`, for people to look at, and what is whole in it is written anew; a file that cannot be read at
//! all is left alone.

mod channel;
mod disk;
mod loose;
mod order;
mod runtime;
mod scan;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io::ErrorKind;

use crate::entry::ChannelId;
use crate::spool::queue::Queue;
use crate::spool::queued::Queued;
use crate::spool::records::{Began, LogRecord, Time};
use crate::spool::segment::BAD;
use crate::spool::{Backlog, Key};
use crate::store::storage::Storage;
use crate::time::{BootId, Utc};

use order::{Damage, put_in_order};

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

/// Reads both directories. With `repair` what is torn or damaged on the disk is mended.
pub(super) fn recover(boot: BootId, runtime: &dyn Storage, disk: &dyn Storage, repair: bool) -> Recovered {
    let mut reading =
        Reading { boot, disk, repair, found: Found::default(), next: Key(1), believed: false, is_first_run: true };
    let mut queues: BTreeMap<ChannelId, Queue> = BTreeMap::new();
    let mut told = Told::default();
    let rotten = reading.read_runtime(runtime, &mut told, &mut queues);
    let order = put_in_order(disk, repair, &mut reading.found);
    reading.read_disk(order, rotten, &mut told, &mut queues);
    for (queued, channel) in told.waiting.into_values() {
        let queue = queue_of(&mut queues, channel);
        queue.queued.insert(queued);
    }
    for queue in queues.values_mut() {
        channel::finish(queue);
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
    settled_on_disk: HashSet<(ChannelId, Key)>,
    retimed: BTreeMap<Key, Utc>,
    /// Entries that were sent.
    sent: BTreeSet<Key>,
    /// Those that wait on the disk and are named in one of these: keys count over all channels.
    on_disk: BTreeMap<Key, ChannelId>,
    /// What each channel's log says of the rest: it is told what it lacks.
    retimed_on_disk: HashMap<(ChannelId, Key), Utc>,
    began_on_disk: HashSet<(ChannelId, BootId)>,
    /// Unconfirmed entries of the runtime directory's log.
    asides: HashMap<Key, ChannelId>,
}

impl Told {
    /// Every key that some log names, sorted: those of entries on the disk, and what the runtime directory tells of.
    fn named<'a>(&'a self, on_disk: impl Iterator<Item = &'a Key>) -> Vec<Key> {
        let mut named: Vec<Key> =
            on_disk.chain(self.waiting.keys()).chain(&self.settled).chain(&self.sent).copied().collect();
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
        self.on_disk.get(&key).copied().or_else(|| self.waiting.get(&key).map(|(_, channel)| *channel))
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
    disk: &'a dyn Storage,
    repair: bool,
    found: Found,
    next: Key,
    believed: bool,
    is_first_run: bool,
}

impl Reading<'_> {
    /// A key that any record names is not given again: its acknowledgement would settle somebody else.
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
                if let Some((queued, _)) = told.waiting.get_mut(key) {
                    queued.record.time = Time::Known(*at);
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
            Ok(()) => format!("{why}; renamed to {aside}"),
            Err(error) => format!("{why}; renaming it failed: {error}"),
        };
    }
    found.unreadable.push((name.to_owned(), why));
    None
}

fn queue_of(queues: &mut BTreeMap<ChannelId, Queue>, channel: ChannelId) -> &mut Queue {
    queues.entry(channel).or_insert_with(|| Queue::new(channel, Backlog::default()))
}

fn know(queue: &mut Queue, boot: BootId, began: Began) {
    if queue.began_of(boot).is_none() {
        queue.began.push((boot, began));
    }
}
