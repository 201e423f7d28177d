//! Bosch BME680: temperature, pressure, humidity and the resistance of its gas sensor (data sheet BST-BME680-DS001, "DS" below). What Bosch makes
//! an air quality of that resistance with is a closed library, and not here. A BME688 reads its gas sensor in another way and is refused.

use std::time::Duration;

use super::row::{Input, Measures, Options, Ready, Row, Step, Wire, code, raw_for};
use crate::reading::Fault;
use crate::sensor::recognition::{Identity, Proposal};
use crate::sensor::{Measured, Proof};

const ADDRESSES: &[u8] = &[0x76, 0x77];

pub(super) const ROW: Row = Row {
    tag: "bme680",
    name: "BME680",
    about: "A BME680 on I2C: temperature, pressure, humidity, and the resistance of its gas sensor, which falls where there are fumes. The \
            sensor is heated for each measurement and takes days until its resistance is steady.",
    wire: Wire::I2c(ADDRESSES),
    // DS 5.3.1.2.
    identity: Some((
        Identity { addresses: ADDRESSES, register: 0xd0, length: 1, mask: 0xff, ids: &[(0x61, "BME680")] },
        Proposal {
            name: "air",
            quantities: &[("temperature", 2), ("humidity", 1), ("pressure", 1)],
            more: &[("gas_resistance", 0)],
        },
    )),
    // DS 1.2 to 1.4, tables 2 to 4; the gas sensor's steps are a thousandth of the value.
    quantities: &[
        Measures::new("temperature", "°C", 0.01, (-40.0, 85.0), (20.0, 24.0)),
        Measures::new("pressure", "hPa", 0.01, (300.0, 1100.0), (990.0, 1020.0)),
        Measures::new("humidity", "%", 0.01, (0.0, 100.0), (40.0, 60.0)),
        Measures {
            relative_step: 0.001, ..Measures::new("gas_resistance", "kΩ", 0.1, (0.1, 13_000.0), (40.0, 200.0))
        },
    ],
    // DS 3.3, 5.2: the calibration is in two blocks, and three numbers stand at the registers' beginning. Register 0xf0 is 1 in a BME688.
    open: &[Step::From(0x8a, 23), Step::From(0xe1, 14), Step::From(0x00, 5), Step::From(0xf0, 1)],
    // DS 3.2.1: humidity once; the heater at 320 °C for 100 ms; gas; temperature twice and pressure 16 times, forced mode.
    begin: &[
        Step::Write(&[0x72, 0x01]),
        Step::Calibrated(|memory| vec![0x5a, heater(memory)]),
        Step::Write(&[0x64, 0x59]),
        Step::Write(&[0x71, 0x10]),
        Step::Write(&[0x74, 0x55]),
    ],
    conversion: Duration::from_millis(160),
    // DS 5.3.5.1: the highest bit says that there is something new.
    ready: Some(Ready {
        ask: &[Step::From(0x1d, 1)],
        is_done: |status| status[0] & 0x80 != 0,
        pause: 5,
        answers: [&[0x20], &[0x80]],
    }),
    read: &[Step::From(0x1f, 8), Step::From(0x2a, 2)],
    decode,
    encode,
    memory: &EXAMPLE,
    proof: Proof::Formula,
    ..Row::BASE
};

/// The calibration of the simulated part: plausible numbers.
const EXAMPLE: [u8; 43] = [
    0x20, 0x67, 0x03, 0x00, 0x30, 0x8e, 0x60, 0xd7, 0x58, 0x00, 0x58, 0x1b, 0x6a, 0xff, 0x28, 0x1e, 0x00, 0x00, 0x48,
    0xf4, 0x68, 0xf7, 0x1e, // 0x8a to 0xa0
    0x3f, 0xc0, 0x32, 0x00, 0x2d, 0x14, 0x78, 0x9c, 0x0d, 0x66, 0xaf, 0xe8, 0xe2, 0x12, // 0xe1 to 0xee
    0x32, 0x00, 0x10, 0x00, 0x00, // 0x00 to 0x04
    0x00, // 0xf0
];

/// A part's calibration: DS 3.3.1 to 3.3.4 say where each number stands.
struct Calibration<'a>(&'a [u8]);

impl Calibration<'_> {
    /// One byte; the lower block begins at 0x8a, the upper one at 0xe1, the registers at 0x00.
    fn byte(&self, register: u8) -> u8 {
        let place = match register {
            0x8a..=0xa0 => register - 0x8a,
            0xe1..=0xee => register - 0xe1 + 23,
            _ => register + 37,
        };
        self.0[usize::from(place)]
    }

    fn small(&self, register: u8) -> f64 {
        self.byte(register).cast_signed().into()
    }

    fn unsigned(&self, register: u8) -> f64 {
        u16::from_le_bytes([self.byte(register), self.byte(register + 1)]).into()
    }

    fn signed(&self, register: u8) -> f64 {
        i16::from_le_bytes([self.byte(register), self.byte(register + 1)]).into()
    }

    /// DS 3.3.1; `fine` is 5120 times the temperature.
    fn fine(&self, raw: f64) -> f64 {
        let (t1, t2, t3) = (self.unsigned(0xe9), self.signed(0x8a), self.small(0x8c));
        (raw / 16384.0 - t1 / 1024.0) * t2 + (raw / 131_072.0 - t1 / 8192.0).powi(2) * t3 * 16.0
    }

    /// DS 3.3.2, in pascals.
    fn pressure(&self, raw: f64, fine: f64) -> f64 {
        let p1 = self.unsigned(0x8e);
        let [p2, p4, p5, p8, p9] = [0x90, 0x94, 0x96, 0x9c, 0x9e].map(|register| self.signed(register));
        let [p3, p6, p7] = [0x92, 0x99, 0x98].map(|register| self.small(register));
        let p10 = f64::from(self.byte(0xa0));
        let var1 = fine / 2.0 - 64000.0;
        let var2 = var1 * var1 * (p6 / 131_072.0) + var1 * p5 * 2.0;
        let var2 = var2 / 4.0 + p4 * 65536.0;
        let var1 = (p3 * var1 * var1 / 16384.0 + p2 * var1) / 524_288.0;
        let var1 = (1.0 + var1 / 32768.0) * p1;
        let pressure = (1_048_576.0 - raw - var2 / 4096.0) * 6250.0 / var1;
        let var1 = p9 * pressure * pressure / 2_147_483_648.0;
        let var2 = pressure * (p8 / 32768.0);
        let var3 = (pressure / 256.0).powi(3) * (p10 / 131_072.0);
        pressure + (var1 + var2 + var3 + p7 * 128.0) / 16.0
    }

    /// DS 3.3.3.
    fn humidity(&self, raw: f64, celsius: f64) -> f64 {
        let low = self.byte(0xe2);
        let h1 = f64::from(u16::from(self.byte(0xe3)) << 4 | u16::from(low & 0x0f));
        let h2 = f64::from(u16::from(self.byte(0xe1)) << 4 | u16::from(low >> 4));
        let [h3, h4, h5, h7] = [0xe4, 0xe5, 0xe6, 0xe8].map(|register| self.small(register));
        let h6 = f64::from(self.byte(0xe7));
        let var1 = raw - (h1 * 16.0 + h3 / 2.0 * celsius);
        let var2 = var1 * (h2 / 262_144.0 * (1.0 + h4 / 16384.0 * celsius + h5 / 1_048_576.0 * celsius * celsius));
        var2 + (h6 / 16384.0 + h7 / 2_097_152.0 * celsius) * var2 * var2
    }

    /// DS 3.4.1, table 16, in ohms.
    fn gas(&self, raw: f64, range: u8) -> f64 {
        const K1: [f64; 16] = [0.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, -0.8, 0.0, 0.0, -0.2, -0.5, 0.0, -1.0, 0.0, 0.0];
        const K2: [f64; 16] = [0.0, 0.0, 0.0, 0.0, 0.1, 0.7, 0.0, -0.8, -0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        let error = f64::from((self.byte(0x04) & 0xf0).cast_signed() / 16);
        let place = usize::from(range & 0x0f);
        let var1 = (1340.0 + 5.0 * error) * (1.0 + K1[place] / 100.0);
        let var2 = 1.0 + K2[place] / 100.0;
        1.0 / (var2 * 0.000_000_125 * f64::from(1_u32 << place) * ((raw - 512.0) / var1 + 1.0))
    }
}

/// The heater's code for 320 °C (DS 3.3.5), in a room of 25 °C.
fn heater(memory: &[u8]) -> u8 {
    let of = Calibration(memory);
    let (g1, g2, g3) = (of.small(0xed), of.signed(0xeb), of.small(0xee));
    let range = f64::from(of.byte(0x02) >> 4 & 3);
    let value = of.small(0x00);
    let var4 = (g1 / 16.0 + 49.0) * (1.0 + (g2 / 32768.0 * 0.0005 + 0.00235) * 320.0);
    let var5 = var4 + g3 / 1024.0 * 25.0;
    let heat = 3.4 * (var5 * (4.0 / (4.0 + range)) * (1.0 / (1.0 + value * 0.002)) - 25.0);
    u8::try_from(code(heat)).unwrap_or(u8::MAX)
}

fn decode(input: &Input<'_>) -> Result<Measured, Fault> {
    if input.memory.last() == Some(&1) {
        return Err(Fault::Unsupported("the part is a BME688, whose gas sensor is read in another way".to_owned()));
    }
    let [p1, p2, p3, t1, t2, t3, h1, h2, g1, g2] = input.data[..] else { unreachable!("ten bytes are read") };
    let of = Calibration(input.memory);
    let raw = |high: u8, mid: u8, low: u8| f64::from(u32::from_be_bytes([0, high, mid, low]) >> 4);
    let fine = of.fine(raw(t1, t2, t3));
    let celsius = fine / 5120.0;
    // DS 5.3.4.4: a measurement of gas took place, and the heater was as hot as it should be.
    let gas = match g2 & 0x30 {
        0x30 => Ok(of.gas(f64::from(u16::from_be_bytes([g1, g2]) >> 6), g2) / 1000.0),
        0x20 => Err(Fault::Garbled("the gas sensor was not hot in time: it is warming up".to_owned())),
        _ => Err(Fault::Garbled("the gas sensor was not measured".to_owned())),
    };
    let pressure = of.pressure(raw(p1, p2, p3), fine) / 100.0;
    let humidity = of.humidity(f64::from(u16::from_be_bytes([h1, h2])), celsius).clamp(0.0, 100.0);
    Ok(vec![Ok(celsius), Ok(pressure), Ok(humidity), gas])
}

fn encode(values: &[f64], _: &Options, data: &mut [u8]) {
    let of = Calibration(&EXAMPLE);
    let temperature = raw_for(20, |raw| of.fine(raw) / 5120.0 - values[0]);
    let fine = of.fine(temperature.into());
    let pressure = raw_for(20, |raw| values[1] * 100.0 - of.pressure(raw, fine));
    let humidity = raw_for(16, |raw| of.humidity(raw, fine / 5120.0) - values[2]);
    // The range in which the number is largest.
    let ohms = values[3] * 1000.0;
    let range = (0..16).rev().find(|range| of.gas(1023.0, *range) <= ohms && of.gas(0.0, *range) >= ohms).unwrap_or(15);
    let gas = raw_for(10, |raw| ohms - of.gas(raw, range));
    data[..3].copy_from_slice(&(pressure << 4).to_be_bytes()[1..]);
    data[3..6].copy_from_slice(&(temperature << 4).to_be_bytes()[1..]);
    data[6..8].copy_from_slice(&humidity.to_be_bytes()[2..]);
    data[8..].copy_from_slice(&(gas << 6 | 0x30 | u32::from(range)).to_be_bytes()[2..]);
}
