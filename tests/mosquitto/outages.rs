//! A broker that is not there yet, goes away and comes back, or is shared with a second program.

use std::time::Duration;

use gatepost::net::Transport;
use gatepost::time::Utc;
use nix::sys::signal::Signal;

use crate::broker::{Broker, GATEWAY};
use crate::gateway::Gateway;
use crate::program::Program;

/// How long it is watched that a dead broker does not fill the log.
const SILENCE: Duration = Duration::from_secs(30);
/// How long two programs with one client id are watched.
const RIVALRY: Duration = Duration::from_secs(15);

/// The log's words for what happens to an entry of channel 1.
const OF_CHANNEL: &str = "channel greenhouse: entry of ";

/// The time behind these words.
fn time_after(words: &str, line: &str) -> Utc {
    let rest = line.split_once(words).map(|(_, rest)| rest.split_whitespace().next().unwrap_or_default());
    rest.and_then(Utc::parse).unwrap_or_else(|| panic!("no time behind {words:?}: {line}"))
}

/// The time of the next entry of channel 1 that the watcher hears.
fn next_heard(watcher: &mut Program) -> Utc {
    time_after("created_at=", &watcher.wait_for("channels/1/publish "))
}

/// Times of the entries that its log says were closed.
fn closed(program: &Program) -> Vec<Utc> {
    let said = program.said();
    let lines = said.lines().filter(|line| line.contains(OF_CHANNEL) && line.ends_with(" made"));
    lines.map(|line| time_after(OF_CHANNEL, line)).collect()
}

/// Starts the broker again with a watcher that misses nothing: until it is there, the gateway is kept from connecting.
fn revive(broker: &mut Broker, gateway: &Program) -> Program {
    gateway.signal(Signal::SIGSTOP);
    broker.revive();
    let watcher = broker.watch();
    gateway.signal(Signal::SIGCONT);
    watcher
}

#[test]
fn a_broker_that_comes_later_gets_what_was_measured_before() {
    let mut broker = Broker::start();
    broker.kill();
    let gateway = Gateway::of(&broker, Transport::Wss);
    let mut program = gateway.run();
    program.wait_for("link down: nothing listens at localhost:");
    gateway.wait_for_pin("GPIO17", "0");
    let first = time_after(OF_CHANNEL, &program.wait_for(OF_CHANNEL));
    let mut watcher = revive(&mut broker, &program);
    program.wait_for("link up again after");
    // What was measured last goes first.
    assert!((0..10).any(|_| next_heard(&mut watcher) == first), "{first} never comes");
}

/// Whether the times are those of two queues, each in its order: what was measured last, and before it the backlog.
fn are_two_in_order(times: &[Utc]) -> bool {
    let (mut ahead, mut behind) = (None, None);
    times.iter().all(|at| {
        let queue = if ahead.is_none_or(|last| last < *at) { &mut ahead } else { &mut behind };
        let in_order = queue.is_none_or(|last| last < *at);
        *queue = Some(*at);
        in_order
    })
}

#[test]
fn entries_of_an_outage_arrive_afterwards_in_order_with_their_own_times() {
    let mut broker = Broker::start();
    let mut watcher = broker.watch();
    let gateway = Gateway::of(&broker, Transport::Wss);
    let mut program = gateway.run();
    let first = next_heard(&mut watcher);
    drop(watcher);
    broker.kill();
    program.wait_for("link down: the broker closed the connection");
    for _ in 0..4 {
        program.wait_for(OF_CHANNEL);
    }
    let mut watcher = revive(&mut broker, &program);
    program.wait_for("link up again after");
    let all: Vec<Utc> = closed(&program).into_iter().filter(|at| *at > first).collect();
    assert!(all.len() >= 4, "{all:?}");
    let mut arrived = Vec::new();
    // The first may have reached the broker just before it was killed, unseen by the watcher that the broker took with it. It is sent
    // again then, as is the one before it where its acknowledgement was lost; what is sent again has its place behind what never was.
    while !all[1..].iter().all(|at| arrived.contains(at)) {
        arrived.push(next_heard(&mut watcher));
    }
    let never_sent: Vec<Utc> = arrived.iter().copied().filter(|at| *at > all[0]).collect();
    assert!(are_two_in_order(&never_sent), "{arrived:?}");
    arrived.retain(|at| all.contains(at));
    assert!(arrived.len() >= 4, "closed {all:?}, arrived {arrived:?}");
    println!("{} entries of the outage after {first}, in order", arrived.len());
}

#[test]
fn a_dead_broker_does_not_fill_the_log() {
    let mut broker = Broker::start();
    broker.kill();
    let gateway = Gateway::of(&broker, Transport::Tcp);
    let mut program = gateway.run_quietly();
    program.wait_for("link down: ");
    assert_eq!(program.hear("a line that never comes", SILENCE), None);
    let said = program.said();
    println!("{said}");
    // Three outputs, the start, and the link.
    assert!(said.lines().count() <= 6, "{said}");
}

#[test]
fn two_programs_with_one_client_id_do_not_chase_each_other() {
    let mut broker = Broker::start();
    let gateways = [(); 2].map(|()| Gateway::of(&broker, Transport::Tcp));
    let mut programs: Vec<Program> = gateways.iter().map(Gateway::run_quietly).collect();
    for program in &mut programs {
        program.wait_for("link up");
    }
    broker.log().wait_for("already connected, closing old connection");
    assert_eq!(broker.log().hear("a line that never comes", RIVALRY), None);
    let logins = broker.log().said().matches(&format!("as {GATEWAY} (")).count();
    let lines: Vec<usize> = programs.iter().map(|program| program.said().lines().count()).collect();
    println!("{logins} logins, {lines:?} lines of log\n{}", programs[0].said());
    // A hot loop makes thousands; waits that grow make a dozen.
    assert!(logins <= 60, "{logins} logins in {} s", RIVALRY.as_secs());
    assert!(programs.iter().any(|program| program.said().contains("another program may use the same MQTT device")));
}
