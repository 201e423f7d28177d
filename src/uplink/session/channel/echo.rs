//! How long an echo is waited for: learned from the echoes that came.
//!
//! The estimate is that of RFC 6298 for round trips, since the question is the same: a smoothed delay and a smoothed
//! deviation (but at least twice the delay, since echoes that never varied say little), so that one slow echo is forgotten again; only from entries that were sent once, since the echo of one that
//! was sent again does not tell which of the two it answers; and twice as long after each echo that is missed, until one
//! came in time: or a service whose echoes are always late by a minute would have everything sent twice for ever.

use std::time::Duration;

/// The longest an echo is waited for, however slow earlier ones were.
const CAP: Duration = Duration::from_secs(300);

/// What is known of a channel's echoes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct EchoDelay {
    /// Smoothed delay and deviation.
    seen: Option<(Duration, Duration)>,
    /// The deadline that was missed last, doubled, until an echo comes to an entry that was sent once.
    backed_off: Duration,
}

impl EchoDelay {
    /// An entry that was sent once came back after so long.
    pub(super) fn seen(&mut self, took: Duration) {
        self.backed_off = Duration::ZERO;
        self.seen = Some(match self.seen {
            None => (took, took / 2),
            Some((delay, deviation)) => ((delay * 7 + took) / 8, (deviation * 3 + delay.abs_diff(took)) / 4),
        });
    }

    /// An echo that was waited for so long did not come. That several were missed after the same wait says nothing new.
    pub(super) fn missed(&mut self, waited: Duration) {
        self.backed_off = self.backed_off.max((waited * 2).min(CAP));
    }

    /// How long to wait for the next one; never shorter than `least`.
    pub(super) fn deadline(&self, least: Duration) -> Duration {
        least.max(self.learned()).max(self.backed_off)
    }

    /// The time within which the echoes that came would have come again.
    pub(super) fn learned(&self) -> Duration {
        self.seen.map_or(Duration::ZERO, |(delay, deviation)| delay + delay.max(deviation * 4)).min(CAP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: Duration = Duration::from_secs(20);

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Whether an entry had to be sent again while its echo took so long, as the session does it.
    fn had_to_be_sent_again(echo: &mut EchoDelay, took: Duration) -> bool {
        let waited = echo.deadline(LEAST);
        if took > waited {
            echo.missed(waited);
        } else {
            echo.seen(took);
        }
        took > waited
    }

    #[test]
    fn quick_echoes_leave_the_least_deadline() {
        let mut echo = EchoDelay::default();
        assert_eq!(echo.deadline(LEAST), LEAST);
        for _ in 0..10 {
            echo.seen(Duration::from_millis(300));
        }
        assert_eq!(echo.deadline(LEAST), LEAST);
    }

    #[test]
    fn one_slow_echo_of_minutes_is_forgotten() {
        let mut echo = EchoDelay::default();
        for _ in 0..10 {
            echo.seen(seconds(1));
        }
        echo.seen(seconds(240));
        assert!(echo.deadline(LEAST) > seconds(200), "perhaps the service became slow");
        let mut quick = 0;
        while echo.deadline(LEAST) > LEAST {
            echo.seen(seconds(1));
            quick += 1;
        }
        assert!(quick < 25, "forgotten after {quick} quick ones");
    }

    #[test]
    fn echoes_that_are_always_late_by_a_minute_do_not_have_everything_sent_again_for_ever() {
        let mut echo = EchoDelay::default();
        let again = (0..1000).filter(|_| had_to_be_sent_again(&mut echo, seconds(60))).count();
        assert_eq!(again, 2, "20 s and 40 s were too short");
        assert_eq!(echo.deadline(LEAST), seconds(120));
    }

    #[test]
    fn several_entries_that_miss_the_same_deadline_double_it_once() {
        let mut echo = EchoDelay::default();
        for _ in 0..4 {
            echo.missed(LEAST);
        }
        assert_eq!(echo.deadline(LEAST), LEAST * 2);
    }

    #[test]
    fn losses_among_echoes_that_come_in_time_do_not_make_it_wait_long() {
        let mut echo = EchoDelay::default();
        for nth in 0..1000 {
            if nth % 10 < 3 {
                echo.missed(echo.deadline(LEAST));
            } else {
                echo.seen(seconds(1));
                assert_eq!(echo.deadline(LEAST), LEAST);
            }
        }
    }

    #[test]
    fn the_deadline_has_an_end() {
        let mut echo = EchoDelay::default();
        for _ in 0..100 {
            echo.missed(echo.deadline(LEAST));
        }
        assert_eq!(echo.deadline(LEAST), CAP);
        echo.seen(Duration::from_secs(86_400));
        assert_eq!(echo.deadline(LEAST), CAP);
    }
}
