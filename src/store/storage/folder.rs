//! A folder of the file system.

mod modes;
mod owner;

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::lock::{self, Lock};
use super::{Storage, UNFINISHED, plain};
use modes::{PRIVATE, SHOWN, make_and, private};
use owner::Pinned;

/// A folder of the file system. Its clones share its lock.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
    mode: u32,
    lock: Arc<Mutex<Held>>,
    /// The directory whose lock is the folder's; it has a file for that where there is none.
    locked_with: Option<PathBuf>,
    /// The folder itself where it is another user's, who could put a link in its place.
    pinned: Option<Arc<Pinned>>,
}

#[derive(Debug, Default)]
struct Held {
    lock: Lock,
    /// It was taken again since that was last asked.
    is_new: bool,
}

impl Folder {
    /// The folder at a path, which need not exist yet. One that has to be made is for its owner and the group.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), mode: PRIVATE, lock: Arc::default(), locked_with: None, pinned: None }
    }

    /// The same folder, whose lock is that of the directory around it: nothing is written for it.
    #[must_use]
    pub fn locked_with_its_parent(self) -> Self {
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        Self { locked_with: Some(parent.unwrap_or(Path::new(".")).to_owned()), ..self }
    }

    /// What is locked.
    pub fn lock_path(&self) -> PathBuf {
        self.locked_with.clone().unwrap_or_else(|| self.path.join(lock::FILE))
    }

    /// The same folder, which everybody may enter where it has to be made: there is a socket in it.
    #[must_use]
    pub fn shown(self) -> Self {
        Self { mode: SHOWN, ..self }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps the folder for this process until it ends: from now on nothing is written here without the lock.
    ///
    /// # Errors
    /// [`ErrorKind::WouldBlock`] when another process has it. Else the folder cannot be used now; the lock is taken as soon
    /// as it can.
    pub fn lock(&self) -> io::Result<()> {
        let mut held = self.held();
        if matches!(held.lock, Lock::Free) {
            held.lock = Lock::Wanted;
            // The lock is the process's, and does not end with the value that asked for it.
            std::mem::forget(Arc::clone(&self.lock));
            self.close_to_others();
        }
        self.hold(&mut held)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the lock, if somebody asked for it.
    fn hold(&self, held: &mut Held) -> io::Result<()> {
        let path = self.locked_with.clone().unwrap_or_else(|| self.at(lock::FILE));
        let had = match &held.lock {
            Lock::Free => return Ok(()),
            Lock::Lost => return Err(lock::lost()),
            Lock::Held(file) if file.is_at(&path) => return Ok(()),
            Lock::Held(_) => true,
            Lock::Wanted => false,
        };
        let mut options = OpenOptions::new();
        private(options.read(true).write(true).create(true).truncate(false));
        let taken = match &self.locked_with {
            Some(directory) => make_and(directory, self.mode, || lock::take_directory(directory)),
            None => self
                .make_and(|| lock::take(&path, &mut options))
                .and_then(|locked| self.give(locked.file()).map(|()| locked)),
        };
        match taken {
            Ok(file) => {
                held.lock = Lock::Held(file);
                held.is_new |= had;
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if had {
                    held.lock = Lock::Lost;
                }
                Err(lock::lost())
            }
            Err(error) => Err(error),
        }
    }

    /// To be called before each change.
    fn writable(&self) -> io::Result<()> {
        self.hold(&mut self.held())
    }

    /// Where a file is. A folder that is held open is reached through that, and not by its name.
    fn at(&self, name: &str) -> PathBuf {
        self.base().join(name)
    }

    fn base(&self) -> PathBuf {
        #[cfg(target_os = "linux")]
        if let Some(pinned) = &self.pinned {
            use std::os::fd::AsRawFd as _;
            return PathBuf::from(format!("/proc/self/fd/{}", pinned.folder.as_raw_fd()));
        }
        self.path.clone()
    }

    /// Opens a file for writing; makes it where the options say so, and the folder.
    fn open(&self, name: &str, options: &mut OpenOptions) -> io::Result<File> {
        let path = self.at(name);
        let file = self.make_and(|| plain::open(&path, options))?;
        self.give(&file).map(|()| file)
    }

    fn open_existing(&self, name: &str) -> io::Result<File> {
        let file = plain::open(&self.at(name), OpenOptions::new().write(true))?;
        self.give(&file).map(|()| file)
    }

    /// Does something in the folder. Where that finds it missing, it is made first.
    fn make_and<T>(&self, mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        if self.pinned.is_some() { attempt() } else { make_and(&self.path, self.mode, attempt) }
    }

    /// Makes a change of names durable. Elsewhere than on Unix a folder cannot be synced.
    fn sync_names(&self) -> io::Result<()> {
        if cfg!(unix) { File::open(self.base())?.sync_all() } else { Ok(()) }
    }

    /// A file that is not there yet; what a crash or somebody else left under its name goes.
    fn anew(&self, name: &str) -> io::Result<File> {
        let mut options = OpenOptions::new();
        private(options.write(true).create_new(true));
        match self.open(name, &mut options) {
            Err(error) if matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::InvalidInput) => {
                fs::remove_file(self.at(name)).map_err(|_| error)?;
                self.open(name, &mut options)
            }
            opened => opened,
        }
    }
}

impl Storage for Folder {
    fn list(&self) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(self.base()) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut names = Vec::new();
        for entry in entries {
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let file = plain::open(&self.at(name), OpenOptions::new().read(true))?;
        self.alone(&file)?;
        plain::read(&file)
    }

    fn append(&self, name: &str, whole: u64, bytes: &[u8]) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.append(true);
        if whole == 0 {
            self.writable()?;
            self.open(name, private(options.create(true)))?;
        } else if !self.held().lock.is_ours() {
            self.writable()?;
        }
        // A file as long as it was left is ours: what says so costs a fifth of the look at the lock's name.
        let opened = plain::open_with_length(&self.at(name), &mut options);
        let (mut file, length) = opened.or_else(|error| self.writable().and(Err(error)))?;
        if length != whole {
            self.writable()?;
            return Err(io::Error::new(ErrorKind::NotFound, "the file is not as long as it was"));
        }
        self.give(&file)?;
        file.write_all(bytes)
    }

    fn extend(&self, name: &str, whole: u64, bytes: &[u8]) -> io::Result<()> {
        self.writable()?;
        let mut file = match whole {
            0 => self.open(name, private(OpenOptions::new().write(true).create(true).truncate(false)))?,
            _ => self.open_existing(name)?,
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
        self.writable()?;
        let unfinished = format!("{name}{UNFINISHED}");
        let mut file = self.anew(&unfinished)?;
        let written = file.write_all(bytes).and_then(|()| if durable { file.sync_data() } else { Ok(()) });
        drop(file);
        let renamed = written.and_then(|()| fs::rename(self.at(&unfinished), self.at(name)));
        if let Err(error) = renamed {
            // What was written of it would only take up the last room.
            let _ = fs::remove_file(self.at(&unfinished));
            return Err(error);
        }
        if durable { self.sync_names() } else { Ok(()) }
    }

    fn truncate(&self, name: &str, length: u64) -> io::Result<()> {
        self.writable()?;
        let file = self.open_existing(name)?;
        file.set_len(length)?;
        file.sync_data()
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.writable()?;
        match fs::remove_file(self.at(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn rename(&self, name: &str, to: &str) -> io::Result<()> {
        self.writable()?;
        fs::rename(self.at(name), self.at(to))?;
        self.sync_names()
    }

    fn still_ours(&self) -> io::Result<bool> {
        let mut held = self.held();
        let was_held = matches!(held.lock, Lock::Held(_) | Lock::Lost);
        match self.hold(&mut held) {
            // It never was: each write says why.
            Err(error) if !was_held && error.kind() != ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
            Ok(()) => Ok(std::mem::take(&mut held.is_new)),
        }
    }
}

#[cfg(test)]
mod tests;
