//! Disks that fail, and bytes that rot.

use std::io::ErrorKind;

use super::*;

/// A machine whose small log is on the disk: its one segment, and the times that it holds.
fn on_disk() -> (Machine, String, Vec<Utc>) {
    let mut machine = Machine::with(Policy { durability: Durability::Always, ..Policy::default() }, Backlog::default());
    for second in (20..=100).step_by(20) {
        machine.push(second);
        machine.pump();
    }
    let files = machine.disk.list().expect("listed");
    assert_eq!(files.len(), 1, "{files:?}");
    let times = machine.survey().into_values().collect();
    (machine, files[0].clone(), times)
}

#[test]
fn log_torn_at_every_byte_loses_what_is_behind_and_takes_new_entries() {
    let (machine, file, times) = on_disk();
    let whole = machine.disk.read(&file).expect("there").len();
    for cut in 0..whole {
        let disk = machine.disk.after_kill();
        disk.tamper(&file, |bytes| bytes.truncate(cut));
        let (spool, found) = open(&Faulty::default(), &disk, BootId(2), machine.policy, machine.backlog);
        assert!(found.bad.is_empty() && found.unreadable.is_empty(), "cut at {cut}: {found:?}");
        let mut cut_off = Machine { disk, runtime: Faulty::default(), spool, boot: BootId(2), found, ..Machine::new() };
        cut_off.spool.synchronised(at(1000));
        cut_off.now = at(1000);
        let waiting = cut_off.spool.waiting(CHANNEL);
        cut_off.push(1020);
        cut_off.spool.stop();
        cut_off.pump();
        cut_off.cut_power(0);
        cut_off.spool.synchronised(at(2000));
        let left = cut_off.drain();
        let expected: Vec<i64> = times[..waiting].iter().map(|at| at.seconds() - EIGHT).chain([1020]).collect();
        assert_eq!(left, expected, "cut at {cut}");
    }
}

#[test]
fn entries_that_are_pushed_together_are_kept_or_lost_together_wherever_the_log_is_torn() {
    let mut machine = Machine::new();
    machine.push(20);
    let before = machine.runtime.read(runtime_log::FILE).expect("there").len();
    assert_eq!(machine.push_slot(40, 3).len(), 3);
    let log = machine.runtime.read(runtime_log::FILE).expect("there");
    for cut in before..=log.len() {
        let runtime = machine.runtime.after_kill();
        runtime.tamper(runtime_log::FILE, |bytes| bytes.truncate(cut));
        let (spool, found) = open(&runtime, &machine.disk, machine.boot, machine.policy, machine.backlog);
        let kept = if cut == log.len() { 3 } else { 0 };
        assert_eq!(spool.waiting(CHANNEL), 1 + kept, "cut at {cut}");
        assert!(found.bad.is_empty() && found.unreadable.is_empty(), "cut at {cut}: {found:?}");
    }
    for room in before..log.len() {
        let mut full = Machine::new();
        full.push(20);
        full.runtime.limit(Some(room));
        full.push_slot(40, 3);
        full.kill();
        assert_eq!(full.spool.waiting(CHANNEL), 1, "room for {room}");
    }
    // After a kill they are as if they had been pushed one by one.
    machine.kill();
    assert_eq!(machine.drain(), [20, 40, 41, 42]);
}

#[test]
fn flipped_bit_in_entries_that_were_pushed_together_is_reported_and_costs_them_at_most() {
    let mut machine = Machine::new();
    machine.push(20);
    let before = machine.runtime.read(runtime_log::FILE).expect("there").len();
    machine.push_slot(40, 3);
    machine.push(60);
    let log = machine.runtime.read(runtime_log::FILE).expect("there");
    for bit in before * 8..log.len() * 8 {
        let runtime = machine.runtime.after_kill();
        runtime.tamper(runtime_log::FILE, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
        let (spool, found) = open(&runtime, &machine.disk, machine.boot, machine.policy, machine.backlog);
        assert!(matches!(spool.waiting(CHANNEL), 2 | 4), "bit {bit}: {}", spool.waiting(CHANNEL));
        assert_eq!(found.bad.len() + found.torn.len(), 1, "bit {bit}: {found:?}");
    }
}

#[test]
fn every_flipped_bit_costs_one_entry_at_most_and_the_daemon_starts() {
    let (machine, file, times) = on_disk();
    let whole = machine.disk.read(&file).expect("there").len();
    for bit in 0..whole * 8 {
        let disk = machine.disk.after_kill();
        disk.tamper(&file, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
        let (_, found) = open(&Faulty::default(), &disk, BootId(2), machine.policy, machine.backlog);
        let (listed, again) = all(&Faulty::default(), &disk);
        let left: Vec<Utc> = listed.iter().map(|it| it.entry.created_at).collect();
        assert!(left.len() + 1 >= times.len(), "bit {bit}: {} of {} are left", left.len(), times.len());
        assert!(left.iter().all(|at| times.contains(at)), "bit {bit}");
        assert_eq!(again, Found { waiting: again.waiting.clone(), ..Found::default() }, "bit {bit}: it was mended");
        let is_bad = matches!(&found.bad[..], [Damaged { file: bad, lost }] if *bad == file && *lost >= times.len() - left.len());
        assert!(is_bad || found.torn == [file.clone()], "bit {bit}: {found:?}");
        assert_eq!(disk.list().expect("listed").iter().any(|name| name.contains(".bad")), !found.bad.is_empty());
    }
}

#[test]
fn entries_are_reported_to_be_on_the_disk_when_it_has_them_and_not_before() {
    let mut machine = Machine::with(Policy { durability: Durability::Always, ..Policy::default() }, Backlog::default());
    let times: Vec<_> = [20, 40].into_iter().map(|second| machine.push(second)).collect();
    let job = machine.spool.job(machine.now).expect("both are to be written");
    let outcome = job.perform(&machine.disk);
    assert_eq!(machine.spool.take_events(), [], "the spool does not know yet");
    machine.spool.done(machine.now, outcome);
    assert_eq!(machine.spool.take_events(), [SpoolEvent::Written { channel: CHANNEL, entries: 2, until: times[1] }]);
}

#[test]
fn disk_that_cannot_be_written_is_reported_once_and_used_again_when_it_works() {
    for kind in [ErrorKind::StorageFull, ErrorKind::ReadOnlyFilesystem, ErrorKind::NotFound] {
        let mut machine = Machine::new();
        machine.disk.break_with(Some(kind));
        for second in (20..=2000).step_by(20) {
            machine.push(second);
            machine.pump();
        }
        let told = machine.spool.take_events();
        assert!(matches!(told[..], [SpoolEvent::State(Some(_))]), "{told:?}");
        machine.kill();
        assert_eq!(machine.spool.waiting(CHANNEL), 100, "the runtime directory has them all");
        machine.disk.break_with(None);
        machine.pass(200);
        machine.pump();
        machine.spool.stop();
        machine.pump();
        machine.cut_power(0);
        machine.spool.synchronised(at(3000));
        assert_eq!(machine.drain().len(), 100);
    }
}

#[test]
fn disk_that_fills_up_in_the_middle_of_a_write_loses_nothing() {
    for room in (0..1200).step_by(7) {
        let mut machine =
            Machine::with(Policy { durability: Durability::Always, ..Policy::default() }, Backlog::default());
        machine.disk.limit(Some(room));
        for second in (20..=400).step_by(20) {
            machine.push(second);
            machine.pump();
        }
        machine.kill();
        machine.disk.limit(None);
        machine.pass(60);
        machine.pump();
        machine.cut_power(0);
        machine.spool.synchronised(at(3000));
        assert_eq!(machine.drain(), (20..=400).step_by(20).collect::<Vec<_>>(), "room for {room}");
    }
}

#[test]
fn runtime_directory_that_cannot_be_written_is_reported_once_and_made_good_when_it_works() {
    let mut machine = Machine::new();
    machine.runtime.break_with(Some(ErrorKind::StorageFull));
    for second in [20, 40, 60] {
        machine.push(second);
    }
    assert!(matches!(machine.spool.take_events()[..], [SpoolEvent::Runtime(Some(_))]));
    machine.runtime.break_with(None);
    machine.push(80);
    assert_eq!(machine.spool.take_events(), [SpoolEvent::Runtime(None)]);
    machine.kill();
    assert_eq!(machine.drain(), [20, 40, 60, 80]);
}

#[test]
fn runtime_directory_that_was_emptied_is_made_good_with_the_next_entry() {
    let mut machine = Machine::new();
    let times = [20, 40, 60].map(|second| machine.push(second));
    let log = machine.runtime.list().expect("listed").remove(0);
    machine.runtime.remove(&log).expect("removed");
    let last = machine.push(80);
    machine.kill();
    assert_eq!(machine.survey().into_values().map(Some).collect::<Vec<_>>(), [&times[..], &[last]].concat());
}

#[test]
fn memory_is_bounded_while_the_disk_takes_nothing_and_the_oldest_go_first() {
    let backlog = Backlog { max_size: 256 << 10, ..Backlog::default() };
    let mut machine = Machine::with(Policy::default(), backlog);
    machine.disk.break_with(Some(ErrorKind::ReadOnlyFilesystem));
    for second in 1..=1500 {
        machine.push(second);
    }
    let counts = machine.spool.counts();
    assert!(counts.dropped_for_size > 0 && machine.spool.waiting(CHANNEL) > 300, "{counts:?}");
    assert_eq!(machine.spool.waiting(CHANNEL) as u64 + counts.dropped_for_size, 1500);
    let left = machine.survey();
    assert_eq!(left.values().last().map(|last| last.seconds() - EIGHT), Some(1500));
    machine.kill();
    assert_eq!(machine.survey(), left, "what was dropped does not come back");
}

#[test]
fn segment_that_becomes_unreadable_is_passed_over_and_counted() {
    let mut machine = Machine::new();
    for second in (20..=40_000).step_by(20) {
        machine.push(second);
        machine.pump();
    }
    let mut files = machine.disk.list().expect("listed");
    files.sort();
    machine.disk.remove(&files[0]).expect("removed");
    let before = machine.spool.waiting(CHANNEL);
    let drained = machine.drain();
    let lost = machine.spool.counts().unreadable;
    assert!(lost > 0);
    assert_eq!(drained.len() as u64 + lost, before as u64);
    let mut told = machine.spool.take_events();
    told.retain(|told| !matches!(told, SpoolEvent::Written { .. }));
    assert!(matches!(told[..], [SpoolEvent::Unreadable { .. }]), "{told:?}");
}

#[test]
fn full_disk_is_reported_once() {
    let mut machine = Machine::new();
    machine.disk.limit(Some(10));
    for s in (20..=2000).step_by(20) {
        machine.push(s);
        machine.pump();
    }
    let events = machine.spool.take_events();
    assert!(events.len() <= 1, "{} reports", events.len());
}
