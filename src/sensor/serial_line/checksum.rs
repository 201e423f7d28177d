//! The check sum at the end of a line, judged before anything of the line is believed.

use serde::Deserialize;

use crate::reading::Fault;
use crate::sensor::checksum;

/// A kind of check sum. It stands at the end of the line in hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "docs", derive(serde::Serialize, schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(in crate::sensor) enum Kind {
    /// As in NMEA 0183: exclusive or of the bytes between `$` and `*`.
    Nmea,
    /// Exclusive or of all bytes.
    Xor,
    /// The sum of all bytes and the check byte is zero, modulo 256.
    Sum,
    /// CRC-16/ARC, highest digit first.
    Crc16,
    /// CRC-16/CCITT from 0xffff, highest digit first.
    #[serde(rename = "crc16-ccitt")]
    Crc16Ccitt,
    /// CRC-16/MODBUS, highest digit first.
    #[serde(rename = "crc16-modbus")]
    Crc16Modbus,
}

impl Kind {
    /// The digits that belong to a text.
    fn of(self, body: &[u8]) -> String {
        match self {
            Self::Nmea => format!("{:02X}", checksum::xor(body.strip_prefix(b"$").unwrap_or(body))),
            Self::Xor => format!("{:02X}", checksum::xor(body)),
            Self::Sum => format!("{:02X}", checksum::sum(body).wrapping_neg()),
            Self::Crc16 => format!("{:04X}", checksum::crc16(body)),
            Self::Crc16Ccitt => format!("{:04X}", checksum::crc16_ccitt(body)),
            Self::Crc16Modbus => format!("{:04X}", checksum::crc16_modbus(body)),
        }
    }

    /// The line without its check sum, which is behind the last star.
    ///
    /// # Errors
    /// When it is wrong. A line without one is no measurement: `Ok(None)`.
    pub(super) fn judge(self, line: &[u8]) -> Result<Option<&[u8]>, Fault> {
        let line = line.trim_ascii_end();
        let Some(star) = line.iter().rposition(|byte| *byte == b'*') else { return Ok(None) };
        let (body, given) = (&line[..star], &line[star + 1..]);
        // Noise before the dollar is none of the sentence.
        let start = if self == Self::Nmea { body.iter().position(|byte| *byte == b'$').unwrap_or(0) } else { 0 };
        let expected = self.of(&body[start..]);
        if given.eq_ignore_ascii_case(expected.as_bytes()) {
            return Ok(Some(&body[start..]));
        }
        let given = String::from_utf8_lossy(given);
        Err(Fault::Checksum(format!("{} where {expected} belongs", crate::sensor::number::quoted(&given))))
    }

    /// A text with its check sum.
    pub(super) fn write(self, body: &str) -> String {
        format!("{body}*{}", self.of(body.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_judged_with_its_digits() {
        // The first one is in the standard's own form; the CRCs are those of the catalogue for 123456789.
        let right = [
            (Kind::Nmea, "$GPGLL,5300.97914,N,00259.98174,E,125926,A*28"),
            (Kind::Xor, "123456789*31"),
            (Kind::Sum, "123456789*23"),
            (Kind::Crc16, "123456789*bb3d"),
            (Kind::Crc16Modbus, "123456789*4B37"),
            (Kind::Crc16Ccitt, "123456789*29B1\r"),
        ];
        for (kind, line) in right {
            let body = line.split('*').next().unwrap();
            assert_eq!(kind.judge(line.as_bytes()), Ok(Some(body.as_bytes())), "{line}");
            assert_eq!(kind.judge(kind.write(body).as_bytes()), Ok(Some(body.as_bytes())), "{line}");
            let flipped = line.replacen('5', "6", 1);
            assert!(matches!(kind.judge(flipped.as_bytes()), Err(Fault::Checksum(_))), "{flipped}");
        }
    }

    #[test]
    fn what_has_no_check_sum_is_no_measurement() {
        assert_eq!(Kind::Xor.judge(b"boot v1"), Ok(None));
        let fault = Kind::Xor.judge(b"1*").unwrap_err();
        assert_eq!(fault.to_string(), "checksum wrong: \"\" where 31 belongs");
    }
}
