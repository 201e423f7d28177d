//! A clock that stands still until a test moves it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::hal::{Clock, ClockState};
use crate::time::{BootId, Mono, Now, Utc};

/// Both clocks, moved by hand; synchronised and in boot 0 unless said otherwise. Share it as `Arc<ManualClock>` between a
/// test and what it tests.
#[derive(Debug, Default)]
pub struct ManualClock(Mutex<Face>);

/// What the clock shows.
#[derive(Clone, Copy, Debug, Default)]
struct Face {
    now: Now,
    state: ClockState,
    boot: BootId,
}

impl ManualClock {
    /// A clock that stands at `now`.
    pub const fn new(now: Now) -> Self {
        Self(Mutex::new(Face { now, state: ClockState::Synchronised, boot: BootId(0) }))
    }

    /// Lets `by` pass on both clocks.
    pub fn advance(&self, by: Duration) {
        let now = &mut self.face().now;
        now.mono = now.mono + by;
        now.utc = now.utc + by;
    }

    /// Sets the wall clock, as NTP or a person would; the boot clock does not notice.
    pub fn set_utc(&self, utc: Utc) {
        self.face().now.utc = utc;
    }

    /// Says from now on whether the wall clock can be believed. It does not move.
    pub fn set_state(&self, state: ClockState) {
        self.face().state = state;
    }

    /// Boots: the boot clock begins anew, the wall clock goes on.
    pub fn reboot(&self, boot: BootId) {
        let mut face = self.face();
        face.boot = boot;
        face.now.mono = Mono::default();
    }

    fn face(&self) -> MutexGuard<'_, Face> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Now {
        self.face().now
    }

    fn state(&self) -> ClockState {
        self.face().state
    }

    fn boot(&self) -> BootId {
        self.face().boot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_the_wall_clock_leaves_the_boot_clock_alone() {
        let clock = ManualClock::default();
        clock.advance(Duration::from_secs(5));
        clock.set_utc(Utc::from_seconds(1_795_334_400));
        clock.advance(Duration::from_secs(1));
        assert_eq!(clock.now().mono, Mono::new(Duration::from_secs(6)));
        assert_eq!(clock.now().utc, Utc::from_seconds(1_795_334_401));
    }

    #[test]
    fn boot_begins_its_own_time_and_leaves_the_wall_clock_alone() {
        let clock = ManualClock::default();
        clock.advance(Duration::from_secs(5));
        clock.set_state(ClockState::Unsynchronised);
        clock.reboot(BootId(7));
        assert_eq!(clock.now(), Now { mono: Mono::default(), utc: Utc::from_seconds(5) });
        assert_eq!((clock.boot(), clock.state()), (BootId(7), ClockState::Unsynchronised));
    }
}
