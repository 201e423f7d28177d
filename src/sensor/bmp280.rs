//! Bosch BMP280 on I2C: temperature and air pressure (data sheet BST-BMP280-DS001, "DS" below). It is a BME280 without humidity, and
//! read by the same code.

use std::time::Duration;

use serde::Deserialize;

use super::bme280::{Air, Bmx280, sim};
use super::i2c::{self, BusName, Registers};
use super::recognition::{Identity, Proposal, Recognition};
use super::{Bus, Device, Measured, ReadingSender, Resource, Sensor, Source};
use crate::hal::Hal;
use crate::hal::sim::Sim;
use crate::reading::{Fault, Quantity};

/// The keys of `use = "bmp280"`.
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

/// Where it may be (DS 5.2), and what its chip id register says: 0x58, of samples 0x56 or 0x57 (DS 4.3.1).
const IDENTITY: Identity = Identity::byte(&[0x76, 0x77], 0xd0, &[(0x58, "BMP280"), (0x57, "BMP280"), (0x56, "BMP280")]);

impl Device for Settings {
    fn quantities(&self) -> Vec<Quantity> {
        // The formula's hundredths (DS 3.11.3), and the 16 bits of one sample without a filter (DS 3.3.1), which are 2.6 Pa.
        vec![Quantity::new("temperature", "°C").resolving(0.01), Quantity::new("pressure", "hPa").resolving(0.026)]
    }

    fn proof(&self) -> crate::sensor::Proof {
        crate::sensor::Proof::Examples
    }

    fn bus(&self) -> Bus {
        self.bus.bus()
    }

    fn recognition() -> Option<Recognition> {
        let quantities = &[("temperature", 2), ("pressure", 1)];
        Some(Recognition::I2c(IDENTITY, Proposal { name: "air", quantities, more: &[] }))
    }

    fn resources(&self) -> Vec<Resource> {
        vec![self.bus.resource(self.address)]
    }

    fn faults(&self) -> Vec<(&'static str, String)> {
        self.bus.fault().into_iter().chain(i2c::address_fault(self.address, &IDENTITY)).collect()
    }

    fn open(&self, hal: &Hal, _sender: ReadingSender) -> Result<Source, Fault> {
        let registers = Registers::open(hal, &self.bus, self.address)?;
        Ok(Source::Polled(Box::new(Bmp280(Bmx280::open(registers, &IDENTITY)?))))
    }

    fn simulate(&self, sim: &Sim) {
        self.bus.simulate(sim, self.address, sim::Part::bmp280_indoors(sim.hal().clock));
    }
}

struct Bmp280(Bmx280);

impl Sensor for Bmp280 {
    fn begin(&mut self) -> Result<Option<Duration>, Fault> {
        self.0.begin().map(Some)
    }

    fn measure(&mut self) -> Result<Measured, Fault> {
        let Air { temperature, pressure, .. } = self.0.collect()?;
        Ok(vec![Ok(temperature), pressure])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of DS 3.12: its calibration words T1 to T3 and P1 to P9, and raw temperature and pressure.
    const WORDS: [i32; 12] = [27504, 26435, -1000, 36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000];
    const RAW: [u32; 2] = [519_888, 415_148];

    fn example() -> sim::Part {
        let mut calibration = [0; 26];
        for (word, bytes) in WORDS.iter().zip(calibration.as_chunks_mut::<2>().0) {
            bytes.copy_from_slice(&word.to_le_bytes()[..2]);
        }
        let [[_, t1, t2, t3], [_, p1, p2, p3]] = RAW.map(|raw| (raw << 4).to_be_bytes());
        sim::Part::without_humidity(calibration, move || [p1, p2, p3, t1, t2, t3])
    }

    fn open(part: sim::Part) -> Result<Box<dyn Sensor>, Fault> {
        let sim = Sim::default();
        sim.i2c("i2c-1", 0x76, Box::new(part));
        open_on(&sim)
    }

    fn open_on(sim: &Sim) -> Result<Box<dyn Sensor>, Fault> {
        let settings: Settings = serde_json::from_value(serde_json::json!({})).expect("no key is needed");
        match settings.open(&sim.hal(), ReadingSender::new(|_, _, _| {}))? {
            Source::Polled(sensor) => Ok(sensor),
            Source::Stream(..) => panic!("a BMP280 is polled"),
        }
    }

    #[test]
    fn data_sheets_example_gives_its_values() {
        let measured = open(example()).expect("there").measure_at_once().expect("measured");
        // 25767236 / 256 Pa, to a tenth.
        assert_eq!(measured, [Ok(25.08), Ok(1006.533)]);
    }

    #[test]
    fn bme280_says_which_kind_to_write() {
        let bme280 = sim::Part::indoors(Sim::default().hal().clock);
        let told = "not possible here: the part at 0x76 on i2c-1 is a BME280 (id 0x60): write use = \"bme280\"";
        assert_eq!(open(bme280).err().map(|fault| fault.to_string()).as_deref(), Some(told));
    }

    #[test]
    fn simulated_part_is_in_a_living_room() {
        let sim = Sim::default();
        serde_json::from_value::<Settings>(serde_json::json!({})).expect("no key is needed").simulate(&sim);
        let measured = open_on(&sim).expect("there").measure_at_once().expect("measured");
        let [Ok(temperature), Ok(pressure)] = measured[..] else { panic!("{measured:?}") };
        assert!((20.0..28.0).contains(&temperature) && (1000.0..1020.0).contains(&pressure), "{measured:?}");
    }
}
