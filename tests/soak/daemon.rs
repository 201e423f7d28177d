//! The daemon as a process: its log in a file, however much it says; what it takes of the machine; its end.

use std::fs::{self, OpenOptions};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A stop in order takes seconds; a busy machine gets the time it needs.
const STOPS_WITHIN: Duration = Duration::from_secs(90);

/// A daemon that runs. It ends with this value.
pub(crate) struct Daemon {
    child: Child,
}

/// What a process takes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Resident memory, and the most that it ever was, in KiB.
    pub(crate) resident: u32,
    pub(crate) peak: u32,
    /// Open file descriptors.
    pub(crate) descriptors: usize,
}

impl Daemon {
    /// Starts it; what it says goes behind what is in this file.
    pub(crate) fn start(mut command: Command, log: &Path) -> Self {
        let log = OpenOptions::new().append(true).create(true).open(log).expect("a file");
        let both = log.try_clone().expect("a descriptor is free");
        let child = command.stdin(Stdio::null()).stdout(log).stderr(both).spawn().expect("it starts");
        Self { child }
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<String> {
        self.child.try_wait().expect("it is a child of ours").map(describe)
    }

    /// Kills it with -9.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it is a child of ours");
        self.child.wait().expect("it is a child of ours");
    }

    /// Stops it in order.
    ///
    /// # Errors
    /// How it ended, or that it did not.
    pub(crate) fn stop(&mut self) -> Result<(), String> {
        kill(self.pid(), Signal::SIGTERM).expect("it is a child of ours");
        let until = Instant::now() + STOPS_WITHIN;
        while Instant::now() < until {
            match self.child.try_wait().expect("it is a child of ours") {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(format!("its stop {}", describe(status))),
                None => thread::sleep(Duration::from_millis(20)),
            }
        }
        Err(format!("it did not stop within {} s", STOPS_WITHIN.as_secs()))
    }

    /// What it takes now; nothing where it has ended.
    pub(crate) fn usage(&self) -> Usage {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let number = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key))?;
            line.split_whitespace().next()?.parse().ok()
        };
        let descriptors = fs::read_dir(format!("/proc/{}/fd", self.child.id())).map_or(0, Iterator::count);
        Usage {
            resident: number("VmRSS:").unwrap_or_default(),
            peak: number("VmHWM:").unwrap_or_default(),
            descriptors,
        }
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"))
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // One that has ended by itself cannot be killed any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
