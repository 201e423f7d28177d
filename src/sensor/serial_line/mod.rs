//! A device that prints text lines on a serial port: Arduino sketches, meters, weather stations. Some want to be asked.
//!
//! The map says where the numbers stand (`form.rs`): in the named groups of a regular expression, in columns, or at JSON
//! pointers; how they are written (`style.rs`), and what guards them (`checksum.rs`). A line that does not have that form is
//! passed over, since such devices print banners and headings too; a line that has it with something else than a number in
//! it is a fault. Which lines count is decided in `reader.rs`.

mod ask;
mod checksum;
pub(super) mod form;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod reader;
mod sample;
pub(super) mod style;
pub(super) mod talk;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::lines::{End, Framing, LONGEST};
use super::recognition::{Example, Recognition};
use super::{Bus, Device, Port, ReadingSender, Resource, SerialDriver, Source};
use crate::hal::sim::Sim;
use crate::hal::{Hal, Parity, PortOptions};
use crate::reading::{Fault, Quantity};

use ask::{Ask, Bytes, Questioner, WAKE_PAUSE};
use form::{Csv, Form, Pattern, Place};
use reader::Reader;
use style::Style;
use talk::Talk;

/// The keys of `use = "serial_line"`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema), schemars(with = "Keys"))]
#[serde(try_from = "Keys")]
pub struct Settings {
    port: Port,
    form: Box<Form>,
    framing: Framing,
    ask: Option<Box<Ask>>,
    simulate: Option<String>,
}

/// The keys as written.
#[derive(Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Keys {
    /// The port. Use the permanent name (`/dev/serial/by-id/…`): `/dev/ttyUSB0` is the device that was found first.
    /// Sensors may share a port if they agree on its speed and frame.
    #[cfg_attr(feature = "docs", schemars(extend("examples" = ["/dev/serial/by-id/usb-FTDI_FT232R_A1-if00-port0"])))]
    port: String,
    /// Its speed in bits a second.
    #[serde(default = "baud_9600")]
    #[cfg_attr(feature = "docs", schemars(range(min = 1)))]
    baud: u32,
    /// Bits in a byte.
    #[serde(default = "eight")]
    #[cfg_attr(feature = "docs", schemars(range(min = 5, max = 8)))]
    data_bits: u8,
    /// The parity bit. Meters with an optical head often use 7 data bits and even parity.
    #[serde(default)]
    parity: Parity,
    /// Stop bits after a byte.
    #[serde(default = "one")]
    #[cfg_attr(feature = "docs", schemars(range(min = 1, max = 2)))]
    stop_bits: u8,
    /// Other programs cannot open the port meanwhile.
    #[serde(default = "yes")]
    exclusive: bool,
    /// A regular expression, matched anywhere and repeatedly in a line. Its named groups are the quantities. Anchor it
    /// (`^…$`), so that a partial line does not match. One of `match`, `csv` and `json` is needed.
    #[cfg_attr(feature = "docs", schemars(with = "Option<String>", extend("examples" = ["^T=(?<temperature>-?[0-9.]+)$"])))]
    r#match: Option<Pattern>,
    /// For separated text: the column of each quantity.
    #[cfg_attr(feature = "docs", schemars(extend("examples" = [{ "columns": { "temperature": 2 } }])))]
    csv: Option<Csv>,
    /// For lines of JSON: the JSON pointer to each quantity's number (RFC 6901).
    #[cfg_attr(feature = "docs", schemars(extend("examples" = [{ "temperature": "/sensor/t" }])))]
    json: Option<BTreeMap<String, String>>,
    /// The decimal sign of its numbers.
    #[serde(default = "point")]
    #[cfg_attr(feature = "docs", schemars(extend("examples" = [","])))]
    decimal: char,
    /// The separator between groups of three digits.
    #[cfg_attr(feature = "docs", schemars(extend("examples" = ["."])))]
    thousands: Option<char>,
    /// 16 for hexadecimal numbers.
    #[serde(default = "ten")]
    #[cfg_attr(feature = "docs", schemars(range(min = 10, max = 16)))]
    base: u32,
    /// Words that stand for numbers.
    #[serde(default)]
    #[cfg_attr(feature = "docs", schemars(extend("examples" = [{ "ON": 1, "OFF": 0 }])))]
    states: BTreeMap<String, f64>,
    /// The unit after its numbers: `%` where a line has 45%.
    #[cfg_attr(feature = "docs", schemars(extend("examples" = ["%"])))]
    unit: Option<String>,
    /// The checksum after the last `*` of each line, in hexadecimal digits. A line with a wrong checksum is a fault; a
    /// line without one is ignored.
    checksum: Option<checksum::Kind>,
    /// The end of a line: a text with escapes, bytes, or a silence as in `{ silence = "50ms" }`. The default is `\n`,
    /// with or without `\r` before it.
    #[cfg_attr(feature = "docs", schemars(with = "Option<WrittenEnd>", extend("examples" = ["\\r"])))]
    end: Option<WrittenEnd>,
    /// The longest line in bytes. Longer lines are dropped.
    #[serde(default = "longest")]
    #[cfg_attr(feature = "docs", schemars(range(min = 1, max = 65536)))]
    longest: usize,
    /// For a device that answers to a request, the text to send at each `every`: with escapes (`\r \n \t \0 \e \\
    /// \x05`), or bytes as in `{ hex = "05 0d" }`. Several such devices on one port are asked in turn.
    #[cfg_attr(feature = "docs", schemars(with = "Option<ask::Written>", extend("examples" = ["?\\r\\n"])))]
    send: Option<Bytes>,
    /// The text to send before the request, for a device that sleeps.
    #[cfg_attr(feature = "docs", schemars(with = "Option<ask::Written>", extend("examples" = ["\\r"])))]
    wake_up: Option<Bytes>,
    /// The pause between wake-up and request.
    #[serde(default, deserialize_with = "crate::time::optional_duration")]
    #[cfg_attr(feature = "docs", schemars(schema_with = "crate::time::duration_schema", extend("default" = crate::time::shown(WAKE_PAUSE))))]
    wake_pause: Option<Duration>,
    /// A line that the simulated device sends, for `run --simulate`. Without this key gatepost invents one if it can.
    #[cfg_attr(feature = "docs", schemars(extend("examples" = ["T=21.5"])))]
    simulate: Option<String>,
}

/// The end of a line as written.
#[derive(Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
#[serde(untagged)]
enum WrittenEnd {
    /// A silence.
    Silence(Silence),
    /// Bytes.
    #[cfg_attr(feature = "docs", schemars(with = "ask::Written"))]
    Bytes(Bytes),
}

/// An end by silence.
#[derive(Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Silence {
    /// So long nothing comes between two lines.
    #[serde(deserialize_with = "crate::time::duration")]
    #[cfg_attr(feature = "docs", schemars(schema_with = "crate::time::duration_schema"))]
    silence: Duration,
}

/// Below it a busy machine tears lines apart.
const LEAST_SILENCE: Duration = Duration::from_millis(5);

const fn baud_9600() -> u32 {
    9600
}

const fn eight() -> u8 {
    8
}

const fn one() -> u8 {
    1
}

const fn ten() -> u32 {
    10
}

const fn yes() -> bool {
    true
}

const fn point() -> char {
    '.'
}

const fn longest() -> usize {
    LONGEST
}

impl TryFrom<Keys> for Settings {
    type Error = &'static str;

    fn try_from(keys: Keys) -> Result<Self, Self::Error> {
        let place = match (keys.r#match, keys.csv, keys.json) {
            (Some(pattern), None, None) => Place::Match(pattern),
            (None, Some(csv), None) => Place::Csv(csv),
            (None, None, Some(pointers)) => Place::Json(pointers),
            _ => return Err("exactly one of `match`, `csv` and `json` says where the numbers stand"),
        };
        let Keys { baud, data_bits, parity, stop_bits, exclusive, .. } = keys;
        let wake_pause = keys.wake_pause;
        let ask = match (keys.send, keys.wake_up) {
            (Some(send), wake_up) => {
                if wake_up.is_none() && wake_pause.is_some() {
                    return Err("`wake_pause` does nothing without `wake_up`");
                }
                let wake_up = wake_up.map(|bytes| (bytes.0, wake_pause.unwrap_or(WAKE_PAUSE)));
                Some(Box::new(Ask { send: send.0, wake_up }))
            }
            (None, None) if wake_pause.is_none() => None,
            _ => return Err("`wake_up` and `wake_pause` do nothing without `send`"),
        };
        let end = match keys.end {
            Some(WrittenEnd::Silence(Silence { silence })) => End::Silence(silence),
            Some(WrittenEnd::Bytes(bytes)) => End::Bytes(bytes.0),
            None => Framing::default().end,
        };
        let Keys { decimal, thousands, base, states, unit, checksum, .. } = keys;
        Ok(Self {
            port: Port { path: keys.port, options: PortOptions { baud, data_bits, parity, stop_bits, exclusive } },
            form: Box::new(Form { place, style: Style { decimal, thousands, base, states, unit }, checksum }),
            framing: Framing { end, longest: keys.longest },
            ask,
            simulate: keys.simulate,
        })
    }
}

impl Settings {
    fn framing_fault(&self) -> Option<(&'static str, String)> {
        let Framing { end, longest } = &self.framing;
        if matches!(end, End::Silence(silence) if *silence < LEAST_SILENCE) {
            return Some(("end", "a silence of less than 5 ms is not seen between two lines".to_owned()));
        }
        (!(1..=65_536).contains(longest)).then(|| ("longest", "a line has 1 to 65536 bytes".to_owned()))
    }
}

impl Device for Settings {
    fn quantities(&self) -> Vec<Quantity> {
        self.form.names().map(|name| Quantity::named(name, "")).collect()
    }

    fn recognition() -> Option<Recognition> {
        let keys = &["baud = 9600", "match = '^T=(?<temperature>-?[0-9.]+)$'"];
        let example = Example { name: "meter", keys, quantity: "temperature" };
        let about = "text lines. A regular expression takes the numbers out of a line, or csv, or json.";
        Some(Recognition::SerialPort { about, example: Some(example) })
    }

    fn proof(&self) -> crate::sensor::Proof {
        crate::sensor::Proof::AnyPart
    }

    fn bus(&self) -> Bus {
        Bus::Serial
    }

    fn resources(&self) -> Vec<Resource> {
        vec![Resource::SerialPort(self.port.clone())]
    }

    fn is_asked(&self) -> bool {
        self.ask.is_some()
    }

    fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = super::port::faults(&self.port);
        faults.extend(self.form.fault());
        faults.extend(self.framing_fault());
        let misfit = self.simulate.as_ref().is_some_and(|line| !self.form.is_full(line));
        if faults.is_empty() && misfit {
            faults.push(("simulate", "this line does not give every quantity".to_owned()));
        }
        faults
    }

    fn open(&self, _hal: &Hal, _outlet: ReadingSender) -> Result<Source, Fault> {
        Ok(Source::Stream(match &self.ask {
            Some(ask) => SerialDriver::Dialogue(Box::new(Questioner::new(self, Ask::clone(ask)))),
            None => SerialDriver::Stream(Box::new(Reader::new(self))),
        }))
    }

    fn simulate(&self, sim: &Sim) {
        let Some(talk) = Talk::new(&self.form, self.simulate.as_deref()) else {
            log::warn!(port = self.port.path.as_str(); "simulation: no line can be made up that matches; give one with `simulate`");
            return;
        };
        let (end, checksum) = (self.framing.end.clone(), self.form.checksum);
        let path = &self.port.path;
        if let Some(send) = self.ask.as_ref().map(|ask| ask.send.clone()) {
            sim.serial_asked(
                path,
                move |at, asked| if asked == send { talk.say(at, &end, checksum) } else { Vec::new() },
            );
        } else {
            let period = if let End::Silence(silence) = end { silence * 3 } else { Duration::ZERO };
            sim.serial(path, period.max(Duration::from_secs(1)), move |at| talk.say(at, &end, checksum));
        }
    }
}
