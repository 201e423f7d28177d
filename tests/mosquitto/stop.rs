//! The end: outputs at their stop level, goodbye to the broker, exit code 0, and soon.

use std::time::Duration;

use gatepost::net::Transport;
use nix::sys::signal::Signal;

use crate::broker::{Broker, GATEWAY};
use crate::gateway::Gateway;

/// It takes under a second where the machine has nothing else to do; this allows for one that has.
const PROMPTLY: Duration = Duration::from_secs(5);

#[test]
fn sigterm_ends_it_in_order() {
    ends_in_order(Signal::SIGTERM, Transport::Wss);
}

#[test]
fn ctrl_c_ends_it_in_order() {
    ends_in_order(Signal::SIGINT, Transport::Tls);
}

fn ends_in_order(signal: Signal, transport: Transport) {
    let mut broker = Broker::start();
    let gateway = Gateway::of(&broker, transport);
    let mut program = gateway.run_quietly();
    program.wait_for("link up");
    broker.tell("channels/3/subscribe/fields/field1", "1");
    gateway.wait_for_pin("GPIO23", "0");
    assert_eq!(gateway.pin("GPIO24"), "1", "the valve is off, and active low");

    let (status, took) = program.end_by(signal);
    println!("{signal} over {transport}: ended after {took:?}");
    assert!(status.success(), "{status}");
    assert!(took < PROMPTLY, "{took:?}");
    assert_eq!((gateway.pin("GPIO23"), gateway.pin("GPIO24")), ("1".to_owned(), "0".to_owned()), "off, and on");
    broker.log().wait_for(&format!("Received DISCONNECT from {GATEWAY}"));
    program.wait_for("stopping");
    program.wait_for("output valve: on (stop level)");
    program.wait_for("stopped");
    let said = program.said();
    let warned = said.lines().filter(|line| line.contains("WARN") && !line.contains("SIMULATED"));
    assert_eq!(warned.collect::<Vec<_>>(), [""; 0], "an orderly end is nothing to warn of");
}

#[test]
fn it_ends_as_soon_without_a_broker() {
    let mut broker = Broker::start();
    let gateway = Gateway::of(&broker, Transport::Wss);
    let mut program = gateway.run_quietly();
    program.wait_for("link up");
    broker.kill();
    program.wait_for("link down: ");
    let (status, took) = program.end_by(Signal::SIGTERM);
    println!("without a broker: ended after {took:?}");
    assert!(status.success(), "{status}");
    assert!(took < PROMPTLY, "{took:?}");
    assert_eq!(gateway.pin("GPIO24"), "0", "the stop level needs no broker");
}
