//! Reading a log that may be torn or rotten, and saying what is wrong with it.

use crate::spool::Key;
use crate::spool::records::{self, LogRecord, LogRecords};
use crate::store::record;
use crate::time::BootId;

/// How the end of a log, and what lies between its records, looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// There is nothing but records.
    Whole,
    /// A write was cut off at its end. Only a log that was written to last can be so for that reason.
    Torn,
    /// Bytes of no record stand between records, or behind them without being the rest of a write; or a record says what cannot be.
    Rotten,
}

/// A stretch of a log that holds no record any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hole {
    /// The highest key of an entry before it.
    pub(super) after: Key,
    /// The key of the next entry in the log; `None` where none follows.
    pub(super) before: Option<Key>,
    pub(super) bytes: usize,
    /// Entries whose records' headers can still be read.
    pub(super) begun: usize,
}

/// The smallest record of an entry, in bytes: one value, without a status text, of a slot that ended in the boot's first seconds.
const SMALLEST: usize = record::size(31);

impl Hole {
    /// How many entries it can have held at most, by its size and by the keys that are missing there: those between its
    /// neighbours that are not among the `named` ones (sorted), of which some log tells. Behind the log's last entry the keys
    /// below `until` count, or else those below `next` and what can still be told from the bytes, one entry at least where one fits.
    pub(super) fn lost(&self, until: Option<Key>, next: Key, named: &[Key]) -> usize {
        let from = Key(self.after.0 + 1);
        let missing = |to: Key| {
            let below = |limit: Key| named.partition_point(|key| *key < limit);
            let known = below(to).saturating_sub(below(from));
            usize::try_from(to.0.saturating_sub(from.0)).unwrap_or(usize::MAX).saturating_sub(known)
        };
        let by_bytes = self.bytes.div_ceil(SMALLEST);
        match (self.before, until) {
            (Some(before), _) => missing(before).min(by_bytes),
            // The file may have been longer.
            (None, Some(until)) => missing(until),
            (None, None) => missing(next).max(self.begun).max(usize::from(self.bytes >= SMALLEST)).min(by_bytes),
        }
    }
}

/// The notes of a log, with an eye on what lies between them.
#[derive(Debug)]
pub(super) struct Scan<'a> {
    notes: LogRecords<'a>,
    /// The highest key of an entry so far.
    last: Key,
    skipped: usize,
    holes: Vec<Hole>,
}

impl<'a> Scan<'a> {
    /// Reads a log from its beginning. Its entries have keys above `after`, as far as that is known.
    pub(super) fn new(bytes: &'a [u8], after: Key) -> Self {
        Self { notes: LogRecords::new(bytes), last: after, skipped: 0, holes: Vec::new() }
    }

    /// Where the last whole record ends.
    pub(super) fn end(&self) -> u64 {
        self.notes.records().end() as u64
    }

    /// How the log is. To be asked when all of it was read.
    pub(super) fn condition(&self) -> Condition {
        let records = self.notes.records();
        match (records.is_whole(), self.notes.strange()) {
            (true, 0) => Condition::Whole,
            (false, 0) if records.is_torn() => Condition::Torn,
            _ => Condition::Rotten,
        }
    }

    /// Entries that say what cannot be.
    pub(super) const fn strange_entries(&self) -> usize {
        self.notes.strange_entries()
    }

    /// The stretches without a record. To be asked when all of it was read.
    pub(super) fn holes(mut self) -> Vec<Hole> {
        self.look();
        self.holes
    }

    /// Notes a hole that was just passed.
    fn look(&mut self) {
        let skipped = self.notes.records().skipped();
        let bytes = skipped - std::mem::replace(&mut self.skipped, skipped);
        if bytes > 0 {
            let begun = records::entries_begun(self.notes.records().gap());
            self.holes.push(Hole { after: self.last, before: None, bytes, begun });
        }
    }
}

impl Iterator for Scan<'_> {
    type Item = (BootId, LogRecord);

    fn next(&mut self) -> Option<Self::Item> {
        let (boot, note) = self.notes.next()?;
        self.look();
        if let LogRecord::Entry(kept) = &note {
            let open = self.holes.iter_mut().rev().take_while(|hole| hole.before.is_none());
            open.for_each(|hole| hole.before = Some(kept.key));
            self.last = self.last.max(kept.key);
        }
        Some((boot, note))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hole_has_lost_no_more_than_its_keys_and_its_bytes_allow() {
        let hole =
            |after, before: Option<u64>, bytes| Hole { after: Key(after), before: before.map(Key), bytes, begun: 2 };
        let named: Vec<Key> = [3, 12, 14, 40].map(Key).to_vec();
        let lost = |hole: Hole, until: Option<u64>| hole.lost(until.map(Key), Key(20), &named);
        assert_eq!(lost(hole(10, Some(20), 10_000), None), 7, "nine keys, of which two are known");
        assert_eq!(lost(hole(10, Some(1 << 50), 100), None), 3, "bytes for three");
        assert_eq!(lost(hole(10, Some(11), 10_000), None), 0, "it held something else");
        assert_eq!(lost(hole(10, Some(5), 10_000), None), 0, "keys in no order");
        assert_eq!(lost(hole(10, None, 3), Some(30)), 17, "up to the next segment, for it may have been cut");
        assert_eq!(lost(hole(10, None, 10_000), None), 7, "up to the key that comes next");
        assert_eq!(lost(hole(19, None, 10_000), None), 2, "two began there, for all that the keys say");
    }
}
