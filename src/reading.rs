//! What a sensor says: a quantity at a time, or the reason why there is none.
//!
//! A missing value is data. It travels the same way as a number, ends in the entry's status text and in the log,
//! and is never replaced by an older number.

use std::borrow::Cow;
use std::time::Duration;

use crate::entry::Reduce;
use crate::time::Mono;

/// How finely a part tells two values of a quantity apart, in the quantity's unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Resolution {
    /// The smallest difference it shows; what is behind that is noise, and the arithmetic of its driver.
    Measured(f64),
    /// What one counted thing stands for: every value is a whole number of these.
    Counted(f64),
}

impl Resolution {
    /// The step.
    pub const fn step(self) -> f64 {
        match self {
            Self::Measured(step) | Self::Counted(step) => step,
        }
    }

    /// That of values times `factor`.
    #[must_use]
    pub const fn scaled(self, factor: f64) -> Self {
        match self {
            Self::Measured(step) => Self::Measured(step * factor.abs()),
            Self::Counted(step) => Self::Counted(step * factor.abs()),
        }
    }
}

/// A physical quantity a sensor measures, with the unit in which it is given.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantity {
    /// The name used after `to.` in the map: `temperature`.
    pub name: Cow<'static, str>,
    /// The unit as people write it: `°C`. Empty for bare numbers.
    pub unit: &'static str,
    /// How a slot's readings of it become one value unless the map says otherwise: a temperature is a mean, a
    /// door's level the last one, pulses a sum.
    pub reduce: Reduce,
    /// How fine its values are. `None` where only who wrote the map knows: they are published as they come.
    pub resolution: Option<Resolution>,
}

impl Quantity {
    /// A quantity of a part that always measures the same ones.
    pub const fn new(name: &'static str, unit: &'static str) -> Self {
        Self { name: Cow::Borrowed(name), unit, reduce: Reduce::Mean, resolution: None }
    }

    /// The same quantity, reduced in another way than by its mean.
    #[must_use]
    pub const fn reduced_by(mut self, reduce: Reduce) -> Self {
        self.reduce = reduce;
        self
    }

    /// The same quantity of a part that shows no smaller difference than `step`, in the quantity's unit.
    #[must_use]
    pub const fn resolving(mut self, step: f64) -> Self {
        self.resolution = Some(Resolution::Measured(step));
        self
    }

    /// The same quantity, counted: each of its values is so many times `step`.
    #[must_use]
    pub const fn counting(mut self, step: f64) -> Self {
        self.resolution = Some(Resolution::Counted(step.abs()));
        self
    }

    /// A quantity that the map names, such as a group of a regular expression.
    pub fn named(name: &str, unit: &'static str) -> Self {
        Self { name: Cow::Owned(name.to_owned()), unit, reduce: Reduce::Mean, resolution: None }
    }
}

/// A sensor's number: at the start its place in the map, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SensorId(pub u32);

/// One value of one quantity of one sensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Who measured.
    pub sensor: SensorId,
    /// Which of the sensor's quantities, from 0.
    pub quantity: usize,
    /// When the value was there, on the boot clock.
    pub at: Mono,
    /// The value in the quantity's unit, or why there is none. Never NaN, never infinite.
    pub value: Result<f64, Fault>,
}

/// Why a sensor has nothing to say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Nothing answers there: check wiring, address and power.
    #[error("no answer: {0}")]
    Absent(String),
    /// The bus or the file failed; the text is the operating system's or the driver's.
    #[error("{0}")]
    Bus(String),
    /// Bytes came, with a wrong checksum: check the cable's length and the pull-ups.
    #[error("checksum wrong: {0}")]
    Checksum(String),
    /// The part answered something that is not a measurement (a power-on value, a text that does not match).
    #[error("no measurement: {0}")]
    Garbled(String),
    /// The part said nothing for the stated time.
    #[error("silent for {} s", .0.as_secs())]
    Silent(Duration),
    /// A read has lasted for the sensor's time-out and goes on: the part, its bus or its file hangs.
    #[error("no answer for {}", in_seconds(*.0))]
    NoAnswer(Duration),
    /// The answer came, but after the sensor's time-out: raise `timeout` in the map where it always takes so long.
    #[error("the answer took {}, and `timeout` allows {}", in_seconds(*.took), in_seconds(*.timeout))]
    Late {
        /// From asking to the answer.
        took: Duration,
        /// What the map allows.
        timeout: Duration,
    },
    /// What there is was said too long ago: the device, or the program that writes it, is dead.
    #[error("too old: {0}")]
    Stale(String),
    /// A value outside what the map allows, or what the part can measure.
    #[error("out of range: {0}")]
    OutOfRange(String),
    /// The map (or the machine) asks for something this device does not have: change the map.
    #[error("not possible here: {0}")]
    Unsupported(String),
    /// What it is reckoned from is missing: which, and why.
    #[error("{0}")]
    Input(String),
    /// A defect of the driver; the thread lives on and the sensor is opened anew.
    #[error("driver failed: {0}")]
    Panicked(String),
}

/// A length of time in seconds, below ten to a tenth: `312 s`, `6.2 s`, `0.5 s`.
pub fn in_seconds(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    let text = if seconds < 10.0 { format!("{seconds:.1}") } else { format!("{seconds:.0}") };
    format!("{} s", text.strip_suffix(".0").unwrap_or(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_that_last_are_told_in_seconds() {
        for (millis, words) in [(10_000, "10 s"), (500, "0.5 s"), (6170, "6.2 s"), (9960, "10 s"), (312_400, "312 s")] {
            assert_eq!(in_seconds(Duration::from_millis(millis)), words);
        }
        assert_eq!(Fault::NoAnswer(Duration::from_secs(10)).to_string(), "no answer for 10 s");
        let late = Fault::Late { took: Duration::from_secs(12), timeout: Duration::from_secs(10) };
        assert_eq!(late.to_string(), "the answer took 12 s, and `timeout` allows 10 s");
    }
}
