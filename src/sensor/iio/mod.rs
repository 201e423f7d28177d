//! A chip that one of the kernel's IIO drivers reads: a BME280, an ADS1115, a BH1750 and some sixty others, each switched on by a
//! line `dtoverlay=` (kernel: `Documentation/ABI/testing/sysfs-bus-iio`).
//!
//! `in_temp_input` is in the kernel's unit. Where there is none, it is made of `in_temp_raw`: (raw + offset) × scale, in which the
//! channel has a scale of its own (`in_voltage0_scale`) or shares one with its like (`in_voltage_scale`).

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;

use super::dht::is_dht;
use super::driven::{Channels, Chip, Driven, IIO, Type, Wanted, number_in};
use super::recognition::{DrivenChannel, DrivenPart, Recognition};
use super::{Bus, Device, ReadingSender, Source};
use crate::entry::denoised;
use crate::hal::sim::{Sim, swing};
use crate::hal::{Files, Hal};
use crate::reading::{Fault, Quantity};

/// The keys of `use = "iio"`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What the kernel calls the chip, in the file `name`. `gatepost scan` lists them. Its quantities are called as the kernel's
    /// channels are: `temperature`, `humidity`, `pressure`, `illuminance`, `voltage0`.
    #[cfg_attr(feature = "docs", schemars(extend("examples" = ["ads1015"])))]
    chip: String,
    /// Where it sits, for two chips of one name.
    #[cfg_attr(feature = "docs", schemars(extend("examples" = ["i2c-1:0x48"])))]
    at: Option<String>,
    /// Its label in the device tree, for two chips of one name.
    #[cfg_attr(feature = "docs", schemars(extend("examples" = ["outdoor"])))]
    label: Option<String>,
    /// The quantities that the map gives a place.
    #[serde(skip)]
    quantities: Vec<String>,
}

/// What channels there are. Factors make the usual unit of the kernel's.
const TYPES: &[Type] = &[
    Type::new("temp", "temperature", "°C", 0.001, 0.01),
    Type::new("humidityrelative", "humidity", "%", 0.001, 0.01),
    Type::new("pressure", "pressure", "hPa", 10.0, 0.001),
    Type::new("illuminance", "illuminance", "lx", 1.0, 0.01),
    Type::new("voltage", "voltage", "V", 0.001, 0.000_001),
    Type::new("current", "current", "A", 0.001, 0.000_001),
    Type::new("power", "power", "W", 0.001, 0.000_001),
    Type::new("resistance", "resistance", "Ω", 1.0, 0.0),
    // Percent to parts in a million, in which carbon dioxide is given.
    Type::new("concentration", "concentration", "ppm", 10_000.0, 0.01),
    Type::new("massconcentration", "massconcentration", "µg/m³", 1.0, 0.01),
    Type::new("distance", "distance", "m", 1.0, 0.0001),
    Type::new("uvindex", "uvindex", "", 1.0, 0.01),
    Type::new("intensity", "intensity", "", 1.0, 0.0),
    Type::new("proximity", "proximity", "", 1.0, 0.0),
    Type::new("ph", "ph", "", 1.0, 0.001),
    Type::new("electricalconductivity", "electricalconductivity", "S/m", 1.0, 0.0),
    Type::new("accel", "accel", "m/s²", 1.0, 0.0),
    Type::new("anglvel", "anglvel", "rad/s", 1.0, 0.0),
    Type::new("magn", "magn", "G", 1.0, 0.0),
];

impl Settings {
    fn wanted(&self) -> Wanted {
        Wanted { name: self.chip.clone(), at: self.at.clone(), label: self.label.clone() }
    }
}

impl Device for Settings {
    fn quantities(&self) -> Vec<Quantity> {
        let all = self.quantities.iter();
        all.filter_map(|name| Some(Type::of_map(TYPES, name)?.0.quantity(name))).collect()
    }

    fn want(&mut self, names: &[String]) {
        let is_channel = |name: &&String| Type::of_map(TYPES, name).is_some_and(|(_, rest)| is_rest(rest));
        self.quantities = names.iter().filter(is_channel).cloned().collect();
    }

    fn choice(&self) -> Vec<Cow<'static, str>> {
        TYPES.iter().map(|known| Cow::Borrowed(known.name)).collect()
    }

    fn proof(&self) -> crate::sensor::Proof {
        crate::sensor::Proof::KernelFiles
    }

    fn bus(&self) -> Bus {
        Bus::Drivers
    }

    fn recognition() -> Option<Recognition> {
        Some(Recognition::Driver { find: parts, missing: None })
    }

    fn faults(&self) -> Vec<(&'static str, String)> {
        let keys = [("chip", Some(&self.chip)), ("at", self.at.as_ref()), ("label", self.label.as_ref())];
        super::driven::key_faults(keys)
    }

    fn open(&self, hal: &Hal, _sender: ReadingSender) -> Result<Source, Fault> {
        let channels = Iio { names: self.quantities.clone() };
        Ok(Source::Polled(Box::new(Driven::new(Arc::clone(&hal.files), &IIO, self.wanted(), channels))))
    }

    fn simulate(&self, sim: &Sim) {
        let folder = IIO.simulated(sim, &self.wanted());
        let there = sim.hal().files.list(&folder).unwrap_or_default();
        for name in &self.quantities {
            let Some((known, rest)) = Type::of_map(TYPES, name) else { continue };
            let what = format!("{}{rest}", known.kernel);
            let [input, raw, scale] = ["input", "raw", "scale"].map(|file| format!("in_{what}_{file}"));
            if there.contains(&input) || there.contains(&raw) {
                continue;
            }
            match known.kernel {
                "temp" => sim.file(&folder.join(input), |at| Ok(format!("{}\n", 20_000 + swing(at, 600, 3000)))),
                "humidityrelative" => {
                    sim.file(&folder.join(input), |at| Ok(format!("{}\n", 45_000 + swing(at, 900, 9000))));
                }
                "pressure" => {
                    sim.file(&folder.join(input), |at| Ok(format!("101.{:03}\n", 300 + swing(at, 1200, 60))));
                }
                // As a converter has it.
                _ => {
                    sim.file(&folder.join(raw), |at| Ok(format!("{}\n", 1000 + swing(at, 300, 200))));
                    sim.file(&folder.join(scale), |_| Ok("2.000000\n".to_owned()));
                }
            }
        }
    }
}

/// Whether a channel may go on so behind its type: `0`, `0-voltage1`, `_object`.
fn is_rest(rest: &str) -> bool {
    let is_letter = |letter: u8| letter.is_ascii_alphanumeric() || matches!(letter, b'_' | b'-');
    rest.bytes().all(is_letter) && !rest.starts_with('-')
}

/// The channels that are read.
struct Iio {
    names: Vec<String>,
}

impl Channels for Iio {
    fn values(&self, files: &dyn Files, chip: &Chip) -> Vec<Result<Option<f64>, Fault>> {
        self.names.iter().map(|name| value(files, chip, name)).collect()
    }
}

/// The value of a channel that a map calls so.
fn value(files: &dyn Files, chip: &Chip, name: &str) -> Result<Option<f64>, Fault> {
    let missing = || {
        let has = has(chip).join(", ");
        let has = if has.is_empty() { "no channel of a known type".to_owned() } else { has };
        Fault::Unsupported(format!("{} has no {name}; it has {has}", chip.described()))
    };
    let (known, rest) = Type::of_map(TYPES, name).ok_or_else(missing)?;
    let what = format!("{}{rest}", known.kernel);
    if let Some(input) = chip.file(&format!("in_{what}_input")) {
        let value = number_in(files, &input)?;
        return value.map(|number| scaled(number, 0.0, known.factor)).transpose();
    }
    let raw = chip.file(&format!("in_{what}_raw")).ok_or_else(missing)?;
    let Some(raw) = number_in(files, &raw)? else { return Ok(None) };
    let own = |suffix| shared(chip, known, rest, suffix).map(|file| number_in(files, &file)).transpose();
    let (Some(offset), Some(scale)) = (own("offset")?.unwrap_or(Some(0.0)), own("scale")?.unwrap_or(Some(1.0))) else {
        return Ok(None);
    };
    scaled(raw, offset, scale * known.factor).map(Some)
}

/// The file of a channel with this ending, or the one that it shares with its like, or with all.
fn shared(chip: &Chip, known: &Type, rest: &str, suffix: &str) -> Option<std::path::PathBuf> {
    let kernel = known.kernel;
    let is_modifier = |rest: &str| rest.starts_with('_');
    let numberless: String = rest.chars().filter(|letter| !letter.is_ascii_digit()).collect();
    let mut ways = vec![format!("in_{kernel}{rest}_{suffix}"), format!("in_{kernel}{numberless}_{suffix}")];
    // `in_accel_scale` is that of `in_accel_x`, and a difference of voltages has the scale of voltages.
    if is_modifier(&numberless) || numberless.starts_with('-') || numberless.is_empty() {
        ways.push(format!("in_{kernel}_{suffix}"));
    }
    ways.extend([format!("in_{suffix}"), suffix.to_owned()]);
    ways.iter().find_map(|way| chip.file(way))
}

fn scaled(number: f64, offset: f64, factor: f64) -> Result<f64, Fault> {
    let (number, offset) = (number * factor, offset * factor);
    let value = denoised(number + offset, 4.0 * f64::EPSILON * number.abs().max(offset.abs()));
    if value.is_finite() { Ok(value) } else { Err(Fault::OutOfRange("the value is too large when scaled".to_owned())) }
}

/// What a chip measures, as maps call it.
fn has(chip: &Chip) -> Vec<String> {
    let mut names = Vec::new();
    for file in &chip.files {
        let Some(what) = file.strip_prefix("in_") else { continue };
        let Some(what) = what.strip_suffix("_input").or_else(|| what.strip_suffix("_raw")) else { continue };
        let Some((known, rest)) = Type::of_kernel(TYPES, what) else { continue };
        let name = format!("{}{rest}", known.name);
        if is_rest(rest) && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// What this machine has, but for what has a kind of its own.
fn parts(files: &dyn Files) -> Vec<DrivenPart> {
    let chips = IIO.chips(files);
    let mut parts = Vec::new();
    for chip in chips.iter().filter(|chip| !is_dht(files, &chip.folder)) {
        let channels = has(chip).into_iter().filter_map(|name| {
            let (known, _) = Type::of_map(TYPES, &name)?;
            let value = value(files, chip, &name).ok().flatten();
            Some(DrivenChannel::new(name, known.unit, known.step, value))
        });
        parts.extend(chip.part(&chips, channels.collect(), true));
    }
    parts
}
