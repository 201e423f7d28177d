//! The entries of a channel that are in memory, with the sums over them.
//!
//! While the card cannot be written these are thousands, and every push asks for the sums: they are kept, and so nothing
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
    pub(super) on_card: bool,
}

impl Queued {
    /// What it takes in memory without its text, in bytes.
    pub(super) const SIZE: u64 = size_of::<(Key, Self)>() as u64;

    /// One that nobody has taken and the card has not.
    pub(super) const fn new(record: EntryRecord, boot: BootId) -> Self {
        Self { record, boot, taken: false, on_card: false }
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
    on_card: usize,
    unwritten_bytes: u64,
}

impl Deref for Entries {
    type Target = BTreeMap<Key, Queued>;

    fn deref(&self) -> &Self::Target {
        &self.by_key
    }
}

impl Entries {
    /// How many of them are on the card too.
    pub(super) const fn on_card(&self) -> usize {
        self.on_card
    }

    /// How many only memory has.
    pub(super) fn unwritten(&self) -> usize {
        self.by_key.len() - self.on_card
    }

    /// What those take.
    pub(super) const fn unwritten_bytes(&self) -> u64 {
        self.unwritten_bytes
    }

    pub(super) fn insert(&mut self, held: Queued) {
        let key = held.record.key;
        self.remove(key);
        self.add(&held);
        self.by_key.insert(key, held);
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<Queued> {
        let held = self.by_key.remove(&key)?;
        self.subtract(&held);
        Some(held)
    }

    /// Takes an entry for sending.
    pub(super) fn take(&mut self, key: Key) {
        if let Some(held) = self.by_key.get_mut(&key) {
            held.taken = true;
        }
    }

    /// Offers an entry again that was taken.
    pub(super) fn put_back(&mut self, key: Key) {
        if let Some(held) = self.by_key.get_mut(&key) {
            held.taken = false;
        }
    }

    /// Offers every entry again that was taken. Returns which.
    pub(super) fn give_back(&mut self) -> Vec<Key> {
        let taken = self.by_key.iter_mut().filter(|(_, held)| held.taken);
        taken.map(|(key, held)| (*key, held.taken = false).0).collect()
    }

    /// Gives an entry another time.
    pub(super) fn retime(&mut self, key: Key, at: Utc) {
        if let Some(held) = self.by_key.get_mut(&key) {
            held.record.time = Time::Known(at);
        }
    }

    /// LogRecords whether the card has an entry. Returns whether memory does.
    pub(super) fn set_on_card(&mut self, key: Key, on_card: bool) -> bool {
        let Some(mut held) = self.remove(key) else { return false };
        held.on_card = on_card;
        self.insert(held);
        true
    }

    /// Leaves to the card what need not be in memory.
    pub(super) fn forget(&mut self, needless: impl Fn(Key, &Queued) -> bool) {
        let keys: Vec<Key> =
            self.by_key.iter().filter(|(key, held)| needless(**key, held)).map(|(key, _)| *key).collect();
        for key in keys {
            self.remove(key);
        }
    }

    fn add(&mut self, held: &Queued) {
        if held.on_card {
            self.on_card += 1;
        } else {
            self.unwritten_bytes += held.size();
        }
    }

    fn subtract(&mut self, held: &Queued) {
        if held.on_card {
            self.on_card -= 1;
        } else {
            self.unwritten_bytes -= held.size();
        }
    }

    /// Whether the sums are those of the entries.
    #[cfg(test)]
    pub(super) fn adds_up(&self) -> bool {
        let (on_card, unwritten): (Vec<_>, Vec<_>) = self.by_key.values().partition(|held| held.on_card);
        on_card.len() == self.on_card && unwritten.into_iter().map(Queued::size).sum::<u64>() == self.unwritten_bytes
    }
}
