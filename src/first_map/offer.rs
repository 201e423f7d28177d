//! What of a machine can be published: each offer is a sensor of the map.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::scan::{Answer, Driven, Found};
use crate::sensor::recognition::{Proposal, Rounded};
use crate::sensor::{Kind, Recognition};

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
    pub(super) name: Cow<'static, str>,
    /// What a field with it is called: `air temperature (°C)`.
    pub(super) label: String,
    /// Digits after the point.
    pub(super) round: u8,
}

impl Offer {
    /// What it measures, for people: `temperature, humidity, pressure`.
    pub fn measures(&self) -> String {
        let names: Vec<_> = self.quantities.iter().map(|quantity| &*quantity.name).collect();
        names.join(", ")
    }
}

/// Everything that can be published, parts that somebody attached before the machine itself. A part that the daemon could not
/// open, such as one on a bus of another name, is not offered.
pub fn offers(found: &Found) -> Vec<Offer> {
    let mut all: Vec<Option<Offer>> = Vec::new();
    for bus in &found.i2c {
        for part in &bus.parts {
            let (Answer::Identified(name), Some((kind, identity, proposal))) = (&part.answer, part.recognised()) else {
                continue;
            };
            let what = format!("{name} at address 0x{:02x} of {}", part.address, bus.name);
            let mut keys = json!({ "bus": bus.name });
            if identity.chooses_address() {
                keys["address"] = json!(part.address);
            }
            all.push(offer(proposal, what, kind, &keys));
        }
    }
    for probe in &found.one_wire {
        let Some((kind, name, proposal)) = probe.recognised() else { continue };
        let now = probe.temperature.map(|degrees| format!(", now {degrees:.1} °C")).unwrap_or_default();
        all.push(offer(proposal, format!("{name} {}{now}", probe.id), kind, &json!({ "id": probe.id })));
    }
    all.extend(found.driven.iter().filter(|driven| driven.part.is_attached).map(driven));
    for (kind, recognition) in Kind::recognitions() {
        if let Recognition::Machine { thermometer, proposal, .. } = recognition {
            all.push(machine(found, kind, thermometer, proposal));
        }
    }
    let mut seen: Vec<(&str, Map<String, Value>)> = Vec::new();
    let mut all: Vec<_> = all.into_iter().flatten().collect();
    all.retain(|offer| {
        let this = (offer.kind, offer.keys.clone());
        let is_new = !seen.contains(&this);
        seen.push(this);
        is_new
    });
    name_apart(&mut all);
    all
}

/// Of a chip with more channels the others are examples: most of a converter's inputs are free.
const FIELDS_OF_A_CHIP: usize = 4;

/// A part that a driver of the kernel reads.
fn driven(driven: &Driven) -> Option<Offer> {
    let part = &driven.part;
    let kind = *Kind::TAGS.iter().find(|tag| **tag == driven.kind)?;
    let mut settings = settings(kind, &part.keys)?;
    let names: Vec<_> = part.channels.iter().map(|channel| channel.name.clone()).collect();
    settings.want(&names);
    let known = settings.device().quantities();
    let mut quantities: Vec<Measured> = Vec::new();
    for channel in part.channels.iter().filter(|channel| known.iter().any(|known| known.name == channel.name)) {
        let label = label(&part.name, &channel.name, &channel.unit);
        let is_new = quantities.iter().all(|other| other.name != channel.name);
        if is_new {
            quantities.push(Measured { name: channel.name.clone().into(), label, round: channel.round.min(6) });
        }
    }
    let more = quantities.split_off(FIELDS_OF_A_CHIP.min(quantities.len()));
    let remark = part.remark.as_ref().map(|remark| format!("; {remark}")).unwrap_or_default();
    let what = format!("{}{remark}", part.what);
    let is_any = !quantities.is_empty();
    is_any
        .then_some(Offer { name: part.name.clone(), what, kind, keys: part.keys.clone(), quantities, more })
        .and_then(checked)
}

/// The machine itself, which every map can begin with.
fn machine(found: &Found, kind: &'static str, thermometer: &str, proposal: Proposal) -> Option<Offer> {
    let mut offer = offer(proposal, "this machine itself".to_owned(), kind, &json!({}))?;
    if !found.cpu_temperature {
        offer.quantities.retain(|quantity| quantity.name != thermometer);
        if offer.quantities.is_empty() && !offer.more.is_empty() {
            offer.quantities.push(offer.more.remove(0));
        }
    }
    Some(offer)
}

/// What a kind proposes for the part with these keys.
fn offer(proposal: Proposal, what: String, kind: &'static str, keys: &Value) -> Option<Offer> {
    let Proposal { name, quantities, more } = proposal;
    let keys = object(keys);
    let settings = settings(kind, &keys)?;
    let units = settings.device().quantities();
    let measured = |rounded: &[Rounded]| {
        let measured = rounded.iter().map(|&(quantity, round)| {
            let unit = units.iter().find(|known| known.name == quantity).map_or("", |known| known.unit);
            Measured { name: quantity.into(), label: label(name, quantity, unit), round }
        });
        measured.collect()
    };
    checked(Offer { name: name.to_owned(), what, kind, keys, quantities: measured(quantities), more: measured(more) })
}

fn object(keys: &Value) -> Map<String, Value> {
    keys.as_object().cloned().unwrap_or_default()
}

fn label(sensor: &str, quantity: &str, unit: &str) -> String {
    let unit = if unit.is_empty() { String::new() } else { format!(" ({unit})") };
    let what = if quantity.is_empty() { String::new() } else { format!(" {}", quantity.replace('_', " ")) };
    format!("{sensor}{what}{unit}")
}

/// The kind with these keys, if they are without faults.
fn settings(kind: &str, keys: &Map<String, Value>) -> Option<Kind> {
    let settings = Kind::proposed(kind, &Value::Object(keys.clone()))?.ok()?;
    settings.device().faults().is_empty().then_some(settings)
}

/// The offer, if a map with it is one without faults.
fn checked(offer: Offer) -> Option<Offer> {
    let is_name =
        !offer.name.trim().is_empty() && offer.name.chars().count() <= 48 && !offer.name.chars().any(char::is_control);
    (is_name && settings(offer.kind, &offer.keys).is_some()).then_some(offer)
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
