//! Thermocouples and resistance thermometers on SPI: MAX31855 (data sheet 19-5793), MAX6675 (19-2235) and MAX31865 (19-6478), "DS" below. A
//! probe that is open or shorted is a fault in words.

use std::time::Duration;

use super::row::{Allowed, Choice, Input, Measures, Options, Row, Step, Uniform, Wire, code, signed_code};
use crate::reading::Fault;
use crate::sensor::{Measured, Proof};

fn probe(words: &str) -> Fault {
    Fault::Garbled(format!("the probe {words}"))
}

pub(super) const MAX31855: Row = Row {
    tag: "max31855",
    name: "MAX31855",
    about: "A thermocouple at a MAX31855 on SPI. The letter in the part's name must match the type of the \
            thermocouple.",
    wire: Wire::Spi(0, 4_000_000),
    // DS, tables 1 and 4; the widest range of the parts' letters.
    quantities: &[
        Measures::new("temperature", "°C", 0.25, (-270.0, 1800.0), (180.0, 240.0)),
        Measures::new("internal", "°C", 0.0625, (-55.0, 125.0), (20.0, 30.0)),
    ],
    read: &[Step::Exchange(|_| vec![0; 4])],
    // DS, table 2.
    decode: |input| {
        let low = input.data[3];
        let told = [(1, "is open"), (2, "is shorted to ground"), (4, "is shorted to the supply")];
        let broken = told.iter().find(|(bit, _)| low & bit != 0).map(|(_, words)| probe(words));
        let broken =
            broken.or_else(|| (input.data[1] & 1 != 0).then(|| probe("has a fault that the part does not name")));
        let internal = f64::from(input.signed(2) >> 4) * 0.0625;
        let temperature = f64::from(input.signed(0) >> 2) * 0.25;
        Ok(vec![broken.map_or(Ok(temperature), Err), Ok(internal)])
    },
    encode: |values, _, data| {
        data[..2].copy_from_slice(&(signed_code(values[0] / 0.25) << 2).to_be_bytes());
        data[2..].copy_from_slice(&(signed_code(values[1] / 0.0625) << 4).to_be_bytes());
    },
    proof: Proof::Formula,
    ..Row::BASE
};

pub(super) const MAX6675: Row = Row {
    tag: "max6675",
    name: "MAX6675",
    about: "A thermocouple of type K at a MAX6675 on SPI. At 0 °C and with a broken data line it reads 0.",
    quantities: &[Measures::new("temperature", "°C", 0.25, (0.0, 1023.75), (180.0, 240.0))],
    read: &[Step::Exchange(|_| vec![0; 2])],
    uniform: Uniform::ZerosCount,
    // A conversion takes 0.22 s at most, and begins anew with each read.
    warm_up: Duration::from_millis(250),
    // DS, table 1: two bits of the answer are always zero.
    decode: |input| match input.word(0) {
        word if word & 0x8002 != 0 => Err(Fault::Absent("what is read is no answer of a MAX6675".to_owned())),
        word if word & 4 != 0 => Err(probe("is open")),
        word => Ok(vec![Ok(f64::from(word >> 3) * 0.25)]),
    },
    encode: |values, _, data| data.copy_from_slice(&(code(values[0] / 0.25) << 3).to_be_bytes()),
    proof: Proof::Formula,
    ..MAX31855
};

/// Where the options stand.
const NOMINAL: usize = 0;
const REFERENCE: usize = 1;
const WIRES: usize = 2;

pub(super) const MAX31865: Row = Row {
    tag: "max31865",
    name: "MAX31865",
    about: "A PT100 or PT1000 at a MAX31865 on SPI.",
    // DS, serial interface: the clock's phase is 1.
    wire: Wire::Spi(1, 1_000_000),
    options: &[
        Choice {
            key: "nominal",
            about: "The probe's resistance in ohms at 0 °C: 100 for a PT100, 1000 for a PT1000.",
            default: 100.0,
            allowed: Allowed::Numbers(&[100.0, 1000.0]),
        },
        Choice {
            key: "reference",
            about: "The reference resistor in ohms: usually 430 for a PT100, 4300 for a PT1000.",
            default: 430.0,
            allowed: Allowed::Range(100.0, 20_000.0),
        },
        Choice {
            key: "wires",
            about: "The number of wires of the probe. The board has a matching solder bridge.",
            default: 4.0,
            allowed: Allowed::Numbers(&[2.0, 3.0, 4.0]),
        },
    ],
    quantities: &[Measures::new("temperature", "°C", 0.035, (-200.0, 850.0), (20.0, 24.0))],
    // DS, configuration register: the probe's current on, ten time constants later one conversion, which takes 62.5 ms and half
    // a conversion at most with the filter for 50 Hz. Between measurements it is off, so that the probe does not warm itself.
    begin: &[
        Step::Set(|options| vec![0x80, config(options) | 0x82]),
        Step::Wait(10),
        Step::Set(|options| vec![0x80, config(options) | 0xa0]),
    ],
    conversion: Duration::from_millis(70),
    // From the configuration to the fault status: address, configuration, ratio, thresholds, status.
    read: &[Step::Exchange(|_| vec![0; 9]), Step::Set(|options| vec![0x80, config(options)])],
    decode: rtd,
    encode: |values, options, data| {
        let ratio = (ohms(values[0]) * options[NOMINAL] / options[REFERENCE]).min(1.0);
        data.copy_from_slice(&[0, config(options) | 0x80, 0, 0, 0xff, 0xff, 0, 0, 0]);
        data[2..4].copy_from_slice(&(code((ratio * 32768.0).min(32767.0)) << 1).to_be_bytes());
    },
    proof: Proof::Formula,
    ..MAX31855
};

/// Three wires, or not; the filter for 50 Hz.
fn config(options: &Options) -> u8 {
    if options[WIRES] < 3.5 && options[WIRES] > 2.5 { 0x11 } else { 0x01 }
}

/// The coefficients of IEC 60751.
const A: f64 = 3.9083e-3;
const B: f64 = -5.775e-7;
const C: f64 = -4.183e-12;

/// The resistance of a platinum probe at a temperature, as a multiple of that at 0 °C.
fn ohms(celsius: f64) -> f64 {
    let below = if celsius < 0.0 { C * (celsius - 100.0) * celsius.powi(3) } else { 0.0 };
    1.0 + A * celsius + B * celsius.powi(2) + below
}

fn rtd(input: &Input<'_>) -> Result<Measured, Fault> {
    let word = input.word(2);
    // DS, fault status register.
    let told = [
        (0x04, "has a voltage on its wires that is too high or too low"),
        (0x08, "is open or shorted: there is no current in its lower wire"),
        (0x10, "is open: there is no current in the reference resistor"),
        (0x20, "is open: the reference resistor has the whole voltage"),
    ];
    let status = input.data[8];
    if let Some((_, words)) = told.iter().find(|(bit, _)| status & bit != 0) {
        return Err(probe(words));
    }
    match word >> 1 {
        0x7ff0.. => return Err(probe("is open, or the reference resistor is smaller than the map says")),
        // Below 8 % of its nominal resistance no platinum probe is that works.
        code if f64::from(code) / 32768.0 * input.options[REFERENCE] < 0.08 * input.options[NOMINAL] => {
            return Err(probe("is shorted"));
        }
        _ => {}
    }
    let wanted = f64::from(word >> 1) / 32768.0 * input.options[REFERENCE] / input.options[NOMINAL];
    // The square's root is the answer above 0 °C; below it, a few steps of Newton from there.
    let mut celsius = (-A + (A * A - 4.0 * B * (1.0 - wanted)).max(0.0).sqrt()) / (2.0 * B);
    if celsius < 0.0 {
        for _ in 0..4 {
            let slope = A + 2.0 * B * celsius + C * (4.0 * celsius - 300.0) * celsius.powi(2);
            celsius -= (ohms(celsius) - wanted) / slope;
        }
    }
    Ok(vec![Ok(celsius)])
}
