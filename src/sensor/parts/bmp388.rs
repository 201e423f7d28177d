//! Bosch BMP388 and BMP390: air pressure and temperature (data sheets BST-BMP388-DS001 and BST-BMP390-DS002, "DS" below).

use std::time::Duration;

use super::row::{Input, Measures, Options, Ready, Row, Step, Wire, raw_for};
use crate::reading::Fault;
use crate::sensor::recognition::{Identity, Proposal};
use crate::sensor::{Measured, Proof};

const ADDRESSES: &[u8] = &[0x76, 0x77];

pub(super) const ROW: Row = Row {
    tag: "bmp388",
    name: "BMP388",
    about: "A BMP388 or BMP390 on I2C: air pressure and temperature.",
    wire: Wire::I2c(ADDRESSES),
    // DS 4.3.1.
    identity: Some((
        Identity {
            addresses: ADDRESSES,
            register: 0x00,
            length: 1,
            mask: 0xff,
            ids: &[(0x50, "BMP388"), (0x60, "BMP390")],
        },
        Proposal { name: "air", quantities: &[("pressure", 1), ("temperature", 2)], more: &[] },
    )),
    // DS 1, table 2: relative accuracy and noise.
    quantities: &[
        Measures::new("pressure", "hPa", 0.01, (300.0, 1250.0), (990.0, 1020.0)),
        Measures::new("temperature", "°C", 0.01, (-40.0, 85.0), (20.0, 24.0)),
    ],
    // DS 3.11.1: the calibration.
    open: &[Step::From(0x31, 21)],
    // DS 4.3.20, 4.3.18: pressure eight times, temperature once; both, once.
    begin: &[Step::Write(&[0x1c, 0x03]), Step::Write(&[0x1b, 0x13])],
    // DS 3.9.2: 234 + 392 + 8 × 2020 + 163 + 2020 µs.
    conversion: Duration::from_millis(20),
    // DS 4.3.3: both are there.
    ready: Some(Ready {
        ask: &[Step::From(0x03, 1)],
        is_done: |status| status[0] & 0x60 == 0x60,
        pause: 2,
        answers: [&[0x10], &[0x70]],
    }),
    read: &[Step::From(0x04, 6)],
    decode: |input: &Input<'_>| Ok(decode(input)),
    encode,
    memory: &EXAMPLE,
    proof: Proof::Formula,
    ..Row::BASE
};

/// The calibration of the simulated part: plausible numbers.
const EXAMPLE: [u8; 21] = [
    0xa3, 0x6b, 0xf0, 0x48, 0xf9, 0xdb, 0x00, 0x44, 0xf8, 0x23, 0x00, 0xfc, 0x62, 0x19, 0x77, 0x03, 0xfa, 0xe8, 0x3f,
    0x15, 0xc4,
];

struct Calibration<'a>(&'a [u8]);

impl Calibration<'_> {
    fn small(&self, at: usize) -> f64 {
        self.0[at].cast_signed().into()
    }

    fn unsigned(&self, at: usize) -> f64 {
        u16::from_le_bytes([self.0[at], self.0[at + 1]]).into()
    }

    fn signed(&self, at: usize) -> f64 {
        i16::from_le_bytes([self.0[at], self.0[at + 1]]).into()
    }

    /// DS 9.2.
    fn temperature(&self, raw: f64) -> f64 {
        let difference = raw - self.unsigned(0) * 256.0;
        difference * (self.unsigned(2) / 2.0_f64.powi(30)) + difference.powi(2) * (self.small(4) / 2.0_f64.powi(48))
    }

    /// DS 9.3, in pascals.
    fn pressure(&self, raw: f64, celsius: f64) -> f64 {
        let scaled = |number: f64, power: i32| number / 2.0_f64.powi(power);
        let (p1, p2) = (scaled(self.signed(5) - 16384.0, 20), scaled(self.signed(7) - 16384.0, 29));
        let (p3, p4) = (scaled(self.small(9), 32), scaled(self.small(10), 37));
        let (p5, p6) = (self.unsigned(11) * 8.0, scaled(self.unsigned(13), 6));
        let (p7, p8) = (scaled(self.small(15), 8), scaled(self.small(16), 15));
        let (p9, p10, p11) = (scaled(self.signed(17), 48), scaled(self.small(19), 48), scaled(self.small(20), 65));
        let offset = p5 + p6 * celsius + p7 * celsius.powi(2) + p8 * celsius.powi(3);
        let slope = p1 + p2 * celsius + p3 * celsius.powi(2) + p4 * celsius.powi(3);
        offset + raw * slope + raw.powi(2) * (p9 + p10 * celsius) + raw.powi(3) * p11
    }
}

fn decode(input: &Input<'_>) -> Measured {
    let [p1, p2, p3, t1, t2, t3] = input.data[..] else { unreachable!("six bytes are read") };
    let raw = |low: u8, mid: u8, high: u8| f64::from(u32::from_le_bytes([low, mid, high, 0]));
    let of = Calibration(input.memory);
    let celsius = of.temperature(raw(t1, t2, t3));
    let pascals: Result<f64, Fault> = Ok(of.pressure(raw(p1, p2, p3), celsius) / 100.0);
    vec![pascals, Ok(celsius)]
}

fn encode(values: &[f64], _: &Options, data: &mut [u8]) {
    let of = Calibration(&EXAMPLE);
    let temperature = raw_for(24, |raw| of.temperature(raw) - values[1]);
    let celsius = of.temperature(temperature.into());
    // More pressure, less of a number, or more: the calibration says which.
    let rises = of.pressure(9e6, celsius) > of.pressure(7e6, celsius);
    let sign = if rises { 1.0 } else { -1.0 };
    let pressure = raw_for(24, |raw| (of.pressure(raw, celsius) - values[0] * 100.0) * sign);
    data[..3].copy_from_slice(&pressure.to_le_bytes()[..3]);
    data[3..].copy_from_slice(&temperature.to_le_bytes()[..3]);
}
