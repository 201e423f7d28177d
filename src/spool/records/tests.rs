//! What the logs' bytes are, and what is made of those of other versions.

use minicbor::bytes::ByteVec;

use super::*;
use crate::entry::{Cell, Cells, Decimals, Form, Reduce};

const CHANNEL: ChannelId = ChannelId(1_234_567);
/// A key taken from the clock, which is as long as they get.
const LONG: Key = Key(1_795_334_400 << 20);

fn entry(key: Key, uptime: u64, fields: usize, status: Option<&str>) -> EntryRecord {
    let mut cells = Cells::default();
    for cell in &mut cells[..fields] {
        *cell = Some(Cell { decimals: Some(Decimals::Exactly(2)), ..Cell::new(21.5, 20, Reduce::Mean) });
    }
    let end = Mono::new(Duration::from_millis(uptime * 1000 + 123));
    let draft = UntimedEntry { channel: CHANNEL, end, cells, status: status.map(str::to_owned), form: Form::Feed };
    EntryRecord { key, since: end, time: Time::Known(Utc::from_seconds(1_795_334_400)), draft }
}

fn record(payload: &[u8]) -> Vec<u8> {
    let mut log = Vec::new();
    record::append(&mut log, payload);
    log
}

fn appended(note: &LogRecord) -> Vec<u8> {
    let mut log = Vec::new();
    note.append(&mut log);
    log
}

/// The only note of a log, and how many records are strange.
fn only(log: &[u8]) -> (Option<LogRecord>, usize, usize) {
    let mut records = LogRecords::new(log);
    let note = records.next().map(|(_, note)| note);
    assert!(records.next().is_none());
    (note, records.strange(), records.strange_entries())
}

fn all() -> Vec<LogRecord> {
    let mut seconds = Taken::default();
    for second in [20, 40, 60, 100] {
        seconds.give(Utc::from_seconds(second));
    }
    seconds.give_span(Utc::from_seconds(200), Utc::from_seconds(260));
    let (at, boot) = (Utc::from_millis(1_795_334_400_123), BootId(7));
    let claimed = EntryRecord { time: Time::Claimed(Utc::from_seconds(-5)), ..entry(Key(8), 60, 1, Some("hot")) };
    vec![
        LogRecord::Entry(entry(Key(7), 60, 8, None)),
        LogRecord::Settled(Key(7)),
        LogRecord::Sent(LONG),
        LogRecord::Aside(claimed),
        LogRecord::Retimed(Key(7), Utc::from_seconds(1_795_334_400)),
        LogRecord::Began(CHANNEL, boot, Began { at, estimated: None }),
        LogRecord::Began(CHANNEL, boot, Began { at, estimated: Some((None, at)) }),
        LogRecord::Began(CHANNEL, boot, Began { at, estimated: Some((Some(at), at)) }),
        LogRecord::Latest(CHANNEL, None, Some(Mono::new(Duration::from_secs(60)))),
        LogRecord::Latest(CHANNEL, Some(Utc::from_seconds(5)), None),
        LogRecord::Given(CHANNEL, seconds, true),
        LogRecord::Columns(CHANNEL, ColumnSet::from_bits(0x103)),
        LogRecord::Believed,
        LogRecord::Echoes(CHANNEL, true),
        LogRecord::Next(Key(9)),
    ]
}

#[test]
fn every_kind_comes_back_as_it_was_and_the_boot_goes_with_what_follows() {
    let mut log = Vec::new();
    LogRecord::Boot(BootId(u128::MAX)).append(&mut log);
    for note in all() {
        note.append(&mut log);
    }
    let read = read(&log);
    assert!(read.is_whole && read.notes.iter().all(|(boot, _)| *boot == BootId(u128::MAX)));
    assert_eq!(read.notes.into_iter().map(|(_, note)| note).collect::<Vec<_>>(), all());
}

#[test]
fn further_fields_are_passed_over_wherever_a_later_version_adds_them() {
    // The entry, the record and its kind have one each.
    let kept = entry(Key(7), 60, 1, None);
    let cells = ByteVec::from(vec![0x00, 2, 20, 0, 0, 0, 0, 0, 0x80, 0x35, 0x40]);
    let none = None::<u8>;
    let draft = (CHANNEL, kept.draft.end, cells, none, none, "later");
    let later = (2, (kept.key, kept.since, kept.time, draft, vec![1, 2, 3]), "later");
    assert_eq!(only(&record(&codec::encode(&later))), (Some(LogRecord::Entry(kept)), 0, 0));
    let later = (3, Key(7), Some("later"));
    assert_eq!(only(&record(&codec::encode(&later))), (Some(LogRecord::Settled(Key(7))), 0, 0));
}

#[test]
fn fields_that_an_earlier_version_did_not_have_get_their_default() {
    let kept = entry(Key(7), 60, 0, None);
    // Without a status text and a form, as before there were any.
    let earlier = (2, (kept.key, kept.since, kept.time, (CHANNEL, kept.draft.end, ByteVec::from(Vec::new()))));
    assert_eq!(only(&record(&codec::encode(&earlier))), (Some(LogRecord::Entry(kept)), 0, 0));
    let earlier = (8, CHANNEL);
    assert_eq!(only(&record(&codec::encode(&earlier))).0, Some(LogRecord::Latest(CHANNEL, None, None)));
}

#[test]
fn kind_of_a_later_version_is_passed_over_and_a_known_one_that_cannot_be_is_strange() {
    for later in [codec::encode(&(KINDS.end() + 1, "what", [1, 2])), codec::encode(&[0]), codec::encode(&[u32::MAX])] {
        assert_eq!(only(&record(&later)), (None, 0, 0));
    }
    let kept = entry(Key(7), 60, 1, None);
    let at = |seconds: i64| codec::encode(&(6, Key(7), seconds));
    for (payload, entries, why) in [
        (codec::encode(&LogRecord::Settled(Key(0))), 0, "no key"),
        (codec::encode(&LogRecord::Settled(Key(KEYS))), 0, "a key beyond all keys"),
        (codec::encode(&LogRecord::Entry(EntryRecord { key: Key(KEYS), ..kept.clone() })), 1, "an entry's"),
        (codec::encode(&(2, (kept.key, kept.since))), 1, "an entry without its numbers"),
        (codec::encode(&[3]), 0, "a field is missing"),
        (at(7_258_118_400), 0, "after 2200"),
        (at(-2_208_988_801), 0, "before 1900"),
        ([codec::encode(&LogRecord::Believed), vec![0]].concat(), 0, "bytes behind it"),
        (Vec::new(), 0, "nothing"),
        (b"\x02\x80".to_vec(), 0, "no record of ours"),
    ] {
        assert_eq!(only(&record(&payload)), (None, 1, entries), "{why}");
    }
}

#[test]
fn bytes_of_an_entry_are_these_until_somebody_means_to_change_them() {
    let log = appended(&LogRecord::Entry(entry(Key(7), 60, 1, Some("hot"))));
    let bytes = [
        &b"gp"[..],
        &[51, 0],
        &[0x78, 0x3a, 0x9c, 0x8d],                             // CRC-32
        &[0x82, 2],                                            // an entry
        &[0x84, 7],                                            // its key
        &[0x1b, 0, 0, 0, 0x0d, 0xff, 0x9c, 0x2c, 0xc0],        // pushed at 60.123 s
        &[0x82, 1, 0x1a, 0x6b, 0x02, 0xa1, 0x00],              // 2026-11-22T08:00:00Z
        &[0x84, 0x1a, 0x00, 0x12, 0xd6, 0x87],                 // channel 1234567
        &[0x1b, 0, 0, 0, 0x0d, 0xff, 0x9c, 0x2c, 0xc0],        // end at 60.123 s
        &[0x4b, 0x00, 2, 20, 0, 0, 0, 0, 0, 0x80, 0x35, 0x40], // field1, 2 digits, of 20: 21.5
        &[0x63, b'h', b'o', b't'],
    ];
    assert_eq!(log, bytes.concat());
}

#[test]
fn size_of_an_entry_is_what_its_record_takes() {
    let text = "tank: no answer at 28-3c01d607a1b2";
    for (key, uptime, fields, status, bytes) in [
        (Key(1), 60, 1, None, 55),
        (Key(1), 60, 8, None, 133),
        (Key(1), 60, 8, Some(text), 169),
        (LONG, 86_400, 1, None, 63),
        (LONG, 86_400, 8, None, 141),
        (LONG, 86_400, 8, Some(text), 177),
    ] {
        let kept = entry(key, uptime, fields, status);
        let size = kept.size();
        assert_eq!(appended(&LogRecord::Entry(kept)).len(), size);
        assert_eq!(size, bytes, "{fields} fields after {uptime} s");
    }
    assert_eq!(appended(&LogRecord::Boot(BootId(u128::MAX))).len() as u64, crate::spool::GROUP_SIZE);
}

#[test]
fn entries_are_counted_by_what_is_left_of_their_headers() {
    let mut log = Vec::new();
    for note in all() {
        note.append(&mut log);
    }
    assert_eq!(entries_begun(&log), 1);
    LogRecord::Entry(entry(Key(9), 60, 1, None)).append(&mut log);
    assert_eq!(entries_begun(&log[..log.len() - 40]), 2);
}

fn entries_of(count: u64, status: &str) -> Vec<EntryRecord> {
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
    let entries = entries_of(9, &"x".repeat(255));
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
    let entries = entries_of(400, "status");
    let together = together(entries.clone());
    assert!((2..10).contains(&together.len()), "{}", together.len());
    let mut log = Vec::new();
    for record in &together {
        record.append(&mut log);
    }
    assert_eq!(read(&log).notes.len(), 400);
}
