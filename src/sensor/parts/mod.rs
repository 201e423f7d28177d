//! Simple parts on I2C and SPI: one file and one [`Row`] each, read by one engine.
//!
//! A new part is a file with its row, a line of [`ROWS`], and an example in config/gatepost.toml. Its keys, its recognition, its simulated
//! part and its page of the reference come from the row, and the tests beside this file take it in by themselves.

mod engine;
mod keys;
mod row;
pub mod sim;

mod adc;
mod aht20;
mod bh1750;
mod bme680;
mod bmp388;
mod hdc1080;
mod power;
mod probes;
mod scd30;
mod sht;
mod thermometers;
mod veml7700;

#[cfg(test)]
mod tests;

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer};

use self::engine::{Part, Port};
use self::row::{Allowed, Options, Wire};
use super::i2c::{BusName, Registers, address_words};
use super::recognition::Recognition;
use super::spi::SpiBus;
use super::{Bus, Device, Proof, ReadingSender, Resource, Source};
use crate::hal::sim::Sim;
use crate::hal::{Hal, SpiConfig};
use crate::reading::{Fault, Quantity};

pub use self::row::Row;

/// Every part, by tag.
pub const ROWS: &[&Row] = &[
    &adc::ADS1015,
    &adc::ADS1115,
    &thermometers::ADT7410,
    &aht20::ROW,
    &bh1750::ROW,
    &bme680::ROW,
    &bmp388::ROW,
    &hdc1080::ROW,
    &sht::HTU21,
    &power::INA219,
    &power::INA226,
    &power::INA260,
    &thermometers::LM75,
    &probes::MAX31855,
    &probes::MAX31865,
    &probes::MAX6675,
    &adc::MCP3008,
    &adc::MCP3208,
    &thermometers::MCP9808,
    &thermometers::PCT2075,
    &scd30::ROW,
    &sht::SCD4X,
    &sht::SHT3X,
    &sht::SHT4X,
    &sht::SHTC3,
    &thermometers::TMP102,
    &thermometers::TMP117,
    &veml7700::ROW,
];

/// The part with a tag.
pub fn row(tag: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.tag == tag).copied()
}

/// A part with its keys.
#[derive(Clone)]
pub struct Settings {
    /// Which part.
    pub row: &'static Row,
    place: Place,
    options: Options,
    /// Words that are none of an option's.
    wrong: Vec<(&'static str, String)>,
}

/// Where a part is.
#[derive(Clone, Debug, PartialEq)]
enum Place {
    I2c(BusName, u8),
    Spi { bus: SpiBus, chip_select: u8 },
}

impl PartialEq for Settings {
    fn eq(&self, other: &Self) -> bool {
        self.row.tag == other.row.tag && self.place == other.place && self.options == other.options
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(self.row.tag).field("place", &self.place).field("options", &self.options).finish_non_exhaustive()
    }
}

impl Settings {
    /// Reads the keys of a part.
    ///
    /// # Errors
    /// What is wrong with the first wrong key.
    pub fn deserialize<'de, D: Deserializer<'de>>(row: &'static Row, keys: D) -> Result<Self, D::Error> {
        keys::Keys(row).deserialize(keys)
    }
}

impl Settings {
    /// What each quantity can be.
    pub fn ranges(&self) -> impl Iterator<Item = (f64, f64)> {
        self.row.quantities.iter().map(|quantity| quantity.range(&self.options))
    }
}

impl Device for Settings {
    fn quantities(&self) -> Vec<Quantity> {
        self.row.quantities.iter().map(|quantity| quantity.quantity(&self.options)).collect()
    }

    fn proof(&self) -> Proof {
        self.row.proof
    }

    fn bus(&self) -> Bus {
        match &self.place {
            Place::I2c(bus, _) => bus.bus(),
            Place::Spi { bus, .. } => bus.bus(),
        }
    }

    fn resources(&self) -> Vec<Resource> {
        vec![match &self.place {
            Place::I2c(bus, address) => bus.resource(*address),
            Place::Spi { bus, chip_select } => bus.resource(*chip_select),
        }]
    }

    fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = self.wrong.clone();
        match (&self.place, self.row.wire) {
            (Place::I2c(bus, address), Wire::I2c(addresses)) => {
                faults.extend(bus.fault());
                faults.extend(address_words(*address, addresses, self.row.name).map(|words| ("address", words)));
            }
            (Place::Spi { bus, .. }, _) => faults.extend(bus.fault()),
            (Place::I2c(..), Wire::Spi(..)) => {}
        }
        for (choice, value) in self.row.options.iter().zip(self.options) {
            let words = match choice.allowed {
                Allowed::Range(least, most) if !(least..=most).contains(&value) => {
                    format!("`{}` is from {least} to {most}", choice.key)
                }
                Allowed::Numbers(all) if !all.contains(&value) => {
                    let all: Vec<_> = all.iter().map(f64::to_string).collect();
                    format!("`{}` is one of {}", choice.key, all.join(", "))
                }
                _ => continue,
            };
            faults.push((choice.key, words));
        }
        faults
    }

    fn open(&self, hal: &Hal, _sender: ReadingSender) -> Result<Source, Fault> {
        let port = match (&self.place, self.row.wire) {
            (Place::Spi { bus, chip_select }, Wire::Spi(mode, hertz)) => {
                let opened = bus.open(hal, *chip_select, SpiConfig { mode, hertz })?;
                Port::Spi(opened, bus.place(*chip_select))
            }
            (Place::I2c(bus, address), _) => Port::I2c(Registers::open(hal, bus, *address)?),
            (Place::Spi { .. }, Wire::I2c(_)) => unreachable!("the place is made after the row's wire"),
        };
        Ok(Source::Polled(Box::new(Part::open(self.row, self.options, port)?)))
    }

    fn simulate(&self, sim: &Sim) {
        let part = sim::Part::typical(self.row, self.options, sim.hal().clock);
        match &self.place {
            Place::I2c(bus, address) => bus.simulate(sim, *address, part),
            Place::Spi { bus, chip_select } => {
                sim.spi(bus.number(), *chip_select, Box::new(part));
            }
        }
    }
}

/// How the parts are found, by their tags.
pub fn recognitions() -> impl Iterator<Item = (&'static str, Recognition)> {
    ROWS.iter().filter_map(|row| {
        let recognition = match (&row.identity, row.wire) {
            (Some((identity, proposal)), _) => Recognition::I2c(*identity, *proposal),
            (None, Wire::I2c(addresses)) => Recognition::Address(addresses, row.name),
            (None, Wire::Spi(..)) => return None,
        };
        Some((row.tag, recognition))
    })
}

/// Every part with what it is and the schema of its keys.
#[cfg(feature = "docs")]
pub fn schemas() -> impl Iterator<Item = (&'static str, String, schemars::Schema)> {
    ROWS.iter().map(|row| (row.tag, format!("{} {}", row.about, row.proof.sentence()), keys::schema(row)))
}
