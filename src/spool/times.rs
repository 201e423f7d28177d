//! The times of entries that were pushed before anybody knew the time.
//!
//! Such an entry is kept with its slot's end on the boot clock. When the wall clock is believed, each boot gets its beginning
//! in UTC, and with it every entry of that boot its time: the same for one read from the disk a week later, and for one
//! that was read before a crash. Where all of them are in memory, each is given its second. Where some are on the disk alone, the
//! seconds from the first to the last are the boot's ([`Taken::give_span`]), and an entry whose second was given to another one
//! before, when a clock was ahead, is moved behind them.
//!
//! [`Taken::give_span`]: crate::spool::taken::Taken::give_span

use crate::spool::Key;
use crate::spool::queue::{Queue, Untimed};
use crate::spool::records::{Began, LogRecord, Time};
use crate::spool::taken::{SECOND, Taken};
use crate::time::{BootId, Mono, Now, Utc};

/// Gives the boots of a channel's untimed entries their beginnings. `boot` is the one that goes on, and `is_here` says that all of
/// its entries are in memory, so that each can have a second of its own.
pub(super) fn resolve(queue: &mut Queue, boot: BootId, now: Now, is_here: bool) -> Vec<(BootId, Began)> {
    let mut runs = std::mem::take(&mut queue.untimed);
    // What is known goes before what is estimated.
    runs.sort_by_key(|run| run.boot != boot);
    let this_boot = now.utc - now.mono.since_boot();
    let mut resolved = Vec::new();
    for run in runs {
        let began = if run.boot == boot {
            Began { at: this_boot, estimated: None }
        } else {
            estimate(&run, &queue.known.taken, this_boot)
        };
        if run.boot != boot || !is_here {
            queue.known.taken.give_span(began.time_of(run.first), began.time_of(run.last));
        }
        queue.began.push((run.boot, began));
        let may_be_on_disk =
            queue.queued.values().any(|queued| queued.boot == run.boot && queue.may_be_on_disk(queued));
        if may_be_on_disk || queue.gap() > 0 {
            // Should the power fail after such an entry was sent, it must get the same time again.
            queue.awaiting_boot_record = true;
            queue.note(now.mono, boot, LogRecord::Began(queue.id, run.boot, began));
        }
        resolved.push((run.boot, began));
    }
    resolved
}

/// The beginning of a boot that ended without a right clock. It lies before the next boot and behind what was known; the
/// clock that nobody believed is taken where it fits between. Where there is no room between, it lies behind what was given.
fn estimate(run: &Untimed, taken: &Taken, next_boot: Utc) -> Began {
    let known = taken.latest_until(next_boot);
    let end = next_boot - run.last.since_boot();
    let start = known.map_or(run.claimed, |known| run.claimed.max(known + SECOND - run.first.since_boot()));
    let began = Began { at: start.min(end), estimated: Some((known, next_boot)) };
    // A second more than the distance: both ends are rounded.
    let first = began.time_of(run.first);
    let moved = taken.room_for(first, run.last.since(run.first) + SECOND).since(first);
    Began { at: began.at + moved, ..began }
}

/// Whether all untimed entries of a boot are in memory.
pub(super) fn is_in_memory(queue: &Queue, boot: BootId) -> bool {
    let queued =
        queue.queued.values().filter(|queued| queued.boot == boot && matches!(queued.record.time, Time::Claimed(_)));
    let run = queue.untimed.iter().find(|run| run.boot == boot);
    run.is_some_and(|run| queued.count() == run.count)
}

/// Gives each untimed entry of this boot its own second, or the next one that is free. Returns what the runtime directory is to be
/// told.
pub(super) fn give_each(queue: &mut Queue, now: Mono, boot: BootId) -> Vec<LogRecord> {
    let of_boot = queue.queued.iter().filter(|(_, queued)| queued.boot == boot);
    let untimed = of_boot.filter(|(_, queued)| matches!(queued.record.time, Time::Claimed(_)));
    let own: Vec<(Key, Utc)> = untimed.filter_map(|(key, queued)| Some((*key, queue.time_of(queued)?))).collect();
    let mut notes = Vec::with_capacity(own.len());
    for (key, own) in own {
        let at = queue.known.taken.free_from(own, &|_| false);
        notes.push(queue.move_to(now, boot, key, at));
    }
    notes
}

/// Moves entries that have their time by their boot's beginning off seconds that were given to others, behind all of their
/// boot's: some of these may be on the disk alone. Returns what the runtime directory is to be told.
pub(super) fn move_off_taken(queue: &mut Queue, now: Mono, boot: BootId) -> Vec<LogRecord> {
    let clash = queue.queued.iter().filter_map(|(key, queued)| match queued.record.time {
        Time::Known(_) => None,
        Time::Claimed(_) => queue.time_of(queued).filter(|at| queue.known.taken.has_entry(*at)).map(|at| (*key, at)),
    });
    let clash: Vec<(Key, Utc)> = clash.collect();
    let mut notes = Vec::with_capacity(clash.len());
    for (key, from) in clash {
        let at = queue.known.taken.free_from(from + SECOND, &|_| false);
        notes.push(queue.move_to(now, boot, key, at));
    }
    notes
}
