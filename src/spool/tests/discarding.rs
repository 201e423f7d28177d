//! Entries that a person drops stay dropped, and no other does.

use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::spool::{DiscardError, Which, discard};
use crate::store::storage::Storage;

const ALL: Which = Which { channel: CHANNEL, unconfirmed: false, before: None };

/// A machine that stopped with a long backlog of two channels: the most on the disk, the newest in memory alone.
fn backlog() -> Machine {
    let mut machine = Machine::new();
    for second in (20..=40_000).step_by(20) {
        machine.push(second);
        machine.push_to(OTHER, second);
        machine.pump();
    }
    assert!(machine.spool.queues[&CHANNEL].segments.len() > 1);
    machine
}

fn seconds(machine: &Machine, channel: ChannelId, state: State) -> Vec<i64> {
    let (listed, _) = all(&machine.runtime, &machine.disk);
    let listed = listed.into_iter().filter(|one| one.entry.channel == channel && one.state == state);
    listed.map(|one| one.entry.created_at.seconds() - EIGHT).collect()
}

#[test]
fn waiting_entries_of_a_channel_are_dropped_for_good_and_the_others_stay() {
    let machine = backlog();
    let others = seconds(&machine, OTHER, State::Waits);
    let discarded = discard(&machine.runtime, &machine.disk, &ALL).expect("the disks work");
    assert_eq!(discarded.entries, 2000);
    assert_eq!((seconds(&machine, CHANNEL, State::Waits), seconds(&machine, OTHER, State::Waits)), (vec![], others));
    let names = machine.disk.list().expect("listed");
    assert!(names.iter().all(|name| name.starts_with("8-")), "{names:?}");
    let mut cut = backlog();
    discard(&cut.runtime, &cut.disk, &ALL).expect("the disks work");
    cut.cut_power(0);
    assert_eq!(cut.spool.waiting(CHANNEL), 0);
    assert!(cut.spool.waiting(OTHER) > 1990);
}

#[test]
fn older_entries_go_and_newer_stay_in_order() {
    let mut machine = backlog();
    let before = Utc::from_seconds(EIGHT + 30_000);
    let discarded = discard(&machine.runtime, &machine.disk, &Which { before: Some(before), ..ALL }).expect("dropped");
    assert_eq!(discarded.entries, 1499, "those from 20 to 29980");
    let expected: Vec<i64> = (30_000..=40_000).step_by(20).collect();
    assert_eq!(seconds(&machine, CHANNEL, State::Waits), expected);
    machine.kill();
    assert_eq!(machine.spool.waiting(CHANNEL), expected.len());
    assert_eq!(machine.drain(), expected);
}

#[test]
fn entries_that_come_afterwards_are_not_mistaken_for_those_that_left() {
    for cut in [false, true] {
        let mut machine = backlog();
        // Some leave on an acknowledgement, so that the disk calls them settled.
        for _ in 0..100 {
            let key = machine.spool.peek(CHANNEL, Turn::Backlog).expect("2000 wait").key;
            machine.spool.take_one(CHANNEL, key);
            machine.spool.acknowledge(CHANNEL, key);
            machine.pass(16);
            machine.pump();
        }
        machine.spool.stop();
        machine.pump();
        let before = Utc::from_seconds(EIGHT + 39_990);
        discard(&machine.runtime, &machine.disk, &Which { before: Some(before), ..ALL }).expect("dropped");
        discard(&machine.runtime, &machine.disk, &Which { channel: OTHER, ..ALL }).expect("dropped");
        if cut {
            machine.cut_power(0);
        } else {
            machine.kill();
        }
        machine.now = at(50_000);
        machine.spool.synchronised(machine.now);
        let pushed: Vec<i64> = (50_020..=56_000).step_by(20).collect();
        for second in &pushed {
            machine.push(u64::try_from(*second).expect("after the boot"));
            machine.pump();
        }
        machine.spool.stop();
        machine.pump();
        machine.kill();
        let expected: Vec<i64> = [40_000].into_iter().chain(pushed).collect();
        assert_eq!(machine.drain(), expected, "power was cut: {cut}");
    }
}

#[test]
fn entries_without_a_time_stay_where_an_age_is_asked_for() {
    let mut machine = Machine::new();
    machine.cut_power(0);
    machine.now = Now { mono: at(0).mono, utc: Utc::from_seconds(0) };
    for second in [20, 40] {
        assert_eq!(machine.push(second), None);
    }
    let before = Some(Utc::from_seconds(EIGHT + 86_400));
    assert_eq!(discard(&machine.runtime, &machine.disk, &Which { before, ..ALL }).expect("no fault").entries, 0);
    assert_eq!(discard(&machine.runtime, &machine.disk, &ALL).expect("dropped").entries, 2);
    machine.kill();
    assert_eq!(machine.spool.waiting(CHANNEL), 0);
}

#[test]
fn unconfirmed_entries_are_dropped_apart_from_those_that_wait() {
    for is_written in [false, true] {
        let mut machine = Machine::new();
        for second in [20, 40, 60] {
            machine.push(second);
        }
        for _ in 0..2 {
            let key = machine.spool.peek(CHANNEL, Turn::Backlog).expect("three wait").key;
            machine.spool.take_one(CHANNEL, key);
            machine.spool.reject(CHANNEL, key, Rejection::Unconfirmed);
        }
        if is_written {
            machine.pass(31);
            machine.pump();
        }
        let which = Which { unconfirmed: true, before: Some(Utc::from_seconds(EIGHT + 30)), ..ALL };
        assert_eq!(discard(&machine.runtime, &machine.disk, &which).expect("dropped").entries, 1);
        assert_eq!(seconds(&machine, CHANNEL, State::Unconfirmed), [40]);
        let which = Which { unconfirmed: true, ..ALL };
        assert_eq!(discard(&machine.runtime, &machine.disk, &which).expect("dropped").entries, 1);
        assert_eq!(discard(&machine.runtime, &machine.disk, &which).expect("nothing to do").entries, 0);
        machine.kill();
        assert_eq!(seconds(&machine, CHANNEL, State::Unconfirmed), Vec::<i64>::new());
        assert_eq!(seconds(&machine, CHANNEL, State::Waits), [60]);
    }
}

#[test]
fn disk_that_fails_on_the_way_keeps_what_was_not_dropped_and_the_next_try_takes_it() {
    let machine = backlog();
    let whole = seconds(&machine, CHANNEL, State::Waits);
    machine.disk.break_with(Some(ErrorKind::ReadOnlyFilesystem));
    let refused = discard(&machine.runtime, &machine.disk, &ALL);
    let Err(DiscardError::Disk { entries, .. }) = refused else { panic!("the disk takes nothing: {refused:?}") };
    let left = seconds(&machine, CHANNEL, State::Waits);
    assert_eq!(left.len() + entries, whole.len(), "what is said to be gone is gone");
    assert!(whole.starts_with(&left));
    machine.disk.break_with(None);
    assert_eq!(discard(&machine.runtime, &machine.disk, &ALL).expect("it works again").entries, left.len());
    assert_eq!(seconds(&machine, CHANNEL, State::Waits), Vec::<i64>::new());
}

#[test]
fn disk_that_is_full_still_lets_a_whole_backlog_be_dropped() {
    let machine = backlog();
    machine.disk.limit(Some(0));
    assert_eq!(discard(&machine.runtime, &machine.disk, &ALL).expect("cutting needs no room").entries, 2000);
}

/// A disk that takes so many changes and no more: what a crash at that point leaves.
struct Crashing<'a> {
    disk: &'a Faulty,
    left: &'a AtomicUsize,
}

impl Crashing<'_> {
    fn step(&self) -> io::Result<()> {
        let left = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        left.map(|_| ()).map_err(|_| ErrorKind::BrokenPipe.into())
    }
}

impl Storage for Crashing<'_> {
    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.disk.read(name)
    }

    fn append(&self, name: &str, whole: u64, bytes: &[u8]) -> io::Result<()> {
        self.step().and_then(|()| self.disk.append(name, whole, bytes))
    }

    fn extend(&self, name: &str, whole: u64, bytes: &[u8]) -> io::Result<()> {
        self.step().and_then(|()| self.disk.extend(name, whole, bytes))
    }

    fn replace(&self, name: &str, bytes: &[u8], durable: bool) -> io::Result<()> {
        self.step().and_then(|()| self.disk.replace(name, bytes, durable))
    }

    fn truncate(&self, name: &str, length: u64) -> io::Result<()> {
        self.step().and_then(|()| self.disk.truncate(name, length))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.step().and_then(|()| self.disk.remove(name))
    }
}

#[test]
fn crash_at_any_step_leaves_every_entry_either_dropped_or_as_it_was() {
    let whole = backlog();
    let all_of_them = seconds(&whole, CHANNEL, State::Waits);
    let others = seconds(&whole, OTHER, State::Waits);
    // Some of every file goes, and some stays.
    for before in [None, Some(Utc::from_seconds(EIGHT + 39_800))] {
        let mut steps = 0;
        loop {
            let (runtime, disk, left) = (whole.runtime.after_kill(), whole.disk.after_kill(), AtomicUsize::new(steps));
            let crashing = |disk| Crashing { disk, left: &left };
            let done = discard(&crashing(&runtime), &crashing(&disk), &Which { before, ..ALL });
            let (mut killed, mut cut) = (Machine::new(), Machine::new());
            (killed.runtime, killed.disk) = (runtime.clone(), disk.clone());
            killed.kill();
            (cut.runtime, cut.disk) = (runtime, disk);
            cut.cut_power(0);
            for machine in [killed, cut] {
                let left = seconds(&machine, CHANNEL, State::Waits);
                assert!(left.is_sorted() && left.iter().all(|at| all_of_them.contains(at)), "{steps} steps");
                let stays = |at: &&i64| before.is_some_and(|before| **at >= before.seconds() - EIGHT);
                // The power cut costs what was in memory alone, whatever is dropped.
                let kept: Vec<_> = all_of_them.iter().filter(stays).take_while(|at| **at <= 39_900).collect();
                assert!(kept.iter().all(|at| left.contains(at)), "{steps} steps: one is gone that was to stay");
                assert!(seconds(&machine, OTHER, State::Waits).len() + 10 > others.len(), "{steps} steps");
                if done.is_ok() {
                    let limit = before.map_or(i64::MAX, |before| before.seconds() - EIGHT);
                    assert!(left.iter().all(|at| *at >= limit), "what is dropped does not come back");
                }
            }
            if done.is_ok() {
                break;
            }
            steps += 1;
        }
        assert!(steps > 3, "{steps} steps");
    }
}
