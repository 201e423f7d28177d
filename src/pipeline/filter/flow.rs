//! Steps between two readings, on their own times: what a counter gained, how fast, what a flow sums up to, and a smoothed value.

use std::time::Duration;

use crate::time::Mono;

/// Digits of a rate. It is a quotient, which has no short form of its own.
const DIGITS: i32 = 6;

/// The value before this one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Difference {
    last: Option<(Mono, f64)>,
}

impl Difference {
    /// What was gained since the last value, and in which time. A fall of a counter says that it began again or ran over: how much came
    /// meanwhile is not known.
    pub(super) fn push(&mut self, at: Mono, value: f64, falls: bool) -> Option<(f64, Duration)> {
        let (before, last) = self.last.replace((at, value))?;
        let gained = super::exact(value - last, value.abs().max(last.abs()));
        (falls || gained >= 0.0).then(|| (gained, at.since(before)))
    }

    /// What a counter gained in each `per`.
    pub(super) fn rate(&mut self, at: Mono, value: f64, per: Duration) -> Option<f64> {
        // Two readings of one moment are judged together, with the next one.
        if self.last.is_some_and(|(before, _)| at <= before) {
            return None;
        }
        let (gained, time) = self.push(at, value, false)?;
        Some(significant(gained * per.as_secs_f64() / time.as_secs_f64()))
    }
}

/// A flow summed over time, by trapezoids.
#[derive(Clone, Copy, Debug)]
pub(super) struct Integral {
    per: Duration,
    /// Over a longer time without a value nothing is known of the flow, and nothing is added.
    longest: Duration,
    last: Option<(Mono, f64)>,
    /// With its rounding error, so that a year of small additions is their sum.
    total: f64,
    carry: f64,
}

impl Integral {
    pub(super) const fn new(per: Duration) -> Self {
        Self { per, longest: Duration::MAX, last: None, total: 0.0, carry: 0.0 }
    }

    pub(super) const fn bridge(&mut self, longest: Duration) {
        self.longest = longest;
    }

    /// Begins at a total that was kept, unless it has begun.
    pub(super) fn resume(&mut self, total: f64) {
        if self.last.is_none() && total.is_finite() {
            (self.total, self.carry) = (total, 0.0);
        }
    }

    pub(super) const fn total(&self) -> f64 {
        self.total
    }

    pub(super) fn push(&mut self, at: Mono, value: f64) -> f64 {
        if let Some((before, last)) = self.last.replace((at, value)) {
            let time = at.since(before);
            if time <= self.longest {
                let part = f64::midpoint(last, value) * (time.as_secs_f64() / self.per.as_secs_f64());
                // Kahan's summation.
                let part = part - self.carry;
                let total = self.total + part;
                self.carry = (total - self.total) - part;
                self.total = total;
            }
        }
        self.total
    }
}

/// A low pass of the first order, for readings at any times.
#[derive(Clone, Copy, Debug)]
pub(super) struct Smooth {
    constant: Duration,
    last: Option<(Mono, f64)>,
}

impl Smooth {
    pub(super) const fn new(constant: Duration) -> Self {
        Self { constant, last: None }
    }

    /// After one time constant 63 % of a step are there, however many readings came in it.
    pub(super) fn push(&mut self, at: Mono, value: f64) -> f64 {
        let smoothed = match self.last {
            Some((before, last)) => {
                let share = -(-at.since(before).as_secs_f64() / self.constant.as_secs_f64()).exp_m1();
                // Two products, so that no difference of large values overflows.
                last * (1.0 - share) + value * share
            }
            None => value,
        };
        self.last = Some((at, smoothed));
        smoothed
    }
}

fn significant(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    #[expect(clippy::cast_possible_truncation, reason = "a logarithm of a double is small")]
    let places = DIGITS - 1 - value.abs().log10().floor() as i32;
    match u8::try_from(places) {
        Ok(places) => crate::entry::rounded(value, places),
        Err(_) => value.round(),
    }
}
