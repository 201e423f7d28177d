//! Entries whose acknowledgement never came: kept apart, and settled by a late one.

use super::*;
use crate::store::storage::Storage as _;

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
fn late_acknowledgement_of_an_unconfirmed_entry_survives_a_kill() {
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
fn unconfirmed_entry_that_was_settled_does_not_come_back_after_a_kill() {
    let mut machine = Machine::new();
    machine.push(20);
    let key = machine.spool.peek(CHANNEL, Turn::Backlog).expect("there").key;
    machine.spool.take_one(CHANNEL, key);
    machine.spool.reject(CHANNEL, key, Rejection::Unconfirmed);
    machine.pass(31);
    machine.pump();
    machine.spool.acknowledge(CHANNEL, key);
    machine.pass(31);
    machine.pump();
    machine.kill();
    machine.pass(31);
    machine.pump();
    let (listed, _) = all(&machine.runtime, &machine.disk);
    assert_eq!(listed, []);
}

#[test]
fn entry_that_is_unconfirmed_waits_no_more_though_the_power_is_cut_before_its_segment_has_it() {
    let mut machine = Machine::with(always(), Backlog::default());
    machine.push(20);
    machine.pump();
    let key = machine.spool.peek(CHANNEL, Turn::Backlog).expect("one waits").key;
    machine.spool.take_one(CHANNEL, key);
    machine.spool.reject(CHANNEL, key, Rejection::Unconfirmed);
    machine.pass(31);
    let job = machine.spool.job(machine.now).expect("the unconfirmed entry is due");
    let outcome = job.perform(&machine.disk);
    machine.spool.done(machine.now, outcome);
    machine.cut_power(0);
    let (listed, _) = all(&machine.runtime, &machine.disk);
    assert_eq!(listed.iter().map(|one| (one.entry.key, one.state)).collect::<Vec<_>>(), [(key, State::Unconfirmed)]);
    assert_eq!(machine.spool.waiting(CHANNEL), 0);
    machine.pass(31);
    machine.pump();
    assert_eq!(machine.disk.list().expect("listed"), [segment::unconfirmed(CHANNEL)], "nothing waits in the segment");
}

#[test]
fn keys_of_unconfirmed_entries_are_not_used_twice() {
    let mut machine = Machine::new();
    for _ in 0..2 {
        machine.push(20);
        let key = machine.spool.peek(CHANNEL, Turn::Backlog).expect("there").key;
        machine.spool.take_one(CHANNEL, key);
        machine.spool.reject(CHANNEL, key, Rejection::Unconfirmed);
        machine.pass(31);
        machine.pump();
        let utc = machine.now.utc;
        machine.cut_power(0);
        machine.now = Now { mono: at(0).mono, utc: utc + Duration::from_secs(100) };
        machine.spool.synchronised(machine.now);
    }
    let (listed, _) = all(&machine.runtime, &machine.disk);
    assert_eq!(listed.len(), 2);
}
