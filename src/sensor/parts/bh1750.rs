//! ROHM BH1750FVI: light (data sheet "BH1750FVI", 2011.11, "DS" below).

use std::time::Duration;

use super::row::{Check, Measures, Row, Step, Uniform, Wire, code};
use crate::reading::Fault;
use crate::sensor::Proof;

pub(super) const ROW: Row = Row {
    tag: "bh1750",
    name: "BH1750",
    about: "A BH1750 on I2C: light in lux. In darkness and with a broken data line it reads 0.",
    // DS p. 10: ADDR low and high.
    wire: Wire::I2c(&[0x23, 0x5c]),
    quantities: &[Measures::new("illuminance", "lx", 0.9, (0.0, 54_612.5), (100.0, 600.0))],
    // Power on, then one measurement of high resolution, after which the part switches itself off (DS p. 5).
    begin: &[Step::Write(&[0x01]), Step::Write(&[0x20])],
    // DS p. 2: at most.
    conversion: Duration::from_millis(180),
    read: &[Step::Read(2, Check::Nothing)],
    uniform: Uniform::ZerosCount,
    // DS p. 7: 1.2 counts a lux.
    decode: |input| {
        Ok(vec![match input.word(0) {
            u16::MAX => Err(Fault::OutOfRange("more light than the part can measure".to_owned())),
            counts => Ok(f64::from(counts) / 1.2),
        }])
    },
    encode: |values, _, data| data.copy_from_slice(&code(values[0] * 1.2).to_be_bytes()),
    proof: Proof::Formula,
    ..Row::BASE
};
