//! A DS18B20 on the kernel's 1-Wire bus, read through its text files (kernel: `Documentation/w1/slaves/w1_therm.rst`).
//!
//! `temperature` holds thousandths of a degree; kernels before 5.8 only have `w1_slave` with the part's memory and its
//! checksum. The kernel starts a conversion at each read, which takes up to 750 ms.
//!
//! A part that lost its power in the middle of a conversion shows exactly 85 °C. That value is never passed on, so a
//! probe that is really that hot has no reading at this one temperature out of 2880.
//!
//! A data line that is shorted to ground reads zeros, whose checksum is zero and so right: `temperature` says 0 then, as it
//! does in melting ice. The part's memory tells the two apart, since a live part's settings and checksum are not zero. So a
//! read of exactly 0 is followed by one of `w1_slave`, which costs a second conversion, and that reading is taken. The kernel's
//! driver has both files or neither: a part without `w1_slave` is gone by then, and 0 is not taken for a temperature.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use super::recognition::{Proposal, Recognition};
use super::{Bus, Device, Measured, ReadingSender, Resource, Sensor, Source, number};
use crate::hal::sim::Sim;
use crate::hal::{Files, Hal};
use crate::reading::{Fault, Quantity};
use crate::time::Mono;

/// The keys of `use = "ds18b20"`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The part's folder in `/sys/bus/w1/devices`: `28-` and 12 hexadecimal figures in small letters.
    #[cfg_attr(feature = "docs", schemars(regex(pattern = "^28-[0-9a-f]{12}$"), extend("examples" = ["28-0417b1fb82ff"])))]
    id: String,
}

impl Settings {
    fn folder(&self) -> PathBuf {
        Path::new("/sys/bus/w1/devices").join(&self.id)
    }
}

impl Device for Settings {
    fn quantities(&self) -> Vec<Quantity> {
        // With twelve bits, as it comes (data sheet, table 2); with fewer it shows less.
        vec![Quantity::new("temperature", "°C").resolving(0.0625)]
    }

    fn bus(&self) -> Bus {
        Bus::OneWire
    }

    fn recognition() -> Option<Recognition> {
        let proposal = Proposal { name: "probe", quantities: &[("temperature", 2)], more: &[] };
        Some(Recognition::OneWire(&[("28", "DS18B20")], proposal))
    }

    fn resources(&self) -> Vec<Resource> {
        vec![Resource::OneWire(self.id.clone())]
    }

    fn faults(&self) -> Vec<(&'static str, String)> {
        let lower_hex = |c: u8| matches!(c, b'0'..=b'9' | b'a'..=b'f');
        let number = self.id.strip_prefix("28-").unwrap_or_default();
        if number.len() == 12 && number.bytes().all(lower_hex) {
            return Vec::new();
        }
        let form = "an id is a folder of /sys/bus/w1/devices: 28-, then 12 figures or small letters to f, as in 28-0417b1fb82ff";
        vec![("id", form.to_owned())]
    }

    fn open(&self, hal: &Hal, _outlet: ReadingSender) -> Result<Source, Fault> {
        Ok(Source::Polled(Box::new(Ds18b20 { files: Arc::clone(&hal.files), folder: self.folder() })))
    }

    fn simulate(&self, sim: &Sim) {
        sim.file(&self.folder().join("temperature"), |at| Ok(format!("{}\n", simulated(at))));
    }
}

/// An opened part: nothing is held open between two reads.
struct Ds18b20 {
    files: Arc<dyn Files>,
    folder: PathBuf,
}

impl Sensor for Ds18b20 {
    fn measure(&mut self) -> Result<Measured, Fault> {
        let thousandths = match self.files.read(&self.folder.join("temperature")) {
            Ok(text) if text.trim().is_empty() => Err(Fault::Absent("the part does not answer".to_owned())),
            Ok(text) => match number::parse(&text) {
                Ok(0.0) => self.memory("says 0 °C, and has no w1_slave that tells it from a shorted bus"),
                parsed => parsed,
            },
            // An older kernel, or no part at all.
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.memory("is not on the 1-Wire bus"),
            Err(error) => Err(unreadable(&error)),
        };
        Ok(vec![degrees(thousandths?)])
    }
}

impl Ds18b20 {
    /// Thousandths of a degree by the file that shows the part's memory; `missing` is what its absence means.
    fn memory(&self, missing: &str) -> Result<f64, Fault> {
        match self.files.read(&self.folder.join("w1_slave")) {
            Ok(text) => w1_slave(&text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(Fault::Absent(format!("{} {missing}", self.folder.display())))
            }
            Err(error) => Err(unreadable(&error)),
        }
    }
}

/// The kernel has tried several times by now; it gives the same error for no answer and for a wrong checksum.
fn unreadable(error: &io::Error) -> Fault {
    Fault::Bus(format!("no answer or a wrong checksum, says the kernel: {error}"))
}

/// Thousandths of a degree from the two lines of `w1_slave`:
///
/// ```text
/// 50 05 4b 46 7f ff 0c 10 1c : crc=1c YES
/// 50 05 4b 46 7f ff 0c 10 1c t=85000
/// ```
fn w1_slave(text: &str) -> Result<f64, Fault> {
    let garbled = || Fault::Garbled(format!("{} is not what the kernel writes", number::quoted(text)));
    let (first, second) = text.trim().split_once('\n').ok_or_else(garbled)?;
    let (memory, verdict) = first.split_once(':').ok_or_else(garbled)?;
    if verdict.trim().ends_with("NO") {
        return Err(Fault::Checksum(number::quoted(first)));
    }
    if !verdict.trim().ends_with("YES") {
        return Err(garbled());
    }
    // A data line shorted to ground reads zeros, whose checksum is zero too.
    if memory.split_whitespace().all(|byte| byte == "00") {
        return Err(Fault::Absent("the bus reads only zeros: the data line is shorted to ground".to_owned()));
    }
    let (_, thousandths) = second.split_once("t=").ok_or_else(garbled)?;
    number::parse(thousandths)
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

/// Thousandths of a degree around 12 °C in the part's steps of 1/16 °C, up and down within ten minutes.
fn simulated(at: Mono) -> u128 {
    let phase = at.since_boot().as_secs() % 600;
    let sixteenths = 180 + u128::from(phase.min(600 - phase)) / 10;
    sixteenths * 1000 / 16
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "28-0417b1fb82ff";

    fn settings(id: &str) -> Settings {
        serde_json::from_value(serde_json::json!({ "id": id })).unwrap()
    }

    /// What is measured when the part's files say this.
    fn measure(files: &[(&str, &'static str)]) -> Result<f64, Fault> {
        let sim = Sim::default();
        for (name, text) in files {
            sim.file(&settings(ID).folder().join(name), |_| Ok((*text).to_owned()));
        }
        measure_on(&sim)
    }

    fn measure_on(sim: &Sim) -> Result<f64, Fault> {
        match settings(ID).open(&sim.hal(), ReadingSender::new(|_, _, _| {}))? {
            Source::Polled(mut sensor) => sensor.measure()?.swap_remove(0),
            Source::Stream(..) => panic!("a DS18B20 is polled"),
        }
    }

    #[test]
    fn the_id_has_the_kernels_form() {
        assert_eq!(settings(ID).faults(), []);
        for id in ["", "28-", "10-0417b1fb82ff", "28-0417B1FB82FF", "28-0417b1fb82f", "28-0417b1fb82f/", "../../etc"] {
            assert_eq!(settings(id).faults().len(), 1, "{id}");
        }
    }

    #[test]
    fn thousandths_of_a_degree_are_read() {
        assert_eq!(measure(&[("temperature", "21437\n")]), Ok(21.437));
        assert_eq!(measure(&[("temperature", "-55000\n")]), Ok(-55.0));
        assert_eq!(measure(&[("temperature", "125000\n")]), Ok(125.0));
    }

    /// The memory for 0 °C as in Maxim's data sheet, table 1, with the other bytes of periph/devices, ds18b20/ds18b20_test.go, commit
    /// 1752d1b57a94637ac6a6eed30b7db1d03aebf2b8; the checksum is computed from them (polynomial x⁸ + x⁵ + x⁴ + 1).
    const ICE: &str = "00 00 00 00 00 ff 00 10 4f : crc=4f YES\n00 00 00 00 00 ff 00 10 4f t=0\n";
    const ZEROS: &str = "00 00 00 00 00 00 00 00 00 : crc=00 YES\n00 00 00 00 00 00 00 00 00 t=0\n";

    #[test]
    fn zero_degrees_are_told_from_a_shorted_bus_by_the_parts_memory() {
        assert_eq!(measure(&[("temperature", "0\n"), ("w1_slave", ICE)]), Ok(0.0));
        assert!(matches!(measure(&[("temperature", "0\n"), ("w1_slave", ZEROS)]), Err(Fault::Absent(_))));
        let noise = ICE.replace("YES", "NO").leak();
        assert!(matches!(measure(&[("temperature", "0\n"), ("w1_slave", noise)]), Err(Fault::Checksum(_))));
        // The short went away between the two.
        let good = "e0 01 00 00 3f ff 10 10 3f : crc=3f YES\ne0 01 00 00 3f ff 10 10 3f t=30000\n";
        assert_eq!(measure(&[("temperature", "0\n"), ("w1_slave", good)]), Ok(30.0));
        // The kernel has taken the part away: nobody knows what the zero was.
        assert!(matches!(measure(&[("temperature", "0\n")]), Err(Fault::Absent(_))));
    }

    #[test]
    fn the_memory_is_asked_for_at_exactly_zero_alone() {
        for near in ["62\n", "-62\n", "-1\n"] {
            assert!(measure(&[("temperature", near), ("w1_slave", ZEROS)]).is_ok(), "{near}");
        }
    }

    /// Memory of a live part in periph/devices, ds18b20/ds18b20_test.go, commit
    /// 1752d1b57a94637ac6a6eed30b7db1d03aebf2b8, in the form in which the kernel shows it.
    #[test]
    fn an_older_kernels_file_is_read_with_its_checksum() {
        let good = "e0 01 00 00 3f ff 10 10 3f : crc=3f YES\ne0 01 00 00 3f ff 10 10 3f t=30000\n";
        assert_eq!(measure(&[("w1_slave", good)]), Ok(30.0));
        let bad = "e0 01 00 00 3f ff 10 10 3e : crc=3f NO\ne0 01 00 00 3f ff 10 10 3e t=30000\n";
        assert!(matches!(measure(&[("w1_slave", bad)]), Err(Fault::Checksum(_))));
    }

    #[test]
    fn a_shorted_bus_is_not_zero_degrees() {
        assert!(matches!(measure(&[("w1_slave", ZEROS)]), Err(Fault::Absent(_))));
    }

    #[test]
    fn values_that_are_no_temperature_are_faults() {
        assert!(matches!(measure(&[("temperature", "85000\n")]), Err(Fault::Garbled(_))));
        assert!(matches!(measure(&[("temperature", "-127000\n")]), Err(Fault::Garbled(_))));
        assert!(matches!(measure(&[("temperature", "125001\n")]), Err(Fault::OutOfRange(_))));
        assert_eq!(measure(&[("temperature", "85062\n")]), Ok(85.062));
    }

    #[test]
    fn a_part_that_is_gone_is_absent_and_comes_back() {
        assert!(matches!(measure(&[]), Err(Fault::Absent(_))));
        assert!(matches!(measure(&[("temperature", "")]), Err(Fault::Absent(_))));
        let sim = Sim::default();
        settings(ID).simulate(&sim);
        sim.break_file(&settings(ID).folder().join("temperature"), io::ErrorKind::Other);
        assert!(matches!(measure_on(&sim), Err(Fault::Bus(_))));
        sim.mend_file(&settings(ID).folder().join("temperature"));
        assert!((11.0..16.0).contains(&measure_on(&sim).unwrap()));
    }

    proptest::proptest! {
        #[test]
        fn hostile_files_never_panic(text in "[0-9a-f :=\nYESNOcrt.-]{0,80}|.{0,80}") {
            let _ = w1_slave(&text);
            let _ = number::parse(&text).and_then(degrees);
        }
    }
}
