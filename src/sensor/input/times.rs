//! How long a line was on, and when it changed. Pure.

use std::time::Duration;

use crate::time::Mono;

/// How long the line was on. Pure.
#[derive(Debug)]
pub(super) struct Times {
    /// The level, as far as it is known yet.
    on: Option<bool>,
    /// The last change, or the begin.
    pub(super) changed: Mono,
    /// Up to when `on_for` is counted.
    counted: Mono,
    read_at: Mono,
    on_for: Duration,
}

impl Times {
    pub(super) const fn new(now: Mono) -> Self {
        Self { on: None, changed: now, counted: now, read_at: now, on_for: Duration::ZERO }
    }

    /// Takes the first level, unless an edge was quicker.
    pub(super) fn begin(&mut self, on: bool) {
        self.on.get_or_insert(on);
    }

    pub(super) fn level(&mut self, at: Mono, on: bool) {
        // An edge says what was before it, too.
        let before = self.on.unwrap_or(!on);
        // An edge may come with a time before that of a read that it has waited for.
        let at = at.max(self.counted);
        if before {
            self.on_for += at.since(self.counted);
        }
        self.counted = at;
        if before != on {
            self.changed = at;
        }
        self.on = Some(on);
    }

    /// The share of the time on since the last read. Where no time has passed, it is that of the level.
    pub(super) fn share(&mut self, now: Mono) -> f64 {
        let on_for = std::mem::take(&mut self.on_for).as_secs_f64();
        let passed = now.since(std::mem::replace(&mut self.read_at, now)).as_secs_f64();
        if passed > 0.0 { (on_for / passed).min(1.0) } else { f64::from(u8::from(self.on == Some(true))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_edge_tells_what_the_level_was_before_and_a_late_one_turns_no_time_back() {
        let at = |seconds| Mono::new(Duration::from_secs(seconds));
        let mut times = Times::new(at(0));
        times.level(at(4), false);
        times.level(at(10), false);
        assert!((times.share(at(10)) - 0.4).abs() < 1e-9);
        times.level(at(10), true);
        times.level(at(9), false);
        assert_eq!(times.changed, at(10));
        assert!(times.share(at(20)).abs() < 1e-9);
    }
}
