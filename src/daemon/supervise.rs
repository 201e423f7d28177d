//! When a sensor is read next: on the wall clock's grid while it is well, with growing waits while it is not.
//!
//! Pure. Sensors with the same `every` are due at the same instant, a moment behind the slots' grid: one wake-up serves
//! them all, and what is read as often as a slot is long has a value in each slot.

use std::time::Duration;

use crate::time::{Mono, Now};

/// The longest wait between two tries, for sensors that are read more often than this.
const CAP: Duration = Duration::from_secs(60);

/// How long behind the grid's points. The wall clock is told in whole milliseconds, so that a slot may end up to one behind
/// its point: a reading on the point itself would fall now into the old slot and now into the new, and leave holes.
const BEHIND: Duration = Duration::from_millis(2);

/// The schedule of one polled sensor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    every: Duration,
    failures: u32,
    next: Mono,
}

impl Schedule {
    /// A schedule whose first read is due at once.
    pub(super) const fn new(every: Duration) -> Self {
        Self { every, failures: 0, next: Mono::new(Duration::ZERO) }
    }

    /// When it is due.
    pub(super) fn next(&self) -> Mono {
        self.next
    }

    /// It was read at `now`, well or not.
    pub(super) fn done(&mut self, now: Now, well: bool) {
        self.failures = if well { 0 } else { self.failures.saturating_add(1) };
        let waits = 1_u32 << self.failures.saturating_sub(1).min(12);
        let wait = if waits == 1 { self.every } else { (self.every * waits).min(CAP.max(self.every)) };
        // The last grid point up to the wait, so that a wait of one `every` is the next grid point.
        let every = i64::try_from(self.every.as_millis()).unwrap_or(i64::MAX).max(1);
        let into = u64::try_from(now.utc.millis().rem_euclid(every)).unwrap_or(0);
        self.next = now.mono + wait - Duration::from_millis(into) + BEHIND;
        if self.next <= now.mono {
            self.next = self.next + self.every;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Utc;

    fn now(seconds: f64) -> Now {
        let mono = Mono::new(Duration::from_secs_f64(seconds));
        Now { mono, utc: Utc::from_seconds(1_795_334_400) + mono.since_boot() }
    }

    #[test]
    fn sensors_of_one_period_share_the_grid_whenever_they_started() {
        let mut early = Schedule::new(Duration::from_secs(5));
        let mut late = Schedule::new(Duration::from_secs(5));
        early.done(now(1.3), true);
        late.done(now(4.9), true);
        assert_eq!(early.next(), now(5.0).mono + BEHIND);
        assert_eq!(late.next(), early.next());
    }

    #[test]
    fn a_reading_is_never_taken_before_the_slot_that_begins_on_its_point() {
        for micros in (0..5_000_000).step_by(123_457) {
            let mono = Mono::new(Duration::from_micros(10_000_000 + micros));
            let utc = Utc::from_seconds(1_795_334_400) + Duration::from_millis(10_000 + micros / 1000);
            let mut schedule = Schedule::new(Duration::from_secs(5));
            schedule.done(Now { mono, utc }, true);
            // The slot of a reading at `mono` ends where the milliseconds of its time say.
            let end_of_slot = mono + Duration::from_millis(5_000 - micros / 1000);
            let latest_end = now(15.0).mono + Duration::from_millis(1);
            assert!(end_of_slot <= latest_end && schedule.next() > latest_end, "{micros}");
        }
    }

    #[test]
    fn a_sick_sensor_is_tried_less_and_less_but_at_least_every_minute_and_is_read_as_before_when_it_is_well() {
        let mut schedule = Schedule::new(Duration::from_secs(1));
        let mut at = 0.0;
        let mut waits = Vec::new();
        for _ in 0..9 {
            schedule.done(now(at), false);
            waits.push(schedule.next().since(now(at).mono).as_secs());
            at = schedule.next().since_boot().as_secs_f64();
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        schedule.done(now(at), true);
        assert_eq!(schedule.next().since(now(at).mono).as_secs(), 1);
    }

    #[test]
    fn a_sensor_that_is_read_rarely_is_not_tried_more_often_when_it_is_sick() {
        let mut schedule = Schedule::new(Duration::from_secs(600));
        for _ in 0..5 {
            schedule.done(now(0.0), false);
        }
        assert_eq!(schedule.next(), now(600.0).mono + BEHIND);
    }
}
