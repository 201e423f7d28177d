//! What happens to a reading on its way to its column: calibrate, range, reject, median, round, change.
//!
//! A [`Chain`] is one route's steps in the map's order, with their state. It takes a value and gives a value, nothing
//! (a value that is held back: not yet changed enough), or a fault (a value that must not be published).

use std::time::Duration;

use crate::reading::Fault;
use crate::time::Mono;

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
    /// Median of the last n values (odd, 3 to 99).
    Median(usize),
    /// To this many digits after the point.
    Round(u8),
    /// Passed only when it differs by at least `delta` from the last one passed, or when `heartbeat` has gone by.
    Change {
        /// Least difference. 0: any change.
        delta: f64,
        /// Longest silence.
        heartbeat: Option<Duration>,
    },
}

/// The steps of one route with their state.
#[derive(Clone, Debug)]
pub struct Chain {
    steps: Vec<Step>,
}

impl Chain {
    /// A chain in its first state.
    pub fn new(steps: &[Step]) -> Self {
        Self { steps: steps.to_vec() }
    }

    /// Takes one value. `Ok(None)`: held back.
    ///
    /// # Errors
    /// [`Fault::OutOfRange`] where `valid` or `reject` refuses it.
    pub fn value(&mut self, at: Mono, value: f64) -> Result<Option<f64>, Fault> {
        todo!("{at:?} {value} {:?}", self.steps)
    }

    /// Digits after the point of what comes out, where the last step that matters rounds.
    pub fn decimals(&self) -> Option<u8> {
        todo!()
    }
}
