//! Whether a daemon runs: it holds the lock of its runtime directory ([`crate::store::storage::Folder::lock`]).
//!
//! The lock is looked up among the kernel's, so that nobody's rights matter and a daemon that is just starting is not kept
//! from it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::Conclusion;

/// The service's runtime and state directory, as its unit has them.
const SERVICE_DIRECTORIES: [&str; 2] = ["/run/gatepost", "/var/lib/gatepost"];

/// A daemon that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// Its process.
    pub pid: i32,
    /// Its runtime directory.
    pub directory: PathBuf,
}

impl Running {
    /// The daemon that holds one of these runtime directories.
    pub fn find<'a>(directories: impl IntoIterator<Item = &'a Path>) -> Option<Self> {
        directories.into_iter().find_map(|directory| {
            let pid = holder_of(&directory.join("lock"))?;
            Some(Self { pid, directory: directory.to_owned() })
        })
    }

    /// How it is stopped: the service by systemd, one that was started by hand by its process.
    pub fn stop(&self) -> String {
        if self.is_service() { "sudo systemctl stop gatepost".to_owned() } else { format!("kill {}", self.pid) }
    }

    /// How it is asked.
    pub fn status(&self) -> String {
        if self.is_service() {
            "gatepost status".to_owned()
        } else {
            format!("gatepost status --runtime-dir {}", self.directory.display())
        }
    }

    fn is_service(&self) -> bool {
        SERVICE_DIRECTORIES.iter().any(|its| self.directory == Path::new(its))
    }

    /// The line that says so.
    pub fn line(&self, take_over: bool) -> Conclusion {
        let found = format!("gatepost is running (process {}, {})", self.pid, self.directory.display());
        if take_over {
            let advice = "--take-over logs in anyway, which interrupts the daemon for a moment";
            return Conclusion::warning("daemon", found, advice);
        }
        let found = format!(
            "{found} and holds the MQTT device's only connection: its hardware and the login are not tried. `{}` \
             shows its state. For the full check stop it with `{}`, or add --take-over",
            self.status(),
            self.stop()
        );
        Conclusion::ok("daemon", found)
    }
}

/// The process that has locked a file or a directory.
pub fn holder_of(path: &Path) -> Option<i32> {
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    let file = fs::metadata(path).ok()?;
    let device = (rustix::fs::major(file.dev()), rustix::fs::minor(file.dev()));
    holder(&locks, device, file.ino())
}

/// The process that holds a whole-file lock, from the kernel's list (proc(5), `/proc/locks`).
fn holder(locks: &str, (major, minor): (u32, u32), inode: u64) -> Option<i32> {
    let place = format!("{major:02x}:{minor:02x}:{inode}");
    let mut held = locks.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let held = held.find(|words| words.get(1) == Some(&"FLOCK") && words.get(5) == Some(&place.as_str()));
    held?.get(4)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::storage::Folder;

    #[test]
    fn lock_is_found_by_its_file_and_not_by_another_ones() {
        let locks = "1: POSIX  ADVISORY  READ 5433 08:01:7864448 128 128\n\
                     2: FLOCK  ADVISORY  WRITE 2001 00:18:1024 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 2002 00:18:1025 0 EOF\nrubbish\n";
        assert_eq!(holder(locks, (0, 0x18), 1024), Some(2001));
        assert_eq!(holder(locks, (0, 0x18), 1025), None, "somebody who waits has nothing");
        assert_eq!(holder(locks, (8, 1), 7_864_448), None, "not the daemon's kind of lock");
    }

    #[test]
    fn daemon_that_was_started_by_hand_is_stopped_and_asked_by_hand() {
        let line = |directory: &str| Running { pid: 42, directory: directory.into() }.line(false).to_string();
        let service = line("/run/gatepost");
        assert!(service.contains("`gatepost status` shows") && service.contains("`sudo systemctl stop gatepost`"));
        let own = line("/run/user/1000/gatepost");
        assert!(own.contains("`gatepost status --runtime-dir /run/user/1000/gatepost`"), "{own}");
        assert!(own.contains("`kill 42`") && !own.contains("systemctl"), "{own}");
    }

    #[test]
    fn daemon_is_found_by_the_lock_that_it_holds() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(Running::find([folder.path()]), None);
        fs::write(folder.path().join("lock"), b"").expect("written");
        assert_eq!(Running::find([folder.path()]), None, "a lock that nobody holds is a file");
        Folder::new(folder.path()).lock().expect("nobody has it");
        let running = Running::find([Path::new("/nowhere"), folder.path()]).expect("this process has it");
        assert_eq!(u32::try_from(running.pid), Ok(std::process::id()));
    }
}
