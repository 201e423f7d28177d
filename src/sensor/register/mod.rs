//! A number in a register of a part that has no kind of its own: the map says where it stands and what makes a value of it.

mod i2c;
mod spi;

#[cfg(test)]
mod tests;

use serde::Deserialize;

use crate::reading::Fault;
use crate::sensor::i2c::no_answer;

pub use i2c::Settings as I2cSettings;
pub use spi::Settings as SpiSettings;

/// Which byte of a number comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "docs", derive(serde::Serialize, schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Highest byte first.
    #[default]
    Big,
    /// Lowest byte first.
    Little,
}

/// What makes a value of bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Form {
    bytes: u8,
    order: Order,
    signed: bool,
    mask: u32,
    shift: u8,
    scale: f64,
    offset: f64,
}

impl Form {
    /// How many bits are left behind mask and shift.
    fn bits(self) -> u32 {
        let all = u32::MAX >> (32 - 8 * u32::from(self.bytes.clamp(1, 4)));
        32 - ((self.mask & all) >> self.shift.min(31)).leading_zeros()
    }

    /// What a type cannot say of the keys.
    fn faults(self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        if !(1..=4).contains(&self.bytes) {
            faults.push(("bytes", "a number has 1 to 4 bytes".to_owned()));
        } else if self.bits() == 0 {
            let key = if self.mask == u32::MAX { "shift" } else { "mask" };
            faults.push((key, "mask and shift leave no bit of the number".to_owned()));
        }
        for (key, number) in [("scale", self.scale), ("offset", self.offset)] {
            if !number.is_finite() {
                faults.push((key, format!("{number} is not a finite number")));
            }
        }
        if self.scale == 0.0 {
            faults.push(("scale", "times 0 every value is the same".to_owned()));
        }
        faults
    }

    /// The value of bytes as they were read.
    fn value(self, bytes: &[u8]) -> f64 {
        let join = |number: u32, byte: &u8| number << 8 | u32::from(*byte);
        let number = match self.order {
            Order::Big => bytes.iter().fold(0, join),
            Order::Little => bytes.iter().rev().fold(0, join),
        };
        let (number, bits) = ((number & self.mask) >> self.shift.min(31), self.bits());
        let is_negative = self.signed && bits > 0 && number >> (bits - 1) & 1 == 1;
        let number = f64::from(number) - if is_negative { 2.0_f64.powi(bits.cast_signed()) } else { 0.0 };
        number * self.scale + self.offset
    }

    /// What a simulated part says, which counts with the time.
    fn simulated(self, count: u32) -> Vec<u8> {
        // Neither all zeros nor all ones, whatever the width.
        let number = (1 + count % (1 << (self.bits().saturating_sub(2)).min(16))) << self.shift.min(31) & self.mask;
        let bytes = number.to_be_bytes()[usize::from(4 - self.bytes.clamp(1, 4))..].to_vec();
        match self.order {
            Order::Big => bytes,
            Order::Little => bytes.into_iter().rev().collect(),
        }
    }
}

/// The value, unless the bytes are what a bus says on which nobody drives the data line. Zeros are a number here.
fn checked(form: Form, place: &str, bytes: &[u8]) -> Result<f64, Fault> {
    match no_answer(place, bytes) {
        Some(fault) if bytes.iter().all(|byte| *byte == 0xff) => Err(fault),
        _ => Ok(form.value(bytes)),
    }
}

fn two() -> u8 {
    2
}

fn one() -> f64 {
    1.0
}

fn all() -> u32 {
    u32::MAX
}

/// Makes the settings of a kind: its own keys, and behind them those that say what makes a value of the bytes.
macro_rules! settings {
    ($(#[$about:meta])* $name:ident { $($own:tt)* }) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, serde::Deserialize)]
        #[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($own)*
            /// Bytes to write before each measurement, to start it.
            #[serde(default)]
            write: Vec<u8>,
            /// The duration of the measurement that `write` starts. Other parts on the bus are read meanwhile.
            #[serde(default, deserialize_with = "crate::time::duration")]
            #[cfg_attr(feature = "docs", schemars(schema_with = "crate::time::duration_schema", extend("default" = crate::time::shown(std::time::Duration::default()), "x-range" = "up to 1m")))]
            delay: std::time::Duration,
            /// The number's length in bytes.
            #[serde(default = "super::two")]
            #[cfg_attr(feature = "docs", schemars(range(min = 1, max = 4)))]
            bytes: u8,
            /// The order of the bytes.
            #[serde(default)]
            order: super::Order,
            /// The number is in two's complement. Its sign is the highest bit that `mask` and `shift` leave.
            #[serde(default)]
            signed: bool,
            /// The bits of the number that count.
            #[serde(default = "super::all")]
            #[cfg_attr(feature = "docs", schemars(range(min = 1), extend("x-hex" = true)))]
            mask: u32,
            /// Bits to shift right, after the mask.
            #[serde(default)]
            #[cfg_attr(feature = "docs", schemars(range(min = 0, max = 15)))]
            shift: u8,
            /// The value is number × scale + offset.
            #[serde(default = "super::one")]
            scale: f64,
            /// Added to number × scale.
            #[serde(default)]
            offset: f64,
        }

        impl $name {
            const fn form(&self) -> super::Form {
                let Self { bytes, order, signed, mask, shift, scale, offset, .. } = *self;
                super::Form { bytes, order, signed, mask, shift, scale, offset }
            }

            /// What is wrong with the keys that both kinds have.
            fn common_faults(&self) -> Vec<(&'static str, String)> {
                let mut faults = self.form().faults();
                if self.shift > 15 {
                    faults.push(("shift", "is 15 at most: leave out more with `mask`, and `scale` the number".to_owned()));
                }
                if self.delay > std::time::Duration::from_secs(60) {
                    faults.push(("delay", "is longer than a minute".to_owned()));
                }
                if self.write.is_empty() && !self.delay.is_zero() {
                    faults.push(("delay", "there is nothing to wait for: `write` starts no measurement".to_owned()));
                }
                faults
            }

            fn wait(&self) -> Option<std::time::Duration> {
                (!self.delay.is_zero()).then_some(self.delay)
            }
        }
    };
}
use settings;
