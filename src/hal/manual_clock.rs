//! A clock that stands still until a test moves it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::hal::Clock;
use crate::time::{Now, Utc};

/// Both clocks, moved by hand. Share it as `Arc<ManualClock>` between a test and what it tests.
#[derive(Debug, Default)]
pub struct ManualClock(Mutex<Now>);

impl ManualClock {
    /// A clock that stands at `now`.
    pub const fn new(now: Now) -> Self {
        Self(Mutex::new(now))
    }

    /// Lets `by` pass on both clocks.
    pub fn advance(&self, by: Duration) {
        let mut now = self.now_mut();
        now.mono = now.mono + by;
        now.utc = now.utc + by;
    }

    /// Sets the wall clock, as NTP or a person would; the boot clock does not notice.
    pub fn set_utc(&self, utc: Utc) {
        self.now_mut().utc = utc;
    }

    fn now_mut(&self) -> MutexGuard<'_, Now> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Now {
        *self.now_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Mono;

    #[test]
    fn setting_the_wall_clock_leaves_the_boot_clock_alone() {
        let clock = ManualClock::default();
        clock.advance(Duration::from_secs(5));
        clock.set_utc(Utc::from_seconds(1_795_334_400));
        clock.advance(Duration::from_secs(1));
        assert_eq!(clock.now().mono, Mono::new(Duration::from_secs(6)));
        assert_eq!(clock.now().utc, Utc::from_seconds(1_795_334_401));
    }
}
