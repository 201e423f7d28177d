//! A daemon under strace: a system call of its choice fails, or kills it. The program under test is the real one, without
//! hooks; the kernel's view of it is exact where a timer would hit anything.
//!
//! strace counts calls for each thread by itself. The runtime directory's log is written by the main thread, the disk by the
//! disk's, and both directories are read by one thread at the start, so that a count is one of events in all of these.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::tool;

/// What is done to which calls.
#[derive(Debug, Default)]
pub(crate) struct Trap {
    paths: Vec<PathBuf>,
    calls: Vec<String>,
    injections: Vec<String>,
}

/// Calls that put a file in the place of another; which of them exist depends on the machine.
pub(crate) const RENAME: &str = "?rename,?renameat,?renameat2";
/// Calls that open a file.
pub(crate) const OPEN: &str = "?open,openat";
/// Calls that cut one.
pub(crate) const CUT: &str = "ftruncate,?ftruncate64";

impl Trap {
    /// The call number `when` among these is never carried out, and neither is anything after it.
    pub(crate) fn kill(calls: &str, when: usize) -> Self {
        Self::default().and(calls, "signal=SIGKILL", &when.to_string())
    }

    /// Calls fail with this error; `when` in strace's words: `3`, `3..5`.
    pub(crate) fn fail(calls: &str, error: &str, when: &str) -> Self {
        Self::default().and(calls, &format!("error={error}"), when)
    }

    /// Further calls.
    pub(crate) fn and(mut self, calls: &str, what: &str, when: &str) -> Self {
        self.calls.push(calls.to_owned());
        self.injections.push(format!("inject={calls}:{what}:when={when}"));
        self
    }

    /// Only calls on these files count.
    pub(crate) fn on(mut self, paths: impl IntoIterator<Item = PathBuf>) -> Self {
        self.paths.extend(paths);
        self
    }

    /// The same command under strace, which writes what it saw of these calls to a file.
    pub(crate) fn around(&self, command: &Command, seen: &Path) -> Command {
        let mut traced = strace(&self.calls.join(","), command, seen, |strace| {
            for path in &self.paths {
                strace.arg("-P").arg(path);
            }
            for injection in &self.injections {
                strace.arg("-e").arg(injection);
            }
        });
        traced.env_remove("RUST_LOG");
        traced
    }
}

/// A command under strace, which writes these calls with the paths of their files.
pub(crate) fn strace(calls: &str, command: &Command, seen: &Path, options: impl FnOnce(&mut Command)) -> Command {
    let mut strace = tool("strace", "strace");
    // As a grandchild it leaves the daemon our own child: signals and exit codes are the daemon's.
    strace.args(["-D", "-f", "-qq", "-y", "-s", "8", "-e", "signal=none"]);
    strace.arg("-e").arg(format!("trace={calls}")).arg("-o").arg(seen);
    options(&mut strace);
    strace.arg("--").arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => strace.env(name, value),
            None => strace.env_remove(name),
        };
    }
    strace
}
