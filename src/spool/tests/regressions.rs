//! What once went wrong: crashes between two steps, disks that fail for a moment, and words that came too late.

use std::io::{self, ErrorKind};

use super::*;
use crate::store::storage::Storage;

fn always() -> Policy {
    Policy { durability: Durability::Always, ..Policy::default() }
}

#[test]
fn live_entry_that_left_from_the_card_is_not_read_again() {
    let mut machine = Machine::with(always(), Backlog::default());
    for s in (20..=4000).step_by(20) {
        machine.push(s);
        machine.pump();
    }
    let mut confirmed = Vec::new();
    for s in (4020..=4400).step_by(20) {
        machine.push(s);
        machine.pump();
        let live = machine.spool.peek(CHANNEL, Turn::Live(machine.now.mono - Duration::from_secs(10))).expect("live");
        machine.spool.take_one(live.channel, live.key);
        machine.spool.acknowledge(live.channel, live.key);
        confirmed.push(live.created_at.seconds() - EIGHT);
        machine.pump();
    }
    for s in (4420..=6000).step_by(20) {
        machine.push(s);
        machine.pump();
    }
    let drained = machine.drain();
    let twice: Vec<_> = drained.iter().filter(|t| confirmed.contains(t)).collect();
    assert!(twice.is_empty(), "sent twice: {twice:?}; waiting {}", machine.spool.waiting(CHANNEL));
}

#[test]
fn times_that_were_given_before_the_card_had_the_entries_outlive_a_power_cut() {
    let mut machine = Machine::new();
    machine.cut_power(0);
    machine.now = Now { mono: at(0).mono, utc: Utc::from_seconds(0) };
    for s in [20, 40] {
        assert_eq!(machine.push(s), None);
    }
    machine.now = Now { mono: at(45).mono, utc: Utc::from_seconds(EIGHT + 100_045) };
    machine.spool.synchronised(machine.now);
    let w = machine.spool.peek(CHANNEL, Turn::Backlog).expect("timed");
    machine.spool.take_one(w.channel, w.key); // sent, no acknowledgement
    machine.pass(200);
    machine.pump();
    machine.cut_power(0);
    machine.now = Now { mono: at(50).mono, utc: Utc::from_seconds(EIGHT + 200_000) };
    machine.spool.synchronised(machine.now);
    machine.pump();
    let again = machine.spool.peek(CHANNEL, Turn::Backlog).expect("it waits");
    assert_eq!((again.created_at, again.status), (w.created_at, w.status));
}

#[test]
fn group_that_was_under_way_when_the_clock_was_set_does_not_let_its_entries_go() {
    let mut machine = Machine::with(always(), Backlog::default());
    machine.cut_power(0);
    machine.now = Now { mono: at(0).mono, utc: Utc::from_seconds(0) };
    machine.push(20);
    machine.pump();
    machine.push(40);
    let job = machine.spool.job(machine.now).expect("append");
    machine.now = Now { mono: at(45).mono, utc: Utc::from_seconds(EIGHT + 100_045) };
    machine.spool.synchronised(machine.now);
    assert_eq!(machine.spool.peek(CHANNEL, Turn::Backlog), None, "hushed");
    let outcome = job.perform(&machine.disk);
    machine.spool.done(machine.now, outcome);
    let offered = machine.spool.peek(CHANNEL, Turn::Backlog).map(|w| w.created_at);
    machine.cut_power(0);
    machine.spool.synchronised(Now { mono: at(50).mono, utc: Utc::from_seconds(EIGHT + 200_000) });
    machine.pump();
    let after = machine.spool.peek(CHANNEL, Turn::Backlog).map(|w| w.created_at);
    assert!(offered.is_none() || offered == after, "{offered:?} {after:?}");
}

#[test]
fn card_is_told_after_a_kill_what_it_missed_before() {
    let mut machine = Machine::with(always(), Backlog::default());
    machine.cut_power(0);
    machine.now = Now { mono: at(0).mono, utc: Utc::from_seconds(0) };
    machine.push(20);
    machine.pump();
    machine.push(40);
    machine.pump();
    machine.now = Now { mono: at(45).mono, utc: Utc::from_seconds(EIGHT + 100_045) };
    machine.spool.synchronised(machine.now);
    machine.kill();
    machine.pump();
    machine.pass(100);
    machine.pump();
    let offered = machine.spool.peek(CHANNEL, Turn::Backlog).map(|w| w.created_at);
    machine.cut_power(0);
    machine.spool.synchronised(Now { mono: at(50).mono, utc: Utc::from_seconds(EIGHT + 200_000) });
    machine.pump();
    assert_eq!(offered, machine.spool.peek(CHANNEL, Turn::Backlog).map(|w| w.created_at));
}

#[test]
fn new_second_of_an_entry_that_is_being_written_reaches_the_card() {
    let mut machine = Machine::with(always(), Backlog::default());
    machine.push(20);
    let key = machine.spool.peek(CHANNEL, Turn::Backlog).expect("one").key;
    machine.spool.take_one(CHANNEL, key);
    let job = machine.spool.job(machine.now).expect("append");
    let at_ = machine.spool.reject(CHANNEL, key, Rejection::SecondTaken(&|_| false)).expect("taken");
    let outcome = job.perform(&machine.disk);
    machine.spool.done(machine.now, outcome);
    machine.pass(100);
    machine.pump();
    machine.cut_power(0);
    assert_eq!(machine.survey().values().copied().collect::<Vec<_>>(), [at_]);
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
    assert!(lost > 0 && machine.spool.take_events().iter().any(|told| matches!(told, SpoolEvent::Unreadable { .. })));
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

#[test]
fn full_card_is_told_once() {
    let mut machine = Machine::new();
    machine.disk.limit(Some(10));
    for s in (20..=2000).step_by(20) {
        machine.push(s);
        machine.pump();
    }
    let told = machine.spool.take_events();
    assert!(told.len() <= 1, "{} tells", told.len());
}

/// Storage that fails reads and lists when told to.
struct Blind;
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
fn keys_are_not_used_twice_where_the_card_could_not_be_read() {
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
fn record_of_a_write_that_failed_does_not_come_back_after_its_receipt() {
    let mut machine = Machine::with(always(), Backlog::default());
    machine.push(20);
    machine.pump();
    let first = machine.spool.peek(CHANNEL, Turn::Backlog).expect("there").key;
    machine.spool.take_one(CHANNEL, first);
    let used: usize =
        machine.disk.list().expect("there").iter().map(|f| machine.disk.read(f).expect("there").len()).sum();
    machine.disk.limit(Some(used + 110));
    machine.push(40);
    machine.push(60);
    machine.pump();
    let k = machine.spool.peek(CHANNEL, Turn::Backlog).expect("there");
    machine.spool.take_one(k.channel, k.key);
    machine.spool.acknowledge(k.channel, k.key);
    machine.kill();
    let left: Vec<_> = machine.survey().into_values().collect();
    assert!(!left.contains(&k.created_at), "{left:?}");
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

struct LateError(Faulty);
impl Storage for LateError {
    fn list(&self) -> io::Result<Vec<String>> {
        self.0.list()
    }
    fn read(&self, n: &str) -> io::Result<Vec<u8>> {
        self.0.read(n)
    }
    fn append(&self, n: &str, w: u64, b: &[u8]) -> io::Result<()> {
        self.0.append(n, w, b)
    }
    fn extend(&self, n: &str, w: u64, b: &[u8]) -> io::Result<()> {
        self.0.extend(n, w, b)
    }
    fn replace(&self, n: &str, b: &[u8], d: bool) -> io::Result<()> {
        self.0.replace(n, b, d)?;
        Err(io::Error::from_raw_os_error(5))
    }
    fn truncate(&self, n: &str, l: u64) -> io::Result<()> {
        self.0.truncate(n, l)
    }
    fn remove(&self, n: &str) -> io::Result<()> {
        self.0.remove(n)
    }
    fn rename(&self, n: &str, to: &str) -> io::Result<()> {
        self.0.rename(n, to)
    }
}

#[test]
fn thinning_that_fails_after_its_work_leaves_no_phantoms() {
    let backlog = Backlog { thin: Some(Duration::from_secs(300)), drains: false, ..Backlog::default() };
    let mut machine = Machine::with(Policy::default(), backlog);
    for s in (15..=90_000).step_by(15) {
        machine.push(s);
        while let Some(job) = machine.spool.job(machine.now) {
            let outcome = job.perform(&LateError(machine.disk.clone()));
            machine.spool.done(machine.now, outcome);
        }
    }
    machine.drain();
    machine.pass(100);
    machine.pump();
    assert_eq!((machine.spool.waiting(CHANNEL), machine.disk.list().expect("there").len()), (0, 0));
}

#[test]
fn thinning_leaves_out_what_was_confirmed_in_the_meantime() {
    let backlog = Backlog { thin: Some(Duration::from_secs(300)), drains: false, ..Backlog::default() };
    let mut machine = Machine::with(always(), backlog);
    let mut confirmed = 0;
    for s in (15..=30_000).step_by(15) {
        machine.push(s);
        machine.pump();
        if s % 150 == 0 {
            let live =
                machine.spool.peek(CHANNEL, Turn::Live(machine.now.mono - Duration::from_secs(5))).expect("there");
            machine.spool.take_one(live.channel, live.key);
            machine.spool.acknowledge(live.channel, live.key);
            confirmed += 1;
            machine.pump();
        }
    }
    let pushed = machine.spool.counts().pushed;
    let mut samples = 0_u64;
    machine.pump();
    while let Some(w) = machine.spool.peek(CHANNEL, Turn::Backlog) {
        samples += u64::from(w.cells[0].expect("there").readings());
        machine.spool.take_one(w.channel, w.key);
        machine.spool.acknowledge(w.channel, w.key);
        machine.pump();
    }
    assert_eq!(samples, (pushed - confirmed) * 4);
}

#[test]
fn card_that_is_away_for_a_moment_is_read_again() {
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
fn receipts_in_a_segment_that_cannot_be_read_are_remembered() {
    let mut machine = Machine::new();
    for s in (20..=6000).step_by(20) {
        machine.push(s);
        machine.pump();
    }
    machine.kill();
    machine.pump();
    let w = machine.spool.peek(CHANNEL, Turn::Backlog).expect("there");
    machine.spool.take_one(w.channel, w.key);
    // drain until the next read fails once
    let mut confirmed = vec![];
    loop {
        if let Some(job) = machine.spool.job(machine.now) {
            let outcome = job.perform(&Blind);
            machine.spool.done(machine.now, outcome);
            break;
        }
        let k = machine.spool.peek(CHANNEL, Turn::Backlog).expect("there");
        machine.spool.take_one(k.channel, k.key);
        machine.spool.acknowledge(k.channel, k.key);
        confirmed.push(k.created_at);
    }
    while let Some(k) = machine.spool.peek(CHANNEL, Turn::Backlog) {
        machine.spool.take_one(k.channel, k.key);
        machine.spool.acknowledge(k.channel, k.key);
        confirmed.push(k.created_at);
        machine.pump();
        if confirmed.len() > 100 {
            break;
        }
    }
    machine.spool.acknowledge(w.channel, w.key);
    confirmed.push(w.created_at);
    machine.spool.write_anew();
    machine.kill();
    let back: Vec<_> = machine.survey().into_values().filter(|t| confirmed.contains(t)).collect();
    assert!(back.is_empty(), "{} confirmed come back", back.len());
}

#[test]
fn beginning_of_a_boot_does_not_go_with_the_segment_that_told_it() {
    let backlog = Backlog { max_size: 4096, ..Backlog::default() };
    let mut machine = Machine::with(always(), backlog);
    machine.cut_power(0);
    machine.now = Now { mono: at(0).mono, utc: Utc::from_seconds(0) };
    let mut s = 20;
    // until the last segment is nearly full
    while machine.spool.queues[&CHANNEL].segments.back().is_none_or(|it| it.bytes < 1024) {
        machine.push(s);
        machine.pump();
        s += 20;
    }
    machine.spool.adopt(&[], Policy::default());
    machine.push(s);
    machine.push(s + 1);
    machine.now = Now { mono: at(s + 5).mono, utc: Utc::from_seconds(EIGHT + 100_000) };
    machine.spool.synchronised(machine.now);
    machine.pump();
    machine.pass(200);
    machine.pump();
    let segs = machine.spool.queues[&CHANNEL].segments.len();
    // drain all but the last two
    while machine.spool.waiting(CHANNEL) > 2 {
        let k = machine.spool.peek(CHANNEL, Turn::Backlog).expect("there");
        machine.spool.take_one(k.channel, k.key);
        machine.spool.acknowledge(k.channel, k.key);
        machine.pump();
    }
    let k = machine.spool.peek(CHANNEL, Turn::Backlog).expect("there");
    machine.pass(100);
    machine.pump();
    machine.cut_power(0);
    machine.spool.synchronised(Now { mono: at(50).mono, utc: Utc::from_seconds(EIGHT + 200_000) });
    machine.pump();
    assert_eq!(machine.spool.peek(CHANNEL, Turn::Backlog).map(|w| w.created_at), Some(k.created_at), "{segs} segments");
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

#[test]
fn receipt_of_an_entry_that_is_gone_settles_no_new_one() {
    let mut machine = Machine::with(always(), Backlog::default());
    machine.push(20);
    machine.pump();
    machine.push(40);
    let k = machine.spool.peek(CHANNEL, Turn::Live(at(30).mono)).expect("there").key;
    machine.spool.take_one(CHANNEL, k);
    let job = machine.spool.job(machine.now).expect("there");
    machine.spool.acknowledge(CHANNEL, k);
    machine.disk.break_with(Some(std::io::ErrorKind::Other));
    let outcome = job.perform(&machine.disk);
    machine.spool.done(machine.now, outcome);
    machine.disk.break_with(None);
    machine.pass(100);
    machine.pump();
    let utc = machine.now.utc;
    machine.cut_power(0);
    machine.now = Now { mono: at(0).mono, utc };
    machine.spool.synchronised(machine.now);
    machine.push(20);
    machine.pump();
    let before = machine.spool.waiting(CHANNEL);
    machine.kill();
    assert_eq!(machine.spool.waiting(CHANNEL), before);
}

#[test]
fn flipped_boot_record_gives_no_wrong_times() {
    let mut machine = Machine::with(always(), Backlog::default());
    // boot 2 without clock, boot 3 without clock
    for _ in 0..2 {
        machine.cut_power(0);
        machine.now = Now { mono: at(0).mono, utc: Utc::from_seconds(EIGHT) };
        machine.push(20);
        machine.pump();
        machine.push(40);
        machine.pump();
    }
    let file = machine.disk.list().expect("there")[0].clone();
    let bytes = machine.disk.read(&file).expect("there");
    // each append begins with a boot record; flip the first one of boot 3 and the second
    let boots: Vec<usize> = (0..bytes.len() - 8)
        .filter(|&i| bytes[i..].starts_with(b"gp") && bytes[i + 8..].starts_with(&[0x82, 1, 0x50]))
        .collect();
    machine.disk.tamper(&file, |b| b[boots[3] + 9] ^= 1);
    machine.cut_power(0);
    machine.now = Now { mono: at(100).mono, utc: Utc::from_seconds(EIGHT + 5000) };
    machine.spool.synchronised(machine.now);
    machine.pump();
    let times: Vec<_> = machine.survey().into_values().map(|t| t.seconds() - EIGHT).collect();
    assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
}

#[test]
fn what_left_is_remembered_as_long_as_its_segment_is_there() {
    let mut machine = Machine::with(always(), Backlog::default());
    for s in (20..=2000).step_by(20) {
        machine.push(s);
    }
    machine.pump();
    // a live one settled in the newest, then killed: left = {it}
    let w = machine.spool.peek(CHANNEL, Turn::Live(machine.now.mono - Duration::from_secs(5))).expect("there");
    machine.spool.take_one(w.channel, w.key);
    machine.spool.acknowledge(w.channel, w.key);
    machine.pump();
    machine.kill();
    // drain so far that all are in memory: the gap closes
    machine.pump();
    while machine.spool.queues[&CHANNEL].head.is_some() {
        let k = machine.spool.peek(CHANNEL, Turn::Backlog).expect("there");
        machine.spool.take_one(k.channel, k.key);
        machine.spool.acknowledge(k.channel, k.key);
        machine.pump();
    }
    let left = machine.spool.waiting(CHANNEL);
    for s in (2020..=6000).step_by(20) {
        machine.push(s);
        machine.pump();
    }
    let drained = machine.drain();
    assert!(!drained.contains(&(w.created_at.seconds() - EIGHT)), "left {left}");
}

#[test]
fn entries_of_an_old_boot_that_turn_up_late_get_their_times_too() {
    let mut machine = Machine::with(always(), Backlog::default());
    machine.cut_power(0);
    machine.now = Now { mono: at(0).mono, utc: Utc::from_seconds(0) };
    for s in [20, 40, 60] {
        machine.push(s);
        machine.pump();
    }
    let disk = machine.disk.clone();
    machine.disk = Faulty::default(); // not mounted yet
    machine.cut_power(0);
    machine.spool.next = Key(1000);
    machine.now = at(100);
    machine.spool.synchronised(machine.now);
    machine.push(120);
    machine.disk = disk;
    machine.kill(); // mounted, restarted
    machine.spool.synchronised(machine.now);
    machine.pass(1000);
    machine.pump();
    assert_eq!(machine.spool.waiting(CHANNEL), 4);
    assert_eq!(machine.drain().len(), 4);
}

#[test]
fn log_torn_while_the_clock_was_told_makes_the_clock_be_asked_again() {
    let mut machine = Machine::new();
    machine.cut_power(0);
    machine.now = Now { mono: at(0).mono, utc: Utc::from_seconds(0) };
    for s in [20, 40, 60] {
        machine.push(s);
    }
    machine.now = Now { mono: at(65).mono, utc: Utc::from_seconds(EIGHT + 100_000) };
    machine.spool.synchronised(machine.now);
    machine.runtime.tamper("spool.log", |b| {
        let n = b.len() - 3;
        b.truncate(n);
    });
    machine.kill();
    machine.spool.synchronised(machine.now);
    assert_eq!(machine.drain().len(), 3);
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
fn words_about_an_entry_reach_its_own_channel_where_the_keys_of_two_are_interleaved() {
    let mut machine = Machine::with(always(), Backlog::default());
    for second in (20..=200).step_by(20) {
        machine.push_to(CHANNEL, second);
        machine.push_to(OTHER, second);
        machine.pump();
    }
    let sent = machine.spool.peek(OTHER, Turn::Backlog).expect("ten wait");
    machine.spool.take_one(sent.channel, sent.key);
    let at = machine.spool.reject(sent.channel, sent.key, Rejection::SecondTaken(&|_| false)).expect("it is taken");
    machine.kill();
    machine.pump();
    let again = machine.spool.peek(OTHER, Turn::Again).expect("it waits");
    assert_eq!((again.key, again.created_at), (sent.key, at));
    assert!(machine.spool.queues[&OTHER].sent.contains(&sent.key));
    assert!(machine.spool.queues[&CHANNEL].sent.is_empty() && machine.spool.queues[&CHANNEL].retimed.is_empty());
}

#[test]
fn bare_value_that_was_sent_before_a_kill_goes_out_with_its_time_afterwards() {
    let mut machine = Machine::new();
    let mut bare = draft(CHANNEL, 20);
    bare.form = Form::Field;
    machine.now = at(20);
    machine.spool.push(at(20), vec![bare]);
    let waiting = machine.spool.peek(CHANNEL, Turn::Live(at(10).mono)).expect("it is live");
    assert_eq!(waiting.form, Form::Field);
    machine.spool.take_one(waiting.channel, waiting.key);
    machine.kill();
    assert_eq!(machine.spool.peek(CHANNEL, Turn::Again).expect("it waits").form, Form::Feed);
}

#[test]
fn entry_that_was_set_aside_waits_no_more_though_the_power_is_cut_before_its_segment_is_told() {
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
fn entry_that_stands_behind_its_receipt_waits_no_more() {
    let mut machine = Machine::new();
    machine.push(20);
    let key = machine.spool.peek(CHANNEL, Turn::Backlog).expect("one waits").key;
    let mut log = Vec::new();
    LogRecord::Settled(key).append(&mut log);
    log.extend(machine.runtime.read(runtime_log::FILE).expect("there"));
    machine.runtime.tamper(runtime_log::FILE, |bytes| *bytes = log);
    for _ in 0..2 {
        machine.kill();
        assert_eq!((machine.spool.waiting(CHANNEL), machine.found.waiting.len()), (0, 0));
    }
}
