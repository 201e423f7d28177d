//! A dust sensor of Nova: SDS011, and its kin SDS018 and SDS021.
//!
//! Frame (data sheet, "UART communication protocol"): `aa c0`, PM2.5 and PM10 in tenths with the low byte first, the part's
//! id, the sum of these six bytes, `ab`. It talks by itself each second.

use std::time::Duration;

use serde::Deserialize;

use super::frames::{Frames, Look, warming_up, wrong_checksum};
use super::{Bus, Device, Port, ReadingSender, Resource, SerialDriver, Source, Stream, checksum};
use crate::hal::sim::Sim;
use crate::hal::{Hal, PortOptions};
use crate::reading::{Fault, Quantity};
use crate::time::Mono;

/// The keys of `use = "sds011"`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The port. Its speed is fixed: 9600 8N1.
    #[cfg_attr(feature = "docs", schemars(extend("examples" = ["/dev/serial/by-id/usb-1a86_USB_Serial-if00-port0"])))]
    port: String,
}

impl Settings {
    fn port(&self) -> Port {
        Port { path: self.port.clone(), options: PortOptions::new(9600) }
    }
}

impl Device for Settings {
    fn quantities(&self) -> Vec<Quantity> {
        ["pm2_5", "pm10"].map(|name| Quantity::new(name, "µg/m³").resolving(0.1)).into()
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
        let reader = Reader { port: self.port.clone(), frames: Frames::default() };
        Ok(Source::Stream(SerialDriver::Stream(Box::new(reader))))
    }

    fn simulate(&self, sim: &Sim) {
        sim.serial(&self.port, Duration::from_secs(1), |at| {
            let wave = u8::try_from(at.since_boot().as_secs() / 10 % 20).unwrap_or(0);
            frame([80 + wave, 0, 120 + wave, 0, 0xa1, 0x60])
        });
    }
}

struct Reader {
    port: String,
    frames: Frames,
}

impl Stream for Reader {
    fn bytes(&mut self, at: Mono, bytes: &[u8], sender: &ReadingSender) {
        let Self { port, frames } = self;
        let look = |rest: &[u8]| match rest {
            [0xaa, 0xc0, _, _, _, _, _, _, _, tail, ..] if *tail != 0xab => Look::Nothing,
            [0xaa, 0xc0, ..] => Look::Frame(10),
            [0xaa] => Look::More,
            _ => Look::Nothing,
        };
        frames.feed(bytes, look, |frame| {
            let (data, given) = (&frame[2..8], frame[8]);
            let expected = checksum::sum(data);
            let fault = if given != expected {
                Some(wrong_checksum(port, given.into(), expected.into(), frame))
            } else if data.iter().all(|byte| *byte == 0) {
                Some(warming_up())
            } else {
                None
            };
            for (quantity, tenths) in
                [[data[0], data[1]], [data[2], data[3]]].map(u16::from_le_bytes).into_iter().enumerate()
            {
                sender.put(quantity, at, fault.clone().map_or(Ok(f64::from(tenths) / 10.0), Err));
            }
            given == expected
        });
    }

    fn complaint(&mut self) -> Option<Fault> {
        self.frames.complaint(&self.port)
    }
}

fn frame(data: [u8; 6]) -> Vec<u8> {
    [&[0xaa, 0xc0][..], &data, &[checksum::sum(&data), 0xab]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sensor::frames::hex;
    use crate::sensor::frames::tests::{Put, bytes, heard};

    fn hear(hex: &str, piece: usize) -> (Vec<Put>, Option<Fault>) {
        let settings: Settings = serde_json::from_value(serde_json::json!({ "port": "/dev/ttyUSB0" })).unwrap();
        heard(&settings, &bytes(hex), piece)
    }

    /// The data sheet's example, and with its alterations in avaldebe/PyPMS, tests/sensors/test_message.py.
    const GOOD: &str = "aa c0 d4 04 3a 0a a1 60 1d ab";

    #[test]
    fn frames_are_read_after_garbage_too() {
        assert_eq!(hear(GOOD, 3), (vec![(0, Ok(123.6)), (1, Ok(261.8))], None));
        // Captured from a part by the same project.
        assert_eq!(hear("ab aa aa c0 06 00 06 00 58 d9 3d ab", 1).0, [(0, Ok(0.6)), (1, Ok(0.6))]);
    }

    #[test]
    fn bad_frames_are_refused() {
        let (puts, _) = hear(&format!("aa c0 d4 04 3a 0a a1 60 00 ab {GOOD}"), 4);
        assert!(puts[0].1.clone().unwrap_err().to_string().contains("/dev/ttyUSB0: 0 where 1d belongs"), "{puts:?}");
        assert_eq!(puts[2..], [(0, Ok(123.6)), (1, Ok(261.8))]);
        for no_frame in ["ab c0 d4 04 3a 0a a1 60 1d aa", "aa c0 d4 04 3a 0a a1 60 1d aa"] {
            let (puts, complaint) = hear(no_frame, 10);
            assert_eq!(puts, [], "{no_frame}");
            assert!(complaint.is_some());
        }
        assert_eq!(hear("aa c0 00 00 00 00 00 00 00 ab", 10).0, [(0, Err(warming_up())), (1, Err(warming_up()))]);
    }

    #[test]
    fn what_is_simulated_is_read() {
        assert_eq!(hear(&hex(&frame([80, 0, 120, 1, 0xa1, 0x60])), 10).0, [(0, Ok(8.0)), (1, Ok(37.6))]);
    }
}
