//! The wall clock: what waits for its time, and how far ages can be judged by it.

use std::time::Duration;

use crate::spool::records::LogRecord;
use crate::spool::{Spool, times};
use crate::time::{Mono, Now, Utc};

impl Spool {
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
            (self.notify)();
        }
    }

    /// Whether the wall clock is believed; on disk, an earlier run of this boot may have found it right.
    pub const fn is_synchronised(&self) -> bool {
        self.believed
    }

    /// Moves entries off seconds that others have, where they got theirs by their boot's beginning.
    pub(super) fn move_off_taken(&mut self) {
        let (now, boot) = (self.seen, self.rules.boot);
        let queues = self.queues.iter_mut();
        let notes: Vec<LogRecord> = queues.flat_map(|(_, queue)| times::move_off_taken(queue, now, boot)).collect();
        if !notes.is_empty() {
            self.note(boot, &notes);
        }
    }
}

/// How long the wall clock has not been set.
#[derive(Debug, Default)]
pub(super) struct WallClock {
    /// What it said at the boot, as of the last look, and when it was first seen to say so.
    steady: Option<(Utc, Mono)>,
}

impl WallClock {
    /// Ages are judged by the wall clock when it was not set for so long: one that is wrong by years for some hours must not empty
    /// the backlog of an earlier boot.
    const TRUSTED_AFTER: Duration = Duration::from_secs(86_400);
    /// It was set when it moves by more than this against the boot clock.
    const SET_BY: Duration = Duration::from_secs(2);

    pub(super) fn is_steady(&mut self, now: Now) -> bool {
        let booted = now.utc_at(Mono::default());
        let (before, since) = self.steady.unwrap_or((booted, now.mono));
        let is_same = booted.since(before).max(before.since(booted)) <= Self::SET_BY;
        let since = if is_same { since } else { now.mono };
        self.steady = Some((booted, since));
        now.mono.since(since) >= Self::TRUSTED_AFTER
    }
}
