//! The part's memory as the kernel shows it in `w1_slave`:
//!
//! ```text
//! 50 05 4b 46 7f ff 0c 10 1c : crc=1c YES
//! 50 05 4b 46 7f ff 0c 10 1c t=85000
//! ```
//!
//! What the kernel computes from it stands behind `t=`. Of a thermocouple converter the bytes are taken instead (data sheet of
//! MAX31850 and MAX31851, tables 2 to 4).

use crate::reading::Fault;
use crate::sensor::number;

/// The memory, with the right checksum.
pub(super) struct Memory {
    bytes: [u8; 9],
    /// What the kernel makes of it, in thousandths of a degree.
    pub(super) thousandths: f64,
}

impl Memory {
    /// Reads the two lines.
    ///
    /// # Errors
    /// When the checksum is wrong, the bus is shorted, the part does not answer, or the text has another form.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        if text.trim().is_empty() {
            return Err(Fault::Absent("the part does not answer".to_owned()));
        }
        let garbled = || Fault::Garbled(format!("{} is not what the kernel writes", number::quoted(text)));
        let (first, second) = text.trim().split_once('\n').ok_or_else(garbled)?;
        let (memory, verdict) = first.split_once(':').ok_or_else(garbled)?;
        if verdict.trim().ends_with("NO") {
            return Err(Fault::Checksum(number::quoted(first)));
        }
        if !verdict.trim().ends_with("YES") {
            return Err(garbled());
        }
        let bytes = memory.split_whitespace().map(|byte| u8::from_str_radix(byte, 16)).collect::<Result<Vec<_>, _>>();
        let bytes: [u8; 9] = bytes.ok().and_then(|bytes| bytes.try_into().ok()).ok_or_else(garbled)?;
        // A data line shorted to ground reads zeros, whose checksum is zero too.
        if bytes == [0; 9] {
            return Err(Fault::Absent("the bus reads only zeros: the data line is shorted to ground".to_owned()));
        }
        let (_, thousandths) = second.split_once("t=").ok_or_else(garbled)?;
        Ok(Self { bytes, thousandths: number::parse(thousandths)? })
    }

    /// Whether it is, in the family 3b, that of a thermocouple converter: the upper half of its fifth byte is all ones, and a DS1825's
    /// begins with 0.
    pub(super) const fn is_thermocouple(&self) -> bool {
        self.bytes[4] & 0xf0 == 0xf0
    }

    /// The thermocouple's temperature in °C, to a quarter.
    ///
    /// # Errors
    /// When the thermocouple is open or shorted.
    pub(super) fn thermocouple(&self) -> Result<f64, Fault> {
        let [low, high, causes, ..] = self.bytes;
        if low & 1 != 0 {
            let known = [(1, "is not connected"), (2, "is shorted to ground"), (4, "is shorted to the supply")];
            let cause = known.iter().find(|(bit, _)| causes & bit != 0).map_or("has a fault", |(_, cause)| cause);
            return Err(Fault::Garbled(format!("the thermocouple {cause}")));
        }
        // Bit 1 is reserved, so that what is left are quarters in sixteenths.
        let degrees = f64::from(i16::from_le_bytes([low & 0xfc, high])) / 16.0;
        // The widest range of a thermocouple type that the converters are made for: K from -270, R and S to 1768.
        if (-270.0..=1768.0).contains(&degrees) {
            Ok(degrees)
        } else {
            Err(Fault::OutOfRange(format!("{degrees} °C is not within a thermocouple's -270 to 1768")))
        }
    }
}

/// What the kernel writes of a simulated part, whose memory but for the temperature is that of periph/devices,
/// ds18b20/ds18b20_test.go, commit 1752d1b57a94637ac6a6eed30b7db1d03aebf2b8.
pub(super) fn written(sixteenths: u16, thousandths: u32) -> String {
    let [low, high] = sixteenths.to_le_bytes();
    let memory = [low, high, 0x00, 0x00, 0x3f, 0xff, 0x10, 0x10];
    let crc = checksum(&memory);
    let memory = memory.map(|byte| format!("{byte:02x}")).join(" ");
    format!("{memory} {crc:02x} : crc={crc:02x} YES\n{memory} {crc:02x} t={thousandths}\n")
}

/// The checksum of 1-Wire parts: x⁸ + x⁵ + x⁴ + 1, least significant bit first (Maxim, application note 27).
fn checksum(bytes: &[u8]) -> u8 {
    let shift = |crc: u8| if crc & 1 == 1 { crc >> 1 ^ 0x8c } else { crc >> 1 };
    bytes.iter().fold(0, |crc, byte| (0..8).fold(crc ^ byte, |crc, _| shift(crc)))
}
