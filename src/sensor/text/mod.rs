//! Numbers in a text that comes whole: a file, what a program prints, a message.
//!
//! The map says where they stand, in the forms of `serial_line`: the named groups of a regular expression, columns, JSON pointers. Without
//! a form the text, or its first word, is the one number. Of several lines with a form the last one counts: a file that
//! grows says its newest value there.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use super::Measured;
use super::number::quoted;
use super::serial_line::form::{Csv, Form, Pattern, Place};
use super::serial_line::style::Style;
use super::serial_line::talk::{Talk, drift};
use crate::reading::{Fault, Quantity};
use crate::time::Mono;

/// The quantity of a text without a form.
const VALUE: &str = "value";

/// How a text is read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Text {
    /// Where the numbers stand, and how they are written. Without a place the text is the number.
    form: Form,
    is_plain: bool,
    /// A text that the simulated source says.
    simulate: Option<String>,
}

/// The keys as written; [`text_keys`] makes the struct of a kind that has them.
pub(super) struct Written {
    pub(super) r#match: Option<Pattern>,
    pub(super) csv: Option<Csv>,
    pub(super) json: Option<BTreeMap<String, String>>,
    pub(super) decimal: char,
    pub(super) thousands: Option<char>,
    pub(super) base: u32,
    pub(super) states: BTreeMap<String, f64>,
    pub(super) unit: Option<String>,
    pub(super) simulate: Option<String>,
}

/// Makes the struct of a kind's keys: its own ones, and behind them those that say how a text is read.
macro_rules! text_keys {
    ($(#[$meta:meta])* struct $name:ident { $($own:tt)* }) => {
        $(#[$meta])*
        struct $name {
            $($own)*
            /// A regular expression, found anywhere in a line of the text. Its named groups are the quantities. At most one of
            /// `match`, `csv` and `json` says where the numbers stand; without one the text is one number, called `value`.
            #[cfg_attr(feature = "docs", schemars(with = "Option<String>", extend("examples" = ["^T=(?<temperature>-?[0-9.]+)$"])))]
            r#match: Option<crate::sensor::serial_line::form::Pattern>,
            /// For separated text: which column holds which quantity.
            #[cfg_attr(feature = "docs", schemars(extend("examples" = [{ "columns": { "temperature": 2 } }])))]
            csv: Option<crate::sensor::serial_line::form::Csv>,
            /// For JSON: each quantity with the pointer to its number (RFC 6901).
            #[cfg_attr(feature = "docs", schemars(extend("examples" = [{ "temperature": "/sensor/t" }])))]
            json: Option<std::collections::BTreeMap<String, String>>,
            /// The decimal sign of its numbers.
            #[serde(default = "crate::sensor::text::point")]
            #[cfg_attr(feature = "docs", schemars(extend("examples" = [","])))]
            decimal: char,
            /// What stands between groups of three digits.
            #[cfg_attr(feature = "docs", schemars(extend("examples" = ["."])))]
            thousands: Option<char>,
            /// 16 for numbers in hexadecimal digits.
            #[serde(default = "crate::sensor::text::ten")]
            #[cfg_attr(feature = "docs", schemars(range(min = 10, max = 16)))]
            base: u32,
            /// Words that stand for numbers.
            #[serde(default)]
            #[cfg_attr(feature = "docs", schemars(extend("examples" = [{ "ON": 1, "OFF": 0 }])))]
            states: std::collections::BTreeMap<String, f64>,
            /// The unit that stands behind its numbers: `%` where the text is 45%.
            #[cfg_attr(feature = "docs", schemars(extend("examples" = ["%"])))]
            unit: Option<String>,
            /// A text for `run --simulate`. Unless it is set one is made up, as far as that can be.
            #[cfg_attr(feature = "docs", schemars(extend("examples" = ["T=21.5"])))]
            simulate: Option<String>,
        }

        impl $name {
            /// How the text is read.
            fn text(&mut self) -> Result<crate::sensor::text::Text, &'static str> {
                crate::sensor::text::Written {
                    r#match: self.r#match.take(),
                    csv: self.csv.take(),
                    json: self.json.take(),
                    decimal: self.decimal,
                    thousands: self.thousands,
                    base: self.base,
                    states: std::mem::take(&mut self.states),
                    unit: self.unit.take(),
                    simulate: self.simulate.take(),
                }
                .text()
            }
        }
    };
}
pub(super) use text_keys;

pub(super) const fn point() -> char {
    '.'
}

pub(super) const fn ten() -> u32 {
    10
}

impl Written {
    pub(super) fn text(self) -> Result<Text, &'static str> {
        let place = match (self.r#match, self.csv, self.json) {
            (Some(pattern), None, None) => Some(Place::Match(pattern)),
            (None, Some(csv), None) => Some(Place::Csv(csv)),
            (None, None, Some(pointers)) => Some(Place::Json(pointers)),
            (None, None, None) => None,
            _ => return Err("only one of `match`, `csv` and `json` says where the numbers stand"),
        };
        let Self { decimal, thousands, base, states, unit, simulate, .. } = self;
        let is_plain = place.is_none();
        // The pointer to the whole stands for the text itself, so that all that is said of forms holds for it too.
        let place = place.unwrap_or_else(|| Place::Json(BTreeMap::from([(VALUE.to_owned(), String::new())])));
        let form = Form { place, style: Style { decimal, thousands, base, states, unit }, checksum: None };
        Ok(Text { form, is_plain, simulate })
    }
}

impl Text {
    pub(super) fn quantities(&self) -> Vec<Quantity> {
        self.form.names().map(|name| Quantity::named(name, "")).collect()
    }

    pub(super) const fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// The key that is at fault, and why.
    pub(super) fn fault(&self) -> Option<(&'static str, String)> {
        let misfit = || {
            let text = self.simulate.as_ref()?;
            let is_full = self.read(text).is_ok_and(|values| values.iter().all(Result::is_ok));
            (!is_full).then(|| ("simulate", "this text does not give every quantity".to_owned()))
        };
        self.form.fault().or_else(misfit)
    }

    /// The values in a text, one for each quantity.
    ///
    /// # Errors
    /// When it has none of them.
    pub(super) fn read(&self, text: &str) -> Result<Measured, Fault> {
        let missing = || Err(Fault::Garbled(format!("this value is not in {}", quoted(text))));
        Ok(self.some(text)?.into_iter().map(|value| value.unwrap_or_else(missing)).collect())
    }

    /// The values that are in a text, in the places of their quantities.
    ///
    /// # Errors
    /// When it has none of them.
    pub(super) fn some(&self, text: &str) -> Result<Vec<Option<Result<f64, Fault>>>, Fault> {
        if self.is_plain {
            return Ok(vec![Some(Ok(self.plain(text)?))]);
        }
        if text.trim().is_empty() {
            return Err(Fault::Garbled("the text is empty".to_owned()));
        }
        let mut values: Vec<Option<Result<f64, Fault>>> = vec![None; self.form.names().count()];
        // JSON may be written over many lines, and each of them may look like JSON of its own.
        let is_one =
            matches!(self.form.place, Place::Json(_)) && serde_json::from_str::<serde_json::Value>(text).is_ok();
        if !is_one {
            for (quantity, value) in text.lines().flat_map(|line| self.form.read(line)) {
                values[quantity] = Some(value);
            }
        }
        if values.iter().all(Option::is_none) {
            for (quantity, value) in self.form.read(text) {
                values[quantity] = Some(value);
            }
        }
        if values.iter().all(Option::is_none) {
            return Err(Fault::Garbled(format!("{}: {}", self.form.why_not(), quoted(text))));
        }
        Ok(values)
    }

    /// The text as a number, or its first word and no part of one: "12,5" must not become 12.
    fn plain(&self, text: &str) -> Result<f64, Fault> {
        let style = &self.form.style;
        let whole = style.parse(text);
        let first = || style.parse(text.split_whitespace().next()?).ok();
        whole.or_else(|fault| first().ok_or(fault))
    }

    /// What the simulated source says at a time. `None`: nothing can be made up.
    pub(super) fn simulated(&self) -> Option<impl Fn(Mono) -> String + Send + Sync + 'static> {
        let talk = if self.is_plain && self.simulate.is_none() {
            None
        } else {
            Some(Talk::new(&self.form, self.simulate.as_deref()).or_else(|| self.fixed())?)
        };
        let (decimal, base) = (self.form.style.decimal, self.form.style.base);
        Some(move |at| match &talk {
            Some(talk) => talk.lines(at).join("\n"),
            None if base == 16 => "16".to_owned(),
            None => format!("{:.2}", drift(at, 0)).replace('.', decimal.encode_utf8(&mut [0; 4])),
        })
    }

    /// The map's own text, which a form of several lines may need whole.
    fn fixed(&self) -> Option<Talk> {
        self.simulate.clone().map(Talk::Fixed)
    }
}
