//! How entries come into the spool, and how they go for their age or their size.

use crate::entry::{ChannelId, Key, UntimedEntry};
use crate::spool::queued::Queued;
use crate::spool::records::{self, EntryRecord, LogRecord, Time};
use crate::spool::{Durability, Spool};
use crate::time::{Now, Utc};

/// What pushing entries led to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    /// The time of each; `None` while the wall clock is not believed.
    pub created_at: Vec<Option<Utc>>,
    /// How many entries of their channel had to be dropped for them.
    pub dropped: usize,
}

impl Spool {
    /// Takes the entries that a slot of one channel became. One record of the runtime directory's log holds all of them, so that a kill
    /// keeps all or none.
    ///
    /// # Panics
    /// Where they are of several channels.
    pub fn push(&mut self, now: Now, entries: Vec<UntimedEntry>) -> Pushed {
        self.seen = now.mono;
        self.counts.pushed += entries.len() as u64;
        let Some(channel) = entries.first().map(|entry| entry.channel) else { return Pushed::default() };
        let (boot, believed) = (self.rules.boot, self.believed);
        let queue = self.queues.get_or_new(channel);
        let (mut created_at, mut records) = (Vec::with_capacity(entries.len()), Vec::with_capacity(entries.len()));
        for draft in entries {
            assert_eq!(draft.channel, channel, "entries of one slot are of one channel");
            let key = self.next;
            self.next = Key(key.0 + 1);
            queue.last_end = queue.last_end.max(Some(draft.end));
            let at = believed.then(|| queue.known.taken.give_end(now, draft.end));
            let time = at.map_or_else(|| Time::Claimed(now.utc_at(draft.end)), Time::Known);
            if at.is_none() {
                queue.note_untimed(boot, draft.end, now.utc_at(draft.end));
            }
            let kept = EntryRecord { key, since: now.mono, time, draft };
            queue.queued.insert(Queued::new(kept.clone(), boot));
            created_at.push(at);
            records.push(kept);
        }
        self.note(boot, &records::together(records));
        let dropped = self.make_room(channel);
        if self.rules.policy.durability == Durability::Always {
            (self.notify)();
        }
        Pushed { created_at, dropped }
    }

    /// Drops what has waited longer than the channel's `keep`, on the boot clock: a wall clock that is set days ahead must
    /// not empty the backlog. What an earlier boot left is as old as its time says, once the clock is believed. Returns how
    /// many.
    pub fn expire(&mut self, now: Now, channel: ChannelId) -> usize {
        self.seen = now.mono;
        let (boot, is_steady) = (self.rules.boot, self.believed && self.wall.is_steady(now));
        let Some(queue) = self.queues.get_mut(channel) else { return 0 };
        let keep = queue.backlog.keep;
        let mut old = Vec::new();
        while let Some((key, queued)) = queue.oldest() {
            let age = if queued.boot == boot {
                now.mono.since(queued.record.since)
            } else {
                // What an earlier boot left is at least as old as this one, and as its time says where that is known.
                let by_time = queue.time_of(queued).filter(|_| is_steady).map(|at| now.utc.since(at));
                by_time.unwrap_or_default().max(now.mono.since_boot())
            };
            if age <= keep {
                break;
            }
            queue.remove(now.mono, key);
            old.push(LogRecord::Settled(key));
        }
        if queue.is_low() {
            (self.notify)();
        }
        self.counts.dropped_for_age += old.len() as u64;
        if !old.is_empty() {
            self.note(boot, &old);
        }
        old.len()
    }

    /// Makes room by dropping the oldest. Returns how many.
    fn make_room(&mut self, channel: ChannelId) -> usize {
        let Some(queue) = self.queues.get_mut(channel) else { return 0 };
        let before = queue.waiting();
        let busy = self.disk.busy.as_deref();
        let (mut settled, mut has_segment_gone) = (Vec::new(), false);
        while queue.is_memory_full() || queue.bytes() > queue.backlog.max_size {
            let on_disk = queue.segments.front().filter(|_| !queue.is_memory_full());
            let went = match on_disk {
                Some(segment) if Some(segment.file.as_str()) == busy => false,
                Some(_) => {
                    has_segment_gone = true;
                    queue.drop_segment()
                }
                None => {
                    let dropped = queue.drop_unwritten(self.seen);
                    settled.extend(dropped.map(LogRecord::Settled));
                    dropped.is_some()
                }
            };
            if !went {
                break;
            }
        }
        let dropped = before - queue.waiting();
        // What was dropped must not come back from the log.
        if !settled.is_empty() {
            self.note(self.rules.boot, &settled);
        }
        if has_segment_gone {
            // What is on its way has no other place now.
            self.write_anew();
        }
        if dropped > 0 {
            (self.notify)();
        }
        self.counts.dropped_for_size += dropped as u64;
        dropped
    }
}
