//! Which work the card gets, when, and what its outcome means.

use std::time::Duration;

use crate::entry::ChannelId;
use crate::spool::disk::DiskSpool;
use crate::spool::disk::held::Held;
use crate::spool::disk::job::{Done, Job, Outcome, Task};
use crate::spool::disk::queue::Queue;
use crate::spool::disk::segment::{self, Segment, told_in};
use crate::spool::note::Note;
use crate::spool::{Durability, Tell};
use crate::time::{Mono, Now};

/// How long the card is left alone after a failure.
const RETRY: Duration = Duration::from_secs(30);
/// Entries that one write takes at most.
const AT_ONCE: usize = 512;

impl DiskSpool {
    /// What is to be done on the card now, if anything. The next one is given out after [`DiskSpool::done`].
    pub fn job(&mut self, now: Now) -> Option<Job> {
        self.seen = now.mono;
        if self.card.busy.is_some() {
            return None;
        }
        let job = self.choose(now.mono)?;
        if matches!(job.task, Task::Thin { .. }) {
            // Entries that are merged away must not come back from the runtime directory's log.
            self.write_anew();
            if self.fast.is_stale() {
                return None;
            }
        }
        if let (Task::Append { .. }, Some(queue)) = (&job.task, self.queues.get_mut(&job.channel)) {
            queue.writing = true;
        }
        self.card.busy = Some(job.file.clone());
        Some(job)
    }

    /// When [`DiskSpool::job`] will have something: in the past where it has now, `None` while nothing waits.
    pub fn due(&self) -> Option<Mono> {
        if self.queues.values().any(Queue::is_low) {
            return Some(Mono::default());
        }
        let now = |queue: &Queue| removable(queue).map(|_| Mono::default());
        let dues = self.queues.values().filter_map(|queue| now(queue).or_else(|| self.write_due(queue)));
        dues.min().map(|due| self.card.retry_at.map_or(due, |retry| due.max(retry)))
    }

    fn choose(&self, now: Mono) -> Option<Job> {
        let mut queues = self.queues.iter();
        if let Some(job) = queues.find_map(|(id, queue)| read(*id, queue)) {
            return Some(job);
        }
        if self.card.retry_at.is_some_and(|retry| now < retry) {
            return None;
        }
        if let Some(job) = self.queues.iter().find_map(|(id, queue)| remove(*id, queue)) {
            return Some(job);
        }
        let due = |queue: &Queue| self.write_due(queue).is_some_and(|due| due <= now);
        let write = |(id, queue): (&ChannelId, &Queue)| due(queue).then(|| self.write(now, *id, queue)).flatten();
        if let Some(job) = self.queues.iter().find_map(write) {
            return Some(job);
        }
        self.queues.iter().find_map(|(id, queue)| thin(*id, queue))
    }

    /// When a channel has to be written: entries that stay, in groups.
    fn write_due(&self, queue: &Queue) -> Option<Mono> {
        let policy = &self.policy;
        let hasty = self.stopping || policy.durability == Durability::Always;
        let mut unwritten = queue.unwritten().map(|(_, held)| held);
        let oldest = unwritten.next();
        if (hasty && oldest.is_some()) || queue.hushed {
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
        if !queue.unnoted.is_empty() || !queue.aside.is_empty() {
            let is_full = queue.unnoted.len() >= policy.group_entries;
            let wait = if self.stopping || is_full { Duration::ZERO } else { policy.group_every };
            dues.push(queue.unnoted_since + wait);
        }
        dues.into_iter().min()
    }

    fn write(&self, now: Mono, channel: ChannelId, queue: &Queue) -> Option<Job> {
        if !queue.aside.is_empty() {
            let bytes = told_in(queue.aside.iter().cloned());
            let task = Task::Aside { bytes, notes: queue.aside.len() };
            return Some(Job { channel, file: segment::doubtful(channel), task });
        }
        let hasty = self.stopping || self.policy.durability == Durability::Always;
        let ripe = |since: Mono| hasty || now >= since + self.policy.write_after;
        let ripe = queue.unwritten().take_while(|(_, held)| ripe(self.since(held)));
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
        let notes = queue.unnoted.iter().cloned();
        let entries = group.iter().map(|(_, held)| (held.boot, Note::Entry(held.kept.clone())));
        let bytes = told_in(notes.chain(entries));
        let last = group.last().map(|(key, held)| (**key, held.boot));
        let whole = segment.torn.then_some(segment.bytes);
        let entries = group.iter().map(|(key, _)| **key).collect();
        let task = Task::Append { bytes, whole, begins, entries, last, notes: queue.unnoted.len() };
        Some(Job { channel, file: segment.file.clone(), task })
    }

    /// Takes the outcome of a job. Returns whether there may be something new for the uplinks to send.
    pub fn done(&mut self, now: Now, outcome: Outcome) -> bool {
        self.seen = now.mono;
        self.card.busy = None;
        let Outcome { job, result } = outcome;
        let Some(queue) = self.queues.get_mut(&job.channel) else { return false };
        queue.writing = false;
        let result = match (job.task, result) {
            (Task::Append { bytes, begins, entries, last, notes, .. }, Ok(_)) => {
                queue.begin_segment(&job.file, begins);
                let kept: Vec<&Held> = entries.iter().filter_map(|key| queue.held.get(key)).collect();
                if let Some(last) = kept.last() {
                    let until = queue.time_of(last);
                    self.told.push(Tell::Written { channel: job.channel, entries: kept.len(), until });
                }
                queue.written(&job.file, bytes.len() as u64, &entries, last, notes);
                Ok(true)
            }
            (Task::Append { begins, .. }, Err(error)) => {
                // What was begun may be there in part: the next try cuts it off first.
                queue.begin_segment(&job.file, begins);
                queue.segment(&job.file).torn = true;
                queue.hushed = false;
                Err(error)
            }
            (Task::Aside { notes, .. }, Ok(_)) => {
                queue.aside.drain(..notes);
                Ok(false)
            }
            (Task::Read { .. }, Ok(Done::Entries { read, is_last })) => {
                if let Some(segment) = queue.segments.iter().find(|segment| segment.file == job.file) {
                    let whole = segment.last;
                    let head = read.last().map(|(_, kept)| kept.key).filter(|_| !is_last);
                    queue.read_ahead(head.unwrap_or(whole), read);
                }
                Ok(true)
            }
            (Task::Read { .. }, Err(error)) => {
                // It is there, as far as anybody knows, and cannot be read: it is passed over until the next start.
                if let Some(entries) = queue.pass_over(&job.file) {
                    self.counts.unreadable += entries as u64;
                    self.told.push(Tell::Unreadable { file: job.file, entries, why: error.to_string() });
                }
                return true;
            }
            (Task::Remove, Ok(_)) => {
                queue.removed(&job.file);
                Ok(false)
            }
            (Task::Thin { .. }, Ok(Done::Thinned { bytes, waiting, merged })) => {
                let segment = queue.segment(&job.file);
                (segment.bytes, segment.waiting, segment.thinned) = (bytes, waiting, true);
                self.counts.merged += merged as u64;
                Ok(false)
            }
            (Task::Thin { .. }, Err(error)) => {
                // It stays as it is.
                queue.segment(&job.file).thinned = true;
                Err(error)
            }
            (_, Err(error)) => Err(error),
            (_, Ok(_)) => Ok(false),
        };
        self.tell_card(now.mono, result.as_ref().err());
        result.unwrap_or(true)
    }

    fn tell_card(&mut self, now: Mono, failed: Option<&std::io::Error>) {
        self.card.retry_at = failed.map(|_| now + RETRY);
        if std::mem::replace(&mut self.card.trouble, failed.is_some()) != failed.is_some() {
            self.told.push(Tell::State(failed.map(ToString::to_string)));
        }
    }

    /// Whether nothing is left that the card should be told before the process ends.
    pub fn is_written(&self) -> bool {
        let written =
            |queue: &Queue| queue.unwritten().next().is_none() && queue.aside.is_empty() && queue.unnoted.is_empty();
        self.card.busy.is_none() && self.queues.values().all(written)
    }
}

fn read(channel: ChannelId, queue: &Queue) -> Option<Job> {
    let segment = queue.is_low().then(|| queue.next_to_read()).flatten()?;
    let after = queue.head.expect("a gap begins somewhere");
    let left = queue.left.range(segment.first..=segment.last).copied().collect();
    Some(Job { channel, file: segment.file.clone(), task: Task::Read { after, left } })
}

fn remove(channel: ChannelId, queue: &Queue) -> Option<Job> {
    removable(queue).map(|file| Job { channel, file, task: Task::Remove })
}

/// A file that holds nothing any more. Segments go in their order, so that what a later one says of an earlier one's entries
/// is never missing; the last one goes when nothing is left to be written to it.
fn removable(queue: &Queue) -> Option<String> {
    let dropped = queue.removals.first().cloned();
    dropped.or_else(|| {
        let front = queue.segments.front().filter(|segment| segment.waiting == 0)?;
        Some(front.file.clone())
    })
}

/// A closed segment that was not thinned, where the map asks for it and the backlog would not drain otherwise.
fn thin(channel: ChannelId, queue: &Queue) -> Option<Job> {
    let within = queue.backlog.thin?;
    let is_needed = !queue.backlog.drains || queue.bytes() > queue.backlog.max_size / 4 * 3;
    let closed = queue.segments.len().saturating_sub(1);
    let untouched =
        |segment: &&Segment| !segment.thinned && queue.held.range(segment.first..=segment.last).next().is_none();
    let segment = queue.segments.iter().take(closed).find(untouched).filter(|_| is_needed)?;
    let left = queue.left.range(segment.first..=segment.last).copied().collect();
    Some(Job { channel, file: segment.file.clone(), task: Task::Thin { within, left } })
}
