//! The parts on the kernel's 1-Wire bus.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::hal::Hal;
use crate::sensor::recognition::Proposal;
use crate::sensor::{Kind, ReadingSender, Recognition, Source};

/// Where the kernel shows them.
const DEVICES: &str = "/sys/bus/w1/devices";

/// A part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// Family and number, as maps write it: `28-0417b1fb82ff`.
    pub id: String,
    /// What a thermometer of ours says now, in °C.
    pub temperature: Option<f64>,
    /// Why it says nothing.
    pub fault: Option<String>,
}

impl Probe {
    /// The map's `use` for it, the part's name and what its kind proposes; where we have a driver.
    pub fn recognised(&self) -> Option<(&'static str, &'static str, Proposal)> {
        let (family, _) = self.id.split_once('-')?;
        let (kind, name, proposal) = Kind::recognitions().find_map(|(kind, recognition)| match recognition {
            Recognition::OneWire(families, proposal) => {
                let (_, name) = families.iter().find(|(known, _)| *known == family)?;
                Some((kind, *name, proposal))
            }
            _ => None,
        })?;
        settings(kind, &self.id)?;
        Some((kind, name, proposal))
    }
}

/// The kind with this id, if it is one as the map writes it.
fn settings(kind: &str, id: &str) -> Option<Kind> {
    let settings = Kind::proposed(kind, &serde_json::json!({ "id": id }))?.ok()?;
    settings.device().faults().is_empty().then_some(settings)
}

/// Every part, with its temperature where it has one.
pub(super) fn probes(hal: &Hal, is_board: bool, missing: &mut Vec<String>) -> Vec<Probe> {
    let names = hal.files.list(Path::new(DEVICES)).unwrap_or_default();
    let masters = names.iter().filter(|name| name.starts_with("w1_bus_master")).count();
    let probes: Vec<_> = names.into_iter().filter(|name| is_part(name)).map(|id| probe(hal, id)).collect();
    if probes.is_empty() && masters > 0 {
        missing.push(
            "nothing answers on the 1-Wire bus: check the wiring (data on GPIO4 unless config.txt says otherwise) and \
             the 4.7 kΩ resistor from data to 3.3 V"
                .to_owned(),
        );
    } else if probes.is_empty() && is_board {
        missing.push(
            "no 1-Wire bus: for 1-Wire thermometers add `dtoverlay=w1-gpio` to /boot/firmware/config.txt and reboot"
                .to_owned(),
        );
    }
    probes
}

/// Family and number in hexadecimal, as in `28-0417b1fb82ff`. With a bad connection the kernel shows parts of family 00.
fn is_part(name: &str) -> bool {
    let hex = |digits: &str| digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    name.split_once('-').is_some_and(|(family, number)| {
        family.len() == 2 && family != "00" && number.len() == 12 && hex(family) && hex(number)
    })
}

fn probe(hal: &Hal, id: String) -> Probe {
    let mut probe = Probe { id, temperature: None, fault: None };
    let Some(settings) = probe.recognised().and_then(|(kind, ..)| settings(kind, &probe.id)) else { return probe };
    let nowhere = ReadingSender::new(|_, _, _| {});
    let measured = match settings.device().open(hal, nowhere) {
        Ok(Source::Polled(mut sensor)) => {
            sensor.measure_at_once().and_then(|values| values.into_iter().next().transpose())
        }
        Ok(Source::Stream(..)) => Ok(None),
        Err(fault) => Err(fault),
    };
    match measured {
        Ok(temperature) => probe.temperature = temperature,
        Err(fault) => probe.fault = Some(fault.to_string()),
    }
    probe
}
