//! Sensirion SCD30: carbon dioxide, temperature and humidity (interface description 1.0, "DS" below).

use std::time::Duration;

use super::row::{Check, Measures, Ready, Row, Step, Wire};
use crate::sensor::Proof;

pub(super) const ROW: Row = Row {
    tag: "scd30",
    name: "SCD30",
    about: "An SCD30 on I2C: carbon dioxide, temperature and humidity, every two seconds. Its address is always 0x61. \
            It stretches the clock for long; if its checksums are wrong, add `dtparam=i2c_arm_baudrate=10000` to \
            config.txt.",
    wire: Wire::I2c(&[0x61]),
    // 0 ppm is what it says before its first measurement.
    quantities: &[
        Measures::new("co2", "ppm", 1.0, (1.0, 40_000.0), (450.0, 1200.0)),
        Measures::new("temperature", "°C", 0.01, (-40.0, 70.0), (20.0, 24.0)),
        Measures::new("humidity", "%", 0.01, (0.0, 100.0), (40.0, 60.0)),
    ],
    // DS 1.4.1: continuously, without a pressure to correct for.
    open: &[Step::Write(&[0x00, 0x10, 0x00, 0x00, 0x81])],
    warm_up: Duration::from_millis(2500),
    // DS 1.4.4.
    ready: Some(Ready {
        ask: &[Step::Write(&[0x02, 0x02]), Step::Wait(4), Step::Read(3, Check::Crc8(2, 0xff))],
        is_done: |answer| answer[1] == 1,
        pause: 5,
        answers: [&[0, 0], &[0, 1]],
    }),
    // DS 1.4.5: three numbers of four bytes, a checksum behind each two.
    read: &[Step::Write(&[0x03, 0x00]), Step::Wait(4), Step::Read(18, Check::Crc8(2, 0xff))],
    decode: |input| {
        let numbers = input.data.as_chunks::<4>().0;
        let value = |bytes: &[u8; 4]| match f32::from_be_bytes(*bytes) {
            number if number.is_finite() => Ok(number.into()),
            _ => Err(crate::reading::Fault::Garbled("the part says no number".to_owned())),
        };
        Ok(numbers.iter().map(value).collect())
    },
    encode: |values, _, data| {
        for (value, bytes) in values.iter().zip(data.as_chunks_mut::<4>().0) {
            #[expect(clippy::cast_possible_truncation, reason = "the part's numbers have this precision")]
            let number = *value as f32;
            *bytes = number.to_be_bytes();
        }
    },
    proof: Proof::Examples,
    ..Row::BASE
};
