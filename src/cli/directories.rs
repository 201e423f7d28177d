//! Where entries are kept: the directories that systemd gives a service, or those of a user's session.

use std::env;
use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use gatepost::store::storage::Folder;

/// The two directories.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Directories {
    /// Memory-backed.
    pub(super) runtime: PathBuf,
    /// On the disk.
    pub(super) state: PathBuf,
}

/// Where the service has them.
pub(super) const SERVICE: [&str; 2] = ["/run/gatepost", "/var/lib/gatepost"];

impl Directories {
    /// Those that were named, or else systemd's, the user's, or (for root) the service's. The spool has a folder of its own
    /// in the state directory.
    pub(super) fn of(runtime: Option<PathBuf>, state: Option<PathBuf>) -> Option<Self> {
        Self::from(runtime, state, is_root(), |name| env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn from(
        runtime: Option<PathBuf>,
        state: Option<PathBuf>,
        is_root: bool,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Option<Self> {
        // systemd separates several by colons; ours is the first.
        let first = |name| variable(name).and_then(|paths| paths.split(':').next().map(PathBuf::from));
        let own = |base: Option<PathBuf>| base.map(|base| base.join("gatepost"));
        let [service_runtime, service_state] = SERVICE.map(|path| is_root.then(|| PathBuf::from(path)));
        let home = || Some(PathBuf::from(variable("HOME")?).join(".local/state"));
        let runtime = runtime
            .or_else(|| first("RUNTIME_DIRECTORY"))
            .or(service_runtime)
            .or_else(|| own(first("XDG_RUNTIME_DIR")))?;
        let state = state
            .or_else(|| first("STATE_DIRECTORY"))
            .or(service_state)
            .or_else(|| own(first("XDG_STATE_HOME").or_else(home)))?;
        Some(Self { runtime, state: state.join("spool") })
    }
}

/// What this process makes is for its user and group alone, whatever mask it was started with.
pub(super) fn keep_files_private() {
    #[cfg(target_os = "linux")]
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o027));
}

/// Locks a directory for the rest of this process. Returns why it cannot be used, where that is no reason to give up.
///
/// # Errors
/// When another gatepost has it.
pub(super) fn lock(folder: &Folder, advice: &str) -> anyhow::Result<Option<std::io::Error>> {
    match folder.lock() {
        Ok(()) => Ok(None),
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            bail!("{} is in use by another gatepost{}: {advice}", folder.path().display(), holder(folder))
        }
        Err(error) => Ok(Some(error)),
    }
}

/// How the daemon that has a directory is stopped.
#[cfg(target_os = "linux")]
pub(super) fn stop(folder: &Folder) -> String {
    use gatepost::doctor::daemon::{Running, holder_of};
    let running = |pid| Running { pid, directory: folder.path().to_owned() };
    holder_of(&folder.lock_path()).map_or_else(|| "sudo systemctl stop gatepost".to_owned(), |pid| running(pid).stop())
}

#[cfg(not(target_os = "linux"))]
pub(super) fn stop(_: &Folder) -> String {
    "sudo systemctl stop gatepost".to_owned()
}

/// The process that has a directory, where the kernel says so.
#[cfg(target_os = "linux")]
fn holder(folder: &Folder) -> String {
    let holder = gatepost::doctor::daemon::holder_of(&folder.lock_path());
    holder.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

#[cfg(not(target_os = "linux"))]
fn holder(_: &Folder) -> String {
    String::new()
}

/// The service's directory, or one that was named, to work in as its owner would.
pub(super) fn of_its_owner(folder: Folder) -> anyhow::Result<Folder> {
    let path = folder.path().display().to_string();
    folder.for_its_owner().with_context(|| format!("{path} is not used"))
}

#[cfg(target_os = "linux")]
pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[cfg(not(target_os = "linux"))]
pub(super) const fn is_root() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(is_root: bool, variables: &[(&str, &str)]) -> Option<[String; 2]> {
        let variable =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let found = Directories::from(None, None, is_root, variable)?;
        Some([found.runtime, found.state].map(|path| path.display().to_string()))
    }

    #[test]
    fn directories_are_those_of_systemd_of_root_or_of_the_user() {
        let systemd = [("RUNTIME_DIRECTORY", "/run/gatepost:/run/other"), ("STATE_DIRECTORY", "/var/lib/gatepost")];
        let service = Some(["/run/gatepost".to_owned(), "/var/lib/gatepost/spool".to_owned()]);
        assert_eq!(found(false, &systemd), service);
        assert_eq!(found(true, &[]), service);
        let user = [("XDG_RUNTIME_DIR", "/run/user/1000"), ("HOME", "/home/pi")];
        let expected = ["/run/user/1000/gatepost", "/home/pi/.local/state/gatepost/spool"].map(str::to_owned);
        assert_eq!(found(false, &user), Some(expected));
        assert_eq!(found(false, &[("HOME", "/home/pi")]), None, "nothing is memory-backed there");
    }
}
