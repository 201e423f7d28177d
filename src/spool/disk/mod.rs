//! The spool on two logs: the runtime directory's at once, the card's when entries stay. The format, the recovery and the
//! reasoning about crashes stand in [`crate::spool`].
//!
//! [`Spool`] never waits for the card. [`Spool::job`] says what is to be done there, whoever owns the disk's thread
//! does it ([`Job::perform`]), and [`Spool::done`] takes the outcome. One job is open at a time.

mod discard;
mod fast;
mod gap;
mod job;
mod jobs;
mod known;
mod queue;
mod queued;
mod queues;
mod recovery;
mod segment;
mod segments;
mod survey;
mod times;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::entry::{ChannelId, ColumnSet, Entry, UntimedEntry};
use crate::spool::records::{self, EntryRecord, LogRecord, Time};
use crate::spool::taken::SECOND;
use crate::spool::{Backlog, Counts, Durability, Key, Next, Policy, Pushed, Rejection, SpoolEvent, Status, Turn};
use crate::store::storage::{Memory, Storage};
use crate::time::{BootId, Mono, Now, Utc};

use fast::FastLog;
use jobs::Rules;
use queue::Queue;
pub(super) use queued::Queued;
use queues::Queues;

pub use discard::{DiscardError, Discarded, Which, discard};
pub use job::{Job, Outcome};
pub use known::MEMORY;
pub use recovery::{Damaged, Found};
pub use survey::{Listed, State, survey};

/// How many of a channel's doubtful entries a late echo may settle: the session remembers as many.
const DOUBTFUL: usize = 64;

/// Waiting entries of all channels. None of its methods waits for a disk.
#[expect(clippy::struct_excessive_bools, reason = "each is one independent fact")]
pub struct Spool {
    rules: Rules,
    queues: Queues,
    next: Key,
    believed: bool,
    /// Nothing is known of an earlier run of this boot.
    is_first_run: bool,
    /// Its folders end with the process.
    is_in_memory: bool,
    /// An earlier run or session may have sent updates a moment ago.
    may_have_just_sent: bool,
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

impl Spool {
    /// Reads what an earlier run left in the runtime directory (`fast`) and on the card (`card`), mends what is torn, and goes
    /// on from there. `bell` is rung when [`Spool::job`] has something that does not wait for a time.
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
            is_in_memory: false,
            may_have_just_sent: true,
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

    /// A spool without directories: what waits ends with the process, and it has nothing to say of disks. Returns it with the
    /// folder that its jobs are to be performed on.
    pub fn in_memory(
        channels: impl IntoIterator<Item = (ChannelId, Backlog)>,
        policy: Policy,
        start: (BootId, Now),
        bell: Box<dyn Fn() + Send>,
    ) -> (Self, Memory) {
        let (runtime, disk) = (Arc::new(Memory::default()), Memory::default());
        let (spool, _) = Self::open(channels, policy, start, runtime, &disk, bell);
        (Self { is_in_memory: true, may_have_just_sent: false, ..spool }, disk)
    }

    /// Whether what waits ends with the process.
    pub const fn is_in_memory(&self) -> bool {
        self.is_in_memory
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

    /// Whether [`Spool::stop`] was called.
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
            notes.extend(unwritten.map(|held| (held.boot, LogRecord::Entry(held.record.clone()))));
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

    /// Takes an entry out for good.
    fn remove(&mut self, channel: ChannelId, key: Key) -> Option<Queued> {
        let now = self.seen;
        let queue = self.queues.get_mut(channel)?;
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
            queue.held.insert(Queued::new(kept.clone(), boot));
            created_at.push(at);
            records.push(kept);
        }
        self.note(boot, &records::together(records));
        let dropped = self.make_room(channel);
        if self.rules.policy.durability == Durability::Always {
            (self.bell)();
        }
        Pushed { created_at, dropped }
    }

    /// From now on the wall clock can be believed: what waits for its time gets it.
    pub fn synchronised(&mut self, now: Now) {
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

    /// Whether the wall clock is believed; on disk, an earlier run of this boot may have found it right.
    pub const fn is_synchronised(&self) -> bool {
        self.believed
    }

    /// Takes the channels and the policy of a new map. What waits for a channel that it no longer has goes on waiting.
    pub fn adopt(&mut self, channels: &[(ChannelId, Backlog)], policy: Policy) {
        self.rules.policy = policy;
        for (id, backlog) in channels {
            self.queues.get_or_new(*id).backlog = *backlog;
        }
        // What is due on the card may be due earlier now.
        self.queues.all_are_stale();
        (self.bell)();
    }

    /// Whether an earlier run or session may have sent updates a moment ago: nobody knows when they arrived. True for every run
    /// that is not known to be the first.
    pub const fn may_have_just_sent(&self) -> bool {
        self.may_have_just_sent
    }

    /// Whether entries of a channel were seen to come back: only then that one does not means something.
    pub fn echoes(&self, channel: ChannelId) -> bool {
        self.queues.get(channel).is_some_and(|queue| queue.known.echoes)
    }

    /// Entries of a channel come back, or do no longer.
    pub fn set_echoes(&mut self, channel: ChannelId, echoes: bool) {
        let queue = self.queues.get_or_new(channel);
        if std::mem::replace(&mut queue.known.echoes, echoes) != echoes {
            self.learned.insert(channel);
            self.note(self.rules.boot, &[LogRecord::Echoes(channel, echoes)]);
        }
    }

    /// The columns of a channel in which entries were seen to come back as they were sent.
    pub fn columns(&self, channel: ChannelId) -> ColumnSet {
        self.queues.get(channel).map_or_else(ColumnSet::default, |queue| queue.known.columns)
    }

    /// From now on these are the columns in which entries come back.
    pub fn set_columns(&mut self, channel: ChannelId, columns: ColumnSet) {
        let queue = self.queues.get_or_new(channel);
        if std::mem::replace(&mut queue.known.columns, columns) != columns {
            self.learned.insert(channel);
            self.note(self.rules.boot, &[LogRecord::Columns(channel, columns)]);
        }
    }

    /// Whether an earlier boot may have given seconds of a channel that are not known: rows may be in the way of entries.
    pub fn may_collide(&self, channel: ChannelId) -> bool {
        self.queues.get(channel).is_some_and(|queue| queue.known.may_collide())
    }

    /// The end of the last draft of this boot that was taken from a channel.
    pub fn last_end(&self, channel: ChannelId) -> Option<Mono> {
        self.queues.get(channel)?.last_end
    }

    /// The entry of a channel that has this turn, without taking it.
    pub fn next(&self, channel: ChannelId, turn: Turn) -> Option<Next> {
        let (key, held) = self.queues.get(channel)?.next(turn, self.rules.boot)?;
        Some(Next { key, since: self.rules.since(held) })
    }

    /// Takes entries of a channel for sending, as many as `most`: from now on they are neither merged nor dropped, and not offered
    /// again.
    pub fn take(&mut self, channel: ChannelId, turn: Turn, most: usize) -> Vec<Entry> {
        let boot = self.rules.boot;
        let Some(queue) = self.queues.get_mut(channel) else { return Vec::new() };
        let mut taken = Vec::new();
        while taken.len() < most
            && let Some(entry) = queue.next(turn, boot).and_then(|(_, held)| queue.entry(held))
        {
            queue.held.take(entry.key);
            taken.push(entry);
        }
        if taken.is_empty() {
            return taken;
        }
        if queue.is_low() {
            (self.bell)();
        }
        // From now on the service may have them: a later run must not merge them.
        let sent: Vec<LogRecord> = taken.iter().map(|entry| LogRecord::Sent(entry.key)).collect();
        self.note(boot, &sent);
        taken
    }

    /// An entry that was taken waits again, as one that was sent.
    pub fn release(&mut self, channel: ChannelId, key: Key) {
        let Some(queue) = self.queues.get_mut(channel).filter(|queue| queue.held.contains_key(&key)) else { return };
        queue.held.put_back(key);
        queue.sent.insert(key);
    }

    /// The session that took entries of a channel is gone: they wait again, as after a restart.
    pub fn release_all(&mut self, channel: ChannelId) {
        self.may_have_just_sent = true;
        if let Some(queue) = self.queues.get_mut(channel) {
            queue.sent.extend(queue.held.give_back());
        }
    }

    /// An entry is stored, or received where that has to do: it leaves. One that was rejected as unconfirmed is settled by that, too.
    pub fn acknowledge(&mut self, channel: ChannelId, key: Key) {
        if self.remove(channel, key).is_none() {
            let (now, boot) = (self.seen, self.rules.boot);
            let Some(queue) = self.queues.get_mut(channel).filter(|queue| queue.doubtful.contains(&key)) else {
                return;
            };
            queue.doubtful.remove(&key);
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
                self.set_aside(channel, key);
                None
            }
        }
    }

    fn retime(&mut self, channel: ChannelId, key: Key, taken: &dyn Fn(Utc) -> bool) -> Option<Utc> {
        let (now, boot) = (self.seen, self.rules.boot);
        let queue = self.queues.get_mut(channel)?;
        let from = queue.time_of(queue.held.get(&key)?)?;
        let at = queue.known.taken.free_from(from + SECOND, taken);
        let note = queue.move_to(now, boot, key, at);
        self.note(boot, &[note]);
        Some(at)
    }

    fn set_aside(&mut self, channel: ChannelId, key: Key) {
        let now = self.seen;
        let Some(held) = self.remove(channel, key) else { return };
        self.counts.unconfirmed += 1;
        let queue = self.queues.get_or_new(channel);
        let mut kept = held.record;
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

    /// Drops what has waited longer than the channel's `keep`, on the boot clock: a wall clock that is set days ahead must
    /// not empty the backlog. What an earlier boot left is as old as its time says, once the clock is believed. Returns how
    /// many.
    pub fn expire(&mut self, now: Now, channel: ChannelId) -> usize {
        self.seen = now.mono;
        let (boot, is_steady) = (self.rules.boot, self.believed && self.wall.is_steady(now));
        let Some(queue) = self.queues.get_mut(channel) else { return 0 };
        let keep = queue.backlog.keep;
        let mut old = Vec::new();
        while let Some((key, held)) = queue.oldest() {
            let age = if held.boot == boot {
                now.mono.since(held.record.since)
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

    /// Entries that wait, of one channel: those that are taken too, the unconfirmed not.
    pub fn waiting(&self, channel: ChannelId) -> usize {
        self.queues.get(channel).map_or(0, Queue::waiting)
    }

    /// How a channel's entries stand.
    pub fn status(&self, channel: ChannelId) -> Status {
        let status = self.queues.get(channel).map(Queue::status).unwrap_or_default();
        Status { on_disk: if self.is_in_memory { 0 } else { status.on_disk }, ..status }
    }

    /// What happened since the start.
    pub const fn counts(&self) -> Counts {
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

impl Spool {
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

    /// Takes up what [`Spool::memory`] gave to an earlier run. What cannot be read is left out. `was_used` says whether an
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
        let told = std::mem::take(&mut self.told);
        if self.is_in_memory { Vec::new() } else { told }
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
        let since = self.queues[&channel].held[&key].record.since;
        let has_it = |turn: &Turn| self.next(channel, *turn).is_some_and(|next| next.key == key);
        let turn = [Turn::Backlog, Turn::Again, Turn::Live(since)].into_iter().find(has_it).expect("it has its turn");
        assert_eq!(self.take(channel, turn, 1)[0].key, key);
    }
}

#[cfg(test)]
mod tests;
