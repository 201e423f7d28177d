//! The year's budget of a channel: a license grants a number of messages a year, and what is spent is gone.
//!
//! A token bucket, kept in time instead of tokens: it fills by a second each second, and a message takes the time in which
//! the license grants one. What is measured goes out in any case, for `check` has said whether the year bears it. What
//! would only be sent again, or later, has to be paid from what was saved: in an outage nothing is spent, so that its
//! backlog is paid for by the time it ends.

use std::time::Duration;

use crate::time::Mono;

/// A license's year.
const YEAR: Duration = Duration::from_secs(365 * 86_400);
/// As much can be saved: a link that was quiet for a year must not let a broken one spend it in a day.
const CAPACITY: Duration = Duration::from_secs(30 * 86_400);
/// What a start brings along besides the entries that wait: losses on the way are no reason to hold back at once.
const AT_START: Duration = Duration::from_secs(86_400);

/// What a channel may still spend.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// The time in which the license grants one message.
    price: Duration,
    saved: Duration,
    since: Mono,
}

impl Budget {
    /// A budget of so many messages a year, when so many entries wait already: none of them was paid for yet.
    pub fn new(now: Mono, a_year: u64, waiting: usize) -> Self {
        let nanos = YEAR.as_nanos() / u128::from(a_year.max(1));
        let price = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let owed = price.saturating_mul(u32::try_from(waiting).unwrap_or(u32::MAX));
        Self { price, saved: owed.saturating_add(AT_START).min(CAPACITY), since: now }
    }

    /// Goes on with another number of messages a year, and with what was saved.
    pub fn reprice(&mut self, now: Mono, a_year: u64) {
        *self = Self { saved: self.saved_at(now), since: self.since.max(now), ..Self::new(now, a_year, 0) };
    }

    /// A message is sent, whether it can be paid or not.
    pub fn spend(&mut self, now: Mono) {
        self.saved = self.saved_at(now).saturating_sub(self.price);
        self.since = self.since.max(now);
    }

    /// When a message can be paid; not after `now` if it can already.
    pub fn ready_at(&self, now: Mono) -> Mono {
        now + self.price.saturating_sub(self.saved_at(now))
    }

    fn saved_at(&self, now: Mono) -> Duration {
        self.saved.saturating_add(now.since(self.since)).min(CAPACITY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One message a minute.
    const A_YEAR: u64 = 365 * 24 * 60;
    const MINUTE: Duration = Duration::from_secs(60);

    fn at(minutes: u64) -> Mono {
        Mono::new(MINUTE * u32::try_from(minutes).expect("a few"))
    }

    /// How many messages can be paid at once.
    fn affordable(mut budget: Budget, now: Mono) -> u64 {
        let mut count = 0;
        while budget.ready_at(now) <= now {
            budget.spend(now);
            count += 1;
        }
        count
    }

    #[test]
    fn a_start_brings_what_waits_and_a_day() {
        assert_eq!(affordable(Budget::new(at(5), A_YEAR, 0), at(5)), 24 * 60);
        assert_eq!(affordable(Budget::new(at(5), A_YEAR, 100), at(5)), 24 * 60 + 100);
    }

    #[test]
    fn an_outage_saves_what_its_backlog_will_cost() {
        let mut budget = Budget::new(at(0), A_YEAR, 0);
        for minute in 0..10_000 {
            budget.spend(at(minute));
        }
        let before = affordable(budget, at(10_000));
        assert_eq!(affordable(budget, at(10_180)), before + 180);
    }

    #[test]
    fn what_is_saved_ends_at_thirty_days() {
        let budget = Budget::new(at(0), A_YEAR, 10_000_000);
        assert_eq!(affordable(budget, at(0)), 30 * 24 * 60);
        assert_eq!(affordable(budget, at(90 * 24 * 60)), 30 * 24 * 60);
    }

    #[test]
    fn what_cannot_be_paid_waits_for_its_price_and_live_entries_leave_no_debt() {
        let mut budget = Budget::new(at(0), A_YEAR, 0);
        while budget.ready_at(at(0)) <= at(0) {
            budget.spend(at(0));
        }
        assert_eq!(budget.ready_at(at(0)), at(1));
        for _ in 0..50 {
            budget.spend(at(0));
        }
        assert_eq!(
            budget.ready_at(at(0)),
            at(1),
            "what was measured is sent in any case, and nobody pays for it later"
        );
        assert_eq!(budget.ready_at(at(1)), at(1), "at its time it is there, to the nanosecond");
    }

    #[test]
    fn a_budget_of_nothing_and_one_without_end_do_no_harm() {
        assert!(Budget::new(at(0), 0, usize::MAX).ready_at(at(0)) > at(0));
        assert_eq!(affordable_is_endless(u64::MAX), at(7));
    }

    fn affordable_is_endless(a_year: u64) -> Mono {
        let mut budget = Budget::new(at(7), a_year, 0);
        for _ in 0..1000 {
            budget.spend(at(7));
        }
        budget.ready_at(at(7))
    }
}
