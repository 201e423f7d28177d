//! A part whose registers hold anything.

use super::Air;
use super::compensation::Calibration;
use crate::fuzzing::assert_line;

/// What comes out is within what the part can measure, or missing for a reason. The bytes are the calibration at 0x88 to 0xa1 and at
/// 0xe1 to 0xe7, and then data registers, eight a measurement.
pub(crate) fn registers(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first_chunk::<26>() else { return };
    let Some((second, rest)) = rest.split_first_chunk::<7>() else { return };
    let Some(calibration) = Calibration::new(first, Some(*second)) else { return };
    for data in rest.as_chunks::<8>().0 {
        match calibration.compensate(*data) {
            Ok(Air { temperature, pressure, humidity }) => {
                let humidity = humidity.expect("the part measures it");
                let measured = [Ok(temperature), humidity, pressure];
                let limits = [-40.0..=85.0, 0.0..=100.0, 300.0..=1100.0];
                for (value, limits) in measured.iter().zip(limits) {
                    match value {
                        Ok(value) => assert!(limits.contains(value), "{value} is not within {limits:?}"),
                        Err(fault) => assert_line(&fault.to_string()),
                    }
                }
            }
            Err(fault) => assert_line(&fault.to_string()),
        }
    }
}
