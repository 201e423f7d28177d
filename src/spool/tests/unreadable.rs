//! Disks and files that cannot be read, for a moment or for good.

use std::io::{self, ErrorKind};

use super::*;
use crate::store::storage::Storage;

/// Storage that can be neither read nor written.
pub(super) struct Blind;

impl Storage for Blind {
    fn list(&self) -> io::Result<Vec<String>> {
        Err(ErrorKind::PermissionDenied.into())
    }
    fn read(&self, _: &str) -> io::Result<Vec<u8>> {
        Err(ErrorKind::PermissionDenied.into())
    }
    fn append(&self, _: &str, _: u64, _: &[u8]) -> io::Result<()> {
        Err(ErrorKind::PermissionDenied.into())
    }
    fn extend(&self, _: &str, _: u64, _: &[u8]) -> io::Result<()> {
        Err(ErrorKind::PermissionDenied.into())
    }
    fn replace(&self, _: &str, _: &[u8], _: bool) -> io::Result<()> {
        Err(ErrorKind::PermissionDenied.into())
    }
    fn truncate(&self, _: &str, _: u64) -> io::Result<()> {
        Err(ErrorKind::PermissionDenied.into())
    }
    fn remove(&self, _: &str) -> io::Result<()> {
        Err(ErrorKind::PermissionDenied.into())
    }
    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        Err(ErrorKind::PermissionDenied.into())
    }
}

#[test]
fn disk_that_is_away_for_a_moment_is_read_again() {
    let mut machine = Machine::new();
    for s in (20..=100_000).step_by(20) {
        machine.push(s);
        machine.pump();
    }
    machine.kill();
    let before = machine.spool.waiting(CHANNEL);
    for _ in 0..50 {
        // one moment without the disk
        let Some(job) = machine.spool.job(machine.now) else { break };
        let outcome = job.perform(&Blind);
        machine.spool.done(machine.now, outcome);
    }
    machine.pass(31);
    let n = machine.drain().len();
    assert_eq!((n, machine.spool.counts().unreadable), (before, 0));
}

#[test]
fn keys_are_not_used_twice_where_the_disk_could_not_be_read() {
    let mut machine = Machine::with(always(), Backlog::default());
    for s in (20..=200).step_by(20) {
        machine.push(s);
        machine.pump();
    }
    let disk = machine.disk.after_power_cut(0);
    let runtime = Faulty::default();
    let boot = BootId(2);
    let (mut spool, _) = Spool::open(
        [(CHANNEL, machine.backlog)],
        machine.policy,
        (boot, at(1_000)),
        Arc::new(runtime.clone()),
        &Blind,
        Box::new(|| {}),
    );
    let utc = Utc::from_seconds(EIGHT + 1000);
    spool.synchronised(Now { mono: at(10).mono, utc });
    for s in [20, 40, 60] {
        spool.push(Now { mono: at(s).mono, utc: utc + Duration::from_secs(s) }, vec![draft(CHANNEL, s)]);
    }
    // the first two are confirmed, the third waits
    for _ in 0..2 {
        let k = spool.peek(CHANNEL, Turn::Backlog).expect("there").key;
        spool.take_one(CHANNEL, k);
        spool.acknowledge(CHANNEL, k);
    }
    drop(spool);
    let (spool, found) = Spool::open(
        [(CHANNEL, machine.backlog)],
        machine.policy,
        (boot, at(1_000)),
        Arc::new(runtime.after_kill()),
        &disk,
        Box::new(|| {}),
    );
    assert_eq!(spool.waiting(CHANNEL), 11, "10 on the disk, one in the runtime directory: {found:?}");
}

#[test]
fn absurd_key_does_not_keep_the_daemon_from_starting() {
    let disk = Faulty::default();
    let kept = EntryRecord {
        key: Key(u64::MAX),
        since: Mono::default(),
        time: Time::Known(Utc::from_nanos(i64::MAX)),
        draft: draft(CHANNEL, 20),
    };
    let bytes = segment::told_in([(BootId(1), LogRecord::Entry(kept))]);
    disk.append("7-0000000000000001.log", 0, &bytes).expect("made");
    let (mut spool, _) = open(&Faulty::default(), &disk, BootId(1), Policy::default(), Backlog::default());
    spool.synchronised(at(10));
    let a = spool.push(at(20), vec![draft(CHANNEL, 20)]).created_at[0];
    let b = spool.push(at(40), vec![draft(CHANNEL, 40)]).created_at[0];
    assert!(a < b, "{a:?} {b:?}");
}

#[test]
fn records_that_rot_while_the_daemon_runs_are_counted_and_block_nobody() {
    let mut machine = Machine::new();
    for s in (20..=6000).step_by(20) {
        machine.push(s);
        machine.pump();
    }
    let file = machine.disk.list().expect("there").into_iter().min().expect("there");
    machine.disk.tamper(&file, |b| {
        let n = b.len() / 2;
        b[n] ^= 1;
    });
    let n = machine.drain().len();
    machine.pass(1000);
    machine.pump();
    assert_eq!(
        (
            machine.spool.waiting(CHANNEL),
            machine.spool.counts().unreadable,
            machine.spool.due(),
            machine.disk.list().expect("there").len()
        ),
        (0, 1, None, 0),
        "{n} drained"
    );
}

#[test]
fn directory_that_vanished_is_noticed_and_its_entries_are_counted() {
    let mut machine = Machine::new();
    for s in (20..=3000).step_by(20) {
        machine.push(s);
        machine.pump();
    }
    for f in machine.disk.list().expect("there") {
        machine.disk.remove(&f).expect("there");
    }
    for s in (3020..=6000).step_by(20) {
        machine.push(s);
        machine.pump();
    }
    let n = machine.drain().len();
    machine.pass(1000);
    machine.pump();
    let lost = machine.spool.counts().unreadable;
    assert!(lost > 0 && machine.spool.take_events().iter().any(|event| matches!(event, SpoolEvent::Unreadable { .. })));
    assert_eq!((n as u64 + lost, machine.spool.waiting(CHANNEL)), (300, 0), "drained {n}");
}

#[test]
fn file_that_was_removed_by_hand_holds_up_neither_its_channel_nor_others() {
    let mut machine = Machine::with(always(), Backlog::default());
    machine.push(20);
    machine.pump();
    let used: usize =
        machine.disk.list().expect("there").iter().map(|f| machine.disk.read(f).expect("there").len()).sum();
    machine.disk.limit(Some(used + 10));
    machine.push(40);
    machine.pump();
    for f in machine.disk.list().expect("there") {
        machine.disk.remove(&f).expect("there");
    }
    machine.disk.limit(None);
    machine.push_to(OTHER, 60);
    for _ in 0..100 {
        machine.pass(60);
        machine.pump();
    }
    assert!(!machine.spool.queues[&OTHER].segments.is_empty(), "the other channel never reached the disk");
    assert!(machine.spool.is_written());
}
