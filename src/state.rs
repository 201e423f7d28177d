//! What few numbers outlive the process: the totals of counters, what the rules know of each output's past, and what the spool
//! remembers of each channel over a reboot.
//!
//! A record is a [`Key`] and bytes that only their owner understands. The whole store is one page of a few hundred bytes, since
//! a map has few of them; a page is written as a whole, in the place of the one before ([`page`] says how it looks).
//!
//! **Two tiers.** The *runtime directory* lives in memory and forgets at a power cut: it gets a page at each change, on
//! the thread that made it, so that no timer is needed for it. The *state directory* is the disk: it gets a page
//! [`TOTALS_EVERY`] after the first change that it does not have, and at the stop. So a killed daemon loses what was not told to
//! the store yet, and a power cut loses [`TOTALS_EVERY`] of it at most (longer where the disk cannot be written).
//! The moment from which the disk is behind is a line of its own, so that a daemon that is started again and again does not
//! put the writing off for ever.
//!
//! **Which record is newer.** Each change has a number, one more than the one before; at the start the higher number wins,
//! record by record, whichever tier it is from. So a page that lost one record to a flipped bit costs that record's last
//! change and not the others.
//!
//! **Who is who.** A record is named by what the map calls its owner, not by pin or place: the rain gauge that moves to another pin
//! is the same gauge, and the order of the map is nobody's concern. A new name begins anew. Records of names that are no longer in
//! the map are kept, the [`STRAYS`] newest of them: a slip in the map must not cost the total of a year.
//!
//! [`StateStore`] is pure: it says what to write, and is told how that went. [`StateHandle`] is what the daemon shares. A disk that
//! fails changes nothing here but the tier that stays behind: the store itself is in memory.

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod handle;
pub mod page;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::entry::ChannelId;
use crate::store::storage::Storage;
use crate::time::Mono;

pub use handle::{Reason, StateHandle, Tier};

/// How long after a change the disk gets it: what a power cut can cost. A write of a few hundred bytes costs a disk some
/// blocks, in bad ones a whole erase block (4 MiB): at 24 a day that is a hundred megabytes, which a small disk stands for
/// decades. Every ten minutes it would be a few years.
pub const TOTALS_EVERY: Duration = Duration::from_secs(3600);

/// How long after a failed write to the disk it is tried again.
const RETRY: Duration = Duration::from_secs(300);

/// The most bytes of a counter's total.
pub const LONGEST_TOTAL: usize = 9;

/// How many records are kept whose names are no longer in the map.
pub const STRAYS: usize = 16;

/// The name of the page in both directories.
pub const FILE: &str = "state";

/// Whose record it is: the map's name for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// The total of a counter.
    Counter(String),
    /// The total of a filter's `integrate`.
    Integral(String),
    /// The past of an output.
    Output(String),
    /// What the spool remembers of a channel. It goes along whenever a page is written, and is a reason to write one only where
    /// something was learned that rarely changes.
    Channel(ChannelId),
}

/// Records by name. Pure.
#[derive(Clone, Debug, Default)]
pub struct StateStore {
    records: BTreeMap<Key, Record>,
    /// The number of the newest change.
    change: u64,
    /// Since when the disk is behind.
    behind_since: Option<Mono>,
    /// The disk is to be written as soon as it can.
    hasty: bool,
    /// After a failed write: not before this.
    retry_at: Option<Mono>,
}

#[derive(Clone, Debug, PartialEq)]
struct Record {
    change: u64,
    value: Vec<u8>,
    /// The name is in the map.
    known: bool,
}

/// A page that is to be written to the disk, on a thread that may wait for it.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct Job {
    page: Vec<u8>,
    behind_since: Mono,
}

/// How a [`Job`] went.
#[derive(Debug)]
#[must_use]
pub struct Outcome {
    behind_since: Mono,
    written: std::io::Result<()>,
}

impl Job {
    /// Puts the page in the place of the one before. Takes as long as the disk likes.
    pub fn perform(self, state: &dyn Storage) -> Outcome {
        Outcome { behind_since: self.behind_since, written: state.replace(FILE, &self.page, true) }
    }

    /// The bytes that it writes.
    pub fn size(&self) -> usize {
        self.page.len()
    }
}

impl StateStore {
    /// The state of a map's names, as the two tiers have it: the runtime directory and the disk.
    pub fn new(now: Mono, names: impl IntoIterator<Item = Key>, [runtime, state]: [page::Page; 2]) -> Self {
        let mut records: BTreeMap<Key, Record> = BTreeMap::new();
        let on_disk: BTreeMap<Key, u64> =
            state.records.iter().map(|record| (record.key.clone(), record.change)).collect();
        for read in state.records.into_iter().chain(runtime.records) {
            let record = Record { change: read.change, value: read.value, known: false };
            if records.get(&read.key).is_none_or(|other| other.change < record.change) {
                records.insert(read.key, record);
            }
        }
        let lacks = |(key, record): (&Key, &Record)| on_disk.get(key).is_none_or(|&change| change < record.change);
        // What goes along is no reason.
        let behind = records.iter().filter(|(key, _)| !matches!(key, Key::Channel(_))).any(lacks);
        for name in names {
            if let Some(record) = records.get_mut(&name) {
                record.known = true;
            }
        }
        Self {
            change: records.values().map(|record| record.change).max().unwrap_or(0),
            records,
            behind_since: behind.then(|| runtime.behind_since.map_or(now, |since| since.min(now))),
            hasty: false,
            retry_at: None,
        }
    }

    /// What a record holds.
    pub fn get(&self, key: &Key) -> Option<&[u8]> {
        self.records.get(key).map(|record| record.value.as_slice())
    }

    /// The records of channels.
    pub fn channels(&self) -> Vec<(ChannelId, Vec<u8>)> {
        let record = |(key, record): (&Key, &Record)| match key {
            Key::Channel(id) => Some((*id, record.value.clone())),
            _ => None,
        };
        self.records.iter().filter_map(record).collect()
    }

    /// Sets a record of a name of the map. Whether that changed anything.
    pub fn set(&mut self, now: Mono, key: &Key, value: Vec<u8>) -> bool {
        if self.get(key).is_some_and(|old| old == value) {
            return false;
        }
        self.change += 1;
        self.records.insert(key.clone(), Record { change: self.change, value, known: true });
        self.behind_since.get_or_insert(now);
        true
    }

    /// Sets a record without a reason to write the disk: it goes along with the next page. Whether that changed anything.
    pub fn set_along(&mut self, key: &Key, value: Vec<u8>) -> bool {
        let behind_since = self.behind_since;
        let changed = self.set(Mono::default(), key, value);
        self.behind_since = behind_since;
        changed
    }

    /// The disk is to get what was set as soon as it can.
    pub fn hasten(&mut self, now: Mono) {
        self.behind_since.get_or_insert(now);
        self.hasty = true;
    }

    /// Takes the names of a new map.
    pub fn adopt(&mut self, names: &[Key]) {
        for (key, record) in &mut self.records {
            record.known = names.contains(key);
        }
    }

    /// The records of names that the map no longer has.
    pub fn strays(&self) -> impl Iterator<Item = &Key> {
        self.records.iter().filter(|(_, record)| !record.known).map(|(key, _)| key)
    }

    /// The page as it is now, for the runtime directory.
    pub fn page(&self) -> Vec<u8> {
        let oldest_stray = {
            let mut changes: Vec<u64> =
                self.records.values().filter(|record| !record.known).map(|record| record.change).collect();
            changes.sort_unstable_by(|a, b| b.cmp(a));
            changes.truncate(STRAYS);
            changes.last().copied().unwrap_or(0)
        };
        let kept = self.records.iter().filter(|(_, record)| record.known || record.change >= oldest_stray);
        let kept = kept.map(|(key, record)| (key, record.change, record.value.as_slice()));
        page::write(self.behind_since, kept)
    }

    /// When the disk is to be written; `None` while it has everything, or is being written.
    pub fn deadline(&self) -> Option<Mono> {
        let since = self.behind_since?;
        let due = if self.hasty { since } else { since + TOTALS_EVERY };
        Some(self.retry_at.map_or(due, |retry| due.max(retry)))
    }

    /// The page for the disk, if it is due.
    pub fn due(&mut self, now: Mono) -> Option<Job> {
        self.deadline().filter(|&deadline| deadline <= now).and_then(|_| self.last())
    }

    /// The page for the disk at the stop, unless it has everything.
    pub fn last(&mut self) -> Option<Job> {
        let behind_since = self.behind_since.take()?;
        self.hasty = false;
        Some(Job { page: self.page(), behind_since })
    }

    /// Takes how the writing went. Why it failed, if it did.
    ///
    /// # Errors
    /// The disk's error; the page is tried again later.
    pub fn done(&mut self, now: Mono, outcome: Outcome) -> std::io::Result<()> {
        if outcome.written.is_err() {
            self.behind_since = Some(outcome.behind_since);
        }
        self.retry_at = outcome.written.is_err().then(|| now + RETRY);
        outcome.written
    }
}

/// What one write to the disk holds at most, in bytes, for the names of a map and the lengths of their values.
pub fn page_size(names: impl IntoIterator<Item = (Key, usize)>) -> usize {
    let records = names.into_iter().map(|(key, value)| page::line_size(&key, value));
    match records.sum() {
        0 => 0,
        records => records + page::BEHIND_SIZE,
    }
}

/// The most that is written to the disk in a day, in bytes, besides once at each stop. The file system adds its own to
/// each of these writes.
pub fn bytes_per_day(page_size: usize) -> u64 {
    let writes = 86_400_u64.div_ceil(TOTALS_EVERY.as_secs());
    writes * page_size as u64
}

#[cfg(test)]
mod tests;
