//! A particle counter of Plantower: PMS5003, its kin PMS7003, PMS1003 and PMSA003, the older PMS3003, and those with
//! temperature, humidity or formaldehyde.
//!
//! Frame (data sheet of the PMS5003, appendix I): `42 4d`, length, words, and the sum of all bytes before it; highest byte
//! first. It talks by itself in active mode, which it is in after power-on.

use std::time::Duration;

use serde::Deserialize;

use super::frames::{Frames, Look, warming_up, word, wrong_checksum};
use super::{Bus, Device, Port, ReadingSender, Resource, SerialDriver, Source, Stream};
use crate::hal::sim::Sim;
use crate::hal::{Hal, PortOptions};
use crate::reading::{Fault, Quantity};
use crate::time::Mono;

/// The keys of `use = "pms5003"`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The port. Its speed is fixed: 9600 8N1.
    #[serde(default = "serial0")]
    port: String,
    /// The part: 5003 also means 7003, 1003 and A003. The frames of 5003, 5003T and 5003S look alike.
    #[serde(default)]
    variant: Variant,
}

fn serial0() -> String {
    "/dev/serial0".to_owned()
}

/// What is in the frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "docs", derive(serde::Serialize, schemars::JsonSchema))]
enum Variant {
    /// PMS3003: no counts.
    #[serde(rename = "3003")]
    Pms3003,
    /// PMS5003, 7003, 1003, A003.
    #[default]
    #[serde(rename = "5003")]
    Pms5003,
    /// With temperature and humidity instead of the two coarsest counts.
    #[serde(rename = "5003T")]
    Pms5003T,
    /// With formaldehyde.
    #[serde(rename = "5003S")]
    Pms5003S,
    /// With formaldehyde, temperature and humidity.
    #[serde(rename = "5003ST")]
    Pms5003ST,
}

/// A quantity: its name and unit, its word in the frame, and how many of its steps make one.
struct Column(&'static str, &'static str, usize, f64);

/// Mass for the air outdoors; the calibration for industrial dust (CF = 1) is in the words 0 to 2.
const MASS: [Column; 3] =
    [Column("pm1", "µg/m³", 3, 1.0), Column("pm2_5", "µg/m³", 4, 1.0), Column("pm10", "µg/m³", 5, 1.0)];
/// Particles larger than so many µm in 0.1 l.
const COUNTS: [Column; 6] = [
    Column("over_0_3", "1/0.1 l", 6, 1.0),
    Column("over_0_5", "1/0.1 l", 7, 1.0),
    Column("over_1", "1/0.1 l", 8, 1.0),
    Column("over_2_5", "1/0.1 l", 9, 1.0),
    Column("over_5", "1/0.1 l", 10, 1.0),
    Column("over_10", "1/0.1 l", 11, 1.0),
];
const CLIMATE_T: [Column; 2] = [Column("temperature", "°C", 10, 10.0), Column("humidity", "%", 11, 10.0)];
const FORMALDEHYDE: [Column; 1] = [Column("formaldehyde", "mg/m³", 12, 1000.0)];
const CLIMATE_ST: [Column; 2] = [Column("temperature", "°C", 13, 10.0), Column("humidity", "%", 14, 10.0)];

impl Variant {
    fn columns(self) -> impl Iterator<Item = &'static Column> {
        let (counts, formaldehyde, climate): (&[Column], &[Column], &[Column]) = match self {
            Self::Pms3003 => (&[], &[], &[]),
            Self::Pms5003 => (&COUNTS, &[], &[]),
            Self::Pms5003T => (&COUNTS[..4], &[], &CLIMATE_T),
            Self::Pms5003S => (&COUNTS, &FORMALDEHYDE, &[]),
            Self::Pms5003ST => (&COUNTS, &FORMALDEHYDE, &CLIMATE_ST),
        };
        MASS.iter().chain(counts).chain(formaldehyde).chain(climate)
    }

    /// What the length field says: the words and the check sum.
    const fn length(self) -> u16 {
        match self {
            Self::Pms3003 => 20,
            Self::Pms5003 | Self::Pms5003T | Self::Pms5003S => 28,
            Self::Pms5003ST => 36,
        }
    }
}

impl Settings {
    fn port(&self) -> Port {
        Port { path: self.port.clone(), options: PortOptions::new(9600) }
    }
}

impl Device for Settings {
    fn quantities(&self) -> Vec<Quantity> {
        self.variant
            .columns()
            .map(|Column(name, unit, _, steps)| Quantity::new(name, unit).resolving(1.0 / steps))
            .collect()
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

    fn open(&self, _hal: &Hal, _sender: ReadingSender) -> Result<Source, Fault> {
        let reader = Reader { port: self.port.clone(), variant: self.variant, frames: Frames::default() };
        Ok(Source::Stream(SerialDriver::Stream(Box::new(reader))))
    }

    fn simulate(&self, sim: &Sim) {
        let variant = self.variant;
        sim.serial(&self.port, Duration::from_secs(1), move |at| frame(variant, at));
    }
}

struct Reader {
    port: String,
    variant: Variant,
    frames: Frames,
}

/// The words begin behind header and length.
const FIRST_WORD: usize = 4;

impl Stream for Reader {
    fn bytes(&mut self, at: Mono, bytes: &[u8], sender: &ReadingSender) {
        let Self { port, variant, frames } = self;
        let length = variant.length();
        let look = |rest: &[u8]| match rest {
            [0x42, 0x4d, high, low, ..] if u16::from_be_bytes([*high, *low]) == length => {
                Look::Frame(FIRST_WORD + usize::from(length))
            }
            [0x42] | [0x42, 0x4d] | [0x42, 0x4d, 0] => Look::More,
            _ => Look::Nothing,
        };
        frames.feed(bytes, look, |frame| {
            let (body, given) = (&frame[..frame.len() - 2], word(frame, frame.len() - 2));
            let expected = body.iter().fold(0_u16, |sum, byte| sum.wrapping_add(u16::from(*byte)));
            let fault = if given != expected {
                Some(wrong_checksum(port, given, expected, frame))
            } else if body[FIRST_WORD..].iter().all(|byte| *byte == 0) {
                Some(warming_up())
            } else {
                None
            };
            for (quantity, Column(name, _, place, steps)) in variant.columns().enumerate() {
                let raw = word(frame, FIRST_WORD + 2 * place);
                // The temperature alone may be below zero.
                let raw = if *name == "temperature" { f64::from(raw.cast_signed()) } else { f64::from(raw) };
                sender.put(quantity, at, fault.clone().map_or(Ok(raw / steps), Err));
            }
            given == expected
        });
    }

    fn complaint(&mut self) -> Option<Fault> {
        self.frames.complaint(&self.port)
    }
}

/// What a simulated part says: clean air whose dust moves slowly.
fn frame(variant: Variant, at: Mono) -> Vec<u8> {
    let wave = u16::try_from(at.since_boot().as_secs() / 10 % 20).unwrap_or(0);
    let length = variant.length();
    let mut frame = [&[0x42, 0x4d][..], &length.to_be_bytes()].concat();
    let mut words = vec![0_u16; usize::from(length) / 2 - 1];
    words[0] = 3 + wave;
    for Column(name, _, place, _) in variant.columns() {
        words[*place] = match *name {
            "temperature" => 210 + wave,
            "humidity" => 450 + wave,
            "formaldehyde" => 20 + wave,
            _ => 3 + wave + u16::try_from(*place).unwrap_or(0),
        };
    }
    frame.extend(words.iter().flat_map(|word| word.to_be_bytes()));
    let sum = frame.iter().fold(0_u16, |sum, byte| sum.wrapping_add(u16::from(*byte)));
    frame.extend(sum.to_be_bytes());
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sensor::frames::tests::{bytes, heard};

    fn part(variant: &str) -> Settings {
        serde_json::from_value(serde_json::json!({ "variant": variant })).unwrap()
    }

    fn values(variant: &str, frame: &[u8]) -> Vec<f64> {
        let (puts, _) = heard(&part(variant), frame, 7);
        puts.into_iter().map(|(_, value)| value.unwrap()).collect()
    }

    /// avaldebe/PyPMS, tests/sensors/test_message.py, and tests/captured_data with its CSV.
    const GOOD: &str =
        "42 4d 00 1c 00 05 00 0d 00 16 00 05 00 0d 00 16 02 fd 00 fc 00 1d 00 0f 00 06 00 06 97 00 03 c5";

    #[test]
    fn captured_frames_are_read() {
        assert_eq!(values("5003", &bytes(GOOD)), [5.0, 13.0, 22.0, 765.0, 252.0, 29.0, 15.0, 6.0, 6.0]);
        let t = "42 4d 00 1c 00 17 00 27 00 29 00 16 00 23 00 29 10 08 04 a9 01 16 00 0c 00 d4 00 e0 9a 00 04 aa";
        assert_eq!(values("5003T", &bytes(t)), [22.0, 35.0, 41.0, 4104.0, 1193.0, 278.0, 12.0, 21.2, 22.4]);
        let old = "42 4d 00 14 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 51 00 f4";
        assert_eq!(values("3003", &bytes(old)), [0.0, 0.0, 0.0]);
    }

    #[test]
    fn a_wrong_check_sum_is_a_fault_and_the_next_frame_is_found() {
        let wrong = GOOD.replace("03 c5", "00 00");
        let stream = [&b"BMxB"[..], &bytes(&wrong), &bytes(&GOOD[..29]), &bytes(GOOD)].concat();
        for piece in [1, 5, 400] {
            let (puts, _) = heard(&part("5003"), &stream, piece);
            let told = puts[0].1.clone().unwrap_err().to_string();
            assert!(told.starts_with("checksum wrong: /dev/serial0: 0 where 3c5 belongs in 42 4d 00 1c"), "{told}");
            assert_eq!(puts.last(), Some(&(8, Ok(6.0))), "{piece}");
        }
    }

    #[test]
    fn a_part_that_warms_up_has_no_value_and_a_wrong_length_is_no_frame() {
        let zero = format!("42 4d 00 1c {}00 ab", "00 ".repeat(26));
        let (puts, _) = heard(&part("5003"), &bytes(&zero), 3);
        assert!(puts.iter().all(|(_, value)| *value == Err(warming_up())) && puts.len() == 9, "{puts:?}");
        let (puts, complaint) = heard(&part("5003"), &bytes(&GOOD.replacen("1c", "00", 1)), 3);
        assert_eq!(puts, []);
        let told = complaint.unwrap().to_string();
        assert!(told.contains("bytes come, but no whole frame: 42 4d 00 00 00 05"), "{told}");
    }

    #[test]
    fn simulated_parts_of_every_variant_are_read() {
        for variant in ["3003", "5003", "5003T", "5003S", "5003ST"] {
            let settings = part(variant);
            let said = frame(settings.variant, Mono::new(Duration::from_secs(50)));
            assert_eq!(values(variant, &said).len(), settings.quantities().len(), "{variant}");
        }
    }

    #[test]
    fn frost_is_below_zero() {
        let mut said = frame(Variant::Pms5003T, Mono::default());
        let place = FIRST_WORD + 20;
        said[place..place + 2].copy_from_slice(&(-55_i16).to_be_bytes());
        let end = said.len() - 2;
        let sum = said[..end].iter().fold(0_u16, |sum, byte| sum + u16::from(*byte));
        said[end..].copy_from_slice(&sum.to_be_bytes());
        assert!((values("5003T", &said)[7] + 5.5).abs() < 1e-9);
    }
}
