//! Which work the disk gets, when, and what its outcome means.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::time::Duration;

use crate::spool::Spool;
use crate::spool::job::{Done, Job, Outcome, Task};
use crate::spool::queue::Queue;
use crate::spool::queued::Queued;
use crate::spool::segment::Segment;
use crate::spool::times;
use crate::spool::{Key, SpoolEvent};
use crate::time::{Mono, Now};

/// How long the disk is left alone after a failure.
const RETRY: Duration = Duration::from_secs(30);

impl Spool {
    /// What is to be done on the disk now, if anything. The next one is given out after [`Spool::done`].
    pub fn job(&mut self, now: Now) -> Option<Job> {
        self.seen = now.mono;
        if self.disk.busy.is_some() {
            return None;
        }
        let job = self.choose(now.mono)?;
        if matches!(job.task, Task::Thin { .. }) {
            // Entries that are merged away must not come back from the runtime directory's log.
            self.write_anew();
            if self.runtime.journal().is_stale() {
                return None;
            }
        }
        if let (Task::Append(group), Some(queue)) = (&job.task, self.queues.get_mut(job.channel)) {
            queue.attempted = queue.attempted.max(group.entries.last().copied().unwrap_or_default());
        }
        self.disk.turn = job.channel;
        self.disk.busy = Some(job.file.clone());
        Some(job)
    }

    /// When [`Spool::job`] will have something: in the past where it has now, `None` while nothing waits.
    pub fn due(&mut self) -> Option<Mono> {
        self.queues.settle(&self.rules);
        let now = Mono::default();
        let later = |due: Mono, rest: Option<Mono>| rest.map_or(due, |rest| due.max(rest));
        let disk = &self.disk;
        let read = self.queues.has_reads().then(|| later(now, disk.read_at));
        let removal = self.queues.has_removals().then(|| later(now, disk.remove_at));
        let write = self.queues.next_write().map(|due| later(due, disk.write_at));
        [read, removal, write].into_iter().flatten().min()
    }

    /// Reading comes first, since the uplinks wait for it, and removing last, since nobody does. Within each kind the channels
    /// take turns, so that one with a broken file holds up no other.
    fn choose(&mut self, now: Mono) -> Option<Job> {
        let rests = |until: Option<Mono>| until.is_some_and(|until| now < until);
        let (turn, rules, queues) = (self.disk.turn, &self.rules, &mut self.queues);
        queues.settle(rules);
        if !rests(self.disk.read_at)
            && let Some(job) = queues.reads(turn).find_map(read)
        {
            return Some(job);
        }
        if !rests(self.disk.write_at) {
            let writing = queues.due_writes(now, turn).find_map(|queue| rules.write(now, queue));
            if let Some(job) = writing.or_else(|| queues.thins(turn).find_map(thin)) {
                return Some(job);
            }
        }
        if rests(self.disk.remove_at) { None } else { queues.removals(turn).find_map(remove) }
    }

    /// Takes the outcome of a job. Returns whether there may be something new for the uplinks to send.
    pub fn done(&mut self, now: Now, outcome: Outcome) -> bool {
        self.seen = now.mono;
        self.disk.busy = None;
        let Outcome { job, result } = outcome;
        let Some(queue) = self.queues.get_mut(job.channel) else { return false };
        let result = match (job.task, result) {
            (Task::Append(group), Ok(_)) => {
                queue.begin_segment(&job.file, group.begins);
                let kept: Vec<&Queued> = group.entries.iter().filter_map(|key| queue.queued.get(key)).collect();
                if let Some(last) = kept.last() {
                    let until = queue.time_of(last);
                    self.told.push(SpoolEvent::Written { channel: job.channel, entries: kept.len(), until });
                }
                queue.written(&job.file, &group);
                Ok(true)
            }
            (Task::Append(group), Err(error)) => {
                // What was begun may be there in part: it is known, so that it can be written over or removed.
                queue.begin_segment(&job.file, group.begins);
                // While the disk takes no word, its entries are offered all the same: to wait would be worse than that a power cut
                // makes their times estimates again.
                queue.awaiting_boot_record &= !group.began;
                if error.kind() == ErrorKind::NotFound && group.whole > 0 {
                    let entries = queue.vanished(&job.file);
                    self.counts.unreadable += entries as u64;
                    self.told.push(SpoolEvent::Unreadable { file: job.file, entries, why: error.to_string() });
                }
                Err(error)
            }
            (Task::Aside { notes, .. }, Ok(_)) => {
                queue.aside.drain(..notes);
                Ok(true)
            }
            (Task::Read { .. }, Ok(Done::Entries { read, keys })) => {
                let entries = queue.read_ahead(&job.file, read, &keys);
                let notes = times::move_off_taken(queue, now.mono, self.rules.boot);
                if !notes.is_empty() {
                    self.note(self.rules.boot, &notes);
                }
                if entries > 0 {
                    self.counts.unreadable += entries as u64;
                    let why = "records are missing in it".to_owned();
                    self.told.push(SpoolEvent::Unreadable { file: job.file, entries, why });
                }
                self.disk.read_at = None;
                return true;
            }
            (Task::Read { .. }, Err(error)) => {
                self.disk.read_at = Some(now.mono + RETRY);
                let gone = error.kind() == ErrorKind::NotFound;
                let entries = if gone { Some(queue.vanished(&job.file)) } else { queue.could_not_read(&job.file) };
                if let Some(entries) = entries {
                    self.disk.read_at = None;
                    self.counts.unreadable += entries as u64;
                    self.told.push(SpoolEvent::Unreadable { file: job.file, entries, why: error.to_string() });
                }
                return true;
            }
            (Task::Remove, Ok(_)) => {
                queue.removed(&job.file);
                self.disk.remove_at = None;
                return false;
            }
            (Task::Remove, Err(_)) => {
                self.disk.remove_at = Some(now.mono + RETRY);
                return false;
            }
            (Task::Thin { .. }, Ok(Done::Thinned { bytes, waiting, merged })) => {
                queue.change_segment(&job.file, |segment| {
                    (segment.bytes, segment.waiting, segment.thinned) = (bytes, waiting, true);
                });
                self.counts.merged += merged as u64;
                Ok(false)
            }
            (Task::Thin { .. }, Ok(_)) => {
                queue.change_segment(&job.file, |segment| segment.thinned = true);
                Ok(false)
            }
            (Task::Thin { .. }, Err(error)) => {
                // It stays as it is, or is thin already: the next read says.
                queue.change_segment(&job.file, |segment| (segment.thinned, segment.unsure) = (true, true));
                Err(error)
            }
            (_, Err(error)) => Err(error),
            (_, Ok(_)) => Ok(false),
        };
        self.report_disk(now.mono, result.as_ref().err());
        result.unwrap_or(true)
    }

    /// Trouble is over when everything that is due was written: on a full disk now and then a little fits.
    fn report_disk(&mut self, now: Mono, failed: Option<&io::Error>) {
        self.disk.write_at = failed.map(|_| now + RETRY);
        self.queues.settle(&self.rules);
        let is_behind = self.queues.next_write().is_some_and(|due| due <= now);
        let trouble = failed.is_some() || (self.disk.trouble && is_behind);
        if std::mem::replace(&mut self.disk.trouble, trouble) != trouble {
            self.told.push(SpoolEvent::State(failed.map(ToString::to_string)));
        }
    }

    /// Whether nothing is left that the disk should be told before the process ends.
    pub fn is_written(&mut self) -> bool {
        self.queues.settle(&self.rules);
        self.disk.busy.is_none() && self.queues.is_written()
    }
}

fn read(queue: &Queue) -> Option<Job> {
    let segment = queue.is_low().then(|| queue.next_to_read()).flatten()?;
    let after = queue.head.expect("a gap begins somewhere");
    let within = segment.first..=segment.last;
    let left = queue.left.range(within.clone()).copied().collect();
    Some(Job { channel: queue.id, file: segment.file.clone(), task: Task::Read { after, within, left } })
}

fn remove(queue: &Queue) -> Option<Job> {
    removable(queue).map(|file| Job { channel: queue.id, file: file.to_owned(), task: Task::Remove })
}

/// A file that holds nothing any more. Segments go in their order, so that what a later one says of an earlier one's entries
/// is never missing; the last one goes when nothing is left to be written to it.
pub(super) fn removable(queue: &Queue) -> Option<&str> {
    let empty = || queue.segments.front().filter(|segment| segment.waiting == 0);
    let dropped = queue.removals.first().map(String::as_str);
    dropped.or_else(|| empty().map(|segment| segment.file.as_str()))
}

/// A closed segment that was not thinned, where the map asks for it and the backlog would not drain otherwise.
pub(super) fn to_be_thinned(queue: &Queue) -> Option<(&Segment, Duration)> {
    let within = queue.backlog.thin?;
    let is_needed = !queue.backlog.drains || queue.bytes() > queue.backlog.max_size / 4 * 3;
    let closed = queue.segments.len().saturating_sub(1);
    let untouched = |segment: &&Segment| {
        !segment.thinned && !segment.skipped && queue.queued.range(segment.first..=segment.last).next().is_none()
    };
    let mut closed = queue.segments.iter().take(if is_needed { closed } else { 0 });
    closed.find(untouched).map(|segment| (segment, within))
}

fn thin(queue: &Queue) -> Option<Job> {
    let (segment, within) = to_be_thinned(queue)?;
    let within_it = |keys: &BTreeSet<Key>| keys.range(segment.first..=segment.last).copied().collect();
    let task = Task::Thin { within, left: within_it(&queue.left), sent: within_it(&queue.sent) };
    Some(Job { channel: queue.id, file: segment.file.clone(), task })
}
