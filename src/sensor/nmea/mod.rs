//! A GNSS receiver on a serial port: position, height, satellites, speed and course from NMEA 0183 sentences.
//!
//! Only GGA and RMC of any talker (GP, GN, GL, IN …) are used; the rest is checked and passed over. A sentence counts
//! only with a right checksum: positions with a flipped digit look like any other. Without a fix there is no position,
//! even where the receiver goes on repeating the last one.

mod sentence;
mod sim;

#[cfg(test)]
mod tests;

use std::time::Duration;

use nmea::ParseResult;
use nmea::sentences::rmc::RmcStatusOfFix;
use nmea::sentences::{FaaMode, FixType, GgaData, RmcData};
use serde::Deserialize;

use super::lines::Lines;
use super::number::quoted;
use super::{Bus, Device, Port, ReadingSender, Recognition, Resource, SerialDriver, Source, Stream};
use crate::entry::Reduce;
use crate::hal::sim::Sim;
use crate::hal::{Hal, PortOptions};
use crate::reading::{Fault, Quantity};
use crate::time::Mono;

use sentence::{Sentence, Unusable};

/// The keys of `use = "nmea"`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The receiver's port.
    #[serde(default = "serial0")]
    port: String,
    /// Its speed in bits a second: 4800 in the standard, 9600 for nearly all modern receivers.
    #[serde(default = "baud_9600")]
    #[cfg_attr(feature = "docs", schemars(range(min = 1)))]
    baud: u32,
}

fn serial0() -> String {
    "/dev/serial0".to_owned()
}

fn baud_9600() -> u32 {
    9600
}

impl Settings {
    fn port(&self) -> Port {
        Port { path: self.port.clone(), options: PortOptions::new(self.baud) }
    }
}

/// Places of the quantities in [`Device::quantities`].
const LATITUDE: usize = 0;
const LONGITUDE: usize = 1;
const ELEVATION: usize = 2;
const SATELLITES: usize = 3;
const SPEED: usize = 4;
const COURSE: usize = 5;

impl Device for Settings {
    fn quantities(&self) -> Vec<Quantity> {
        vec![
            // Receivers write four to seven digits of a minute, the best of which are centimetres.
            Quantity::new("latitude", "°").reduced_by(Reduce::Last).resolving(1e-7),
            Quantity::new("longitude", "°").reduced_by(Reduce::Last).resolving(1e-7),
            Quantity::new("elevation", "m").reduced_by(Reduce::Last).resolving(0.01),
            Quantity::new("satellites", "").resolving(1.0),
            Quantity::new("speed", "km/h").resolving(0.01),
            // Over ground, from true north. Most receivers leave it out while they stand still.
            Quantity::new("course", "°").reduced_by(Reduce::Direction).resolving(0.1),
        ]
    }

    fn recognition() -> Option<Recognition> {
        Some(Recognition::SerialPort { about: "a GNSS receiver.", example: None })
    }

    fn proof(&self) -> crate::sensor::Proof {
        crate::sensor::Proof::Recording
    }

    fn bus(&self) -> Bus {
        Bus::Serial
    }

    fn resources(&self) -> Vec<Resource> {
        vec![Resource::SerialPort(self.port())]
    }

    fn faults(&self) -> Vec<(&'static str, String)> {
        super::port::faults(&self.port())
    }

    fn open(&self, _hal: &Hal, _outlet: ReadingSender) -> Result<Source, Fault> {
        let receiver = Receiver { port: self.port().path, ..Receiver::default() };
        Ok(Source::Stream(SerialDriver::Stream(Box::new(receiver))))
    }

    fn simulate(&self, sim: &Sim) {
        sim.serial(&self.port, Duration::from_secs(1), sim::talk);
    }
}

/// What a receiver says, taken apart.
#[derive(Debug, Default)]
pub struct Receiver {
    port: String,
    lines: Lines,
    bad_checksums: u64,
    /// The first bytes since the last complaint, until a sentence comes.
    came: Vec<u8>,
    /// Whether one has come since.
    a_sentence: bool,
}

/// How many bytes a fault quotes: half of a sentence.
const QUOTED: usize = 40;

impl Receiver {
    /// How many sentences came with a wrong checksum.
    pub fn bad_checksums(&self) -> u64 {
        self.bad_checksums
    }
}

impl Stream for Receiver {
    fn bytes(&mut self, at: Mono, bytes: &[u8], sender: &ReadingSender) {
        let Self { lines, bad_checksums, came, a_sentence, .. } = self;
        came.extend(bytes.iter().take(QUOTED - came.len()));
        lines.feed(bytes, |line| {
            if let Some(sentence) = Sentence::find(line) {
                *a_sentence = true;
                take(&sentence, at, sender, bad_checksums);
            }
        });
    }

    fn complaint(&mut self) -> Option<Fault> {
        let came = std::mem::take(&mut self.came);
        let a_sentence = std::mem::take(&mut self.a_sentence);
        (!a_sentence && !came.is_empty()).then(|| {
            let shown = quoted(&String::from_utf8_lossy(&came));
            Fault::Garbled(format!("{}: bytes come, but no sentence: {shown}", self.port))
        })
    }
}

fn take(sentence: &Sentence<'_>, at: Mono, sender: &ReadingSender, bad_checksums: &mut u64) {
    let fault = match sentence.check() {
        Ok(()) => return take_good(sentence, at, sender),
        Err(Unusable::WrongChecksum) => {
            *bad_checksums += 1;
            Fault::Checksum(format!("{bad_checksums} sentences so far"))
        }
        Err(Unusable::NoChecksum) => Fault::Garbled("a sentence without checksum".to_owned()),
    };
    let missing: &[usize] = match sentence.formatter() {
        Some("GGA") => &[LATITUDE, LONGITUDE, ELEVATION, SATELLITES],
        Some("RMC") => &[LATITUDE, LONGITUDE, SPEED, COURSE],
        _ => &[],
    };
    for quantity in missing {
        sender.put(*quantity, at, Err(fault.clone()));
    }
}

fn take_good(sentence: &Sentence<'_>, at: Mono, sender: &ReadingSender) {
    // Sentences the library cannot read (a GGA without a quality, say) have nothing to give: they are passed over.
    match sentence.parse() {
        Some(ParseResult::GGA(fix)) => take_gga(&fix, at, sender),
        Some(ParseResult::RMC(fix)) => take_rmc(&fix, at, sender),
        _ => {}
    }
}

fn take_gga(fix: &GgaData, at: Mono, sender: &ReadingSender) {
    if let Some(satellites) = fix.fix_satellites {
        sender.put(SATELLITES, at, Ok(f64::from(satellites)));
    }
    let why_not = match fix.fix_type {
        Some(FixType::Gps | FixType::DGps | FixType::Pps | FixType::Rtk | FixType::FloatRtk) => {
            put_position(fix.latitude, fix.longitude, at, sender);
            if let Some(elevation) = fix.altitude {
                sender.put(ELEVATION, at, shortest(elevation));
            }
            return;
        }
        Some(FixType::Estimated) => "no fix, the receiver only estimates where it is",
        Some(FixType::Manual) => "no fix, the position was entered by hand",
        Some(FixType::Simulation) => "no fix, the receiver is in simulator mode",
        Some(FixType::Invalid) | None => "no fix",
    };
    for quantity in [LATITUDE, LONGITUDE, ELEVATION] {
        sender.put(quantity, at, Err(Fault::Garbled(why_not.to_owned())));
    }
}

/// An RMC without a fix is passed over: GGA tells of a missing fix, and two voices for one fact would count it twice.
fn take_rmc(fix: &RmcData, at: Mono, sender: &ReadingSender) {
    if fix.status_of_fix == RmcStatusOfFix::Invalid || !fix.faa_mode.is_none_or(is_measured) {
        return;
    }
    put_position(fix.lat, fix.lon, at, sender);
    if let Some(knots) = fix.speed_over_ground {
        sender.put(SPEED, at, shortest(knots).map(|knots| knots * KM_PER_NAUTICAL_MILE));
    }
    if let Some(course) = fix.true_course {
        sender.put(COURSE, at, shortest(course));
    }
}

/// Whether the mode letter (NMEA 0183 2.3 and later) is that of a measured position. The status alone does not say: it is A, for
/// valid, in dead reckoning and in the simulator mode of some receivers as well.
const fn is_measured(mode: FaaMode) -> bool {
    match mode {
        FaaMode::Autonomous | FaaMode::Differential | FaaMode::FixedRtk | FaaMode::FloatRtk | FaaMode::Precise => true,
        FaaMode::Estimated
        | FaaMode::Manual
        | FaaMode::Simulator
        | FaaMode::DataNotValid
        | FaaMode::Caution
        | FaaMode::Unsafe => false,
    }
}

/// By definition.
const KM_PER_NAUTICAL_MILE: f64 = 1.852;

fn put_position(latitude: Option<f64>, longitude: Option<f64>, at: Mono, sender: &ReadingSender) {
    for (quantity, degrees, largest) in [(LATITUDE, latitude, 90.0), (LONGITUDE, longitude, 180.0)] {
        let Some(degrees) = degrees else { continue };
        // A NaN is within nothing.
        let value = if (-largest..=largest).contains(&degrees) {
            Ok(degrees)
        } else {
            Err(Fault::Garbled(format!("{degrees} is no position")))
        };
        sender.put(quantity, at, value);
    }
}

/// The number as the receiver wrote it: 278.02 is 278.0199… when its `f32` is merely widened.
fn shortest(value: f32) -> Result<f64, Fault> {
    let exact = value.to_string().parse::<f64>().ok().filter(|value| value.is_finite());
    exact.ok_or_else(|| Fault::Garbled(format!("{value} is no number")))
}
