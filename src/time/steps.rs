//! Steps of the wall clock, seen from the boot clock, which never steps.

use std::fmt;
use std::time::Duration;

use super::{Mono, Now, Utc};

/// A clock that was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockStep {
    /// It was set forward; otherwise back.
    pub is_forward: bool,
    /// By so much.
    pub by: Duration,
}

impl fmt::Display for ClockStep {
    /// `forward by 2h`, to the second.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = if self.is_forward { "forward" } else { "back" };
        let by = Duration::from_secs_f64(self.by.as_secs_f64().round());
        write!(f, "{direction} by {}", humantime::format_duration(by))
    }
}

/// Notices when the wall clock is set: it moves against the boot clock from one look to the next. A clock that is slewed moves
/// too little in between.
#[derive(Clone, Copy, Debug, Default)]
pub struct StepWatch {
    /// What the wall clock said at the boot, as of the last look.
    booted: Option<Utc>,
}

impl StepWatch {
    /// Looks at the clocks. Returns a step that is larger than this.
    pub fn look(&mut self, now: Now, beyond: Duration) -> Option<ClockStep> {
        let booted = now.utc_at(Mono::default());
        let before = self.booted.replace(booted)?;
        let (forward, back) = (booted.since(before), before.since(booted));
        let step = ClockStep { is_forward: forward > back, by: forward.max(back) };
        (step.by > beyond).then_some(step)
    }

    /// From now on it is looked at for the first time: what it said before was not believed.
    pub fn forget(&mut self) {
        self.booted = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEYOND: Duration = Duration::from_secs(5);

    fn now(mono: u64, utc: i64) -> Now {
        Now { mono: Mono::new(Duration::from_secs(mono)), utc: Utc::from_seconds(1_800_000_000 + utc) }
    }

    #[test]
    fn each_step_is_told_once_with_its_direction_and_its_length() {
        let mut watch = StepWatch::default();
        let mut look = |mono, utc| watch.look(now(mono, utc), BEYOND).map(|step| step.to_string());
        assert_eq!(look(10, 10), None);
        assert_eq!(look(20, 20), None);
        assert_eq!(look(30, 30 + 7200).as_deref(), Some("forward by 2h"));
        assert_eq!(look(40, 40 + 7200), None);
        assert_eq!(look(50, 50).as_deref(), Some("back by 2h"));
        assert_eq!(look(60, 60 - 86_400 * 400).as_deref(), Some("back by 1year 1month 4days 7h 26m 24s"));
    }

    #[test]
    fn slewing_and_two_clocks_that_are_read_apart_are_no_step() {
        let mut watch = StepWatch::default();
        for (mono, utc) in [(0, 0), (60, 62), (120, 118), (180, 183), (240, 243)] {
            assert_eq!(watch.look(now(mono, utc), BEYOND), None, "{mono}");
        }
    }

    #[test]
    fn what_an_unbelieved_clock_said_is_no_beginning() {
        let mut watch = StepWatch::default();
        watch.look(now(10, -1_800_000_000), BEYOND);
        watch.forget();
        assert_eq!(watch.look(now(20, 20), BEYOND), None);
    }
}
