//! A new map at SIGHUP.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::manager::Manager;
use crate::program::gatepost;

const UPTIME: &str = r#"
[[sensor]]
name = "machine"
use = "system"
every = "1s"
to.uptime = "house.field1"
"#;

#[test]
fn a_good_map_is_taken_and_a_bad_one_refused_and_the_manager_is_told_of_both() {
    let manager = Manager::new(UPTIME);
    let mut daemon = manager.start(manager.daemon());
    daemon.wait_for("running");

    manager.write_map(&format!(
        "{UPTIME}to.load1 = \"house.field2\"\n[[sensor]]\nname = \"second\"\nuse = \"system\"\n\
         every = \"5s\"\nto.cpu_temperature = \"house.field3\"\n"
    ));
    daemon.signal(Signal::SIGHUP);
    let reloading = manager.wait_for("RELOADING=1");
    assert!(reloading.contains("MONOTONIC_USEC="), "{reloading}");
    daemon.wait_for("map reloaded: added sensor ");
    manager.wait_for("READY=1");

    manager.write_map(&UPTIME.replace("uptime", "uptyme"));
    daemon.signal(Signal::SIGHUP);
    manager.wait_for("RELOADING=1");
    manager.wait_for("STATUS=running with the old map (the new one has faults)");
    daemon.wait_for("the new map is not used, and the old one stays in force");
    daemon.wait_for("did you mean `uptime`?");
    manager.wait_for("READY=1");

    assert!(!daemon.command_line().contains("0123456789abcdef"));
    let (status, _) = daemon.end_by(Signal::SIGTERM);
    assert!(status.success(), "{status}");
    manager.wait_for("STOPPING=1");
    assert!(!daemon.said().contains("0123456789abcdef"), "the password is no secret any more");
}

#[test]
fn a_crash_leaves_no_image_of_the_memory_that_holds_the_password() {
    let manager = Manager::new(UPTIME);
    // The shell lifts the limit that would keep a core from being written, and becomes the daemon.
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -c unlimited; exec \"$@\"", "sh"]).arg(gatepost().get_program());
    shell.current_dir(manager.path(""));
    let mut daemon = manager.start(manager.managed(shell));
    let (status, _) = daemon.end_by(Signal::SIGABRT);
    assert_eq!((status.signal(), status.core_dumped()), (Some(Signal::SIGABRT as i32), false));
}

#[test]
fn a_map_with_faults_at_the_start_ends_it_with_the_code_that_is_not_restarted() {
    let manager = Manager::new(&UPTIME.replace("uptime", "uptyme"));
    let mut daemon = crate::program::Program::start(manager.daemon());
    assert_eq!(daemon.wait_for_end().code(), Some(78));
}
