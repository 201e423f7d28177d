//! The simulated text files. Paths nobody simulates are read from the machine itself.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::locked;
use crate::hal::files::MachineFiles;
use crate::hal::{Clock, Files};
use crate::time::Mono;

/// What a simulated file says at a time.
type Content = Arc<dyn Fn(Mono) -> io::Result<String> + Send + Sync>;

/// Every simulated file, and every one that is broken on purpose.
#[derive(Default)]
pub(super) struct Texts {
    contents: Mutex<BTreeMap<PathBuf, Content>>,
    broken: Mutex<BTreeMap<PathBuf, io::ErrorKind>>,
}

impl Texts {
    pub(super) fn put(&self, path: &Path, content: Content) {
        locked(&self.contents).insert(path.to_owned(), content);
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

impl Files for SimFiles {
    fn read(&self, path: &Path) -> io::Result<String> {
        if let Some(kind) = locked(&self.texts.broken).get(path) {
            return Err((*kind).into());
        }
        let content = locked(&self.texts.contents).get(path).map(Arc::clone);
        // The lock is free again by now: a content may take its time.
        content.map_or_else(|| MachineFiles.read(path), |content| content(self.clock.now().mono))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        if let Some(kind) = locked(&self.texts.broken).get(path) {
            return Err((*kind).into());
        }
        let mut names: BTreeSet<String> =
            locked(&self.texts.contents).keys().filter_map(|file| child_towards(file, path)).collect();
        match MachineFiles.list(path) {
            Ok(own) => names.extend(own),
            Err(error) if names.is_empty() => return Err(error),
            Err(_) => {}
        }
        Ok(names.into_iter().collect())
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
}
