//! What every spool promises.

mod pumped;

use pumped::Pumped;

use crate::entry::{Cell, Cells, ChannelId, Entry, Form, Key, Reduce, UntimedEntry};
use crate::spool::queued::Queued;
use crate::spool::{Backlog, Counts, Durability, Found, Policy, Pushed, Rejection, Spool, Turn};
use crate::time::{Mono, Now, Utc};
use std::time::Duration;

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
type Make = fn(Backlog) -> Pumped;

/// A spool whose clock is right.
fn spool(make: Make, backlog: Backlog) -> Pumped {
    let mut spool = make(backlog);
    spool.act(|spool| spool.synchronised(now(0)));
    spool
}

/// Both clocks at this second, where the boot was in 1970.
fn now(second: u64) -> Now {
    let since = Duration::from_secs(second);
    Now { mono: Mono::new(since), utc: Utc::from_since_1970(since) }
}

/// Pushes an entry at the end of its slot. Returns how many were dropped for it.
fn push(spool: &mut Pumped, entry: UntimedEntry) -> usize {
    let now = Now { mono: entry.end, utc: Utc::from_since_1970(entry.end.since_boot()) };
    spool.push(now, vec![entry]).dropped
}

fn first(spool: &Pumped) -> Entry {
    spool.peek(CHANNEL, Turn::Backlog).expect("one waits")
}

fn take(spool: &mut Pumped, turn: Turn) -> Option<Entry> {
    spool.act(|spool| spool.take(CHANNEL, turn, 1)).pop()
}

/// The times of the entries that are not taken. Takes them.
fn seconds(spool: &mut Pumped) -> Vec<i64> {
    let taken = std::iter::from_fn(|| take(spool, Turn::Backlog));
    taken.map(|entry| entry.created_at.seconds()).collect()
}

/// Every spool keeps the whole contract.
macro_rules! contract {
    ($($test:ident),* $(,)?) => {
        mod in_memory {
            $(#[test] fn $test() { super::$test(super::pumped::Pumped::in_memory); })*
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
    entries_come_out_in_the_order_they_went_in_and_stay_until_they_are_acknowledged,
    the_oldest_entries_are_dropped_and_counted_when_the_size_is_reached,
    entries_that_waited_longer_than_keep_are_dropped_and_counted_whatever_the_wall_clock_says,
    an_entry_that_was_taken_is_dropped_neither_for_size_nor_for_age,
    what_is_rejected_as_unconfirmed_stays_so_until_it_is_acknowledged_late,
    entries_wait_without_a_time_until_the_clock_is_right_and_then_have_that_of_their_slot,
    an_entry_carries_its_slots_own_end_by_the_clock_of_its_making_and_no_second_is_given_twice,
    live_entries_are_those_pushed_lately,
    an_entry_whose_second_is_taken_gets_the_next_free_one,
    what_a_session_took_that_is_gone_is_offered_again_with_its_time,
    a_new_map_brings_limits_and_leaves_what_waits,
    a_full_backlog_is_thinned_before_anything_is_dropped_and_every_reading_still_counts,
    several_are_taken_at_once_and_each_is_released_by_itself,
    entries_of_one_slot_are_pushed_together_and_have_a_second_each,
    what_is_done_to_an_entry_under_another_channel_is_done_to_none,
);

fn entries_come_out_in_the_order_they_went_in_and_stay_until_they_are_acknowledged(make: Make) {
    let mut spool = spool(make, Backlog::default());
    for second in [10, 20, 30] {
        assert_eq!(push(&mut spool, entry(second, 1.0)), 0);
    }
    let oldest = first(&spool).key;
    assert_eq!(seconds(&mut spool), [10, 20, 30]);
    spool.acknowledge(CHANNEL, oldest);
    spool.acknowledge(CHANNEL, oldest);
    assert_eq!(spool.waiting(CHANNEL), 2);
    assert_eq!(spool.counts(), Counts { pushed: 3, acknowledged: 1, ..Counts::default() });
    assert_eq!(spool.waiting(ChannelId(8)), 0);
}

fn the_oldest_entries_are_dropped_and_counted_when_the_size_is_reached(make: Make) {
    let mut spool = spool(make, Backlog { max_size: 2000, ..Backlog::default() });
    let dropped: usize = (0..100).map(|second| push(&mut spool, entry(second, 1.0))).sum();
    let left = seconds(&mut spool);
    assert_eq!(left.len() + dropped, 100);
    assert!(!left.is_empty() && dropped > 0);
    assert_eq!(left.last(), Some(&99), "the newest stays");
    assert_eq!(spool.counts().dropped_for_size, dropped as u64);
}

fn entries_that_waited_longer_than_keep_are_dropped_and_counted_whatever_the_wall_clock_says(make: Make) {
    let mut spool = spool(make, Backlog { keep: Duration::from_secs(60), ..Backlog::default() });
    for second in [0, 50, 100] {
        push(&mut spool, entry(second, 1.0));
    }
    spool.push(Now { utc: Utc::from_seconds(864_000), ..now(105) }, vec![entry(105, 1.0)]);
    assert_eq!(spool.expire(now(111), CHANNEL), 2);
    assert_eq!(seconds(&mut spool), [100, 864_000]);
    assert_eq!(spool.counts().dropped_for_age, 2);
}

fn an_entry_that_was_taken_is_dropped_neither_for_size_nor_for_age(make: Make) {
    let one = Queued::SIZE;
    let keep = Duration::from_secs(60);
    let mut spool = spool(make, Backlog { max_size: one * 2, keep, ..Backlog::default() });
    push(&mut spool, entry(10, 1.0));
    let sent = take(&mut spool, Turn::Backlog).expect("one waits").key;
    for second in (20..600).step_by(10) {
        push(&mut spool, entry(second, 1.0));
    }
    assert!(spool.counts().dropped_for_size > 0);
    spool.expire(now(5000), CHANNEL);
    assert_eq!(spool.waiting(CHANNEL), 1);
    spool.acknowledge(CHANNEL, sent);
    assert_eq!((spool.waiting(CHANNEL), spool.counts().acknowledged), (0, 1));
}

fn what_is_rejected_as_unconfirmed_stays_so_until_it_is_acknowledged_late(make: Make) {
    let mut spool = spool(make, Backlog::default());
    push(&mut spool, entry(1, 1.0));
    let key = take(&mut spool, Turn::Backlog).expect("one waits").key;
    spool.reject(CHANNEL, key, Rejection::Unconfirmed);
    assert_eq!((spool.waiting(CHANNEL), spool.counts().unconfirmed), (0, 1));
    spool.acknowledge(CHANNEL, key);
    assert_eq!((spool.counts().unconfirmed, spool.counts().acknowledged), (0, 1));
}

fn entries_wait_without_a_time_until_the_clock_is_right_and_then_have_that_of_their_slot(make: Make) {
    let mut spool = make(Backlog::default());
    for second in [20, 40] {
        assert_eq!(spool.push(now(second), vec![entry(second, 1.0)]).created_at, [None]);
    }
    assert_eq!((spool.next(CHANNEL, Turn::Backlog), spool.waiting(CHANNEL)), (None, 2));
    spool.act(|spool| spool.synchronised(Now { utc: Utc::from_seconds(10_060), ..now(60) }));
    assert_eq!(seconds(&mut spool), [10_020, 10_040]);
}

fn an_entry_carries_its_slots_own_end_by_the_clock_of_its_making_and_no_second_is_given_twice(make: Make) {
    let mut spool = spool(make, Backlog::default());
    let by_clock = |ahead: i64, second: u64| Now {
        utc: Utc::from_seconds(i64::try_from(second).expect("small") + ahead),
        ..now(second)
    };
    for (ahead, second) in [(0, 4000), (7200, 4020), (7200, 4040), (0, 4060), (-60, 4080), (-60, 4100), (-60, 4120)] {
        spool.push(by_clock(ahead, second), vec![entry(second, 1.0)]);
    }
    let expected = [4000, 11_220, 11_240, 4060, 4020, 4040, 4061];
    assert_eq!(seconds(&mut spool), expected, "in the order of their making, the last one off a second that is taken");
}

fn live_entries_are_those_pushed_lately(make: Make) {
    let mut spool = spool(make, Backlog::default());
    for second in [20, 40, 60] {
        push(&mut spool, entry(second, 1.0));
    }
    let live = Turn::Live(now(40).mono);
    for second in [40, 60] {
        assert_eq!(take(&mut spool, live).expect("two are").created_at.seconds(), second);
    }
    assert_eq!((take(&mut spool, live), first(&spool).created_at.seconds()), (None, 20));
}

fn an_entry_whose_second_is_taken_gets_the_next_free_one(make: Make) {
    let mut spool = spool(make, Backlog::default());
    for second in [20, 22, 40] {
        push(&mut spool, entry(second, 1.0));
    }
    let key = take(&mut spool, Turn::Backlog).expect("three wait").key;
    let theirs = |at: Utc| at.seconds() == 21;
    let to = spool.reject(CHANNEL, key, Rejection::SecondTaken(&theirs));
    assert_eq!(to, Some(Utc::from_seconds(23)), "21 is theirs and 22 is ours");
    spool.act(|spool| spool.release(CHANNEL, key));
    assert_eq!(spool.peek(CHANNEL, Turn::Again).map(|entry| Some(entry.created_at)), Some(to));
}

fn what_a_session_took_that_is_gone_is_offered_again_with_its_time(make: Make) {
    let mut spool = spool(make, Backlog { max_size: 1, ..Backlog::default() });
    push(&mut spool, UntimedEntry { form: Form::Field, ..entry(20, 1.0) });
    let taken = take(&mut spool, Turn::Backlog).expect("one waits");
    assert_eq!(spool.next(CHANNEL, Turn::Backlog), None);
    spool.act(|spool| spool.release_all(CHANNEL));
    assert!(spool.may_have_just_sent(), "nobody knows when the last update arrived");
    assert_eq!(spool.next(CHANNEL, Turn::Backlog), None, "it was sent");
    let again = take(&mut spool, Turn::Again).expect("it is offered again");
    assert!(again.was_sent && !taken.was_sent);
    assert_eq!((again.key, again.created_at), (taken.key, taken.created_at));
    assert_eq!(again.form, Form::Feed, "a bare value that may have arrived needs its time now");
    spool.acknowledge(CHANNEL, again.key);
    assert_eq!(spool.waiting(CHANNEL), 0);
}

fn a_new_map_brings_limits_and_leaves_what_waits(make: Make) {
    let mut spool = spool(make, Backlog::default());
    push(&mut spool, entry(20, 1.0));
    spool.act(|spool| spool.adopt(&[(ChannelId(99), Backlog::default())], Policy::default()));
    assert_eq!(spool.waiting(CHANNEL), 1, "its channel is not in the map any more, and it waits on");
    let keep = Duration::from_secs(60);
    spool.act(|spool| spool.adopt(&[(CHANNEL, Backlog { keep, ..Backlog::default() })], Policy::default()));
    assert_eq!(spool.expire(now(200), CHANNEL), 1, "the new limit holds for what waits already");
}

fn a_full_backlog_is_thinned_before_anything_is_dropped_and_every_reading_still_counts(make: Make) {
    let thin = Some(Duration::from_secs(60));
    let mut spool = spool(make, Backlog { max_size: 32 << 10, thin, ..Backlog::default() });
    let pushes = 1200;
    let dropped: usize = (1..=pushes).map(|slot| push(&mut spool, counted(slot * 15, 1.0, 2, Reduce::Sum))).sum();
    let counts = spool.counts();
    assert!(counts.merged > 500 && dropped == 0, "{counts:?}");
    let (mut readings, mut sum) = (0, 0.0);
    while let Some(entry) = take(&mut spool, Turn::Backlog) {
        let cell = entry.cells[0].expect("field1");
        (readings, sum) = (readings + u64::from(cell.readings()), sum + cell.value);
        spool.acknowledge(CHANNEL, entry.key);
    }
    assert_eq!((readings, sum.to_string()), (pushes * 2, pushes.to_string()));
}

fn several_are_taken_at_once_and_each_is_released_by_itself(make: Make) {
    let mut spool = spool(make, Backlog::default());
    for second in [20, 40, 60, 80] {
        push(&mut spool, entry(second, 1.0));
    }
    let times = |taken: &[Entry]| taken.iter().map(|entry| entry.created_at.seconds()).collect::<Vec<_>>();
    let taken = spool.act(|spool| spool.take(CHANNEL, Turn::Backlog, 3));
    assert_eq!(times(&taken), [20, 40, 60]);
    spool.act(|spool| spool.release(CHANNEL, taken[1].key));
    assert_eq!(times(&spool.act(|spool| spool.take(CHANNEL, Turn::Backlog, 3))), [80]);
    assert_eq!(times(&spool.act(|spool| spool.take(CHANNEL, Turn::Again, 3))), [40]);
    assert!(spool.act(|spool| spool.take(CHANNEL, Turn::Again, 3)).is_empty());
    assert_eq!(spool.waiting(CHANNEL), 4);
}

fn entries_of_one_slot_are_pushed_together_and_have_a_second_each(make: Make) {
    let mut spool = spool(make, Backlog::default());
    let pushed = spool.push(now(20), vec![entry(20, 1.0), entry(20, 2.0), entry(21, 3.0)]);
    assert_eq!(pushed.created_at, [20, 21, 22].map(|second| Some(Utc::from_seconds(second))));
    assert_eq!(spool.push(now(40), Vec::new()), Pushed::default());
    assert_eq!((spool.counts().pushed, spool.waiting(CHANNEL)), (3, 3));
    assert_eq!(seconds(&mut spool), [20, 21, 22]);
}

fn what_is_done_to_an_entry_under_another_channel_is_done_to_none(make: Make) {
    let mut spool = spool(make, Backlog::default());
    push(&mut spool, entry(20, 1.0));
    let key = take(&mut spool, Turn::Backlog).expect("one waits").key;
    let other = ChannelId(8);
    spool.act(|spool| spool.release(other, key));
    assert_eq!(spool.reject(other, key, Rejection::SecondTaken(&|_| false)), None);
    assert_eq!(spool.reject(other, key, Rejection::Unconfirmed), None);
    spool.acknowledge(other, key);
    assert_eq!((spool.waiting(CHANNEL), spool.peek(CHANNEL, Turn::Again)), (1, None), "it is still taken");
    assert_eq!(spool.counts(), Counts { pushed: 1, ..Counts::default() });
}
