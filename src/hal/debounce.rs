//! When a level counts: as the kernel's software debouncing has it, a change must hold for the whole period, and is
//! reported at the end of it. Pure.
//!
//! It is for whoever sees the bare level: the simulated lines, and a back end whose registers know nothing of the kernel's
//! debouncing. Where samples are far apart, a change holds when two of them a period apart, and all between, show it.

use std::time::Duration;

use crate::time::Mono;

/// The level of one line without its bouncing.
#[derive(Debug)]
pub(super) struct Debounce {
    period: Duration,
    high: bool,
    /// Since when the line has been different.
    differs: Option<Mono>,
}

impl Debounce {
    pub(super) const fn new(period: Duration, high: bool) -> Self {
        Self { period, high, differs: None }
    }

    /// The level that counts.
    pub(super) const fn is_high(&self) -> bool {
        self.high
    }

    /// Takes the word of somebody who has waited for the period already.
    #[cfg(target_os = "linux")]
    pub(super) fn settled(&mut self, high: bool) {
        self.high = high;
        self.differs = None;
    }

    /// How long a change that is under way must hold; `None` while there is none.
    pub(super) fn pending(&self) -> Option<Duration> {
        self.differs.map(|_| self.period)
    }

    /// Takes the line's level at `now`; whether the level that counts has changed by it.
    pub(super) fn sample(&mut self, now: Mono, high: bool) -> bool {
        if high == self.high {
            self.differs = None;
            return false;
        }
        let since = *self.differs.get_or_insert(now);
        let holds = now.since(since) >= self.period;
        if holds {
            self.high = high;
            self.differs = None;
        }
        holds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Mono {
        Mono::new(Duration::from_millis(millis))
    }

    #[test]
    fn bouncing_contact_is_one_change_and_ends_in_the_right_state() {
        let mut line = Debounce::new(Duration::from_millis(20), true);
        let samples =
            [(0, false), (3, true), (5, false), (9, true), (12, false), (31, false), (32, false), (40, false)];
        let changes: Vec<u64> =
            samples.into_iter().filter(|(millis, high)| line.sample(at(*millis), *high)).map(|(at, _)| at).collect();
        assert_eq!(changes, [32]);
        assert!(!line.is_high());
    }

    #[test]
    fn spike_shorter_than_the_period_is_nothing() {
        let mut line = Debounce::new(Duration::from_millis(20), false);
        assert!(!line.sample(at(0), true));
        assert_eq!(line.pending(), Some(Duration::from_millis(20)));
        assert!(!line.sample(at(19), false));
        assert_eq!(line.pending(), None);
        assert!(!line.sample(at(100), true), "a new change begins anew");
        assert!(!line.is_high());
    }

    #[test]
    fn a_period_longer_than_any_look_is_waited_for_from_poll_to_poll() {
        let mut door = Debounce::new(Duration::from_millis(500), false);
        assert!(!door.sample(at(1000), true), "the first poll that sees it proves nothing");
        assert!(!door.sample(at(1499), true));
        assert!(!door.is_high());
        assert!(door.sample(at(1500), true));
        assert!(door.is_high());
        // Polls ten seconds apart: one that sees the old level in between begins the wait anew.
        assert!(!door.sample(at(10_000), false));
        assert!(!door.sample(at(20_000), true));
        assert!(!door.sample(at(30_000), false));
        assert!(door.sample(at(40_000), false));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_edge_the_kernel_has_debounced_counts_at_once_and_ends_the_wait() {
        let mut door = Debounce::new(Duration::from_secs(1), false);
        assert!(!door.sample(at(0), true));
        door.settled(true);
        assert!(door.is_high());
        assert!(!door.sample(at(100), false));
        door.settled(true);
        assert!(!door.sample(at(1200), false), "what differs now does so only since now");
        assert!(door.is_high());
    }

    #[test]
    fn without_a_period_every_change_counts_at_once() {
        let mut line = Debounce::new(Duration::ZERO, false);
        assert!(line.sample(at(0), true));
        assert!(line.sample(at(0), false));
        assert!(!line.sample(at(0), false));
    }
}
