//! A simulated unit: it knows its registers, zeros between them, and refuses everything else.

use super::frame::{Framing, framed};
use super::register::Register;
use crate::sensor::checksum::crc16_modbus;
use crate::time::Mono;

pub(super) struct Unit {
    address: u8,
    framing: Framing,
    registers: Vec<Register>,
}

impl Unit {
    pub(super) fn new(address: u8, framing: Framing, registers: Vec<Register>) -> Self {
        Self { address, framing, registers }
    }

    /// The answer to a frame. Nothing where it is damaged or another unit's.
    pub(super) fn answer(&self, at: Mono, asked: &[u8]) -> Vec<u8> {
        let (transaction, body) = match (self.framing, asked) {
            (Framing::Rtu, [body @ .., low, high]) if crc16_modbus(body).to_le_bytes() == [*low, *high] => (0, body),
            (Framing::Tcp, [high, low, 0, 0, _, _, body @ ..]) => (u16::from_be_bytes([*high, *low]), body),
            _ => return Vec::new(),
        };
        let [unit, function, first_high, first_low, count_high, count_low] = *body else { return Vec::new() };
        if unit != self.address {
            return Vec::new();
        }
        let first = u16::from_be_bytes([first_high, first_low]);
        let count = u16::from_be_bytes([count_high, count_low]);
        let answer = match self.data(at, function, first, count) {
            Ok(data) => [&[unit, function, u8::try_from(data.len()).unwrap_or(u8::MAX)][..], &data].concat(),
            Err(code) => vec![unit, function | 0x80, code],
        };
        framed(self.framing, transaction, &answer)
    }

    /// What stands there, or the exception's code.
    fn data(&self, at: Mono, function: u8, first: u16, count: u16) -> Result<Vec<u8>, u8> {
        let own = || self.registers.iter().filter(|register| register.function == function);
        if own().next().is_none() {
            return Err(1);
        }
        let is_read = |register: &&Register| register.at >= first && register.at - first + register.count() <= count;
        let is_of_bits = function <= 2;
        let most = if is_of_bits { 2000 } else { 125 };
        if !(1..=most).contains(&count) {
            return Err(3);
        }
        if !own().any(|register| is_read(&register)) {
            return Err(2);
        }
        let length = if is_of_bits { count.div_ceil(8) } else { 2 * count };
        let mut data = vec![0; usize::from(length)];
        for register in own().filter(is_read) {
            let place = usize::from(register.at - first);
            let value = value(at, register.unit);
            if is_of_bits {
                data[place / 8] |= u8::from(value >= 0.5) << (place % 8);
                continue;
            }
            // Bits of one register stand beside each other.
            for (byte, own) in data[2 * place..].iter_mut().zip(register.encoded(value)) {
                *byte |= own;
            }
        }
        Ok(data)
    }
}

/// Something that such a quantity may be.
fn value(at: Mono, unit: &str) -> f64 {
    let seconds = at.since_boot().as_secs();
    let wave = u32::try_from(seconds / 10 % 50).map_or(0.0, f64::from);
    match unit {
        "V" => 229.0 + wave / 10.0,
        "A" => 1.5 + wave / 100.0,
        "W" | "VA" => 345.0 + wave,
        "Hz" => 50.0,
        "Wh" | "kWh" => 100.0 + u32::try_from(seconds).map_or(0.0, f64::from) / 3600.0,
        _ => 1.0,
    }
}
