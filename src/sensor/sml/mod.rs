//! A German electricity meter with an optical head that talks SML, and its kin.
//!
//! The meter sends a file every second or every few, by itself, at 9600 8N1. Without its PIN many say whole kilowatt hours and no
//! power. Values are what the bytes say: meters of DZG are known that write a positive power too short, so that it reads as a
//! negative one, and nothing in the file tells the two apart.
//!
//! Own lines and no library: what is needed of SML is a transport with a CRC and lists of numbers.

mod file;

use std::time::Duration;

use serde::Deserialize;

use super::checksum::crc16_x25;
use super::frames::hex;
use super::{Bus, Device, Port, ReadingSender, Resource, SerialDriver, Source, Stream};
use crate::entry::Reduce;
use crate::hal::sim::Sim;
use crate::hal::{Hal, PortOptions};
use crate::reading::{Fault, Quantity};
use crate::time::Mono;

use file::{Entry, Receiver};

/// The keys of `use = "sml"`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The port of the optical head.
    #[cfg_attr(feature = "docs", schemars(extend("examples" = ["/dev/serial/by-id/usb-Silicon_Labs_CP2102_0001-if00-port0"])))]
    port: String,
    /// Its speed in bits a second, with 8 data bits and no parity.
    #[serde(default = "baud_9600")]
    #[cfg_attr(feature = "docs", schemars(range(min = 1)))]
    baud: u32,
}

const fn baud_9600() -> u32 {
    9600
}

/// A quantity: its name, its unit, DLMS's number of the unit, how many of that make one, and the codes C.D.E that mean it.
struct Column(&'static str, &'static str, u8, f64, &'static [[u8; 3]]);

/// Where a meter has several of the codes, the first one counts.
const COLUMNS: [Column; 17] = [
    Column("import", "kWh", 30, 1000.0, &[[1, 8, 0]]),
    Column("import_1", "kWh", 30, 1000.0, &[[1, 8, 1]]),
    Column("import_2", "kWh", 30, 1000.0, &[[1, 8, 2]]),
    Column("export", "kWh", 30, 1000.0, &[[2, 8, 0]]),
    Column("export_1", "kWh", 30, 1000.0, &[[2, 8, 1]]),
    Column("export_2", "kWh", 30, 1000.0, &[[2, 8, 2]]),
    // Older ones say the same under the code of the import, or of its amount.
    Column("power", "W", 27, 1.0, &[[16, 7, 0], [1, 7, 0], [1, 7, 1], [15, 7, 0]]),
    Column("power_l1", "W", 27, 1.0, &[[36, 7, 0], [21, 7, 0]]),
    Column("power_l2", "W", 27, 1.0, &[[56, 7, 0], [41, 7, 0]]),
    Column("power_l3", "W", 27, 1.0, &[[76, 7, 0], [61, 7, 0]]),
    Column("voltage_l1", "V", 35, 1.0, &[[32, 7, 0]]),
    Column("voltage_l2", "V", 35, 1.0, &[[52, 7, 0]]),
    Column("voltage_l3", "V", 35, 1.0, &[[72, 7, 0]]),
    Column("current_l1", "A", 33, 1.0, &[[31, 7, 0]]),
    Column("current_l2", "A", 33, 1.0, &[[51, 7, 0]]),
    Column("current_l3", "A", 33, 1.0, &[[71, 7, 0]]),
    Column("frequency", "Hz", 44, 1.0, &[[14, 7, 0]]),
];

impl Column {
    fn value(&self, entries: &[Entry]) -> Option<f64> {
        let Self(_, _, unit, steps, codes) = self;
        let of = |code: &[u8; 3]| {
            entries
                .iter()
                .find(|entry| entry.code[..2] == [1, 0] && entry.code[2..5] == *code && entry.unit == Some(*unit))
        };
        codes.iter().find_map(of).map(|entry| entry.value / steps)
    }
}

impl Settings {
    fn port(&self) -> Port {
        Port { path: self.port.clone(), options: PortOptions::new(self.baud) }
    }
}

impl Device for Settings {
    fn quantities(&self) -> Vec<Quantity> {
        let quantity = |Column(name, unit, _, steps, _): &Column| {
            let step = if *steps > 1.0 { 0.0001 } else { 0.01 };
            let quantity = Quantity::new(name, unit).resolving(step);
            if *steps > 1.0 { quantity.reduced_by(Reduce::Last) } else { quantity }
        };
        COLUMNS.iter().map(quantity).collect()
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
        let reader = Reader { port: self.port.clone(), ..Reader::default() };
        Ok(Source::Stream(SerialDriver::Stream(Box::new(reader))))
    }

    fn simulate(&self, sim: &Sim) {
        sim.serial(&self.port, Duration::from_secs(2), simulated);
    }
}

/// How many bytes a fault quotes.
const QUOTED: usize = 12;

#[derive(Default)]
struct Reader {
    port: String,
    receiver: Receiver,
    /// The first bytes since a file was good or the last complaint.
    came: Vec<u8>,
    /// What was wrong with the last file, since the last complaint.
    refused: Option<Fault>,
}

impl Stream for Reader {
    fn opened(&mut self, _at: Mono) {
        self.receiver.clear();
    }

    fn bytes(&mut self, at: Mono, bytes: &[u8], sender: &ReadingSender) {
        for byte in bytes {
            if self.came.len() < QUOTED {
                self.came.push(*byte);
            }
            let Some(file) = self.receiver.byte(*byte) else { continue };
            match file.and_then(|messages| file::entries(&messages)) {
                Ok(entries) => {
                    self.came.clear();
                    self.refused = None;
                    for (quantity, column) in COLUMNS.iter().enumerate() {
                        if let Some(value) = column.value(&entries) {
                            sender.put(quantity, at, Ok(value));
                        }
                    }
                }
                // Nobody knows which values it had.
                Err(fault) => self.refused = Some(fault),
            }
        }
    }

    fn complaint(&mut self) -> Option<Fault> {
        let came = std::mem::take(&mut self.came);
        Some(match self.refused.take() {
            Some(Fault::Checksum(reason)) => Fault::Checksum(format!("{}: {reason}", self.port)),
            Some(Fault::Garbled(reason)) => Fault::Garbled(format!("{}: {reason}", self.port)),
            Some(fault) => fault,
            None if came.is_empty() => return None,
            None => Fault::Garbled(format!("{}: bytes come, but no whole SML file: {}", self.port, hex(&came))),
        })
    }
}

/// The file of a simulated meter, with a household's use.
fn simulated(at: Mono) -> Vec<u8> {
    let seconds = u32::try_from(at.since_boot().as_secs()).unwrap_or(u32::MAX);
    // The last two are the length of the list of values: 17.
    let mut list = vec![0x77, 0x01, 0x01, 0x01, 0x01, 0xf1, 0x01];
    for Column(_, unit, number, _, codes) in &COLUMNS {
        let value: u32 = match *unit {
            "kWh" => 10_000_000 + seconds / 10,
            "W" => 3000 + seconds / 10 % 50,
            "V" => 2301,
            "A" => 15,
            _ => 500,
        };
        list.extend([0x77, 0x07, 1, 0]);
        list.extend(codes[0]);
        // Status and time; unit; tenths; a number of 32 bits; signature.
        list.extend([0xff, 0x01, 0x01, 0x62, *number, 0x52, 0xff, 0x55]);
        list.extend(value.to_be_bytes());
        list.push(0x01);
    }
    list.extend([0x01, 0x01]);
    let mut message = vec![0x76, 0x02, 0x01, 0x62, 0x00, 0x62, 0x00, 0x72, 0x63, 0x07, 0x01];
    message.extend(&list);
    let crc = crc16_x25(&message).to_le_bytes();
    message.extend([0x63, crc[0], crc[1], 0x00]);
    packed(&message)
}

/// A file with these messages.
fn packed(messages: &[u8]) -> Vec<u8> {
    let filling = messages.len().wrapping_neg() % 4;
    let mut file = vec![0x1b, 0x1b, 0x1b, 0x1b, 1, 1, 1, 1];
    for word in [messages, &[0; 4][..filling]].concat().chunks(4) {
        file.extend(word);
        if word == [0x1b; 4] {
            file.extend(word);
        }
    }
    file.extend([0x1b, 0x1b, 0x1b, 0x1b, 0x1a, u8::try_from(filling).unwrap_or(0)]);
    let crc = crc16_x25(&file).to_le_bytes();
    file.extend(crc);
    file
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sensor::frames::tests::{Put, bytes, heard};

    /// devZer0/libsml-testing, EMH_eHZ361L5R.bin: export 110340315.1 Wh, power -5632.1916 W.
    const EMH: &str = "1b 1b 1b 1b 01 01 01 01 76 05 98 e0 ce 95 62 00 62 00 72 63 01 01 76 01 01 08 48 61 67 08 42 19 \
        ad 08 31 30 30 31 31 38 35 01 01 63 5b 20 00 76 05 98 e0 ce 96 62 00 62 00 72 63 07 01 77 01 08 \
        31 30 30 31 31 38 35 01 01 75 77 07 81 81 c7 82 03 ff 01 01 01 01 06 48 41 47 45 52 01 77 07 01 \
        00 00 00 00 ff 01 01 01 01 08 31 30 30 31 31 38 35 01 77 07 01 00 02 08 01 ff 62 82 01 62 1e 52 \
        ff 69 00 00 00 00 41 c4 98 8f 01 77 07 00 00 60 01 ff ff 01 01 01 01 0b 30 30 30 30 31 31 36 39 \
        31 37 01 77 07 01 00 01 07 01 ff 62 82 01 62 1b 52 fc 55 fc a4 98 84 01 01 01 63 fe db 00 76 05 \
        98 e0 ce 97 62 00 62 00 72 63 02 01 71 01 63 1b 00 00 00 00 1b 1b 1b 1b 1a 02 db 3a";

    fn hear(bytes: &[u8], piece: usize) -> (Vec<Put>, Option<Fault>) {
        let settings: Settings = serde_json::from_value(serde_json::json!({ "port": "/dev/ttyUSB0" })).unwrap();
        heard(&settings, bytes, piece)
    }

    #[test]
    fn a_captured_file_is_read_after_half_of_one() {
        let file = bytes(EMH);
        for piece in [1, 13, 1000] {
            let (puts, complaint) = hear(&[&file[100..], &[0x1b], &file[..60], &file].concat(), piece);
            assert_eq!(puts, [(4, Ok(1_103_403_151.0 / 10.0 / 1000.0)), (6, Ok(-5632.1916))], "{piece}");
            assert_eq!(complaint, None);
        }
    }

    #[test]
    fn a_damaged_file_gives_nothing_and_is_told() {
        let file = bytes(EMH);
        for place in (8..file.len()).step_by(7) {
            let mut bad = file.clone();
            bad[place] ^= 4;
            let (puts, complaint) = hear(&bad, 50);
            assert!(puts.is_empty() && complaint.is_some(), "{place}");
        }
        let mut bad = file;
        bad[130] ^= 4;
        let told = hear(&bad, 50).1.unwrap().to_string();
        assert_eq!(told, "checksum wrong: /dev/ttyUSB0: 3adb where 6fec belongs in a file of 220 bytes");
        let told = hear(b"/EMH5\\@01LZQJL0014F\r\n", 50).1.unwrap().to_string();
        assert!(told.contains("bytes come, but no whole SML file: 2f 45 4d 48"), "{told}");
        let told = hear(&packed(&[0x76, 0x05, 1]), 50).1.unwrap().to_string();
        assert!(told.contains("at byte 0 of the messages stands no SML: 76 05 01"), "{told}");
    }

    #[test]
    fn escape_sequences_in_the_messages_are_data() {
        let entry =
            [0x77, 7, 1, 0, 16, 7, 0, 0xff, 1, 1, 0x62, 27, 0x52, 0, 0x59, 0x1b, 0x1b, 0x1b, 0x1b, 0x1a, 0, 0, 1, 1];
        for front in 0..4 {
            let (puts, complaint) = hear(&packed(&[&vec![0; front][..], &entry].concat()), 5);
            assert_eq!(puts, [(6, Ok(1_953_184_666_609_516_545.0))], "{front}");
            assert_eq!(complaint, None);
        }
    }

    #[test]
    fn lists_in_lists_have_an_end() {
        let deep = packed(&[0x71; 3000]);
        assert!(hear(&deep, 100).0.is_empty());
        let long = packed(&[0xff, 0xff, 0xff, 0xff, 0xff]);
        assert!(hear(&long, 100).1.is_some());
    }

    #[test]
    fn the_simulated_meter_says_every_quantity() {
        let (puts, complaint) = hear(&simulated(Mono::new(Duration::from_secs(500))), 64);
        assert_eq!(puts.iter().map(|(quantity, _)| *quantity).collect::<Vec<_>>(), (0..17).collect::<Vec<_>>());
        assert!(puts.iter().all(|(_, value)| value.is_ok()));
        assert_eq!((&puts[6].1, &puts[10].1), (&Ok(300.0), &Ok(230.1)));
        assert_eq!(complaint, None);
    }
}
