//! Which time an entry gets, whatever the clock did and the disk had: one, its own, and no other entry's.

use super::*;

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
fn seconds_that_an_older_version_noted_are_not_given_again() {
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
fn times_that_were_given_before_the_disk_had_the_entries_outlive_a_power_cut() {
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
    assert_eq!(machine.spool.peek(CHANNEL, Turn::Backlog), None, "it waits until the disk has the time");
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
fn disk_gets_after_a_kill_what_it_missed_before() {
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
fn new_second_of_an_entry_that_is_being_written_reaches_the_disk() {
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
fn beginning_of_a_boot_does_not_go_with_the_segment_that_held_it() {
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
fn log_torn_while_the_clock_was_noted_makes_the_clock_be_asked_again() {
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
