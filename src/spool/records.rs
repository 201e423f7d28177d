//! What the spool's logs say, one record each.

use std::time::Duration;

use crate::entry::{ChannelId, ColumnSet, Entry, UntimedEntry};
use crate::spool::Key;
use crate::spool::taken::Taken;
use crate::store::record::{self, Reader, Records, Writer};
use crate::time::{BootId, Mono, Utc};

/// One record of a log.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum LogRecord {
    /// The boot whose clock the following entries are told by.
    Boot(BootId),
    /// An entry waits.
    Entry(EntryRecord),
    /// So do several, which were pushed together: all of them or none. It is read as one record of each.
    Entries(Vec<EntryRecord>),
    /// An entry left: on its receipt, or by the policy.
    Settled(Key),
    /// An entry was given to the uplink: the service may have it.
    Sent(Key),
    /// An entry was set aside as doubtful; it is told once more, since its own record may be gone by now.
    Aside(EntryRecord),
    /// An entry got another second.
    Retimed(Key, Utc),
    /// When a boot began, for a channel's entries that were pushed before anybody knew.
    Began(ChannelId, BootId, Began),
    /// The end of a channel's last draft on the boot clock. The time is the latest that its entries were given, which an older
    /// version told in the place of [`LogRecord::Given`].
    Latest(ChannelId, Option<Utc>, Option<Mono>),
    /// The seconds that a channel has given so far, and whether an earlier boot may have given others.
    Given(ChannelId, Taken, bool),
    /// The columns that the service was seen to store.
    Columns(ChannelId, ColumnSet),
    /// The wall clock of this boot was found right.
    Believed,
    /// Entries of a channel come back as echoes, or do no longer.
    Echoes(ChannelId, bool),
    /// Keys below this one are used.
    Next(Key),
}

/// A waiting entry as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct EntryRecord {
    pub(super) key: Key,
    /// When it was pushed, on the clock of its boot.
    pub(super) since: Mono,
    pub(super) time: Time,
    pub(super) draft: UntimedEntry,
}

/// What is known of an entry's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Time {
    /// Its time.
    Known(Utc),
    /// What the wall clock said when nobody believed it.
    Claimed(Utc),
}

/// When a boot began, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Began {
    /// The wall time at which its clock stood at zero.
    pub(super) at: Utc,
    /// Where the boot ended without a right clock: the times that its entries lie between. The first may be unknown.
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

const BOOT: u8 = 1;
const ENTRY: u8 = 2;
const SETTLED: u8 = 3;
const SENT: u8 = 4;
const ASIDE: u8 = 5;
const RETIMED: u8 = 6;
const BEGAN: u8 = 7;
const LATEST: u8 = 8;
const NEXT: u8 = 9;
const BELIEVED: u8 = 10;
const ECHOES: u8 = 11;
const GIVEN: u8 = 12;
const COLUMNS: u8 = 13;
const ENTRIES: u8 = 14;

/// What the seconds of a channel may take in a record.
const LONGEST_GIVEN: usize = record::LONGEST - 32;
/// The last kind that this version knows: a record of another one is a later version's, and passed over.
const NEWEST: u8 = ENTRIES;

impl LogRecord {
    /// Appends it to a log.
    pub(super) fn append(&self, log: &mut Vec<u8>) {
        let mut to = Writer::new();
        match self {
            Self::Boot(boot) => {
                to.byte(BOOT);
                to.wide(boot.0);
            }
            Self::Entry(kept) => {
                to.byte(ENTRY);
                kept.write(&mut to);
            }
            Self::Entries(kept) => {
                to.byte(ENTRIES);
                to.number(kept.len() as u64);
                for kept in kept {
                    kept.write(&mut to);
                }
            }
            Self::Settled(key) => {
                to.byte(SETTLED);
                to.number(key.0);
            }
            Self::Sent(key) => {
                to.byte(SENT);
                to.number(key.0);
            }
            Self::Aside(kept) => {
                to.byte(ASIDE);
                kept.write(&mut to);
            }
            Self::Retimed(key, at) => {
                to.byte(RETIMED);
                to.number(key.0);
                to.signed(at.seconds());
            }
            Self::Began(channel, boot, began) => {
                to.byte(BEGAN);
                to.number(channel.0);
                to.wide(boot.0);
                to.signed(began.at.nanos());
                let (from, until) = began.estimated.unzip();
                write_time(from.flatten(), &mut to);
                write_time(until, &mut to);
            }
            Self::Latest(channel, at, end) => {
                to.byte(LATEST);
                to.number(channel.0);
                write_time(*at, &mut to);
                to.number(end.map_or(0, nanos));
            }
            Self::Given(channel, taken, has_past) => {
                to.byte(GIVEN);
                to.number(channel.0);
                to.byte(u8::from(*has_past));
                taken.write(LONGEST_GIVEN, &mut to);
            }
            Self::Columns(channel, columns) => {
                to.byte(COLUMNS);
                to.number(channel.0);
                to.number(columns.bits().into());
            }
            Self::Believed => to.byte(BELIEVED),
            Self::Echoes(channel, echoes) => {
                to.byte(ECHOES);
                to.number(channel.0);
                to.byte(u8::from(*echoes));
            }
            Self::Next(key) => {
                to.byte(NEXT);
                to.number(key.0);
            }
        }
        record::append(log, &to.finish());
    }

    /// Reads a record; `None` for one of a later version, or one that is none of ours.
    fn read(payload: &[u8]) -> Option<Self> {
        let mut from = Reader::new(payload);
        Some(match from.byte()? {
            BOOT => Self::Boot(BootId(from.wide()?)),
            ENTRY => Self::Entry(EntryRecord::read(&mut from, UntimedEntry::read)?),
            ENTRIES => {
                let count = from.number()?;
                let each = (0..count).map(|_| EntryRecord::read(&mut from, UntimedEntry::read_whole));
                Self::Entries(each.collect::<Option<_>>()?)
            }
            SETTLED => Self::Settled(read_key(&mut from)?),
            SENT => Self::Sent(read_key(&mut from)?),
            ASIDE => Self::Aside(EntryRecord::read(&mut from, UntimedEntry::read)?),
            RETIMED => Self::Retimed(read_key(&mut from)?, seconds(from.signed()?)?),
            BEGAN => {
                let (channel, boot) = (ChannelId(from.number()?), BootId(from.wide()?));
                let at = Some(Utc::from_nanos(from.signed()?)).filter(|at| seconds(at.seconds()).is_some())?;
                let (first, until) = (read_time(&mut from)?, read_time(&mut from)?);
                Self::Began(channel, boot, Began { at, estimated: until.map(|until| (first, until)) })
            }
            LATEST => {
                let (channel, at) = (ChannelId(from.number()?), read_time(&mut from)?);
                Self::Latest(channel, at, Some(from.number()?).filter(|nanos| *nanos > 0).map(mono))
            }
            GIVEN => {
                let (channel, has_past) = (ChannelId(from.number()?), from.byte()? == 1);
                Self::Given(channel, Taken::read(&mut from)?, has_past)
            }
            COLUMNS => {
                let (channel, bits) = (ChannelId(from.number()?), u16::try_from(from.number()?).ok()?);
                Self::Columns(channel, ColumnSet::from_bits(bits))
            }
            BELIEVED => Self::Believed,
            ECHOES => Self::Echoes(ChannelId(from.number()?), from.byte()? == 1),
            NEXT => Self::Next(read_key(&mut from)?),
            _ => return None,
        })
    }
}

impl EntryRecord {
    /// What its record takes, in bytes.
    pub(super) fn size(&self) -> usize {
        let mut to = Writer::new();
        to.byte(ENTRY);
        self.write(&mut to);
        record::size(to.finish().len())
    }

    fn write(&self, to: &mut Writer) {
        to.number(self.key.0);
        to.number(nanos(self.since));
        let (known, at) = match self.time {
            Time::Known(at) => (1, at),
            Time::Claimed(at) => (0, at),
        };
        to.byte(known);
        to.signed(at.seconds());
        self.draft.write(to);
    }

    fn read<'a>(from: &mut Reader<'a>, draft: impl FnOnce(&mut Reader<'a>) -> Option<UntimedEntry>) -> Option<Self> {
        let (key, since) = (read_key(from)?, mono(from.number()?));
        let known = from.byte()? == 1;
        let at = seconds(from.signed()?)?;
        let time = if known { Time::Known(at) } else { Time::Claimed(at) };
        Some(Self { key, since, time, draft: draft(from)? })
    }
}

/// No key is as high: a million entries a second reach it in three hundred years, and the highest key that is not counted
/// but taken from the clock ([`crate::spool::Spool::open`]) lies below until the year 2200.
pub(super) const KEYS: u64 = 1 << 53;

/// A key that can have been given. Any other is rubbish with a good checksum: were it believed, the keys above it would be
/// used up.
fn read_key(from: &mut Reader<'_>) -> Option<Key> {
    from.number().filter(|key| (1..KEYS).contains(key)).map(Key)
}

/// A time that a clock can show, wrong ones included: from 1900 to 2200.
fn seconds(seconds: i64) -> Option<Utc> {
    (-2_208_988_800..7_258_118_400).contains(&seconds).then(|| Utc::from_seconds(seconds))
}

fn nanos(at: Mono) -> u64 {
    u64::try_from(at.since_boot().as_nanos()).unwrap_or(u64::MAX)
}

fn mono(nanos: u64) -> Mono {
    Mono::new(Duration::from_nanos(nanos))
}

fn write_time(at: Option<Utc>, to: &mut Writer) {
    to.byte(u8::from(at.is_some()));
    to.signed(at.map_or(0, Utc::seconds));
}

#[expect(clippy::option_option, reason = "the outer one is for bytes that are wrong")]
fn read_time(from: &mut Reader<'_>) -> Option<Option<Utc>> {
    let there = from.byte()? == 1;
    let at = seconds(from.signed()?)?;
    Some(there.then_some(at))
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
    record::beginnings(bytes).filter(|kind| is_of_entries(*kind)).count()
}

const fn is_of_entries(kind: u8) -> bool {
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
            match LogRecord::read(payload) {
                Some(LogRecord::Boot(now)) => self.boot = now,
                Some(LogRecord::Entries(kept)) => self.several = kept.into_iter(),
                Some(note) => return Some((self.boot, note)),
                None if payload.first().is_some_and(|kind| (BOOT..=NEWEST).contains(kind)) => {
                    self.strange += 1;
                    self.strange_entries += usize::from(is_of_entries(payload[0]));
                }
                None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Cell, Cells, Form, Reduce};

    fn entries(count: u64, status: &str) -> Vec<EntryRecord> {
        let entry = |key| {
            let mut cells = Cells::default();
            cells[0] = Some(Cell::new(350.0, 4, Reduce::Direction));
            let (channel, end, status) = (ChannelId(7), Mono::default(), Some(status.to_owned()));
            let draft = UntimedEntry { channel, end, cells, status, form: Form::Feed };
            EntryRecord { key: Key(key), since: Mono::default(), time: Time::Known(Utc::RELEASED), draft }
        };
        (1..=count).map(entry).collect()
    }

    #[test]
    fn entries_that_are_pushed_together_are_one_record_and_read_one_by_one() {
        let entries = entries(9, &"x".repeat(255));
        let together = together(entries.clone());
        assert_eq!(together.len(), 1, "those of a slot fit");
        let mut log = Vec::new();
        LogRecord::Boot(BootId(5)).append(&mut log);
        together[0].append(&mut log);
        let read = read(&log);
        assert!(read.is_whole);
        assert_eq!(read.notes, entries.into_iter().map(|one| (BootId(5), LogRecord::Entry(one))).collect::<Vec<_>>());
    }

    #[test]
    fn more_of_them_than_a_record_holds_are_several_records() {
        let entries = entries(400, "status");
        let together = together(entries.clone());
        assert!((2..10).contains(&together.len()), "{}", together.len());
        let mut log = Vec::new();
        for record in &together {
            record.append(&mut log);
        }
        assert_eq!(read(&log).notes.len(), 400);
    }
}
