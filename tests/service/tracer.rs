//! A daemon with a file that is slow to open or never opens, as one on a server that is away: strace holds it up.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::manager::Manager;
use crate::program::{Program, gatepost, tool};

/// A daemon for which every opening of this one file takes so long; `when` counts the openings from 1: `2+` leaves out the first.
pub(crate) fn slow_file(manager: &Manager, path: &Path, takes: Duration, when: &str) -> Command {
    // In a user namespace of its own strace may look into a process that lets nobody look.
    let mut command: Command = tool("unshare", "util-linux");
    command.args(["--user", "--map-root-user"]).arg(tool("strace", "strace").get_program());
    // strace stands aside (-D), so that the process is the daemon.
    command.args(["-D", "-f", "-qq", "-e", "trace=openat,open", "-P"]).arg(path);
    let inject = format!("inject=openat,open:delay_enter={}:when={when}", takes.as_micros());
    command.args(["-e", &inject, "-o"]).arg(manager.path("trace"));
    command.arg(gatepost().get_program());
    manager.managed(command)
}

/// The strace that stands aside: it would sit out its delay, with the daemon's output in its hands.
pub(crate) struct Tracer(Pid);

impl Tracer {
    pub(crate) fn of(daemon: &Program) -> Self {
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
