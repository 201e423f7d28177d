//! The watchdog is fed while all is well, and not while a read hangs.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::manager::Manager;
use crate::program::{Program, gatepost, tool};

fn map(path: &str) -> String {
    format!(
        r#"
[[sensor]]
name = "tank"
use = "file"
path = "{path}"
every = "1s"
timeout = "500ms"
to.value = "house.field1"

[[sensor]]
name = "machine"
use = "system"
every = "1s"
to.uptime = "house.field2"
"#
    )
}

/// The strace that stands aside: it would sit out its delay, with the daemon's output in its hands.
struct Tracer(Pid);

impl Tracer {
    fn of(daemon: &Program) -> Self {
        let status = fs::read_to_string(format!("/proc/{}/status", daemon.id())).expect("it runs");
        let pid = status.lines().find_map(|line| line.strip_prefix("TracerPid:")).expect("a line of the kernel's");
        Self(Pid::from_raw(pid.trim().parse().expect("a process id")))
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // It may have ended with the daemon.
        let _ = kill(self.0, Signal::SIGKILL);
    }
}

#[test]
fn a_well_daemon_feeds_and_one_with_a_read_that_hangs_does_not_and_names_the_sensor() {
    let manager = Manager::new("");
    let level = manager.path("level");
    fs::write(&level, "7").expect("written");
    manager.write_map(&map(&level.display().to_string()));

    // strace stands aside (-D), so that the process is the daemon. Every opening of this one file takes ten minutes from its second one on: a device that never answers.
    // In a user namespace of its own strace may look into a process that lets nobody look.
    let mut command: Command = tool("unshare", "util-linux");
    command.args(["--user", "--map-root-user"]).arg(tool("strace", "strace").get_program());
    command.args(["-D", "-f", "-qq", "-e", "trace=openat,open", "-P"]).arg(&level);
    command.args(["-e", "inject=openat,open:delay_enter=600000000:when=2+", "-o"]).arg(manager.path("trace"));
    command.arg(gatepost().get_program());
    let mut command = manager.managed(command);
    command.env("WATCHDOG_USEC", "3000000");
    let mut daemon = manager.start(command);
    let tracer = Tracer::of(&daemon);
    manager.wait_for("WATCHDOG=1");
    let told = daemon.wait_for("hangs");
    assert!(told.contains("sensor tank hangs"), "{told}");
    // What was said before may still be in the line; from here on there is silence for longer than the interval.
    while manager.hear().is_some() {}
    let until = Instant::now() + Duration::from_secs(6);
    while Instant::now() < until {
        let heard = manager.hear();
        assert_ne!(heard.as_deref(), Some("WATCHDOG=1"), "it is not fed while the read hangs");
    }
    assert!(daemon.said().matches("hangs").count() == 1, "told once");
    drop(tracer);
    daemon.end_by(Signal::SIGKILL);
}

#[test]
fn a_daemon_whose_reads_end_feeds_on() {
    let manager = Manager::new("");
    let level = manager.path("level");
    fs::write(&level, "7").expect("written");
    manager.write_map(&map(&level.display().to_string()));
    let mut command = manager.daemon();
    command.env("WATCHDOG_USEC", "1200000");
    let mut daemon = manager.start(command);
    for _ in 0..4 {
        manager.wait_for("WATCHDOG=1");
    }
    let (status, _) = daemon.end_by(Signal::SIGTERM);
    assert!(status.success(), "{status}");
}
