//! What happens to a reading on its way to its column: calibrate, range, reject, median, rate, total, smooth, round, change.
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
mod flow;
mod median;
mod resolution;
mod unit;

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::entry::{Reduce, denoised, rounded};
use crate::reading::Fault;
use crate::time::Mono;

use change::Change;
use flow::{Difference, Integral, Smooth};
use median::Median;
pub use resolution::decimals;
pub use unit::unit;

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
    /// How fast a counter counts: what it gained, in each of this time. The first value makes none, nor does one that is lower than
    /// the one before: the counter began again or ran over.
    Rate(Duration),
    /// The difference to the value before. The first value makes none.
    Delta {
        /// A lower value is a negative difference. Otherwise it is a counter's that began again or ran over, and makes none.
        falls: bool,
    },
    /// The sum over time, in the value's unit times this time: W become Wh. It goes on over a restart where its total is kept
    /// ([`Chain::resume`]).
    Integrate(Duration),
    /// Exponentially smoothed with this time constant, whatever time is between two readings.
    Smooth(Duration),
    /// A value outside becomes the nearer bound.
    Clamp {
        /// Smallest value that comes out.
        min: f64,
        /// Largest value that comes out.
        max: f64,
    },
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

impl Step {
    /// Whether what comes out is another number than was read, and not only one that was left out or rounded.
    pub const fn computes(&self) -> bool {
        !matches!(self, Self::Valid { .. } | Self::Reject(_) | Self::Median(_) | Self::Round(_) | Self::Change { .. })
    }
}

/// How a slot's values become one behind these steps, unless the map says so: gains are summed up, a total is what it is last.
pub fn reduce(steps: &[Step], of_quantity: Reduce) -> Reduce {
    let reduce = |step: &Step| match step {
        Step::Rate(_) => Some(Reduce::Mean),
        Step::Delta { .. } => Some(Reduce::Sum),
        Step::Integrate(_) => Some(Reduce::Last),
        _ => None,
    };
    steps.iter().rev().find_map(reduce).unwrap_or(of_quantity)
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
    Rate(Duration, Difference),
    Delta(bool, Difference),
    Integrate(Integral),
    Smooth(Smooth),
    Clamp { min: f64, max: f64 },
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

    /// Lets an integral go on over a time without values that is no longer than this.
    #[must_use]
    pub fn bridging(mut self, longest: Duration) -> Self {
        self.integrals().for_each(|integral| integral.bridge(longest));
        self
    }

    /// Lets an integral that has not begun go on from a total that was kept.
    pub fn resume(&mut self, total: f64) {
        self.integrals().for_each(|integral| integral.resume(total));
    }

    /// The total of its integral, if it has one.
    pub fn total(&self) -> Option<f64> {
        self.stages.iter().find_map(|stage| if let Stage::Integrate(it) = stage { Some(it.total()) } else { None })
    }

    fn integrals(&mut self) -> impl Iterator<Item = &mut Integral> {
        self.stages.iter_mut().filter_map(|stage| if let Stage::Integrate(it) = stage { Some(it) } else { None })
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
            Step::Rate(per) => Self::Rate(*per, Difference::default()),
            Step::Delta { falls } => Self::Delta(*falls, Difference::default()),
            Step::Integrate(per) => Self::Integrate(Integral::new(*per)),
            Step::Smooth(constant) => Self::Smooth(Smooth::new(*constant)),
            Step::Clamp { min, max } => Self::Clamp { min: *min, max: *max },
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
            Self::Rate(per, difference) => Ok(difference.rate(at, value, *per)),
            Self::Delta(falls, difference) => Ok(difference.push(at, value, *falls).map(|(gained, _)| gained)),
            Self::Integrate(integral) => Ok(Some(integral.push(at, value))),
            Self::Smooth(smooth) => Ok(Some(smooth.push(at, value))),
            // Not `clamp`, which panics where the bounds are no range.
            Self::Clamp { min, max } => Ok(Some(value.max(*min).min(*max))),
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
