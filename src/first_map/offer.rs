//! What of a machine can be published: each offer is a sensor of the map.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::scan::{Answer, Attribute, Found, Interface};
use crate::sensor::Kind;

/// A sensor that could be in the map.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    /// Its name in the map.
    pub name: String,
    /// What it is and where, for people.
    pub what: String,
    /// The map's `use`.
    pub(super) kind: &'static str,
    /// The keys that belong to the kind.
    pub(super) keys: Map<String, Value>,
    /// What it measures, in the order in which fields are given.
    pub(super) quantities: Vec<Measured>,
    /// Quantities that few want: examples in the map.
    pub(super) more: Vec<Measured>,
}

/// A quantity of an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Measured {
    /// The name after `to.`.
    pub(super) name: &'static str,
    /// What a field with it is called: `air temperature (°C)`.
    pub(super) label: String,
    /// Digits after the point.
    pub(super) round: u8,
}

impl Offer {
    /// What it measures, for people: `temperature, humidity, pressure`.
    pub fn measures(&self) -> String {
        let names: Vec<_> = self.quantities.iter().map(|quantity| quantity.name).collect();
        names.join(", ")
    }
}

/// Everything that can be published, parts that somebody attached before the machine itself. A part that the daemon could not
/// open, such as one on a bus of another name, is not offered.
pub fn offers(found: &Found) -> Vec<Offer> {
    let mut all = Vec::new();
    for bus in &found.i2c {
        for part in bus.parts.iter().filter(|part| matches!(part.answer, Answer::Identified(_))) {
            let Some(kind) = part.kind() else { continue };
            let what = format!("BME280 at address 0x{:02x} of {}", part.address, bus.name);
            let keys = json!({ "bus": bus.name, "address": part.address });
            let quantities = [("temperature", "°C", 2), ("humidity", "%", 1), ("pressure", "hPa", 1)];
            all.push(offer("air", what, kind, &keys, &quantities));
        }
    }
    for probe in &found.one_wire {
        let Some(kind) = probe.kind() else { continue };
        let now = probe.temperature.map(|degrees| format!(", {degrees:.1} °C now")).unwrap_or_default();
        let what = format!("DS18B20 {}{now}", probe.id);
        all.push(offer("probe", what, kind, &json!({ "id": probe.id }), &[("temperature", "°C", 2)]));
    }
    for chip in found.chips.iter().filter(|chip| chip.interface == Interface::Iio) {
        for Attribute { path, what, unit, scale, offset, .. } in &chip.attributes {
            let keys = json!({ "path": path, "scale": scale, "offset": offset });
            let told = format!("{what} of {}, which the kernel reads", chip.name);
            all.push(offer(&format!("{} {what}", chip.name), told, "file", &keys, &[("value", unit, 2)]));
        }
    }
    all.push(system(found.cpu_temperature));
    let mut seen: Vec<Map<String, Value>> = Vec::new();
    all.retain(|offer| {
        let is_new = !seen.contains(&offer.keys);
        seen.push(offer.keys.clone());
        is_new && is_good(offer)
    });
    name_apart(&mut all);
    all
}

/// The machine itself, which every map can begin with.
fn system(has_thermometer: bool) -> Offer {
    let temperature = ("cpu_temperature", "°C", 1);
    let load = ("load1", "", 2);
    let rest = [load, ("memory_used", "%", 1), ("disk_used", "%", 1)];
    let (first, more) = if has_thermometer { (temperature, &rest[..]) } else { (load, &rest[1..]) };
    let mut offer = offer("pi", "this machine itself".to_owned(), "system", &json!({}), &[first]);
    offer.more = more.iter().map(|quantity| measured(&offer.name, *quantity)).collect();
    offer
}

fn offer(name: &str, what: String, kind: &'static str, keys: &Value, quantities: &[(&'static str, &str, u8)]) -> Offer {
    let keys = keys.as_object().cloned().unwrap_or_default();
    let quantities = quantities.iter().map(|quantity| measured(name, *quantity)).collect();
    Offer { name: name.to_owned(), what, kind, keys, quantities, more: Vec::new() }
}

fn measured(sensor: &str, (name, unit, round): (&'static str, &str, u8)) -> Measured {
    let unit = if unit.is_empty() { String::new() } else { format!(" ({unit})") };
    let what = if name == "value" { String::new() } else { format!(" {}", name.replace('_', " ")) };
    Measured { name, label: format!("{sensor}{what}{unit}"), round }
}

/// Whether a map with it is one without faults.
fn is_good(offer: &Offer) -> bool {
    let kind = Kind::deserialize(offer.kind, Value::Object(offer.keys.clone()));
    let is_name = offer.name.chars().count() <= 48 && !offer.name.chars().any(char::is_control);
    is_name && kind.is_some_and(|kind| kind.is_ok_and(|kind| kind.device().faults().is_empty()))
}

/// Gives the second `air` the name `air2`.
fn name_apart(offers: &mut [Offer]) {
    let mut taken = BTreeSet::new();
    for offer in offers {
        let first = offer.name.clone();
        let mut number = 1;
        while !taken.insert(offer.name.clone()) {
            number += 1;
            offer.name = format!("{first}{number}");
        }
        for quantity in offer.quantities.iter_mut().chain(&mut offer.more) {
            let rest = quantity.label.strip_prefix(&first).unwrap_or_default();
            quantity.label = format!("{}{rest}", offer.name);
        }
    }
}
