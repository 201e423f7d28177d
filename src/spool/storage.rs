//! Where records are kept: a folder of small files, behind a trait so that tests can tear, fill and break it.
//!
//! Only what a log needs: files are appended to, replaced as a whole, and removed. Nothing is held open in between, so that a
//! folder that vanishes and comes back is noticed at the next write.

#[cfg(test)]
pub(crate) mod faulty;

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Seek as _, SeekFrom, Write as _};
#[cfg(unix)]
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::{Path, PathBuf};

/// A folder of files, named without a path.
pub trait Storage: Send + Sync {
    /// The names of all files, in no order. A folder that is not there has none.
    ///
    /// # Errors
    /// When the folder cannot be read.
    fn list(&self) -> io::Result<Vec<String>>;

    /// What a file holds.
    ///
    /// # Errors
    /// When it is not there or cannot be read.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;

    /// Adds to the end of a file; makes it, and the folder, where they are missing. After an error a part may have been
    /// written.
    ///
    /// # Errors
    /// When not everything could be written.
    fn append(&self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// Adds to a file behind its first `whole` bytes, and returns when a power cut would not undo that. With `whole` 0 the file is
    /// made, and the folder. What stands behind, from a try that failed, is cut off.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when the file is gone or shorter than that: somebody else was here. Else when it cannot be
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
}

/// A folder of the file system.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
    /// User and group that new files are given to.
    #[cfg(unix)]
    owner: Option<(u32, u32)>,
}

/// The end of a name that is not finished: [`Storage::replace`] was cut off.
pub(crate) const UNFINISHED: &str = ".new";

impl Folder {
    /// The folder at a path, which need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            #[cfg(unix)]
            owner: None,
        }
    }

    /// The same folder, whose new files will belong to whoever owns it: root may work in a folder of the service's.
    #[must_use]
    pub fn for_its_owner(self) -> Self {
        #[cfg(unix)]
        let owner = fs::metadata(&self.path).ok().map(|folder| (folder.uid(), folder.gid()));
        Self {
            #[cfg(unix)]
            owner,
            ..self
        }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps the folder for this process until it ends.
    ///
    /// # Errors
    /// [`ErrorKind::WouldBlock`] when another process has it; else when the folder cannot be used.
    pub fn lock(&self) -> io::Result<()> {
        let file = self.open("lock", private(OpenOptions::new().write(true).create(true).truncate(false)))?;
        #[cfg(target_os = "linux")]
        rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive)?;
        // The lock is the open file's, which the process keeps as long as it lives.
        std::mem::forget(file);
        Ok(())
    }

    fn open(&self, name: &str, options: &OpenOptions) -> io::Result<File> {
        let path = self.path.join(name);
        let file = match options.open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fs::create_dir_all(&self.path)?;
                #[cfg(unix)]
                if let Some(parent) = self.path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                    File::open(parent)?.sync_all()?;
                }
                options.open(&path)
            }
            opened => opened,
        }?;
        #[cfg(unix)]
        if let Some((user, group)) = self.owner
            && file.metadata()?.uid() != user
        {
            fchown(&file, Some(user), Some(group))?;
        }
        Ok(file)
    }

    /// Makes a change of names durable. Elsewhere than on Unix a folder cannot be synced.
    fn sync_names(&self) -> io::Result<()> {
        if cfg!(unix) { File::open(&self.path)?.sync_all() } else { Ok(()) }
    }
}

/// Readings are nobody else's business.
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o640);
    options
}

impl Storage for Folder {
    fn list(&self) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry?;
            if let (true, Ok(name)) = (entry.file_type()?.is_file(), entry.file_name().into_string()) {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.path.join(name))
    }

    fn append(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.open(name, private(OpenOptions::new().append(true).create(true)))?.write_all(bytes)
    }

    fn extend(&self, name: &str, whole: u64, bytes: &[u8]) -> io::Result<()> {
        let mut file = match whole {
            0 => self.open(name, private(OpenOptions::new().write(true).create(true).truncate(true)))?,
            _ => OpenOptions::new().write(true).open(self.path.join(name))?,
        };
        let length = file.metadata()?.len();
        if length < whole {
            return Err(io::Error::new(ErrorKind::NotFound, "the file is shorter than it was"));
        }
        file.set_len(whole)?;
        file.seek(SeekFrom::Start(whole))?;
        // One file for all three: an error of the disk is told to whoever has the file open, and once.
        file.write_all(bytes)?;
        file.sync_data()?;
        if whole == 0 { self.sync_names() } else { Ok(()) }
    }

    fn replace(&self, name: &str, bytes: &[u8], durable: bool) -> io::Result<()> {
        let unfinished = format!("{name}{UNFINISHED}");
        let mut file = self.open(&unfinished, private(OpenOptions::new().write(true).create(true).truncate(true)))?;
        let written = file.write_all(bytes).and_then(|()| if durable { file.sync_data() } else { Ok(()) });
        drop(file);
        let renamed = written.and_then(|()| fs::rename(self.path.join(&unfinished), self.path.join(name)));
        if let Err(error) = renamed {
            // What was written of it would only take up the last room.
            let _ = fs::remove_file(self.path.join(&unfinished));
            return Err(error);
        }
        if durable { self.sync_names() } else { Ok(()) }
    }

    fn truncate(&self, name: &str, length: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(self.path.join(name))?;
        file.set_len(length)?;
        file.sync_data()
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.path.join(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_is_made_when_something_is_kept_in_it_and_again_when_it_vanished() {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = Folder::new(parent.path().join("a/b"));
        assert_eq!(folder.list().expect("nothing is no error"), Vec::<String>::new());
        for _ in 0..2 {
            folder.append("log", b"one").expect("written");
            folder.append("log", b"two").expect("written");
            assert_eq!(folder.read("log").expect("there"), b"onetwo");
            fs::remove_dir_all(folder.path()).expect("gone");
        }
        folder.replace("log", b"whole", true).expect("written");
        folder.truncate("log", 2).expect("cut");
        assert_eq!(
            (folder.read("log").expect("there"), folder.list().expect("one")),
            (b"wh".to_vec(), vec!["log".to_owned()])
        );
        folder.remove("log").expect("removed");
        folder.remove("log").expect("not there is no error");
    }

    #[cfg(unix)]
    #[test]
    fn new_files_belong_to_who_owns_the_folder_where_that_is_asked_for() {
        use std::os::unix::fs::chown;
        let parent = tempfile::tempdir().expect("a folder");
        // Only root can give a folder away; for everybody else this holds by itself.
        let _ = chown(parent.path(), Some(12_345), Some(12_345));
        let folder = Folder::new(parent.path()).for_its_owner();
        folder.replace("log", b"whole", true).expect("written");
        let owner = |path: &Path| fs::metadata(path).expect("there").uid();
        assert_eq!(owner(&parent.path().join("log")), owner(parent.path()));
    }

    #[test]
    fn file_is_extended_behind_what_is_whole_and_only_if_that_is_there() {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = Folder::new(parent.path().join("a"));
        folder.extend("log", 0, b"one").expect("made");
        folder.extend("log", 3, b"two").expect("extended");
        folder.extend("log", 3, b"2").expect("the rest of the try before is cut off");
        assert_eq!(folder.read("log").expect("there"), b"one2");
        for (name, whole) in [("log", 5), ("gone", 1)] {
            let refused = folder.extend(name, whole, b"three").expect_err("somebody else was here");
            assert_eq!(refused.kind(), ErrorKind::NotFound, "{name}");
        }
        folder.extend("log", 0, b"anew").expect("made anew");
        assert_eq!(folder.read("log").expect("there"), b"anew");
    }
}
