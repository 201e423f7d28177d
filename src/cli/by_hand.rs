//! Where a daemon is found that was started by hand and keeps no directories, as a simulated run: its socket is in a folder of this user's,
//! one for each process.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use gatepost::status::SOCKET;

/// The folder of this process, which is removed with it.
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Makes it, and removes those of processes that were killed.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(super) fn create() -> io::Result<Self> {
        Self::create_in(&all())
    }

    fn create_in(all: &Path) -> io::Result<Self> {
        let private = |path: &Path| fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
        private(all)?;
        check(all)?;
        for folder in in_folder(all) {
            if !is_alive(&folder) {
                let _ = fs::remove_dir_all(folder);
            }
        }
        let own = all.join(std::process::id().to_string());
        private(&own)?;
        Ok(Self(own))
    }

    /// Where its socket is.
    pub(super) fn socket(&self) -> PathBuf {
        self.0.join(SOCKET)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
        // Where it was the last one.
        let _ = self.0.parent().map(fs::remove_dir);
    }
}

/// The folders of all daemons of this user that were started by hand; the process number is each one's name.
pub(super) fn folders() -> Vec<PathBuf> {
    let all = all();
    if check(&all).is_ok() { in_folder(&all) } else { Vec::new() }
}

fn all() -> PathBuf {
    let user = rustix::process::geteuid().as_raw();
    let session = std::env::var_os("XDG_RUNTIME_DIR").filter(|path| !path.is_empty()).map(PathBuf::from);
    session.map_or_else(
        || std::env::temp_dir().join(format!("gatepost-{user}")),
        |session| session.join("gatepost-by-hand"),
    )
}

fn in_folder(all: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        fs::read_dir(all).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    folders.sort();
    folders
}

/// Whether the process of a folder still runs. Its socket says nothing: it may be about to make it.
fn is_alive(folder: &Path) -> bool {
    folder.file_name().is_some_and(|process| Path::new("/proc").join(process).exists())
}

/// In a directory that everybody may write, another user could have made it.
fn check(path: &Path) -> io::Result<()> {
    let known = fs::symlink_metadata(path)?;
    if known.is_dir() && known.uid() == rustix::process::geteuid().as_raw() && known.mode().trailing_zeros() >= 6 {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("{} is not this user's own", path.display())))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn folders_of_the_dead_are_removed_and_those_of_the_living_stay() {
        let place = tempfile::tempdir().expect("a folder");
        let all = place.path().join("all");
        let _own = Folder::create_in(&all).expect("made");
        let [dead, living] = ["999999999", "1"].map(|pid| all.join(pid));
        fs::create_dir(&dead).expect("made");
        fs::create_dir(&living).expect("made");
        let own = Folder::create_in(&all).expect("made");
        assert_eq!(in_folder(&all), [living, own.0.clone()]);
    }

    #[test]
    fn folder_that_others_may_write_is_not_used() {
        let place = tempfile::tempdir().expect("a folder");
        let [open, link] = ["open", "link"].map(|name| place.path().join(name));
        fs::create_dir(&open).expect("made");
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).expect("set");
        symlink(&open, &link).expect("made");
        assert!(Folder::create_in(&open).is_err() && Folder::create_in(&link).is_err());
    }
}
