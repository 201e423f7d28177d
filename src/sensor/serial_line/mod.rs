//! A device that prints text lines on a serial port: Arduino sketches, meters, weather stations.
//!
//! The map says where the numbers stand (`form.rs`): in the named groups of a regular expression, in columns, or at JSON
//! pointers. A line that does not have that form is passed over, since such devices print banners and headings too; a
//! line that has it with something else than a number in it is a fault.
//!
//! What comes before the first end of line is never used: the port may have been opened in the middle of a line, and
//! the tail of `121.5` reads as a good number.

mod form;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod sample;
mod talk;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::lines::Lines;
use super::recognition::{Example, Recognition};
use super::{Bus, Device, Port, ReadingSender, Resource, Source, Stream, number};
use crate::hal::Hal;
use crate::hal::sim::Sim;
use crate::reading::{Fault, Quantity};
use crate::time::Mono;

use form::{Csv, Form, Pattern};
use talk::Talk;

/// The keys of `use = "serial_line"`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema), schemars(with = "Keys"))]
#[serde(try_from = "Keys")]
pub struct Settings {
    port: String,
    baud: u32,
    form: Form,
    simulate: Option<String>,
}

/// The keys as written.
#[derive(Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Keys {
    /// The port. Name it by what is plugged in (`/dev/serial/by-id/…`): `/dev/ttyUSB0` is whoever came first.
    #[cfg_attr(feature = "docs", schemars(extend("examples" = ["/dev/serial/by-id/usb-FTDI_FT232R_A1-if00-port0"])))]
    port: String,
    /// Its speed in bits a second.
    #[serde(default = "baud_9600")]
    #[cfg_attr(feature = "docs", schemars(range(min = 1)))]
    baud: u32,
    /// A regular expression, found anywhere in a line. Its named groups are the quantities. One of `match`, `csv` and
    /// `json` is needed.
    #[cfg_attr(feature = "docs", schemars(with = "Option<String>", extend("examples" = ["T=(?<temperature>-?[0-9.]+)"])))]
    r#match: Option<Pattern>,
    /// For separated text: which column holds which quantity.
    #[cfg_attr(feature = "docs", schemars(extend("examples" = [{ "columns": { "temperature": 2 } }])))]
    csv: Option<Csv>,
    /// For lines of JSON: each quantity with the pointer to its number (RFC 6901).
    #[cfg_attr(feature = "docs", schemars(extend("examples" = [{ "temperature": "/sensor/t" }])))]
    json: Option<BTreeMap<String, String>>,
    /// A line that the simulated device says, for `run --simulate`. Unless it is said one is made up, as far as that can be.
    #[cfg_attr(feature = "docs", schemars(extend("examples" = ["T=21.5"])))]
    simulate: Option<String>,
}

fn baud_9600() -> u32 {
    9600
}

impl TryFrom<Keys> for Settings {
    type Error = &'static str;

    fn try_from(keys: Keys) -> Result<Self, Self::Error> {
        let form = match (keys.r#match, keys.csv, keys.json) {
            (Some(pattern), None, None) => Form::Match(pattern),
            (None, Some(csv), None) => Form::Csv(csv),
            (None, None, Some(pointers)) => Form::Json(pointers),
            _ => return Err("exactly one of `match`, `csv` and `json` says where the numbers stand"),
        };
        Ok(Self { port: keys.port, baud: keys.baud, form, simulate: keys.simulate })
    }
}

impl Device for Settings {
    fn quantities(&self) -> Vec<Quantity> {
        self.form.names().map(|name| Quantity::named(name, "")).collect()
    }

    fn recognition() -> Option<Recognition> {
        let keys = &["baud = 9600", "match = 'T=(?<temperature>-?[0-9.]+)'"];
        let example = Example { name: "meter", keys, quantity: "temperature" };
        let about = "text lines. A regular expression takes the numbers out of a line, or csv, or json.";
        Some(Recognition::SerialPort { about, example: Some(example) })
    }

    fn bus(&self) -> Bus {
        Bus::Serial
    }

    fn resources(&self) -> Vec<Resource> {
        vec![Resource::SerialPort(self.port.clone())]
    }

    fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = port_faults(&self.port, self.baud);
        faults.extend(self.form.fault());
        let misfit = self.simulate.as_ref().is_some_and(|line| !self.form.is_full(line));
        if faults.is_empty() && misfit {
            faults.push(("simulate", "this line does not give every quantity".to_owned()));
        }
        faults
    }

    fn open(&self, _hal: &Hal, _outlet: ReadingSender) -> Result<Source, Fault> {
        let port = Port { path: self.port.clone(), baud: self.baud };
        Ok(Source::Stream(port, Box::new(Reader::new(self.port.clone(), self.form.clone()))))
    }

    fn simulate(&self, sim: &Sim) {
        let Some(talk) = Talk::new(&self.form, self.simulate.as_deref()) else {
            log::warn!(port = self.port.as_str(); "simulation: no line can be made up that matches; give one with `simulate`");
            return;
        };
        sim.serial(&self.port, Duration::from_secs(1), move |at| talk.say(at));
    }
}

/// What can be wrong with the keys of every serial device.
pub(super) fn port_faults(port: &str, baud: u32) -> Vec<(&'static str, String)> {
    let mut faults = Vec::new();
    if port.is_empty() {
        faults.push(("port", "a port is a path such as /dev/serial0".to_owned()));
    }
    if baud == 0 {
        faults.push(("baud", "a port has some speed, such as 9600".to_owned()));
    }
    faults
}

/// When so many lines have come and none has matched, the person who wrote the map is told, once.
const WORTH_A_WORD: u32 = 5;

/// Reads lines and puts the numbers they hold.
#[derive(Debug)]
struct Reader {
    /// The port's path, for the log.
    port: String,
    form: Form,
    lines: Lines,
    /// Whether an end of line was seen.
    in_step: bool,
    /// Lines that did not match, until one does.
    strangers: Option<u32>,
}

impl Reader {
    fn new(port: String, form: Form) -> Self {
        Self { port, form, lines: Lines::default(), in_step: false, strangers: Some(0) }
    }
}

impl Stream for Reader {
    fn bytes(&mut self, at: Mono, bytes: &[u8], sender: &ReadingSender) {
        let Self { port, form, lines, in_step, strangers } = self;
        lines.feed(bytes, |line| {
            let line = String::from_utf8_lossy(line);
            if !std::mem::replace(in_step, true) || line.trim().is_empty() {
                return;
            }
            let values = form.read(&line);
            *strangers = strangers.filter(|_| values.is_empty()).map(|count| count.saturating_add(1));
            if *strangers == Some(WORTH_A_WORD) {
                log::warn!(port = port.as_str(), line = number::quoted(&line).as_str(); "lines come, and none has matched so far");
            }
            for (quantity, value) in values {
                sender.put(quantity, at, value);
            }
        });
    }
}
