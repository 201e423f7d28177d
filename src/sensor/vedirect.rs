//! A Victron device on its VE.Direct port: battery monitor, solar charger, inverter.
//!
//! Text protocol (Victron, "VE.Direct Protocol", 3.34): each second a block of `\r\n`, label, tab, value, the last label of
//! which is `Checksum` with one byte that makes the sum of all bytes of the block zero. Between two bytes of it, messages
//! of the other protocol may come, from `:` to `\n`; they are passed over.

use std::collections::HashMap;
use std::time::Duration;

use serde::Deserialize;

use super::number::quoted;
use super::{Bus, Device, Port, ReadingSender, Resource, SerialDriver, Source, Stream, checksum, number};
use crate::entry::Reduce;
use crate::hal::sim::Sim;
use crate::hal::{Hal, PortOptions};
use crate::reading::{Fault, Quantity};
use crate::time::Mono;

/// The keys of `use = "vedirect"`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The port. Its speed is fixed: 19200 8N1.
    #[cfg_attr(feature = "docs", schemars(extend("examples" = ["/dev/serial/by-id/usb-VictronEnergy_BV_VE_Direct_cable-if00-port0"])))]
    port: String,
}

/// A quantity: name, unit, the device's label, and how many of the device's steps make one.
struct Column(&'static str, &'static str, &'static str, f64);

const COLUMNS: [Column; 14] = [
    Column("voltage", "V", "V", 1000.0),
    Column("current", "A", "I", 1000.0),
    Column("power", "W", "P", 1.0),
    Column("state_of_charge", "%", "SOC", 10.0),
    Column("consumed", "Ah", "CE", 1000.0),
    Column("time_to_go", "min", "TTG", 1.0),
    Column("temperature", "°C", "T", 1.0),
    Column("panel_voltage", "V", "VPV", 1000.0),
    Column("panel_power", "W", "PPV", 1.0),
    Column("load_current", "A", "IL", 1000.0),
    Column("yield_total", "kWh", "H19", 100.0),
    Column("yield_today", "kWh", "H20", 100.0),
    Column("state", "", "CS", 1.0),
    Column("error", "", "ERR", 1.0),
];

impl Settings {
    fn port(&self) -> Port {
        Port { path: self.port.clone(), options: PortOptions::new(19_200) }
    }
}

impl Device for Settings {
    fn quantities(&self) -> Vec<Quantity> {
        let quantity = |Column(name, unit, _, steps): &Column| {
            let quantity = Quantity::new(name, unit).resolving(1.0 / steps);
            // What counts up, or is a code, has no mean.
            let is_last = ["yield_total", "yield_today", "state", "error"].contains(name);
            if is_last { quantity.reduced_by(Reduce::Last) } else { quantity }
        };
        COLUMNS.iter().map(quantity).collect()
    }

    fn proof(&self) -> crate::sensor::Proof {
        crate::sensor::Proof::Formula
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
        let reader = Reader { port: self.port.clone(), ..Reader::default() };
        Ok(Source::Stream(SerialDriver::Stream(Box::new(reader))))
    }

    fn simulate(&self, sim: &Sim) {
        sim.serial(&self.port, Duration::from_secs(1), |at| {
            let wave = at.since_boot().as_secs() / 10 % 50;
            let values = COLUMNS.iter().map(|Column(_, _, label, steps)| {
                // The simulated charger works without a fault.
                let value = if *label == "ERR" { 0.0 } else { 5.0 * steps };
                format!(
                    "\r\n{label}\t{:.0}",
                    value + u32::try_from(wave).map_or(0.0, f64::from) * f64::from(u8::from(*label == "V"))
                )
            });
            block(&values.collect::<String>())
        });
    }
}

/// Blocks have up to 22 fields of at most 43 bytes.
const LONGEST: usize = 1024;
const LAST_LABEL: &[u8] = b"\r\nChecksum\t";

#[derive(Default)]
struct Reader {
    port: String,
    block: Vec<u8>,
    /// Inside of a message of the other protocol.
    in_hex: bool,
    /// Whether the block's beginning was seen.
    in_step: bool,
    /// Bytes came since the last complaint, and no block ended.
    no_block: bool,
}

impl Stream for Reader {
    fn bytes(&mut self, at: Mono, bytes: &[u8], sender: &ReadingSender) {
        for byte in bytes {
            self.no_block = true;
            let is_last = self.block.ends_with(LAST_LABEL);
            if self.in_hex {
                self.in_hex = *byte != b'\n';
            } else if *byte == b':' && !is_last {
                // The check byte may be a colon, too.
                self.in_hex = true;
            } else {
                self.block.push(*byte);
                if is_last {
                    self.end(at, sender);
                } else if self.block.len() == LONGEST {
                    self.block.clear();
                    self.in_step = false;
                }
            }
        }
    }

    fn complaint(&mut self) -> Option<Fault> {
        let shown = quoted(&String::from_utf8_lossy(&self.block));
        let reason = format!("{}: bytes come, but no whole block: {shown}", self.port);
        std::mem::take(&mut self.no_block).then_some(Fault::Garbled(reason))
    }
}

impl Reader {
    fn end(&mut self, at: Mono, sender: &ReadingSender) {
        let block = std::mem::take(&mut self.block);
        self.no_block = false;
        let is_good = checksum::sum(&block) == 0;
        // The port may have been opened in the middle of the first one.
        if !std::mem::replace(&mut self.in_step, true) && !is_good {
            return;
        }
        let text = String::from_utf8_lossy(&block[..block.len() - LAST_LABEL.len() - 1]);
        let fields: HashMap<&str, &str> = text.split("\r\n").filter_map(|field| field.split_once('\t')).collect();
        for (quantity, Column(_, _, label, steps)) in COLUMNS.iter().enumerate() {
            // A device has some of the labels, and may tell them in two blocks.
            let Some(value) = fields.get(label) else { continue };
            let value = if is_good {
                number::parse(value).map(|value| value / steps)
            } else {
                Err(Fault::Checksum(format!("{}: a block with {label} {}", self.port, quoted(value))))
            };
            sender.put(quantity, at, value);
        }
    }
}

/// A block with its check byte.
fn block(fields: &str) -> Vec<u8> {
    let body = [fields.as_bytes(), LAST_LABEL].concat();
    let check = checksum::sum(&body).wrapping_neg();
    [body, vec![check]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sensor::frames::tests::{Put, heard};

    fn hear(bytes: &[u8], piece: usize) -> (Vec<Put>, Option<Fault>) {
        let settings: Settings = serde_json::from_value(serde_json::json!({ "port": "/dev/ttyUSB0" })).unwrap();
        heard(&settings, bytes, piece)
    }

    const FIELDS: &str =
        "\r\nPID\t0xA053\r\nV\t12800\r\nI\t-1500\r\nVPV\t33400\r\nPPV\t48\r\nCS\t3\r\nT\t---\r\nH19\t1234";

    fn good() -> Vec<Put> {
        let dashes = Err(Fault::Garbled("\"---\" is not a number".to_owned()));
        vec![(0, Ok(12.8)), (1, Ok(-1.5)), (6, dashes), (7, Ok(33.4)), (8, Ok(48.0)), (10, Ok(12.34)), (12, Ok(3.0))]
    }

    #[test]
    fn blocks_are_read_after_a_torn_one_and_messages_between_are_passed_over() {
        let whole = block(FIELDS);
        let mut mixed = whole.clone();
        mixed.splice(20..20, *b":A0002000148\n");
        for piece in [1, 7, 1000] {
            assert_eq!(hear(&[&whole[30..], &whole].concat(), piece).0, good());
            assert_eq!(hear(&[&whole[..], &mixed].concat(), piece).0, [good(), good()].concat());
        }
    }

    #[test]
    fn a_wrong_check_sum_is_a_fault_and_the_next_block_is_read() {
        let whole = block(FIELDS);
        let flipped = String::from_utf8_lossy(&whole).replace("12800", "12900").into_bytes();
        let broken = if flipped.len() == whole.len() { flipped } else { panic!("the check byte is no text") };
        let (puts, complaint) = hear(&[&whole[..], &broken, &whole].concat(), 5);
        let told = puts[7].1.clone().unwrap_err().to_string();
        assert_eq!(told, "checksum wrong: /dev/ttyUSB0: a block with V \"12900\"");
        assert_eq!(puts[14..], good());
        assert_eq!(complaint, None);
    }

    #[test]
    fn the_check_byte_may_be_a_colon() {
        // Five letters whose sum takes 311 values in a row.
        let letter = |number: u16, place: u16| number.saturating_sub(62 * place).min(62);
        let fields = |number: u16| {
            let letters: Vec<u8> = (0..5).map(|place| 64 + u8::try_from(letter(number, place)).unwrap()).collect();
            format!("\r\nV\t1\r\nX\t{}", String::from_utf8(letters).unwrap())
        };
        let fields = (0..=310).map(fields).find(|fields| block(fields).ends_with(b":"));
        let colon = block(&fields.expect("one of 311"));
        assert_eq!(hear(&[&colon[..], &colon].concat(), 3).0.len(), 2);
    }

    #[test]
    fn what_is_no_block_is_told_and_forgotten() {
        let (puts, complaint) = hear(&[b'x'; 5000], 100);
        assert_eq!(puts, []);
        assert!(complaint.unwrap().to_string().contains("no whole block: \"xxx"));
    }
}
