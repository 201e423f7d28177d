//! When a channel has to be written to the disk, and what then.

use std::time::Duration;

use crate::entry::ChannelId;
use crate::spool::job::{Group, Job, Task};
use crate::spool::queue::Queue;
use crate::spool::queued::Queued;
use crate::spool::records::{LogRecord, Time};
use crate::spool::segment::{self, Segment, told_in};
use crate::spool::{Durability, Key, Policy};
use crate::time::{BootId, Mono};

/// Entries that one write takes at most.
const AT_ONCE: usize = 512;

/// What decides when a queue has something for the disk, besides what is in it.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) policy: Policy,
    /// The boot that goes on.
    pub(super) boot: BootId,
    pub(super) is_stopping: bool,
}

impl Rules {
    /// When an entry was pushed, on the clock of this boot.
    pub(super) fn since(&self, queued: &Queued) -> Mono {
        if queued.boot == self.boot { queued.record.since } else { Mono::default() }
    }

    /// When a channel has to be written: entries that stay, in groups.
    pub(super) fn write_due(&self, queue: &Queue) -> Option<Mono> {
        let policy = &self.policy;
        let hasty = self.is_hasty(queue);
        let mut unwritten = queue.unwritten().map(|(_, queued)| queued);
        let oldest = unwritten.next();
        // Without a segment there is nothing on the disk that waits for its word.
        if (hasty && oldest.is_some()) || (queue.awaiting_boot_record && !queue.segments.is_empty()) {
            return Some(Mono::default());
        }
        let ripe = |since: Mono| since + policy.write_after;
        let mut dues = Vec::new();
        if let Some(oldest) = oldest {
            dues.push(ripe(self.since(oldest)) + policy.group_every);
            // A full group does not wait.
            let full = match policy.group_entries {
                0..=1 => Some(oldest),
                more => unwritten.nth(more - 2),
            };
            dues.extend(full.map(|last| ripe(self.since(last))));
        }
        let has_words = !queue.unnoted.is_empty() && !queue.segments.is_empty();
        if has_words || !queue.aside.is_empty() {
            let is_full = queue.unnoted.len() >= policy.group_entries;
            let wait = if self.is_stopping || is_full { Duration::ZERO } else { policy.group_every };
            dues.push(queue.unnoted_since + wait);
        }
        dues.into_iter().min()
    }

    /// Whether entries are written as they come.
    fn is_hasty(&self, queue: &Queue) -> bool {
        self.is_stopping || self.policy.durability == Durability::Always || queue.is_memory_half_full()
    }

    pub(super) fn write(&self, now: Mono, queue: &Queue) -> Option<Job> {
        let channel = queue.id;
        if !queue.aside.is_empty() {
            let bytes = told_in(queue.aside.iter().cloned());
            let task = Task::Aside { bytes, notes: queue.aside.len() };
            return Some(Job { channel, file: segment::unconfirmed(channel), task });
        }
        let hasty = self.is_hasty(queue);
        let ripe = |since: Mono| hasty || now >= since + self.policy.write_after;
        let ripe = queue.unwritten().take_while(|(_, queued)| ripe(self.since(queued)));
        let group: Vec<_> = ripe.take(AT_ONCE).collect();
        if group.is_empty() && queue.segments.is_empty() {
            return None;
        }
        let first = group.first().map(|(key, _)| **key);
        let fresh;
        let segment = match (queue.segments.back(), first) {
            (Some(last), None) => last,
            (Some(last), Some(_)) if !queue.begins_segment() => last,
            (_, first) => {
                fresh = Segment::new(channel, first?);
                &fresh
            }
        };
        let begins = queue.segments.back().is_none_or(|last| last.file != segment.file);
        let began = queue.unnoted.iter().any(|(_, note)| matches!(note, LogRecord::Began(..)));
        let notes = queue.unnoted.iter().cloned();
        let entries = group.iter().map(|(_, queued)| (queued.boot, LogRecord::Entry(queued.record.clone())));
        let bytes = told_in(notes.chain(beginnings(channel, queue, &group)).chain(entries));
        let (whole, notes) = (segment.bytes, queue.unnoted.len());
        let entries = group.iter().map(|(key, _)| **key).collect();
        let task = Task::Append(Group { bytes, whole, begins, entries, notes, began });
        Some(Job { channel, file: segment.file.clone(), task })
    }
}

/// The beginnings of the boots that a group needs, where they are known: a segment must not depend on another one for them.
fn beginnings(
    channel: ChannelId,
    queue: &Queue,
    group: &[(&Key, &Queued)],
) -> impl Iterator<Item = (BootId, LogRecord)> {
    let needs = |boot: BootId| {
        group.iter().any(|(_, queued)| queued.boot == boot && matches!(queued.record.time, Time::Claimed(_)))
    };
    let needed: Vec<_> = queue.began.iter().filter(|(boot, _)| needs(*boot)).copied().collect();
    needed.into_iter().map(move |(boot, began)| (boot, LogRecord::Began(channel, boot, began)))
}
