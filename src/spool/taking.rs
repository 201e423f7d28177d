//! How entries are taken for sending, and what becomes of them: released, acknowledged or rejected.

use crate::entry::{ChannelId, Entry, Key};
use crate::spool::Spool;
use crate::spool::queued::Queued;
use crate::spool::records::{LogRecord, Time};
use crate::spool::taken::SECOND;
use crate::time::{Mono, Utc};

/// How many of a channel's unconfirmed entries a late echo may settle: the session remembers as many.
const UNCONFIRMED: usize = 64;

/// Which of a channel's waiting entries are asked for. The oldest of them comes first; those that are taken, and those that have no
/// time yet, are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Those that were never sent and were pushed at this time or later.
    Live(Mono),
    /// Those that were never sent. None though such entries wait means that they come from the disk later.
    Backlog,
    /// Those that an earlier run or session has sent.
    Again,
}

/// An entry that could be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    /// Its place.
    pub key: Key,
    /// When it was pushed, on the boot clock; the boot itself for one of an earlier boot.
    pub since: Mono,
}

/// Why an entry that was taken cannot stay as it is.
#[derive(Clone, Copy)]
pub enum Rejection<'a> {
    /// Another row has its second, so that the service refuses it. It gets the next second that no other entry was given and for which
    /// this is not true.
    SecondTaken(&'a dyn Fn(Utc) -> bool),
    /// It was sent several times and never acknowledged: it may be stored or not. It waits no more; an acknowledgement that comes late
    /// still counts.
    Unconfirmed,
}

impl Spool {
    /// The entry of a channel that has this turn, without taking it.
    pub fn next(&self, channel: ChannelId, turn: Turn) -> Option<Next> {
        let (key, queued) = self.queues.get(channel)?.next(turn, self.rules.boot)?;
        Some(Next { key, since: self.rules.since(queued) })
    }

    /// Takes entries of a channel for sending, as many as `most`: from now on they are neither merged nor dropped, and not offered
    /// again.
    pub fn take(&mut self, channel: ChannelId, turn: Turn, most: usize) -> Vec<Entry> {
        let boot = self.rules.boot;
        let Some(queue) = self.queues.get_mut(channel) else { return Vec::new() };
        let mut taken = Vec::new();
        while taken.len() < most
            && let Some(entry) = queue.next(turn, boot).and_then(|(_, queued)| queue.entry(queued))
        {
            queue.queued.take(entry.key);
            taken.push(entry);
        }
        if taken.is_empty() {
            return taken;
        }
        if queue.is_low() {
            (self.notify)();
        }
        // From now on the service may have them: a later run must not merge them.
        let sent: Vec<LogRecord> = taken.iter().map(|entry| LogRecord::Sent(entry.key)).collect();
        self.note(boot, &sent);
        taken
    }

    /// An entry that was taken waits again, as one that was sent.
    pub fn release(&mut self, channel: ChannelId, key: Key) {
        let Some(queue) = self.queues.get_mut(channel).filter(|queue| queue.queued.contains_key(&key)) else { return };
        queue.queued.release(key);
        queue.sent.insert(key);
    }

    /// The session that took entries of a channel is gone: they wait again, as after a restart.
    pub fn release_all(&mut self, channel: ChannelId) {
        self.may_have_just_sent = true;
        if let Some(queue) = self.queues.get_mut(channel) {
            queue.sent.extend(queue.queued.release_all());
        }
    }

    /// An entry is stored, or received where that has to do: it leaves. One that was rejected as unconfirmed is settled by that, too.
    pub fn acknowledge(&mut self, channel: ChannelId, key: Key) {
        if self.remove(channel, key).is_none() {
            let (now, boot) = (self.seen, self.rules.boot);
            let Some(queue) = self.queues.get_mut(channel).filter(|queue| queue.unconfirmed.contains(&key)) else {
                return;
            };
            queue.unconfirmed.remove(&key);
            queue.tell_aside(now, boot, LogRecord::Settled(key));
            self.counts.unconfirmed = self.counts.unconfirmed.saturating_sub(1);
        }
        self.counts.acknowledged += 1;
        self.note(self.rules.boot, &[LogRecord::Settled(key)]);
    }

    /// An entry that was taken cannot stay as it is. Returns its new time, where it gets one.
    pub fn reject(&mut self, channel: ChannelId, key: Key, why: Rejection<'_>) -> Option<Utc> {
        match why {
            Rejection::SecondTaken(taken) => self.retime(channel, key, taken),
            Rejection::Unconfirmed => {
                self.set_unconfirmed(channel, key);
                None
            }
        }
    }

    fn retime(&mut self, channel: ChannelId, key: Key, taken: &dyn Fn(Utc) -> bool) -> Option<Utc> {
        let (now, boot) = (self.seen, self.rules.boot);
        let queue = self.queues.get_mut(channel)?;
        let from = queue.time_of(queue.queued.get(&key)?)?;
        let at = queue.known.taken.free_from(from + SECOND, taken);
        let note = queue.move_to(now, boot, key, at);
        self.note(boot, &[note]);
        Some(at)
    }

    fn set_unconfirmed(&mut self, channel: ChannelId, key: Key) {
        let now = self.seen;
        let Some(queued) = self.remove(channel, key) else { return };
        self.counts.unconfirmed += 1;
        let queue = self.queues.get_or_new(channel);
        let mut kept = queued.record;
        if let Some(began) = queue.began_of(queued.boot)
            && let Time::Claimed(_) = kept.time
        {
            kept.time = Time::Known(began.time_of(kept.draft.end));
        }
        queue.tell_aside(now, queued.boot, LogRecord::Aside(kept.clone()));
        queue.unconfirmed.insert(key);
        if queue.unconfirmed.len() > UNCONFIRMED {
            queue.unconfirmed.pop_first();
        }
        self.note(queued.boot, &[LogRecord::Settled(key), LogRecord::Aside(kept)]);
    }

    /// Takes an entry out for good.
    fn remove(&mut self, channel: ChannelId, key: Key) -> Option<Queued> {
        let now = self.seen;
        let queue = self.queues.get_mut(channel)?;
        let queued = queue.remove(now, key)?;
        let notifies = queue.is_low() || queue.segments.front().is_some_and(|segment| segment.waiting == 0);
        if notifies {
            (self.notify)();
        }
        Some(queued)
    }
}

#[cfg(any(test, fuzzing))]
impl Spool {
    /// The entry that has this turn, as it would be taken.
    pub(crate) fn peek(&self, channel: ChannelId, turn: Turn) -> Option<Entry> {
        let queue = self.queues.get(channel)?;
        queue.entry(queue.next(turn, self.rules.boot)?.1)
    }

    /// Takes this entry, whichever turn it has.
    pub(crate) fn take_one(&mut self, channel: ChannelId, key: Key) {
        let since = self.queues[&channel].queued[&key].record.since;
        let has_it = |turn: &Turn| self.next(channel, *turn).is_some_and(|next| next.key == key);
        let turn = [Turn::Backlog, Turn::Again, Turn::Live(since)].into_iter().find(has_it).expect("it has its turn");
        assert_eq!(self.take(channel, turn, 1)[0].key, key);
    }
}
