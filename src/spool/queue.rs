//! One channel's waiting entries: which of them are in memory, and which only on the disk.
//!
//! Invariants, between two calls:
//! - An entry waits in memory (`queued`), in a segment, or in both (`on_disk`). A segment's `waiting` counts the entries in its file
//!   that have not `left`, in memory or not.
//! - Entries up to `head` are in memory, and so are those that are not on the disk yet; in between lies the gap
//!   ([`super::gap`]). Without a `head` there is no gap.
//! - The disk's log is in the order of the keys: only keys above `written` are appended. Up to `attempted`, which is never
//!   less, the disk may have an entry though nobody knows: its acknowledgement is told there too.
//! - What left and may be on the disk is in `left` until its segment is gone.

use std::collections::{BTreeMap, BTreeSet};

use crate::entry::{ChannelId, Entry, Form};
use crate::spool::job::Group;
use crate::spool::known::Known;
use crate::spool::queued::{Entries, Queued};
use crate::spool::records::{Began, LogRecord, Time};
use crate::spool::segment::{self, Segment};
use crate::spool::segments::Segments;
use crate::spool::{Backlog, Key, Status, Turn};
use crate::time::{BootId, Mono, Utc};

/// What a channel may take in memory while the disk cannot be written.
const DISKLESS: u64 = 4 << 20;

/// Entries of one boot that were pushed before anybody knew the time, oldest first.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Untimed {
    pub(super) boot: BootId,
    pub(super) first: Mono,
    pub(super) last: Mono,
    /// How many they were.
    pub(super) count: usize,
    /// When the boot began by the wall clock that nobody believed.
    pub(super) claimed: Utc,
}

#[derive(Debug)]
pub(super) struct Queue {
    pub(super) id: ChannelId,
    pub(super) backlog: Backlog,
    pub(super) queued: Entries,
    /// All entries up to this one are in memory; `None` where all are.
    pub(super) head: Option<Key>,
    /// The channel's log, oldest first.
    pub(super) segments: Segments,
    /// The last entry that was written to the disk.
    pub(super) written: Key,
    /// When boots began, as far as entries of theirs need it.
    pub(super) began: Vec<(BootId, Began)>,
    pub(super) untimed: Vec<Untimed>,
    /// New times of entries whose record on the disk has the old one.
    pub(super) retimed: BTreeMap<Key, Utc>,
    /// Entries on the disk, not in memory, that have left: by an acknowledgement of an earlier run.
    pub(super) left: BTreeSet<Key>,
    /// What the disk is to be told with the next group, and since when.
    pub(super) unnoted: Vec<(BootId, LogRecord)>,
    pub(super) unnoted_since: Mono,
    /// The disk must be told a boot's beginning before entries get their times by it.
    pub(super) awaiting_boot_record: bool,
    /// Entries up to this one were given to a write that may have reached the disk, whatever became of it.
    pub(super) attempted: Key,
    /// Entries that were sent in an earlier run, or by a session that is gone: they are not merged.
    pub(super) sent: BTreeSet<Key>,
    /// What is known of the channel beyond its entries.
    pub(super) known: Known,
    /// The end of the last draft of this boot.
    pub(super) last_end: Option<Mono>,
    /// Files that hold nothing any more: dropped for size.
    pub(super) removals: Vec<String>,
    /// Unconfirmed entries on their way to the disk, or late acknowledgements of such.
    pub(super) aside: Vec<(BootId, LogRecord)>,
    /// Unconfirmed ones that a late echo may still settle.
    pub(super) unconfirmed: BTreeSet<Key>,
}

impl Queue {
    pub(super) fn new(id: ChannelId, backlog: Backlog) -> Self {
        Self {
            id,
            backlog,
            queued: Entries::default(),
            head: None,
            segments: Segments::default(),
            written: Key(0),
            began: Vec::new(),
            untimed: Vec::new(),
            retimed: BTreeMap::new(),
            left: BTreeSet::new(),
            unnoted: Vec::new(),
            unnoted_since: Mono::default(),
            awaiting_boot_record: false,
            attempted: Key(0),
            sent: BTreeSet::new(),
            known: Known::default(),
            last_end: None,
            removals: Vec::new(),
            aside: Vec::new(),
            unconfirmed: BTreeSet::new(),
        }
    }

    /// Entries that wait, on the disk and in memory.
    pub(super) fn waiting(&self) -> usize {
        self.segments.waiting() + self.queued.unwritten()
    }

    /// How the channel's entries stand.
    pub(super) fn status(&self) -> Status {
        let on_disk = self.segments.waiting();
        // Behind the gap there are older ones that memory does not have.
        let before_gap = |key: &Key| self.head.is_none_or(|head| *key <= head);
        let oldest =
            self.queued.iter().next().filter(|(key, _)| before_gap(key)).and_then(|(_, queued)| self.time_of(queued));
        Status { waiting: self.waiting(), on_disk, bytes: self.bytes(), oldest }
    }

    /// What the channel's entries take, on the disk and in memory.
    pub(super) fn bytes(&self) -> u64 {
        self.segments.bytes() + self.queued.unwritten_bytes()
    }

    /// Entries that are still to be written to the disk. One whose segment is gone stays in memory and in the runtime
    /// directory: the disk's log is in the order of the keys.
    pub(super) fn unwritten(&self) -> impl Iterator<Item = (&Key, &Queued)> {
        self.queued.range(Key(self.written.0 + 1)..).filter(|(_, queued)| !queued.on_disk)
    }

    /// Whether so much waits in memory that the disk should have it, whatever the policy says.
    pub(super) fn is_memory_half_full(&self) -> bool {
        self.queued.unwritten_bytes() > DISKLESS / 2
    }

    /// Whether memory holds all that it may while the disk takes nothing.
    pub(super) fn is_memory_full(&self) -> bool {
        self.queued.unwritten_bytes() > DISKLESS
    }

    /// The oldest entry in memory that is not taken and stands before the gap.
    pub(super) fn oldest(&self) -> Option<(Key, &Queued)> {
        self.before_gap().find(|(_, queued)| !queued.taken)
    }

    /// The entry that has this turn, if it has its time.
    pub(super) fn next(&self, turn: Turn, boot: BootId) -> Option<(Key, &Queued)> {
        let next = match turn {
            Turn::Live(since) => self.live(boot, since),
            Turn::Backlog => self.oldest_sent(false),
            Turn::Again => self.oldest_sent(true),
        };
        next.filter(|(_, queued)| self.is_timed(queued))
    }

    /// The oldest of those that were never sent, or of those that an earlier run or session has sent.
    fn oldest_sent(&self, sent: bool) -> Option<(Key, &Queued)> {
        self.before_gap().find(|(key, queued)| !queued.taken && self.sent.contains(key) == sent)
    }

    fn before_gap(&self) -> impl Iterator<Item = (Key, &Queued)> {
        let before_gap = |key: &Key| self.head.is_none_or(|head| *key <= head);
        self.queued.iter().take_while(move |(key, _)| before_gap(key)).map(|(key, queued)| (*key, queued))
    }

    /// The oldest entry of this boot that was never sent and was pushed at `since` or later.
    fn live(&self, boot: BootId, since: Mono) -> Option<(Key, &Queued)> {
        let lately =
            self.queued.iter().rev().take_while(|(_, queued)| queued.boot == boot && queued.record.since >= since);
        lately
            .filter(|(key, queued)| !queued.taken && !self.sent.contains(key))
            .last()
            .map(|(key, queued)| (*key, queued))
    }

    /// Whether an entry has its time, and may be sent with it.
    fn is_timed(&self, queued: &Queued) -> bool {
        let is_claimed = matches!(queued.record.time, Time::Claimed(_));
        let is_new = is_claimed || self.retimed.contains_key(&queued.record.key);
        if is_new && self.awaiting_boot_record && self.may_be_on_disk(queued) {
            return false;
        }
        !is_claimed || self.began_of(queued.boot).is_some()
    }

    /// The entry as it is sent; `None` while it has no time.
    pub(super) fn entry(&self, queued: &Queued) -> Option<Entry> {
        let mut entry = queued.record.entry(self.began_of(queued.boot)).filter(|_| self.is_timed(queued))?;
        entry.was_sent = self.sent.contains(&queued.record.key);
        if entry.was_sent {
            // What may have arrived as a bare value goes out with its time now, or it would get the time of its arrival.
            entry.form = Form::Feed;
        }
        Some(entry)
    }

    pub(super) fn began_of(&self, boot: BootId) -> Option<&Began> {
        self.began.iter().find(|(known, _)| *known == boot).map(|(_, began)| began)
    }

    /// The time of an entry as far as it is known.
    pub(super) fn time_of(&self, queued: &Queued) -> Option<Utc> {
        match queued.record.time {
            Time::Known(at) => Some(at),
            Time::Claimed(_) => self.began_of(queued.boot).map(|began| began.time_of(queued.record.draft.end)),
        }
    }

    /// Takes an entry out that has left. Returns it; one that is on the disk is noted to have left.
    pub(super) fn remove(&mut self, now: Mono, key: Key) -> Option<Queued> {
        let queued = self.queued.remove(key)?;
        self.retimed.remove(&key);
        if queued.on_disk
            && let Some(place) = self.segments.holding(key)
        {
            self.segments.change(place, |segment| segment.waiting = segment.waiting.saturating_sub(1));
        }
        if self.may_be_on_disk(&queued) {
            self.left.insert(key);
            self.note(now, queued.boot, LogRecord::Settled(key));
        }
        self.sent.remove(&key);
        Some(queued)
    }

    /// Whether the disk has an entry, or may have it from a write that is under way or has failed.
    pub(super) fn may_be_on_disk(&self, queued: &Queued) -> bool {
        queued.on_disk || queued.record.key <= self.attempted
    }

    /// Something that the disk is to be told with the next group.
    pub(super) fn note(&mut self, now: Mono, boot: BootId, note: LogRecord) {
        self.begin_group(now);
        self.unnoted.push((boot, note));
    }

    /// Something for the file of unconfirmed entries.
    pub(super) fn tell_aside(&mut self, now: Mono, boot: BootId, note: LogRecord) {
        self.begin_group(now);
        self.aside.push((boot, note));
    }

    fn begin_group(&mut self, now: Mono) {
        if self.unnoted.is_empty() && self.aside.is_empty() {
            self.unnoted_since = now;
        }
    }

    /// Gives an entry another second. Returns what the runtime directory is to be told.
    pub(super) fn move_to(&mut self, now: Mono, boot: BootId, key: Key, at: Utc) -> LogRecord {
        self.known.taken.give(at);
        self.queued.retime(key, at);
        let note = LogRecord::Retimed(key, at);
        if self.queued.get(&key).is_some_and(|queued| self.may_be_on_disk(queued)) {
            self.retimed.insert(key, at);
            self.note(now, boot, note.clone());
        }
        note
    }

    /// Notes that an entry was pushed without a time.
    pub(super) fn note_untimed(&mut self, boot: BootId, end: Mono, claimed: Utc) {
        let claimed = claimed - end.since_boot();
        match self.untimed.iter_mut().find(|run| run.boot == boot) {
            Some(run) => {
                run.first = run.first.min(end);
                run.last = run.last.max(end);
                run.count += 1;
                run.claimed = claimed;
            }
            None => self.untimed.push(Untimed { boot, first: end, last: end, count: 1, claimed }),
        }
    }

    /// Drops the oldest segment: the entries that are not taken are gone, those that are go back to memory. Returns whether
    /// there was one.
    pub(super) fn drop_segment(&mut self) -> bool {
        let Some(segment) = self.segments.pop_front() else { return false };
        let inside: Vec<Key> = self.queued.range(segment.first..=segment.last).map(|(key, _)| *key).collect();
        for key in inside {
            if self.queued[&key].taken {
                self.queued.set_on_disk(key, false);
            } else {
                self.queued.remove(key);
            }
        }
        self.forget_before(segment.last);
        if self.head.is_some_and(|head| head < segment.last) {
            self.head = Some(segment.last);
        }
        self.removals.push(segment.file);
        self.close_gap();
        true
    }

    /// Drops the oldest entry that is neither taken nor on the disk, but for the newest. Returns which, if there was one.
    pub(super) fn drop_unwritten(&mut self, now: Mono) -> Option<Key> {
        let newest = self.queued.keys().next_back().copied();
        let free = |(key, queued): &(&Key, &Queued)| !queued.taken && !queued.on_disk && Some(**key) != newest;
        let oldest = self.queued.iter().find(free).map(|(key, _)| *key);
        oldest.and_then(|key| self.remove(now, key)).map(|dropped| dropped.record.key)
    }

    /// Changes a segment that a job worked on: it is not dropped meanwhile.
    pub(super) fn change_segment<T>(&mut self, file: &str, change: impl FnOnce(&mut Segment) -> T) -> T {
        let place = self.segments.in_file(file).expect("a segment that is worked on stays");
        self.segments.change(place, change)
    }

    /// Puts a new segment behind the others, if it is one.
    pub(super) fn begin_segment(&mut self, file: &str, begins: bool) {
        if begins {
            let (channel, first) = segment::parse(file).expect("a name of our own");
            self.segments.push_back(Segment::new(channel, first));
        }
    }

    /// A group was written to a segment.
    pub(super) fn written(&mut self, file: &str, group: &Group) {
        // One that is gone had its acknowledgement while it was written, and the disk will be told.
        let waiting = group.entries.iter().filter(|key| self.queued.set_on_disk(**key, true)).count();
        let last = group.entries.last().copied();
        self.change_segment(file, |segment| {
            segment.bytes = group.whole + group.bytes.len() as u64;
            segment.waiting += waiting;
            segment.last = last.unwrap_or(segment.last);
        });
        self.written = last.unwrap_or(self.written);
        self.unnoted.drain(..group.notes);
        self.awaiting_boot_record &= !group.began;
        self.forget();
    }

    /// A file is gone.
    pub(super) fn removed(&mut self, file: &str) {
        self.removals.retain(|known| known != file);
        if let Some(segment) = self.segments.in_file(file).and_then(|place| self.segments.remove(place)) {
            self.forget_before(segment.last);
        }
        if self.segments.is_empty() && self.removals.is_empty() {
            // Nothing is left there that a word could be about.
            self.unnoted.clear();
            self.retimed.clear();
            self.left.clear();
            self.sent.retain(|key| self.queued.contains_key(key));
            let queued = &self.queued;
            self.began.retain(|(boot, _)| queued.values().any(|queued| queued.boot == *boot));
        }
    }

    /// What was known of entries in segments that are gone.
    fn forget_before(&mut self, last: Key) {
        self.left.retain(|key| *key > last);
        self.sent.retain(|key| *key > last || self.queued.contains_key(key));
        self.retimed.retain(|key, _| *key > last);
    }

    /// Whether a new segment is begun with the next write.
    pub(super) fn begins_segment(&self) -> bool {
        self.segments.back().is_none_or(|last| last.bytes >= segment::largest(&self.backlog))
    }
}
