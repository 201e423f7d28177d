//! How the device writes its numbers.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::reading::Fault;
use crate::sensor::number::{self, quoted};

/// The way in which a device writes numbers.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::sensor) struct Style {
    /// Between the whole and the rest: `.` or `,`.
    pub(in crate::sensor) decimal: char,
    /// Between groups of three digits, where there is one.
    pub(in crate::sensor) thousands: Option<char>,
    /// 10 or 16.
    pub(in crate::sensor) base: u32,
    /// Words that stand for numbers.
    pub(in crate::sensor) states: BTreeMap<String, f64>,
    /// What stands behind a number and is no part of it.
    pub(in crate::sensor) unit: Option<String>,
}

impl Default for Style {
    fn default() -> Self {
        Self { decimal: '.', thousands: None, base: 10, states: BTreeMap::new(), unit: None }
    }
}

impl Style {
    /// The number that a text is.
    ///
    /// # Errors
    /// [`Fault::Garbled`] with what came.
    pub(in crate::sensor) fn parse(&self, text: &str) -> Result<f64, Fault> {
        let text = text.trim();
        if let Some(number) = self.states.get(text) {
            return Ok(*number);
        }
        let bare = self.unit.as_deref().and_then(|unit| text.strip_suffix(unit.trim()));
        let number = self.number(bare.map_or(text, str::trim_end));
        number.ok_or_else(|| {
            let mut reason = format!("{} is not a number", quoted(text));
            if self.decimal == '.' && self.base == 10 && number::parse(&text.replacen(',', ".", 1)).is_ok() {
                reason.push_str(" (decimal comma? set decimal = \",\")");
            } else if let Some(unit) = self.unit_of(text) {
                let _ = write!(reason, " (with a unit? set unit = \"{unit}\")");
            }
            Fault::Garbled(reason)
        })
    }

    /// What stands behind a number, where the map names no unit.
    fn unit_of<'a>(&self, text: &'a str) -> Option<&'a str> {
        let bare = text.trim_end_matches(|c: char| c.is_alphabetic() || "%°/²³ ".contains(c));
        let unit = text[bare.len()..].trim_start();
        (self.unit.is_none() && self.base == 10 && !unit.is_empty() && self.number(bare).is_some()).then_some(unit)
    }

    fn number(&self, text: &str) -> Option<f64> {
        let (negative, digits) = sign(text);
        if self.base == 16 {
            let digits = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")).unwrap_or(digits);
            // Exact up to 53 bits, which are more than any register of a meter has.
            let whole =
                digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u64::from_str_radix(digits, 16).ok());
            let number = whole.flatten().filter(|whole| *whole < 1 << 53)?;
            #[expect(clippy::cast_precision_loss, reason = "it has 53 bits at most")]
            let number = number as f64;
            return Some(if negative { -number } else { number });
        }
        let plain = match self.thousands {
            Some(separator) => ungrouped(digits, separator, self.decimal)?,
            None => digits.to_owned(),
        };
        if self.decimal != '.' && plain.contains('.') {
            return None;
        }
        let plain = plain.replacen(self.decimal, ".", 1);
        // A second sign is none.
        let number = plain.starts_with(|c: char| c.is_ascii_digit() || c == '.').then(|| number::parse(&plain).ok());
        number.flatten().map(|number| if negative { -number } else { number })
    }
}

/// The sign, which may stand apart and be one of typography, and the digits.
fn sign(text: &str) -> (bool, &str) {
    match text.strip_prefix(['-', '\u{2212}', '\u{2013}']) {
        Some(digits) => (true, digits.trim_start()),
        None => (false, text.strip_prefix('+').map_or(text, str::trim_start)),
    }
}

/// The digits without what stands between their groups. `None`: a group has not three digits.
fn ungrouped(digits: &str, separator: char, decimal: char) -> Option<String> {
    // Devices write one of several blanks.
    let is_separator = |c: char| c == separator || separator == ' ' && c.is_whitespace();
    let (whole, rest) = digits.find(decimal).map_or((digits, ""), |place| digits.split_at(place));
    let groups: Vec<&str> = whole.split(is_separator).collect();
    let are_good =
        groups.len() == 1 || (1..=3).contains(&groups[0].len()) && groups[1..].iter().all(|group| group.len() == 3);
    are_good.then(|| groups.concat() + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn style(decimal: char, thousands: Option<char>, base: u32) -> Style {
        Style { decimal, thousands, base, states: BTreeMap::from([("ON".to_owned(), 1.0)]), unit: None }
    }

    #[test]
    fn signs_may_stand_apart_and_be_typographic() {
        let plain = style('.', None, 10);
        for (text, number) in [("- 5.2", -5.2), ("+ 5.2", 5.2), ("\u{2212}5.2", -5.2), (" -.5 ", -0.5), ("1e3", 1000.0)]
        {
            assert_eq!(plain.parse(text), Ok(number), "{text}");
        }
        for text in ["--5", "- -5", "-", "5-", "nan", "-inf", ""] {
            assert!(plain.parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn decimal_commas_and_groups_are_read_where_the_map_says_so() {
        let german = style(',', Some('.'), 10);
        assert_eq!(german.parse("-1.234.567,5"), Ok(-1_234_567.5));
        assert_eq!(german.parse("12,5"), Ok(12.5));
        assert!(german.parse("1.23,5").is_err(), "a group of two");
        assert!(style(',', None, 10).parse("12.5").is_err(), "not what the map says");
        assert!(style(',', None, 10).parse("1,2,3").is_err());
        assert_eq!(style('.', Some(','), 10).parse("12,345.5"), Ok(12345.5));
        assert_eq!(style(',', Some(' '), 10).parse("12\u{a0}345,5"), Ok(12345.5));
        let fault = style('.', None, 10).parse("12,5").unwrap_err().to_string();
        assert_eq!(fault, "no measurement: \"12,5\" is not a number (decimal comma? set decimal = \",\")");
    }

    #[test]
    fn a_unit_is_cut_off_where_the_map_names_it() {
        let percent = Style { unit: Some("%".to_owned()), ..style(',', None, 10) };
        for (text, number) in [("45%", 45.0), ("45,5 %", 45.5), ("45", 45.0)] {
            assert_eq!(percent.parse(text), Ok(number), "{text}");
        }
        assert!(percent.parse("45 C").is_err() && percent.parse("%").is_err());
        let fault = style('.', None, 10).parse("45 %").unwrap_err().to_string();
        assert!(fault.ends_with("\"45 %\" is not a number (with a unit? set unit = \"%\")"), "{fault}");
    }

    #[test]
    fn base_16_and_states_are_numbers() {
        let hex = style('.', None, 16);
        assert_eq!(hex.parse("0x1F"), Ok(31.0));
        assert_eq!(hex.parse("-ff"), Ok(-255.0));
        assert!(hex.parse("1F.5").is_err());
        assert!(hex.parse("+").is_err());
        assert_eq!(hex.parse(" ON "), Ok(1.0));
        assert!(hex.parse("OFF").is_err());
    }
}
