//! The spool in memory.

use std::collections::{BTreeMap, HashMap};

use crate::entry::{ChannelId, Entry};
use crate::spool::{Backlog, Counts, Drop, Key, Spool, thin};
use crate::time::Utc;

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
    entries: BTreeMap<Key, Waiting>,
    bytes: u64,
}

#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) entry: Entry,
    pub(super) sent: bool,
}

impl MemorySpool {
    /// An empty spool for these channels.
    pub fn new(channels: impl IntoIterator<Item = (ChannelId, Backlog)>) -> Self {
        let queue = |backlog| Queue { backlog, entries: BTreeMap::new(), bytes: 0 };
        Self { queues: channels.into_iter().map(|(id, backlog)| (id, queue(backlog))).collect(), ..Self::default() }
    }

    fn take(&mut self, key: Key) -> Option<Entry> {
        self.queues.values_mut().find_map(|queue| queue.remove(key))
    }
}

impl Spool for MemorySpool {
    fn push(&mut self, entry: Entry) -> usize {
        self.counts.pushed += 1;
        let key = Key(self.next_key);
        self.next_key += 1;
        let queue = self.queues.entry(entry.channel).or_insert_with(|| Queue {
            backlog: Backlog::default(),
            entries: BTreeMap::new(),
            bytes: 0,
        });
        queue.bytes += size_of_entry(&entry);
        queue.entries.insert(key, Waiting { entry, sent: false });

        if queue.bytes > queue.backlog.max_size
            && let Some(within) = queue.backlog.thin
        {
            self.counts.merged += thin::merge_neighbours(&mut queue.entries, within) as u64;
            queue.bytes = queue.entries.values().map(|waiting| size_of_entry(&waiting.entry)).sum();
        }
        let mut dropped = 0;
        while queue.bytes > queue.backlog.max_size && queue.entries.len() > 1 {
            let oldest = *queue.entries.keys().next().expect("more than one entry");
            queue.remove(oldest);
            dropped += 1;
        }
        self.counts.dropped_for_size += dropped as u64;
        dropped
    }

    fn next(&self, channel: ChannelId, after: Option<Key>) -> Option<(Key, Entry)> {
        let from = after.map_or(Key(0), |key| Key(key.0 + 1));
        let (key, waiting) = self.queues.get(&channel)?.entries.range(from..).next()?;
        Some((*key, waiting.entry.clone()))
    }

    fn pin(&mut self, key: Key) {
        if let Some(waiting) = self.queues.values_mut().find_map(|queue| queue.entries.get_mut(&key)) {
            waiting.sent = true;
        }
    }

    fn confirm(&mut self, key: Key) {
        if self.take(key).is_some() {
            self.counts.confirmed += 1;
        }
    }

    fn drop_entry(&mut self, key: Key, why: Drop) {
        if self.take(key).is_some() {
            *match why {
                Drop::Age => &mut self.counts.dropped_for_age,
                Drop::Size => &mut self.counts.dropped_for_size,
                Drop::Doubtful => &mut self.counts.doubtful,
            } += 1;
        }
    }

    fn expire(&mut self, now: Utc) -> usize {
        let mut dropped = 0;
        for queue in self.queues.values_mut() {
            let keep = queue.backlog.keep;
            while let Some((&key, oldest)) = queue.entries.iter().next() {
                if now.since(oldest.entry.created_at) <= keep {
                    break;
                }
                queue.remove(key);
                dropped += 1;
            }
        }
        self.counts.dropped_for_age += dropped as u64;
        dropped
    }

    fn waiting(&self, channel: ChannelId) -> usize {
        self.queues.get(&channel).map_or(0, |queue| queue.entries.len())
    }

    fn counts(&self) -> Counts {
        self.counts
    }
}

impl Queue {
    fn remove(&mut self, key: Key) -> Option<Entry> {
        let waiting = self.entries.remove(&key)?;
        self.bytes = self.bytes.saturating_sub(size_of_entry(&waiting.entry));
        Some(waiting.entry)
    }
}

/// What an entry takes: its own size, its text, and its share of the queue.
fn size_of_entry(entry: &Entry) -> u64 {
    let text = entry.status.as_ref().map_or(0, String::capacity);
    (size_of::<(Key, Waiting)>() + text) as u64
}
