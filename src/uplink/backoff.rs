//! When to try again: decorrelated jitter for a broken network, a slow fixed pace for a refused login.

use std::time::Duration;

use crate::net::failure::Kind;
use crate::time::Mono;

/// The longest wait after a network failure.
const CAP: Duration = Duration::from_secs(300);
/// The shortest wait, and the first try's.
const BASE: Duration = Duration::from_millis(500);
/// A connection that lived this long was a good one: the next failure starts from the beginning.
const STABLE: Duration = Duration::from_secs(60);
/// A refused login is tried again this often in its first minute: six times in all.
const REFUSED_SOON: Duration = Duration::from_secs(10);
const REFUSED_TRIES: u32 = 6;
/// And then this often, so that a wrong password never looks like an attack.
const REFUSED_LATER: Duration = Duration::from_secs(180);

/// The waits between tries.
#[derive(Debug)]
pub struct Backoff {
    random: fastrand::Rng,
    last: Duration,
    refusals: u32,
    online_since: Option<Mono>,
}

impl Backoff {
    /// A back-off whose jitter follows `seed`.
    pub fn new(seed: u64) -> Self {
        Self { random: fastrand::Rng::with_seed(seed), last: Duration::ZERO, refusals: 0, online_since: None }
    }

    /// The connection stands.
    pub fn online(&mut self, now: Mono) {
        self.online_since = Some(now);
        self.refusals = 0;
    }

    /// The connection failed; returns how long to wait.
    pub fn failed(&mut self, now: Mono, kind: Kind) -> Duration {
        if self.online_since.take().is_some_and(|since| now.since(since) >= STABLE) {
            self.last = Duration::ZERO;
        }
        if kind == Kind::Login {
            self.refusals += 1;
            return if self.refusals < REFUSED_TRIES {
                REFUSED_SOON + self.between(Duration::ZERO, Duration::from_secs(1))
            } else {
                self.between(REFUSED_LATER, REFUSED_LATER + REFUSED_LATER / 2)
            };
        }
        if self.last.is_zero() {
            return self.restart();
        }
        self.last = self.between(BASE, (self.last * 3).max(BASE * 2)).min(CAP);
        self.last
    }

    /// The network has changed, so that the waits begin anew; returns how long to wait, half a second at most.
    pub fn restart(&mut self) -> Duration {
        self.last = self.between(BASE / 5, BASE);
        self.last
    }

    fn between(&mut self, least: Duration, most: Duration) -> Duration {
        least + most.saturating_sub(least).mul_f64(self.random.f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono::new(Duration::from_secs(seconds))
    }

    #[test]
    fn the_first_try_is_fast_and_the_waits_grow_to_the_cap() {
        let mut backoff = Backoff::new(1);
        assert!(backoff.failed(at(0), Kind::Network) <= BASE);
        let waits: Vec<Duration> = (0..200).map(|_| backoff.failed(at(0), Kind::Network)).collect();
        assert!(waits.iter().all(|wait| (BASE..=CAP).contains(wait)));
        assert!(waits.iter().any(|wait| *wait > CAP / 2), "they grow");
    }

    #[test]
    fn devices_that_fail_together_do_not_come_back_together() {
        let waits: std::collections::HashSet<Duration> = (0..50)
            .map(|seed| {
                let mut backoff = Backoff::new(seed);
                backoff.failed(at(0), Kind::Network);
                backoff.failed(at(0), Kind::Network)
            })
            .collect();
        assert!(waits.len() > 45);
    }

    #[test]
    fn only_a_stable_minute_resets_the_waits() {
        let mut backoff = Backoff::new(3);
        while backoff.failed(at(0), Kind::Network) < Duration::from_secs(60) {}
        backoff.online(at(100));
        assert!(backoff.failed(at(130), Kind::Closed) >= BASE, "thirty seconds are not stable");
        backoff.online(at(200));
        assert!(backoff.failed(at(260), Kind::Closed) <= BASE);
    }

    #[test]
    fn a_refused_login_is_tried_at_most_six_times_in_the_first_minute_and_then_every_few_minutes() {
        let mut backoff = Backoff::new(4);
        let mut now = Duration::ZERO;
        let mut tries = Vec::new();
        for _ in 0..10 {
            tries.push(now);
            now += backoff.failed(Mono::new(now), Kind::Login);
        }
        let soon = tries.iter().filter(|at| **at < Duration::from_secs(60)).count();
        assert!((5..=6).contains(&soon), "{soon} tries in the first minute");
        assert!(tries[9].saturating_sub(tries[8]) >= REFUSED_LATER);
    }
}
