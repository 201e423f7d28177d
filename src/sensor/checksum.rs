//! The check sums of serial protocols.

/// Exclusive or of all bytes.
pub(super) fn xor(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum ^ byte)
}

/// The sum of all bytes, modulo 256.
pub(super) fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

/// A CRC of 16 bits whose bits come lowest first: with the polynomial 0xa001 from 0 it is CRC-16/ARC, from 0xffff Modbus.
fn reflected(bytes: &[u8], polynomial: u16, start: u16) -> u16 {
    bytes.iter().fold(start, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ polynomial } else { crc >> 1 })
    })
}

/// CRC-16/ARC, often just called CRC-16.
pub(super) fn crc16(bytes: &[u8]) -> u16 {
    reflected(bytes, 0xa001, 0)
}

/// CRC-16/MODBUS.
pub(super) fn crc16_modbus(bytes: &[u8]) -> u16 {
    reflected(bytes, 0xa001, 0xffff)
}

/// CRC-16/X-25, of HDLC and SML.
pub(super) fn crc16_x25(bytes: &[u8]) -> u16 {
    !reflected(bytes, 0x8408, 0xffff)
}

/// CRC-16/CCITT from 0xffff, in the catalogues CRC-16/IBM-3740 or CCITT-FALSE.
pub(super) fn crc16_ccitt(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xffff, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| if crc >> 15 == 1 { crc << 1 ^ 0x1021 } else { crc << 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check values of the CRC catalogue (reveng.sourceforge.io), for the text 123456789.
    #[test]
    fn sums_of_the_catalogues_text_are_right() {
        let text = b"123456789";
        assert_eq!(crc16(text), 0xbb3d);
        assert_eq!(crc16_modbus(text), 0x4b37);
        assert_eq!(crc16_x25(text), 0x906e);
        assert_eq!(crc16_ccitt(text), 0x29b1);
        assert_eq!(xor(text), 0x31);
        assert_eq!(sum(text), 0xdd);
    }
}
