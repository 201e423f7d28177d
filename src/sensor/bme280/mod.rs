//! Bosch BME280 on I2C: temperature, humidity and air pressure (data sheet BST-BME280-DS002, "DS" below).
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

use super::{Bus, Device, Measured, ReadingSender, Resource, Sensor, Source};
use crate::hal::{Hal, I2cBus, I2cError};
use crate::reading::{Fault, Quantity};

use compensation::Calibration;

/// The keys of `use = "bme280"`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The kernel's name of the bus. On the header's pins 3 and 5 it is `"i2c-1"`, once I2C is on (`dtparam=i2c_arm=on`).
    #[serde(default = "i2c_1")]
    bus: String,
    /// The part's address: 0x76, or 0x77 with its pin SDO at the supply.
    #[cfg_attr(feature = "docs", schemars(range(min = 0x76, max = 0x77), extend("x-hex" = true)))]
    #[serde(default = "address_0x76")]
    address: u8,
}

fn i2c_1() -> String {
    "i2c-1".to_owned()
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

    fn bus(&self) -> Bus {
        Bus::I2c(self.bus.clone())
    }

    fn resources(&self) -> Vec<Resource> {
        vec![Resource::I2c { bus: self.bus.clone(), address: self.address }]
    }

    fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        let number = |bus: &str| bus.parse::<u8>().is_ok();
        if !self.bus.strip_prefix("i2c-").is_some_and(number) {
            let digits = self.bus.rsplit(|letter: char| !letter.is_ascii_digit()).next().unwrap_or_default();
            let meant = if number(digits) { digits } else { "1" };
            faults.push(("bus", format!("a bus is called as the kernel does\nwrite \"i2c-{meant}\"")));
        }
        match self.address {
            0x76 | 0x77 => {}
            // Read as decimal, these are the digits of the right ones.
            other @ (76 | 77) => {
                faults.push((
                    "address",
                    format!("{other} is 0x{other:02x} written in hexadecimal\ndid you mean 0x{other}?"),
                ));
            }
            other => faults.push(("address", format!("a BME280 answers at 0x76 or 0x77, never at 0x{other:02x}"))),
        }
        faults
    }

    fn open(&self, hal: &Hal, _outlet: ReadingSender) -> Result<Source, Fault> {
        let bus = hal.i2c.open(&self.bus)?;
        Ok(Source::Polled(Box::new(Bme280::open(bus, &self.bus, self.address)?)))
    }

    fn simulate(&self, sim: &crate::hal::sim::Sim) {
        sim.i2c(&self.bus, self.address, Box::new(sim::Part::indoors(sim.hal().clock)));
    }
}

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

/// What the chip id register says (DS 5.4.1).
const CHIP_ID: u8 = 0x60;
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
/// A measurement of each quantity once takes at most 9.3 ms (DS 9.1), the start at most 2 ms (DS 1.1, table 1).
const CONVERSION: Duration = Duration::from_millis(10);
const START_UP: Duration = Duration::from_millis(2);
/// How often the status is asked, a millisecond apart, before the part is given up.
const PATIENCE: u32 = 20;

/// An opened part.
struct Bme280 {
    wire: Wire,
    calibration: Calibration,
}

impl Bme280 {
    fn open(bus: Box<dyn I2cBus>, name: &str, address: u8) -> Result<Self, Fault> {
        let mut wire = Wire { bus, address, place: format!("0x{address:02x} on {name}") };
        let [id] = wire.read(register::CHIP_ID)?;
        identify(id, &wire.place)?;
        wire.write(&[register::RESET, RESET])?;
        thread::sleep(START_UP);
        wire.wait_while(COPYING)?;
        let calibration =
            Calibration::new(&wire.read(register::CALIBRATION)?, wire.read(register::HUMIDITY_CALIBRATION)?);
        let calibration =
            calibration.ok_or_else(|| Fault::Garbled(format!("{}: the calibration is empty", wire.place)))?;
        Ok(Self { wire, calibration })
    }
}

impl Sensor for Bme280 {
    fn measure(&mut self) -> Result<Measured, Fault> {
        // In one transfer, and in this order: `ctrl_hum` only takes effect with the write to `ctrl_meas`.
        self.wire.write(&[register::CTRL_HUM, HUMIDITY_ONCE, register::CTRL_MEAS, FORCED_ONCE])?;
        thread::sleep(CONVERSION);
        self.wire.wait_while(MEASURING)?;
        let data = self.wire.read(register::DATA)?;
        match u64::from_be_bytes(data) {
            u64::MAX => Err(only_ones(&self.wire.place)),
            0 => Err(only_zeros(&self.wire.place)),
            _ => self.calibration.compensate(data),
        }
    }
}

fn identify(id: u8, place: &str) -> Result<(), Fault> {
    match id {
        CHIP_ID => Ok(()),
        0x56..=0x58 => {
            Err(Fault::Unsupported(format!("the part at {place} is a BMP280 (id 0x{id:02x}), which has no humidity")))
        }
        0xff => Err(only_ones(place)),
        0x00 => Err(only_zeros(place)),
        _ => Err(Fault::Unsupported(format!("the part at {place} is no BME280: its id is 0x{id:02x}, not 0x60"))),
    }
}

fn only_ones(place: &str) -> Fault {
    Fault::Absent(format!("{place} reads only ones: nothing pulls the data line down"))
}

fn only_zeros(place: &str) -> Fault {
    Fault::Absent(format!("{place} reads only zeros: something holds the data line down"))
}

/// The part's registers.
struct Wire {
    bus: Box<dyn I2cBus>,
    address: u8,
    /// Address and bus for people.
    place: String,
}

impl Wire {
    fn read<const N: usize>(&mut self, register: u8) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        let done = self.bus.write_read(self.address, &[register], &mut bytes);
        done.map_err(|error| self.fault(error)).map(|()| bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let done = self.bus.write(self.address, bytes);
        done.map_err(|error| self.fault(error))
    }

    /// Waits until the bit of the status register is clear. A bus that reads only ones ends here too.
    fn wait_while(&mut self, bit: u8) -> Result<(), Fault> {
        for _ in 0..PATIENCE {
            let [status] = self.read(register::STATUS)?;
            if status & bit == 0 {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(1));
        }
        Err(Fault::Garbled(format!("{} does not become ready", self.place)))
    }

    fn fault(&self, error: I2cError) -> Fault {
        match error {
            I2cError::NoDevice => Fault::Absent(format!("nothing at {}", self.place)),
            I2cError::Other(text) => Fault::Bus(format!("{}: {text}", self.place)),
        }
    }
}
