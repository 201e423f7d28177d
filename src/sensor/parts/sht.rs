//! Sensirion SHT3x, SHT4x and SHTC3: temperature and humidity (data sheets "SHT3x-DIS" 2022, "SHT4x" 2023 and "SHTC3" 2023, "DS" below).
//! All of them answer a command with two words, each with its checksum.

use std::time::Duration;

use super::row::{Check, Input, Measures, Options, Row, Step, Wire, code};
use crate::reading::Fault;
use crate::sensor::{Measured, Proof};

/// Two words with their checksums (DS of SHT3x 4.12, of SHT4x 4.4, of SHTC3 5.10).
const WORDS: &[Step] = &[Step::Read(6, Check::Crc8(2, 0xff))];

pub(super) const SHT3X: Row = Row {
    tag: "sht3x",
    name: "SHT3x",
    about: "An SHT30, SHT31, SHT35 or SHT85 on I2C.",
    wire: Wire::I2c(&[0x44, 0x45]),
    quantities: &[
        Measures::new("temperature", "°C", 0.01, (-40.0, 125.0), (20.0, 24.0)),
        Measures::new("humidity", "%", 0.01, (0.0, 100.0), (40.0, 60.0)),
    ],
    // One shot, high repeatability, no clock stretching, which takes 15.5 ms at most (DS 4.3, table 9; 2.2, table 4).
    begin: &[Step::Write(&[0x24, 0x00])],
    conversion: Duration::from_millis(16),
    read: WORDS,
    // DS 4.13.
    decode: |input| Ok(air(input, 100.0, 0.0)),
    encode: |values, _, data| words(values, 100.0, 0.0, data),
    // The recording is of an HDC302x, which has the same frame and formula.
    proof: Proof::Examples,
    ..Row::BASE
};

pub(super) const SHT4X: Row = Row {
    tag: "sht4x",
    name: "SHT4x",
    about: "An SHT40, SHT41, SHT43 or SHT45 on I2C.",
    // DS 8: the letter of the article says which.
    wire: Wire::I2c(&[0x44, 0x45, 0x46]),
    // High precision, which takes 8.3 ms at most (DS 3.1, table 5).
    begin: &[Step::Write(&[0xfd])],
    conversion: Duration::from_millis(9),
    // DS 4.6: below 0 % and above 100 % the formula's result is to be cut.
    decode: |input| Ok(air(input, 125.0, -6.0)),
    encode: |values, _, data| words(values, 125.0, -6.0, data),
    proof: Proof::Recording,
    ..SHT3X
};

pub(super) const SHTC3: Row = Row {
    tag: "shtc3",
    name: "SHTC3",
    about: "An SHTC3 on I2C. Its address is always 0x70.",
    wire: Wire::I2c(&[0x70]),
    // It sleeps until it is woken (DS 5.1, 0.24 ms), then measures in normal mode, temperature first, for 12.1 ms at most (DS 3.1).
    begin: &[Step::Write(&[0x35, 0x17]), Step::Wait(1), Step::Write(&[0x78, 0x66])],
    conversion: Duration::from_millis(13),
    read: &[Step::Read(6, Check::Crc8(2, 0xff)), Step::Write(&[0xb0, 0x98])],
    proof: Proof::Formula,
    ..SHT3X
};

/// Temperature and humidity: 16 bits each for the whole span.
fn air(input: &Input<'_>, span: f64, least: f64) -> Measured {
    let part = |word: u16| f64::from(word) / 65535.0;
    let humidity = (least + span * part(input.word(2))).clamp(0.0, 100.0);
    vec![Ok(-45.0 + 175.0 * part(input.word(0))), Ok(humidity)]
}

fn words(values: &[f64], span: f64, least: f64, data: &mut [u8]) {
    data[..2].copy_from_slice(&code((values[0] + 45.0) / 175.0 * 65535.0).to_be_bytes());
    data[2..].copy_from_slice(&code((values[1] - least) / span * 65535.0).to_be_bytes());
}

pub(super) const SCD4X: Row = Row {
    tag: "scd4x",
    name: "SCD4x",
    about: "An SCD40 or SCD41 on I2C: carbon dioxide, temperature and humidity, every five seconds. Its address is always 0x62.",
    wire: Wire::I2c(&[0x62]),
    // DS 1: the range of an SCD41; 0 ppm is what it says before its first measurement.
    quantities: &[
        Measures::new("co2", "ppm", 1.0, (1.0, 40_000.0), (450.0, 1200.0)),
        Measures::new("temperature", "°C", 0.01, (-10.0, 60.0), (20.0, 24.0)),
        Measures::new("humidity", "%", 0.01, (0.0, 100.0), (40.0, 60.0)),
    ],
    // It may measure already, and then takes no command but the one to stop, which takes half a second (DS 3.6.3).
    open: &[Step::Write(&[0x3f, 0x86]), Step::Wait(500), Step::Write(&[0x21, 0xb1])],
    warm_up: Duration::from_millis(5100),
    // DS 3.8.2: the low eleven bits are zero while there is nothing new.
    ready: Some(super::row::Ready {
        ask: &[Step::Write(&[0xe4, 0xb8]), Step::Wait(1), Step::Read(3, Check::Crc8(2, 0xff))],
        is_done: |answer| answer[0] & 0x07 != 0 || answer[1] != 0,
        pause: 10,
        answers: [&[0x80, 0x00], &[0x80, 0x06]],
    }),
    read: &[Step::Write(&[0xec, 0x05]), Step::Wait(1), Step::Read(9, Check::Crc8(2, 0xff))],
    // DS 3.5.2.
    decode: |input| {
        let part = |at| f64::from(input.word(at)) / 65535.0;
        Ok(vec![Ok(input.word(0).into()), Ok(-45.0 + 175.0 * part(2)), Ok(100.0 * part(4))])
    },
    encode: |values, _, data| {
        data[..2].copy_from_slice(&code(values[0]).to_be_bytes());
        words(&values[1..], 100.0, 0.0, &mut data[2..]);
    },
    proof: Proof::Recording,
    ..Row::BASE
};

pub(super) const HTU21: Row = Row {
    tag: "htu21",
    name: "HTU21",
    about: "An HTU21D, SI7021, SHT20, SHT21 or SHT25 on I2C. Its address is always 0x40.",
    wire: Wire::I2c(&[0x40]),
    // Data sheet of SHT21, tables 1 and 2: 12 bits of humidity and 14 of temperature.
    quantities: &[
        Measures::new("temperature", "°C", 0.01, (-40.0, 125.0), (20.0, 24.0)),
        Measures::new("humidity", "%", 0.04, (0.0, 100.0), (40.0, 60.0)),
    ],
    // Without holding the clock: 85 ms at most for the temperature (SHT21, table 7), and then 29 ms for the humidity.
    begin: &[Step::Write(&[0xf3])],
    conversion: Duration::from_millis(86),
    read: &[Step::Read(3, Check::Crc8(2, 0)), Step::Write(&[0xf5]), Step::Wait(30), Step::Read(3, Check::Crc8(2, 0))],
    decode: |input| {
        // SHT21, 6: the lowest two bits say which of the two it is.
        let part = |at| f64::from(input.word(at) & !3) / 65536.0;
        if input.word(0) & 2 != 0 {
            return Err(Fault::Garbled("the part says that this is no temperature".to_owned()));
        }
        Ok(vec![Ok(-46.85 + 175.72 * part(0)), Ok((-6.0 + 125.0 * part(2)).clamp(0.0, 100.0))])
    },
    encode: htu21_words,
    proof: Proof::Formula,
    ..Row::BASE
};

fn htu21_words(values: &[f64], _: &Options, data: &mut [u8]) {
    let bits = |part: f64| code((part * 65536.0).min(65532.0)) & !3;
    data[..2].copy_from_slice(&bits((values[0] + 46.85) / 175.72).to_be_bytes());
    data[2..].copy_from_slice(&(bits((values[1] + 6.0) / 125.0) | 2).to_be_bytes());
}
