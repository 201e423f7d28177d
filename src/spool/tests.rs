//! One contract for every spool; today there is one.

use super::*;
use crate::entry::{Cell, Cells, Column, Form, Reduce};
use crate::time::Utc;

const CHANNEL: ChannelId = ChannelId(7);

fn entry(second: i64, value: f64) -> Entry {
    counted(second, value, 1, Reduce::Mean)
}

fn counted(second: i64, value: f64, count: u32, reduce: Reduce) -> Entry {
    let mut cells = Cells::default();
    cells[0] = Some(Cell { value, count, reduce, decimals: None });
    Entry { channel: CHANNEL, created_at: Utc::from_seconds(second), cells, status: None, form: Form::Feed }
}

fn spool(backlog: Backlog) -> MemorySpool {
    MemorySpool::new([(CHANNEL, backlog)])
}

/// Pushes an entry at its own time.
fn push(spool: &mut MemorySpool, entry: Entry) -> usize {
    let at = Mono::new(Duration::from_secs(entry.created_at.seconds().unsigned_abs()));
    spool.push(at, entry)
}

fn first(spool: &MemorySpool) -> Waiting {
    spool.next(CHANNEL, None).expect("one waits")
}

fn seconds(spool: &MemorySpool) -> Vec<i64> {
    let mut after = None;
    let mut seconds = Vec::new();
    while let Some(waiting) = spool.next(CHANNEL, after) {
        seconds.push(waiting.entry.created_at.seconds());
        after = Some(waiting.key);
    }
    seconds
}

#[test]
fn entries_come_out_in_the_order_they_went_in_and_stay_until_their_receipt() {
    let mut spool = spool(Backlog::default());
    for second in [10, 20, 30] {
        assert_eq!(push(&mut spool, entry(second, 1.0)), 0);
    }
    assert_eq!(seconds(&spool), [10, 20, 30]);
    let oldest = first(&spool).key;
    spool.confirm(oldest);
    spool.confirm(oldest);
    assert_eq!(seconds(&spool), [20, 30]);
    assert_eq!(spool.counts(), Counts { pushed: 3, confirmed: 1, ..Counts::default() });
    assert_eq!(spool.waiting(ChannelId(8)), 0);
}

#[test]
fn the_oldest_entries_are_dropped_and_counted_when_the_size_is_reached() {
    let mut spool = spool(Backlog { max_size: 2000, ..Backlog::default() });
    let dropped: usize = (0..100).map(|second| push(&mut spool, entry(second, 1.0))).sum();
    let left = seconds(&spool);
    assert_eq!(left.len() + dropped, 100);
    assert!(!left.is_empty() && dropped > 0);
    assert_eq!(left.last(), Some(&99), "the newest stays");
    assert_eq!(spool.counts().dropped_for_size, dropped as u64);
}

#[test]
fn entries_that_waited_longer_than_keep_are_dropped_and_counted_whatever_the_wall_clock_says() {
    let mut spool = spool(Backlog { keep: Duration::from_secs(60), ..Backlog::default() });
    for second in [0, 50, 100] {
        push(&mut spool, entry(second, 1.0));
    }
    let jumped = counted(864_000, 1.0, 1, Reduce::Mean);
    spool.push(Mono::new(Duration::from_secs(105)), jumped);
    assert_eq!(spool.expire(Mono::new(Duration::from_secs(111)), CHANNEL), 2);
    assert_eq!(seconds(&spool), [100, 864_000]);
    assert_eq!(spool.counts().dropped_for_age, 2);
}

#[test]
fn a_full_backlog_is_thinned_before_anything_is_dropped_and_a_mean_stays_a_mean() {
    let one = size_of::<(Key, memory::Held)>() as u64;
    let mut spool = spool(Backlog { max_size: one * 5, thin: Some(Duration::from_secs(60)), ..Backlog::default() });
    let values = [(15, 1.0, 1), (30, 4.0, 3), (45, 2.0, 2), (60, 10.0, 4), (75, 8.0, 1), (90, 6.0, 1)];
    for (second, value, count) in values {
        assert_eq!(push(&mut spool, counted(second, value, count, Reduce::Mean)), 0);
    }
    assert_eq!(seconds(&spool), [60, 90], "a stretch's merged entry has the time of its last");
    let cell = first(&spool).entry.cells[Column::Field(1).index()].expect("field1");
    assert_eq!(cell.count, 10);
    assert!((cell.value - 5.7).abs() < 1e-12, "(1·1 + 4·3 + 2·2 + 10·4) / 10, got {}", cell.value);
}

#[test]
fn an_entry_that_was_sent_is_not_merged() {
    let one = size_of::<(Key, memory::Held)>() as u64;
    let mut spool = spool(Backlog { max_size: one * 3, thin: Some(Duration::from_secs(60)), ..Backlog::default() });
    push(&mut spool, entry(10, 1.0));
    let sent = first(&spool).key;
    spool.pin(sent);
    for second in [20, 30, 40] {
        push(&mut spool, counted(second, 1.0, 1, Reduce::Sum));
    }
    assert_eq!(first(&spool).entry, entry(10, 1.0));
    assert_eq!(seconds(&spool), [10, 40]);
    assert_eq!(
        spool.next(CHANNEL, Some(sent)).expect("waits").entry.cells[0].expect("field1").value.to_bits(),
        3f64.to_bits()
    );
}

#[test]
fn an_entry_that_is_on_its_way_is_dropped_neither_for_size_nor_for_age() {
    let one = size_of::<(Key, memory::Held)>() as u64;
    let keep = Duration::from_secs(60);
    let mut spool = spool(Backlog { max_size: one * 2, keep, ..Backlog::default() });
    push(&mut spool, entry(10, 1.0));
    let sent = first(&spool).key;
    spool.pin(sent);
    for second in [20, 30, 40] {
        push(&mut spool, entry(second, 1.0));
    }
    assert_eq!(seconds(&spool), [10, 40]);
    spool.expire(Mono::new(Duration::from_secs(500)), CHANNEL);
    assert_eq!(seconds(&spool), [10]);
}

#[test]
fn what_is_given_up_is_counted_as_doubtful() {
    let mut spool = spool(Backlog::default());
    push(&mut spool, entry(1, 1.0));
    let key = first(&spool).key;
    spool.give_up(key);
    assert_eq!((spool.waiting(CHANNEL), spool.counts().doubtful), (0, 1));
}
