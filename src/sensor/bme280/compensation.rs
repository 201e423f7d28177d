//! From raw numbers to °C, % and hPa: the integer formulas of DS 4.2.3 with the part's own calibration.
//!
//! They are computed in wider integers than Bosch's, so that a damaged part gives a fault and not an overflow.

use super::Air;
use crate::reading::Fault;

/// What a quantity reads as when it was not measured (DS 5.4.7 to 5.4.9), in 20 and in 16 bits.
const SKIPPED: i64 = 0x8_0000;
const SKIPPED_HUMIDITY: i64 = 0x8000;

/// The part's calibration words, as DS 4.2.2 numbers them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Calibration {
    /// `dig_T1` to `dig_T3`.
    t: [i64; 3],
    /// `dig_P1` to `dig_P9`.
    p: [i128; 9],
    /// `dig_H1` to `dig_H6`, where the part measures humidity.
    h: Option<[i64; 6]>,
}

impl Calibration {
    /// From the registers 0x88 to 0xa1 and, of a part that measures humidity, 0xe1 to 0xe7 (DS 4.2.2, table 16). `None` where they
    /// hold nothing: all ones or all zeros, also in a part of them. Zeros would compute to 0 °C and 0 %.
    pub(super) fn new(first: &[u8; 26], second: Option<[u8; 7]>) -> Option<Self> {
        // T1, T2, P1, P2 and P9, H2 and H4, which are far from both in every part: they lie where either transfer begins and
        // where it ends. Others are small, or may be zero.
        let words = [0, 2, 6, 8, 22].map(|at| [first[at], first[at + 1]]);
        let humidity = second.map(|second| [[second[0], second[1]], [second[3], second[4] & 0x0f]]);
        let words = words.into_iter().chain(humidity.into_iter().flatten());
        let mut empty = words.map(|word| matches!(word, [0, 0] | [0xff, 0xff | 0x0f]));
        if empty.any(|is_empty| is_empty) {
            return None;
        }
        let unsigned = |at: usize| u16::from_le_bytes([first[at], first[at + 1]]);
        let signed = |at: usize| i16::from_le_bytes([first[at], first[at + 1]]);
        let mut p = std::array::from_fn(|n| i128::from(signed(6 + 2 * n)));
        p[0] = i128::from(unsigned(6));
        // H4 and H5 have 12 bits each and share the byte at 0xe5; their upper byte carries the sign.
        let upper = |byte: u8| i64::from(byte.cast_signed()) * 16;
        Some(Self {
            t: [unsigned(0).into(), signed(2).into(), signed(4).into()],
            p,
            h: second.map(|second| {
                [
                    first[25].into(),
                    i16::from_le_bytes([second[0], second[1]]).into(),
                    second[2].into(),
                    upper(second[3]) + i64::from(second[4] & 0x0f),
                    upper(second[5]) + i64::from(second[4] >> 4),
                    second[6].cast_signed().into(),
                ]
            }),
        })
    }

    /// Whether the part measures humidity.
    pub(super) const fn has_humidity(&self) -> bool {
        self.h.is_some()
    }

    /// Temperature, humidity and pressure from the registers 0xf7 to 0xfe. Without humidity the last two say nothing.
    ///
    /// # Errors
    /// When there is no temperature, without which the others cannot be computed.
    pub(super) fn compensate(&self, data: [u8; 8]) -> Result<Air, Fault> {
        let twenty_bits = |at: usize| i64::from(u32::from_be_bytes([0, data[at], data[at + 1], data[at + 2]]) >> 4);
        let raw_humidity = i64::from(u16::from_be_bytes([data[6], data[7]]));
        let fine = self.fine(twenty_bits(3))?;
        // Half up, as in the data sheet: hundredths of a degree.
        let temperature = decimal((fine * 5 + 128) >> 8, 100);
        let humidity = self.h.map(|words| humidity(words, raw_humidity, fine));
        Ok(Air { temperature, pressure: self.pressure(twenty_bits(0), fine), humidity })
    }

    /// `t_fine`: the temperature in 1/5120 °C.
    fn fine(&self, raw: i64) -> Result<i64, Fault> {
        if raw == SKIPPED {
            return Err(Fault::Garbled("the part did not measure the temperature".to_owned()));
        }
        let [t1, t2, t3] = self.t;
        let linear = (((raw >> 3) - (t1 << 1)) * t2) >> 11;
        let square = (((((raw >> 4) - t1) * ((raw >> 4) - t1)) >> 12) * t3) >> 14;
        let fine = linear + square;
        // DS 1.4, table 4: the part works from -40 to 85 °C.
        if (-40 * 5120..=85 * 5120).contains(&fine) {
            Ok(fine)
        } else {
            Err(Fault::OutOfRange(format!("{} °C is not within the part's -40 to 85", fine / 5120)))
        }
    }

    /// Pressure in hPa, to 0.001.
    fn pressure(&self, raw: i64, fine: i64) -> Result<f64, Fault> {
        if raw == SKIPPED {
            return Err(Fault::Garbled("the part did not measure the pressure".to_owned()));
        }
        let [p1, p2, p3, p4, p5, p6, p7, p8, p9] = self.p;
        let warmth = i128::from(fine) - 128_000;
        let offset = warmth * warmth * p6 + ((warmth * p5) << 17) + (p4 << 35);
        let slope = ((warmth * warmth * p3) >> 8) + ((warmth * p2) << 12);
        let slope = (((1 << 47) + slope) * p1) >> 33;
        if slope == 0 {
            return Err(Fault::Garbled("the calibration of the pressure is empty".to_owned()));
        }
        let linear = ((((1_048_576 - i128::from(raw)) << 31) - offset) * 3125) / slope;
        let square = (p9 * (linear >> 13) * (linear >> 13)) >> 25;
        let pascal = ((linear + square + ((p8 * linear) >> 19)) >> 8) + (p7 << 4);
        // In 1/256 Pa. DS 1.3, table 3: the part measures from 300 to 1100 hPa.
        let tenths = (pascal * 10 + 128) >> 8;
        match i64::try_from(tenths) {
            Ok(tenths @ 300_000..=1_100_000) => Ok(decimal(tenths, 1000)),
            _ => Err(Fault::OutOfRange(format!("{} hPa is not within the part's 300 to 1100", tenths / 1000))),
        }
    }
}

/// Relative humidity in %, to 0.01. The formula itself ends at 0 and at 100.
fn humidity([h1, h2, h3, h4, h5, h6]: [i64; 6], raw: i64, fine: i64) -> Result<f64, Fault> {
    if raw == SKIPPED_HUMIDITY {
        return Err(Fault::Garbled("the part did not measure the humidity".to_owned()));
    }
    // The formula would end at 0 and at 100 %.
    if raw == 0 || raw == 0xffff {
        return Err(Fault::Garbled("the humidity reads only zeros or only ones".to_owned()));
    }
    let warmth = fine - 76_800;
    let offset = ((raw << 14) - (h4 << 20) - h5 * warmth + 16_384) >> 15;
    let slope = ((warmth * h6) >> 10) * (((warmth * h3) >> 11) + 32_768);
    let slope = (((slope >> 10) + 2_097_152) * h2 + 8192) >> 14;
    let linear = offset * slope;
    let bent = linear - (((((linear >> 15) * (linear >> 15)) >> 7) * h1) >> 4);
    // In 1/1024 %, from a number with 22 bits after the point.
    let percent = bent.clamp(0, 419_430_400) >> 12;
    Ok(decimal((percent * 100 + 512) >> 10, 100))
}

/// The decimal number `units / per_one`; the units of the formulas are small enough to be exact.
fn decimal(units: i64, per_one: u32) -> f64 {
    let units = i32::try_from(units).expect("at most seven digits by the range checks");
    f64::from(units) / f64::from(per_one)
}
