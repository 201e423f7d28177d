//! When a sensor is read next: on the wall clock's grid while it is well, with growing waits while it is not.
//!
//! Pure. Sensors with the same `every` are due at the same instant, which is the slots' grid too: one wake-up serves
//! them all.

use std::time::Duration;

use crate::time::{Mono, Now, Utc};

/// The longest wait between two tries, for sensors that are read more often than this.
const CAP: Duration = Duration::from_secs(60);

/// Reads come this long after the grid point. Slot and schedule find the same point from two readings of two clocks, which
/// may differ by a preemption; a read that came before its slot began would leave the slot without one.
const LAG: Duration = Duration::from_millis(5);

/// The schedule of one polled sensor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    every: Duration,
    failures: u32,
    next: Mono,
}

impl Schedule {
    /// A schedule whose first read is due at once.
    pub(crate) const fn new(every: Duration) -> Self {
        Self { every, failures: 0, next: Mono::new(Duration::ZERO) }
    }

    /// When it is due.
    pub(crate) fn next(&self) -> Mono {
        self.next
    }

    /// It was read at `now`, well or not.
    pub(crate) fn done(&mut self, now: Now, well: bool) {
        self.failures = if well { 0 } else { self.failures.saturating_add(1) };
        let waits = 1_u32 << self.failures.saturating_sub(1).min(12);
        let wait = if waits == 1 { self.every } else { self.every.saturating_mul(waits).min(CAP.max(self.every)) };
        // The last grid point up to the wait, so that a wait of one `every` is the next grid point.
        let grid = Utc::since(now.utc, Utc::default() + LAG);
        let into = Duration::from_nanos(u64::try_from(grid.as_nanos() % self.every.as_nanos().max(1)).unwrap_or(0));
        self.next = now.mono + wait - into;
        // This read's own grid point, seen once more, is not the next one.
        if self.next < now.mono + LAG * 2 {
            self.next = self.next + self.every;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(early.next(), now(5.005).mono, "just behind the grid point");
        assert_eq!(late.next(), early.next());
    }

    #[test]
    fn a_sick_sensor_is_tried_less_and_less_but_at_least_every_minute_and_is_read_as_before_when_it_is_well() {
        let mut schedule = Schedule::new(Duration::from_secs(1));
        let mut at = 0.005;
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
            schedule.done(now(0.005), false);
        }
        assert_eq!(schedule.next(), now(600.005).mono);
    }

    #[test]
    fn a_sensor_that_is_read_once_a_slot_is_in_every_slot_however_the_two_clocks_are_read() {
        use crate::entry::{ChannelId, Column, Reduce, UntimedEntry};
        use crate::pipeline::slots::{Channel, Publish, Route, Slots, StatusText};

        let every = Duration::from_secs(1);
        let channel =
            Channel { id: ChannelId(1), every, interval: every, status: StatusText::Off, spread: Duration::ZERO };
        let route = Route {
            channel: 0,
            column: Column::Field(1),
            reduce: Reduce::Last,
            publish: Publish::Slot,
            decimals: None,
        };
        let mut slots = Slots::new(&[channel], &[route]);
        let mut schedule = Schedule::new(every);
        let mut random = fastrand::Rng::with_seed(7);
        // The wall clock is read up to two milliseconds before or after the boot clock.
        let mut skewed = |mono: Mono| Now {
            mono,
            utc: Utc::from_seconds(1_795_334_400) + mono.since_boot() + Duration::from_micros(random.u64(0..4000)),
        };
        let mut at = Mono::new(Duration::from_micros(100_300));
        let mut stamps = Vec::new();
        for read in 0..500_u64 {
            let began = skewed(at);
            let done = skewed(at + Duration::from_micros(50 + read * 37 % 450));
            slots.value(done, 0, done.mono, 1.0);
            schedule.done(began, true);
            let seconds = |untimed: &UntimedEntry| (untimed.end + Duration::from_millis(500)).since_boot().as_secs();
            slots.close_due(done, |entries| stamps.extend(entries.iter().map(seconds)));
            at = schedule.next();
        }
        let slots: Vec<u64> = (stamps[0]..).take(stamps.len()).collect();
        assert_eq!(stamps, slots, "no second is left out");
        assert_eq!(stamps.len(), 499);
    }
}
