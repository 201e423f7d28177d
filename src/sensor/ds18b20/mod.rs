//! A DS18B20 or one of its relatives on the kernel's 1-Wire bus, read through the kernel's text files (kernel: `Documentation/w1/slaves/w1_therm.rst`).
//!
//! The kernel's driver has the families 10, 22, 28, 3b and 42. `temperature` holds thousandths of a degree; kernels before 5.8 only
//! have `w1_slave` with the part's memory and its checksum. The kernel starts a conversion at each read, which takes up to 750 ms. A
//! DS18S20 shows half degrees, which the kernel refines to sixteenths by the part's own counter.
//!
//! The family 3b is also that of the thermocouple converters MAX31850 and MAX31851, whose memory has another form. Kernels differ in
//! what they make of it, and none says that a thermocouple is broken. So of this family the memory is read (`memory`).
//!
//! Where the kernel can, all parts of a bus convert at once ([`OneWire`](crate::hal::OneWire)), so that many are read in the time of one.
//!
//! A part that lost its power in the middle of a conversion shows exactly 85 °C. That value is never passed on, so a
//! probe that is really that hot has no reading at this one temperature out of 2880.
//!
//! A data line that is shorted to ground reads zeros, whose checksum is zero and so right: `temperature` says 0 then, as it
//! does in melting ice. The part's memory tells the two apart, since a live part's settings and checksum are not zero. So a
//! read of exactly 0 is followed by one of `w1_slave`, which costs a second conversion, and that reading is taken. The kernel's
//! driver has both files or neither: a part without `w1_slave` is gone by then, and 0 is not taken for a temperature.

mod memory;

#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::recognition::{Proposal, Recognition};
use super::{Bus, Device, Measured, ReadingSender, Resource, Sensor, Source, number};
use crate::hal::Hal;
use crate::hal::sim::{Sim, swing};
use crate::reading::{Fault, Quantity};
use crate::time::Mono;

use memory::Memory;

/// The keys of `use = "ds18b20"`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The part's folder in `/sys/bus/w1/devices`: its family, such as `28-`, and 12 hexadecimal digits in lower case.
    #[cfg_attr(feature = "docs", schemars(regex(pattern = "^(10|22|28|3b|42)-[0-9a-f]{12}$"), extend("examples" = ["28-0417b1fb82ff"])))]
    id: String,
}

/// The families that the kernel's driver reads, with the parts' names. A DS18B20 is also sold as MAX31820.
const FAMILIES: &[(&str, &str)] = &[
    ("10", "DS18S20"),
    ("22", "DS1822"),
    ("28", "DS18B20"),
    (MEMORY_FAMILY, "DS1825, MAX31826 or MAX31850"),
    ("42", "DS28EA00"),
];

/// The family of which the memory is read.
const MEMORY_FAMILY: &str = "3b";

impl Settings {
    fn folder(&self) -> PathBuf {
        Path::new("/sys/bus/w1/devices").join(&self.id)
    }
}

impl Device for Settings {
    fn quantities(&self) -> Vec<Quantity> {
        // With twelve bits, as it comes (DS18B20's data sheet, table 2); with fewer it shows less, and a thermocouple a quarter.
        vec![Quantity::new("temperature", "°C").resolving(0.0625)]
    }

    fn proof(&self) -> crate::sensor::Proof {
        crate::sensor::Proof::Recording
    }

    fn bus(&self) -> Bus {
        Bus::OneWire
    }

    fn recognition() -> Option<Recognition> {
        let proposal = Proposal { name: "probe", quantities: &[("temperature", 2)], more: &[] };
        Some(Recognition::OneWire(FAMILIES, proposal))
    }

    fn resources(&self) -> Vec<Resource> {
        vec![Resource::OneWire(self.id.clone())]
    }

    fn faults(&self) -> Vec<(&'static str, String)> {
        let lower = Self { id: self.id.to_ascii_lowercase() };
        if lower != *self && lower.faults().is_empty() {
            return vec![("id", format!("the kernel writes ids in small letters\nwrite \"{}\"", lower.id))];
        }
        let lower_hex = |c: u8| matches!(c, b'0'..=b'9' | b'a'..=b'f');
        let (family, number) = self.id.split_once('-').unwrap_or_default();
        let is_family = FAMILIES.iter().any(|(known, _)| *known == family);
        if is_family && number.len() == 12 && number.bytes().all(lower_hex) {
            return Vec::new();
        }
        let families: Vec<_> = FAMILIES.iter().map(|(family, _)| format!("{family}-")).collect();
        let form = format!(
            "an id is a folder of /sys/bus/w1/devices: {}, then 12 figures or small letters to f, as in 28-0417b1fb82ff",
            families.join(" or ")
        );
        vec![("id", form)]
    }

    fn open(&self, hal: &Hal, _outlet: ReadingSender) -> Result<Source, Fault> {
        let only_memory = self.id.starts_with(MEMORY_FAMILY);
        Ok(Source::Polled(Box::new(Ds18b20 { hal: hal.clone(), folder: self.folder(), only_memory })))
    }

    fn simulate(&self, sim: &Sim) {
        sim.file(&self.folder().join("temperature"), |at| Ok(format!("{}\n", simulated(at).0)));
        sim.file(&self.folder().join("w1_slave"), |at| {
            let (thousandths, sixteenths) = simulated(at);
            Ok(memory::written(sixteenths, thousandths))
        });
    }
}

/// An opened part: nothing is held open between two reads.
struct Ds18b20 {
    hal: Hal,
    folder: PathBuf,
    /// `temperature` is not asked for.
    only_memory: bool,
}

impl Sensor for Ds18b20 {
    fn measure(&mut self) -> Result<Measured, Fault> {
        let missing = "is not on the 1-Wire bus";
        if self.only_memory {
            return Ok(vec![self.memory(missing)?]);
        }
        self.hal.one_wire.prepare(self.hal.files.as_ref(), self.hal.clock.as_ref(), &self.folder);
        let degrees = match self.hal.files.read(&self.folder.join("temperature")) {
            Ok(text) if text.trim().is_empty() => Err(Fault::Absent("the part does not answer".to_owned())),
            Ok(text) => match number::parse(&text) {
                Ok(0.0) => self.memory("says 0 °C, and has no w1_slave that tells it from a shorted bus"),
                parsed => parsed.map(degrees),
            },
            // An older kernel, or no part at all.
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.memory(missing),
            Err(error) => Err(unreadable(&error)),
        };
        Ok(vec![degrees?])
    }
}

impl Ds18b20 {
    /// Degrees by the file that shows the part's memory, or why there are none in it; `missing` is what its absence means.
    fn memory(&self, missing: &str) -> Result<Result<f64, Fault>, Fault> {
        let text = match self.hal.files.read(&self.folder.join("w1_slave")) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Fault::Absent(format!("{} {missing}", self.folder.display())));
            }
            Err(error) => return Err(unreadable(&error)),
        };
        let memory = Memory::parse(&text)?;
        let is_thermocouple = self.only_memory && memory.is_thermocouple();
        Ok(if is_thermocouple { memory.thermocouple() } else { degrees(memory.thousandths) })
    }
}

/// The kernel has tried several times by now; it gives the same error for no answer and for a wrong checksum.
fn unreadable(error: &io::Error) -> Fault {
    Fault::Bus(format!("no answer or a wrong checksum, says the kernel: {error}"))
}

/// The value after power-on, in thousandths of a degree (DS18B20 data sheet, table 1).
const POWER_ON: f64 = 85_000.0;
/// What several drivers and bridges write for a part that is gone.
const GONE: f64 = -127_000.0;

fn degrees(thousandths: f64) -> Result<f64, Fault> {
    let degrees = thousandths / 1000.0;
    if thousandths.to_bits() == POWER_ON.to_bits() {
        Err(Fault::Garbled("85 °C is what the part shows after power-on: check its supply".to_owned()))
    } else if thousandths.to_bits() == GONE.to_bits() {
        Err(Fault::Garbled("-127 °C stands for a part that is gone".to_owned()))
    } else if (-55.0..=125.0).contains(&degrees) {
        Ok(degrees)
    } else {
        Err(Fault::OutOfRange(format!("{degrees} °C is not within the part's -55 to 125")))
    }
}

/// Around 12 °C in the part's steps of 1/16 °C, up and down within ten minutes: in thousandths and in sixteenths of a degree.
fn simulated(at: Mono) -> (u32, u16) {
    let sixteenths = 180 + swing(at, 600, 30);
    (sixteenths * 1000 / 16, u16::try_from(sixteenths).expect("at most 210"))
}
