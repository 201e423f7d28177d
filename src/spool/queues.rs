//! The channels' queues, and what each has for the disk.
//!
//! A daemon may have thousands of channels, of which few have something for the disk at a time. So no operation looks at all of
//! them: a queue that was changed is *stale*, and what it has for the disk is worked out anew before somebody asks
//! ([`Queues::settle`]). What the others have stands in sets in the order in which it is asked for.

use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::ops::{Bound, Index};

use crate::entry::ChannelId;
use crate::spool::Backlog;
use crate::spool::jobs;
use crate::spool::queue::Queue;
use crate::spool::rules::Rules;
use crate::time::Mono;

/// Queues by channel, in which nothing changes unseen.
#[derive(Debug, Default)]
pub(super) struct Queues {
    by_channel: BTreeMap<ChannelId, Queue>,
    /// Those that were changed since the sets were last settled.
    stale: BTreeSet<ChannelId>,
    /// What was worked out for each that has something for the disk.
    work: BTreeMap<ChannelId, Work>,
    /// Those that have to be written, by when.
    writes: BTreeSet<(Mono, ChannelId)>,
    /// Those of them whose time had come at `ripe_at`, for their turns.
    ripe: BTreeSet<ChannelId>,
    ripe_at: Mono,
    reads: BTreeSet<ChannelId>,
    thins: BTreeSet<ChannelId>,
    removals: BTreeSet<ChannelId>,
    unwritten: BTreeSet<ChannelId>,
}

/// What a queue has for the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one kind of work")]
pub(super) struct Work {
    /// When it has to be written.
    pub(super) write: Option<Mono>,
    /// The next entries are to be read.
    pub(super) reads: bool,
    /// A segment is to be thinned.
    pub(super) thins: bool,
    /// A file is to be removed.
    pub(super) removes: bool,
    /// The disk lacks something, due or not.
    pub(super) is_unwritten: bool,
}

impl Work {
    pub(super) fn of(queue: &Queue, rules: &Rules) -> Self {
        Self {
            write: rules.write_due(queue),
            reads: queue.is_low() && queue.next_to_read().is_some(),
            thins: jobs::to_be_thinned(queue).is_some(),
            removes: jobs::removable(queue).is_some(),
            is_unwritten: queue.unwritten().next().is_some() || !queue.aside.is_empty() || !queue.unnoted.is_empty(),
        }
    }
}

impl Queues {
    pub(super) fn new(by_channel: BTreeMap<ChannelId, Queue>) -> Self {
        let stale = by_channel.keys().copied().collect();
        Self { by_channel, stale, ..Self::default() }
    }

    pub(super) fn get(&self, channel: ChannelId) -> Option<&Queue> {
        self.by_channel.get(&channel)
    }

    /// A queue that is about to be changed.
    pub(super) fn get_mut(&mut self, channel: ChannelId) -> Option<&mut Queue> {
        let queue = self.by_channel.get_mut(&channel)?;
        self.stale.insert(channel);
        Some(queue)
    }

    /// The same; an empty one where there was none.
    pub(super) fn get_or_new(&mut self, channel: ChannelId) -> &mut Queue {
        self.stale.insert(channel);
        self.by_channel.entry(channel).or_insert_with(|| Queue::new(channel, Backlog::default()))
    }

    pub(super) fn iter(&self) -> btree_map::Iter<'_, ChannelId, Queue> {
        self.by_channel.iter()
    }

    /// All of them, which are about to be changed.
    pub(super) fn iter_mut(&mut self) -> btree_map::IterMut<'_, ChannelId, Queue> {
        self.all_are_stale();
        self.by_channel.iter_mut()
    }

    /// Something changed that what all of them have for the disk depends on.
    pub(super) fn all_are_stale(&mut self) {
        self.stale.extend(self.by_channel.keys());
    }

    /// Works out what the queues that were changed have for the disk.
    pub(super) fn settle(&mut self, rules: &Rules) {
        while let Some(channel) = self.stale.pop_first() {
            let new = self.by_channel.get(&channel).map(|queue| Work::of(queue, rules)).unwrap_or_default();
            let old = self.work.remove(&channel).unwrap_or_default();
            if new != Work::default() {
                self.work.insert(channel, new);
            }
            if new.write != old.write {
                old.write.inspect(|due| _ = self.writes.remove(&(*due, channel)));
                new.write.inspect(|due| _ = self.writes.insert((*due, channel)));
                set(&mut self.ripe, channel, new.write.is_some_and(|due| due <= self.ripe_at));
            }
            set(&mut self.reads, channel, new.reads);
            set(&mut self.thins, channel, new.thins);
            set(&mut self.removals, channel, new.removes);
            set(&mut self.unwritten, channel, new.is_unwritten);
        }
    }

    /// When the next one has to be written. To be asked when they are settled, as all that follows.
    pub(super) fn next_write(&self) -> Option<Mono> {
        self.writes.first().map(|(due, _)| *due)
    }

    pub(super) fn has_reads(&self) -> bool {
        !self.reads.is_empty()
    }

    pub(super) fn has_removals(&self) -> bool {
        !self.removals.is_empty()
    }

    pub(super) fn is_written(&self) -> bool {
        self.unwritten.is_empty()
    }

    /// The queues whose next entries are to be read, the one behind `turn` first.
    pub(super) fn reads(&self, turn: ChannelId) -> impl Iterator<Item = &Queue> {
        self.in_turn(&self.reads, turn)
    }

    /// Those in which a segment is to be thinned.
    pub(super) fn thins(&self, turn: ChannelId) -> impl Iterator<Item = &Queue> {
        self.in_turn(&self.thins, turn)
    }

    /// Those with a file that is to be removed.
    pub(super) fn removals(&self, turn: ChannelId) -> impl Iterator<Item = &Queue> {
        self.in_turn(&self.removals, turn)
    }

    /// Those that have to be written now.
    pub(super) fn due_writes(&mut self, now: Mono, turn: ChannelId) -> impl Iterator<Item = &Queue> {
        if now > self.ripe_at {
            let ripened = self.writes.range((self.ripe_at, ChannelId(0))..=(now, ChannelId(u64::MAX)));
            self.ripe.extend(ripened.map(|(_, channel)| *channel));
            self.ripe_at = now;
        }
        let queues = &*self;
        let due = |channel: ChannelId| queues.work.get(&channel).and_then(|work| work.write);
        queues.in_turn(&queues.ripe, turn).filter(move |queue| due(queue.id).is_some_and(|due| due <= now))
    }

    fn in_turn<'a>(&'a self, set: &'a BTreeSet<ChannelId>, turn: ChannelId) -> impl Iterator<Item = &'a Queue> {
        let behind = set.range((Bound::Excluded(turn), Bound::Unbounded));
        behind.chain(set.range(..=turn)).filter_map(|channel| self.by_channel.get(channel))
    }

    /// What was worked out, and what it is for queues that nobody has kept an eye on.
    #[cfg(test)]
    pub(super) fn is_settled(&self, rules: &Rules) -> bool {
        let all = self.by_channel.iter().map(|(channel, queue)| (*channel, Work::of(queue, rules)));
        let all: BTreeMap<ChannelId, Work> = all.filter(|(_, work)| *work != Work::default()).collect();
        let having = |has: fn(&Work) -> bool| -> BTreeSet<ChannelId> {
            all.iter().filter(|(_, work)| has(work)).map(|(channel, _)| *channel).collect()
        };
        let writes = all.iter().filter_map(|(channel, work)| Some((work.write?, *channel))).collect();
        let is_ripe = |(channel, work): (&ChannelId, &Work)| {
            work.write.is_some_and(|due| due <= self.ripe_at) == self.ripe.contains(channel)
        };
        self.work == all
            && self.writes == writes
            && all.iter().all(is_ripe)
            && self.reads == having(|work| work.reads)
            && self.thins == having(|work| work.thins)
            && self.removals == having(|work| work.removes)
            && self.unwritten == having(|work| work.is_unwritten)
    }
}

fn set(set: &mut BTreeSet<ChannelId>, channel: ChannelId, is_in: bool) {
    if is_in {
        set.insert(channel);
    } else {
        set.remove(&channel);
    }
}

impl Index<&ChannelId> for Queues {
    type Output = Queue;

    fn index(&self, channel: &ChannelId) -> &Queue {
        &self.by_channel[channel]
    }
}
