//! Thermometers with one register of 16 bits: LM75 and its relatives, TMP102, TMP117, ADT7410, MCP9808.

use std::time::Duration;

use super::row::{Input, Measures, Row, Step, Uniform, Wire, signed_code};
use crate::reading::Fault;
use crate::sensor::recognition::{Identity, Proposal};
use crate::sensor::{Measured, Proof};

/// Where the address pins of these parts let them be.
const EIGHT: &[u8] = &[0x48, 0x49, 0x4a, 0x4b, 0x4c, 0x4d, 0x4e, 0x4f];
const FOUR: &[u8] = &[0x48, 0x49, 0x4a, 0x4b];

const PROPOSAL: Proposal = Proposal { name: "room", quantities: &[("temperature", 2)], more: &[] };

/// The data sheets of LM75A (NXP, 7.4) and LM75B (TI, 7.5): the temperature register, nine bits from the left, half a degree each. Most relatives
/// have more bits, which cannot be told from garbage here. Register 3 holds the temperature of the alarm, which is 80 °C after power-on.
pub(super) const LM75: Row = Row {
    tag: "lm75",
    name: "LM75",
    about: "An LM75 or a compatible part on I2C (LM75A, DS75, TCN75, STDS75), in steps of half a degree.",
    wire: Wire::I2c(EIGHT),
    quantities: &[Measures::new("temperature", "°C", 0.5, (-55.0, 125.0), (20.0, 24.0))],
    read: &[Step::From(0x00, 2)],
    uniform: Uniform::Ask(0x03, 2),
    decode: |input| Ok(shifted(input, 7, 0.5)),
    encode: |values, _, data| shift(values, 7, 0.5, data),
    proof: Proof::Recording,
    ..Row::BASE
};

/// Data sheet of PCT2075 (NXP, 7.4.3): eleven bits from the left.
pub(super) const PCT2075: Row = Row {
    tag: "pct2075",
    name: "PCT2075",
    about: "A PCT2075 or LM75B on I2C, in steps of an eighth of a degree.",
    quantities: &[Measures::new("temperature", "°C", 0.125, (-55.0, 125.0), (20.0, 24.0))],
    decode: |input| Ok(shifted(input, 5, 0.125)),
    encode: |values, _, data| shift(values, 5, 0.125, data),
    proof: Proof::Formula,
    ..LM75
};

/// Data sheet of TMP102 (SBOS397, 7.5.3): twelve bits from the left, or thirteen where the lowest bit says so.
pub(super) const TMP102: Row = Row {
    tag: "tmp102",
    name: "TMP102",
    about: "A TMP102, TMP112 or TMP75 on I2C.",
    wire: Wire::I2c(EIGHT),
    quantities: &[Measures::new("temperature", "°C", 0.0625, (-55.0, 150.0), (20.0, 24.0))],
    decode: |input| Ok(shifted(input, if input.word(0) & 1 == 1 { 3 } else { 4 }, 0.0625)),
    encode: |values, _, data| {
        // What twelve bits do not hold, a part in the extended mode says.
        if values[0] < 127.9 {
            shift(values, 4, 0.0625, data);
        } else {
            shift(values, 3, 0.0625, data);
            data[1] |= 1;
        }
    },
    proof: Proof::Recording,
    ..LM75
};

/// Data sheet of TMP117 (SNOSD82, 7.6): sixteen bits of 1/128 °C; -256 °C until the first measurement has ended.
pub(super) const TMP117: Row = Row {
    tag: "tmp117",
    name: "TMP117",
    about: "A TMP117 on I2C.",
    wire: Wire::I2c(FOUR),
    // Register 15, of which four bits are of the revision.
    identity: Some((
        Identity { addresses: FOUR, register: 0x0f, length: 2, mask: 0x0fff, ids: &[(0x0117, "TMP117")] },
        PROPOSAL,
    )),
    quantities: &[Measures::new("temperature", "°C", 0.007_812_5, (-55.0, 150.0), (20.0, 24.0))],
    // Eight conversions are averaged, once a second (7.5.1).
    warm_up: Duration::from_millis(1100),
    uniform: Uniform::Ask(0x0f, 2),
    decode: |input| match input.word(0) {
        0x8000 => Err(Fault::Garbled("the part has not measured yet".to_owned())),
        _ => Ok(shifted(input, 0, 0.007_812_5)),
    },
    encode: |values, _, data| shift(values, 0, 0.007_812_5, data),
    proof: Proof::Formula,
    ..LM75
};

/// Data sheet of ADT7410 (Rev. D, tables 6 and 20): thirteen bits from the left, below them flags.
pub(super) const ADT7410: Row = Row {
    tag: "adt7410",
    name: "ADT7410",
    about: "An ADT7410 or ADT7420 on I2C.",
    wire: Wire::I2c(FOUR),
    identity: Some((
        Identity { addresses: FOUR, register: 0x0b, length: 1, mask: 0xf8, ids: &[(0xc8, "ADT7410")] },
        PROPOSAL,
    )),
    quantities: &[Measures::new("temperature", "°C", 0.0625, (-55.0, 150.0), (20.0, 24.0))],
    // Continuous conversion, of which one takes 240 ms.
    warm_up: Duration::from_millis(250),
    uniform: Uniform::Ask(0x0b, 1),
    decode: |input| Ok(shifted(input, 3, 0.0625)),
    encode: |values, _, data| shift(values, 3, 0.0625, data),
    proof: Proof::Recording,
    ..LM75
};

/// Data sheet of MCP9808 (DS25095, 5.1.3): the upper three bits are alarms, the next one is the sign.
pub(super) const MCP9808: Row = Row {
    tag: "mcp9808",
    name: "MCP9808",
    about: "An MCP9808 on I2C.",
    wire: Wire::I2c(MCP9808_ADDRESSES),
    // 5.1.5: the higher byte of register 7; the lower one is the revision.
    identity: Some((
        Identity { addresses: MCP9808_ADDRESSES, register: 0x07, length: 2, mask: 0xff00, ids: &[(0x0400, "MCP9808")] },
        PROPOSAL,
    )),
    quantities: &[Measures::new("temperature", "°C", 0.0625, (-40.0, 125.0), (20.0, 24.0))],
    // Continuous conversion, of which one takes 250 ms.
    warm_up: Duration::from_millis(300),
    read: &[Step::From(0x05, 2)],
    uniform: Uniform::Ask(0x07, 2),
    decode: |input| {
        let word = input.word(0) & 0x1fff;
        let code = f64::from(word & 0x0fff) - if word & 0x1000 == 0 { 0.0 } else { 4096.0 };
        Ok(vec![Ok(code * 0.0625)])
    },
    encode: |values, _, data| {
        let word = signed_code(values[0] / 0.0625) & 0x1fff;
        data.copy_from_slice(&word.to_be_bytes());
    },
    proof: Proof::Examples,
    ..LM75
};

const MCP9808_ADDRESSES: &[u8] = &[0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f];

/// The temperature from the left of the register, without the bits below it.
fn shifted(input: &Input<'_>, bits: u32, step: f64) -> Measured {
    vec![Ok(f64::from(input.signed(0) >> bits) * step)]
}

fn shift(values: &[f64], bits: u32, step: f64, data: &mut [u8]) {
    let code = signed_code(values[0] / step) << bits;
    data.copy_from_slice(&code.to_be_bytes());
}
