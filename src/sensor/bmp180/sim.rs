//! A simulated BMP180 at register level (DS 4): chip id, calibration, the control register and the data registers.
//!
//! After a start command it reports one more control "running"; the new number is there after that, so a driver that does not
//! wait reads the old one.

use std::sync::Arc;

use super::{OSS, RUNNING, TEMPERATURE, register};
use crate::hal::sim::{I2cPart, swing};
use crate::hal::{Clock, I2cError};
use crate::time::Mono;

/// The part.
pub(super) struct Part {
    registers: [u8; 256],
    pointer: u8,
    /// Raw temperature in 16 bits and raw pressure in 19.
    data: Box<dyn Fn() -> (u16, u32) + Send>,
}

impl Part {
    /// A part with an id, the calibration words in the order of the registers, and what it measures.
    pub(super) fn new(id: u8, calibration: [u16; 11], data: impl Fn() -> (u16, u32) + Send + 'static) -> Self {
        let mut registers = [0; 256];
        registers[usize::from(register::CHIP_ID)] = id;
        for (word, at) in calibration.into_iter().zip((usize::from(register::CALIBRATION)..).step_by(2)) {
            registers[at..at + 2].copy_from_slice(&word.to_be_bytes());
        }
        Self { registers, pointer: 0, data: Box::new(data) }
    }

    /// A part in a living room whose air changes slowly: the same at the same time. The calibration is that of the data sheet's
    /// example (DS 3.5).
    pub(super) fn indoors(clock: Arc<dyn Clock>) -> Self {
        Self::new(0x55, EXAMPLE, move || room(clock.now().mono))
    }

    /// Ends a conversion.
    fn finish(&mut self) {
        let (temperature, pressure) = (self.data)();
        let [high, low] = temperature.to_be_bytes();
        let [_, p1, p2, p3] = (pressure << (8 - OSS)).to_be_bytes();
        let is_temperature = self.registers[usize::from(register::CONTROL)] == TEMPERATURE & !RUNNING;
        let bytes = if is_temperature { [high, low, 0] } else { [p1, p2, p3] };
        let data = usize::from(register::DATA);
        self.registers[data..data + 3].copy_from_slice(&bytes);
    }
}

/// The calibration of DS 3.5: AC1 to AC6, B1, B2, MB, MC, MD.
pub(super) const EXAMPLE: [u16; 11] = {
    const fn word(signed: i16) -> u16 {
        signed.cast_unsigned()
    }
    [408, word(-72), word(-14383), 32741, 32757, 23153, 6190, 4, word(-32768), word(-8711), 2868]
};

impl I2cPart for Part {
    /// Register and value; a lone register is where the next read begins.
    fn write(&mut self, bytes: &[u8]) -> Result<(), I2cError> {
        match bytes {
            [register] => self.pointer = *register,
            [register::CONTROL, value] => self.registers[usize::from(register::CONTROL)] = *value,
            _ => {}
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), I2cError> {
        for byte in buffer {
            *byte = self.registers[usize::from(self.pointer)];
            if self.pointer == register::CONTROL && *byte & RUNNING != 0 {
                self.registers[usize::from(register::CONTROL)] &= !RUNNING;
                self.finish();
            }
            self.pointer = self.pointer.wrapping_add(1);
        }
        Ok(())
    }
}

/// Raw temperature and pressure at a time: around 22 °C and 1015 hPa, each in its own rhythm of minutes.
fn room(at: Mono) -> (u16, u32) {
    let temperature = 28_650 + swing(at, 420, 250);
    let pressure = 270_000 + swing(at, 700, 2500);
    (u16::try_from(temperature).expect("at most 28900"), pressure)
}
