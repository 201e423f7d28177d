//! The spool on disks that are torn, flipped, filled, taken away, and left alone.

mod contract;
mod damage;
mod discarding;
mod faults;
mod model;
mod regressions;
mod surveying;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::queued::Queued;
use super::records::{EntryRecord, LogRecord, Time};
use super::*;
use crate::entry::{Cell, Cells, ColumnSet, Entry, Form, Reduce, UntimedEntry};
use crate::store::storage::faulty::Faulty;
use crate::time::Utc;

const CHANNEL: ChannelId = ChannelId(7);
const OTHER: ChannelId = ChannelId(8);
/// 2026-11-22T08:00:00Z, the wall clock at the beginning of each boot.
const EIGHT: i64 = 1_795_334_400;

fn at(second: u64) -> Now {
    let since = Duration::from_secs(second);
    Now { mono: Mono::new(since), utc: Utc::from_seconds(EIGHT) + since }
}

#[expect(clippy::cast_precision_loss, reason = "tests count small numbers")]
fn draft(channel: ChannelId, second: u64) -> UntimedEntry {
    let mut cells = Cells::default();
    cells[0] = Some(Cell::new(second as f64 / 4.0, 4, Reduce::Mean));
    UntimedEntry { channel, end: at(second).mono, cells, status: None, form: Form::Feed }
}

/// A machine: two directories, a boot, and the process that is using them.
struct Machine {
    runtime: Faulty,
    disk: Faulty,
    boot: BootId,
    policy: Policy,
    backlog: Backlog,
    now: Now,
    spool: Spool,
    found: Found,
}

impl Machine {
    fn new() -> Self {
        Self::with(Policy::default(), Backlog::default())
    }

    fn with(policy: Policy, backlog: Backlog) -> Self {
        let (runtime, disk, boot, now) = (Faulty::default(), Faulty::default(), BootId(1), at(0));
        let (spool, found) = open(&runtime, &disk, boot, policy, backlog);
        let mut machine = Self { runtime, disk, boot, policy, backlog, now, spool, found };
        machine.spool.synchronised(now);
        machine
    }

    fn go_on(&mut self) {
        let (spool, found) = open(&self.runtime, &self.disk, self.boot, self.policy, self.backlog);
        (self.spool, self.found) = (spool, found);
    }

    /// SIGKILL, and a new start.
    fn kill(&mut self) {
        (self.runtime, self.disk) = (self.runtime.after_kill(), self.disk.after_kill());
        self.go_on();
    }

    /// The power is cut, and comes back: the runtime directory is empty, the disk has what was synced and `torn` bytes more.
    fn cut_power(&mut self, torn: usize) {
        (self.runtime, self.disk) = (Faulty::default(), self.disk.after_power_cut(torn));
        self.boot = BootId(self.boot.0 + 1);
        self.go_on();
    }

    fn push(&mut self, second: u64) -> Option<Utc> {
        self.push_to(CHANNEL, second)
    }

    fn push_to(&mut self, channel: ChannelId, second: u64) -> Option<Utc> {
        self.now = Now { mono: at(second).mono, utc: self.now.utc + at(second).mono.since(self.now.mono) };
        self.spool.push(self.now, vec![draft(channel, second)]).created_at[0]
    }

    /// What a slot with `count` entries becomes: they are pushed together.
    fn push_slot(&mut self, second: u64, count: usize) -> Vec<Option<Utc>> {
        self.now = Now { mono: at(second).mono, utc: self.now.utc + at(second).mono.since(self.now.mono) };
        self.spool.push(self.now, vec![draft(CHANNEL, second); count]).created_at
    }

    fn pass(&mut self, seconds: u64) {
        let by = Duration::from_secs(seconds);
        self.now = Now { mono: self.now.mono + by, utc: self.now.utc + by };
    }

    /// Does all that the disk is to do now.
    fn pump(&mut self) {
        while let Some(job) = self.spool.job(self.now) {
            let outcome = job.perform(&self.disk);
            self.spool.done(self.now, outcome);
        }
    }

    /// The times of all waiting entries, by key. Nothing is taken.
    fn survey(&self) -> BTreeMap<Key, Utc> {
        let (listed, _) = all(&self.runtime, &self.disk);
        let waits = |listed: &Listed| listed.state == State::Waits && listed.entry.channel == CHANNEL;
        listed.into_iter().filter(waits).map(|listed| (listed.entry.key, listed.entry.created_at)).collect()
    }

    /// The oldest that is not taken, sent before or not.
    fn next(&self) -> Option<Entry> {
        let both = [self.spool.peek(CHANNEL, Turn::Backlog), self.spool.peek(CHANNEL, Turn::Again)];
        both.into_iter().flatten().min_by_key(|waiting| waiting.key)
    }

    /// Takes and confirms everything, oldest first. Returns the times.
    fn drain(&mut self) -> Vec<i64> {
        let mut times = Vec::new();
        self.pump();
        while let Some(waiting) = self.next() {
            times.push(waiting.created_at.seconds() - EIGHT);
            self.spool.take_one(waiting.channel, waiting.key);
            self.spool.acknowledge(waiting.channel, waiting.key);
            self.pump();
        }
        times
    }
}

fn open(runtime: &Faulty, disk: &Faulty, boot: BootId, policy: Policy, backlog: Backlog) -> (Spool, Found) {
    let channels = [(CHANNEL, backlog), (OTHER, backlog)];
    Spool::open(channels, policy, (boot, at(0)), Arc::new(runtime.clone()), disk, Box::new(|| {}))
}

/// Everything that a survey shows.
fn all(runtime: &Faulty, disk: &Faulty) -> (Vec<Listed>, Found) {
    let mut listed = Vec::new();
    let found = survey(runtime, disk, |one| {
        listed.push(one);
        Ok::<_, std::convert::Infallible>(())
    });
    (listed, found.unwrap_or_else(|never| match never {}))
}

#[test]
fn with_a_healthy_link_nothing_is_written_to_the_card() {
    let mut machine = Machine::new();
    for second in (20..6000).step_by(20) {
        machine.push(second);
        machine.pump();
        let key = machine.spool.peek(CHANNEL, Turn::Backlog).expect("just pushed").key;
        machine.spool.take_one(CHANNEL, key);
        machine.pass(3);
        machine.spool.acknowledge(CHANNEL, key);
        machine.pump();
    }
    assert_eq!(machine.disk.cost(), (0, 0));
    assert!(
        machine.runtime.read("spool.log").expect("there").len() < 70_000,
        "the log is written anew from time to time"
    );
}

#[test]
fn killed_process_loses_nothing_whether_the_card_has_it_or_not() {
    let mut machine = Machine::new();
    let mut pushed = Vec::new();
    for second in (20..400).step_by(20) {
        pushed.push(machine.push(second).expect("the clock is right").seconds() - EIGHT);
        machine.pump();
        machine.kill();
    }
    assert!(machine.disk.cost().1 == 0 || !machine.disk.list().expect("listed").is_empty());
    assert!(machine.spool.is_synchronised(), "the clock of this boot was right once");
    assert_eq!(machine.drain(), pushed);
    assert_eq!(machine.disk.list().expect("listed"), Vec::<String>::new(), "what is empty is removed");
}

#[test]
fn power_cut_costs_what_waited_for_less_than_the_group() {
    let mut machine = Machine::new();
    for second in (20..=600).step_by(20) {
        machine.push(second);
        machine.pump();
    }
    let now = machine.now;
    machine.cut_power(0);
    machine.spool.synchronised(Now { mono: at(10).mono, utc: now.utc + Duration::from_secs(60) });
    let left = machine.drain();
    let last = *left.last().expect("most are there");
    assert_eq!(left, (20..=last).step_by(20).collect::<Vec<_>>());
    assert!(600 - last <= 90, "worst is 60 s + 30 s, was {}", 600 - last);
}

#[test]
fn backlog_does_not_live_in_memory_and_drains_in_order() {
    let mut machine = Machine::new();
    let mut pushed = Vec::new();
    for second in (20..=40_000).step_by(20) {
        pushed.push(machine.push(second).expect("stamped").seconds() - EIGHT);
        machine.pump();
    }
    let queued = machine.spool.queues[&CHANNEL].queued.len();
    assert!(queued < 150, "{queued} of {} are in memory", pushed.len());
    assert!(machine.spool.queues[&CHANNEL].segments.len() > 1);
    machine.kill();
    assert_eq!(machine.spool.waiting(CHANNEL), pushed.len());
    assert_eq!(machine.drain(), pushed);
    assert_eq!(machine.disk.list().expect("listed"), Vec::<String>::new());
}

#[test]
fn live_entries_go_around_a_backlog_on_the_card() {
    let mut machine = Machine::new();
    for second in (20..=20_000).step_by(20) {
        machine.push(second);
        machine.pump();
    }
    machine.push(20_020);
    let live = machine
        .spool
        .peek(CHANNEL, Turn::Live(machine.now.mono - Duration::from_secs(20)))
        .expect("the newest two are");
    assert_eq!(live.created_at.seconds() - EIGHT, 20_000);
    machine.spool.take_one(live.channel, live.key);
    machine.spool.acknowledge(live.channel, live.key);
    machine.kill();
    let drained = machine.drain();
    assert_eq!(drained.len(), 1000);
    assert!(!drained.contains(&20_000));
    assert!(drained.is_sorted());
}

#[test]
fn confirmed_entries_do_not_come_back_after_a_kill_and_few_after_a_power_cut() {
    let mut machine = Machine::new();
    for second in (20..=4000).step_by(20) {
        machine.push(second);
        machine.pump();
    }
    machine.pass(200);
    machine.pump();
    for _ in 0..50 {
        let key = machine.spool.peek(CHANNEL, Turn::Backlog).expect("200 wait").key;
        machine.spool.take_one(CHANNEL, key);
        machine.spool.acknowledge(CHANNEL, key);
        machine.pass(16);
        machine.pump();
    }
    machine.kill();
    assert_eq!(machine.survey().values().next().map(|at| at.seconds() - EIGHT), Some(51 * 20));
    let now = machine.now;
    machine.cut_power(0);
    machine.spool.synchronised(Now { mono: at(5).mono, utc: now.utc });
    let first = machine.drain()[0];
    assert!((49 * 20..=51 * 20).contains(&first), "30 s of acknowledgements are told again at most, not {first}");
}

#[test]
fn entries_of_a_boot_without_a_clock_get_their_times_when_it_is_set_and_keep_them() {
    let mut machine = Machine::new();
    machine.push(20);
    machine.drain();
    machine.cut_power(0);
    // The clock claims 1970.
    machine.now = Now { mono: at(0).mono, utc: Utc::from_seconds(0) };
    for second in (20..=400).step_by(20) {
        assert_eq!(machine.push(second), None);
        machine.pump();
    }
    assert_eq!(machine.spool.peek(CHANNEL, Turn::Backlog), None, "without a time nothing is sent");
    machine.kill();
    assert_eq!(machine.spool.waiting(CHANNEL), 20);
    machine.now = Now { mono: at(410).mono, utc: Utc::from_seconds(EIGHT + 100_410) };
    machine.spool.synchronised(machine.now);
    assert_eq!(machine.spool.peek(CHANNEL, Turn::Backlog), None, "the disk must know the time first");
    machine.pump();
    let before = machine.survey();
    assert_eq!(before.values().map(|at| at.seconds() - EIGHT).next(), Some(100_020));
    let torn_disk = machine.disk.after_power_cut(0);
    machine.kill();
    assert_eq!(machine.survey(), before);
    let on_disk: Vec<i64> = {
        machine.disk = torn_disk;
        machine.cut_power(0);
        machine.spool.synchronised(Now { mono: at(3).mono, utc: Utc::from_seconds(EIGHT + 200_000) });
        machine.drain()
    };
    assert_eq!(on_disk[..3], [100_020, 100_040, 100_060], "a power cut does not change a time that was given");
}

#[test]
fn entries_of_a_boot_that_never_had_a_clock_are_bounded_by_what_is_known_and_say_so() {
    let mut machine = Machine::with(Policy { durability: Durability::Always, ..Policy::default() }, Backlog::default());
    machine.push(20);
    machine.pump();
    machine.cut_power(0);
    machine.now = Now { mono: at(0).mono, utc: Utc::from_seconds(0) };
    for second in [20, 40] {
        machine.push(second);
        machine.pump();
    }
    machine.cut_power(0);
    machine.now = Now { mono: at(100).mono, utc: Utc::from_seconds(EIGHT + 5000) };
    machine.spool.synchronised(machine.now);
    machine.pump();
    let (listed, _) = all(&machine.runtime, &machine.disk);
    let told: Vec<_> =
        listed.iter().map(|it| (it.entry.created_at.seconds() - EIGHT, it.entry.status.as_deref())).collect();
    assert_eq!(told[0], (20, None));
    for (at, status) in &told[1..] {
        assert!((21..4900).contains(at), "{at} lies between the last known time and this boot");
        assert!(status.is_some_and(|words| words.starts_with("time estimated, between 2026-11-22T08:00:20Z and 2026")));
    }
    assert_eq!(told[2].0 - told[1].0, 20, "distances stay");
}

#[test]
fn clock_that_was_set_ahead_before_does_not_make_times_collide() {
    let mut machine = Machine::new();
    machine.push(20);
    machine.now.utc = machine.now.utc + Duration::from_secs(86_400);
    machine.push(40);
    machine.pass(100);
    machine.pump();
    machine.cut_power(0);
    machine.now = Now { mono: at(0).mono, utc: Utc::from_seconds(0) };
    machine.push(20);
    machine.push(40);
    machine.now = at(50);
    machine.spool.synchronised(machine.now);
    let times: Vec<i64> = machine.survey().into_values().map(|at| at.seconds() - EIGHT).collect();
    assert_eq!(times, [20, 86_440, 21, 40], "each its own, and the one whose second is taken the next");
}

#[test]
fn an_earlier_boots_entries_are_old_by_a_clock_that_was_not_set_for_a_day() {
    const DAY: u64 = 86_400;
    let mut machine = Machine::new();
    machine.push(20);
    machine.pass(200);
    machine.pump();
    machine.cut_power(0);
    machine.now = at(0);
    machine.pump();
    let years = Duration::from_secs(DAY * 400);
    let expire = |machine: &mut Machine, second: u64, ahead: Duration| {
        let now = at(second);
        machine.spool.expire(Now { utc: now.utc + ahead, ..now }, CHANNEL)
    };
    machine.spool.synchronised(at(0));
    assert_eq!(expire(&mut machine, 10, years), 0, "years ahead for a moment");
    assert_eq!(expire(&mut machine, 20, Duration::ZERO), 0);
    for hour in 1..24 {
        assert_eq!(expire(&mut machine, hour * 3600, years), 0, "and for hours");
    }
    assert_eq!(expire(&mut machine, 3600 + DAY, years), 1);
}

#[test]
fn seconds_that_an_older_version_told_of_are_not_given_again() {
    let mut log = Vec::new();
    LogRecord::Boot(BootId(1)).append(&mut log);
    LogRecord::Latest(CHANNEL, Some(at(40).utc), Some(at(40).mono)).append(&mut log);
    let (runtime, disk) = (Faulty::default(), Faulty::default());
    runtime.replace(runtime_log::FILE, &log, false).expect("a good disk");
    let (mut spool, _) = open(&runtime, &disk, BootId(1), Policy::default(), Backlog::default());
    spool.synchronised(at(50));
    let pushed = spool.push(at(40), vec![draft(CHANNEL, 40)]).created_at[0].expect("the clock is right");
    assert_eq!(pushed.seconds() - EIGHT, 41);
}

#[test]
fn what_was_learned_of_a_channel_and_given_in_it_is_known_after_a_boot() {
    let mut machine = Machine::new();
    machine.push(20);
    machine.spool.set_echoes(CHANNEL, true);
    machine.spool.set_columns(CHANNEL, ColumnSet::from_bits(5));
    assert_eq!(machine.spool.learned().iter().map(|(channel, _)| *channel).collect::<Vec<_>>(), [CHANNEL]);
    assert_eq!(machine.spool.learned(), [], "it is told once");
    for is_last in [true, false] {
        let memory = machine.spool.memory(is_last);
        assert!(memory.iter().all(|(_, bytes)| bytes.len() <= MEMORY));
        let (mut spool, _) =
            open(&Faulty::default(), &Faulty::default(), BootId(2), Policy::default(), Backlog::default());
        spool.recall(memory, true);
        assert!(spool.echoes(CHANNEL) && spool.columns(CHANNEL) == ColumnSet::from_bits(5));
        assert_eq!(spool.may_collide(CHANNEL), !is_last, "an orderly stop tells of all seconds");
        assert_eq!(spool.outdates_disk(), is_last, "the disk is told that it no longer does");
        spool.synchronised(at(30));
        let pushed = spool.push(at(20), vec![draft(CHANNEL, 20)]).created_at[0].expect("the clock is right");
        assert_eq!(pushed.seconds() - EIGHT, 21);
    }
    machine.kill();
    assert!(machine.spool.echoes(CHANNEL) && machine.spool.columns(CHANNEL) == ColumnSet::from_bits(5));
    assert!(!machine.spool.may_collide(CHANNEL), "this boot knows all");
    machine.spool.recall(vec![(CHANNEL, vec![]), (CHANNEL, vec![1, 0xff]), (OTHER, vec![7; 300])], true);
    machine.cut_power(0);
    machine.spool.recall(Vec::new(), true);
    assert!(machine.spool.may_collide(CHANNEL), "nothing tells what the run before has given");
    machine.kill();
    assert!(machine.spool.may_collide(CHANNEL), "and a kill does not change that");
}

#[test]
fn entries_that_were_sent_before_do_not_keep_those_from_memory_that_were_never_sent() {
    let mut machine = Machine::new();
    for second in (20..4000).step_by(20) {
        machine.push(second);
        machine.pump();
    }
    for _ in 0..60 {
        machine.pump();
        let waiting = machine.spool.peek(CHANNEL, Turn::Backlog).expect("200 wait");
        machine.spool.take_one(waiting.channel, waiting.key);
    }
    machine.kill();
    machine.pump();
    let oldest = machine.spool.peek(CHANNEL, Turn::Backlog).expect("those that were never sent are read from the disk");
    assert_eq!(oldest.created_at.seconds() - EIGHT, 61 * 20);
}

#[test]
fn unconfirmed_entries_are_kept_apart_listed_and_settled_by_a_late_echo() {
    let mut machine = Machine::new();
    machine.push(20);
    machine.push(40);
    let (first, second) = {
        let first = machine.spool.peek(CHANNEL, Turn::Backlog).expect("two wait").key;
        machine.spool.take_one(CHANNEL, first);
        let second = machine.spool.peek(CHANNEL, Turn::Backlog).expect("one waits").key;
        machine.spool.take_one(CHANNEL, second);
        (first, second)
    };
    machine.spool.reject(CHANNEL, first, Rejection::Unconfirmed);
    machine.spool.reject(CHANNEL, second, Rejection::Unconfirmed);
    let unconfirmed = |machine: &Machine| -> Vec<Key> {
        let (listed, _) = all(&machine.runtime, &machine.disk);
        listed.iter().filter(|it| it.state == State::Unconfirmed).map(|it| it.entry.key).collect()
    };
    assert_eq!((machine.spool.waiting(CHANNEL), unconfirmed(&machine)), (0, vec![first, second]));
    machine.pass(31);
    machine.pump();
    machine.spool.acknowledge(CHANNEL, second);
    machine.pass(31);
    machine.pump();
    assert_eq!(machine.spool.counts().unconfirmed, 1);
    machine.cut_power(0);
    assert_eq!((machine.spool.waiting(CHANNEL), unconfirmed(&machine)), (0, vec![first]));
}

#[test]
fn late_receipt_of_a_unconfirmed_entry_survives_a_kill() {
    for is_written in [false, true] {
        let mut machine = Machine::new();
        machine.push(20);
        let key = machine.spool.peek(CHANNEL, Turn::Backlog).expect("one waits").key;
        machine.spool.take_one(CHANNEL, key);
        machine.spool.reject(CHANNEL, key, Rejection::Unconfirmed);
        if is_written {
            machine.pass(31);
            machine.pump();
        }
        machine.spool.acknowledge(CHANNEL, key);
        for _ in 0..2 {
            machine.kill();
            machine.pass(31);
            machine.pump();
            let (listed, _) = all(&machine.runtime, &machine.disk);
            assert_eq!(listed, [], "the disk was told: {is_written}");
        }
    }
}

#[test]
fn backlog_that_would_never_drain_is_thinned_on_the_card() {
    let backlog = Backlog { thin: Some(Duration::from_secs(300)), drains: false, ..Backlog::default() };
    let mut machine = Machine::with(Policy::default(), backlog);
    for second in (15..=60_000).step_by(15) {
        machine.push(second);
        machine.pump();
    }
    let counts = machine.spool.counts();
    assert!(counts.merged > 2000, "{counts:?}");
    assert_eq!(machine.spool.waiting(CHANNEL) as u64 + counts.merged, counts.pushed);
    machine.kill();
    let samples = |machine: &mut Machine| {
        let mut sum = 0;
        machine.pump();
        while let Some(waiting) = machine.spool.peek(CHANNEL, Turn::Backlog) {
            sum += u64::from(waiting.cells[0].expect("field1").readings());
            machine.spool.take_one(waiting.channel, waiting.key);
            machine.spool.acknowledge(waiting.channel, waiting.key);
            machine.pump();
        }
        sum
    };
    assert_eq!(samples(&mut machine), counts.pushed * 4, "every reading still counts");
}
