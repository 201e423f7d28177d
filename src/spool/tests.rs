//! What every spool promises.

mod pumped;

use super::*;
use crate::entry::{Cell, Cells, Column, Form, Reduce};
use crate::time::Utc;

const CHANNEL: ChannelId = ChannelId(7);

fn entry(second: u64, value: f64) -> UntimedEntry {
    counted(second, value, 1, Reduce::Mean)
}

fn counted(second: u64, value: f64, count: u32, reduce: Reduce) -> UntimedEntry {
    let mut cells = Cells::default();
    cells[0] = Some(Cell::new(value, count, reduce));
    UntimedEntry {
        channel: CHANNEL,
        end: Mono::new(Duration::from_secs(second)),
        cells,
        status: None,
        form: Form::Feed,
    }
}

/// How a spool for one channel is made.
type Make = fn(Backlog) -> Box<dyn Spool>;

/// A spool whose clock is right.
fn spool(make: Make, backlog: Backlog) -> Box<dyn Spool> {
    let mut spool = make(backlog);
    spool.synchronised(now(0));
    spool
}

/// Both clocks at this second, where the boot was in 1970.
fn now(second: u64) -> Now {
    let since = Duration::from_secs(second);
    Now { mono: Mono::new(since), utc: Utc::from_since_1970(since) }
}

/// Pushes a draft at the end of its slot.
fn push(spool: &mut dyn Spool, draft: UntimedEntry) -> usize {
    let now = Now { mono: draft.end, utc: Utc::from_since_1970(draft.end.since_boot()) };
    spool.push(now, draft).dropped
}

fn first(spool: &dyn Spool) -> Waiting {
    spool.oldest(CHANNEL).expect("one waits")
}

/// The times of the entries that are not taken. Takes them.
fn seconds(spool: &mut dyn Spool) -> Vec<i64> {
    let mut seconds = Vec::new();
    while let Some(waiting) = spool.oldest(CHANNEL) {
        seconds.push(waiting.entry.created_at.seconds());
        spool.take(waiting.key);
    }
    seconds
}

fn in_memory_spool(backlog: Backlog) -> Box<dyn Spool> {
    Box::new(MemorySpool::new([(CHANNEL, backlog)]))
}

/// Every spool keeps the whole contract.
macro_rules! contract {
    ($($test:ident),* $(,)?) => {
        mod in_memory {
            $(#[test] fn $test() { super::$test(super::in_memory_spool); })*
        }
        mod on_disk {
            $(#[test] fn $test() { super::$test(super::pumped::Pumped::grouped); })*
        }
        mod on_disk_always {
            $(#[test] fn $test() { super::$test(super::pumped::Pumped::always); })*
        }
    };
}

contract!(
    entries_come_out_in_the_order_they_went_in_and_stay_until_their_receipt,
    the_oldest_entries_are_dropped_and_counted_when_the_size_is_reached,
    entries_that_waited_longer_than_keep_are_dropped_and_counted_whatever_the_wall_clock_says,
    an_entry_that_was_taken_is_dropped_neither_for_size_nor_for_age,
    what_is_set_aside_is_doubtful_until_a_late_receipt,
    entries_wait_without_a_time_until_the_clock_is_right_and_then_have_that_of_their_slot,
    an_entry_carries_its_slots_own_end_by_the_clock_of_its_making_and_no_second_is_given_twice,
    live_entries_are_those_pushed_lately,
    an_entry_whose_second_is_taken_gets_the_next_free_one,
    what_a_session_took_that_is_gone_is_offered_again_with_its_time,
    a_new_map_brings_limits_and_leaves_what_waits,
);

fn entries_come_out_in_the_order_they_went_in_and_stay_until_their_receipt(make: Make) {
    let mut spool = spool(make, Backlog::default());
    for second in [10, 20, 30] {
        assert_eq!(push(&mut *spool, entry(second, 1.0)), 0);
    }
    let oldest = first(&*spool).key;
    assert_eq!(seconds(&mut *spool), [10, 20, 30]);
    spool.confirm(oldest);
    spool.confirm(oldest);
    assert_eq!(spool.waiting(CHANNEL), 2);
    assert_eq!(spool.counts(), Counts { pushed: 3, confirmed: 1, ..Counts::default() });
    assert_eq!(spool.waiting(ChannelId(8)), 0);
}

fn the_oldest_entries_are_dropped_and_counted_when_the_size_is_reached(make: Make) {
    let mut spool = spool(make, Backlog { max_size: 2000, ..Backlog::default() });
    let dropped: usize = (0..100).map(|second| push(&mut *spool, entry(second, 1.0))).sum();
    let left = seconds(&mut *spool);
    assert_eq!(left.len() + dropped, 100);
    assert!(!left.is_empty() && dropped > 0);
    assert_eq!(left.last(), Some(&99), "the newest stays");
    assert_eq!(spool.counts().dropped_for_size, dropped as u64);
}

fn entries_that_waited_longer_than_keep_are_dropped_and_counted_whatever_the_wall_clock_says(make: Make) {
    let mut spool = spool(make, Backlog { keep: Duration::from_secs(60), ..Backlog::default() });
    for second in [0, 50, 100] {
        push(&mut *spool, entry(second, 1.0));
    }
    spool.push(Now { utc: Utc::from_seconds(864_000), ..now(105) }, entry(105, 1.0));
    assert_eq!(spool.expire(now(111), CHANNEL), 2);
    assert_eq!(seconds(&mut *spool), [100, 864_000]);
    assert_eq!(spool.counts().dropped_for_age, 2);
}

fn an_entry_that_was_taken_is_dropped_neither_for_size_nor_for_age(make: Make) {
    let one = size_of::<(Key, memory::Held)>() as u64;
    let keep = Duration::from_secs(60);
    let mut spool = spool(make, Backlog { max_size: one * 2, keep, ..Backlog::default() });
    push(&mut *spool, entry(10, 1.0));
    let sent = first(&*spool).key;
    spool.take(sent);
    for second in (20..600).step_by(10) {
        push(&mut *spool, entry(second, 1.0));
    }
    assert!(spool.counts().dropped_for_size > 0);
    spool.expire(now(5000), CHANNEL);
    assert_eq!(spool.waiting(CHANNEL), 1);
    spool.confirm(sent);
    assert_eq!((spool.waiting(CHANNEL), spool.counts().confirmed), (0, 1));
}

fn what_is_set_aside_is_doubtful_until_a_late_receipt(make: Make) {
    let mut spool = spool(make, Backlog::default());
    push(&mut *spool, entry(1, 1.0));
    let key = first(&*spool).key;
    spool.set_aside(key);
    assert_eq!((spool.waiting(CHANNEL), spool.counts().doubtful), (0, 1));
    spool.confirm(key);
    assert_eq!((spool.counts().doubtful, spool.counts().confirmed), (0, 1));
}

fn entries_wait_without_a_time_until_the_clock_is_right_and_then_have_that_of_their_slot(make: Make) {
    let mut spool = make(Backlog::default());
    for second in [20, 40] {
        assert_eq!(spool.push(now(second), entry(second, 1.0)).created_at, None);
    }
    assert_eq!((spool.oldest(CHANNEL), spool.waiting(CHANNEL)), (None, 2));
    spool.synchronised(Now { utc: Utc::from_seconds(10_060), ..now(60) });
    assert_eq!(seconds(&mut *spool), [10_020, 10_040]);
}

fn an_entry_carries_its_slots_own_end_by_the_clock_of_its_making_and_no_second_is_given_twice(make: Make) {
    let mut spool = spool(make, Backlog::default());
    let by_clock = |ahead: i64, second: u64| Now {
        utc: Utc::from_seconds(i64::try_from(second).expect("small") + ahead),
        ..now(second)
    };
    for (ahead, second) in [(0, 4000), (7200, 4020), (7200, 4040), (0, 4060), (-60, 4080), (-60, 4100), (-60, 4120)] {
        spool.push(by_clock(ahead, second), entry(second, 1.0));
    }
    let expected = [4000, 11_220, 11_240, 4060, 4020, 4040, 4061];
    assert_eq!(seconds(&mut *spool), expected, "in the order of their making, the last one off a second that is taken");
}

fn live_entries_are_those_pushed_lately(make: Make) {
    let mut spool = spool(make, Backlog::default());
    for second in [20, 40, 60] {
        push(&mut *spool, entry(second, 1.0));
    }
    let live = spool.live(CHANNEL, now(40).mono).expect("two are");
    assert_eq!(live.entry.created_at.seconds(), 40);
    spool.take(live.key);
    assert_eq!(spool.live(CHANNEL, now(40).mono).expect("one is").entry.created_at.seconds(), 60);
    assert_eq!(first(&*spool).entry.created_at.seconds(), 20);
}

fn an_entry_whose_second_is_taken_gets_the_next_free_one(make: Make) {
    let mut spool = spool(make, Backlog::default());
    for second in [20, 22, 40] {
        push(&mut *spool, entry(second, 1.0));
    }
    let key = first(&*spool).key;
    spool.take(key);
    let theirs = |at: Utc| at.seconds() == 21;
    assert_eq!(spool.retime(key, &theirs), Some(Utc::from_seconds(23)), "21 is theirs and 22 is ours");
}
#[test]
fn a_full_backlog_is_thinned_before_anything_is_dropped_and_a_mean_stays_a_mean() {
    let one = size_of::<(Key, memory::Held)>() as u64;
    let mut spool = spool(
        in_memory_spool,
        Backlog { max_size: one * 5, thin: Some(Duration::from_secs(60)), ..Backlog::default() },
    );
    let values = [(15, 1.0, 1), (30, 4.0, 3), (45, 2.0, 2), (60, 10.0, 4), (75, 8.0, 1), (90, 6.0, 1)];
    for (second, value, count) in values {
        assert_eq!(push(&mut *spool, counted(second, value, count, Reduce::Mean)), 0);
    }
    let cell = first(&*spool).entry.cells[Column::Field(1).index()].expect("field1");
    assert_eq!(seconds(&mut *spool), [60, 90], "a stretch's merged entry has the time of its last");
    assert_eq!(cell.readings(), 10);
    assert!((cell.value - 5.7).abs() < 1e-12, "(1·1 + 4·3 + 2·2 + 10·4) / 10, got {}", cell.value);
}

#[test]
fn wind_across_north_stays_north_when_it_is_thinned() {
    let one = size_of::<(Key, memory::Held)>() as u64;
    let backlog = Backlog { max_size: one * 5, thin: Some(Duration::from_secs(60)), ..Backlog::default() };
    let mut spool = spool(in_memory_spool, backlog);
    let values = [(15, 350.0, 1), (30, 10.0, 1), (45, 20.0, 2), (60, 340.0, 2), (75, 8.0, 1), (90, 6.0, 1)];
    for (second, value, count) in values {
        push(&mut *spool, counted(second, value, count, Reduce::Direction));
    }
    let cell = first(&*spool).entry.cells[0].expect("field1");
    assert_eq!((cell.text().as_deref(), cell.reduce), (Some("0"), Reduce::Direction));
    // 2 cos 10° + 4 cos 20°, of six.
    assert!((cell.weight - 5.728_39).abs() < 1e-4, "{cell:?}");
}

#[test]
fn readings_that_disagree_weigh_less_when_a_direction_is_thinned() {
    let one = size_of::<(Key, memory::Held)>() as u64;
    let backlog = Backlog { max_size: one * 5, thin: Some(Duration::from_secs(60)), ..Backlog::default() };
    let mut spool = spool(in_memory_spool, backlog);
    // A calm of 100 readings from everywhere, and three of a wind.
    for (second, value, weight) in
        [(15, 200.0, 0.01), (30, 350.0, 1.0), (45, 10.0, 1.0), (60, 20.0, 1.0), (75, 0.0, 1.0), (90, 0.0, 1.0)]
    {
        let mut draft = counted(second, value, 1, Reduce::Direction);
        draft.cells[0].as_mut().expect("field1").weight = weight;
        push(&mut *spool, draft);
    }
    let value = first(&*spool).entry.cells[0].expect("field1").value;
    assert!((value - 6.7).abs() < 0.1, "{value}");
}

#[test]
fn merged_means_and_sums_have_no_binary_noise() {
    for (reduce, values, text) in [
        (Reduce::Mean, [67.01, 67.01, 67.01], "67.01"),
        (Reduce::Mean, [0.1, 0.2, 0.6], "0.3"),
        (Reduce::Sum, [0.1, 0.2, 0.2794], "0.5794"),
    ] {
        let one = size_of::<(Key, memory::Held)>() as u64;
        let backlog = Backlog { max_size: one * 3, thin: Some(Duration::from_secs(60)), ..Backlog::default() };
        let mut spool = spool(in_memory_spool, backlog);
        for (second, value) in [20, 40, 60, 80].into_iter().zip(values.into_iter().chain([1.0])) {
            push(&mut *spool, counted(second, value, 1, reduce));
        }
        assert_eq!(first(&*spool).entry.cells[0].and_then(|cell| cell.text()).as_deref(), Some(text));
    }
}

#[test]
fn an_entry_that_was_taken_is_not_merged() {
    let one = size_of::<(Key, memory::Held)>() as u64;
    let mut spool = spool(
        in_memory_spool,
        Backlog { max_size: one * 3, thin: Some(Duration::from_secs(60)), ..Backlog::default() },
    );
    push(&mut *spool, entry(10, 1.0));
    let sent = first(&*spool);
    spool.take(sent.key);
    for second in [20, 30, 40] {
        push(&mut *spool, counted(second, 1.0, 1, Reduce::Sum));
    }
    assert_eq!(first(&*spool).entry.cells[0].expect("field1").value.to_bits(), 3f64.to_bits());
    assert_eq!((seconds(&mut *spool), spool.waiting(CHANNEL)), (vec![40], 2));
}

fn what_a_session_took_that_is_gone_is_offered_again_with_its_time(make: Make) {
    let mut spool = spool(make, Backlog { max_size: 1, ..Backlog::default() });
    push(&mut *spool, UntimedEntry { form: Form::Field, ..entry(20, 1.0) });
    let taken = first(&*spool);
    spool.take(taken.key);
    assert_eq!(spool.oldest(CHANNEL), None);
    spool.give_back(CHANNEL);
    assert!(spool.may_have_just_sent(), "nobody knows when the last update arrived");
    assert_eq!(spool.oldest(CHANNEL), None, "it was sent");
    let again = spool.oldest_sent(CHANNEL).expect("it is offered again");
    assert!(again.sent);
    assert_eq!((again.key, again.entry.created_at), (taken.key, taken.entry.created_at));
    assert_eq!(again.entry.form, Form::Feed, "a bare value that may have arrived needs its time now");
    spool.confirm(again.key);
    assert_eq!(spool.waiting(CHANNEL), 0);
}

fn a_new_map_brings_limits_and_leaves_what_waits(make: Make) {
    let mut spool = spool(make, Backlog::default());
    push(&mut *spool, entry(20, 1.0));
    spool.adopt(&[(ChannelId(99), Backlog::default())], Policy::default());
    assert_eq!(spool.waiting(CHANNEL), 1, "its channel is not in the map any more, and it waits on");
    let keep = Duration::from_secs(60);
    spool.adopt(&[(CHANNEL, Backlog { keep, ..Backlog::default() })], Policy::default());
    assert_eq!(spool.expire(now(200), CHANNEL), 1, "the new limit holds for what waits already");
}
