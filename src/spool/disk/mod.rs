//! The spool on two logs: the runtime directory's at once, the card's when entries stay. The format, the recovery and the
//! reasoning about crashes stand in [`crate::spool`].
//!
//! [`DiskSpool`] never waits for the card. [`DiskSpool::job`] says what is to be done there, whoever owns the disk's thread
//! does it ([`Job::perform`]), and [`DiskSpool::done`] takes the outcome. One job is open at a time.

mod discard;
mod fast;
mod gap;
mod held;
mod job;
mod jobs;
mod known;
mod queue;
mod queues;
mod recovery;
mod segment;
mod segments;
mod survey;
mod times;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::entry::{ChannelId, ColumnSet, UntimedEntry};
use crate::spool::records::{self, EntryRecord, LogRecord, Time};
use crate::spool::taken::SECOND;
use crate::spool::{Backlog, Counts, Durability, Key, Policy, Pushed, Spool, SpoolEvent, Standing, Waiting};
use crate::store::storage::Storage;
use crate::time::{BootId, Mono, Now, Utc};

use fast::FastLog;
use held::Held;
use jobs::Rules;
use queue::Queue;
use queues::Queues;

pub use discard::{DiscardError, Discarded, Which, discard};
pub use job::{Job, Outcome};
pub use known::MEMORY;
pub use recovery::{Damaged, Found};
pub use survey::{Listed, State, survey};

/// How many of a channel's doubtful entries a late echo may settle: the session remembers as many.
const DOUBTFUL: usize = 64;

/// Waiting entries of all channels on disk.
pub struct DiskSpool {
    rules: Rules,
    queues: Queues,
    next: Key,
    believed: bool,
    /// Nothing is known of an earlier run of this boot.
    is_first_run: bool,
    fast: FastLog,
    card: Card,
    /// The last time that anybody told.
    seen: Mono,
    wall: WallClock,
    counts: Counts,
    told: Vec<SpoolEvent>,
    /// Channels of which something was learned that is worth a write to the card.
    learned: BTreeSet<ChannelId>,
    /// The card says that it knows all seconds that were given, and no longer does.
    outdates_card: bool,
    bell: Box<dyn Fn() + Send>,
}

/// The state directory, as far as the spool knows it.
#[derive(Debug, Default)]
struct Card {
    /// That it cannot be written was told.
    trouble: bool,
    /// After a failure it is left alone until then, each kind of work by itself.
    write_at: Option<Mono>,
    read_at: Option<Mono>,
    remove_at: Option<Mono>,
    /// The channel that had the last job.
    turn: ChannelId,
    /// The file that a job works on.
    busy: Option<String>,
}

impl DiskSpool {
    /// Reads what an earlier run left in the runtime directory (`fast`) and on the card (`card`), mends what is torn, and goes
    /// on from there. `bell` is rung when [`DiskSpool::job`] has something that does not wait for a time.
    ///
    /// What cannot be read is told and set aside: the daemon starts in any case.
    pub fn open(
        channels: impl IntoIterator<Item = (ChannelId, Backlog)>,
        policy: Policy,
        (boot, now): (BootId, Now),
        fast: Arc<dyn Storage>,
        card: &dyn Storage,
        bell: Box<dyn Fn() + Send>,
    ) -> (Self, Found) {
        let mut recovered = recovery::recover(boot, &*fast, card, true);
        if !recovered.found.unreadable.is_empty() {
            // Nobody knows which keys are used there: what comes now must not get the same ones.
            let by_clock = now.utc.seconds().max(1).unsigned_abs().min(records::KEYS >> 21) << 20;
            recovered.next = recovered.next.max(Key(by_clock));
        }
        let lost = recovered.found.bad.iter().map(|damaged| damaged.lost as u64).sum();
        for (id, backlog) in channels {
            recovered.queues.entry(id).or_insert_with(|| Queue::new(id, backlog)).backlog = backlog;
        }
        let mut spool = Self {
            rules: Rules { policy, boot, is_stopping: false },
            queues: Queues::new(recovered.queues),
            next: recovered.next,
            believed: recovered.believed,
            is_first_run: recovered.is_first_run,
            fast: FastLog::new(fast),
            card: Card::default(),
            seen: now.mono,
            wall: WallClock::default(),
            counts: Counts { unreadable: lost, ..Counts::default() },
            told: Vec::new(),
            learned: BTreeSet::new(),
            outdates_card: false,
            bell,
        };
        spool.move_off_taken();
        spool.write_anew();
        (spool, recovered.found)
    }

    /// Writes the runtime directory's log anew: somebody has removed it.
    pub fn keep_anew(&mut self) {
        self.write_anew();
    }

    /// From now on everything is written to the card as fast as it goes.
    pub fn stop(&mut self) {
        self.rules.is_stopping = true;
        self.queues.all_are_stale();
        (self.card.write_at, self.card.remove_at) = (None, None);
        (self.bell)();
    }

    /// Whether [`DiskSpool::stop`] was called.
    pub const fn is_stopping(&self) -> bool {
        self.rules.is_stopping
    }

    /// Adds to the runtime directory's log; where that fails, memory is all there is until it works again.
    fn note(&mut self, boot: BootId, notes: &[LogRecord]) {
        if !self.fast.journal().is_stale() {
            let written = self.fast.add(boot, notes);
            self.tell_fast(written);
        }
        if self.fast.journal().wants_rewrite(self.seen) {
            self.write_anew();
        }
    }

    fn write_anew(&mut self) {
        let mut notes = vec![(self.rules.boot, LogRecord::Next(self.next))];
        if self.believed {
            notes.push((self.rules.boot, LogRecord::Believed));
        }
        for (id, queue) in self.queues.iter() {
            notes.push((self.rules.boot, LogRecord::Latest(*id, None, queue.last_end)));
            notes.push((self.rules.boot, LogRecord::Given(*id, queue.known.taken.clone(), queue.known.has_past)));
            notes.push((self.rules.boot, LogRecord::Columns(*id, queue.known.columns)));
            notes.extend(queue.known.echoes.then_some((self.rules.boot, LogRecord::Echoes(*id, true))));
            notes.extend(
                queue.began.iter().map(|(boot, began)| (self.rules.boot, LogRecord::Began(*id, *boot, *began))),
            );
            notes.extend(queue.sent.iter().map(|key| (self.rules.boot, LogRecord::Sent(*key))));
            let taken = queue.held.iter().filter(|(_, held)| held.taken);
            notes.extend(taken.map(|(key, _)| (self.rules.boot, LogRecord::Sent(*key))));
            notes.extend(queue.retimed.iter().map(|(key, at)| (self.rules.boot, LogRecord::Retimed(*key, *at))));
            notes.extend(queue.unnoted.iter().filter(|(_, note)| matches!(note, LogRecord::Settled(_))).cloned());
            let unwritten = queue.held.values().filter(|held| !held.on_card);
            notes.extend(unwritten.map(|held| (held.boot, LogRecord::Entry(held.kept.clone()))));
            notes.extend(queue.aside.iter().cloned());
        }
        let written = self.fast.rewrite(self.seen, notes);
        self.tell_fast(written);
    }

    fn tell_fast(&mut self, written: std::io::Result<()>) {
        if let Some(news) = self.fast.journal().news(written) {
            self.told.push(SpoolEvent::Runtime(news.err().map(|error| error.to_string())));
        }
    }

    fn held(&mut self, key: Key) -> Option<(ChannelId, &mut Queue)> {
        let (id, _) = self.queues.iter().find(|(_, queue)| queue.held.contains_key(&key))?;
        let id = *id;
        Some((id, self.queues.get_mut(id)?))
    }

    /// Takes an entry out for good.
    fn remove(&mut self, key: Key) -> Option<Held> {
        let now = self.seen;
        let (_, queue) = self.held(key)?;
        let held = queue.remove(now, key)?;
        let rings = queue.is_low() || queue.segments.front().is_some_and(|segment| segment.waiting == 0);
        if rings {
            (self.bell)();
        }
        Some(held)
    }

    /// Makes room by dropping the oldest. Returns how many.
    fn make_room(&mut self, channel: ChannelId) -> usize {
        let Some(queue) = self.queues.get_mut(channel) else { return 0 };
        let before = queue.waiting();
        let busy = self.card.busy.as_deref();
        let (mut settled, mut has_segment_gone) = (Vec::new(), false);
        while queue.is_memory_full() || queue.bytes() > queue.backlog.max_size {
            let on_card = queue.segments.front().filter(|_| !queue.is_memory_full());
            let went = match on_card {
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
            (self.bell)();
        }
        self.counts.dropped_for_size += dropped as u64;
        dropped
    }
}

impl Spool for DiskSpool {
    fn push(&mut self, now: Now, draft: UntimedEntry) -> Pushed {
        self.seen = now.mono;
        self.counts.pushed += 1;
        let key = self.next;
        self.next = Key(key.0 + 1);
        let (boot, believed, channel) = (self.rules.boot, self.believed, draft.channel);
        let queue = self.queues.get_or_new(channel);
        queue.last_end = queue.last_end.max(Some(draft.end));
        let created_at = believed.then(|| queue.known.taken.give_end(now, draft.end));
        let time = created_at.map_or_else(|| Time::Claimed(now.utc_at(draft.end)), Time::Known);
        if created_at.is_none() {
            queue.note_untimed(boot, draft.end, now.utc_at(draft.end));
        }
        let kept = EntryRecord { key, since: now.mono, time, draft };
        queue.held.insert(Held { kept: kept.clone(), boot, taken: false, on_card: false });
        self.note(boot, &[LogRecord::Entry(kept)]);
        let dropped = self.make_room(channel);
        if self.rules.policy.durability == Durability::Always {
            (self.bell)();
        }
        Pushed { created_at, dropped }
    }

    fn synchronised(&mut self, now: Now) {
        self.seen = now.mono;
        let was_believed = std::mem::replace(&mut self.believed, true);
        let boot = self.rules.boot;
        let mut notes = Vec::new();
        for (id, queue) in self.queues.iter_mut() {
            let is_here = times::is_in_memory(queue, boot);
            for (of, began) in times::resolve(queue, boot, now, is_here) {
                notes.push(LogRecord::Began(*id, of, began));
            }
            if is_here {
                notes.extend(times::give_each(queue, now.mono, boot));
            }
            notes.extend(times::move_off_taken(queue, now.mono, boot));
        }
        if !notes.is_empty() {
            // The boots' seconds.
            notes.extend(
                self.queues
                    .iter()
                    .map(|(id, queue)| LogRecord::Given(*id, queue.known.taken.clone(), queue.known.has_past)),
            );
        }
        // Last: should the log be torn here, the clock is asked again.
        notes.extend((!was_believed).then_some(LogRecord::Believed));
        if !notes.is_empty() {
            self.note(boot, &notes);
            (self.bell)();
        }
    }

    fn is_synchronised(&self) -> bool {
        self.believed
    }

    fn adopt(&mut self, channels: &[(ChannelId, Backlog)], policy: Policy) {
        self.rules.policy = policy;
        for (id, backlog) in channels {
            self.queues.get_or_new(*id).backlog = *backlog;
        }
        // What is due on the card may be due earlier now.
        self.queues.all_are_stale();
        (self.bell)();
    }

    fn give_back(&mut self, channel: ChannelId) {
        if let Some(queue) = self.queues.get_mut(channel) {
            queue.sent.extend(queue.held.give_back());
        }
    }

    fn may_have_just_sent(&self) -> bool {
        true
    }

    fn echoes(&self, channel: ChannelId) -> bool {
        self.queues.get(channel).is_some_and(|queue| queue.known.echoes)
    }

    fn set_echoes(&mut self, channel: ChannelId, echoes: bool) {
        let queue = self.queues.get_or_new(channel);
        if std::mem::replace(&mut queue.known.echoes, echoes) != echoes {
            self.learned.insert(channel);
            self.note(self.rules.boot, &[LogRecord::Echoes(channel, echoes)]);
        }
    }

    fn columns(&self, channel: ChannelId) -> ColumnSet {
        self.queues.get(channel).map_or_else(ColumnSet::default, |queue| queue.known.columns)
    }

    fn set_columns(&mut self, channel: ChannelId, columns: ColumnSet) {
        let queue = self.queues.get_or_new(channel);
        if std::mem::replace(&mut queue.known.columns, columns) != columns {
            self.learned.insert(channel);
            self.note(self.rules.boot, &[LogRecord::Columns(channel, columns)]);
        }
    }

    fn may_collide(&self, channel: ChannelId) -> bool {
        self.queues.get(channel).is_some_and(|queue| queue.known.may_collide())
    }

    fn last_end(&self, channel: ChannelId) -> Option<Mono> {
        self.queues.get(channel)?.last_end
    }

    fn oldest(&self, channel: ChannelId) -> Option<Waiting> {
        let queue = self.queues.get(channel)?;
        self.waiting_one(queue, queue.oldest_sent(false)?)
    }

    fn oldest_sent(&self, channel: ChannelId) -> Option<Waiting> {
        let queue = self.queues.get(channel)?;
        self.waiting_one(queue, queue.oldest_sent(true)?)
    }

    fn live(&self, channel: ChannelId, since: Mono) -> Option<Waiting> {
        let queue = self.queues.get(channel)?;
        self.waiting_one(queue, queue.live(self.rules.boot, since)?)
    }

    fn take(&mut self, key: Key) {
        let Some((_, queue)) = self.held(key) else { return };
        queue.held.take(key);
        if queue.is_low() {
            (self.bell)();
        }
        // From now on the service may have it: a later run must not merge it.
        self.note(self.rules.boot, &[LogRecord::Sent(key)]);
    }

    fn put_back(&mut self, key: Key) {
        let Some((_, queue)) = self.held(key) else { return };
        queue.held.put_back(key);
        queue.sent.insert(key);
    }

    fn confirm(&mut self, key: Key) {
        if self.remove(key).is_some() {
            self.counts.confirmed += 1;
        } else {
            let (now, boot) = (self.seen, self.rules.boot);
            let found = self.queues.iter().find(|(_, queue)| queue.doubtful.contains(&key)).map(|(id, _)| *id);
            let Some(queue) = found.and_then(|id| self.queues.get_mut(id)) else { return };
            queue.doubtful.remove(&key);
            queue.tell_aside(now, boot, LogRecord::Settled(key));
            self.counts.doubtful = self.counts.doubtful.saturating_sub(1);
            self.counts.confirmed += 1;
        }
        self.note(self.rules.boot, &[LogRecord::Settled(key)]);
    }

    fn set_aside(&mut self, key: Key) {
        let now = self.seen;
        let Some(held) = self.remove(key) else { return };
        self.counts.doubtful += 1;
        let queue = self.queues.get_mut(held.kept.draft.channel).expect("it was there");
        let mut kept = held.kept;
        if let Some(began) = queue.began_of(held.boot)
            && let Time::Claimed(_) = kept.time
        {
            kept.time = Time::Known(began.time_of(kept.draft.end));
        }
        queue.tell_aside(now, held.boot, LogRecord::Aside(kept.clone()));
        queue.doubtful.insert(key);
        if queue.doubtful.len() > DOUBTFUL {
            queue.doubtful.pop_first();
        }
        self.note(held.boot, &[LogRecord::Settled(key), LogRecord::Aside(kept)]);
    }

    fn retime(&mut self, key: Key, taken: &dyn Fn(Utc) -> bool) -> Option<Utc> {
        let (now, boot) = (self.seen, self.rules.boot);
        let (_, queue) = self.held(key)?;
        let from = queue.time_of(queue.held.get(&key)?)?;
        let at = queue.known.taken.free_from(from + SECOND, taken);
        let note = queue.move_to(now, boot, key, at);
        self.note(boot, &[note]);
        Some(at)
    }

    fn expire(&mut self, now: Now, channel: ChannelId) -> usize {
        self.seen = now.mono;
        let (boot, is_steady) = (self.rules.boot, self.believed && self.wall.is_steady(now));
        let Some(queue) = self.queues.get_mut(channel) else { return 0 };
        let keep = queue.backlog.keep;
        let mut old = Vec::new();
        while let Some((key, held)) = queue.oldest() {
            let age = if held.boot == boot {
                now.mono.since(held.kept.since)
            } else {
                // What an earlier boot left is at least as old as this one, and as its time says where that is known.
                let by_time = queue.time_of(held).filter(|_| is_steady).map(|at| now.utc.since(at));
                by_time.unwrap_or_default().max(now.mono.since_boot())
            };
            if age <= keep {
                break;
            }
            queue.remove(now.mono, key);
            old.push(LogRecord::Settled(key));
        }
        if queue.is_low() {
            (self.bell)();
        }
        self.counts.dropped_for_age += old.len() as u64;
        if !old.is_empty() {
            self.note(boot, &old);
        }
        old.len()
    }

    fn waiting(&self, channel: ChannelId) -> usize {
        self.queues.get(channel).map_or(0, Queue::waiting)
    }

    fn standing(&self, channel: ChannelId) -> Standing {
        self.queues.get(channel).map(Queue::standing).unwrap_or_default()
    }

    fn counts(&self) -> Counts {
        self.counts
    }
}

/// How long the wall clock has not been set.
#[derive(Debug, Default)]
struct WallClock {
    /// What it said at the boot, as of the last look, and when it was first seen to say so.
    steady: Option<(Utc, Mono)>,
}

impl WallClock {
    /// Ages are judged by the wall clock when it was not set for so long: one that is wrong by years for some hours must not empty
    /// the backlog of an earlier boot.
    const TRUSTED_AFTER: Duration = Duration::from_secs(86_400);
    /// It was set when it moves by more than this against the boot clock.
    const SET_BY: Duration = Duration::from_secs(2);

    fn is_steady(&mut self, now: Now) -> bool {
        let booted = now.utc_at(Mono::default());
        let (before, since) = self.steady.unwrap_or((booted, now.mono));
        let is_same = booted.since(before).max(before.since(booted)) <= Self::SET_BY;
        let since = if is_same { since } else { now.mono };
        self.steady = Some((booted, since));
        now.mono.since(since) >= Self::TRUSTED_AFTER
    }
}

impl DiskSpool {
    fn waiting_one(&self, queue: &Queue, (key, held): (Key, &Held)) -> Option<Waiting> {
        let sent = queue.sent.contains(&key);
        Some(Waiting { key, entry: queue.entry(held)?, since: self.rules.since(held), sent })
    }

    /// Moves entries off seconds that others have, where they got theirs by their boot's beginning.
    fn move_off_taken(&mut self) {
        let (now, boot) = (self.seen, self.rules.boot);
        let queues = self.queues.iter_mut();
        let notes: Vec<LogRecord> = queues.flat_map(|(_, queue)| times::move_off_taken(queue, now, boot)).collect();
        if !notes.is_empty() {
            self.note(boot, &notes);
        }
    }

    /// What is to be remembered of channels over a reboot. `is_last` says that no more seconds will be given in this boot.
    pub fn memory(&self, is_last: bool) -> Vec<(ChannelId, Vec<u8>)> {
        self.queues.iter().map(|(id, queue)| (*id, queue.known.memory(is_last))).collect()
    }

    /// Takes up what [`DiskSpool::memory`] gave to an earlier run. What cannot be read is left out. `was_used` says whether an
    /// earlier run has used the state directory, whatever it left there.
    pub fn recall(&mut self, memories: Vec<(ChannelId, Vec<u8>)>, was_used: bool) {
        if self.is_first_run {
            self.queues.iter_mut().for_each(|(_, queue)| queue.known.has_past = was_used);
        }
        for (channel, memory) in memories {
            let queue = self.queues.get_or_new(channel);
            let _ = queue.known.recall(&memory, self.is_first_run);
            self.outdates_card |= std::mem::take(&mut queue.known.is_outdated);
        }
        self.move_off_taken();
        self.write_anew();
    }

    /// What is to be remembered of the channels of which something was learned since this was last asked: it is worth a write to
    /// the card.
    pub fn learned(&mut self) -> Vec<(ChannelId, Vec<u8>)> {
        let learned = std::mem::take(&mut self.learned).into_iter();
        learned.filter_map(|channel| Some((channel, self.queues.get(channel)?.known.memory(false)))).collect()
    }

    /// Whether the card says that it knows all seconds that were given, and no longer does, since this was last asked.
    pub fn outdates_card(&mut self) -> bool {
        std::mem::take(&mut self.outdates_card)
    }

    /// What went wrong with the directories, or works again, since this was last asked.
    pub fn told(&mut self) -> Vec<SpoolEvent> {
        std::mem::take(&mut self.told)
    }
}

#[cfg(test)]
mod tests;
