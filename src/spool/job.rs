//! What is to be done on the disk, as values: the spool's lock is not held while the disk takes its time.

use std::collections::BTreeSet;
use std::io;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::entry::ChannelId;
use crate::spool::Key;
use crate::spool::records::{EntryRecord, LogRecord};
use crate::spool::segment;
use crate::store::storage::Storage;
use crate::time::BootId;

/// Entries that are read ahead from the disk.
pub(super) const AHEAD: usize = 32;

/// One piece of work for the disk's thread.
#[derive(Debug)]
pub struct Job {
    pub(super) channel: ChannelId,
    pub(super) file: String,
    pub(super) task: Task,
}

#[derive(Debug)]
pub(super) enum Task {
    /// Append a group behind the segment's `whole` bytes.
    Append(Group),
    /// Read the entries behind a key. The segment holds keys from the first to the last of `within`.
    Read { after: Key, within: RangeInclusive<Key>, left: BTreeSet<Key> },
    /// Remove a file whose entries have all left.
    Remove,
    /// Write a segment anew with its neighbours merged, but for those that were sent in an earlier run.
    Thin { within: Duration, left: BTreeSet<Key>, sent: BTreeSet<Key> },
    /// Append to the file of unconfirmed entries.
    Aside { bytes: Vec<u8>, notes: usize },
}

/// What is appended at once.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) bytes: Vec<u8>,
    /// The bytes of the segment so far. Behind them there may be the rest of an earlier try.
    pub(super) whole: u64,
    /// The segment is a new one.
    pub(super) begins: bool,
    pub(super) entries: Vec<Key>,
    /// How many of the notes for the disk it tells, and whether they have the beginning of a boot.
    pub(super) notes: usize,
    pub(super) began: bool,
}

/// What became of a job.
#[derive(Debug)]
pub struct Outcome {
    pub(super) job: Job,
    pub(super) result: io::Result<Done>,
}

#[derive(Debug)]
pub(super) enum Done {
    Written,
    /// The next entries, and the keys of all that the segment holds.
    Entries {
        read: Vec<(BootId, EntryRecord)>,
        keys: Vec<Key>,
    },
    Thinned {
        bytes: u64,
        waiting: usize,
        merged: usize,
    },
}

/// The file of unconfirmed entries is halved when it has so many bytes.
const UNCONFIRMED: u64 = 256 << 10;

impl Job {
    /// Does it. It may take seconds.
    pub fn perform(self, disk: &dyn Storage) -> Outcome {
        let result = self.try_to(disk);
        Outcome { job: self, result }
    }

    fn try_to(&self, disk: &dyn Storage) -> io::Result<Done> {
        let file = self.file.as_str();
        match &self.task {
            Task::Append(group) => disk.extend(file, group.whole, &group.bytes).map(|()| Done::Written),
            Task::Read { after, within, left } => {
                let bytes = disk.read(file)?;
                let (mut read, mut keys) = (Vec::new(), Vec::new());
                for (boot, kept) in
                    segment::entries(self.channel, &bytes).filter(|(_, kept)| within.contains(&kept.key))
                {
                    keys.push(kept.key);
                    if kept.key > *after && read.len() < AHEAD && !left.contains(&kept.key) {
                        read.push((boot, kept));
                    }
                }
                Ok(Done::Entries { read, keys })
            }
            Task::Remove => disk.remove(file).map(|()| Done::Written),
            Task::Thin { within, left, sent } => {
                let before = disk.read(file)?;
                let Some((bytes, waiting, merged)) = segment::thinned(&before, *within, left, sent) else {
                    // It has rotted meanwhile: what is lost is counted when it is read.
                    return Ok(Done::Written);
                };
                if merged > 0 {
                    disk.replace(file, &bytes, true)?;
                }
                let bytes = if merged > 0 { bytes.len() } else { before.len() };
                Ok(Done::Thinned { bytes: bytes as u64, waiting, merged })
            }
            Task::Aside { bytes, .. } => {
                let before = match disk.read(file) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
                    before => before?,
                };
                if before.len() as u64 + bytes.len() as u64 > UNCONFIRMED {
                    disk.replace(file, &newer_half(&before, bytes), true)?;
                } else {
                    disk.extend(file, before.len() as u64, bytes)?;
                }
                Ok(Done::Written)
            }
        }
    }
}

/// What is kept of the unconfirmed entries when there is no more room, with the new ones.
fn newer_half(before: &[u8], added: &[u8]) -> Vec<u8> {
    let notes = crate::spool::records::read(before).notes;
    let settled: BTreeSet<Key> = notes
        .iter()
        .filter_map(|(_, note)| if let LogRecord::Settled(key) = note { Some(*key) } else { None })
        .collect();
    let still = |note: &LogRecord| matches!(note, LogRecord::Aside(kept) if !settled.contains(&kept.key));
    let entries = notes.into_iter().filter(|(_, note)| still(note)).collect::<Vec<_>>();
    let half = entries.len() / 2;
    let mut bytes = segment::told_in(entries.into_iter().skip(half));
    bytes.extend_from_slice(added);
    bytes
}
