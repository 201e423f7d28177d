//! A DHT11 or DHT22 (AM2302) at a pin, through the kernel's driver: their pulses of 26 µs are no work for a program.
//!
//! `dtoverlay=dht11,gpiopin=4` makes an IIO device of it, for both alike: the driver tells them apart by what they say, and shows
//! neither. So the map says which it is, and the range comes from there. The device is found by the node of the overlay, which
//! has the pin (`of_node/gpios`: the controller, the line, the flags, 32 bits each).
//!
//! A part needs two seconds between two looks. The driver keeps what it has read for as long; after a read that failed they are
//! waited for here.

#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::driven::{Chip, IIO, Wanted, may_pass, unreadable};
use super::recognition::{DrivenChannel, DrivenPart, Recognition};
use super::{Bus, Device, Measured, Proof, ReadingSender, Resource, Sensor, Source, number};
use crate::hal::sim::{Sim, swing};
use crate::hal::{Clock, Files, Hal, LineId};
use crate::reading::{Fault, Quantity};
use crate::time::Mono;

/// The keys of `use = "dht11"` and `use = "dht22"`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Settings<const DHT22: bool> {
    /// The pin of its data wire, by its BCM number, as `dtoverlay=dht11,gpiopin=4` says in config.txt.
    #[serde(default = "four")]
    #[cfg_attr(feature = "docs", schemars(extend("examples" = [4]), transform = crate::hal::without_maximum))]
    pin: u8,
}

/// The keys of `use = "dht11"`.
pub type Dht11 = Settings<false>;
/// The keys of `use = "dht22"`.
pub type Dht22 = Settings<true>;

/// The overlay's own default.
const fn four() -> u8 {
    4
}

/// What a part can measure.
#[derive(Clone, Copy)]
struct Model {
    name: &'static str,
    temperature: [f64; 2],
    humidity: [f64; 2],
}

/// Aosong's data sheets of DHT22 (AM2302) and DHT11.
const MODELS: [Model; 2] = [
    Model { name: "DHT11", temperature: [0.0, 50.0], humidity: [20.0, 90.0] },
    Model { name: "DHT22", temperature: [-40.0, 80.0], humidity: [0.0, 100.0] },
];

/// A part that is asked sooner does not answer (both data sheets).
const PAUSE: Duration = Duration::from_secs(2);

/// How often it is tried within a read: a read on a busy machine fails now and then, since the kernel was late for a pulse.
const TRIES: u32 = 3;

const TEMPERATURE: &str = "in_temp_input";
const HUMIDITY: &str = "in_humidityrelative_input";

impl<const DHT22: bool> Device for Settings<DHT22> {
    fn quantities(&self) -> Vec<Quantity> {
        vec![Quantity::new("temperature", "°C").resolving(0.1), Quantity::new("humidity", "%").resolving(0.1)]
    }

    fn proof(&self) -> Proof {
        Proof::KernelFiles
    }

    fn bus(&self) -> Bus {
        Bus::Drivers
    }

    fn recognition() -> Option<Recognition> {
        // Once for both, since the kernel does not say which it is.
        DHT22.then_some(Recognition::Driver { find: parts, missing: Some(MISSING) })
    }

    fn resources(&self) -> Vec<Resource> {
        vec![Resource::Line(LineId::header(self.pin))]
    }

    fn faults(&self) -> Vec<(&'static str, String)> {
        LineId::header(self.pin).fault().map(|reason| ("pin", reason)).into_iter().collect()
    }

    fn open(&self, hal: &Hal, _sender: ReadingSender) -> Result<Source, Fault> {
        Ok(Source::Polled(Box::new(Dht::new(hal, self.pin, MODELS[usize::from(DHT22)], thread::sleep))))
    }

    fn simulate(&self, sim: &Sim) {
        if find(sim.hal().files.as_ref(), self.pin).is_ok() {
            return;
        }
        let pin = char::from(self.pin);
        let name = format!("dht11@{}", self.pin);
        let folder = IIO.simulated(sim, &Wanted { name, at: None, label: None });
        sim.file(&folder.join("of_node/compatible"), |_| Ok("dht11\0".to_owned()));
        sim.file(&folder.join("of_node/gpios"), move |_| Ok(format!("\0\0\0\x07\0\0\0{pin}\0\0\0\0")));
        sim.file(&folder.join(TEMPERATURE), |at| Ok(format!("{}\n", 20_000 + 100 * swing(at, 600, 30))));
        sim.file(&folder.join(HUMIDITY), |at| Ok(format!("{}\n", 45_000 + 100 * swing(at, 900, 90))));
    }
}

/// An opened part.
struct Dht<S> {
    files: Arc<dyn Files>,
    clock: Arc<dyn Clock>,
    pin: u8,
    model: Model,
    sleep: S,
    chip: Option<Chip>,
    /// When the part was asked last without success.
    failed: Option<Mono>,
}

impl<S: Fn(Duration) + Send> Dht<S> {
    fn new(hal: &Hal, pin: u8, model: Model, sleep: S) -> Self {
        let (files, clock) = (Arc::clone(&hal.files), Arc::clone(&hal.clock));
        Self { files, clock, pin, model, sleep, chip: None, failed: None }
    }

    /// What the part needs until it may be asked again.
    fn rest(&self) -> Option<Duration> {
        let rest = PAUSE.saturating_sub(self.clock.now().mono.since(self.failed?));
        (!rest.is_zero()).then_some(rest)
    }

    /// One look at the part: temperature and humidity, of which the kernel takes the second from the same look.
    fn look(&mut self) -> Result<Result<[f64; 2], io::Error>, Fault> {
        let files = self.files.as_ref();
        let chip = match self.chip.take() {
            Some(chip) => chip,
            None => find(files, self.pin)?,
        };
        let mut values = [0.0; 2];
        for (value, file) in values.iter_mut().zip([TEMPERATURE, HUMIDITY]) {
            match files.read(&chip.folder.join(file)) {
                Ok(text) => *value = number::parse(&text)? / 1000.0,
                Err(error) => return Ok(Err(error)),
            }
        }
        // Looked at behind the values: another part may have the number by now.
        if !chip.is_there(files) || gpio(files, &chip.folder) != Some(self.pin.into()) {
            return Ok(Err(io::ErrorKind::NotFound.into()));
        }
        self.chip = Some(chip);
        Ok(Ok(values))
    }

    fn fault(&self, error: &io::Error) -> Fault {
        let Model { name, .. } = self.model;
        let pin = self.pin;
        if error.kind() == io::ErrorKind::TimedOut {
            let what = format!(
                "the {name} at GPIO{pin} does not answer: check its wires, and the resistor from data to 3.3 V"
            );
            return Fault::Absent(what);
        }
        if may_pass(error) {
            return Fault::Bus(format!(
                "the {name} at GPIO{pin} was not understood in {TRIES} tries, says the kernel: {error}"
            ));
        }
        unreadable(Path::new(TEMPERATURE), error)
    }
}

impl<S: Fn(Duration) + Send> Sensor for Dht<S> {
    /// Not a measurement, but the rest of the pause: others are read meanwhile.
    fn begin(&mut self) -> Result<Option<Duration>, Fault> {
        Ok(self.rest())
    }

    fn measure(&mut self) -> Result<Measured, Fault> {
        let mut tries = 0;
        let [temperature, humidity] = loop {
            if let Some(rest) = self.rest() {
                (self.sleep)(rest);
            }
            tries += 1;
            let error = match self.look()? {
                Ok(values) => break values,
                Err(error) => error,
            };
            // A device that has another number now was not asked.
            let is_gone = error.kind() == io::ErrorKind::NotFound;
            self.failed = if is_gone { None } else { Some(self.clock.now().mono) };
            if tries == TRIES || !(is_gone || may_pass(&error)) {
                return Err(self.fault(&error));
            }
        };
        self.failed = None;
        let within = |value: f64, [least, most]: [f64; 2], unit: &str| {
            if (least..=most).contains(&value) {
                return Ok(value);
            }
            let name = self.model.name;
            Err(Fault::OutOfRange(format!("{value} {unit} is not within a {name}'s {least} to {most}")))
        };
        Ok(vec![within(temperature, self.model.temperature, "°C"), within(humidity, self.model.humidity, "%")])
    }
}

/// What config.txt needs.
fn overlay(pin: u8) -> String {
    format!("dtoverlay=dht11,gpiopin={pin}")
}

const MISSING: &str =
    "no DHT11 or DHT22: for one at GPIO4 put `dtoverlay=dht11,gpiopin=4` into /boot/firmware/config.txt and reboot";

/// The IIO device of the part at this pin.
fn find(files: &dyn Files, pin: u8) -> Result<Chip, Fault> {
    let mut pins = Vec::new();
    for chip in IIO.chips(files).into_iter().filter(|chip| is_dht(files, &chip.folder)) {
        match gpio(files, &chip.folder) {
            Some(number) if number == u32::from(pin) => return Ok(chip),
            other => pins.extend(other),
        }
    }
    let line = overlay(pin);
    let Some(other) = pins.first() else {
        return Err(Fault::Absent(format!(
            "the kernel reads no DHT11 or DHT22: put `{line}` into /boot/firmware/config.txt and reboot"
        )));
    };
    Err(Fault::Unsupported(format!(
        "the kernel reads a DHT at GPIO{other} and none at GPIO{pin}: write pin = {other}, or put `{line}` into \
         /boot/firmware/config.txt and reboot"
    )))
}

/// Whether the overlay has made an IIO device.
pub(super) fn is_dht(files: &dyn Files, folder: &Path) -> bool {
    let text = files.read(&folder.join("of_node/compatible"));
    text.is_ok_and(|text| text.split('\0').any(|name| name == "dht11"))
}

/// The line that the overlay has given it.
fn gpio(files: &dyn Files, folder: &Path) -> Option<u32> {
    let cells = files.bytes(&folder.join("of_node/gpios")).ok()?;
    Some(u32::from_be_bytes(cells.get(4..8)?.try_into().ok()?))
}

/// What this machine has.
fn parts(files: &dyn Files) -> Vec<DrivenPart> {
    let mut parts = Vec::new();
    for chip in IIO.chips(files).into_iter().filter(|chip| is_dht(files, &chip.folder)) {
        let Some(pin) = gpio(files, &chip.folder) else { continue };
        let value = |file| Some(number::parse(&files.read(&chip.folder.join(file)).ok()?).ok()? / 1000.0);
        parts.push(DrivenPart {
            name: "air".to_owned(),
            what: format!("DHT22 or DHT11 at GPIO{pin}"),
            place: chip.place.clone(),
            keys: json!({ "pin": pin }).as_object().cloned().unwrap_or_default(),
            remark: Some("the kernel does not say which it is: for a DHT11 write use = \"dht11\"".to_owned()),
            channels: vec![
                DrivenChannel::new("temperature".to_owned(), "°C", 0.1, value(TEMPERATURE)),
                DrivenChannel::new("humidity".to_owned(), "%", 0.1, value(HUMIDITY)),
            ],
            is_attached: true,
        });
    }
    parts
}
