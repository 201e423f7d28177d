//! A look at both directories for people: nothing is changed, and a daemon may be running.
//!
//! What a running daemon does meanwhile may be seen half: an entry that has just had its acknowledgement may still be shown, and a
//! record that is just being written looks torn. None is shown twice.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::entry::{ChannelId, Entry};
use crate::spool::Key;
use crate::spool::queue::Queue;
use crate::spool::records::{self, EntryRecord, LogRecord, Time};
use crate::spool::recovery::{Found, recover};
use crate::spool::segment;
use crate::store::storage::Storage;
use crate::time::BootId;

/// An entry as `gatepost spool list` shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// The entry. Where its time is not known, that is the time that the clock claimed.
    pub entry: Entry,
    /// What it waits for.
    pub state: State,
    /// What it takes in a log, in bytes.
    pub bytes: usize,
}

/// What an entry waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Its acknowledgement.
    Waits,
    /// The clock, and then its acknowledgement.
    Untimed,
    /// Nothing: it was sent several times without an echo.
    Unconfirmed,
}

/// Shows all entries that wait or are unconfirmed to `visit`, channel by channel, the oldest first, and of each channel the
/// unconfirmed ones last. One file at a time is in memory, so that a long backlog can be looked at on a small machine.
///
/// # Errors
/// The first error of `visit`, which ends the survey. What cannot be read is no error: [`Found`] tells of it.
pub fn survey<E>(
    runtime: &dyn Storage,
    disk: &dyn Storage,
    mut visit: impl FnMut(Listed) -> Result<(), E>,
) -> Result<Found, E> {
    let recovered = recover(BootId::default(), runtime, disk, false);
    for (id, queue) in &recovered.queues {
        waiting(queue, disk, &mut visit)?;
        for kept in unconfirmed(*id, queue, disk).into_values() {
            visit(Listed { bytes: kept.size(), entry: kept.claimed(), state: State::Unconfirmed })?;
        }
    }
    Ok(recovered.found)
}

fn waiting<E>(queue: &Queue, disk: &dyn Storage, visit: &mut impl FnMut(Listed) -> Result<(), E>) -> Result<(), E> {
    // A daemon may have written more to the last segment since it was first read.
    let mut shown = Key(0);
    let mut show = |entries: BTreeMap<Key, (BootId, EntryRecord)>| {
        for (key, (boot, mut kept)) in entries {
            if key <= shown {
                continue;
            }
            shown = key;
            let bytes = kept.size();
            if let Some(at) = queue.retimed.get(&key) {
                kept.time = Time::Known(*at);
            }
            let timed = kept.entry(queue.began_of(boot));
            let state = if timed.is_some() { State::Waits } else { State::Untimed };
            let entry = timed.unwrap_or_else(|| kept.claimed());
            let entry = Entry { was_sent: queue.sent.contains(&key), ..entry };
            visit(Listed { entry, state, bytes })?;
        }
        Ok(())
    };
    let queued = |after: Key, to: Key| {
        let queued = queue.queued.range((Bound::Excluded(after), Bound::Included(to)));
        queued.map(|(key, queued)| (*key, (queued.boot, queued.record.clone())))
    };
    let mut before = Key(0);
    for segment in queue.segments.iter() {
        let bytes = disk.read(&segment.file).unwrap_or_default();
        let read = segment::entries(queue.id, &bytes).filter(|(_, kept)| !queue.left.contains(&kept.key));
        let mut entries: BTreeMap<_, _> = read.map(|(boot, kept)| (kept.key, (boot, kept))).collect();
        // An entry whose own segment is gone is in memory alone, and has its place in the order.
        entries.extend(queued(before, segment.last.max(before)));
        before = before.max(segment.last);
        show(entries)?;
    }
    show(queued(before, Key(u64::MAX)).collect())
}

/// A channel's unconfirmed entries, on the disk and on their way there.
pub(super) fn unconfirmed(id: ChannelId, queue: &Queue, disk: &dyn Storage) -> BTreeMap<Key, EntryRecord> {
    let on_disk = disk.read(&segment::unconfirmed(id)).unwrap_or_default();
    let asides = records::read(&on_disk).notes.into_iter().chain(queue.aside.iter().cloned());
    let mut unconfirmed = BTreeMap::new();
    for (_, note) in asides {
        match note {
            // Somebody may have put another file in the place of the channel's.
            LogRecord::Aside(kept) if kept.draft.channel == id => _ = unconfirmed.insert(kept.key, kept),
            LogRecord::Settled(key) => _ = unconfirmed.remove(&key),
            _ => {}
        }
    }
    unconfirmed
}

impl EntryRecord {
    /// The entry with the time that it has, or else the one that the clock claimed.
    fn claimed(self) -> Entry {
        let (Time::Known(at) | Time::Claimed(at)) = self.time;
        Entry { key: self.key, ..self.draft.stamped(at) }
    }
}
