//! A simulated BME280 or BMP280 at register level (DS 5.3): the driver above cannot tell it from a part.
//!
//! It knows chip id, calibration, reset, the two control registers with their order of effect, forced mode, the
//! status register and the data registers. After a start command it reports one more status "measuring"; the new
//! numbers are there after that, so a driver that does not wait reads old ones.

use std::ops::Range;
use std::sync::Arc;

use super::register;
use crate::hal::sim::{I2cPart, swing};
use crate::hal::{Clock, I2cError};
use crate::time::Mono;

/// The data registers while nothing was measured (DS 5.4.7 to 5.4.9).
const NOTHING: [u8; 8] = [0x80, 0, 0, 0x80, 0, 0, 0x80, 0];

/// The calibration of the part indoors, at 0x88 to 0xa1.
const CALIBRATION: [u8; 26] = [
    0x10, 0x6e, 0x6c, 0x66, 0x32, 0x00, 0x5d, 0x95, 0xb8, 0xd5, 0xd0, 0x0b, 0x77, 0x1e, 0x9d, 0xff, 0xf9, 0xff, 0xac,
    0x26, 0x0a, 0xd8, 0xbd, 0x10, 0x00, 0x4b,
];

/// What the data registers are to say after a measurement: pressure and temperature in 20 bits from the left of three
/// bytes, humidity in two.
type Data = Box<dyn Fn() -> [u8; 8] + Send>;

/// The part.
pub struct Part {
    registers: [u8; 256],
    pointer: u8,
    data: Data,
    measuring: bool,
}

impl Part {
    /// A part with a chip id, the calibration at 0x88 to 0xa1 and at 0xe1 to 0xe7, and what it measures.
    pub fn new(id: u8, calibration: [u8; 26], humidity: [u8; 7], data: impl Fn() -> [u8; 8] + Send + 'static) -> Self {
        let mut registers = [0; 256];
        registers[usize::from(register::CHIP_ID)] = id;
        registers[span(register::CALIBRATION, 26)].copy_from_slice(&calibration);
        registers[span(register::HUMIDITY_CALIBRATION, 7)].copy_from_slice(&humidity);
        registers[span(register::DATA, 8)].copy_from_slice(&NOTHING);
        Self { registers, pointer: 0, data: Box::new(data), measuring: false }
    }

    /// A part that does not measure humidity, a BMP280, with the calibration at 0x88 to 0xa1 and pressure and temperature.
    pub fn without_humidity(calibration: [u8; 26], data: impl Fn() -> [u8; 6] + Send + 'static) -> Self {
        let data = move || {
            let [p1, p2, p3, t1, t2, t3] = data();
            [p1, p2, p3, t1, t2, t3, 0, 0]
        };
        Self::new(0x58, calibration, [0; 7], data)
    }

    /// A BMP280 in the same room as [`Part::indoors`].
    pub fn bmp280_indoors(clock: Arc<dyn Clock>) -> Self {
        let room = move || {
            let [p1, p2, p3, t1, t2, t3, _, _] = room(clock.now().mono);
            [p1, p2, p3, t1, t2, t3]
        };
        Self::without_humidity(CALIBRATION, room)
    }

    /// A part in a living room whose air changes slowly: the same at the same time.
    ///
    /// Calibration and the middle of its measurements are those of a real part, recorded in periph/devices,
    /// bmxx80/bmx280_test.go, commit 1752d1b57a94637ac6a6eed30b7db1d03aebf2b8 (TestI2CSenseBME280_success).
    pub fn indoors(clock: Arc<dyn Clock>) -> Self {
        let humidity = [0x6e, 0x01, 0x00, 0x13, 0x05, 0x00, 0x1e];
        Self::new(0x60, CALIBRATION, humidity, move || room(clock.now().mono))
    }

    fn set(&mut self, register: u8, value: u8) {
        match register {
            register::RESET if value == super::RESET => {
                self.registers[span(register::CTRL_HUM, 4)].fill(0);
                self.registers[span(register::DATA, 8)].copy_from_slice(&NOTHING);
                self.measuring = false;
            }
            register::CTRL_MEAS => {
                self.registers[usize::from(register)] = value;
                // Forced is 01 or 10; normal mode, 11, is not played.
                self.measuring = matches!(value & 0b11, 0b01 | 0b10);
            }
            // A BMP280 has no such register, and passes over a write to it.
            register::CTRL_HUM if self.registers[usize::from(register::CHIP_ID)] == 0x60 => {
                self.registers[usize::from(register)] = value;
            }
            _ => {}
        }
    }

    fn get(&mut self, register: u8) -> u8 {
        if register == register::STATUS && std::mem::take(&mut self.measuring) {
            self.finish();
            return super::MEASURING;
        }
        self.registers[usize::from(register)]
    }

    /// Ends a measurement: what is not switched on stays unmeasured, and the part sleeps again.
    fn finish(&mut self) {
        let control = self.registers[usize::from(register::CTRL_MEAS)];
        let humidity_on = self.registers[usize::from(register::CTRL_HUM)] & 0b111 != 0;
        let mut data = (self.data)();
        for (on, bytes) in [(control & 0b1_1100 != 0, 0..3), (control & 0b1110_0000 != 0, 3..6), (humidity_on, 6..8)] {
            if !on {
                data[bytes.clone()].copy_from_slice(&NOTHING[bytes]);
            }
        }
        self.registers[span(register::DATA, 8)].copy_from_slice(&data);
        self.registers[usize::from(register::CTRL_MEAS)] &= !0b11;
    }
}

impl I2cPart for Part {
    /// Register and value in turn (DS 6.2.1); a lone register is where the next read begins.
    fn write(&mut self, bytes: &[u8]) -> Result<(), I2cError> {
        let (pairs, lone) = bytes.as_chunks::<2>();
        for [register, value] in pairs {
            self.set(*register, *value);
        }
        if let [register] = lone {
            self.pointer = *register;
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), I2cError> {
        for byte in buffer {
            *byte = self.get(self.pointer);
            self.pointer = self.pointer.wrapping_add(1);
        }
        Ok(())
    }
}

fn span(first: u8, length: usize) -> Range<usize> {
    usize::from(first)..usize::from(first) + length
}

/// The data registers at a time: around 24 °C, 65 % and 1009 hPa, each in its own rhythm of minutes.
fn room(at: Mono) -> [u8; 8] {
    let pressure = 0x4_a52c - 750 + swing(at, 700, 1500);
    let temperature = 0x8_096c - 3000 + swing(at, 420, 6000);
    let humidity = 0x7a76 - 500 + swing(at, 300, 1000);
    let [_, p1, p2, p3] = (pressure << 4).to_be_bytes();
    let [_, t1, t2, t3] = (temperature << 4).to_be_bytes();
    let [_, _, h1, h2] = humidity.to_be_bytes();
    [p1, p2, p3, t1, t2, t3, h1, h2]
}
