//! Numbers as text: how many digits a value is worth, and what of it is only the noise of binary fractions.
//!
//! Everything that shows a value takes [`text`], so that an entry, the status and an export have the same digits. Rounding is
//! the last step: what is stored, summed and compared keeps all digits.

/// How many digits after the point a value is shown with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decimals {
    /// So many, zeros included: the map's `round`.
    Exactly(u8),
    /// So many at most, without zeros at the end: what the part resolves allows no more.
    UpTo(u8),
}

impl Decimals {
    /// How many.
    pub const fn digits(self) -> u8 {
        match self {
            Self::Exactly(digits) | Self::UpTo(digits) => digits,
        }
    }
}

/// From here on a double has no digits after the point, and not every whole number.
const WHOLE: f64 = 9_007_199_254_740_992.0;

/// Powers of ten that are exact as a double: what is divided by them is the number that the digits mean.
const MOST_DIGITS: u8 = 22;

/// The value in plain decimals, without an exponent and without the sign of a zero. `None` for what is not finite.
pub fn text(value: f64, decimals: Option<Decimals>) -> Option<String> {
    let shown = shown(value, decimals);
    let text = match decimals {
        Some(Decimals::Exactly(digits)) => format!("{shown:.*}", usize::from(digits)),
        Some(Decimals::UpTo(_)) | None => shown.to_string(),
    };
    value.is_finite().then_some(text)
}

/// The number that [`text`] writes.
pub(super) fn shown(value: f64, decimals: Option<Decimals>) -> f64 {
    match decimals {
        // Whatever it was computed from: the last place of a double is nobody's digit.
        None => denoised(value, value.abs() * f64::EPSILON),
        Some(decimals) => rounded(value, decimals.digits()),
    }
}

/// `value` to so many digits after the point, halves away from zero.
///
/// A half is one as it was written: 2.675 is a little less as a double, and becomes 2.68 all the same.
pub fn rounded(value: f64, digits: u8) -> f64 {
    let unit = 10_f64.powi(i32::from(digits));
    let scaled = value * unit;
    let size = scaled.abs();
    if !unit.is_finite() || size.is_nan() || size >= WHOLE {
        return value + 0.0;
    }
    let short_of_half = 0.5 - size.fract();
    let slack = (size * 2.0 * f64::EPSILON).min(1e-3);
    let whole = if short_of_half > 0.0 && short_of_half <= slack { size.ceil() } else { size.round() };
    // Adding zero turns -0 into 0: nobody wants to read "-0.0 °C" in a feed.
    (whole / unit).copysign(value) + 0.0
}

/// The number with the fewest digits within `noise` of `value`, or `value` where there is none.
///
/// It undoes what binary fractions do to decimals on the way: 0.1 + 0.2 is 0.3 again. Who computes knows the noise: a few units
/// in the last place of the largest number in the sum, not of the result.
pub(crate) fn denoised(value: f64, noise: f64) -> f64 {
    if !value.is_finite() || value.trunc().to_bits() == value.to_bits() {
        return value + 0.0;
    }
    for digits in 0..=MOST_DIGITS {
        let unit = 10_f64.powi(i32::from(digits));
        let scaled = value * unit;
        if scaled.abs() >= WHOLE {
            break;
        }
        let short = scaled.round() / unit;
        if (short - value).abs() <= noise {
            return short + 0.0;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_binary_noise_is_lost_without_a_resolution() {
        for (value, words) in [
            (0.1 + 0.2, "0.3"),
            (-2800.0 * 0.001, "-2.8"),
            (67.009_999_999_999_99, "67.01"),
            (1e15, "1000000000000000"),
            (1e15 + 0.5, "1000000000000000.5"),
            (9_007_199_254_740_991.0, "9007199254740991"),
            (1e21, "1000000000000000000000"),
            (1_795_334_400.123_456, "1795334400.123456"),
            (1.0 / 3.0, "0.3333333333333333"),
            (1e-9, "0.000000001"),
            (1.234_567_89e-9, "0.00000000123456789"),
            (-0.0, "0"),
            (-1e-9, "-0.000000001"),
        ] {
            assert_eq!(text(value, None).as_deref(), Some(words));
        }
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(
                [None, Some(Decimals::UpTo(2)), Some(Decimals::Exactly(2))].map(|it| text(value, it)),
                [None, None, None]
            );
        }
    }

    #[test]
    fn default_digits_end_with_one_that_says_something_and_the_maps_are_all_there() {
        for (value, digits, up_to, exactly) in [
            (21.0, 2, "21", "21.00"),
            (21.496, 2, "21.5", "21.50"),
            (-0.004, 2, "0", "0.00"),
            (100.0, 0, "100", "100"),
            (99.996, 2, "100", "100.00"),
            (2.675, 2, "2.68", "2.68"),
            (-1.005, 2, "-1.01", "-1.01"),
            (1e15 + 0.3, 4, "1000000000000000.3", "1000000000000000.2500"),
        ] {
            assert_eq!(text(value, Some(Decimals::UpTo(digits))).as_deref(), Some(up_to));
            assert_eq!(text(value, Some(Decimals::Exactly(digits))).as_deref(), Some(exactly));
        }
    }

    /// A decimal with up to nine significant digits, as a whole number and how many of its digits stand behind the point.
    fn decimal() -> impl Strategy<Value = (i64, u32)> {
        (-999_999_999..=999_999_999_i64, 0..=9_u32)
    }

    /// The decimal as people write it.
    fn written(number: i128, digits: u32) -> String {
        let unit = 10_i128.pow(digits);
        let sign = if number < 0 { "-" } else { "" };
        let fraction = format!("{:01$}", number.abs() % unit, digits as usize);
        let fraction = if digits == 0 { "" } else { fraction.trim_end_matches('0') };
        let point = if fraction.is_empty() { "" } else { "." };
        format!("{sign}{}{point}{fraction}", number.abs() / unit)
    }

    fn double(number: i64, digits: u32) -> f64 {
        written(number.into(), digits).parse().expect("a number")
    }

    proptest! {
        #[test]
        fn decimal_comes_out_as_it_was_written((number, digits) in decimal()) {
            prop_assert_eq!(text(double(number, digits), None), Some(written(number.into(), digits)));
        }

        #[test]
        fn rounding_is_that_of_decimals((number, digits) in decimal(), keep in 0..6_u8) {
            let away = i128::from(number.signum());
            let cut = 10_i128.pow(digits.saturating_sub(keep.into()));
            let whole = (i128::from(number) + away * cut / 2) / cut;
            let text = text(double(number, digits), Some(Decimals::UpTo(keep)));
            prop_assert_eq!(text, Some(written(whole, digits.min(keep.into()))));
        }

        #[test]
        fn what_is_shown_moves_by_no_more_than_half_a_unit(value in -1e9..1e9_f64, digits in 0..7_u8) {
            let unit = 10_f64.powi(-i32::from(digits));
            let shown: f64 = text(value, Some(Decimals::UpTo(digits))).expect("finite").parse().expect("a number");
            prop_assert!((shown - value).abs() <= 0.5001 * unit + value.abs() * f64::EPSILON);
        }

        #[test]
        fn text_of_any_number_is_plain(value: f64, digits: u8) {
            for decimals in [None, Some(Decimals::UpTo(digits)), Some(Decimals::Exactly(digits))] {
                let text = text(value, decimals);
                prop_assert_eq!(text.is_some(), value.is_finite());
                let text = text.unwrap_or_default();
                prop_assert!(text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'.')), "{}", text);
                let is_zero = text.bytes().all(|byte| matches!(byte, b'-' | b'0' | b'.'));
                prop_assert!(!is_zero || !text.starts_with('-'), "{}", text);
            }
        }
    }
}
