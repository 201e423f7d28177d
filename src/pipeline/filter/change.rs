//! Passing only what changed, with a heartbeat so that silence still means something.

use std::time::Duration;

use crate::time::Mono;

/// What was passed last, and the rule for what is passed next.
#[derive(Clone, Debug)]
pub(super) struct Change {
    delta: f64,
    heartbeat: Option<Duration>,
    last: Option<(Mono, f64)>,
}

impl Change {
    /// A rule that has passed nothing yet.
    pub(super) fn new(delta: f64, heartbeat: Option<Duration>) -> Self {
        Self { delta, heartbeat, last: None }
    }

    /// Forgets what was passed, so that the next value passes.
    pub(super) fn forget(&mut self) {
        self.last = None;
    }

    /// Whether `value` is passed; if so, it is what the next one is compared with.
    pub(super) fn passes(&mut self, at: Mono, value: f64) -> bool {
        let passes = self.last.is_none_or(|(when, last)| {
            self.differs(last, value) || self.heartbeat.is_some_and(|longest| at.since(when) >= longest)
        });
        if passes {
            self.last = Some((at, value));
        }
        passes
    }

    /// 21.2 and 21.1 differ by 0.0999…: a step of exactly `delta` counts in spite of what binary fractions make of it.
    fn differs(&self, last: f64, value: f64) -> bool {
        let slack = super::SAME * value.abs().max(last.abs()).min(self.delta);
        last.to_bits() != value.to_bits() && (value - last).abs() >= self.delta - slack
    }
}
