//! Where records are kept: a folder of small files, behind a trait so that tests can tear, fill and break it.
//!
//! Only what a log needs: files are appended to, replaced as a whole, renamed and removed. No file is held open in between but
//! the lock, so that a folder that vanishes and comes back is noticed at the next write.
//!
//! [`Folder`] is one of the file system. It opens plain files of a sane size and nothing else (`plain`), and what is
//! locked is written by the process that has the lock and by no other (`lock`). [`Memory`] is for runs without directories.

#[cfg(any(test, fuzzing))]
#[cfg_attr(not(test), expect(dead_code, reason = "a fuzz target breaks the files and not the disk"))]
pub(crate) mod faulty;
mod folder;
mod lock;
mod memory;
mod plain;

use std::io;

pub use folder::Folder;
pub use memory::Memory;
pub use plain::LARGEST;

/// A folder of files, named without a path.
pub trait Storage: Send + Sync {
    /// The names of all that is in it, in no order. A folder that is not there has none.
    ///
    /// # Errors
    /// When the folder cannot be read.
    fn list(&self) -> io::Result<Vec<String>>;

    /// What a file holds.
    ///
    /// # Errors
    /// When it is not there or cannot be read. [`io::ErrorKind::InvalidInput`] for what is not a plain file, and
    /// [`io::ErrorKind::FileTooLarge`] beyond [`LARGEST`].
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;

    /// Adds to the end of a file of `whole` bytes. With `whole` 0 the file is made, and the folder. After an error a part may have
    /// been written.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] when the file is gone or of another length: somebody else was here, and nothing is written. Else
    /// when not everything could be written.
    fn append(&self, name: &str, whole: u64, bytes: &[u8]) -> io::Result<()>;

    /// Adds to a file behind its first `whole` bytes, and returns when a power cut would not undo that. With `whole` 0 the file is
    /// made, and the folder. What stands behind, from a try that failed, is cut off.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] when the file is gone or shorter than that: somebody else was here. Else when it cannot be
    /// said that all is durable.
    fn extend(&self, name: &str, whole: u64, bytes: &[u8]) -> io::Result<()>;

    /// Puts a whole file in the place of another: whoever reads finds the old one or the new one, after a crash too.
    /// `durable` returns when it would survive a power cut.
    ///
    /// # Errors
    /// When the old one is still there, or with `durable` may be after a power cut.
    fn replace(&self, name: &str, bytes: &[u8], durable: bool) -> io::Result<()>;

    /// Cuts a file.
    ///
    /// # Errors
    /// When it is as long as before, or may be after a power cut.
    fn truncate(&self, name: &str, length: u64) -> io::Result<()>;

    /// Removes a file; one that is not there is no error.
    ///
    /// # Errors
    /// When it is still there.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Gives a file another name, in the place of what has it. Whatever has the name is moved, a plain file or not.
    ///
    /// # Errors
    /// When it still has the old one.
    fn rename(&self, name: &str, to: &str) -> io::Result<()> {
        let _ = (name, to);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Whether the folder is still this process's alone, where it is locked. One that was removed, or whose lock was, is made
    /// and locked again. Returns whether that had to be done since this was last asked: what was in it may be gone.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when another process has it; else when it cannot be made again.
    fn still_ours(&self) -> io::Result<bool> {
        Ok(false)
    }
}

/// The end of a name that is not finished: [`Storage::replace`] was cut off.
pub(crate) const UNFINISHED: &str = ".new";
