//! Programs of this machine: started without a shell, in a process group of their own, which ends with them.
//!
//! What a program prints is bounded. It never runs twice at a time, and none outlives [`Programs::stop`].

#[cfg(all(test, target_os = "linux"))]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::reading::{Fault, in_seconds};

/// More than this a program may not print.
pub const OUTPUT_LIMIT: usize = 64 * 1024;

/// A program with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramCall {
    /// Its path and the arguments. Never empty.
    pub argv: Vec<String>,
    /// Variables besides the usual ones (`PATH`, `HOME`, `USER`, `LOGNAME`, `LANG`, `LC_ALL`, `TZ`); of ours it inherits no others.
    pub environment: BTreeMap<String, String>,
    /// It is killed after this.
    pub within: Duration,
}

/// Programs.
pub trait Programs: Send + Sync {
    /// Runs one to its end and returns what it printed. Blocks for as long as the call allows. While the same program with the
    /// same arguments runs, this waits.
    ///
    /// # Errors
    /// See [`ProgramError`].
    fn run(&self, call: &ProgramCall) -> Result<String, ProgramError>;

    /// Kills all that run, and starts none any more.
    fn stop(&self) {}
}

/// A program that gave no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    /// There is no such file, or its interpreter is missing.
    #[error("{0} does not exist, or its interpreter does not")]
    Missing(String),
    /// It cannot be started: the system's words.
    #[error("{path} cannot be started: {error}")]
    NotStarted {
        /// The program.
        path: String,
        /// The system's words.
        error: String,
    },
    /// It was killed for its time: let it be quicker, or raise `timeout`.
    #[error("killed: it ran for {}, and `timeout` allows no more", in_seconds(*.0))]
    Late(Duration),
    /// The same call was still running: it hangs, or two sensors call it.
    #[error("not started: the same program is still running")]
    Running,
    /// It was killed for what it printed.
    #[error("killed: it prints more than 64 KiB")]
    TooLong,
    /// It ended without success.
    #[error("{how}{}", if .said.is_empty() { String::new() } else { format!(": \"{}\"", .said) })]
    Failed {
        /// `exit code 3`, `killed by signal 11`.
        how: String,
        /// The last line of what it wrote to its standard error, or nothing.
        said: String,
    },
    /// gatepost stops.
    #[error("not started: gatepost stops")]
    Stopped,
    /// The machine cannot do this.
    #[error("programs run only on Linux; use --simulate")]
    Unsupported,
}

impl From<ProgramError> for Fault {
    fn from(error: ProgramError) -> Self {
        match error {
            ProgramError::Missing(_) => Self::Absent(error.to_string()),
            ProgramError::Unsupported => Self::Unsupported(error.to_string()),
            other => Self::Bus(other.to_string()),
        }
    }
}

/// A machine whose system lets us start nothing.
#[cfg(not(target_os = "linux"))]
#[derive(Debug, Default)]
pub(super) struct MachinePrograms;

#[cfg(not(target_os = "linux"))]
impl Programs for MachinePrograms {
    fn run(&self, _: &ProgramCall) -> Result<String, ProgramError> {
        Err(ProgramError::Unsupported)
    }
}

#[cfg(target_os = "linux")]
pub(super) use linux::MachinePrograms;

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeMap;
    use std::io::{self, Read};
    use std::os::fd::AsFd;
    use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
    use std::process::{Child, Command, ExitStatus, Stdio};
    use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
    use std::time::Instant;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::io::Errno;
    use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

    use super::{OUTPUT_LIMIT, ProgramCall, ProgramError, Programs};

    /// What of the standard error is kept, from its end.
    const COMPLAINT: usize = 2048;
    /// The most characters of it that are repeated.
    const QUOTED: usize = 120;
    /// The variables that a program inherits.
    const INHERITED: [&str; 7] = ["PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ"];

    /// The programs of this machine.
    #[derive(Debug, Default)]
    pub(in crate::hal) struct MachinePrograms {
        running: Mutex<Running>,
        ended: Condvar,
    }

    #[derive(Debug, Default)]
    struct Running {
        is_stopped: bool,
        /// Each call with its process group, which is there from the start on.
        groups: BTreeMap<Vec<String>, Option<Pid>>,
    }

    impl MachinePrograms {
        fn running(&self) -> MutexGuard<'_, Running> {
            self.running.lock().unwrap_or_else(PoisonError::into_inner)
        }

        /// Waits for the same call to end, and starts this one. The lock is held over the start, so that a stop misses none.
        fn start(&self, call: &ProgramCall, until: Instant) -> Result<Child, ProgramError> {
            let mut running = self.running();
            while running.groups.contains_key(&call.argv) {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(ProgramError::Running);
                }
                running = self.ended.wait_timeout(running, left).unwrap_or_else(PoisonError::into_inner).0;
            }
            if running.is_stopped {
                return Err(ProgramError::Stopped);
            }
            let child = spawn(call)?;
            running.groups.insert(call.argv.clone(), Some(Pid::from_child(&child)));
            Ok(child)
        }

        fn forget(&self, call: &ProgramCall) {
            self.running().groups.remove(&call.argv);
            self.ended.notify_all();
        }
    }

    impl Programs for MachinePrograms {
        fn run(&self, call: &ProgramCall) -> Result<String, ProgramError> {
            let until = Instant::now() + call.within;
            let mut child = self.start(call, until)?;
            let group = Pid::from_child(&child);
            let mut printed = Printed::default();
            let went = printed.collect(&mut child, group, until);
            // The group's number is its own until the child has been waited for, and whatever it left behind ends too.
            let _ = kill_process_group(group, Signal::KILL);
            let status = child.wait();
            self.forget(call);
            let failed =
                |error: io::Error| ProgramError::NotStarted { path: call.argv[0].clone(), error: error.to_string() };
            match went.map_err(failed)? {
                End::Late => Err(ProgramError::Late(call.within)),
                End::TooLong => Err(ProgramError::TooLong),
                End::Ended => printed.judge(status.map_err(failed)?),
            }
        }

        fn stop(&self) {
            let mut running = self.running();
            running.is_stopped = true;
            for group in running.groups.values().flatten() {
                let _ = kill_process_group(*group, Signal::KILL);
            }
        }
    }

    fn spawn(call: &ProgramCall) -> Result<Child, ProgramError> {
        let path = &call.argv[0];
        let mut command = Command::new(path);
        command.args(&call.argv[1..]).env_clear().current_dir("/").process_group(0);
        let inherited = INHERITED.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        command.envs(inherited).envs(&call.environment);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => ProgramError::Missing(path.clone()),
            _ => ProgramError::NotStarted { path: path.clone(), error: error.to_string() },
        })
    }

    enum End {
        Ended,
        Late,
        TooLong,
    }

    /// What a program has printed.
    #[derive(Default)]
    struct Printed {
        output: Vec<u8>,
        complaint: Vec<u8>,
    }

    impl Printed {
        /// Reads until the program has ended, or had its time.
        fn collect(&mut self, child: &mut Child, group: Pid, until: Instant) -> io::Result<End> {
            let ended = pidfd_open(group, PidfdFlags::empty())?;
            let mut output = child.stdout.take();
            let mut complaint = child.stderr.take();
            let mut has_ended = false;
            loop {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Ok(if has_ended { End::Ended } else { End::Late });
                }
                // What it has printed before its end is still in the pipes.
                let wait = if has_ended { Timespec::default() } else { Timespec::try_from(left).unwrap_or_default() };
                let [output_ready, complaint_ready, is_over] = ready(
                    [
                        output.as_ref().map(AsFd::as_fd),
                        complaint.as_ref().map(AsFd::as_fd),
                        (!has_ended).then(|| ended.as_fd()),
                    ],
                    wait,
                )?;
                if output_ready && !take(&mut output, &mut self.output)? {
                    output = None;
                }
                if complaint_ready && !take(&mut complaint, &mut self.complaint)? {
                    complaint = None;
                }
                if self.output.len() > OUTPUT_LIMIT {
                    return Ok(End::TooLong);
                }
                let surplus = self.complaint.len().saturating_sub(COMPLAINT);
                self.complaint.drain(..surplus);
                if is_over {
                    has_ended = true;
                    // What it left behind could fill the pipes for ever.
                    let _ = kill_process_group(group, Signal::KILL);
                }
                if has_ended && !output_ready && !complaint_ready && !is_over {
                    return Ok(End::Ended);
                }
            }
        }

        fn judge(self, status: ExitStatus) -> Result<String, ProgramError> {
            if status.success() {
                return Ok(String::from_utf8_lossy(&self.output).into_owned());
            }
            let how = match (status.code(), status.signal()) {
                (Some(code), _) => format!("exit code {code}"),
                (None, Some(signal)) => format!("killed by signal {signal}"),
                (None, None) => status.to_string(),
            };
            let complaint = String::from_utf8_lossy(&self.complaint);
            let last = complaint.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
            let shown = |c: char| if c.is_control() || c == char::REPLACEMENT_CHARACTER { '?' } else { c };
            Err(ProgramError::Failed { how, said: last.chars().take(QUOTED).map(shown).collect() })
        }
    }

    /// Reads what is there. Whether more may come.
    fn take(pipe: &mut Option<impl Read>, into: &mut Vec<u8>) -> io::Result<bool> {
        let Some(pipe) = pipe else { return Ok(false) };
        let mut page = [0; 4096];
        match pipe.read(&mut page) {
            Ok(read) => {
                into.extend_from_slice(&page[..read]);
                Ok(read > 0)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Which of these have something to say, after a wait for the first.
    fn ready(waiting: [Option<std::os::fd::BorrowedFd<'_>>; 3], wait: Timespec) -> io::Result<[bool; 3]> {
        let mut fds: Vec<_> = waiting.iter().flatten().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
        match poll(&mut fds, Some(&wait)) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok([false; 3]),
            Err(errno) => return Err(errno.into()),
        }
        let mut polled = fds.iter().map(|fd| !fd.revents().is_empty());
        Ok(waiting.map(|fd| fd.is_some() && polled.next().unwrap_or(false)))
    }
}
