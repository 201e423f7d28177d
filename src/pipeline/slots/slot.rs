//! A channel's open slot: where it ends, and where the drafts that it becomes stand.

use std::time::Duration;

use crate::pipeline::slots::Channel;
use crate::time::{Mono, Now};

/// How far two readings of the two clocks may be apart. The pacing of what is sent does not depend on it.
const GRID_SLACK: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct OpenSlot {
    pub(super) channel: Channel,
    /// Where the slot ends. `None` until the first value came.
    pub(super) end: Option<Mono>,
    /// Whether it ends at a change, which is not spread.
    pub(super) early: bool,
    /// Where the one before ended, for the license's interval.
    pub(super) last_end: Option<Mono>,
    /// The end of the last draft: several of one slot are a second apart.
    pub(super) last_draft: Option<Mono>,
    /// What the status text will say.
    pub(super) trouble: Vec<String>,
}

impl OpenSlot {
    /// The slot of a channel that has no values yet.
    pub(super) fn new(channel: &Channel) -> Self {
        Self {
            channel: channel.clone(),
            end: None,
            early: false,
            last_end: None,
            last_draft: None,
            trouble: Vec::new(),
        }
    }

    /// When it is to be closed.
    pub(super) fn due(&self) -> Option<Mono> {
        let spread = if self.early { Duration::ZERO } else { self.channel.spread };
        self.end.map(|end| end + spread)
    }

    /// The first boundary of the wall clock's grid after `at` that keeps the license's interval.
    pub(super) fn grid_end(&self, now: Now, at: Mono) -> Mono {
        let every = self.channel.every.max(Duration::from_secs(1));
        let mut end = at + every.saturating_sub(now.utc_at(at).into_grid(every));
        if let Some(last) = self.last_end {
            // Two ends on the grid may seem a little closer, by the instants at which two clocks were read.
            while end + GRID_SLACK < last + self.channel.interval {
                end = end + every;
            }
        }
        end
    }

    /// Ends the slot at a change, as soon as the license allows.
    pub(super) fn end_early(&mut self, at: Mono) {
        let allowed = self.last_end.map_or(at, |last| at.max(last + self.channel.interval));
        if self.end.is_some_and(|end| allowed < end) {
            self.end = Some(allowed);
            self.early = true;
        }
    }

    /// The end of a draft: the slot's, a second or more after every draft that this channel had.
    pub(super) fn place(&mut self, end: Mono) -> Mono {
        let end = self.last_draft.map_or(end, |last| end.max(last + Duration::from_secs(1)));
        self.last_draft = Some(end);
        end
    }

    /// Adds words to the status text, each once.
    pub(super) fn note(&mut self, words: &str) {
        if !self.trouble.iter().any(|known| known == words) {
            self.trouble.push(words.to_owned());
        }
    }
}
