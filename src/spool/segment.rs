//! A segment: one file of a channel's log on the disk.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::entry::ChannelId;
use crate::spool::queued::Queued;
use crate::spool::records::{EntryRecord, LogRecord, LogRecords};
use crate::spool::thin;
use crate::spool::{Backlog, Key, records};
use crate::time::{BootId, Utc};

/// A segment is closed when it has so many bytes: small enough to be read at once, large enough that a week's outage takes
/// a few dozen files.
pub(super) const LARGEST: u64 = 64 << 10;
/// Where the map keeps little, a quarter of it: the oldest segment is dropped as a whole.
const SHARE: u64 = 4;

/// What is known of a segment without reading it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Segment {
    pub(super) file: String,
    pub(super) first: Key,
    pub(super) last: Key,
    /// Bytes that are known to be whole. After a failed write the file may be longer.
    pub(super) bytes: u64,
    /// Its entries that still wait.
    pub(super) waiting: usize,
    /// It was thinned, or need not be.
    pub(super) thinned: bool,
    /// It may have been thinned by a job that failed: how much waits in it is known with the next read.
    pub(super) unsure: bool,
    /// Reads that failed in a row.
    pub(super) failures: u32,
    /// It cannot be read: until the next start its entries wait without being offered.
    pub(super) skipped: bool,
}

impl Segment {
    /// A segment that begins with this key.
    pub(super) fn new(channel: ChannelId, first: Key) -> Self {
        Self {
            file: name(channel, first),
            first,
            last: first,
            bytes: 0,
            waiting: 0,
            thinned: false,
            unsure: false,
            failures: 0,
            skipped: false,
        }
    }

    pub(super) fn holds(&self, key: Key) -> bool {
        (self.first..=self.last).contains(&key)
    }
}

/// How large a segment may grow.
pub(super) fn largest(backlog: &Backlog) -> u64 {
    LARGEST.min(backlog.max_size / SHARE)
}

/// The end of every log's name.
pub(super) const SUFFIX: &str = ".log";
/// A segment that could not be read as a whole, for people to look at.
pub(super) const BAD: &str = ".bad";

/// The name of a segment: its channel, and its first key so that names sort as the entries do.
pub(super) fn name(channel: ChannelId, first: Key) -> String {
    format!("{channel}-{:016x}{SUFFIX}", first.0)
}

/// The channel and the first key of a segment's name.
pub(super) fn parse(name: &str) -> Option<(ChannelId, Key)> {
    let (channel, key) = name.strip_suffix(SUFFIX)?.split_once('-')?;
    let key = (key.len() == 16).then(|| u64::from_str_radix(key, 16).ok()).flatten()?;
    Some((ChannelId(channel.parse().ok()?), Key(key)))
}

/// The file of a channel's unconfirmed entries.
pub(super) fn unconfirmed(channel: ChannelId) -> String {
    format!("{channel}-unconfirmed{SUFFIX}")
}

/// The channel of such a file.
pub(super) fn parse_unconfirmed(name: &str) -> Option<ChannelId> {
    name.strip_suffix(SUFFIX)?.strip_suffix("-unconfirmed")?.parse().ok().map(ChannelId)
}

/// The entries of a channel's segment, oldest first, with the boots that they were pushed in. One that does not belong there
/// is left out: somebody may have put another file in its place.
pub(super) fn entries(channel: ChannelId, bytes: &[u8]) -> impl Iterator<Item = (BootId, EntryRecord)> {
    let mut last = Key(0);
    LogRecords::new(bytes).filter_map(move |(boot, note)| match note {
        LogRecord::Entry(kept) if kept.draft.channel == channel && kept.key > last => {
            last = kept.key;
            Some((boot, kept))
        }
        _ => None,
    })
}

/// A segment with its neighbours merged: its bytes, how many entries it holds, and how many went away. What is not an entry
/// stays. Entries that have `left` go; those that were `sent` once keep what they were sent with. `None` for one that is damaged.
pub(super) fn thinned(
    bytes: &[u8],
    within: Duration,
    left: &BTreeSet<Key>,
    sent: &BTreeSet<Key>,
) -> Option<(Vec<u8>, usize, usize)> {
    let (mut entries, mut others) = (Vec::new(), Vec::new());
    let read = records::read(bytes);
    if !read.is_whole {
        return None;
    }
    for (boot, note) in read.notes {
        match note {
            LogRecord::Entry(kept) if left.contains(&kept.key) => {}
            LogRecord::Entry(kept) => entries.push((boot, kept)),
            other => others.push((boot, other)),
        }
    }
    let before = entries.len();
    let entries = entries.into_iter().map(|(boot, record): (BootId, EntryRecord)| {
        let was_sent = sent.contains(&record.key);
        Queued { taken: was_sent, ..Queued::new(record, boot) }
    });
    let thin = thin::merge_neighbours(entries, within);
    let left = thin.len();
    let merged = thin.into_iter().map(|Queued { record, boot, .. }| (boot, LogRecord::Entry(record)));
    Some((told_in(others.into_iter().chain(merged)), left, before - left))
}

/// Records as bytes, each in its boot.
pub(super) fn told_in(notes: impl IntoIterator<Item = (BootId, LogRecord)>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut told = None;
    for (boot, note) in notes {
        if told != Some(boot) {
            told = Some(boot);
            LogRecord::Boot(boot).append(&mut bytes);
        }
        note.append(&mut bytes);
    }
    bytes
}

/// The latest time that a note gives to an entry.
pub(super) fn time_in(note: &LogRecord) -> Option<Utc> {
    match note {
        LogRecord::Entry(EntryRecord { time: records::Time::Known(at), .. }) | LogRecord::Retimed(_, at) => Some(*at),
        _ => None,
    }
}
