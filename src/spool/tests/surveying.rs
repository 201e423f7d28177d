//! What people are shown of the spool while a daemon may be at work.

use super::*;
use crate::spool::{GROUP_SIZE, entry_size};
use crate::store::storage::Storage;

#[test]
fn entries_are_shown_once_and_in_order_while_the_daemon_moves_them_to_the_disk() {
    let mut machine = Machine::new();
    for second in (20..=20_000).step_by(20) {
        machine.push(second);
        machine.pump();
        if second % 1000 == 0 {
            let (listed, found) = all(&machine.runtime, &machine.disk);
            let seconds: Vec<i64> = listed.iter().map(|one| one.entry.created_at.seconds() - EIGHT).collect();
            assert_eq!(seconds, (20..=i64::try_from(second).expect("small")).step_by(20).collect::<Vec<_>>());
            assert_eq!(found, Found { waiting: found.waiting.clone(), ..Found::default() });
        }
    }
}

#[test]
fn survey_ends_at_the_first_error_of_who_looks() {
    let mut machine = Machine::new();
    for second in [20, 40, 60] {
        machine.push(second);
    }
    let mut seen = 0;
    let ended = survey(&machine.runtime, &machine.disk, |_| {
        seen += 1;
        if seen == 2 { Err("enough") } else { Ok(()) }
    });
    assert_eq!((ended, seen), (Err("enough"), 2));
}

#[test]
fn size_of_an_entry_is_what_the_log_grows_by() {
    let mut machine = Machine::with(Policy { durability: Durability::Always, ..Policy::default() }, Backlog::default());
    let size_of_card = |machine: &Machine| {
        let names = machine.disk.list().expect("listed");
        names.iter().map(|name| machine.disk.read(name).expect("there").len()).sum::<usize>()
    };
    machine.push(20);
    machine.pump();
    let before = size_of_card(&machine);
    machine.push(40);
    machine.pump();
    let (listed, _) = all(&machine.runtime, &machine.disk);
    assert_eq!(size_of_card(&machine) - before, listed[1].bytes + usize::try_from(GROUP_SIZE).expect("small"));
}

#[test]
fn day_of_an_outage_costs_the_disk_what_is_said_beforehand() {
    let every = Duration::from_secs(20);
    for (policy, factor) in [
        (Policy::default(), 2),
        (Policy { group_every: Duration::from_secs(600), ..Policy::default() }, 31),
        (Policy { group_every: Duration::from_secs(3600), ..Policy::default() }, 32),
        (Policy { group_entries: 1, ..Policy::default() }, 1),
        (Policy { durability: Durability::Always, ..Policy::default() }, 1),
    ] {
        assert_eq!(policy.group_of(every, 1), factor);
        let mut machine = Machine::with(policy, Backlog::default());
        for second in (20..=86_400).step_by(20) {
            machine.push(second);
            machine.pump();
            // Somebody is awake when it is due.
            for _ in 0..3 {
                machine.pass(5);
                machine.pump();
            }
        }
        let (bytes, writes) = machine.disk.cost();
        let expected = 4320 / factor;
        assert!(expected - expected.min(5) <= writes && writes <= expected + 1, "{writes} writes, not {expected}");
        let said = 4320 * entry_size(draft(CHANNEL, 86_400)) as u64 + expected * GROUP_SIZE;
        assert!(said * 9 / 10 < bytes && bytes < said * 21 / 20, "{bytes} bytes, not {said}");
        assert!(policy.unwritten_for() <= Duration::from_secs(3660));
    }
}

#[test]
fn entries_that_have_left_are_neither_shown_nor_counted_as_dropped_while_their_segment_is_there() {
    let mut machine = Machine::with(Policy { durability: Durability::Always, ..Policy::default() }, Backlog::default());
    for second in [20, 40] {
        machine.push(second);
        machine.pump();
        let oldest = machine.spool.peek(CHANNEL, Turn::Backlog).expect("one waits").key;
        machine.spool.take_one(CHANNEL, oldest);
        machine.spool.acknowledge(CHANNEL, oldest);
    }
    // The process ends before the disk's thread has removed the segment.
    assert_eq!(machine.disk.list().expect("listed").len(), 1);
    assert_eq!(all(&machine.runtime, &machine.disk), (Vec::new(), Found::default()));
    machine.push(60);
    let which = Which { channel: CHANNEL, unconfirmed: false, before: None };
    assert_eq!(discard(&machine.runtime, &machine.disk, &which).expect("the disks work").entries, 1);
}
