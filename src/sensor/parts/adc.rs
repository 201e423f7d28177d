//! Converters: ADS1115 and ADS1015 on I2C (data sheets SBAS444 and SBAS473, "DS" below), MCP3008 and MCP3208 on SPI (DS21295, DS21298).

use std::time::Duration;

use super::row::{Allowed, Choice, Input, Measures, Options, Ready, Row, Step, Uniform, Wire, code, signed_code};
use crate::reading::Fault;
use crate::sensor::{Measured, Proof};

/// Where the options stand.
const INPUT: usize = 0;
const FULL_SCALE: usize = 1;

const ADS_OPTIONS: &[Choice] = &[
    Choice {
        key: "input",
        about: "The input to measure: one against ground, or the difference of two.",
        default: 0.0,
        allowed: Allowed::Words(&["0", "1", "2", "3", "0-1", "0-3", "1-3", "2-3"]),
    },
    Choice {
        key: "full_scale",
        about: "The largest voltage to measure, positive or negative. A smaller range has a finer resolution. No \
                input may be above the part's supply voltage.",
        default: 4.096,
        allowed: Allowed::Numbers(&[6.144, 4.096, 2.048, 1.024, 0.512, 0.256]),
    },
];

pub(super) const ADS1115: Row = Row {
    tag: "ads1115",
    name: "ADS1115",
    about: "One input of an ADS1115 on I2C, in volts.",
    wire: Wire::I2c(&[0x48, 0x49, 0x4a, 0x4b]),
    options: ADS_OPTIONS,
    quantities: &[Measures { factor: |options| options[FULL_SCALE], ..VOLTAGE_16 }],
    // One conversion at 128 a second, of which one may take a tenth longer (DS 7.5, 9.3.5).
    begin: &[Step::Set(ads_config)],
    conversion: Duration::from_millis(9),
    // The highest bit of the configuration is set while nothing is converted (DS 9.6.3).
    ready: Some(Ready {
        ask: &[Step::From(0x01, 2)],
        is_done: |config| config[0] & 0x80 != 0,
        pause: 1,
        answers: [&[0x43, 0x83], &[0xc3, 0x83]],
    }),
    read: &[Step::From(0x00, 2)],
    uniform: Uniform::Ask(0x01, 2),
    decode: |input| Ok(volts(input, 0)),
    encode: |values, options, data| {
        data.copy_from_slice(&signed_code(values[0] / options[FULL_SCALE] * 32768.0).to_be_bytes());
    },
    proof: Proof::Examples,
    ..Row::BASE
};

const VOLTAGE_16: Measures = Measures::new("voltage", "V", 1.0 / 32768.0, (-1.0, 1.0), (0.2, 0.6));

/// The same part with twelve bits, from the left.
pub(super) const ADS1015: Row = Row {
    tag: "ads1015",
    name: "ADS1015",
    about: "One input of an ADS1015 on I2C, in volts.",
    quantities: &[Measures {
        factor: |options| options[FULL_SCALE],
        ..Measures::new("voltage", "V", 1.0 / 2048.0, (-1.0, 1.0), (0.2, 0.6))
    }],
    decode: |input| Ok(volts(input, 4)),
    encode: |values, options, data| {
        let whole = (values[0] / options[FULL_SCALE] * 2048.0).round().clamp(-2048.0, 2047.0);
        data.copy_from_slice(&signed_code(whole * 16.0).to_be_bytes());
    },
    proof: Proof::Recording,
    ..ADS1115
};

/// DS 9.6.3: start, which input, how much gain, one conversion, 128 (or 1600) a second, no comparator.
fn ads_config(options: &Options) -> Vec<u8> {
    const MULTIPLEXER: [u16; 8] = [4, 5, 6, 7, 0, 1, 2, 3];
    let multiplexer = MULTIPLEXER[usize::from(code(options[INPUT]) & 7)];
    // The finest that holds the full scale, of 6.144 V, 4.096 V and halves of that.
    let gain: u16 = [6.0, 4.0, 2.0, 1.0, 0.5].iter().map(|bound| u16::from(options[FULL_SCALE] < *bound)).sum();
    let [high, low] = (0x8000_u16 | multiplexer << 12 | gain << 9 | 0x0183).to_be_bytes();
    vec![0x01, high, low]
}

fn volts(input: &Input<'_>, unused: u32) -> Measured {
    let code = input.signed(0) >> unused;
    if code == i16::MAX >> unused || code == i16::MIN >> unused {
        let full_scale = input.options[FULL_SCALE];
        return vec![Err(Fault::OutOfRange(format!("more than {full_scale} V: choose a larger `full_scale`")))];
    }
    vec![Ok(f64::from(code) / f64::from(1 << (15 - unused)) * input.options[FULL_SCALE])]
}

const REFERENCE: usize = 1;

const MCP_OPTIONS: &[Choice] = &[
    Choice {
        key: "input",
        about: "The input to measure: one against ground, or the difference of two, the second one being the lower.",
        default: 0.0,
        allowed: Allowed::Words(&["0", "1", "2", "3", "4", "5", "6", "7", "0-1", "2-3", "4-5", "6-7"]),
    },
    Choice {
        key: "reference",
        about: "The voltage at the pin VREF, which is the largest that can be measured.",
        default: 3.3,
        allowed: Allowed::Range(0.25, 7.0),
    },
];

/// The bits for "single-ended" and the input (DS 5, table 5-2).
fn mcp_select(options: &Options) -> u8 {
    const BITS: [u8; 12] = [8, 9, 10, 11, 12, 13, 14, 15, 0, 2, 4, 6];
    BITS[usize::from(code(options[INPUT])).min(11)]
}

/// Ten bits. The clock is for a supply of 2.7 V.
pub(super) const MCP3008: Row = Row {
    tag: "mcp3008",
    name: "MCP3008",
    about: "One input of an MCP3008 or MCP3004 on SPI, in volts. With the input at ground and with a broken data line \
            it reads 0.",
    wire: Wire::Spi(0, 1_000_000),
    options: MCP_OPTIONS,
    quantities: &[Measures {
        factor: |options| options[REFERENCE],
        ..Measures::new("voltage", "V", 1.0 / 1024.0, (0.0, 1.0), (0.2, 0.6))
    }],
    // DS 6.1: a start bit, and the answer in the last ten bits, behind a zero.
    read: &[Step::Exchange(|options| vec![0x01, mcp_select(options) << 4, 0x00])],
    uniform: Uniform::ZerosCount,
    decode: |input| mcp_volts(input, 10),
    encode: |values, options, data| mcp_code(values[0] / options[REFERENCE], 10, data),
    proof: Proof::Formula,
    ..Row::BASE
};

/// Twelve bits (DS21298, 6.1).
pub(super) const MCP3208: Row = Row {
    tag: "mcp3208",
    name: "MCP3208",
    about: "One input of an MCP3208 or MCP3204 on SPI, in volts. With the input at ground and with a broken data line \
            it reads 0.",
    quantities: &[Measures {
        factor: |options| options[REFERENCE],
        ..Measures::new("voltage", "V", 1.0 / 4096.0, (0.0, 1.0), (0.2, 0.6))
    }],
    read: &[Step::Exchange(|options| {
        let select = mcp_select(options);
        vec![0x04 | select >> 2, select << 6, 0x00]
    })],
    decode: |input| mcp_volts(input, 12),
    encode: |values, options, data| mcp_code(values[0] / options[REFERENCE], 12, data),
    ..MCP3008
};

fn mcp_volts(input: &Input<'_>, bits: u32) -> Result<Measured, Fault> {
    let word = input.word(1);
    if word & 1 << bits != 0 {
        return Err(Fault::Absent(
            "the bit before the answer is not zero: the part does not drive the data line".to_owned(),
        ));
    }
    let code = word & ((1 << bits) - 1);
    Ok(vec![Ok(f64::from(code) / f64::from(1 << bits) * input.options[REFERENCE])])
}

fn mcp_code(part: f64, bits: u32, data: &mut [u8]) {
    let most = f64::from((1 << bits) - 1);
    data[1..].copy_from_slice(&code((part * f64::from(1 << bits)).min(most)).to_be_bytes());
}
