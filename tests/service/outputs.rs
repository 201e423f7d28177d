//! `gatepost outputs`: what is kept for the time after a crash. That pins really move is `just proof`'s.

use std::process::Command;

use nix::sys::signal::Signal;

use crate::manager::Manager;
use crate::program::{Program, gatepost};

const PUMP: &str = r#"
[channel.switches]
id = 2

[[output]]
name = "pump"
pin = 17
from = "switches.field1"
stop = "off"
"#;

fn outputs(manager: &Manager, arguments: &[&str]) -> Program {
    let mut command: Command = gatepost();
    command.arg("outputs").arg("--runtime-dir").arg(manager.path("run")).args(arguments);
    Program::start(command)
}

#[test]
fn stop_levels_outlive_the_daemon_and_a_map_that_is_changed_behind_it() {
    let manager = Manager::new(PUMP);
    let mut nothing = outputs(&manager, &[]);
    nothing.wait_for("no outputs to stop");

    let mut daemon = manager.start(manager.daemon());
    let mut list = outputs(&manager, &[]);
    list.wait_for("pump (GPIO17) is set to off at the stop");
    let mut early = outputs(&manager, &["--stop"]);
    early.wait_for("the daemon is running and drives the outputs");
    assert_eq!(early.wait_for_end().code(), Some(1));

    manager.write_map(&PUMP.replace("17", "99"));
    daemon.end_by(Signal::SIGKILL);
    // Pins are not driven here: this machine may be somebody's Pi.
    let mut list = outputs(&manager, &[]);
    list.wait_for("pump (GPIO17) is set to off at the stop");
}

#[test]
fn a_stop_in_order_leaves_nothing_that_a_later_failure_could_act_on() {
    let manager = Manager::new(PUMP);
    let mut daemon = manager.start(manager.daemon());
    daemon.end_by(Signal::SIGTERM);
    let mut command: Command = gatepost();
    command.args(["outputs", "--stop", "--runtime-dir"]).arg(manager.path("run")).env("SERVICE_RESULT", "exit-code");
    let mut stop = Program::start(command);
    stop.wait_for("no outputs to stop");
    assert!(stop.wait_for_end().success());
}

#[test]
fn after_a_stop_in_order_nothing_is_touched() {
    let manager = Manager::new(PUMP);
    let mut daemon = manager.start(manager.daemon());
    daemon.end_by(Signal::SIGTERM);
    let mut command: Command = gatepost();
    command.args(["outputs", "--stop", "--runtime-dir"]).arg(manager.path("run")).env("SERVICE_RESULT", "success");
    let mut stop = Program::start(command);
    assert!(stop.wait_for_end().success());
    assert_eq!(stop.said(), "");
}
