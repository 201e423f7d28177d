//! Vishay VEML7700: light (data sheet 84286 and application note 84323, "AN" below).

use std::time::Duration;

use super::row::{Measures, Row, Step, Uniform, Wire, raw_for};
use crate::reading::Fault;
use crate::sensor::Proof;
use crate::sensor::recognition::{Identity, Proposal};

const ADDRESS: &[u8] = &[0x10];

/// Lux of a count with a gain of an eighth and 100 ms (AN, table of resolutions).
const RESOLUTION: f64 = 0.5376;

pub(super) const ROW: Row = Row {
    tag: "veml7700",
    name: "VEML7700",
    about: "A VEML7700 on I2C: light in lux, from half a lux to full sun. Its address is always 0x10.",
    wire: Wire::I2c(ADDRESS),
    // Data sheet, register 7: the lower byte comes first.
    identity: Some((
        Identity { addresses: ADDRESS, register: 0x07, length: 2, mask: 0xff00, ids: &[(0x8100, "VEML7700")] },
        Proposal { name: "light", quantities: &[("illuminance", 0)], more: &[] },
    )),
    quantities: &[Measures {
        relative_step: 0.0001,
        ..Measures::new("illuminance", "lx", 0.6, (0.0, 120_000.0), (100.0, 600.0))
    }],
    // Data sheet, register 0: a gain of an eighth, 100 ms, switched on. It measures by itself from then on.
    open: &[Step::Write(&[0x00, 0x00, 0x10])],
    // Data sheet: 2.5 ms after it was switched on the first of them begins.
    warm_up: Duration::from_millis(210),
    read: &[Step::From(0x04, 2)],
    uniform: Uniform::Ask(0x07, 2),
    decode: |input| {
        let counts = u16::from_le_bytes([input.data[0], input.data[1]]);
        Ok(vec![match counts {
            u16::MAX => Err(Fault::OutOfRange("more light than the part can measure".to_owned())),
            counts => Ok(lux(counts.into())),
        }])
    },
    encode: |values, _, data| {
        data.copy_from_slice(&raw_for(16, |raw| lux(raw) - values[0]).to_le_bytes()[..2]);
    },
    proof: Proof::Formula,
    ..Row::BASE
};

/// Counts as lux; the part sees less and less of strong light, which is corrected (AN, correction for high illuminance).
fn lux(counts: f64) -> f64 {
    let lux = counts * RESOLUTION;
    6.0135e-13 * lux.powi(4) - 9.3924e-9 * lux.powi(3) + 8.1488e-5 * lux.powi(2) + 1.0023 * lux
}
