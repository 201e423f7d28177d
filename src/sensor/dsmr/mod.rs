//! A smart meter on its P1 port: DSMR 2 to 5 in the Netherlands, and its kin in Belgium, Luxembourg, Sweden and Hungary.
//!
//! A telegram (DSMR 5.0.2 P1, 5.2 and 6) goes from `/` to `!`, in lines of an OBIS code and values in brackets, and ends
//! with the CRC-16/ARC of all of it in hexadecimal digits. Before version 4 there is no CRC. The meter talks by itself,
//! every second or every ten; the cable must hold its request line high.

mod telegram;

use std::time::Duration;

use serde::Deserialize;

use super::number::quoted;
use super::{Bus, Device, Port, ReadingSender, Resource, SerialDriver, Source, Stream};
use crate::entry::Reduce;
use crate::hal::sim::Sim;
use crate::hal::{Hal, Parity, PortOptions};
use crate::reading::{Fault, Quantity};
use crate::time::Mono;

use telegram::{COLUMNS, Column};

/// The keys of `use = "dsmr"`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The port.
    #[cfg_attr(feature = "docs", schemars(extend("examples" = ["/dev/serial/by-id/usb-FTDI_FT232R_A1-if00-port0"])))]
    port: String,
    /// Its speed in bits a second. For meters before DSMR 4 write 9600; this also sets 7 data bits and even parity.
    #[serde(default = "baud_115200")]
    #[cfg_attr(feature = "docs", schemars(range(min = 1)))]
    baud: u32,
}

const fn baud_115200() -> u32 {
    115_200
}

impl Settings {
    fn port(&self) -> Port {
        let options = PortOptions::new(self.baud);
        let old = PortOptions { data_bits: 7, parity: Parity::Even, ..options };
        Port { path: self.port.clone(), options: if self.baud == 9600 { old } else { options } }
    }
}

impl Device for Settings {
    fn quantities(&self) -> Vec<Quantity> {
        let quantity = |Column { name, unit, .. }: &Column| {
            let quantity = Quantity::new(name, unit.name()).resolving(unit.resolution());
            if unit.is_total() { quantity.reduced_by(Reduce::Last) } else { quantity }
        };
        COLUMNS.iter().map(quantity).collect()
    }

    fn proof(&self) -> crate::sensor::Proof {
        crate::sensor::Proof::Recording
    }

    fn bus(&self) -> Bus {
        Bus::Serial
    }

    /// Old meters talk every ten seconds.
    fn default_timeout(&self) -> Duration {
        Duration::from_secs(30)
    }

    fn resources(&self) -> Vec<Resource> {
        vec![Resource::SerialPort(self.port())]
    }

    fn faults(&self) -> Vec<(&'static str, String)> {
        super::port::faults(&self.port())
    }

    fn open(&self, _hal: &Hal, _sender: ReadingSender) -> Result<Source, Fault> {
        let reader = Reader { port: self.port.clone(), telegram: Vec::new(), refused: None };
        Ok(Source::Stream(SerialDriver::Stream(Box::new(reader))))
    }

    fn simulate(&self, sim: &Sim) {
        sim.serial(&self.port, Duration::from_secs(10), telegram::simulated);
    }
}

/// Those with messages have up to some 3000 bytes.
const LONGEST: usize = 8192;

struct Reader {
    port: String,
    /// From the slash on.
    telegram: Vec<u8>,
    /// What came instead, since the last complaint.
    refused: Option<String>,
}

impl Stream for Reader {
    fn bytes(&mut self, at: Mono, bytes: &[u8], sender: &ReadingSender) {
        for byte in bytes {
            // A slash at the beginning of a line begins a telegram, even where the end of the one before was lost.
            let begins = *byte == b'/' && self.telegram.last().is_none_or(|before| *before == b'\n');
            if begins || self.telegram.len() == LONGEST {
                self.telegram.clear();
            }
            if begins || !self.telegram.is_empty() {
                self.telegram.push(*byte);
            }
            if *byte == b'\n' {
                self.line(at, sender);
            } else if self.telegram.is_empty() {
                self.refused.get_or_insert_with(|| "bytes come, but no telegram begins".to_owned());
            }
        }
    }

    fn complaint(&mut self) -> Option<Fault> {
        let shown = quoted(&String::from_utf8_lossy(&self.telegram));
        let open = (!self.telegram.is_empty()).then(|| format!("a telegram has no end: {shown}"));
        let reason = self.refused.take().or(open)?;
        Some(Fault::Garbled(format!("{}: {reason}", self.port)))
    }
}

impl Reader {
    /// A line has ended. The last one begins with an exclamation mark.
    fn line(&mut self, at: Mono, sender: &ReadingSender) {
        let last = self.telegram.strip_suffix(b"\n").and_then(|lines| lines.rsplit(|byte| *byte == b'\n').next());
        let Some([b'!', crc @ ..]) = last else { return };
        let body = &self.telegram[..self.telegram.len() - crc.len() - 1];
        match telegram::judge(body, crc.trim_ascii()) {
            Ok(()) => {
                for (quantity, value) in telegram::values(&String::from_utf8_lossy(body)) {
                    sender.put(quantity, at, Ok(value));
                }
                self.refused = None;
            }
            Err(Fault::Checksum(reason)) => {
                let fault = Fault::Checksum(format!("{}: {reason}", self.port));
                let told = telegram::values(&String::from_utf8_lossy(body));
                for (quantity, _) in told {
                    sender.put(quantity, at, Err(fault.clone()));
                }
            }
            Err(fault) => self.refused = Some(fault.to_string()),
        }
        self.telegram.clear();
    }
}
