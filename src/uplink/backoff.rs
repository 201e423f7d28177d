//! When to try again: decorrelated jitter for what is the network's or the peer's, a slow pace of its own for refused logins.
//!
//! Only a refused login may take minutes between two tries. Everything else can be over at any moment, so that it is tried
//! again within a minute.

use std::time::Duration;

/// The longest wait for whatever is no refused login.
const CAP: Duration = Duration::from_secs(60);
/// The shortest wait, and the first try's.
const BASE: Duration = Duration::from_millis(500);
/// A refused login that no session of ours can be the reason for is tried again this often in its first minute: six times in all.
const REFUSED_SOON: Duration = Duration::from_secs(10);
const REFUSED_TRIES: u32 = 6;
/// And then this often, with half of it as jitter (so five minutes at most), so that a wrong password never looks like an attack.
const REFUSED_LATER: Duration = Duration::from_secs(180);
/// A login that the broker refuses while it may hold the old session: least and most.
const HELD: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(15));
/// After word that the network has changed: least and most. A moment, since an address comes before its route.
const HURRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(2));

/// The waits between tries.
#[derive(Debug)]
pub struct Backoff {
    random: fastrand::Rng,
    last: Duration,
    refusals: u32,
}

impl Backoff {
    /// A back-off whose jitter follows `seed`.
    pub fn new(seed: u64) -> Self {
        Self { random: fastrand::Rng::with_seed(seed), last: Duration::ZERO, refusals: 0 }
    }

    /// The login was accepted, or is another one: the next refusal is the first.
    pub fn forgive(&mut self) {
        self.refusals = 0;
    }

    /// The connection is of use: the next failure starts from the beginning. How long a connection lasted proves nothing.
    pub fn progressed(&mut self) {
        self.last = Duration::ZERO;
    }

    /// Network or peer failed. Returns how long to wait, as the others do.
    pub fn failed(&mut self) -> Duration {
        self.last = if self.last.is_zero() {
            self.between(BASE / 5, BASE)
        } else {
            self.between(BASE, (self.last * 3).clamp(BASE * 2, CAP))
        };
        self.last
    }

    /// A connection was closed for a reason that is known and has a back-off of its own: the next one may come at once.
    pub fn soon(&mut self) -> Duration {
        self.between(BASE / 5, BASE * 2)
    }

    /// The broker refused the login.
    pub fn refused(&mut self) -> Duration {
        self.refusal().unwrap_or_else(|| self.between(REFUSED_LATER, REFUSED_LATER + REFUSED_LATER / 2))
    }

    /// The connection was closed where the answer to the login was due: a refusal, or a peer that is in trouble.
    pub fn unanswered(&mut self) -> Duration {
        self.refusal().unwrap_or_else(|| self.between(CAP / 2, CAP))
    }

    /// The broker refused the login, and may do so since it holds a session of ours.
    pub fn held(&mut self) -> Duration {
        self.refusals += 1;
        self.between(HELD.0, HELD.1)
    }

    /// The network has changed.
    pub fn hurry(&mut self) -> Duration {
        self.between(HURRY.0, HURRY.1)
    }

    /// The pace of a refusal's first minute; `None` after it.
    fn refusal(&mut self) -> Option<Duration> {
        self.refusals += 1;
        (self.refusals < REFUSED_TRIES).then(|| REFUSED_SOON + self.between(Duration::ZERO, Duration::from_secs(1)))
    }

    fn between(&mut self, least: Duration, most: Duration) -> Duration {
        least + most.saturating_sub(least).mul_f64(self.random.f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_try_is_fast_and_the_waits_grow_to_a_minute_at_most() {
        let mut backoff = Backoff::new(1);
        assert!(backoff.failed() <= BASE);
        let waits: Vec<Duration> = (0..2000).map(|_| backoff.failed()).collect();
        assert!(waits.iter().all(|wait| (BASE..=CAP).contains(wait)));
        assert!(waits.iter().any(|wait| *wait > CAP / 2), "they grow");
        assert!(waits.iter().filter(|wait| **wait == CAP).count() < 10, "and do not come in step at the cap");
    }

    #[test]
    fn devices_that_fail_together_do_not_come_back_together() {
        let waits: std::collections::HashSet<Duration> = (0..50)
            .map(|seed| {
                let mut backoff = Backoff::new(seed);
                backoff.failed();
                backoff.failed()
            })
            .collect();
        assert!(waits.len() > 45);
    }

    #[test]
    fn progress_resets_the_waits() {
        let mut backoff = Backoff::new(3);
        while backoff.failed() < CAP / 2 {}
        backoff.forgive();
        assert!(backoff.failed() >= BASE, "a login alone is no progress");
        backoff.progressed();
        assert!(backoff.failed() <= BASE);
    }

    /// When so many tries are made, if each fails at once.
    fn tries(count: usize, mut wait: impl FnMut() -> Duration) -> Vec<Duration> {
        let mut now = Duration::ZERO;
        let mut tries = Vec::new();
        for _ in 0..count {
            tries.push(now);
            now += wait();
        }
        tries
    }

    fn in_the_first_minute(tries: &[Duration]) -> usize {
        tries.iter().filter(|at| **at < Duration::from_secs(60)).count()
    }

    #[test]
    fn a_refused_login_is_tried_at_most_six_times_in_the_first_minute_and_then_every_few_minutes() {
        let mut backoff = Backoff::new(4);
        let tries = tries(20, || backoff.refused());
        assert!((5..=6).contains(&in_the_first_minute(&tries)), "{tries:?}");
        let later: Vec<_> = tries[7..].windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect();
        assert!(later.iter().all(|wait| (REFUSED_LATER..=Duration::from_secs(300)).contains(wait)), "{later:?}");
    }

    #[test]
    fn a_login_that_is_closed_on_is_tried_as_a_refused_one_at_first_and_then_once_a_minute() {
        let mut backoff = Backoff::new(5);
        let tries = tries(20, || backoff.unanswered());
        assert!((5..=6).contains(&in_the_first_minute(&tries)), "{tries:?}");
        assert!(tries.windows(2).all(|pair| pair[1].saturating_sub(pair[0]) <= CAP), "{tries:?}");
    }

    #[test]
    fn a_login_that_an_old_session_may_be_the_reason_for_is_tried_every_ten_to_fifteen_seconds_and_its_refusals_count()
    {
        let mut backoff = Backoff::new(6);
        let waits: Vec<_> = (0..15).map(|_| backoff.held()).collect();
        assert!(waits.iter().all(|wait| (HELD.0..=HELD.1).contains(wait)), "{waits:?}");
        assert!(backoff.refused() >= REFUSED_LATER);
        backoff.forgive();
        assert!(backoff.refused() < REFUSED_LATER);
    }
}
