//! A folder of the file system.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Seek as _, SeekFrom, Write as _};
#[cfg(unix)]
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::lock::{self, Lock};
use super::{Storage, UNFINISHED, plain};

/// What new files may be: readings are nobody else's business.
const FILES: u32 = 0o640;
/// What a new folder may be.
const PRIVATE: u32 = 0o750;
/// What one may be in which everybody finds a socket.
const SHOWN: u32 = 0o755;

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

/// A folder that is held open, and who owns it.
#[derive(Debug)]
struct Pinned {
    #[cfg(target_os = "linux")]
    folder: File,
    #[cfg(unix)]
    owner: (u32, u32),
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

    /// The same folder for somebody, root most often, who works in what is another user's: new files will belong to whoever
    /// owns it. It is held open, so that a link that is put in its place later leads nowhere.
    ///
    /// # Errors
    /// When a link is there that is neither root's nor this user's, or it cannot be opened. A folder that is not there is no
    /// error.
    #[cfg(target_os = "linux")]
    pub fn for_its_owner(self) -> io::Result<Self> {
        let folder = match open_folder(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(self),
            opened => opened?,
        };
        let found = folder.metadata()?;
        let pinned = Pinned { folder, owner: (found.uid(), found.gid()) };
        Ok(Self { pinned: Some(Arc::new(pinned)), ..self })
    }

    /// As on Linux, without holding it.
    #[cfg(not(target_os = "linux"))]
    pub fn for_its_owner(self) -> io::Result<Self> {
        #[cfg(unix)]
        let pinned = fs::metadata(&self.path).ok().map(|found| Pinned { owner: (found.uid(), found.gid()) });
        #[cfg(not(unix))]
        let pinned = None;
        Ok(Self { pinned: pinned.map(Arc::new), ..self })
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
            Lock::Held(file) if lock::is_at(file, &path) => return Ok(()),
            Lock::Held(_) => true,
            Lock::Wanted => false,
        };
        let mut options = OpenOptions::new();
        private(options.read(true).write(true).create(true).truncate(false));
        let taken = match &self.locked_with {
            Some(directory) => make_and(directory, self.mode, || lock::take_directory(directory)),
            None => self.make_and(|| lock::take(&path, &mut options)).and_then(|file| self.give(file)),
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
        self.make_and(|| plain::open(&path, options)).and_then(|file| self.give(file))
    }

    /// Does something in the folder. Where that finds it missing, it is made first.
    fn make_and<T>(&self, mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        if self.pinned.is_some() { attempt() } else { make_and(&self.path, self.mode, attempt) }
    }

    /// A folder of ours that everybody may write, as an earlier version made it without a mask, is theirs no more.
    fn close_to_others(&self) {
        #[cfg(target_os = "linux")]
        for folder in [Some(&self.path), self.locked_with.as_ref()].into_iter().flatten() {
            let Ok(found) = fs::symlink_metadata(folder) else { continue };
            let is_ours = found.is_dir() && found.uid() == rustix::process::geteuid().as_raw();
            if is_ours && found.mode() & 0o1002 == 0o002 {
                let path = folder.display();
                log::warn!(path:%; "{path} could be written by every user; from now on it cannot");
                if let Err(error) = fs::set_permissions(folder, fs::Permissions::from_mode(self.mode)) {
                    log::warn!(path:%, reason:% = error; "{path} can still be written by every user: {error}");
                }
            }
        }
    }

    /// In another user's folder a file must be of that folder alone.
    fn alone(&self, file: File) -> io::Result<File> {
        #[cfg(unix)]
        if self.pinned.is_some() && file.metadata()?.nlink() > 1 {
            let words = "it has a second name elsewhere (a hard link)";
            return Err(io::Error::new(ErrorKind::InvalidInput, words));
        }
        Ok(file)
    }

    /// Gives a file to whoever owns the folder.
    fn give(&self, file: File) -> io::Result<File> {
        let file = self.alone(file)?;
        #[cfg(unix)]
        if let Some(Pinned { owner: (user, group), .. }) = self.pinned.as_deref()
            && file.metadata()?.uid() != *user
        {
            fchown(&file, Some(*user), Some(*group))?;
        }
        Ok(file)
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

/// Does something in a folder. Where that finds it missing, it is made first.
fn make_and<T>(path: &Path, mode: u32, mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    match attempt() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            make(path, mode)?;
            attempt()
        }
        done => done,
    }
}

fn make(path: &Path, mode: u32) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let mut folders = DirBuilder::new();
    folders.recursive(true);
    #[cfg(unix)]
    folders.mode(mode);
    folders.create(path)?;
    #[cfg(unix)]
    {
        // Whatever the process's mask is.
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            File::open(parent)?.sync_all()?;
        }
    }
    #[cfg(not(unix))]
    let _ = mode;
    Ok(())
}

/// A folder itself. A link to one may be root's or this user's: whoever else made it could lead anywhere.
#[cfg(target_os = "linux")]
fn open_folder(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags, fstat, open, readlinkat};
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let folder = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let link = open(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    let found = fstat(&link)?;
    if rustix::fs::FileType::from_raw_mode(found.st_mode) != rustix::fs::FileType::Symlink {
        return Ok(File::from(open(path, folder | OFlags::NOFOLLOW, Mode::empty())?));
    }
    if found.st_uid != 0 && found.st_uid != rustix::process::geteuid().as_raw() {
        let words = "it is a link that another user made: name the directory that is meant";
        return Err(io::Error::new(ErrorKind::InvalidInput, words));
    }
    let target = readlinkat(&link, "", Vec::new())?;
    let target = path.parent().unwrap_or(Path::new("")).join(OsStr::from_bytes(target.as_bytes()));
    Ok(File::from(open(&target, folder, Mode::empty())?))
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    options.mode(FILES);
    options
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
        plain::read(&self.alone(plain::open(&self.at(name), OpenOptions::new().read(true))?)?)
    }

    fn append(&self, name: &str, bytes: &[u8]) -> io::Result<u64> {
        self.writable()?;
        let mut file = self.open(name, private(OpenOptions::new().append(true).create(true)))?;
        file.write_all(bytes)?;
        Ok(file.metadata()?.len())
    }

    fn extend(&self, name: &str, whole: u64, bytes: &[u8]) -> io::Result<()> {
        self.writable()?;
        let mut file = match whole {
            0 => self.open(name, private(OpenOptions::new().write(true).create(true).truncate(false)))?,
            _ => self.give(plain::open(&self.at(name), OpenOptions::new().write(true))?)?,
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
        let file = self.give(plain::open(&self.at(name), OpenOptions::new().write(true))?)?;
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
mod tests {
    use super::*;

    #[test]
    fn folder_is_made_when_something_is_kept_in_it_and_again_when_it_vanished() {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = Folder::new(parent.path().join("a/b"));
        assert_eq!(folder.list().expect("nothing is no error"), Vec::<String>::new());
        for _ in 0..2 {
            assert_eq!(folder.append("log", b"one").expect("written"), 3);
            assert_eq!(folder.append("log", b"two").expect("written"), 6);
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
        let folder = Folder::new(parent.path()).for_its_owner().expect("it can be opened");
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

    #[cfg(target_os = "linux")]
    #[test]
    fn nothing_is_read_or_written_through_a_link_in_another_users_folder() {
        use std::os::unix::fs::{lchown, symlink};
        let parent = tempfile::tempdir().expect("a folder");
        let (theirs, secret) = (parent.path().join("theirs"), parent.path().join("secret"));
        fs::create_dir(&theirs).expect("made");
        fs::write(&secret, "root's").expect("written");
        let folder = Folder::new(&theirs).for_its_owner().expect("it can be opened");
        for name in ["log", "log.new", "lock"] {
            symlink(&secret, theirs.join(name)).expect("planted");
        }
        for done in [
            folder.read("log").map(drop),
            folder.append("log", b"x").map(drop),
            folder.extend("log", 0, b"x"),
            folder.extend("log", 1, b"x"),
            folder.truncate("log", 0),
            folder.lock(),
        ] {
            assert_eq!(done.expect_err("a link").to_string(), "it is a link and not a plain file");
        }
        let folder = Folder::new(&theirs).for_its_owner().expect("it can be opened");
        folder.replace("log", b"ours", true).expect("what is in the way of a new file goes");
        assert_eq!(folder.read("log").expect("a plain file now"), b"ours");
        fs::hard_link(&secret, theirs.join("second")).expect("planted");
        for done in [folder.read("second").map(drop), folder.append("second", b"x").map(drop)] {
            assert!(done.expect_err("a link").to_string().contains("a hard link"));
        }
        // What is put in the folder's place afterwards leads nowhere.
        fs::rename(&theirs, parent.path().join("away")).expect("moved");
        symlink(parent.path(), &theirs).expect("planted");
        folder.replace("secret", b"ours", true).expect("written");
        assert_eq!(fs::read(&secret).expect("there"), b"root's");
        assert_eq!(fs::read(parent.path().join("away/secret")).expect("there"), b"ours");
        // One's own link is followed. To give it away takes root.
        assert!(Folder::new(&theirs).for_its_owner().is_ok());
        if lchown(&theirs, Some(12_345), None).is_ok() {
            let refused = Folder::new(&theirs).for_its_owner().expect_err("another user's link");
            assert!(refused.to_string().contains("another user made"), "{refused}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn folders_and_files_have_their_modes() {
        let parent = tempfile::tempdir().expect("a folder");
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        let (state, runtime) = (parent.path().join("a/state"), parent.path().join("runtime"));
        Folder::new(&state).extend("log", 0, b"x").expect("written");
        let folder = Folder::new(&runtime).shown();
        folder.replace("log", b"x", false).expect("written");
        folder.lock().expect("nobody has it");
        assert_eq!((mode(&state), mode(&runtime)), (0o750, 0o755));
        assert_eq!(mode(state.parent().expect("one")) & 0o027, 0, "nor may others write what had to be made above it");
        for path in [state.join("log"), runtime.join("log"), runtime.join("lock")] {
            assert_eq!(mode(&path) & !0o640, 0, "{}", path.display());
        }
        fs::set_permissions(&state, fs::Permissions::from_mode(0o777)).expect("ours");
        Folder::new(&state).lock().expect("nobody has it");
        assert_eq!(mode(&state), 0o750, "as an earlier version left it");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn lock_that_vanished_is_taken_again_and_one_that_was_taken_by_another_ends_all_writing() {
        let parent = tempfile::tempdir().expect("a folder");
        let path = parent.path().join("a");
        let (ours, theirs) = (Folder::new(&path), Folder::new(&path));
        ours.lock().expect("nobody has it");
        assert_eq!(theirs.lock().expect_err("we have it").kind(), ErrorKind::WouldBlock);
        assert!(!ours.still_ours().expect("ours"));
        fs::remove_dir_all(&path).expect("removed");
        assert!(ours.still_ours().expect("made again") && !ours.still_ours().expect("and told once"));
        // By a write, before anybody looks.
        fs::remove_dir_all(&path).expect("removed");
        ours.append("log", b"x").expect("written");
        assert!(ours.still_ours().expect("ours"));
        assert_eq!(Folder::new(&path).lock().expect_err("we have it").kind(), ErrorKind::WouldBlock);
        // Another file in the lock's place.
        fs::rename(path.join("lock"), path.join("old")).expect("renamed");
        fs::write(path.join("lock"), "").expect("written");
        assert!(ours.still_ours().expect("taken again"));
        // Somebody else is quicker.
        fs::remove_dir_all(&path).expect("removed");
        let theirs = Folder::new(&path);
        theirs.lock().expect("nobody has that one");
        assert_eq!(ours.still_ours().expect_err("theirs").kind(), ErrorKind::WouldBlock);
        theirs.append("log", b"theirs").expect("written");
        for done in [
            ours.append("log", b"x").map(drop),
            ours.extend("log", 0, b"x"),
            ours.replace("log", b"x", false),
            ours.truncate("log", 0),
            ours.remove("log"),
            ours.rename("log", "other"),
        ] {
            assert_eq!(done.expect_err("theirs").kind(), ErrorKind::WouldBlock);
        }
        assert_eq!(theirs.read("log").expect("there"), b"theirs");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn directory_around_a_folder_is_locked_without_writing_anything_there() {
        let parent = tempfile::tempdir().expect("a folder");
        let state = parent.path().join("state");
        fs::create_dir(&state).expect("made");
        let folder = || Folder::new(state.join("spool")).locked_with_its_parent();
        let ours = folder();
        ours.lock().expect("nobody has it");
        assert_eq!(fs::read_dir(&state).expect("there").count(), 0);
        assert_eq!(folder().lock().expect_err("we have it").kind(), ErrorKind::WouldBlock);
        ours.append("log", b"x").expect("written");
        assert!(!ours.still_ours().expect("ours"));
        fs::remove_dir_all(&state).expect("removed");
        assert!(ours.still_ours().expect("made again"));
        assert_eq!(folder().lock().expect_err("we have it").kind(), ErrorKind::WouldBlock);
        // Somebody else is quicker.
        fs::rename(&state, parent.path().join("away")).expect("renamed");
        fs::create_dir(&state).expect("made");
        let theirs = folder();
        theirs.lock().expect("nobody has that one");
        assert_eq!(ours.append("log", b"x").expect_err("theirs").kind(), ErrorKind::WouldBlock);
        assert!(!state.join("spool").exists());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn folder_that_cannot_be_locked_yet_is_locked_with_the_first_write_that_works() {
        let parent = tempfile::tempdir().expect("a folder");
        let path = parent.path().join("card");
        fs::write(&path, "in the way").expect("written");
        let folder = Folder::new(&path);
        let failed = folder.lock().expect_err("a file is in the way");
        assert_ne!(failed.kind(), ErrorKind::WouldBlock);
        folder.append("log", b"x").expect_err("still");
        fs::remove_file(&path).expect("ours");
        folder.append("log", b"x").expect("written");
        assert_eq!(Folder::new(&path).lock().expect_err("it is locked").kind(), ErrorKind::WouldBlock);
        assert!(!folder.still_ours().expect("ours"), "nothing was lost");
    }
}
