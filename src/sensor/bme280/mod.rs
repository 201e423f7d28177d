//! Bosch BME280 on I2C: temperature, humidity and air pressure (data sheet BST-BME280-DS002, "DS" below).
//!
//! BMP280 is the same part without humidity (data sheet BST-BMP280-DS001): the same registers and formulas. What is here reads
//! both, and [`super::bmp280`] is its kind.
//!
//! It measures on demand (forced mode, each quantity once, no filter: DS 3.5.1, weather monitoring) and sleeps in
//! between, so that it does not warm itself. The control registers are written before each measurement: a part that was
//! without power for a moment and forgot them measures on.

mod compensation;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
pub mod sim;

#[cfg(test)]
mod tests;

use std::thread;
use std::time::Duration;

use serde::Deserialize;

use super::i2c::{self, BusName, Registers};
use super::recognition::{Identity, Proposal, Recognition};
use super::{Bus, Device, Measured, ReadingSender, Resource, Sensor, Source};
use crate::hal::Hal;
use crate::reading::{Fault, Quantity};

use compensation::Calibration;

/// The keys of `use = "bme280"`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Settings {
    #[serde(default)]
    bus: BusName,
    /// The part's address: 0x76, or 0x77 with the pin SDO at the supply voltage.
    #[cfg_attr(feature = "docs", schemars(range(min = 0x76, max = 0x77), extend("x-hex" = true)))]
    #[serde(default = "address_0x76")]
    address: u8,
}

fn address_0x76() -> u8 {
    0x76
}

impl Device for Settings {
    fn quantities(&self) -> Vec<Quantity> {
        // The formula's hundredths (DS 4.2.3); DS 1.2, table 2; and the 16 bits that one sample without a filter has (DS 3.4.2),
        // which are 2.6 Pa.
        vec![
            Quantity::new("temperature", "°C").resolving(0.01),
            Quantity::new("humidity", "%").resolving(0.008),
            Quantity::new("pressure", "hPa").resolving(0.026),
        ]
    }

    fn proof(&self) -> crate::sensor::Proof {
        crate::sensor::Proof::Recording
    }

    fn bus(&self) -> Bus {
        self.bus.bus()
    }

    fn recognition() -> Option<Recognition> {
        let quantities = &[("temperature", 2), ("humidity", 1), ("pressure", 1)];
        Some(Recognition::I2c(IDENTITY, Proposal { name: "air", quantities, more: &[] }))
    }

    fn resources(&self) -> Vec<Resource> {
        vec![self.bus.resource(self.address)]
    }

    fn faults(&self) -> Vec<(&'static str, String)> {
        let address = i2c::address_fault(self.address, &IDENTITY);
        self.bus.fault().into_iter().chain(address).collect()
    }

    fn open(&self, hal: &Hal, _outlet: ReadingSender) -> Result<Source, Fault> {
        let registers = Registers::open(hal, &self.bus, self.address)?;
        Ok(Source::Polled(Box::new(Bme280(Bmx280::open(registers, &ACCEPTED)?))))
    }

    fn simulate(&self, sim: &crate::hal::sim::Sim) {
        self.bus.simulate(sim, self.address, sim::Part::indoors(sim.hal().clock));
    }
}

/// Where it may be (DS 6.2), and what its chip id register says (DS 5.4.1).
const IDENTITY: Identity = Identity::byte(&[0x76, 0x77], register::CHIP_ID, &[(0x60, "BME280")]);

/// A BMP280 is often sold as a BME280: it is used, without humidity.
const ACCEPTED: Identity =
    Identity { ids: &[(0x60, "BME280"), (0x56, "BMP280"), (0x57, "BMP280"), (0x58, "BMP280")], ..IDENTITY };

/// The registers that are used (DS 5.3, table 18).
mod register {
    pub(super) const CALIBRATION: u8 = 0x88;
    pub(super) const CHIP_ID: u8 = 0xd0;
    pub(super) const RESET: u8 = 0xe0;
    pub(super) const HUMIDITY_CALIBRATION: u8 = 0xe1;
    pub(super) const CTRL_HUM: u8 = 0xf2;
    pub(super) const STATUS: u8 = 0xf3;
    pub(super) const CTRL_MEAS: u8 = 0xf4;
    pub(super) const DATA: u8 = 0xf7;
}

/// The word that resets the part (DS 5.4.2).
const RESET: u8 = 0xb6;
/// `osrs_h`: humidity once (DS 5.4.3).
const HUMIDITY_ONCE: u8 = 0b001;
/// `osrs_t`, `osrs_p` and `mode`: temperature once, pressure once, forced (DS 5.4.5).
const FORCED_ONCE: u8 = (0b001 << 5) | (0b001 << 2) | 0b01;
/// `status`: a conversion is running (DS 5.4.4).
const MEASURING: u8 = 0b1000;
/// `status`: the calibration is being copied from the part's memory.
const COPYING: u8 = 0b0001;
/// A measurement of each quantity once takes at most 9.3 ms (DS 9.1; 6.4 ms without humidity), the start at most 2 ms (DS 1.1, table 1).
const CONVERSION: Duration = Duration::from_millis(10);
const START_UP: Duration = Duration::from_millis(2);

/// What was measured at one time.
pub(super) struct Air {
    /// In °C.
    pub(super) temperature: f64,
    /// In hPa.
    pub(super) pressure: Result<f64, Fault>,
    /// In %. `None` from a part that has none.
    pub(super) humidity: Option<Result<f64, Fault>>,
}

/// An opened part of either kind.
pub(super) struct Bmx280 {
    registers: Registers,
    calibration: Calibration,
}

impl Bmx280 {
    pub(super) fn open(mut registers: Registers, accepted: &Identity) -> Result<Self, Fault> {
        let has_humidity = IDENTITY.name(registers.identify(accepted)?).is_some();
        registers.write(&[register::RESET, RESET])?;
        thread::sleep(START_UP);
        registers.wait_while(register::STATUS, COPYING)?;
        let first = registers.read(register::CALIBRATION)?;
        let second = if has_humidity { Some(registers.read(register::HUMIDITY_CALIBRATION)?) } else { None };
        let calibration = Calibration::new(&first, second)
            .ok_or_else(|| Fault::Garbled(format!("{}: the calibration is empty", registers.place())))?;
        Ok(Self { registers, calibration })
    }

    /// Begins a measurement. Returns how long it takes.
    pub(super) fn begin(&mut self) -> Result<Duration, Fault> {
        if self.calibration.has_humidity() {
            // In one transfer, and in this order: `ctrl_hum` only takes effect with the write to `ctrl_meas`.
            self.registers.write(&[register::CTRL_HUM, HUMIDITY_ONCE, register::CTRL_MEAS, FORCED_ONCE])?;
        } else {
            self.registers.write(&[register::CTRL_MEAS, FORCED_ONCE])?;
        }
        Ok(CONVERSION)
    }

    /// What was measured since [`Bmx280::begin`].
    pub(super) fn collect(&mut self) -> Result<Air, Fault> {
        self.registers.wait_while(register::STATUS, MEASURING)?;
        if self.calibration.has_humidity() {
            self.calibration.compensate(self.registers.answer(register::DATA)?)
        } else {
            let [p1, p2, p3, t1, t2, t3] = self.registers.answer(register::DATA)?;
            self.calibration.compensate([p1, p2, p3, t1, t2, t3, 0, 0])
        }
    }
}

struct Bme280(Bmx280);

impl Sensor for Bme280 {
    fn begin(&mut self) -> Result<Option<Duration>, Fault> {
        self.0.begin().map(Some)
    }

    fn measure(&mut self) -> Result<Measured, Fault> {
        let Air { temperature, pressure, humidity } = self.0.collect()?;
        let humidity = humidity.unwrap_or_else(|| {
            let place = self.0.registers.place();
            Err(Fault::Unsupported(format!("the part at {place} is a BMP280, which does not measure humidity")))
        });
        Ok(vec![Ok(temperature), humidity, pressure])
    }
}
