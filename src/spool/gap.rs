//! Entries that only the disk holds, and how they come into memory.
//!
//! In memory are those that are not on the disk yet, those that are taken, the oldest (so that the uplink finds them at
//! once) and the newest (which may still be live). Between the oldest and the newest there may be a gap;
//! [`Queue::head`] is where it begins.

use crate::spool::Key;
use crate::spool::job::AHEAD;
use crate::spool::queue::Queue;
use crate::spool::queued::Queued;
use crate::spool::records::{EntryRecord, Time};
use crate::spool::segment::Segment;
use crate::time::BootId;
/// With fewer than these the next ones are read.
const LOW: usize = 8;
/// The newest entries stay in memory: they may be live.
const NEWEST: usize = 16;
/// A segment that cannot be read so many times in a row is passed over.
const TRIES: u32 = 3;

impl Queue {
    /// Entries that only the disk holds, and that can be read.
    pub(super) fn gap(&self) -> usize {
        self.segments.readable().saturating_sub(self.queued.on_disk())
    }

    /// Whether the next entries must be read from the disk.
    pub(super) fn is_low(&self) -> bool {
        let Some(head) = self.head else { return false };
        // What was sent before waits for spare time: it must not keep those from memory that were never sent.
        let is_ready = |(key, queued): &(&Key, &Queued)| !queued.taken && !self.sent.contains(key);
        let ready = self.queued.range(..=head).filter(is_ready).count();
        ready < LOW && self.gap() > 0
    }

    /// The segment in which the gap begins.
    pub(super) fn next_to_read(&self) -> Option<&Segment> {
        let head = self.head?;
        self.segments.iter().find(|segment| segment.last > head && !segment.skipped)
    }

    /// Takes what was read of a segment, whose file holds these keys. Returns how many entries are missing in it.
    pub(super) fn read_ahead(&mut self, file: &str, read: Vec<(BootId, EntryRecord)>, keys: &[Key]) -> usize {
        let missing = self.reconcile(file, keys);
        let head = self.head.unwrap_or_default();
        // All of it is in memory then, if there are no more than were read.
        let whole = self.change_segment(file, |segment| {
            segment.failures = 0;
            segment.last
        });
        let mut behind = keys.iter().filter(|key| **key > head && !self.left.contains(key));
        let last = read.last().map(|(_, kept)| kept.key);
        let is_last = behind.next_back().is_none_or(|key| last.is_some_and(|last| *key <= last));
        for (boot, mut kept) in read {
            // Its acknowledgement may have come while it was read.
            if self.left.contains(&kept.key) || self.queued.contains_key(&kept.key) {
                continue;
            }
            if let Some(at) = self.retimed.get(&kept.key) {
                kept.time = Time::Known(*at);
            }
            self.queued.insert(Queued { on_disk: true, ..Queued::new(kept, boot) });
        }
        self.head = Some(if is_last { whole } else { last.unwrap_or(whole) });
        self.close_gap();
        missing
    }

    /// Believes a segment's file more than what is known of it. Returns how many entries it should have and has not.
    fn reconcile(&mut self, file: &str, keys: &[Key]) -> usize {
        let (first, last, expected) =
            self.change_segment(file, |segment| (segment.first, segment.last, segment.waiting));
        // Those that memory has are not missing, but the disk has them no more.
        let adrift = self.queued.range(first..=last).filter(|(key, queued)| queued.on_disk && !keys.contains(key));
        let adrift: Vec<Key> = adrift.map(|(key, _)| *key).collect();
        for key in &adrift {
            self.queued.set_on_disk(*key, false);
        }
        let there = keys.iter().filter(|key| !self.left.contains(key)).count();
        let is_sure = self.change_segment(file, |segment| {
            segment.waiting = there;
            !std::mem::take(&mut segment.unsure)
        });
        if is_sure { expected.saturating_sub(there + adrift.len()) } else { 0 }
    }

    /// A segment could not be read. After some tries it is passed over: returns how many entries cannot be offered then.
    pub(super) fn could_not_read(&mut self, file: &str) -> Option<usize> {
        let (first, last, waiting) = self.change_segment(file, |segment| {
            segment.failures += 1;
            segment.skipped |= segment.failures >= TRIES;
            segment.skipped.then_some((segment.first, segment.last, segment.waiting))
        })?;
        let in_memory = self.queued.range(first..=last).filter(|(_, queued)| queued.on_disk).count();
        self.pass_over(last);
        Some(waiting.saturating_sub(in_memory))
    }

    /// A segment's file is gone, or cut. Returns how many entries are gone with it: memory has the others, and the disk gets
    /// them again if nothing newer is there.
    pub(super) fn vanished(&mut self, file: &str) -> usize {
        let place = self.segments.in_file(file).expect("a segment that is worked on stays");
        let Segment { first, last, waiting, .. } = self.segments.remove(place).expect("just found");
        let inside = self.queued.range(first..=last).filter(|(_, queued)| queued.on_disk);
        let inside: Vec<Key> = inside.map(|(key, _)| *key).collect();
        for key in &inside {
            self.queued.set_on_disk(*key, false);
        }
        self.written = self.segments.back().map_or(Key(0), |segment| segment.last);
        self.pass_over(last);
        waiting.saturating_sub(inside.len())
    }

    fn pass_over(&mut self, last: Key) {
        if self.head.is_some_and(|head| head < last) {
            self.head = Some(last);
        }
        self.close_gap();
    }

    /// Where nothing is left in the gap there is none.
    pub(super) fn close_gap(&mut self) {
        if self.head.is_some() && self.gap() == 0 {
            self.head = None;
        }
    }

    /// Leaves to the disk what need not be in memory.
    pub(super) fn forget(&mut self) {
        let free = |queued: &Queued| queued.on_disk && !queued.taken;
        let newest = self.queued.keys().rev().nth(NEWEST - 1).copied();
        let Some(newest) = newest else { return };
        let head = match self.head {
            Some(head) => head,
            None => match self.queued.iter().filter(|(_, queued)| free(queued)).map(|(key, _)| *key).nth(AHEAD * 2) {
                Some(key) => key,
                None => return,
            },
        };
        let before = self.queued.len();
        self.queued.forget(|key, queued| key > head && key < newest && free(queued));
        if self.queued.len() < before {
            self.head = Some(head);
        }
    }
}
