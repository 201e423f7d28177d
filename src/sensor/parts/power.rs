//! Voltage, current and power: INA219 (data sheet SBOS448), INA226 (SBOS547) and INA260 (SBOS656), "DS" below.
//!
//! Current and power are computed here from the voltages, and not by the part: so nothing has to be calibrated, and nothing is lost with the
//! supply. The part's overflow flag speaks of its own arithmetic, and is passed over.

use std::time::Duration;

use super::row::{Allowed, Choice, Measures, Options, Ready, Row, Step, Uniform, Wire, code, signed_code};
use crate::reading::Fault;
use crate::sensor::recognition::{Identity, Proposal};
use crate::sensor::{Measured, Proof};

const ADDRESSES: &[u8] =
    &[0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x4b, 0x4c, 0x4d, 0x4e, 0x4f];

/// Where parts are asked which they are. From 0x48 on a PCF8591 may be, of which the question would switch the output on.
const ASKED: &[u8] = &[0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47];

const SHUNT: &[Choice] = &[Choice {
    key: "shunt",
    about: "The resistance of the shunt in ohms. The marking R100 means 0.1, R002 means 0.002.",
    default: 0.1,
    allowed: Allowed::Range(0.000_01, 100.0),
}];

const PROPOSAL: Proposal =
    Proposal { name: "supply", quantities: &[("voltage", 3), ("current", 4), ("power", 3)], more: &[] };

fn siemens(options: &Options) -> f64 {
    1.0 / options[0]
}

const fn derived(power: Measures) -> Measures {
    Measures { is_derived: true, ..power }
}

pub(super) const INA219: Row = Row {
    tag: "ina219",
    name: "INA219",
    about: "An INA219 on I2C: voltage, current and power of a supply of up to 26 V.",
    wire: Wire::I2c(ADDRESSES),
    options: SHUNT,
    // DS 8.6.3: 4 mV, and 10 µV of up to 320 mV over the shunt.
    quantities: &[
        Measures::new("voltage", "V", 0.004, (0.0, 32.0), (11.9, 12.6)),
        Measures { factor: siemens, ..Measures::new("current", "A", 0.000_01, (-0.32, 0.32), (0.02, 0.06)) },
        derived(Measures { factor: siemens, ..Measures::new("power", "W", 0.000_2, (-10.24, 10.24), (0.2, 0.7)) }),
    ],
    // DS 8.6.2: up to 32 V and 320 mV, the mean of 16 conversions of each, once. 17 ms.
    begin: &[Step::Write(&[0x00, 0x3e, 0x63])],
    conversion: Duration::from_millis(19),
    // DS 8.6.3.2: bit 1 of the bus voltage says that both have been converted.
    ready: Some(Ready {
        ask: &[Step::From(0x02, 2)],
        is_done: |bus| bus[1] & 0x02 != 0,
        pause: 1,
        answers: [&[0x00, 0x00], &[0x00, 0x02]],
    }),
    read: &[Step::From(0x01, 2), Step::From(0x02, 2)],
    uniform: Uniform::Ask(0x00, 2),
    decode: |input| {
        let shunt = input.signed(0);
        let current = if shunt.unsigned_abs() >= 32_000 { None } else { Some(f64::from(shunt) * 0.000_01) };
        Ok(values(f64::from(input.word(2) >> 3) * 0.004, current.map(|volts| volts / input.options[0])))
    },
    encode: |values, options, data| {
        let shunt = (values[1] * options[0] / 0.000_01).clamp(-32_000.0, 32_000.0);
        data[..2].copy_from_slice(&signed_code(shunt).to_be_bytes());
        data[2..].copy_from_slice(&(code(values[0] / 0.004) << 3 | 2).to_be_bytes());
    },
    proof: Proof::Examples,
    ..Row::BASE
};

/// How an INA226 and an INA260 say that they have converted: DS of INA226 7.6.7, bit 3 of register 6.
const CONVERTED: Ready = Ready {
    ask: &[Step::From(0x06, 2)],
    is_done: |mask| mask[1] & 0x08 != 0,
    pause: 2,
    answers: [&[0x00, 0x00], &[0x00, 0x08]],
};

pub(super) const INA226: Row = Row {
    tag: "ina226",
    name: "INA226",
    about: "An INA226 on I2C: voltage, current and power of a supply of up to 36 V.",
    // Register 255 (DS 7.6.11), whose lowest four bits are the revision.
    identity: Some((
        Identity { addresses: ASKED, register: 0xff, length: 2, mask: 0xfff0, ids: &[(0x2260, "INA226")] },
        PROPOSAL,
    )),
    // DS 7.6: 1.25 mV, and 2.5 µV of up to 81.92 mV over the shunt.
    quantities: &[
        Measures::new("voltage", "V", 0.001_25, (0.0, 40.96), (11.9, 12.6)),
        Measures { factor: siemens, ..Measures::new("current", "A", 0.000_002_5, (-0.081_92, 0.081_92), (0.02, 0.06)) },
        derived(Measures { factor: siemens, ..Measures::new("power", "W", 0.000_062_5, (-3.36, 3.36), (0.2, 0.7)) }),
    ],
    // DS 7.6.1: the mean of 16 conversions of each of 1.1 ms, once. A tenth longer at most.
    begin: &[Step::Write(&[0x00, 0x45, 0x23])],
    conversion: Duration::from_millis(39),
    ready: Some(CONVERTED),
    uniform: Uniform::Ask(0xff, 2),
    decode: |input| {
        let shunt = input.signed(0);
        let current = if shunt == i16::MAX || shunt == i16::MIN { None } else { Some(f64::from(shunt) * 0.000_002_5) };
        Ok(values(f64::from(input.word(2)) * 0.001_25, current.map(|volts| volts / input.options[0])))
    },
    encode: |values, options, data| {
        data[..2].copy_from_slice(&signed_code(values[1] * options[0] / 0.000_002_5).to_be_bytes());
        data[2..].copy_from_slice(&code((values[0] / 0.001_25).min(32_767.0)).to_be_bytes());
    },
    proof: Proof::Recording,
    ..INA219
};

pub(super) const INA260: Row = Row {
    tag: "ina260",
    name: "INA260",
    about: "An INA260 on I2C, whose shunt is in the part: voltage, current and power of a supply of up to 36 V and 15 A.",
    identity: Some((
        Identity { addresses: ASKED, register: 0xff, length: 2, mask: 0xfff0, ids: &[(0x2270, "INA260")] },
        PROPOSAL,
    )),
    options: &[],
    // DS 8.6: 1.25 mV and 1.25 mA.
    quantities: &[
        Measures::new("voltage", "V", 0.001_25, (0.0, 40.96), (11.9, 12.6)),
        Measures::new("current", "A", 0.001_25, (-40.0, 40.0), (0.2, 0.6)),
        derived(Measures::new("power", "W", 0.01, (-1640.0, 1640.0), (2.0, 7.0))),
    ],
    // DS 8.6.1: as for the INA226.
    begin: &[Step::Write(&[0x00, 0x65, 0x23])],
    decode: |input| Ok(values(f64::from(input.word(2)) * 0.001_25, Some(f64::from(input.signed(0)) * 0.001_25))),
    encode: |values, _, data| {
        data[..2].copy_from_slice(&signed_code(values[1] / 0.001_25).to_be_bytes());
        data[2..].copy_from_slice(&code((values[0] / 0.001_25).min(32_767.0)).to_be_bytes());
    },
    proof: Proof::Formula,
    ..INA226
};

/// Voltage, current and power. There is no current beyond the end of the scale.
fn values(voltage: f64, current: Option<f64>) -> Measured {
    let fault = || Fault::OutOfRange("more current than the shunt lets the part measure".to_owned());
    let power = current.map(|current| voltage * current);
    vec![Ok(voltage), current.ok_or_else(fault), power.ok_or_else(fault)]
}
