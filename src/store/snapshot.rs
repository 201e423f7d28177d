//! The latest state of something in a file of the runtime directory: small, and written as a whole whenever it is another one.
//!
//! The file is put in the place of the one before, so that a kill within the write leaves that. Nothing is synced: the
//! directory lives in memory. A write that fails is tried again with the next state, and is news once.

use std::io::{self, ErrorKind};
use std::sync::Arc;

use super::storage::Storage;

/// A file and the state that it is to hold.
pub struct Snapshot {
    storage: Arc<dyn Storage>,
    file: &'static str,
    state: Option<Vec<u8>>,
    is_written: bool,
    /// A failure was reported.
    is_failing: bool,
}

impl Snapshot {
    /// The file of this name in a folder. What it holds is another process's, until it is written.
    pub fn new(storage: Arc<dyn Storage>, file: &'static str) -> Self {
        Self { storage, file, state: None, is_written: false, is_failing: false }
    }

    /// Writes this state, unless the file has it. Returns how that went where it is news: the first failure, and the first
    /// success behind one.
    pub fn keep(&mut self, state: Vec<u8>) -> Option<io::Result<()>> {
        if self.state.as_ref() != Some(&state) {
            self.state = Some(state);
            self.is_written = false;
        }
        self.write()
    }

    /// What was written does not count: somebody has removed it.
    pub const fn invalidate(&mut self) {
        self.is_written = false;
    }

    /// Writes the latest state again, since somebody has removed what was written. News as of [`Snapshot::keep`].
    pub fn keep_again(&mut self) -> Option<io::Result<()>> {
        self.invalidate();
        self.write()
    }

    /// Writes the latest state again where the file is not there. News as of [`Snapshot::keep`].
    pub fn look(&mut self) -> Option<io::Result<()>> {
        let is_gone = self.storage.read(self.file).is_err_and(|error| error.kind() == ErrorKind::NotFound);
        if is_gone { self.keep_again() } else { None }
    }

    /// Whether the last write failed: what the file holds, if anything, is an older state.
    pub const fn is_failing(&self) -> bool {
        self.is_failing
    }

    /// Removes the file, where an older state is worse than none. The latest state is written when there is a next occasion.
    ///
    /// # Errors
    /// When the file is still there.
    pub fn discard(&mut self) -> io::Result<()> {
        self.invalidate();
        self.storage.remove(self.file)
    }

    /// Removes the file, and forgets the state.
    ///
    /// # Errors
    /// When the file is still there.
    pub fn remove(&mut self) -> io::Result<()> {
        self.state = None;
        self.discard()
    }

    fn write(&mut self) -> Option<io::Result<()>> {
        let state = self.state.as_ref().filter(|_| !self.is_written)?;
        let written = self.storage.replace(self.file, state, false);
        self.is_written = written.is_ok();
        let was_failing = std::mem::replace(&mut self.is_failing, written.is_err());
        (was_failing != self.is_failing).then_some(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::storage::faulty::Faulty;

    fn snapshot() -> (Faulty, Snapshot) {
        let storage = Faulty::default();
        (storage.clone(), Snapshot::new(Arc::new(storage), "state"))
    }

    #[test]
    fn state_is_written_when_it_is_another_one_and_when_it_was_taken_away() {
        let (storage, mut snapshot) = snapshot();
        assert!(snapshot.look().is_none() && storage.read("state").is_err(), "there is none yet");
        assert!(snapshot.keep(b"one".to_vec()).is_none());
        let cost = storage.cost();
        assert!(snapshot.keep(b"one".to_vec()).is_none() && snapshot.look().is_none());
        assert_eq!(storage.cost(), cost);
        assert!(snapshot.keep(b"two".to_vec()).is_none());
        assert_eq!(storage.read("state").expect("there"), b"two");
        storage.remove("state").expect("it is there");
        assert!(snapshot.look().is_none());
        assert_eq!(storage.read("state").expect("there again"), b"two");
        storage.replace("state", b"somebody's", false).expect("a good disk");
        assert!(snapshot.keep_again().is_none());
        assert_eq!(storage.read("state").expect("there"), b"two");
    }

    #[test]
    fn failure_is_news_once_and_so_is_the_recovery() {
        let (storage, mut snapshot) = snapshot();
        storage.break_with(Some(ErrorKind::StorageFull));
        assert!(snapshot.keep(b"one".to_vec()).is_some_and(|news| news.is_err()));
        assert!(snapshot.keep(b"two".to_vec()).is_none(), "it is known");
        storage.break_with(None);
        assert!(snapshot.keep(b"two".to_vec()).is_some_and(|news| news.is_ok()), "it does not have it yet");
        assert_eq!(storage.read("state").expect("there"), b"two");
    }

    #[test]
    fn older_state_can_be_discarded_until_the_latest_is_written() {
        let (storage, mut snapshot) = snapshot();
        assert!(snapshot.keep(b"one".to_vec()).is_none() && !snapshot.is_failing());
        storage.break_with(Some(ErrorKind::StorageFull));
        assert!(snapshot.keep(b"two".to_vec()).is_some() && snapshot.is_failing());
        storage.break_with(None);
        assert_eq!(storage.read("state").expect("there"), b"one");
        snapshot.discard().expect("a good disk");
        assert!(storage.read("state").is_err());
        assert!(snapshot.look().is_some_and(|news| news.is_ok()));
        assert_eq!(storage.read("state").expect("there"), b"two");
    }

    #[test]
    fn what_was_removed_is_not_written_again() {
        let (storage, mut snapshot) = snapshot();
        assert!(snapshot.keep(b"one".to_vec()).is_none());
        snapshot.remove().expect("a good disk");
        assert!(snapshot.look().is_none() && snapshot.keep_again().is_none());
        assert!(storage.read("state").is_err());
        assert!(snapshot.keep(b"one".to_vec()).is_none());
        assert_eq!(storage.read("state").expect("there"), b"one");
    }
}
