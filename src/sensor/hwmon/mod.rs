//! A chip that one of the kernel's hwmon drivers reads: an LM75, an SHT3x, an INA219, the throttling of a Pi, the fan of a PC (kernel:
//! `Documentation/hwmon/sysfs-interface.rst`).
//!
//! A channel is its type and a number, `temp1_input`, and may have a label. A map calls it `temperature1`; without the number the
//! only one of its type is meant, or with `label` the only one of that label.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;

use super::driven::{Channels, Chip, Driven, HWMON, Type, Wanted, number_in};
use super::recognition::{DrivenChannel, DrivenPart, Recognition};
use super::{Bus, Device, ReadingSender, Source};
use crate::entry::denoised;
use crate::hal::sim::{Sim, swing};
use crate::hal::{Files, Hal};
use crate::reading::{Fault, Quantity};

/// The keys of `use = "hwmon"`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What the kernel calls the chip, in the file `name`. `gatepost scan` lists them. Its quantities are called by their type, with
    /// the number of the channel where there are several: `temperature`, `voltage1`.
    #[cfg_attr(feature = "docs", schemars(extend("examples" = ["ina219"])))]
    chip: String,
    /// Where it sits, for two chips of one name.
    #[cfg_attr(feature = "docs", schemars(extend("examples" = ["i2c-1:0x40"])))]
    at: Option<String>,
    /// The label of the channels that are meant, for chips that number theirs at random.
    #[cfg_attr(feature = "docs", schemars(extend("examples" = ["Composite"])))]
    label: Option<String>,
    /// The quantities that the map gives a place.
    #[serde(skip)]
    quantities: Vec<String>,
}

/// What channels there are. Factors make the usual unit of the kernel's.
const TYPES: &[Type] = &[
    Type::new("temp", "temperature", "°C", 0.001, 0.01),
    Type::new("humidity", "humidity", "%", 0.001, 0.01),
    Type::new("in", "voltage", "V", 0.001, 0.001),
    Type::new("curr", "current", "A", 0.001, 0.001),
    Type::new("power", "power", "W", 0.000_001, 0.001),
    Type::new("energy", "energy", "J", 0.000_001, 0.001),
    Type::new("fan", "fan", "rpm", 1.0, 1.0),
];

/// The thermometers on 1-Wire, of which each look is a conversion; `use = "ds18b20"` has them.
const ONE_WIRE: &str = "w1_slave_temp";

impl Settings {
    fn wanted(&self) -> Wanted {
        Wanted { name: self.chip.clone(), at: self.at.clone(), label: None }
    }
}

/// The type and the number of a quantity that a map calls so.
fn parse(name: &str) -> Option<(&'static Type, Option<u32>)> {
    let (known, rest) = Type::of_map(TYPES, name)?;
    if rest.is_empty() {
        return Some((known, None));
    }
    Some((known, Some(rest.parse().ok().filter(|number: &u32| number.to_string() == rest)?)))
}

impl Device for Settings {
    fn quantities(&self) -> Vec<Quantity> {
        self.quantities.iter().filter_map(|name| Some(parse(name)?.0.quantity(name))).collect()
    }

    fn want(&mut self, names: &[String]) {
        self.quantities = names.iter().filter(|name| parse(name).is_some()).cloned().collect();
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
        super::driven::key_faults([("chip", Some(&self.chip)), ("at", self.at.as_ref())])
    }

    fn open(&self, hal: &Hal, _sender: ReadingSender) -> Result<Source, Fault> {
        let channels = Hwmon { names: self.quantities.clone(), label: self.label.clone() };
        Ok(Source::Polled(Box::new(Driven::new(Arc::clone(&hal.files), &HWMON, self.wanted(), channels))))
    }

    fn simulate(&self, sim: &Sim) {
        let folder = HWMON.simulated(sim, &self.wanted());
        for name in &self.quantities {
            let Some((known, number)) = parse(name) else { continue };
            let there = sim.hal().files.list(&folder).unwrap_or_default();
            let is_free = |number: &u32| !there.contains(&format!("{}{number}_input", known.kernel));
            // Without a number it is another label's channel that would be in the way.
            let of_label = there.iter().filter(|file| file.starts_with(known.kernel) && file.ends_with("_label"));
            let has_label = of_label.into_iter().any(|file| {
                sim.hal().files.read(&folder.join(file)).ok().as_deref().map(str::trim) == self.label.as_deref()
            });
            let Some(number) = number.or_else(|| (1..100).find(is_free)).filter(is_free).filter(|_| !has_label) else {
                continue;
            };
            if self.label.is_none() && parse(name).is_some_and(|(_, number)| number.is_none()) && number > 1 {
                continue;
            }
            let channel = format!("{}{number}", known.kernel);
            // About 20 of the unit, whatever that is.
            let (least, height) = ((20.0 / known.factor).round(), (3.0 / known.factor).round());
            sim.file(&folder.join(format!("{channel}_input")), move |at| {
                Ok(format!("{}\n", (least + height * f64::from(swing(at, 600, 1000)) / 1000.0).round()))
            });
            if let Some(label) = self.label.clone() {
                sim.file(&folder.join(format!("{channel}_label")), move |_| Ok(format!("{label}\n")));
            }
        }
    }
}

/// A channel of a chip.
struct Channel {
    known: &'static Type,
    number: u32,
    label: Option<String>,
    /// The file with its number.
    file: String,
}

impl Channel {
    /// `temperature1 (Composite)`
    fn described(&self) -> String {
        let label = self.label.as_ref().map(|label| format!(" ({label})")).unwrap_or_default();
        format!("{}{}{label}", self.known.name, self.number)
    }
}

/// The channels of a chip, in the order of types and numbers.
fn channels(files: &dyn Files, chip: &Chip) -> Vec<Channel> {
    let mut all = Vec::new();
    for file in &chip.files {
        // The power meter of some drivers shows its mean alone.
        let what = file.strip_suffix("_input").or_else(|| file.strip_suffix("_average"));
        let Some((known, rest)) = what.and_then(|what| Type::of_kernel(TYPES, what)) else { continue };
        let Ok(number) = rest.parse() else { continue };
        let is_second = file.ends_with("_average") && chip.files.contains(&format!("{}{rest}_input", known.kernel));
        if !is_second {
            let label = chip.text(files, &format!("{}{rest}_label", known.kernel));
            all.push(Channel { known, number, label, file: file.clone() });
        }
    }
    let order = |channel: &Channel| TYPES.iter().position(|known| known.name == channel.known.name);
    all.sort_by_key(|channel| (order(channel), channel.number));
    all
}

/// The channels that are read.
struct Hwmon {
    names: Vec<String>,
    label: Option<String>,
}

impl Channels for Hwmon {
    fn values(&self, files: &dyn Files, chip: &Chip) -> Vec<Result<Option<f64>, Fault>> {
        let all = channels(files, chip);
        self.names.iter().map(|name| value(files, chip, self.channel(name, chip, &all)?)).collect()
    }
}

impl Hwmon {
    /// The channel that a map calls so.
    fn channel<'a>(&self, name: &str, chip: &Chip, all: &'a [Channel]) -> Result<&'a Channel, Fault> {
        let parsed = parse(name);
        let is_meant = |channel: &&Channel| {
            let is_it = parsed.is_some_and(|(known, number)| {
                known.name == channel.known.name && number.is_none_or(|number| number == channel.number)
            });
            is_it && (self.label.is_none() || channel.label == self.label)
        };
        let meant: Vec<_> = all.iter().filter(is_meant).collect();
        let list = |channels: &mut dyn Iterator<Item = &Channel>| {
            let names: Vec<_> = channels.map(Channel::described).collect();
            if names.is_empty() { "no channel of a known type".to_owned() } else { names.join(", ") }
        };
        let chip = chip.described();
        match meant[..] {
            [one] => Ok(one),
            [] => {
                let label = self.label.as_ref().map(|label| format!(" labelled \"{label}\"")).unwrap_or_default();
                Err(Fault::Unsupported(format!("{chip} has no {name}{label}; it has {}", list(&mut all.iter()))))
            }
            _ => {
                let which = list(&mut meant.iter().copied());
                Err(Fault::Unsupported(format!("{chip} has several: write the number of one, of {which}")))
            }
        }
    }
}

fn value(files: &dyn Files, chip: &Chip, channel: &Channel) -> Result<Option<f64>, Fault> {
    let fault = chip.file(&format!("{}{}_fault", channel.known.kernel, channel.number));
    if let Some(fault) = fault.map(|file| number_in(files, &file)).transpose()?.flatten()
        && fault != 0.0
    {
        let what = channel.described();
        return Err(Fault::Garbled(format!("the chip says that its probe for {what} is broken or missing")));
    }
    let number = number_in(files, &chip.folder.join(&channel.file))?;
    Ok(number.map(|number| {
        let value = number * channel.known.factor;
        denoised(value, 4.0 * f64::EPSILON * value.abs())
    }))
}

/// What this machine has, but for the thermometers of 1-Wire.
fn parts(files: &dyn Files) -> Vec<DrivenPart> {
    let chips = HWMON.chips(files);
    let mut parts = Vec::new();
    for chip in chips.iter().filter(|chip| chip.name != ONE_WIRE) {
        let all = channels(files, chip);
        let found = all.iter().map(|channel| {
            let is_only = all.iter().filter(|other| other.known.name == channel.known.name).count() == 1;
            let number = if is_only { String::new() } else { channel.number.to_string() };
            let value = value(files, chip, channel).ok().flatten();
            let name = format!("{}{number}", channel.known.name);
            DrivenChannel::new(name, channel.known.unit, channel.known.step, value).labelled(channel.label.clone())
        });
        let found: Vec<_> = found.collect();
        // What else has no number in its place belongs to the machine itself.
        let is_attached = chip.place.starts_with("i2c-") || chip.place.starts_with("spi");
        parts.extend(chip.part(&chips, found, is_attached));
    }
    parts
}
