//! Aosong AHT20: temperature and humidity (data sheet AHT20 v1.1, "DS" below). DHT20, AM2301B and AHT21 are the same part in other
//! cases. The older AHT10 has no checksum and is not read.

use std::time::Duration;

use super::row::{Check, Input, Measures, Options, Ready, Row, Step, Wire};
use crate::reading::Fault;
use crate::sensor::{Measured, Proof};

/// Status (DS 5.3, table 9): a measurement runs; the calibration is there.
const BUSY: u8 = 0x80;
const CALIBRATED: u8 = 0x08;

pub(super) const ROW: Row = Row {
    tag: "aht20",
    name: "AHT20",
    about: "An AHT20, AHT21, DHT20 or AM2301B on I2C. Its address is always 0x38.",
    wire: Wire::I2c(&[0x38]),
    // DS 2, tables 1 and 2; 20 bits for 100 % and for 200 °C (DS 6).
    quantities: &[
        Measures::new("temperature", "°C", 0.01, (-40.0, 85.0), (20.0, 24.0)),
        Measures::new("humidity", "%", 0.024, (0.0, 100.0), (40.0, 60.0)),
    ],
    // DS 5.4: 100 ms after power-on the part is initialised, which does no harm where it is already.
    open: &[Step::Write(&[0xbe, 0x08, 0x00]), Step::Wait(10)],
    begin: &[Step::Write(&[0xac, 0x33, 0x00])],
    conversion: Duration::from_millis(80),
    ready: Some(Ready {
        ask: &[Step::Read(1, Check::Nothing)],
        is_done: |status| status[0] & BUSY == 0,
        pause: 2,
        answers: [&[BUSY | CALIBRATED], &[CALIBRATED]],
    }),
    read: &[Step::Read(7, Check::Crc8(6, 0xff))],
    decode,
    encode,
    proof: Proof::Recording,
    ..Row::BASE
};

fn decode(input: &Input<'_>) -> Result<Measured, Fault> {
    let [status, h1, h2, both, t1, t2] = input.data[..] else { unreachable!("six bytes are read") };
    if status & CALIBRATED == 0 {
        return Err(Fault::Garbled("the part says that it is not calibrated".to_owned()));
    }
    // DS 6.
    let humidity = u32::from_be_bytes([0, h1, h2, both]) >> 4;
    let temperature = u32::from_be_bytes([0, both & 0x0f, t1, t2]);
    let part = |code: u32| f64::from(code) / f64::from(1 << 20);
    Ok(vec![Ok(part(temperature) * 200.0 - 50.0), Ok(part(humidity) * 100.0)])
}

fn encode(values: &[f64], _: &Options, data: &mut [u8]) {
    let code = |part: f64| {
        // In two steps, since 20 bits are more than a code of ours.
        let high = super::row::code((part * 1024.0).floor());
        let low = super::row::code(((part * 1024.0 - f64::from(high)) * 1024.0).min(1023.0));
        (u32::from(high) << 10 | u32::from(low)).min(0xf_ffff)
    };
    let [_, h1, h2, h3] = (code(values[1] / 100.0) << 4).to_be_bytes();
    let [_, t1, t2, t3] = code((values[0] + 50.0) / 200.0).to_be_bytes();
    data.copy_from_slice(&[CALIBRATED, h1, h2, h3 | t1, t2, t3]);
}
