//! The spool in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::entry::{ChannelId, ColumnSet, Form, UntimedEntry};
use crate::spool::taken::{SECOND, Taken};
use crate::spool::thin::{self, Neighbour};
use crate::spool::{Backlog, Counts, Key, Policy, Pushed, Spool, Standing, Waiting};
use crate::time::{BootId, Mono, Now, Utc};

/// Waiting entries in memory, a queue a channel.
#[derive(Debug, Default)]
pub struct MemorySpool {
    queues: HashMap<ChannelId, Queue>,
    next_key: u64,
    synchronised: bool,
    may_have_just_sent: bool,
    counts: Counts,
}

#[derive(Debug)]
struct Queue {
    backlog: Backlog,
    entries: BTreeMap<Key, Held>,
    bytes: u64,
    /// Everything before this key is as thin as it gets.
    thinned: Key,
    /// The seconds that were given.
    taken: Taken,
    /// The end of the last draft.
    last_end: Option<Mono>,
    echoes: bool,
    columns: ColumnSet,
    /// Set aside: a late echo may still settle them.
    doubtful: BTreeSet<Key>,
}

#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) draft: UntimedEntry,
    pub(super) created_at: Option<Utc>,
    pub(super) since: Mono,
    pub(super) taken: bool,
    /// A session that is gone has sent it: it is not merged.
    pub(super) sent: bool,
}

impl Held {
    fn put_back(&mut self) {
        (self.taken, self.sent) = (false, true);
        // What may have arrived as a bare value goes out with its time now, or it would get the time of its arrival.
        self.draft.form = Form::Feed;
    }
}

impl MemorySpool {
    /// An empty spool for these channels. Its entries wait for [`Spool::synchronised`].
    pub fn new(channels: impl IntoIterator<Item = (ChannelId, Backlog)>) -> Self {
        Self {
            queues: channels.into_iter().map(|(id, backlog)| (id, Queue::new(backlog))).collect(),
            ..Self::default()
        }
    }

    fn first(&self, channel: ChannelId, fits: impl Fn(&Held) -> bool) -> Option<Waiting> {
        let waits = |held: &Held| !held.taken && fits(held);
        let (&key, held) = self.queues.get(&channel)?.entries.iter().find(|(_, held)| waits(held))?;
        let entry = held.draft.clone().stamped(held.created_at?);
        Some(Waiting { key, entry, since: held.since, sent: held.sent })
    }

    fn remove(&mut self, key: Key) -> Option<Held> {
        self.queues.values_mut().find_map(|queue| queue.remove(key))
    }
}

impl Spool for MemorySpool {
    fn push(&mut self, now: Now, draft: UntimedEntry) -> Pushed {
        self.counts.pushed += 1;
        let key = Key(self.next_key);
        self.next_key += 1;
        let synchronised = self.synchronised;
        let queue = self.queues.entry(draft.channel).or_insert_with(|| Queue::new(Backlog::default()));
        let created_at = synchronised.then(|| queue.taken.give_end(now, draft.end));
        queue.last_end = queue.last_end.max(Some(draft.end));
        queue.bytes += size_of_draft(&draft);
        queue.entries.insert(key, Held { draft, created_at, since: now.mono, taken: false, sent: false });
        self.counts.merged += queue.thin() as u64;
        let mut dropped = 0;
        while queue.bytes > queue.backlog.max_size && queue.drop_oldest(key) {
            dropped += 1;
        }
        self.counts.dropped_for_size += dropped as u64;
        Pushed { created_at, dropped }
    }

    fn synchronised(&mut self, now: Now) {
        if std::mem::replace(&mut self.synchronised, true) {
            return;
        }
        for queue in self.queues.values_mut() {
            let taken = &mut queue.taken;
            for held in queue.entries.values_mut().filter(|held| held.created_at.is_none()) {
                held.created_at = Some(taken.give_end(now, held.draft.end));
            }
        }
    }

    fn is_synchronised(&self) -> bool {
        self.synchronised
    }

    fn adopt(&mut self, channels: &[(ChannelId, Backlog)], _: Policy) {
        for (id, backlog) in channels {
            self.queues.entry(*id).or_insert_with(|| Queue::new(*backlog)).backlog = *backlog;
        }
    }

    fn give_back(&mut self, channel: ChannelId) {
        self.may_have_just_sent = true;
        let Some(queue) = self.queues.get_mut(&channel) else { return };
        queue.entries.values_mut().filter(|held| held.taken).for_each(Held::put_back);
    }

    fn may_have_just_sent(&self) -> bool {
        self.may_have_just_sent
    }

    fn echoes(&self, channel: ChannelId) -> bool {
        self.queues.get(&channel).is_some_and(|queue| queue.echoes)
    }

    fn set_echoes(&mut self, channel: ChannelId, echoes: bool) {
        self.queues.entry(channel).or_insert_with(|| Queue::new(Backlog::default())).echoes = echoes;
    }

    fn columns(&self, channel: ChannelId) -> ColumnSet {
        self.queues.get(&channel).map_or_else(ColumnSet::default, |queue| queue.columns)
    }

    fn set_columns(&mut self, channel: ChannelId, columns: ColumnSet) {
        self.queues.entry(channel).or_insert_with(|| Queue::new(Backlog::default())).columns = columns;
    }

    fn may_collide(&self, _: ChannelId) -> bool {
        false
    }

    fn last_end(&self, channel: ChannelId) -> Option<Mono> {
        self.queues.get(&channel)?.last_end
    }

    fn oldest(&self, channel: ChannelId) -> Option<Waiting> {
        self.first(channel, |held| !held.sent)
    }

    fn oldest_sent(&self, channel: ChannelId) -> Option<Waiting> {
        self.first(channel, |held| held.sent)
    }

    fn live(&self, channel: ChannelId, since: Mono) -> Option<Waiting> {
        self.first(channel, |held| !held.sent && held.since >= since)
    }

    fn take(&mut self, key: Key) {
        if let Some(held) = self.queues.values_mut().find_map(|queue| queue.entries.get_mut(&key)) {
            held.taken = true;
        }
    }

    fn put_back(&mut self, key: Key) {
        if let Some(held) = self.queues.values_mut().find_map(|queue| queue.entries.get_mut(&key)) {
            held.put_back();
        }
    }

    fn confirm(&mut self, key: Key) {
        if self.remove(key).is_some() {
            self.counts.confirmed += 1;
        } else if self.queues.values_mut().any(|queue| queue.doubtful.remove(&key)) {
            self.counts.doubtful -= 1;
            self.counts.confirmed += 1;
        }
    }

    fn set_aside(&mut self, key: Key) {
        if let Some(held) = self.remove(key) {
            self.queues.entry(held.draft.channel).and_modify(|queue| _ = queue.doubtful.insert(key));
            self.counts.doubtful += 1;
        }
    }

    fn retime(&mut self, key: Key, taken: &dyn Fn(Utc) -> bool) -> Option<Utc> {
        let queue = self.queues.values_mut().find(|queue| queue.entries.contains_key(&key))?;
        let from = queue.entries.get(&key)?.created_at?;
        let at = queue.taken.free_from(from + SECOND, taken);
        queue.taken.give(at);
        queue.entries.get_mut(&key)?.created_at = Some(at);
        Some(at)
    }

    fn expire(&mut self, now: Now, channel: ChannelId) -> usize {
        let Some(queue) = self.queues.get_mut(&channel) else { return 0 };
        let keep = queue.backlog.keep;
        let old = queue.entries.iter().take_while(|(_, held)| now.mono.since(held.since) > keep);
        let old: Vec<Key> = old.filter(|(_, held)| !held.taken).map(|(key, _)| *key).collect();
        for key in &old {
            queue.remove(*key);
        }
        self.counts.dropped_for_age += old.len() as u64;
        old.len()
    }

    fn waiting(&self, channel: ChannelId) -> usize {
        self.queues.get(&channel).map_or(0, |queue| queue.entries.len())
    }

    fn standing(&self, channel: ChannelId) -> Standing {
        let Some(queue) = self.queues.get(&channel) else { return Standing::default() };
        let oldest = queue.entries.values().next().and_then(|held| held.created_at);
        Standing { waiting: queue.entries.len(), on_card: 0, bytes: queue.bytes, oldest }
    }

    fn counts(&self) -> Counts {
        self.counts
    }
}

impl Queue {
    fn new(backlog: Backlog) -> Self {
        Self {
            backlog,
            entries: BTreeMap::new(),
            bytes: 0,
            thinned: Key(0),
            taken: Taken::default(),
            last_end: None,
            echoes: false,
            columns: ColumnSet::default(),
            doubtful: BTreeSet::new(),
        }
    }

    fn remove(&mut self, key: Key) -> Option<Held> {
        let held = self.entries.remove(&key)?;
        self.bytes = self.bytes.saturating_sub(size_of_draft(&held.draft));
        Some(held)
    }

    /// Merges neighbours where the map asks for it and there is no room left. Each entry is looked at once.
    fn thin(&mut self) -> usize {
        let Some(within) = self.backlog.thin.filter(|_| self.bytes > self.backlog.max_size) else { return 0 };
        let fat = self.entries.split_off(&self.thinned);
        let before = fat.len();
        let neighbours = fat.into_iter().map(|(key, Held { draft, created_at, since, taken, sent })| Neighbour {
            key: (key, created_at, since, taken),
            at: created_at.map_or_else(|| draft.end.millis(), Utc::millis),
            clock: created_at.is_none().then(BootId::default),
            taken: taken || sent,
            draft,
        });
        let thin = thin::merge_neighbours(neighbours.collect(), within);
        let merged = before - thin.len();
        for Neighbour { key: (key, created_at, since, taken), taken: kept, draft, .. } in thin {
            let sent = kept && !taken;
            self.entries.insert(key, Held { draft, created_at, since, taken, sent });
            // The last one may still grow.
            self.thinned = key;
        }
        self.bytes = self.entries.values().map(|held| size_of_draft(&held.draft)).sum();
        merged
    }

    /// Drops the oldest entry that is not on its way, but for `newest`.
    fn drop_oldest(&mut self, newest: Key) -> bool {
        let oldest = self.entries.iter().find(|(key, held)| !held.taken && **key != newest).map(|(key, _)| *key);
        oldest.is_some_and(|key| self.remove(key).is_some())
    }
}

/// What a draft takes: its own size, its text, and its share of the queue.
fn size_of_draft(draft: &UntimedEntry) -> u64 {
    let text = draft.status.as_ref().map_or(0, String::capacity);
    (size_of::<(Key, Held)>() + text) as u64
}
