//! Words for lengths of time and for numbers, as short as people say them.

/// A length of time to its two largest units: `4 s`, `2 min 10 s`, `3 d 4 h`.
pub(super) fn lasting(seconds: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float becomes the nearest number it can"
    )]
    let whole = seconds.round() as u64;
    if whole == 0 && seconds > 0.0 {
        return format!("{:.0} ms", (seconds * 1000.0).max(1.0));
    }
    let (large, unit, rest, small) = match whole {
        0..60 => (whole, "s", 0, ""),
        60..3600 => (whole / 60, "min", whole % 60, "s"),
        3600..86_400 => (whole / 3600, "h", whole % 3600 / 60, "min"),
        _ => (whole / 86_400, "d", whole % 86_400 / 3600, "h"),
    };
    if rest == 0 { format!("{large} {unit}") } else { format!("{large} {unit} {rest} {small}") }
}

/// A measured value for the eye.
pub(super) fn value(value: f64) -> String {
    let digits = if value.abs() >= 1000.0 { 1 } else { 3 };
    let text = format!("{value:.digits$}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// A number of things with its word.
pub(crate) fn counted<N: Into<u64>>(number: N, one: &str, many: &str) -> String {
    let number = number.into();
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

/// A whole number with its thousands apart.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_have_two_units_at_most() {
        for (seconds, words) in [
            (0.0, "0 s"),
            (0.0004, "1 ms"),
            (0.31, "310 ms"),
            (0.6, "1 s"),
            (59.6, "1 min"),
            (130.0, "2 min 10 s"),
            (7260.0, "2 h 1 min"),
            (86_400.0 * 3.0 + 4.0 * 3600.0 + 59.0, "3 d 4 h"),
            (-5.0, "0 s"),
            (f64::MAX, "213503982334601 d 7 h"),
        ] {
            assert_eq!(lasting(seconds), words);
        }
    }

    #[test]
    fn numbers_are_short() {
        for (number, words) in
            [(21.5, "21.5"), (-0.0001, "0"), (100.0, "100"), (101_325.26, "101325.3"), (1e9, "1000000000")]
        {
            assert_eq!(value(number), words);
        }
        assert_eq!([0, 999, 1000, 3_000_000].map(grouped), ["0", "999", "1,000", "3,000,000"]);
        assert_eq!(counted(1_u32, "entry", "entries") + &counted(2_u32, ", entry", ", entries"), "1 entry2 , entries");
    }
}
