//! TI HDC1080: temperature and humidity (data sheet SNAS672, "DS" below).

use std::time::Duration;

use super::row::{Check, Measures, Row, Step, Uniform, Wire, code};
use crate::sensor::Proof;
use crate::sensor::recognition::{Identity, Proposal};

const ADDRESS: &[u8] = &[0x40];

pub(super) const ROW: Row = Row {
    tag: "hdc1080",
    name: "HDC1080",
    about: "An HDC1080 on I2C. Its address is always 0x40.",
    wire: Wire::I2c(ADDRESS),
    // DS 8.6.5.
    identity: Some((
        Identity { addresses: ADDRESS, register: 0xff, length: 2, mask: 0xffff, ids: &[(0x1050, "HDC1080")] },
        Proposal { name: "air", quantities: &[("temperature", 2), ("humidity", 1)], more: &[] },
    )),
    quantities: &[
        Measures::new("temperature", "°C", 0.01, (-40.0, 125.0), (20.0, 24.0)),
        Measures::new("humidity", "%", 0.006, (0.0, 100.0), (40.0, 60.0)),
    ],
    // DS 8.6.3: both with 14 bits, begun by naming register 0. 6.35 ms and 6.5 ms (DS 7.5).
    begin: &[Step::Write(&[0x02, 0x10, 0x00]), Step::Write(&[0x00])],
    conversion: Duration::from_millis(15),
    read: &[Step::Read(4, Check::Nothing)],
    uniform: Uniform::Ask(0xff, 2),
    // DS 8.6.1 and 8.6.2.
    decode: |input| {
        let part = |at| f64::from(input.word(at)) / 65536.0;
        Ok(vec![Ok(165.0 * part(0) - 40.0), Ok(100.0 * part(2))])
    },
    encode: |values, _, data| {
        let bits = |part: f64| (code((part * 65536.0).min(65532.0)) & !3).to_be_bytes();
        data[..2].copy_from_slice(&bits((values[0] + 40.0) / 165.0));
        data[2..].copy_from_slice(&bits(values[1] / 100.0));
    },
    proof: Proof::Formula,
    ..Row::BASE
};
