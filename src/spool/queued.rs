//! The entries of a channel that are in memory, with the sums over them.
//!
//! While the disk cannot be written these are thousands, and every push asks for the sums: they are kept, and so nothing
//! changes an entry but the methods of [`Entries`].

use std::collections::BTreeMap;
use std::ops::Deref;

use crate::spool::Key;
use crate::spool::records::{EntryRecord, Time};
use crate::time::{BootId, Utc};

/// A waiting entry: its record, with what memory knows beside it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Queued {
    pub(super) record: EntryRecord,
    /// The one that it was pushed in.
    pub(super) boot: BootId,
    pub(super) taken: bool,
    pub(super) on_disk: bool,
}

impl Queued {
    /// What it takes in memory without its text, in bytes.
    pub(super) const SIZE: u64 = size_of::<(Key, Self)>() as u64;

    /// One that nobody has taken and the disk has not.
    pub(super) const fn new(record: EntryRecord, boot: BootId) -> Self {
        Self { record, boot, taken: false, on_disk: false }
    }

    /// What it takes in memory, in bytes.
    fn size(&self) -> u64 {
        let text = self.record.draft.status.as_ref().map_or(0, String::capacity);
        Self::SIZE + text as u64
    }
}

/// Entries by their keys. It is read as the map that it is.
#[derive(Debug, Default)]
pub(super) struct Entries {
    by_key: BTreeMap<Key, Queued>,
    on_disk: usize,
    unwritten_bytes: u64,
}

impl Deref for Entries {
    type Target = BTreeMap<Key, Queued>;

    fn deref(&self) -> &Self::Target {
        &self.by_key
    }
}

impl Entries {
    /// How many of them are on the disk too.
    pub(super) const fn on_disk(&self) -> usize {
        self.on_disk
    }

    /// How many only memory has.
    pub(super) fn unwritten(&self) -> usize {
        self.by_key.len() - self.on_disk
    }

    /// What those take.
    pub(super) const fn unwritten_bytes(&self) -> u64 {
        self.unwritten_bytes
    }

    pub(super) fn insert(&mut self, queued: Queued) {
        let key = queued.record.key;
        self.remove(key);
        self.add(&queued);
        self.by_key.insert(key, queued);
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<Queued> {
        let queued = self.by_key.remove(&key)?;
        self.subtract(&queued);
        Some(queued)
    }

    /// Takes an entry for sending.
    pub(super) fn take(&mut self, key: Key) {
        if let Some(queued) = self.by_key.get_mut(&key) {
            queued.taken = true;
        }
    }

    /// Offers an entry again that was taken.
    pub(super) fn release(&mut self, key: Key) {
        if let Some(queued) = self.by_key.get_mut(&key) {
            queued.taken = false;
        }
    }

    /// Offers every entry again that was taken. Returns which.
    pub(super) fn release_all(&mut self) -> Vec<Key> {
        let taken = self.by_key.iter_mut().filter(|(_, queued)| queued.taken);
        taken.map(|(key, queued)| (*key, queued.taken = false).0).collect()
    }

    /// Gives an entry another time.
    pub(super) fn retime(&mut self, key: Key, at: Utc) {
        if let Some(queued) = self.by_key.get_mut(&key) {
            queued.record.time = Time::Known(at);
        }
    }

    /// Notes whether the disk has an entry. Returns whether memory does.
    pub(super) fn set_on_disk(&mut self, key: Key, on_disk: bool) -> bool {
        let Some(mut queued) = self.remove(key) else { return false };
        queued.on_disk = on_disk;
        self.insert(queued);
        true
    }

    /// Leaves to the disk what need not be in memory.
    pub(super) fn forget(&mut self, needless: impl Fn(Key, &Queued) -> bool) {
        let keys: Vec<Key> =
            self.by_key.iter().filter(|(key, queued)| needless(**key, queued)).map(|(key, _)| *key).collect();
        for key in keys {
            self.remove(key);
        }
    }

    fn add(&mut self, queued: &Queued) {
        if queued.on_disk {
            self.on_disk += 1;
        } else {
            self.unwritten_bytes += queued.size();
        }
    }

    fn subtract(&mut self, queued: &Queued) {
        if queued.on_disk {
            self.on_disk -= 1;
        } else {
            self.unwritten_bytes -= queued.size();
        }
    }

    /// Whether the sums are those of the entries.
    #[cfg(test)]
    pub(super) fn adds_up(&self) -> bool {
        let (on_disk, unwritten): (Vec<_>, Vec<_>) = self.by_key.values().partition(|queued| queued.on_disk);
        on_disk.len() == self.on_disk && unwritten.into_iter().map(Queued::size).sum::<u64>() == self.unwritten_bytes
    }
}
