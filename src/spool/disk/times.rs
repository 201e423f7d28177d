//! The times of entries that were pushed before anybody knew the time.
//!
//! Such an entry is kept with its slot's end on the boot clock. When the wall clock is believed, each boot gets its beginning
//! in UTC, and with it every entry of that boot its time: the same for one read from the card a week later, and for one
//! that was read before a crash. Where an entry of the channel has a later time already (somebody had set the clock
//! ahead), the whole boot moves behind it: times only grow, and the distances stay.

use crate::spool::disk::queue::{Queue, SECOND, Untimed};
use crate::spool::note::{Began, Note};
use crate::time::{BootId, Now, Utc};

/// Gives the boots of a channel's untimed entries their beginnings. `boot` is the one that goes on.
pub(super) fn resolve(queue: &mut Queue, boot: BootId, now: Now) -> Vec<(BootId, Began)> {
    let runs = std::mem::take(&mut queue.untimed);
    let this_boot = now.utc - now.mono.since_boot();
    let mut resolved = Vec::new();
    for run in runs {
        let began = if run.boot == boot {
            Began { at: this_boot, estimated: None }
        } else {
            estimate(&run, queue.latest, this_boot)
        };
        let began = Began { at: began.at.max(earliest(&run, queue.latest)), ..began };
        queue.latest = queue.latest.max(Some(began.time_of(run.last)));
        queue.began.push((run.boot, began));
        let may_be_on_card = queue.held.values().any(|held| held.boot == run.boot && queue.may_be_on_card(held));
        if may_be_on_card || queue.gap() > 0 {
            // Should the power fail after such an entry was sent, it must get the same time again.
            queue.hushed = true;
            queue.tell(now.mono, boot, Note::Began(queue.id, run.boot, began));
        }
        resolved.push((run.boot, began));
    }
    resolved
}

/// The beginning of a boot that ended without a right clock. It lies before the next boot and behind what was known; the
/// clock that nobody believed is taken where it fits between.
fn estimate(run: &Untimed, latest: Option<Utc>, next_boot: Utc) -> Began {
    let end = next_boot - run.last.since_boot();
    let start = latest.map_or(run.claimed, |latest| run.claimed.max(latest + SECOND - run.first.since_boot()));
    Began { at: start.min(end), estimated: Some((latest, next_boot)) }
}

/// The earliest beginning that keeps the channel's times growing.
fn earliest(run: &Untimed, latest: Option<Utc>) -> Utc {
    latest.map_or(Utc::from_nanos(i64::MIN), |latest| latest + SECOND - run.first.since_boot())
}

/// The next second after `from` that nobody has, as far as memory knows: the neighbours of a taken entry are in it.
pub(super) fn free_second(queue: &Queue, from: Utc, taken: &dyn Fn(Utc) -> bool) -> Utc {
    let is_ours = |at: Utc| queue.held.values().any(|held| queue.time_of(held) == Some(at));
    let mut at = from + SECOND;
    while taken(at) || is_ours(at) {
        at = at + SECOND;
    }
    at
}
