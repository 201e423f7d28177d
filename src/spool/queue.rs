//! One channel's waiting entries: which of them are in memory, and which only on the card.
//!
//! Invariants, between two calls:
//! - An entry waits in memory (`held`), in a segment, or in both (`on_card`). A segment's `waiting` counts the entries in its file
//!   that have not `left`, in memory or not.
//! - Entries up to `head` are in memory, and so are those that are not on the card yet; in between lies the gap
//!   ([`super::gap`]). Without a `head` there is no gap.
//! - The card's log is in the order of the keys: only keys above `written` are appended. Up to `attempted`, which is never
//!   less, the card may have an entry though nobody knows: its receipt is told there too.
//! - What left and may be on the card is in `left` until its segment is gone.

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

/// What a channel may take in memory while the card cannot be written.
const CARDLESS: u64 = 4 << 20;

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
    pub(super) held: Entries,
    /// All entries up to this one are in memory; `None` where all are.
    pub(super) head: Option<Key>,
    /// The channel's log, oldest first.
    pub(super) segments: Segments,
    /// The last entry that was written to the card.
    pub(super) written: Key,
    /// When boots began, as far as entries of theirs need it.
    pub(super) began: Vec<(BootId, Began)>,
    pub(super) untimed: Vec<Untimed>,
    /// New times of entries whose record on the card has the old one.
    pub(super) retimed: BTreeMap<Key, Utc>,
    /// Entries on the card, not in memory, that have left: by a receipt of an earlier run.
    pub(super) left: BTreeSet<Key>,
    /// What the card is to be told with the next group, and since when.
    pub(super) unnoted: Vec<(BootId, LogRecord)>,
    pub(super) unnoted_since: Mono,
    /// The card must be told a boot's beginning before entries get their times by it.
    pub(super) hushed: bool,
    /// Entries up to this one were given to a write that may have reached the card, whatever became of it.
    pub(super) attempted: Key,
    /// Entries that were sent in an earlier run, or by a session that is gone: they are not merged.
    pub(super) sent: BTreeSet<Key>,
    /// What is known of the channel beyond its entries.
    pub(super) known: Known,
    /// The end of the last draft of this boot.
    pub(super) last_end: Option<Mono>,
    /// Files that hold nothing any more: dropped for size.
    pub(super) removals: Vec<String>,
    /// Doubtful entries on their way to the card, or late receipts of such.
    pub(super) aside: Vec<(BootId, LogRecord)>,
    /// Doubtful ones that a late echo may still settle.
    pub(super) doubtful: BTreeSet<Key>,
}

impl Queue {
    pub(super) fn new(id: ChannelId, backlog: Backlog) -> Self {
        Self {
            id,
            backlog,
            held: Entries::default(),
            head: None,
            segments: Segments::default(),
            written: Key(0),
            began: Vec::new(),
            untimed: Vec::new(),
            retimed: BTreeMap::new(),
            left: BTreeSet::new(),
            unnoted: Vec::new(),
            unnoted_since: Mono::default(),
            hushed: false,
            attempted: Key(0),
            sent: BTreeSet::new(),
            known: Known::default(),
            last_end: None,
            removals: Vec::new(),
            aside: Vec::new(),
            doubtful: BTreeSet::new(),
        }
    }

    /// Entries that wait, on the card and in memory.
    pub(super) fn waiting(&self) -> usize {
        self.segments.waiting() + self.held.unwritten()
    }

    /// How the channel's entries stand.
    pub(super) fn status(&self) -> Status {
        let on_card = self.segments.waiting();
        // Behind the gap there are older ones that memory does not have.
        let before_gap = |key: &Key| self.head.is_none_or(|head| *key <= head);
        let oldest =
            self.held.iter().next().filter(|(key, _)| before_gap(key)).and_then(|(_, held)| self.time_of(held));
        Status { waiting: self.waiting(), on_disk: on_card, bytes: self.bytes(), oldest }
    }

    /// What the channel's entries take, on the card and in memory.
    pub(super) fn bytes(&self) -> u64 {
        self.segments.bytes() + self.held.unwritten_bytes()
    }

    /// Entries that are still to be written to the card. One whose segment is gone stays in memory and in the runtime
    /// directory: the card's log is in the order of the keys.
    pub(super) fn unwritten(&self) -> impl Iterator<Item = (&Key, &Queued)> {
        self.held.range(Key(self.written.0 + 1)..).filter(|(_, held)| !held.on_card)
    }

    /// Whether so much waits in memory that the card should have it, whatever the policy says.
    pub(super) fn is_memory_half_full(&self) -> bool {
        self.held.unwritten_bytes() > CARDLESS / 2
    }

    /// Whether memory holds all that it may while the card takes nothing.
    pub(super) fn is_memory_full(&self) -> bool {
        self.held.unwritten_bytes() > CARDLESS
    }

    /// The oldest entry in memory that is not taken and stands before the gap.
    pub(super) fn oldest(&self) -> Option<(Key, &Queued)> {
        self.before_gap().find(|(_, held)| !held.taken)
    }

    /// The entry that has this turn, if it has its time.
    pub(super) fn next(&self, turn: Turn, boot: BootId) -> Option<(Key, &Queued)> {
        let next = match turn {
            Turn::Live(since) => self.live(boot, since),
            Turn::Backlog => self.oldest_sent(false),
            Turn::Again => self.oldest_sent(true),
        };
        next.filter(|(_, held)| self.is_timed(held))
    }

    /// The oldest of those that were never sent, or of those that an earlier run or session has sent.
    fn oldest_sent(&self, sent: bool) -> Option<(Key, &Queued)> {
        self.before_gap().find(|(key, held)| !held.taken && self.sent.contains(key) == sent)
    }

    fn before_gap(&self) -> impl Iterator<Item = (Key, &Queued)> {
        let before_gap = |key: &Key| self.head.is_none_or(|head| *key <= head);
        self.held.iter().take_while(move |(key, _)| before_gap(key)).map(|(key, held)| (*key, held))
    }

    /// The oldest entry of this boot that was never sent and was pushed at `since` or later.
    fn live(&self, boot: BootId, since: Mono) -> Option<(Key, &Queued)> {
        let lately = self.held.iter().rev().take_while(|(_, held)| held.boot == boot && held.record.since >= since);
        lately.filter(|(key, held)| !held.taken && !self.sent.contains(key)).last().map(|(key, held)| (*key, held))
    }

    /// Whether an entry has its time, and may be sent with it.
    fn is_timed(&self, held: &Queued) -> bool {
        let is_claimed = matches!(held.record.time, Time::Claimed(_));
        let is_new = is_claimed || self.retimed.contains_key(&held.record.key);
        if is_new && self.hushed && self.may_be_on_card(held) {
            return false;
        }
        !is_claimed || self.began_of(held.boot).is_some()
    }

    /// The entry as it is sent; `None` while it has no time.
    pub(super) fn entry(&self, held: &Queued) -> Option<Entry> {
        let mut entry = held.record.entry(self.began_of(held.boot)).filter(|_| self.is_timed(held))?;
        entry.was_sent = self.sent.contains(&held.record.key);
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
    pub(super) fn time_of(&self, held: &Queued) -> Option<Utc> {
        match held.record.time {
            Time::Known(at) => Some(at),
            Time::Claimed(_) => self.began_of(held.boot).map(|began| began.time_of(held.record.draft.end)),
        }
    }

    /// Takes an entry out that has left. Returns it; one that is on the card is noted to have left.
    pub(super) fn remove(&mut self, now: Mono, key: Key) -> Option<Queued> {
        let held = self.held.remove(key)?;
        self.retimed.remove(&key);
        if held.on_card
            && let Some(place) = self.segments.holding(key)
        {
            self.segments.change(place, |segment| segment.waiting = segment.waiting.saturating_sub(1));
        }
        if self.may_be_on_card(&held) {
            self.left.insert(key);
            self.tell(now, held.boot, LogRecord::Settled(key));
        }
        self.sent.remove(&key);
        Some(held)
    }

    /// Whether the card has an entry, or may have it from a write that is under way or has failed.
    pub(super) fn may_be_on_card(&self, held: &Queued) -> bool {
        held.on_card || held.record.key <= self.attempted
    }

    /// Something that the card is to be told with the next group.
    pub(super) fn tell(&mut self, now: Mono, boot: BootId, note: LogRecord) {
        self.begin_group(now);
        self.unnoted.push((boot, note));
    }

    /// Something for the file of doubtful entries.
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
        self.held.retime(key, at);
        let note = LogRecord::Retimed(key, at);
        if self.held.get(&key).is_some_and(|held| self.may_be_on_card(held)) {
            self.retimed.insert(key, at);
            self.tell(now, boot, note.clone());
        }
        note
    }

    /// LogRecords that an entry was pushed without a time.
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
        let inside: Vec<Key> = self.held.range(segment.first..=segment.last).map(|(key, _)| *key).collect();
        for key in inside {
            if self.held[&key].taken {
                self.held.set_on_card(key, false);
            } else {
                self.held.remove(key);
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

    /// Drops the oldest entry that is neither taken nor on the card, but for the newest. Returns which, if there was one.
    pub(super) fn drop_unwritten(&mut self, now: Mono) -> Option<Key> {
        let newest = self.held.keys().next_back().copied();
        let free = |(key, held): &(&Key, &Queued)| !held.taken && !held.on_card && Some(**key) != newest;
        let oldest = self.held.iter().find(free).map(|(key, _)| *key);
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
        // One that is gone had its receipt while it was written, and the card will be told.
        let waiting = group.entries.iter().filter(|key| self.held.set_on_card(**key, true)).count();
        let last = group.entries.last().copied();
        self.change_segment(file, |segment| {
            segment.bytes = group.whole + group.bytes.len() as u64;
            segment.waiting += waiting;
            segment.last = last.unwrap_or(segment.last);
        });
        self.written = last.unwrap_or(self.written);
        self.unnoted.drain(..group.notes);
        self.hushed &= !group.began;
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
            self.sent.retain(|key| self.held.contains_key(key));
            let held = &self.held;
            self.began.retain(|(boot, _)| held.values().any(|held| held.boot == *boot));
        }
    }

    /// What was known of entries in segments that are gone.
    fn forget_before(&mut self, last: Key) {
        self.left.retain(|key| *key > last);
        self.sent.retain(|key| *key > last || self.held.contains_key(key));
        self.retimed.retain(|key, _| *key > last);
    }

    /// Whether a new segment is begun with the next write.
    pub(super) fn begins_segment(&self) -> bool {
        self.segments.back().is_none_or(|last| last.bytes >= segment::largest(&self.backlog))
    }
}
