//! The lock of a folder: one process at a time writes there.
//!
//! It is a lock of the kernel's (flock(2)), which ends with the process, however it ends: on a file of its own in the folder, or on
//! the directory around it, for which nothing need be written there. The lock is the open file's and not the name's: where
//! that was removed, or another one has its name, the process that comes next could lock that one too. So the name
//! is looked at before each write, and once a minute in any case; a lock that has vanished is taken again. When another
//! process was quicker, nothing is written there any more.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::Path;

use super::plain;

/// The file's name.
pub(super) const FILE: &str = "lock";

/// How a folder's lock stands.
#[derive(Debug, Default)]
pub(super) enum Lock {
    /// Nobody asked for it: the folder is only looked at, or a test's.
    #[default]
    Free,
    /// It was asked for, and could not be had so far: the folder cannot be written.
    Wanted,
    /// This process has it.
    Held(Locked),
    /// It was lost to another process.
    Lost,
}

impl Lock {
    /// Whether this process had the lock when that was last looked at, or nobody asked for it.
    pub(super) const fn is_ours(&self) -> bool {
        matches!(self, Self::Free | Self::Held(_))
    }
}

/// A file or a directory that is open and locked.
#[derive(Debug)]
pub(super) struct Locked {
    file: File,
    found: Metadata,
}

impl Locked {
    fn new(file: File, path: &Path) -> io::Result<Self> {
        let locked = Self { found: file.metadata()?, file };
        // Between opening and locking somebody may have put another one in its place.
        if locked.is_at(path) { Ok(locked) } else { Err(ErrorKind::Interrupted.into()) }
    }

    pub(super) const fn file(&self) -> &File {
        &self.file
    }

    /// Whether it still has its name. What cannot be looked at counts as being there: writing will say what is wrong.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        let found = fs::symlink_metadata(path);
        let found = if found.as_ref().is_ok_and(Metadata::is_symlink) { fs::metadata(path) } else { found };
        match found {
            Ok(there) => is_same(&self.found, &there),
            Err(error) => !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
        }
    }
}

/// Takes the lock of a folder that is there.
///
/// # Errors
/// [`ErrorKind::WouldBlock`] when another process has it; else when the file cannot be opened.
pub(super) fn take(path: &Path, options: &mut OpenOptions) -> io::Result<Locked> {
    let file = match plain::open(path, options) {
        // The lock of a folder that is write-protected, or of another user, can be held all the same.
        Err(error) if matches!(error.kind(), ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied) => {
            plain::open(path, OpenOptions::new().read(true)).map_err(|_| error)
        }
        opened => opened,
    }?;
    #[cfg(target_os = "linux")]
    rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive)?;
    Locked::new(file, path)
}

/// Takes the lock of a directory that is there.
///
/// # Errors
/// As [`take`].
pub(super) fn take_directory(path: &Path) -> io::Result<Locked> {
    if !fs::metadata(path)?.is_dir() {
        return Err(ErrorKind::NotADirectory.into());
    }
    let directory = File::open(path)?;
    #[cfg(target_os = "linux")]
    match rustix::fs::flock(&directory, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        // Some file systems lock no directories (NFS). There is nothing better for them than to go on.
        Err(error) if error != rustix::io::Errno::WOULDBLOCK => {
            log::debug!(path:% = path.display(), reason:% = error; "{} cannot be locked: {error}", path.display());
        }
        locked => locked?,
    }
    Locked::new(directory, path)
}

#[cfg(unix)]
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(not(unix))]
fn is_same(_: &Metadata, _: &Metadata) -> bool {
    true
}

/// What is said where another process has the folder.
pub(super) fn lost() -> io::Error {
    io::Error::new(ErrorKind::WouldBlock, "another process has locked it meanwhile")
}
