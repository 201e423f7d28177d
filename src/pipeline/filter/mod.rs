//! What happens to a reading on its way to its column: calibrate, range, reject, median, round, change.
//!
//! A [`Chain`] is one route's steps in the map's order, with their state. It takes a value and gives a value, nothing
//! (a value that is held back: not yet changed enough), or a fault (a value that must not be published). It knows no
//! clock: `at` is the reading's own time.
//!
//! Only `round` rounds. How many digits a route's values are worth is told by [`decimals`], and they are cut where a value becomes
//! text: neither a mean nor a total is made of rounded values.
//!
//! What comes out is finite, whatever went in. A value that `valid` or `reject` refuses never enters the steps behind
//! them, so a spike does not stay in a median's window. A fault, of the chain or of the sensor ([`Chain::fault`]), makes
//! `change` forget what it passed last: the first good value after it always passes.

mod calibrate;
mod change;
mod median;
mod resolution;

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::entry::{denoised, rounded};
use crate::reading::Fault;
use crate::time::Mono;

use change::Change;
use median::Median;
pub use resolution::decimals;

/// One step of a route's filter, as checked.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Piecewise linear through two or more points `[measured, true]`, sorted by `measured`, continued beyond the ends.
    Calibrate(Vec<[f64; 2]>),
    /// value × factor.
    Scale(f64),
    /// value + summand.
    Offset(f64),
    /// A value outside is a fault, not a measurement.
    Valid {
        /// Smallest accepted value.
        min: f64,
        /// Largest accepted value.
        max: f64,
    },
    /// These exact values are a part's way of saying "nothing" (85 °C of a DS18B20, -127).
    Reject(Vec<f64>),
    /// Median of the last n values (odd, 3 to 99). Until there are n, of those there are; of an even number the lower
    /// of the two in the middle, so that what comes out was measured.
    Median(usize),
    /// To this many digits after the point, halves away from zero.
    Round(u8),
    /// Passed only when it differs by at least `delta` from the last one passed, or when `heartbeat` has gone by.
    Change {
        /// Least difference. 0: any change.
        delta: f64,
        /// Longest silence.
        heartbeat: Option<Duration>,
    },
}

/// A step with what it remembers.
#[derive(Clone, Debug)]
enum Stage {
    Calibrate(Vec<[f64; 2]>),
    Scale(f64),
    Offset(f64),
    Valid { min: f64, max: f64 },
    Reject(Vec<f64>),
    Median(Median),
    Round(u8),
    Change(Change),
}

/// The steps of one route with their state.
#[derive(Clone, Debug)]
pub struct Chain {
    stages: Vec<Stage>,
}

impl Chain {
    /// A chain in its first state.
    pub fn new(steps: &[Step]) -> Self {
        Self { stages: steps.iter().map(Stage::new).collect() }
    }

    /// Takes one value. `Ok(None)`: held back.
    ///
    /// # Errors
    /// [`Fault::OutOfRange`] where `valid` or `reject` refuses it, [`Fault::Garbled`] where it is no finite number or a
    /// step makes none of it.
    pub fn value(&mut self, at: Mono, value: f64) -> Result<Option<f64>, Fault> {
        let passed = self.pass(at, value);
        if passed.is_err() {
            self.fault();
        }
        passed
    }

    /// Is told that the sensor had a fault instead of a value: the next good value is passed, however little it differs.
    pub fn fault(&mut self) {
        for stage in &mut self.stages {
            if let Stage::Change(change) = stage {
                change.forget();
            }
        }
    }

    fn pass(&mut self, at: Mono, value: f64) -> Result<Option<f64>, Fault> {
        let mut value = finite(value)?;
        for stage in &mut self.stages {
            match stage.pass(at, value)? {
                Some(passed) => value = finite(passed)?,
                None => return Ok(None),
            }
        }
        Ok(Some(value))
    }
}

impl Stage {
    fn new(step: &Step) -> Self {
        match step {
            Step::Calibrate(points) => Self::Calibrate(points.clone()),
            Step::Scale(factor) => Self::Scale(*factor),
            Step::Offset(summand) => Self::Offset(*summand),
            Step::Valid { min, max } => Self::Valid { min: *min, max: *max },
            Step::Reject(values) => Self::Reject(values.clone()),
            Step::Median(length) => Self::Median(Median::new(*length)),
            Step::Round(digits) => Self::Round(*digits),
            Step::Change { delta, heartbeat } => Self::Change(Change::new(*delta, *heartbeat)),
        }
    }

    fn pass(&mut self, at: Mono, value: f64) -> Result<Option<f64>, Fault> {
        match self {
            Self::Calibrate(points) => Ok(Some(calibrate::calibrate(points, value))),
            Self::Scale(factor) => Ok(Some(exact(value * *factor, value * *factor))),
            Self::Offset(summand) => Ok(Some(exact(value + *summand, value.abs().max(summand.abs())))),
            Self::Valid { min, max } if (*min..=*max).contains(&value) => Ok(Some(value)),
            Self::Valid { min, max } => Err(Fault::OutOfRange(format!("{value} is not within {min} to {max}"))),
            Self::Reject(values) if values.iter().any(|rejected| same(*rejected, value)) => {
                Err(Fault::OutOfRange(format!("{value} is a value the map rejects")))
            }
            Self::Reject(_) => Ok(Some(value)),
            Self::Median(median) => Ok(Some(median.push(value))),
            Self::Round(digits) => Ok(Some(rounded(value, *digits))),
            Self::Change(change) => Ok(change.passes(at, value).then_some(value)),
        }
    }
}

/// The result of a step without the noise of binary fractions: what comes of decimals is the decimal that it would be on paper.
/// `largest` is the largest number in it.
fn exact(result: f64, largest: f64) -> f64 {
    denoised(result, 4.0 * f64::EPSILON * largest.abs())
}

/// The largest relative difference at which two numbers are the same number, written or computed in another way.
const SAME: f64 = 1e-9;

fn same(a: f64, b: f64) -> bool {
    (a - b).abs() <= SAME * a.abs().max(b.abs())
}

fn finite(value: f64) -> Result<f64, Fault> {
    if value.is_finite() { Ok(value) } else { Err(Fault::Garbled(format!("{value} is not a finite number"))) }
}
