//! Rounding to digits after the point.

/// `value` to `digits` digits after the point, halves away from zero.
pub(super) fn round(value: f64, digits: u8) -> f64 {
    let unit = 10_f64.powi(i32::from(digits));
    let scaled = value * unit;
    // Where the product overflows, the value is so large that it has no digits after the point.
    let rounded = if scaled.is_finite() && unit.is_finite() { scaled.round() / unit } else { value };
    // Adding zero turns -0 into 0: nobody wants to read "-0.0 °C" in a feed.
    rounded + 0.0
}
