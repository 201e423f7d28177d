//! Entries that a person wants to be rid of are taken out of both directories. No daemon may be running.
//!
//! **Order.** The runtime directory's log goes first, then the disk's segments, the oldest first: an entry may be in both,
//! and what is gone from the disk must not come back from the runtime directory. Each file is replaced or cut as a whole,
//! so that a crash in between leaves some entries dropped and the others as they were; dropping again takes the rest.
//!
//! **Keys.** What stays in a segment may speak of entries that are gone, and a new entry must not get the key of one that a
//! note calls settled. So a segment that is written anew says which keys were used, and only the oldest segments are removed, as the
//! daemon itself removes them.

use std::collections::BTreeSet;
use std::io;

use crate::entry::ChannelId;
use crate::spool::Key;
use crate::spool::queue::Queue;
use crate::spool::records::{self, EntryRecord, LogRecord, Time};
use crate::spool::recovery::{Found, recover};
use crate::spool::segment::{self, Segment, told_in};
use crate::spool::{runtime_log, survey};
use crate::store::storage::Storage;
use crate::time::{BootId, Utc};

/// Which entries are to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Which {
    /// Those of this channel.
    pub channel: ChannelId,
    /// Those that were left unconfirmed, instead of those that wait.
    pub unconfirmed: bool,
    /// Only those with a time before this one. An entry that waits for its time stays then.
    pub before: Option<Utc>,
}

/// What became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discarded {
    /// Entries that are gone.
    pub entries: usize,
    /// What was met on the way, and mended as at a start.
    pub found: Found,
}

/// Why not all could be dropped.
#[derive(Debug, thiserror::Error)]
pub enum DiscardError {
    /// The disk refused. What was dropped before stays so; dropping again takes the rest.
    #[error("{file}: {error} ({entries} entries were dropped before)")]
    Disk {
        /// The file that could not be read or written.
        file: String,
        /// Entries that are gone for good.
        entries: usize,
        /// The system's words.
        error: io::Error,
    },
}

/// Drops entries. When this returns, a power cut does not bring them back.
///
/// # Errors
/// When a file cannot be read or written.
pub fn discard(runtime: &dyn Storage, disk: &dyn Storage, which: &Which) -> Result<Discarded, DiscardError> {
    let mut recovered = recover(BootId::default(), runtime, disk, true);
    let mut discarded = Discarded { entries: 0, found: recovered.found };
    let Some(queue) = recovered.queues.remove(&which.channel) else { return Ok(discarded) };
    if which.unconfirmed {
        drop_unconfirmed(&queue, runtime, disk, which, &mut discarded)?;
    } else {
        drop_waiting(&queue, runtime, disk, which, &mut discarded)?;
    }
    Ok(discarded)
}

fn drop_waiting(
    queue: &Queue,
    runtime: &dyn Storage,
    disk: &dyn Storage,
    which: &Which,
    discarded: &mut Discarded,
) -> Result<(), DiscardError> {
    let goes = |kept: &EntryRecord, boot: BootId| {
        let Some(before) = which.before else { return true };
        let known = match (queue.retimed.get(&kept.key), kept.time) {
            (Some(at), _) => Some(*at),
            (None, Time::Known(at)) => Some(at),
            (None, Time::Claimed(_)) => queue.began_of(boot).map(|began| began.time_of(kept.draft.end)),
        };
        known.is_some_and(|at| at < before)
    };
    let is_of_channel = |kept: &EntryRecord| kept.draft.channel == which.channel;
    rewrite_runtime(queue, runtime, discarded, |boot, note| match note {
        LogRecord::Entry(kept) => !(is_of_channel(kept) && goes(kept, boot)),
        _ => true,
    })?;
    // The log told of some that are on the disk too, or that have left already: those in memory alone are counted here.
    discarded.entries += queue.queued.values().filter(|queued| goes(&queued.record, queued.boot)).count();
    let mut is_oldest = true;
    for segment in queue.segments.iter() {
        is_oldest &= drop_from(segment, queue, disk, &goes, is_oldest, discarded)?;
    }
    Ok(())
}

/// Drops entries of a segment. Returns whether the segment is gone, since nothing waits in it.
fn drop_from(
    segment: &Segment,
    queue: &Queue,
    disk: &dyn Storage,
    goes: &impl Fn(&EntryRecord, BootId) -> bool,
    is_oldest: bool,
    discarded: &mut Discarded,
) -> Result<bool, DiscardError> {
    let file = segment.file.as_str();
    let refused = |error| DiscardError::Disk { file: file.to_owned(), entries: discarded.entries, error };
    let notes = records::read(&disk.read(file).map_err(refused)?).notes;
    let is_dropped = |boot: BootId, note: &LogRecord| match note {
        LogRecord::Entry(kept) => queue.left.contains(&kept.key) || goes(kept, boot),
        _ => false,
    };
    let waiting = |(_, note): &&(BootId, LogRecord)| match note {
        LogRecord::Entry(kept) => !queue.left.contains(&kept.key),
        _ => false,
    };
    let before = notes.iter().filter(waiting).count();
    let last = notes
        .iter()
        .filter_map(|(_, note)| if let LogRecord::Entry(kept) = note { Some(kept.key) } else { None })
        .max();
    let mut stay: Vec<_> = notes.into_iter().filter(|(boot, note)| !is_dropped(*boot, note)).collect();
    let after = stay.iter().filter(waiting).count();
    let is_gone = after == 0 && is_oldest;
    if is_gone {
        // To cut a file needs no room, and is durable; that its name is gone may be forgotten in a power cut.
        disk.truncate(file, 0).and_then(|()| disk.remove(file)).map_err(refused)?;
    } else if after < before {
        let used = last.map(|last| (BootId::default(), LogRecord::Next(Key(last.0 + 1))));
        stay.splice(0..0, used);
        disk.replace(file, &told_in(stay), true).map_err(refused)?;
    }
    discarded.entries += before - after;
    Ok(is_gone)
}

fn drop_unconfirmed(
    queue: &Queue,
    runtime: &dyn Storage,
    disk: &dyn Storage,
    which: &Which,
    discarded: &mut Discarded,
) -> Result<(), DiscardError> {
    let goes = |kept: &EntryRecord| match (which.before, kept.time) {
        (None, _) => true,
        (Some(before), Time::Known(at)) => at < before,
        (Some(_), Time::Claimed(_)) => false,
    };
    let unconfirmed = survey::unconfirmed(which.channel, queue, disk);
    let gone: BTreeSet<Key> = unconfirmed.values().filter(|kept| goes(kept)).map(|kept| kept.key).collect();
    let is_dropped = |note: &LogRecord| match note {
        LogRecord::Aside(kept) => kept.draft.channel == which.channel && gone.contains(&kept.key),
        _ => false,
    };
    rewrite_runtime(queue, runtime, discarded, |_, note| !is_dropped(note))?;
    let file = segment::unconfirmed(which.channel);
    let refused = |error| DiscardError::Disk { file: file.clone(), entries: 0, error };
    let bytes = match disk.read(&file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        read => Some(read.map_err(refused)?),
    };
    if let Some(bytes) = bytes {
        let stay: Vec<_> = records::read(&bytes).notes.into_iter().filter(|(_, note)| !is_dropped(note)).collect();
        if stay.iter().any(|(_, note)| matches!(note, LogRecord::Aside(_))) {
            disk.replace(&file, &told_in(stay), true).map_err(refused)?;
        } else {
            disk.truncate(&file, 0).and_then(|()| disk.remove(&file)).map_err(refused)?;
        }
    }
    discarded.entries = gone.len();
    Ok(())
}

/// Writes the runtime directory's log anew with the notes that stay, where some do not.
fn rewrite_runtime(
    queue: &Queue,
    runtime: &dyn Storage,
    discarded: &Discarded,
    stays: impl Fn(BootId, &LogRecord) -> bool,
) -> Result<(), DiscardError> {
    let refused = |error| DiscardError::Disk { file: runtime_log::FILE.to_owned(), entries: discarded.entries, error };
    let bytes = match runtime.read(runtime_log::FILE) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        read => read.map_err(refused)?,
    };
    let mut notes = records::read(&bytes).notes;
    let next = notes.iter().filter_map(|(_, note)| used(note)).max();
    notes.retain(|(boot, note)| stays(*boot, note));
    // The seconds of what is gone stay used, on the disk too: some of it may be stored.
    let (channel, known) = (queue.id, &queue.known);
    let told = notes.iter().rev().find_map(|(boot, note)| match note {
        LogRecord::Given(of, _, has_past) if *of == channel => Some((*boot, *has_past)),
        _ => None,
    });
    let (boot, has_past) = told.unwrap_or((BootId::default(), known.has_past));
    notes.push((boot, LogRecord::Given(channel, known.taken.clone(), has_past)));
    // The keys of what is gone stay used: the log may call some of them settled.
    notes.extend(next.map(|next| (BootId::default(), LogRecord::Next(next))));
    runtime.replace(runtime_log::FILE, &told_in(notes), false).map_err(refused)
}

/// The first key that is free behind an entry.
fn used(note: &LogRecord) -> Option<Key> {
    match note {
        LogRecord::Entry(kept) => Some(Key(kept.key.0 + 1)),
        _ => None,
    }
}
