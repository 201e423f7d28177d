//! What was sent and what was acknowledged is known after a kill, a power cut and a failed write: no entry comes back.

use super::unreadable::Blind;
use super::*;
use crate::store::storage::Storage as _;

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
fn live_entry_that_left_from_the_disk_is_not_read_again() {
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
fn record_of_a_write_that_failed_does_not_come_back_after_its_acknowledgement() {
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
fn acknowledgements_in_a_segment_that_cannot_be_read_are_remembered() {
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
fn acknowledgement_of_an_entry_that_is_gone_settles_no_new_one() {
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
fn entry_that_stands_behind_its_acknowledgement_waits_no_more() {
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
fn changes_of_an_entry_reach_its_own_channel_where_the_keys_of_two_are_interleaved() {
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
