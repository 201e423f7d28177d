//! The spool in memory.

use std::collections::{BTreeMap, HashMap};

use crate::entry::{ChannelId, Entry};
use crate::spool::{Backlog, Counts, Key, Spool, Waiting, thin};
use crate::time::Mono;

/// Waiting entries in memory, a queue a channel.
#[derive(Debug, Default)]
pub struct MemorySpool {
    queues: HashMap<ChannelId, Queue>,
    next_key: u64,
    counts: Counts,
}

#[derive(Debug)]
struct Queue {
    backlog: Backlog,
    entries: BTreeMap<Key, Held>,
    bytes: u64,
    /// Everything before this key is as thin as it gets.
    thinned: Key,
}

#[derive(Debug)]
pub(super) struct Held {
    pub(super) entry: Entry,
    pub(super) since: Mono,
    pub(super) pinned: bool,
}

impl MemorySpool {
    /// An empty spool for these channels.
    pub fn new(channels: impl IntoIterator<Item = (ChannelId, Backlog)>) -> Self {
        Self {
            queues: channels.into_iter().map(|(id, backlog)| (id, Queue::new(backlog))).collect(),
            ..Self::default()
        }
    }

    fn take(&mut self, key: Key) -> Option<Entry> {
        self.queues.values_mut().find_map(|queue| queue.remove(key))
    }
}

impl Spool for MemorySpool {
    fn push(&mut self, now: Mono, entry: Entry) -> usize {
        self.counts.pushed += 1;
        let key = Key(self.next_key);
        self.next_key += 1;
        let queue = self.queues.entry(entry.channel).or_insert_with(|| Queue::new(Backlog::default()));
        queue.bytes += size_of_entry(&entry);
        queue.entries.insert(key, Held { entry, since: now, pinned: false });
        self.counts.merged += queue.thin() as u64;
        let mut dropped = 0;
        while queue.bytes > queue.backlog.max_size && queue.drop_oldest(key) {
            dropped += 1;
        }
        self.counts.dropped_for_size += dropped as u64;
        dropped
    }

    fn next(&self, channel: ChannelId, after: Option<Key>) -> Option<Waiting> {
        let from = after.map_or(Key(0), |key| Key(key.0 + 1));
        let (&key, held) = self.queues.get(&channel)?.entries.range(from..).next()?;
        Some(Waiting { key, entry: held.entry.clone(), since: held.since })
    }

    fn pin(&mut self, key: Key) {
        if let Some(held) = self.queues.values_mut().find_map(|queue| queue.entries.get_mut(&key)) {
            held.pinned = true;
        }
    }

    fn confirm(&mut self, key: Key) {
        if self.take(key).is_some() {
            self.counts.confirmed += 1;
        }
    }

    fn give_up(&mut self, key: Key) {
        if self.take(key).is_some() {
            self.counts.doubtful += 1;
        }
    }

    fn expire(&mut self, now: Mono, channel: ChannelId) -> usize {
        let Some(queue) = self.queues.get_mut(&channel) else { return 0 };
        let keep = queue.backlog.keep;
        let old = queue.entries.iter().take_while(|(_, held)| now.since(held.since) > keep);
        let old: Vec<Key> = old.filter(|(_, held)| !held.pinned).map(|(key, _)| *key).collect();
        for key in &old {
            queue.remove(*key);
        }
        self.counts.dropped_for_age += old.len() as u64;
        old.len()
    }

    fn waiting(&self, channel: ChannelId) -> usize {
        self.queues.get(&channel).map_or(0, |queue| queue.entries.len())
    }

    fn counts(&self) -> Counts {
        self.counts
    }
}

impl Queue {
    fn new(backlog: Backlog) -> Self {
        Self { backlog, entries: BTreeMap::new(), bytes: 0, thinned: Key(0) }
    }

    fn remove(&mut self, key: Key) -> Option<Entry> {
        let held = self.entries.remove(&key)?;
        self.bytes = self.bytes.saturating_sub(size_of_entry(&held.entry));
        Some(held.entry)
    }

    /// Merges neighbours where the map asks for it and there is no room left. Each entry is looked at once.
    fn thin(&mut self) -> usize {
        let Some(within) = self.backlog.thin.filter(|_| self.bytes > self.backlog.max_size) else { return 0 };
        let merged = thin::merge_neighbours(&mut self.entries, self.thinned, within);
        // The last one may still grow.
        self.thinned = self.entries.keys().next_back().copied().unwrap_or_default();
        self.bytes = self.entries.values().map(|held| size_of_entry(&held.entry)).sum();
        merged
    }

    /// Drops the oldest entry that is not on its way, but for `newest`.
    fn drop_oldest(&mut self, newest: Key) -> bool {
        let oldest = self.entries.iter().find(|(key, held)| !held.pinned && **key != newest).map(|(key, _)| *key);
        oldest.is_some_and(|key| self.remove(key).is_some())
    }
}

/// What an entry takes: its own size, its text, and its share of the queue.
fn size_of_entry(entry: &Entry) -> u64 {
    let text = entry.status.as_ref().map_or(0, String::capacity);
    (size_of::<(Key, Held)>() + text) as u64
}
