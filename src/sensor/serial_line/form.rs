//! Where the numbers stand in a line.

use std::collections::BTreeMap;

use regex_lite::Regex;
use serde::{Deserialize, Deserializer, de};

use crate::reading::Fault;
use crate::sensor::number;

/// The values of a line, each with the place of its quantity. None: the line does not have the form.
pub(super) type Values = Vec<(usize, Result<f64, Fault>)>;

/// The form of the lines that count.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Form {
    /// The named groups of a regular expression, found anywhere in the line.
    Match(Pattern),
    /// Columns of separated text.
    Csv(Csv),
    /// A JSON text; each quantity has its pointer (RFC 6901).
    Json(BTreeMap<String, String>),
}

/// A regular expression whose named groups are the quantities.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    pub(super) regex: Regex,
    /// The named groups from left to right.
    names: Vec<String>,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.regex.as_str() == other.regex.as_str()
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let regex = Regex::new(&String::deserialize(deserializer)?).map_err(de::Error::custom)?;
        let names = regex.capture_names().flatten().map(str::to_owned).collect();
        Ok(Self { regex, names })
    }
}

/// Separated text.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Csv {
    /// The one character between two columns.
    #[serde(default = "comma")]
    pub(super) separator: char,
    /// Each quantity's column, counted from 1.
    #[cfg_attr(feature = "docs", schemars(extend("examples" = [{ "temperature": 2 }], "x-range" = format!("columns 1 to {LAST_COLUMN}"))))]
    pub(super) columns: BTreeMap<String, usize>,
}

fn comma() -> char {
    ','
}

/// The last column that can be named: a line of the longest kind holds no more in practice.
const LAST_COLUMN: usize = 100;

impl Form {
    /// The quantities' names, in their order.
    pub(super) fn names(&self) -> Box<dyn Iterator<Item = &String> + '_> {
        match self {
            Self::Match(pattern) => Box::new(pattern.names.iter()),
            Self::Csv(csv) => Box::new(csv.columns.keys()),
            Self::Json(pointers) => Box::new(pointers.keys()),
        }
    }

    /// The key that is at fault, and why.
    pub(super) fn fault(&self) -> Option<(&'static str, String)> {
        let (key, fault) = match self {
            Self::Match(pattern) if pattern.names.is_empty() => {
                ("match", "it has no named group such as (?<temperature>-?[0-9.]+)".to_owned())
            }
            Self::Csv(csv) if csv.columns.is_empty() => ("csv", "`columns` names no column".to_owned()),
            Self::Csv(csv) => {
                let (name, column) = csv.columns.iter().find(|(_, column)| !(1..=LAST_COLUMN).contains(column))?;
                ("csv", format!("column {column} of {name}: columns are counted from 1 to {LAST_COLUMN}"))
            }
            Self::Json(pointers) if pointers.is_empty() => ("json", "it names no value".to_owned()),
            Self::Json(pointers) => {
                let (name, pointer) = pointers.iter().find(|(_, pointer)| !is_pointer(pointer))?;
                ("json", format!("\"{pointer}\" of {name}: a pointer is empty or begins with a slash, as in /sensor/t"))
            }
            Self::Match(_) => return None,
        };
        Some((key, fault))
    }

    /// The values in a line.
    pub(super) fn read(&self, line: &str) -> Values {
        match self {
            Self::Match(pattern) => pattern.read(line),
            Self::Csv(csv) => csv.read(line),
            Self::Json(pointers) => read_json(pointers, line),
        }
    }

    /// Whether a text of one or more lines gives a number for every quantity.
    pub(super) fn is_full(&self, text: &str) -> bool {
        let values: Values = text.lines().flat_map(|line| self.read(line)).collect();
        let given = |quantity| values.iter().any(|(of, value)| *of == quantity && value.is_ok());
        self.names().enumerate().all(|(quantity, _)| given(quantity))
    }
}

impl Pattern {
    /// A group that takes no part in the match (an optional one) has nothing to say.
    fn read(&self, line: &str) -> Values {
        let Some(groups) = self.regex.captures(line) else { return Values::new() };
        let value = |(quantity, name): (usize, &String)| Some((quantity, number::parse(groups.name(name)?.as_str())));
        self.names.iter().enumerate().filter_map(value).collect()
    }
}

impl Csv {
    /// A line without any number in its columns is a heading; with some, the others are faults.
    fn read(&self, line: &str) -> Values {
        let cells: Vec<&str> = line.split(self.separator).collect();
        let missing = |column| Err(Fault::Garbled(format!("the line has no column {column}")));
        let value = |column: usize| match column.checked_sub(1).and_then(|index| cells.get(index)) {
            Some(cell) => number::parse(cell),
            None => missing(column),
        };
        let values: Values = self.columns.values().map(|column| value(*column)).enumerate().collect();
        if values.iter().any(|(_, value)| value.is_ok()) { values } else { Values::new() }
    }
}

/// A pointer that leads nowhere has nothing to say: devices print objects of several kinds.
fn read_json(pointers: &BTreeMap<String, String>, line: &str) -> Values {
    let Ok(json) = serde_json::from_str::<serde_json::Value>(line) else { return Values::new() };
    let value = |(quantity, pointer): (usize, &String)| {
        let value = match json.pointer(pointer)? {
            serde_json::Value::String(text) => number::parse(text),
            other => number::parse(&other.to_string()),
        };
        Some((quantity, value))
    };
    pointers.values().enumerate().filter_map(value).collect()
}

fn is_pointer(text: &str) -> bool {
    text.is_empty() || text.starts_with('/')
}
