//! Numbers in texts that people and devices write.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crate::reading::Fault;

/// The most characters of a text that a fault repeats.
const QUOTED: usize = 40;

/// The finite number that `text` is, white space around it aside. Neither `12,5` nor `NaN` is one.
///
/// # Errors
/// [`Fault::Garbled`] with what came.
pub(super) fn parse(text: &str) -> Result<f64, Fault> {
    let number = text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
    number.ok_or_else(|| Fault::Garbled(format!("{} is not a number", quoted(text))))
}

/// The beginning of a text for a message: at most 40 characters, none that could disturb a terminal.
pub(super) fn quoted(text: &str) -> String {
    let text = text.trim();
    let shown = |c: char| if c.is_control() || c == char::REPLACEMENT_CHARACTER { '?' } else { c };
    let mut quoted: String = text.chars().take(QUOTED).map(shown).collect();
    if text.chars().nth(QUOTED).is_some() {
        quoted.push('…');
    }
    format!("\"{quoted}\"")
}

/// A unit that the map names, as a text that lives as long as the units of parts do. Each is kept once, so that a reload costs
/// nothing.
pub(super) fn interned(unit: &str) -> &'static str {
    static UNITS: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());
    let mut units = UNITS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = units.get(unit) {
        return known;
    }
    let new: &'static str = Box::leak(unit.into());
    units.insert(new);
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_every_usual_form() {
        for (text, number) in [("21.5\n", 21.5), (" -3 ", -3.0), ("+.5", 0.5), ("1e3", 1000.0)] {
            assert_eq!(parse(text), Ok(number));
        }
    }

    #[test]
    fn what_is_no_finite_number_is_quoted_in_the_fault() {
        for text in ["", "12,5", "NaN", "inf", "1e999", "21.5 C"] {
            assert_eq!(parse(text), Err(Fault::Garbled(format!("\"{text}\" is not a number"))));
        }
    }

    #[test]
    fn a_quotation_is_short_and_printable() {
        assert_eq!(quoted("\u{1b}[2J\u{fffd}"), "\"?[2J?\"");
        assert_eq!(quoted(&"ä".repeat(1000)), format!("\"{}…\"", "ä".repeat(40)));
    }
}
