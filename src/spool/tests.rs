//! The spool on disks that are torn, flipped, filled, taken away, and left alone.

mod acknowledgements;
mod contract;
mod damage;
mod discarding;
mod faults;
mod model;
mod surveying;
mod thinning;
mod times;
mod unconfirmed;
mod unreadable;

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

fn always() -> Policy {
    Policy { durability: Durability::Always, ..Policy::default() }
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
fn with_a_healthy_link_nothing_is_written_to_the_disk() {
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
fn killed_process_loses_nothing_whether_the_disk_has_it_or_not() {
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
fn live_entries_go_around_a_backlog_on_the_disk() {
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
fn healthy_link_has_no_work_for_the_disk() {
    let mut machine = Machine::new();
    let mut dues = 0;
    for s in (20..6000).step_by(20) {
        machine.push(s);
        let k = machine.spool.peek(CHANNEL, Turn::Backlog).expect("there").key;
        machine.spool.take_one(CHANNEL, k);
        machine.pass(1);
        machine.spool.acknowledge(CHANNEL, k);
        dues += usize::from(machine.spool.due().is_some_and(|d| d <= machine.now.mono));
    }
    assert_eq!(dues, 0);
}

#[test]
fn memory_that_fills_up_is_written_before_its_time() {
    let mut machine =
        Machine::with(Policy { write_after: Duration::from_secs(24 * 3600), ..Policy::default() }, Backlog::default());
    for s in 1..=20_000 {
        machine.push(s);
        machine.pump();
    }
    assert_eq!(machine.spool.counts().dropped_for_size, 0, "held {}", Queued::SIZE);
}

#[test]
fn group_of_one_does_not_wait() {
    let mut machine = Machine::with(Policy { group_entries: 1, ..Policy::default() }, Backlog::default());
    machine.push(20);
    machine.pass(61);
    assert!(machine.spool.job(machine.now).is_some());
}

#[test]
fn long_status_is_cut() {
    let mut machine = Machine::new();
    let mut d = draft(CHANNEL, 20);
    d.status = Some("x".repeat(9000));
    machine.spool.push(at(20), vec![d]);
    machine.kill();
    let status = machine.spool.peek(CHANNEL, Turn::Backlog).expect("it waits").status;
    assert_eq!(status.map(|status| status.len()), Some(crate::entry::STATUS));
}
