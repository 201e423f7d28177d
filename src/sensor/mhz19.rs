//! A CO2 sensor MH-Z19, MH-Z19B or MH-Z19C of Winsen, asked over its serial port.
//!
//! Command 0x86 (data sheet, "Read CO2 concentration"): nine bytes each way, the last of which makes the sum of the last
//! eight zero. For some minutes after power-on the part answers what it does not measure.

use std::time::Duration;

use serde::Deserialize;

use super::frames::{Frames, Look, warming_up, word, wrong_checksum};
use super::port::{Dialogue, Input, Step};
use super::{Bus, Device, Port, ReadingSender, Resource, SerialDriver, Source, checksum};
use crate::hal::sim::Sim;
use crate::hal::{Hal, PortOptions};
use crate::reading::{Fault, Quantity};
use crate::time::Mono;

/// The keys of `use = "mhz19"`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The port. Its speed is fixed: 9600 8N1.
    #[serde(default = "serial0")]
    port: String,
}

fn serial0() -> String {
    "/dev/serial0".to_owned()
}

const QUESTION: [u8; 9] = [0xff, 0x01, 0x86, 0, 0, 0, 0, 0, 0x79];
/// Longer than any time-out, which ends the turn before.
const FAR: Duration = Duration::from_secs(24 * 3600);

impl Settings {
    fn port(&self) -> Port {
        Port { path: self.port.clone(), options: PortOptions::new(9600) }
    }
}

impl Device for Settings {
    fn quantities(&self) -> Vec<Quantity> {
        vec![Quantity::new("co2", "ppm").resolving(1.0)]
    }

    fn proof(&self) -> crate::sensor::Proof {
        crate::sensor::Proof::Formula
    }

    fn bus(&self) -> Bus {
        Bus::Serial
    }

    fn is_asked(&self) -> bool {
        true
    }

    fn resources(&self) -> Vec<Resource> {
        vec![Resource::SerialPort(self.port())]
    }

    fn faults(&self) -> Vec<(&'static str, String)> {
        super::port::faults(&self.port())
    }

    fn open(&self, _hal: &Hal, _sender: ReadingSender) -> Result<Source, Fault> {
        let part = Part { port: self.port.clone(), frames: Frames::default() };
        Ok(Source::Stream(SerialDriver::Dialogue(Box::new(part))))
    }

    fn simulate(&self, sim: &Sim) {
        sim.serial_asked(&self.port, |at, asked| {
            let co2 = 500 + u16::try_from(at.since_boot().as_secs() / 10 % 100).unwrap_or(0);
            if asked == QUESTION { answer(co2) } else { Vec::new() }
        });
    }
}

struct Part {
    port: String,
    frames: Frames,
}

impl Dialogue for Part {
    fn step(&mut self, now: Mono, input: Input<'_>, sender: &ReadingSender) -> Step {
        let bytes = match input {
            Input::Turn => {
                self.frames.clear();
                return Step::Send(QUESTION.to_vec(), now + FAR);
            }
            Input::Bytes(bytes) => bytes,
            Input::Time => &[],
        };
        let Self { port, frames } = self;
        let look = |rest: &[u8]| match rest {
            [0xff, 0x86, ..] => Look::Frame(9),
            [0xff] => Look::More,
            _ => Look::Nothing,
        };
        let mut answer = None;
        frames.feed(bytes, look, |frame| {
            let expected = checksum::sum(&frame[1..8]).wrapping_neg();
            let is_good = frame[8] == expected;
            let value = if !is_good {
                Err(wrong_checksum(port, frame[8].into(), expected.into(), frame))
            } else if frame[2..8].iter().all(|byte| *byte == 0) {
                Err(warming_up())
            } else {
                Ok(f64::from(word(frame, 2)))
            };
            answer = Some(value);
            is_good
        });
        let Some(value) = answer else { return Step::Wait(now + FAR) };
        sender.put(0, now, value);
        Step::Done
    }

    fn complaint(&mut self) -> Option<Fault> {
        self.frames.complaint(&self.port)
    }
}

fn answer(co2: u16) -> Vec<u8> {
    let [high, low] = co2.to_be_bytes();
    let body = [0x86, high, low, 0x42, 0, 0, 0];
    [&[0xff][..], &body, &[checksum::sum(&body).wrapping_neg()]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sensor::frames::hex;
    use crate::sensor::frames::tests::{Put, bytes, noting};

    /// The answer to one question, and how the turn stands then.
    fn ask(hex: &str) -> (Vec<Put>, Step, Option<Fault>) {
        let mut part = Part { port: "/dev/serial0".to_owned(), frames: Frames::default() };
        let (sender, puts) = noting();
        let now = Mono::default();
        let Step::Send(question, _) = part.step(now, Input::Turn, &sender) else { panic!("it asks") };
        assert_eq!(question[8], checksum::sum(&question[1..8]).wrapping_neg());
        let mut step = Step::Wait(now + FAR);
        for byte in bytes(hex) {
            step = part.step(now, Input::Bytes(&[byte]), &sender);
        }
        let puts = puts.lock().unwrap().clone();
        (puts, step, part.complaint())
    }

    /// avaldebe/PyPMS, tests/sensors/test_message.py; the second one captured from an MH-Z19B.
    #[test]
    fn answers_are_read() {
        assert_eq!(ask("ff 86 01 f4 00 00 00 00 85"), (vec![(0, Ok(500.0))], Step::Done, None));
        assert_eq!(ask("00 ff ff 86 02 7c 42 00 00 00 ba").0, [(0, Ok(636.0))]);
    }

    #[test]
    fn bad_answers_are_refused() {
        let (puts, step, _) = ask("ff 86 01 f4 00 00 00 00 84");
        let told = puts[0].1.clone().unwrap_err().to_string();
        assert!(told.starts_with("checksum wrong: /dev/serial0: 84 where 85 belongs in ff 86 01"), "{told}");
        assert_eq!(step, Step::Done);
        let (puts, step, complaint) = ask("ff 87 01 f4 00 00 00 00 84");
        assert_eq!(puts, [], "the answer to another question");
        assert!(matches!(step, Step::Wait(_)) && complaint.is_some());
        assert_eq!(ask("ff 86 00 00 00 00 00 00 7a").0, [(0, Err(warming_up()))]);
    }

    #[test]
    fn what_is_simulated_is_read() {
        assert_eq!(ask(&hex(&answer(812))).0, [(0, Ok(812.0))]);
    }
}
