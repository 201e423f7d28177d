//! The map's text.
//!
//! Lines with ## explain; those with a single # are examples, and what comes of uncommenting all of them passes `check` too.

use std::fmt::Write as _;

use serde_json::Value;

use super::fields::Fields;
use super::offer::Measured;
use super::toml::{comment, key, quoted};
use super::{Answers, Named, Offer, Place};
use crate::scan::{Found, Port};
use crate::sensor::recognition::Example;
use crate::sensor::{Kind, Recognition};
use crate::thingspeak::license::License;

const HEAD: &str = "\
## gatepost's sensor map, created by `gatepost init`.
##
## `gatepost check` explains it and shows every fault. All keys: `man gatepost.toml`, or config/gatepost.toml of the sources.
## Lines with ## explain; lines with a single # are examples to uncomment.

version = 1

";

/// Writes the map.
pub(super) fn write(found: &Found, offers: &[Offer], answers: &Answers, mut fields: Fields) -> String {
    // Taken before the examples of the sensors take what is left.
    let talker = talker(found, &mut fields);
    let mut writer = Writer { answers, fields, text: HEAD.to_owned() };
    writer.device();
    writer.channels(bus_time(offers));
    for (index, offer) in offers.iter().enumerate() {
        if answers.places.get(index) != Some(&Place::Nowhere) {
            writer.sensor(index, offer);
        }
    }
    if let Some((port, channel, field)) = talker {
        writer.serial(port, channel, field);
    }
    writer.commands();
    writer.text
}

struct Writer<'a> {
    answers: &'a Answers,
    fields: Fields,
    text: String,
}

impl Writer<'_> {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn device(&mut self) {
        self.line(
            "## The MQTT device on ThingSpeak (Devices, MQTT) that these channels are authorised for. Its \
                   password is in",
        );
        self.line("## the file. Only root, you and the group gatepost may read it.");
        self.line("[device.pi]");
        let credentials = quoted(&self.answers.credentials);
        self.line(&format!("credentials = {credentials}\n"));
    }

    /// `least` is the shortest slot in seconds.
    fn channels(&mut self, least: usize) {
        let used = |index: usize| self.fields.given.iter().any(|given| given.channel == index);
        let used: Vec<_> = (0..self.answers.channels.len()).map(used).collect();
        let count = used.iter().filter(|used| **used).count();
        let every = slot(self.answers.license, count).max(least);
        // Those that are filled come first, and commands before them.
        let mut heard = usize::from(self.answers.commands.is_some());
        let mut heard_later = heard + count;
        for (Named { name, id }, used) in self.answers.channels.iter().zip(used) {
            let place = if used { &mut heard } else { &mut heard_later };
            *place += 1;
            let is_heard = self.answers.license.subscriptions().is_none_or(|most| *place <= most);
            let mark = if used { "" } else { "# " };
            if !used {
                self.text.push_str("## Nothing is published to this channel yet.\n");
            }
            let _ = writeln!(self.text, "{mark}[channel.{}]\n{mark}id = {id}", key(name));
            let _ = writeln!(self.text, "{mark}every = \"{every}s\"");
            if self.answers.license == License::Paid {
                let _ = writeln!(self.text, "{mark}license = \"paid\"");
            }
            if !is_heard {
                self.text.push_str(
                    "## A free license allows three subscriptions: entries here are acknowledged when \
                                    the broker has read them.\n",
                );
                let _ = writeln!(self.text, "{mark}confirm = \"received\"");
            }
            self.text.push('\n');
        }
    }

    fn sensor(&mut self, index: usize, offer: &Offer) {
        let has_field = |quantity| self.fields.of(index, quantity).is_some();
        let is_used = (0..offer.quantities.len()).any(has_field);
        let mark = if is_used { "" } else { "## " };
        self.line(&format!("## {}", comment(&offer.what)));
        if !is_used {
            self.line("## No field is left for it: add a channel, and remove the ## from these lines.");
        }
        self.line(&format!("{mark}[[sensor]]"));
        self.line(&format!("{mark}name = {}", quoted(&offer.name)));
        self.line(&format!("{mark}use = {}", quoted(offer.kind)));
        for (name, value) in &offer.keys {
            self.line(&format!("{mark}{name} = {}", written(name, value)));
        }
        let mut channel = None;
        for (quantity, measured) in offer.quantities.iter().enumerate() {
            match self.fields.of(index, quantity).map(|given| (given.channel, given.field)) {
                Some((place, field)) => {
                    channel = Some(place);
                    self.route("", measured, place, field);
                }
                None => self.line(&format!("## to.{} = \"…\": no field is left for it", measured.name)),
            }
        }
        for measured in &offer.more {
            let next = channel.and_then(|channel| Some((channel, self.fields.next(channel)?)));
            if let Some((channel, field)) = next {
                self.route("# ", measured, channel, field);
            }
        }
        self.line("");
    }

    fn route(&mut self, mark: &str, measured: &Measured, channel: usize, field: usize) {
        let place = quoted(&format!("{}.field{field}", self.answers.channels[channel].name));
        let Measured { name, label, round } = measured;
        self.line(&format!("{mark}to.{name} = {{ field = {place}, round = {round} }}  # {}", comment(label)));
    }

    /// An example for what talks on a serial port.
    fn serial(&mut self, port: &Port, channel: usize, field: usize) {
        let place = quoted(&format!("{}.field{field}", self.answers.channels[channel].name));
        let mut example = None;
        self.line("## Sensors on a serial port:");
        for (kind, recognition) in Kind::recognitions() {
            let Recognition::SerialPort { about, example: own } = recognition else { continue };
            self.line(&format!("## use = {}: {about}", quoted(kind)));
            example = example.or(own.map(|own| (kind, own)));
        }
        let Some((kind, Example { name, keys, quantity })) = example else { return };
        self.line("## Port found:");
        self.line(&format!("# [[sensor]]\n# name = {}\n# use = {}", quoted(name), quoted(kind)));
        self.line(&format!("# port = {}", quoted(&port.name)));
        for key in keys {
            self.line(&format!("# {key}"));
        }
        self.line(&format!("# to.{quantity} = {place}\n"));
    }

    /// An example for an output: which pin may move is the user's to say.
    fn commands(&mut self) {
        let Some(Named { name, id }) = &self.answers.commands else { return };
        self.line(
            "## Commands: 1 or on, 0 or off in field1 of this channel switches a pin. Uncomment all of it. Set \
                   the pin (BCM",
        );
        self.line("## number: physical pin 11 is 17) and the levels that suit what is connected to it.");
        self.line(&format!("# [channel.{}]\n# id = {id}\n#", key(name)));
        let from = quoted(&format!("{name}.field1"));
        self.line(&format!(
            "# [[output]]\n# name = \"lamp\"\n# pin = 17\n# from = {from}\n# start = \"off\"\n# stop = \"off\""
        ));
    }
}

/// The first serial port that is free, and a field for what it says.
fn talker<'a>(found: &'a Found, fields: &mut Fields) -> Option<(&'a Port, usize, usize)> {
    let is_free = |port: &&Port| !port.console && port.name != "/dev/serial1";
    let port = found.serial.iter().find(is_free)?;
    let channels: Vec<_> = fields.given.iter().map(|given| given.channel).collect();
    let (channel, field) = channels.into_iter().find_map(|channel| Some((channel, fields.next(channel)?)))?;
    Some((port, channel, field))
}

/// A key's value. Addresses are written as data sheets do.
fn written(name: &str, value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Number(number) if name == "address" => format!("0x{:02x}", number.as_u64().unwrap_or_default()),
        other => other.to_string(),
    }
}

/// Seconds in which all parts on 1-Wire can be read: one after the other, as `check` reckons it.
fn bus_time(offers: &[Offer]) -> usize {
    let is_one_wire =
        |kind| Kind::recognitions().any(|(tag, it)| tag == kind && matches!(it, Recognition::OneWire(..)));
    offers.iter().filter(|offer| is_one_wire(offer.kind)).count()
}

/// Seconds of a slot: with several channels they are longer, so that the license's year lasts.
fn slot(license: License, channels: usize) -> usize {
    match (license, channels) {
        (License::Free, 0 | 1) => 20,
        (License::Free, several) => several * 15,
        (License::Paid, channels) => (channels * 2).max(5),
    }
}
