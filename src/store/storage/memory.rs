//! A folder in memory.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Storage;

/// A folder in memory, for runs without directories. Its clones share its files, which end with the last of them.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<Mutex<Files>>);

impl Memory {
    fn files(&self) -> MutexGuard<'_, Files> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Files by their names: what each change does to them, where nothing fails.
#[derive(Clone, Debug, Default)]
pub(super) struct Files(BTreeMap<String, Vec<u8>>);

impl Files {
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }

    pub(super) fn get(&self, name: &str) -> Option<&Vec<u8>> {
        self.0.get(name)
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut Vec<u8>> {
        self.0.get_mut(name)
    }

    /// What all of them take.
    #[cfg(any(test, fuzzing))]
    pub(super) fn bytes(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    pub(super) fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.get(name).cloned().ok_or_else(|| ErrorKind::NotFound.into())
    }

    pub(super) fn append(&mut self, name: &str, whole: u64, bytes: &[u8]) -> io::Result<()> {
        if self.get(name).map_or(0, Vec::len) != length(whole) {
            return Err(io::Error::new(ErrorKind::NotFound, "the file is not as long as it was"));
        }
        self.extend(name, whole, bytes)
    }

    pub(super) fn extend(&mut self, name: &str, whole: u64, bytes: &[u8]) -> io::Result<()> {
        let whole = length(whole);
        if whole > 0 && self.get(name).is_none_or(|file| file.len() < whole) {
            return Err(io::Error::new(ErrorKind::NotFound, "the file is shorter than it was"));
        }
        let file = self.0.entry(name.to_owned()).or_default();
        file.truncate(whole);
        file.extend_from_slice(bytes);
        Ok(())
    }

    pub(super) fn replace(&mut self, name: &str, bytes: &[u8]) {
        self.0.insert(name.to_owned(), bytes.to_vec());
    }

    pub(super) fn truncate(&mut self, name: &str, to: u64) -> io::Result<()> {
        let file = self.get_mut(name).ok_or(ErrorKind::NotFound)?;
        file.resize(length(to), 0);
        Ok(())
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<Vec<u8>> {
        self.0.remove(name)
    }

    pub(super) fn rename(&mut self, name: &str, to: &str) -> io::Result<()> {
        let file = self.remove(name).ok_or(ErrorKind::NotFound)?;
        self.0.insert(to.to_owned(), file);
        Ok(())
    }
}

impl FromIterator<(String, Vec<u8>)> for Files {
    fn from_iter<T: IntoIterator<Item = (String, Vec<u8>)>>(files: T) -> Self {
        Self(files.into_iter().collect())
    }
}

fn length(bytes: u64) -> usize {
    usize::try_from(bytes).expect("what is in memory has an address")
}

impl Storage for Memory {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.files().names().cloned().collect())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.files().read(name)
    }

    fn append(&self, name: &str, whole: u64, bytes: &[u8]) -> io::Result<()> {
        self.files().append(name, whole, bytes)
    }

    fn extend(&self, name: &str, whole: u64, bytes: &[u8]) -> io::Result<()> {
        self.files().extend(name, whole, bytes)
    }

    fn replace(&self, name: &str, bytes: &[u8], _durable: bool) -> io::Result<()> {
        self.files().replace(name, bytes);
        Ok(())
    }

    fn truncate(&self, name: &str, length: u64) -> io::Result<()> {
        self.files().truncate(name, length)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.files().remove(name);
        Ok(())
    }

    fn rename(&self, name: &str, to: &str) -> io::Result<()> {
        self.files().rename(name, to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::storage::Folder;

    /// What a folder does with some changes, in words.
    fn changes(storage: &dyn Storage) -> Vec<String> {
        let mut done = Vec::new();
        let mut note =
            |result: io::Result<String>| done.push(result.unwrap_or_else(|error| format!("{:?}", error.kind())));
        for (name, whole) in [("log", 0), ("log", 3), ("log", 0), ("log", 3), ("log", 7), ("gone", 3), ("log", 6)] {
            note(storage.append(name, whole, b"two").map(|()| format!("{name} behind {whole}")));
        }
        for (name, whole) in [("log", 3), ("log", 9), ("gone", 1), ("new", 0)] {
            note(storage.extend(name, whole, b"three").map(|()| format!("{name} behind {whole}")));
        }
        note(storage.replace("log", b"whole", true).map(|()| "replaced".to_owned()));
        for name in ["log", "gone"] {
            note(storage.truncate(name, 2).map(|()| format!("{name} cut")));
            note(storage.rename(name, "new").map(|()| format!("{name} renamed")));
            note(storage.remove(name).map(|()| format!("{name} removed")));
            note(storage.read("new").map(|bytes| String::from_utf8_lossy(&bytes).into_owned()));
        }
        note(storage.list().map(|names| names.join(" ")));
        note(storage.still_ours().map(|was_made| was_made.to_string()));
        done
    }

    #[test]
    fn folder_in_memory_does_what_one_on_the_disk_does() {
        let parent = tempfile::tempdir().expect("a folder");
        let on_disk = changes(&Folder::new(parent.path()));
        assert_eq!(changes(&Memory::default()), on_disk);
        assert!(on_disk.contains(&"NotFound".to_owned()), "{on_disk:?}");
    }

    #[test]
    fn clones_share_their_files() {
        let memory = Memory::default();
        memory.clone().append("log", 0, b"one").expect("nothing fails");
        assert_eq!(memory.read("log").expect("there"), b"one");
    }
}
