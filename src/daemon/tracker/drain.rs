//! How fast a channel's backlog has drained, from the numbers of entries that waited at its slots' ends.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::Mono;

/// So far back the pace is measured.
const WINDOW: Duration = Duration::from_secs(1800);
/// A pace over less than this says nothing: an entry more or less would change it.
const LEAST: Duration = Duration::from_secs(30);
/// Points that are kept. With more slots in the window every other one is left out.
const MOST: usize = 64;

/// A channel's backlog as it was seen.
#[derive(Debug, Default)]
pub(super) struct DrainMeter {
    seen: VecDeque<(Mono, usize)>,
    /// Looks that are left out between two that are kept, and those since the last one.
    skip: u32,
    skipped: u32,
}

/// What the past says of the future.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Forecast {
    /// It was not watched for long enough.
    Unknown,
    /// It does not get less.
    Stands,
    /// It is gone after this.
    Drains(Duration),
}

impl DrainMeter {
    /// So many entries wait now.
    pub(super) fn look(&mut self, now: Mono, waiting: usize) {
        if self.skipped < self.skip && !self.seen.is_empty() {
            self.skipped += 1;
            return;
        }
        self.skipped = 0;
        while self.seen.front().is_some_and(|(at, _)| now.since(*at) > WINDOW) {
            self.seen.pop_front();
        }
        if self.seen.len() >= MOST {
            let mut nth = 0_u32;
            self.seen.retain(|_| {
                nth += 1;
                nth % 2 == 1
            });
            self.skip = self.skip * 2 + 1;
        }
        self.seen.push_back((now, waiting));
    }

    /// How long what waits now will take at the pace of before.
    pub(super) fn forecast(&self, now: Mono, waiting: usize) -> Forecast {
        let Some((since, before)) = self.seen.front().copied() else { return Forecast::Unknown };
        let took = now.since(since);
        if took < LEAST {
            return Forecast::Unknown;
        }
        let Some(less) = before.checked_sub(waiting).filter(|less| *less > 0) else { return Forecast::Stands };
        let nanos = took.as_nanos() * waiting as u128 / less as u128;
        Forecast::Drains(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Mono {
        Mono::new(Duration::from_secs(second))
    }

    #[test]
    fn forecast_is_the_pace_of_what_drained() {
        let mut meter = DrainMeter::default();
        assert_eq!(meter.forecast(at(0), 100), Forecast::Unknown);
        for slot in 0..20 {
            meter.look(at(slot * 20), 100 - usize::try_from(slot).expect("few"));
        }
        assert_eq!(meter.forecast(at(400), 80), Forecast::Drains(Duration::from_secs(1600)));
    }

    #[test]
    fn a_backlog_that_stands_still_is_not_promised_away() {
        let mut meter = DrainMeter::default();
        for slot in 0..200 {
            meter.look(at(slot * 20), 50);
        }
        assert_eq!(meter.forecast(at(4000), 50), Forecast::Stands);
        assert_eq!(meter.forecast(at(4000), 51), Forecast::Stands);
    }

    #[test]
    fn a_few_seconds_say_nothing() {
        let mut meter = DrainMeter::default();
        meter.look(at(200), 50);
        assert_eq!(meter.forecast(at(210), 49), Forecast::Unknown);
        assert_eq!(meter.forecast(at(240), 48), Forecast::Drains(Duration::from_secs(40 * 24)));
    }

    #[test]
    fn memory_is_bounded_and_the_window_kept_however_short_the_slots_are() {
        let mut meter = DrainMeter::default();
        for second in 0..10_000_u64 {
            meter.look(at(second), 20_000 - usize::try_from(second).expect("few"));
            assert!(meter.seen.len() <= MOST);
        }
        let oldest = meter.seen.front().expect("some").0;
        assert!(at(9999).since(oldest) <= WINDOW + Duration::from_secs(60));
        assert!(at(9999).since(oldest) >= WINDOW / 2);
        assert_eq!(meter.forecast(at(9999), 10_001), Forecast::Drains(Duration::from_secs(10_001)));
    }
}
