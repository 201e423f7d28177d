//! What the kernel says of an edge (uAPI v2, `struct gpio_v2_line_event`) → [`EdgeEvent`]. Pure, but for reading the clocks.
//!
//! - The kernel stamps edges with `CLOCK_MONOTONIC`, which stands still during suspend; gatepost's durations run on the boot clock. Their
//!   difference at the moment of reading is the same as at the edge, unless the machine slept in between.
//! - Lines are always requested active-high, so that "rising" is the physical edge the map speaks of. The kernel would turn
//!   both the edges it waits for and those it reports.
//! - Sequence numbers of a line begin with 1. The kernel drops the oldest events when its buffer is full: a gap tells how many.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::hal::{Active, EdgeEvent};
use crate::time::Mono;

/// The two clocks of the kernel, read together.
#[derive(Clone, Copy, Debug)]
pub(super) struct KernelClocks {
    boot: Duration,
    monotonic: Duration,
}

impl KernelClocks {
    pub(super) fn now() -> Self {
        Self {
            monotonic: since_start(clock_gettime(ClockId::Monotonic)),
            boot: since_start(clock_gettime(ClockId::Boottime)),
        }
    }

    fn on_boot_clock(self, stamp: Duration) -> Mono {
        Mono::new(self.boot) - self.monotonic.saturating_sub(stamp)
    }
}

fn since_start(at: Timespec) -> Duration {
    Duration::new(u64::try_from(at.tv_sec).unwrap_or(0), u32::try_from(at.tv_nsec).unwrap_or(0))
}

/// The edges of one requested line.
#[derive(Debug)]
pub(super) struct KernelEdges {
    active: Active,
    next: u32,
}

impl KernelEdges {
    pub(super) const fn new(active: Active) -> Self {
        Self { active, next: 1 }
    }

    /// Takes the event with the line's sequence number `number`, stamped `stamp` by the kernel, after which the line
    /// is at 3.3 V if `high`.
    pub(super) fn event(&mut self, now: KernelClocks, stamp: Duration, number: u32, high: bool) -> EdgeEvent {
        let gap = number.wrapping_sub(self.next);
        // Numbers that go backwards would be a new request's: nothing is known about what was lost before it.
        let lost = if gap > u32::MAX / 2 { 0 } else { gap };
        self.next = number.wrapping_add(1);
        EdgeEvent { at: now.on_boot_clock(stamp), level: self.active.level(high), lost }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hal::Level;

    const NOW: KernelClocks = KernelClocks { boot: Duration::from_secs(5000), monotonic: Duration::from_secs(1000) };

    #[test]
    fn edge_is_stamped_on_the_boot_clock_which_ran_during_suspend() {
        let mut edges = KernelEdges::new(Active::Low);
        let event = edges.event(NOW, Duration::from_secs(998), 1, false);
        assert_eq!(event.at, Mono::new(Duration::from_secs(4998)));
        assert_eq!(event.level, Level::On);
        let of_the_future = edges.event(NOW, Duration::from_secs(1001), 2, true);
        assert_eq!(of_the_future.at, Mono::new(Duration::from_secs(5000)));
        assert_eq!(of_the_future.level, Level::Off);
    }

    #[test]
    fn gap_in_the_numbers_is_what_the_kernel_dropped() {
        let mut edges = KernelEdges::new(Active::High);
        let mut lost = |number| edges.event(NOW, Duration::ZERO, number, true).lost;
        assert_eq!([1, 2, 5, 6].map(&mut lost), [0, 0, 2, 0]);
        assert_eq!(lost(3), 0, "backwards");
        assert_eq!(lost(u32::MAX), 0, "a leap that cannot be");
        assert_eq!(lost(1), 1, "number 0 of the next round");
    }

    #[test]
    fn first_events_may_be_lost_as_well() {
        assert_eq!(KernelEdges::new(Active::High).event(NOW, Duration::ZERO, 4, true).lost, 3);
    }

    #[test]
    fn boot_clock_is_never_behind_the_monotonic_one() {
        let now = KernelClocks::now();
        assert!(now.boot >= now.monotonic);
    }
}
