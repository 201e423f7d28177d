//! Bosch BMP180 on I2C: temperature and air pressure (data sheet BST-BMP180-DS000, "DS" below). The older BMP085 has the same
//! registers, id and formulas.
//!
//! Temperature and pressure are measured one after the other, since the pressure is computed with the temperature. The pressure
//! is measured as finely as the part can (`oss` 3, "ultra high resolution": DS 3.3.1), which takes 25.5 ms.

mod sim;

#[cfg(test)]
mod tests;

use std::thread;
use std::time::Duration;

use serde::Deserialize;

use super::i2c::{BusName, Registers};
use super::recognition::{Identity, Proposal, Recognition};
use super::{Bus, Device, Measured, ReadingSender, Resource, Sensor, Source};
use crate::hal::Hal;
use crate::reading::{Fault, Quantity};

/// The keys of `use = "bmp180"`. Its address cannot be chosen (DS 5.2).
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Settings {
    #[serde(default)]
    bus: BusName,
}

const ADDRESS: u8 = 0x77;

/// Where it is, and what its chip id register says (DS 4).
const IDENTITY: Identity = Identity::byte(&[ADDRESS], register::CHIP_ID, &[(0x55, "BMP180")]);

impl Device for Settings {
    fn quantities(&self) -> Vec<Quantity> {
        // DS, key features and table 1: the resolution of the output.
        vec![Quantity::new("temperature", "°C").resolving(0.1), Quantity::new("pressure", "hPa").resolving(0.01)]
    }

    fn proof(&self) -> crate::sensor::Proof {
        crate::sensor::Proof::Examples
    }

    fn bus(&self) -> Bus {
        self.bus.bus()
    }

    fn recognition() -> Option<Recognition> {
        let quantities = &[("temperature", 1), ("pressure", 1)];
        Some(Recognition::I2c(IDENTITY, Proposal { name: "air", quantities, more: &[] }))
    }

    fn resources(&self) -> Vec<Resource> {
        vec![self.bus.resource(ADDRESS)]
    }

    fn faults(&self) -> Vec<(&'static str, String)> {
        self.bus.fault().into_iter().collect()
    }

    fn open(&self, hal: &Hal, _sender: ReadingSender) -> Result<Source, Fault> {
        Ok(Source::Polled(Box::new(Bmp180::open(Registers::open(hal, &self.bus, ADDRESS)?)?)))
    }

    fn simulate(&self, sim: &crate::hal::sim::Sim) {
        self.bus.simulate(sim, ADDRESS, sim::Part::indoors(sim.hal().clock));
    }
}

/// The registers that are used (DS 4).
mod register {
    pub(super) const CALIBRATION: u8 = 0xaa;
    pub(super) const CHIP_ID: u8 = 0xd0;
    pub(super) const CONTROL: u8 = 0xf4;
    pub(super) const DATA: u8 = 0xf6;
}

/// Written to the control register to measure the temperature, and the pressure with `oss` in the upper two bits (DS 4).
const TEMPERATURE: u8 = 0x2e;
const PRESSURE: u8 = 0x34 | OSS << 6;
/// The oversampling setting of the pressure.
const OSS: u8 = 3;
/// In the control register: a conversion is running (DS 4, `Sco`).
const RUNNING: u8 = 1 << 5;
/// How long the conversions take at most: 4.5 ms and 25.5 ms (DS 3.3.1).
const TEMPERATURE_TIME: Duration = Duration::from_millis(5);
const PRESSURE_TIME: Duration = Duration::from_millis(26);

/// An opened part.
struct Bmp180 {
    registers: Registers,
    calibration: Calibration,
}

impl Bmp180 {
    fn open(mut registers: Registers) -> Result<Self, Fault> {
        registers.identify(&IDENTITY)?;
        let calibration = Calibration::new(&registers.read(register::CALIBRATION)?)
            .ok_or_else(|| Fault::Garbled(format!("{}: the calibration is empty", registers.place())))?;
        Ok(Self { registers, calibration })
    }

    fn convert<const N: usize>(&mut self, what: u8, time: Duration) -> Result<[u8; N], Fault> {
        self.registers.write(&[register::CONTROL, what])?;
        thread::sleep(time);
        self.registers.wait_while(register::CONTROL, RUNNING)?;
        self.registers.answer(register::DATA)
    }
}

impl Sensor for Bmp180 {
    fn measure(&mut self) -> Result<Measured, Fault> {
        let temperature = u16::from_be_bytes(self.convert(TEMPERATURE, TEMPERATURE_TIME)?);
        let [high, middle, low] = self.convert(PRESSURE, PRESSURE_TIME)?;
        let pressure = u32::from_be_bytes([0, high, middle, low]) >> (8 - OSS);
        self.calibration.compensate(temperature.into(), pressure.into(), OSS)
    }
}

/// The part's calibration words, as DS 3.4 names them. `MB` is in no formula.
#[derive(Debug)]
struct Calibration {
    ac: [i64; 6],
    b1: i64,
    b2: i64,
    mc: i64,
    md: i64,
}

impl Calibration {
    /// From the registers 0xaa to 0xbf. `None` where a word is all zeros or all ones, which none is (DS 3.4).
    fn new(bytes: &[u8; 22]) -> Option<Self> {
        let words = bytes.as_chunks::<2>().0;
        if words.iter().any(|word| matches!(word, [0, 0] | [0xff, 0xff])) {
            return None;
        }
        let signed = |at: usize| i64::from(i16::from_be_bytes(words[at]));
        let unsigned = |at: usize| i64::from(u16::from_be_bytes(words[at]));
        Some(Self {
            ac: [signed(0), signed(1), signed(2), unsigned(3), unsigned(4), unsigned(5)],
            b1: signed(6),
            b2: signed(7),
            mc: signed(9),
            md: signed(10),
        })
    }

    /// Temperature and pressure by the formulas of DS 3.5, in wider integers than Bosch's, so that a damaged part gives a fault and
    /// not an overflow.
    ///
    /// # Errors
    /// When there is no temperature, without which the pressure cannot be computed.
    fn compensate(&self, raw_temperature: i64, raw_pressure: i64, oss: u8) -> Result<Measured, Fault> {
        let b5 = self.b5(raw_temperature)?;
        let tenths = (b5 + 8) >> 4;
        // DS 1, table 1: the part works from -40 to 85 °C.
        if !(-400..=850).contains(&tenths) {
            return Err(Fault::OutOfRange(format!("{} °C is not within the part's -40 to 85", tenths / 10)));
        }
        Ok(vec![Ok(decimal(tenths, 10)), self.pressure(raw_pressure, b5, oss)])
    }

    /// The temperature in 1/160 °C.
    fn b5(&self, raw: i64) -> Result<i64, Fault> {
        let [.., ac5, ac6] = self.ac;
        let x1 = ((raw - ac6) * ac5) >> 15;
        let x2 = (self.mc << 11).checked_div_euclid(x1 + self.md);
        let x2 = x2.ok_or_else(|| Fault::Garbled("the calibration does not fit the temperature".to_owned()))?;
        Ok(x1 + x2)
    }

    /// Pressure in hPa, to 0.01.
    fn pressure(&self, raw: i64, b5: i64, oss: u8) -> Result<f64, Fault> {
        let [ac1, ac2, ac3, ac4, ..] = self.ac;
        let b6 = b5 - 4000;
        let square = (b6 * b6) >> 12;
        let x3 = ((self.b2 * square) >> 11) + ((ac2 * b6) >> 11);
        let b3 = (((ac1 * 4 + x3) << oss) + 2) >> 2;
        let x3 = (((ac3 * b6) >> 13) + ((self.b1 * square) >> 16) + 2) >> 2;
        let b4 = (ac4 * (x3 + 32_768)) >> 15;
        let b7 = (raw - b3) * (50_000 >> oss);
        let garbled = || Fault::Garbled("the calibration does not fit the pressure".to_owned());
        let first = (b7 * 2).checked_div(b4).ok_or_else(garbled)?;
        let outside =
            |pascal: i64| Err(Fault::OutOfRange(format!("{} hPa is not within the part's 300 to 1100", pascal / 100)));
        // So far from the range that what follows, which is a correction of some per cent, does not matter.
        if !(0..=200_000).contains(&first) {
            return outside(first);
        }
        let x1 = ((first >> 8) * (first >> 8) * 3038) >> 16;
        let x2 = (-7357 * first) >> 16;
        match first + ((x1 + x2 + 3791) >> 4) {
            // DS 1, table 1: the part measures from 300 to 1100 hPa.
            pascal @ 30_000..=110_000 => Ok(decimal(pascal, 100)),
            pascal => outside(pascal),
        }
    }
}

/// The decimal number `units / per_one`.
fn decimal(units: i64, per_one: u32) -> f64 {
    let units = i32::try_from(units).expect("at most six digits by the range checks");
    f64::from(units) / f64::from(per_one)
}
