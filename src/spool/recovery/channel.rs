//! What was read of a channel, put together.

use crate::spool::Key;
use crate::spool::queue::Queue;
use crate::spool::records::Time;
use crate::time::{BootId, Mono, Utc};

/// Puts together what was read of a channel.
pub(super) fn finish(queue: &mut Queue) {
    let in_memory: Vec<(BootId, Mono, Utc)> = queue
        .queued
        .values()
        .filter_map(|queued| match queued.record.time {
            Time::Claimed(at) => Some((queued.boot, queued.record.draft.end, at)),
            Time::Known(_) => None,
        })
        .collect();
    for (boot, end, at) in in_memory {
        queue.note_untimed(boot, end, at);
    }
    let began = std::mem::take(&mut queue.began);
    let known = |boot: BootId| began.iter().find(|(known, _)| *known == boot).map(|(_, began)| began);
    let mut spans = Vec::new();
    queue.untimed.retain(|run| match known(run.boot) {
        Some(began) => {
            spans.push((began.time_of(run.first), began.time_of(run.last)));
            false
        }
        None => true,
    });
    queue.known.taken.learn(&std::mem::take(&mut queue.known.given_on_disk));
    for (first, last) in spans {
        queue.known.taken.give_span(first, last);
    }
    queue.began = began;
    if queue.segments.iter().any(|segment| segment.waiting > 0) {
        queue.head = Some(Key(0));
    }
}
