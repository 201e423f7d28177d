//! The simulated text files. Paths nobody simulates are read from the machine itself, or from a folder that stands for it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::locked;
use crate::hal::files::MachineFiles;
use crate::hal::{Clock, Files, ProgramCall, ProgramError, Programs};
use crate::time::{Mono, Utc};

/// What a simulated file says at a time.
type Content = Arc<dyn Fn(Mono) -> io::Result<String> + Send + Sync>;

/// What a simulated file does with a text.
type Writer = Arc<dyn Fn(&str) -> io::Result<()> + Send + Sync>;

/// Every simulated file, and every one that is broken on purpose.
#[derive(Default)]
pub(super) struct Texts {
    contents: Mutex<BTreeMap<PathBuf, Content>>,
    broken: Mutex<BTreeMap<PathBuf, io::ErrorKind>>,
    /// What happens when somebody writes.
    written: Mutex<BTreeMap<PathBuf, Writer>>,
    /// Where a folder of simulated files really is: only what [`Files::resolve`] says changes by it.
    links: Mutex<BTreeMap<PathBuf, PathBuf>>,
    /// The folder that stands for `/`, if it is not the machine's own.
    root: Option<PathBuf>,
}

impl Texts {
    pub(super) fn below(root: PathBuf) -> Self {
        Self { root: Some(root), ..Self::default() }
    }

    /// Where a file that nobody simulates is found.
    fn own(&self, path: &Path) -> PathBuf {
        match &self.root {
            Some(root) => root.join(path.strip_prefix("/").unwrap_or(path)),
            None => path.to_owned(),
        }
    }

    pub(super) fn put(&self, path: &Path, content: Content) {
        locked(&self.contents).insert(path.to_owned(), content);
    }

    pub(super) fn on_write(&self, path: &Path, writer: Writer) {
        locked(&self.written).insert(path.to_owned(), writer);
    }

    pub(super) fn link(&self, path: &Path, target: &Path) {
        locked(&self.links).insert(path.to_owned(), target.to_owned());
    }

    /// Takes away a folder of simulated files, with its link.
    pub(super) fn remove(&self, folder: &Path) {
        locked(&self.contents).retain(|path, _| !path.starts_with(folder));
        locked(&self.links).remove(folder);
    }

    pub(super) fn break_file(&self, path: &Path, kind: io::ErrorKind) {
        locked(&self.broken).insert(path.to_owned(), kind);
    }

    pub(super) fn mend_file(&self, path: &Path) {
        locked(&self.broken).remove(path);
    }
}

/// The files as the drivers see them.
pub(super) struct SimFiles {
    pub(super) texts: Arc<Texts>,
    pub(super) clock: Arc<dyn Clock>,
}

/// The programs as the drivers see them: what one prints is a text, too.
pub(super) struct SimPrograms(pub(super) SimFiles);

/// Where the text of a program is. No file has such a name.
pub(super) fn path_of(argv: &[String]) -> PathBuf {
    PathBuf::from(format!("program\0{}", argv.join("\0")))
}

impl Programs for SimPrograms {
    fn run(&self, call: &ProgramCall) -> Result<String, ProgramError> {
        let path = &call.argv[0];
        self.0.read(&path_of(&call.argv)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::InvalidInput => ProgramError::Missing(path.clone()),
            _ => ProgramError::NotStarted { path: path.clone(), error: error.to_string() },
        })
    }
}

impl Files for SimFiles {
    fn read(&self, path: &Path) -> io::Result<String> {
        if let Some(kind) = locked(&self.texts.broken).get(path) {
            return Err((*kind).into());
        }
        let content = locked(&self.texts.contents).get(path).map(Arc::clone);
        // The lock is free again by now: a content may take its time.
        content.map_or_else(|| MachineFiles.read(&self.texts.own(path)), |content| content(self.clock.now().mono))
    }

    fn bytes(&self, path: &Path) -> io::Result<Vec<u8>> {
        let is_simulated =
            locked(&self.texts.contents).contains_key(path) || locked(&self.texts.broken).contains_key(path);
        if is_simulated { self.read(path).map(String::into_bytes) } else { MachineFiles.bytes(&self.texts.own(path)) }
    }

    /// Nothing of the machine's own is written: a simulation changes no hardware.
    fn write(&self, path: &Path, text: &str) -> io::Result<()> {
        let writer = locked(&self.texts.written).get(path).map(Arc::clone);
        writer.map_or_else(|| Err(io::ErrorKind::PermissionDenied.into()), |writer| writer(text))
    }

    fn written(&self, path: &Path) -> io::Result<Utc> {
        if locked(&self.texts.contents).contains_key(path) {
            return Ok(self.clock.now().utc);
        }
        MachineFiles.written(&self.texts.own(path))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        if let Some(kind) = locked(&self.texts.broken).get(path) {
            return Err((*kind).into());
        }
        let mut names: BTreeSet<String> =
            locked(&self.texts.contents).keys().filter_map(|file| child_towards(file, path)).collect();
        match MachineFiles.list(&self.texts.own(path)) {
            Ok(own) => names.extend(own),
            Err(error) if names.is_empty() => return Err(error),
            Err(_) => {}
        }
        Ok(names.into_iter().collect())
    }

    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        if let Some(target) = locked(&self.texts.links).get(path) {
            return Ok(target.clone());
        }
        if locked(&self.texts.contents).contains_key(path) {
            return Ok(path.to_owned());
        }
        let found = MachineFiles.resolve(&self.texts.own(path))?;
        let Some(root) = &self.texts.root else { return Ok(found) };
        let root = MachineFiles.resolve(root)?;
        let below = found.strip_prefix(root).map_err(|_| io::Error::other("a link leads out of the simulated root"))?;
        Ok(Path::new("/").join(below))
    }

    fn may_use(&self, path: &Path) -> bool {
        let is_broken = locked(&self.texts.broken).contains_key(path);
        let is_simulated = || locked(&self.texts.contents).contains_key(path);
        !is_broken && (is_simulated() || MachineFiles.may_use(&self.texts.own(path)))
    }
}

/// The name in `folder` through which `file` is reached, if it lies below it.
fn child_towards(file: &Path, folder: &Path) -> Option<String> {
    match file.strip_prefix(folder).ok()?.components().next()? {
        Component::Normal(name) => name.to_str().map(str::to_owned),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::hal::ManualClock;

    #[test]
    fn simulated_file_says_what_its_time_asks_for() {
        let clock = Arc::new(ManualClock::default());
        let texts = Arc::new(Texts::default());
        let file = Path::new("/sys/bus/w1/devices/28-0417b1fb82ff/temperature");
        texts.put(file, Arc::new(|at| Ok(format!("{}\n", at.since_boot().as_secs()))));
        let files = SimFiles { texts: Arc::clone(&texts), clock: Arc::clone(&clock) as Arc<dyn Clock> };
        clock.advance(Duration::from_secs(21));
        assert_eq!(files.read(file).expect("there"), "21\n");

        texts.break_file(file, io::ErrorKind::NotFound);
        assert_eq!(files.read(file).expect_err("broken").kind(), io::ErrorKind::NotFound);
        texts.mend_file(file);
        assert!(files.read(file).is_ok());
    }

    #[test]
    fn folder_lists_simulated_and_own_files_once() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("own"), "1").expect("written");
        std::fs::write(folder.path().join("both"), "1").expect("written");
        let texts = Arc::new(Texts::default());
        for path in ["both", "part/temperature", "part/id"] {
            texts.put(&folder.path().join(path), Arc::new(|_| Ok(String::new())));
        }
        let files = SimFiles { texts, clock: Arc::new(ManualClock::default()) };
        assert_eq!(files.list(folder.path()).expect("listed"), ["both", "own", "part"]);
        assert_eq!(files.list(&folder.path().join("part")).expect("simulated alone"), ["id", "temperature"]);
        assert!(files.list(&folder.path().join("nothing")).is_err());
    }

    #[test]
    fn folder_that_stands_for_the_machine_hides_the_machine_s_own_files() {
        let folder = tempfile::tempdir().expect("a folder");
        let texts = Texts::below(folder.path().to_owned());
        let files = SimFiles { texts: Arc::new(texts), clock: Arc::new(ManualClock::default()) };
        let port = Path::new("/dev/ttyUSB0");
        assert!(files.read(Path::new("/proc/version")).is_err(), "this machine has one, that one has none");
        assert!(files.list(Path::new("/dev")).is_err() && files.resolve(port).is_err() && !files.may_use(port));
        std::fs::create_dir(folder.path().join("dev")).expect("made");
        std::fs::write(folder.path().join("dev/ttyUSB0"), "").expect("written");
        assert_eq!(files.list(Path::new("/dev")).expect("there"), ["ttyUSB0"]);
        assert!(files.may_use(port));
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("ttyUSB0", folder.path().join("dev/serial0")).expect("linked");
            std::os::unix::fs::symlink("/", folder.path().join("dev/out")).expect("linked");
            assert_eq!(files.resolve(Path::new("/dev/serial0")).expect("leads there"), port);
            assert!(files.resolve(Path::new("/dev/out")).is_err());
        }
        files.texts.break_file(port, io::ErrorKind::PermissionDenied);
        assert!(!files.may_use(port));
    }
}
