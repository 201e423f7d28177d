//! What the spool's logs say, one record each.
//!
//! Each record's payload is a [`LogRecord`] as [`codec`] writes it: an array of its kind, which is the variant's number, and its
//! fields. A kind that is not known is a later version's and passed over, and so is a further field. A kind that is known and
//! says what cannot be is *strange*: its bytes are whole, and somebody else's or wrong.

use std::ops::RangeInclusive;
use std::time::Duration;

use minicbor::decode::{self, Decoder};
use minicbor::encode::{self, Encoder, Write};
use minicbor::{Decode, Encode};

use crate::entry::{ChannelId, ColumnSet, Entry, UntimedEntry};
use crate::spool::Key;
use crate::spool::taken::{self, Taken};
use crate::store::codec;
use crate::store::record::{self, Records};
use crate::time::{BootId, Mono, Utc};

/// One record of a log. The numbers must never change.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(flat)]
pub(super) enum LogRecord {
    /// The boot whose clock the following entries are told by.
    #[n(1)]
    Boot(#[n(0)] BootId),
    /// An entry waits.
    #[n(2)]
    Entry(#[n(0)] EntryRecord),
    /// So do several, which were pushed together: all of them or none. It is read as one record of each.
    #[n(14)]
    Entries(#[n(0)] Vec<EntryRecord>),
    /// An entry left: on its acknowledgement, or by the policy.
    #[n(3)]
    Settled(#[n(0)] Key),
    /// An entry was given to the uplink: the service may have it.
    #[n(4)]
    Sent(#[n(0)] Key),
    /// An entry was left unconfirmed; it is told once more, since its own record may be gone by now.
    #[n(5)]
    Aside(#[n(0)] EntryRecord),
    /// An entry got another second.
    #[n(6)]
    Retimed(#[n(0)] Key, #[n(1)] Utc),
    /// When a boot began, for a channel's entries that were pushed before anybody knew.
    #[n(7)]
    Began(#[n(0)] ChannelId, #[n(1)] BootId, #[n(2)] Began),
    /// The end of a channel's last draft on the boot clock. The time is the latest that its entries were given, which an older
    /// version told in the place of [`LogRecord::Given`].
    #[n(8)]
    Latest(#[n(0)] ChannelId, #[n(1)] Option<Utc>, #[n(2)] Option<Mono>),
    /// The seconds that a channel has given so far, and whether an earlier boot may have given others.
    #[n(12)]
    Given(
        #[n(0)] ChannelId,
        #[cbor(n(1), encode_with = "taken::encode_newest::<LONGEST_GIVEN, _, _>")] Taken,
        #[n(2)] bool,
    ),
    /// The columns that the service was seen to store.
    #[n(13)]
    Columns(#[n(0)] ChannelId, #[n(1)] ColumnSet),
    /// The wall clock of this boot was found right.
    #[n(10)]
    Believed,
    /// Entries of a channel come back as echoes, or do no longer.
    #[n(11)]
    Echoes(#[n(0)] ChannelId, #[n(1)] bool),
    /// Keys below this one are used.
    #[n(9)]
    Next(#[n(0)] Key),
}

/// The number of [`LogRecord::Entry`].
const ENTRY: u32 = 2;
/// The number of [`LogRecord::Entries`].
const ENTRIES: u32 = 14;
/// The numbers that this version knows: a record of another one is a later version's, and passed over.
const KINDS: RangeInclusive<u32> = 1..=14;

/// What the seconds of a channel may take in a record.
const LONGEST_GIVEN: usize = record::LONGEST - 32;

/// A waiting entry as it is kept.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(super) struct EntryRecord {
    #[n(0)]
    pub(super) key: Key,
    /// When it was pushed, on the clock of its boot.
    #[n(1)]
    pub(super) since: Mono,
    #[n(2)]
    pub(super) time: Time,
    #[n(3)]
    pub(super) draft: UntimedEntry,
}

/// What is known of an entry's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(flat)]
pub(super) enum Time {
    /// Its time.
    #[n(1)]
    Known(#[n(0)] Utc),
    /// What the wall clock said when nobody believed it.
    #[n(0)]
    Claimed(#[n(0)] Utc),
}

/// When a boot began, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Began {
    /// The wall time at which its clock stood at zero.
    #[n(0)]
    pub(super) at: Utc,
    /// Where the boot ended without a right clock: the times that its entries lie between. The first may be unknown.
    #[n(1)]
    pub(super) estimated: Option<(Option<Utc>, Utc)>,
}

impl Began {
    /// The time of a slot that ended at `end`, in whole seconds. Ends a second apart get different ones.
    pub(super) fn time_of(&self, end: Mono) -> Utc {
        Utc::from_seconds((self.at + end.since_boot() + Duration::from_millis(500)).seconds())
    }
}

impl EntryRecord {
    /// The entry with its time, or with an estimate that says so.
    pub(super) fn entry(&self, began: Option<&Began>) -> Option<Entry> {
        let draft = self.draft.clone();
        let entry = match (self.time, began) {
            (Time::Known(at), _) => Some(draft.stamped(at)),
            (Time::Claimed(_), Some(began)) => {
                let at = began.time_of(draft.end);
                let mut entry = draft.stamped(at);
                if let Some((from, to)) = began.estimated {
                    let words = match from {
                        Some(from) => format!("time estimated, between {from} and {to}: the clock was not set"),
                        None => format!("time estimated, before {to}: the clock was not set"),
                    };
                    entry.status = Some(match entry.status.take() {
                        Some(status) => format!("{words}; {status}"),
                        None => words,
                    });
                }
                Some(entry)
            }
            (Time::Claimed(_), None) => None,
        }?;
        Some(Entry { key: self.key, ..entry })
    }
}

impl LogRecord {
    /// Appends it to a log.
    pub(super) fn append(&self, log: &mut Vec<u8>) {
        record::append(log, &codec::encode(self));
    }
}

impl EntryRecord {
    /// What its record takes, in bytes.
    pub(super) fn size(&self) -> usize {
        // Around it is an array of two, and its kind.
        record::size(2 + codec::encode(self).len())
    }
}

/// No key is as high: a million entries a second reach it in three hundred years, and the highest key that is not counted
/// but taken from the clock ([`crate::spool::Spool::open`]) lies below until the year 2200.
pub(super) const KEYS: u64 = 1 << 53;

impl<C> Encode<C> for Key {
    fn encode<W: Write>(&self, to: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        to.u64(self.0)?.ok()
    }
}

/// A key that can have been given. Any other is rubbish with a good checksum: were it believed, the keys above it would be
/// used up.
impl<'b, C> Decode<'b, C> for Key {
    fn decode(from: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        let at = from.position();
        let key = Some(from.u64()?).filter(|key| (1..KEYS).contains(key)).map(Self);
        key.ok_or_else(|| decode::Error::message("no entry has this key").at(at))
    }
}

/// Entries that are pushed together: one record, as far as one holds them. Those of a slot are few, and always fit.
pub(super) fn together(mut entries: Vec<EntryRecord>) -> Vec<LogRecord> {
    if entries.len() == 1 {
        return entries.pop().map(LogRecord::Entry).into_iter().collect();
    }
    let (mut records, mut group, mut bytes) = (Vec::new(), Vec::new(), 0);
    for entry in entries {
        let size = entry.size();
        if bytes + size > record::LONGEST && !group.is_empty() {
            records.push(LogRecord::Entries(std::mem::take(&mut group)));
            bytes = 0;
        }
        bytes += size;
        group.push(entry);
    }
    records.push(LogRecord::Entries(group));
    records
}

/// How many entries' records begin in these bytes, as far as their headers can be read.
pub(super) fn entries_begun(bytes: &[u8]) -> usize {
    record::beginnings(bytes).filter(|payload| codec::variant(payload).is_some_and(is_of_entries)).count()
}

const fn is_of_entries(kind: u32) -> bool {
    matches!(kind, ENTRY | ENTRIES)
}

/// What was read of a log.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// Its notes, each with the boot that it was told in. A log that begins without a boot belongs to nobody's.
    pub(super) notes: Vec<(BootId, LogRecord)>,
    /// There is nothing but records.
    pub(super) is_whole: bool,
}

/// Reads a log, whatever its bytes are.
pub(super) fn read(bytes: &[u8]) -> Read {
    let mut all = LogRecords::new(bytes);
    let notes = all.by_ref().collect();
    Read { notes, is_whole: all.records().is_whole() }
}

/// The notes of a log one by one, each with the boot that it was told in: a long log need not be in memory as notes.
#[derive(Clone, Debug)]
pub(super) struct LogRecords<'a> {
    records: Records<'a>,
    boot: BootId,
    /// Entries of a record with several that are still to come.
    several: std::vec::IntoIter<EntryRecord>,
    strange: usize,
    strange_entries: usize,
}

impl<'a> LogRecords<'a> {
    /// Reads a log from its beginning.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let several = Vec::new().into_iter();
        Self { records: Records::new(bytes), boot: BootId(0), several, strange: 0, strange_entries: 0 }
    }

    /// The records, as far as they were read.
    pub(super) const fn records(&self) -> &Records<'a> {
        &self.records
    }

    /// Records so far that are whole, of a kind that is known, and say what cannot be: a key or a time out of bounds.
    pub(super) const fn strange(&self) -> usize {
        self.strange
    }

    /// Those of them that were to be entries.
    pub(super) const fn strange_entries(&self) -> usize {
        self.strange_entries
    }
}

impl Iterator for LogRecords<'_> {
    type Item = (BootId, LogRecord);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(kept) = self.several.next() {
                return Some((self.boot, LogRecord::Entry(kept)));
            }
            let payload = self.records.next()?;
            match codec::decode(payload) {
                Ok(LogRecord::Boot(now)) => self.boot = now,
                Ok(LogRecord::Entries(entries)) => self.several = entries.into_iter(),
                Ok(note) => return Some((self.boot, note)),
                Err(_) => {
                    let kind = codec::variant(payload);
                    self.strange += usize::from(kind.is_none_or(|kind| KINDS.contains(&kind)));
                    self.strange_entries += usize::from(kind.is_some_and(is_of_entries));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
