//! Where the numbers stand in a line.

use std::borrow::Cow;
use std::collections::BTreeMap;

use regex_lite::Regex;
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use super::checksum;
use super::style::Style;
use crate::reading::Fault;

/// The values of a line, each with the place of its quantity. None: the line does not have the form.
pub(in crate::sensor) type Values = Vec<(usize, Result<f64, Fault>)>;

/// The form of the lines that count.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::sensor) struct Form {
    pub(in crate::sensor) place: Place,
    pub(in crate::sensor) style: Style,
    pub(in crate::sensor) checksum: Option<checksum::Kind>,
}

/// Where the numbers stand.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::sensor) enum Place {
    /// The named groups of a regular expression, found anywhere in the line.
    Match(Pattern),
    /// Columns of separated text.
    Csv(Csv),
    /// A JSON text; each quantity has its pointer (RFC 6901).
    Json(BTreeMap<String, String>),
}

/// A regular expression whose named groups are the quantities.
#[derive(Clone, Debug)]
pub(in crate::sensor) struct Pattern {
    pub(in crate::sensor) regex: Regex,
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
pub(in crate::sensor) struct Csv {
    /// The character between two columns. A blank matches any number of blanks and tabs.
    #[serde(default = "comma")]
    pub(in crate::sensor) separator: char,
    /// Each quantity's column, counted from 1.
    #[cfg_attr(feature = "docs", schemars(extend("examples" = [{ "temperature": 2 }], "x-range" = format!("columns 1 to {LAST_COLUMN}"))))]
    pub(in crate::sensor) columns: BTreeMap<String, usize>,
}

fn comma() -> char {
    ','
}

/// The last column that can be named: a line of the longest kind holds no more in practice.
const LAST_COLUMN: usize = 100;

impl Form {
    /// The quantities' names, in their order.
    pub(in crate::sensor) fn names(&self) -> Box<dyn Iterator<Item = &String> + '_> {
        match &self.place {
            Place::Match(pattern) => Box::new(pattern.names.iter()),
            Place::Csv(csv) => Box::new(csv.columns.keys()),
            Place::Json(pointers) => Box::new(pointers.keys()),
        }
    }

    /// The key that is at fault, and why.
    pub(in crate::sensor) fn fault(&self) -> Option<(&'static str, String)> {
        if let Some(fault) = self.style_fault() {
            return Some(fault);
        }
        let (key, fault) = match &self.place {
            Place::Match(pattern) if pattern.names.is_empty() => {
                ("match", "it has no named group such as (?<temperature>-?[0-9.]+)".to_owned())
            }
            Place::Csv(csv) if csv.columns.is_empty() => ("csv", "`columns` names no column".to_owned()),
            Place::Csv(csv) => {
                let (name, column) = csv.columns.iter().find(|(_, column)| !(1..=LAST_COLUMN).contains(*column))?;
                ("csv", format!("column {column} of {name}: columns are counted from 1 to {LAST_COLUMN}"))
            }
            Place::Json(pointers) if pointers.is_empty() => ("json", "it names no value".to_owned()),
            Place::Json(pointers) => {
                let (name, pointer) = pointers.iter().find(|(_, pointer)| !is_pointer(pointer))?;
                ("json", format!("\"{pointer}\" of {name}: a pointer is empty or begins with a slash, as in /sensor/t"))
            }
            Place::Match(_) => return None,
        };
        Some((key, fault))
    }

    fn style_fault(&self) -> Option<(&'static str, String)> {
        let Style { decimal, thousands, base, states, unit } = &self.style;
        let separator = if let Place::Csv(csv) = &self.place { Some(csv.separator) } else { None };
        let (key, fault) = if !['.', ','].contains(decimal) {
            ("decimal", "it is \".\" or \",\"")
        } else if separator == Some(*decimal) && *decimal == ',' {
            ("decimal", "the comma is the separator of `csv` already: set `separator` there, such as \";\"")
        } else if *thousands == Some(*decimal) {
            ("thousands", "it is the decimal sign already")
        } else if thousands.is_some_and(|sign| ![' ', '.', ',', '\''].contains(&sign)) {
            ("thousands", "it is one of \" \", \".\", \",\" and \"'\"")
        } else if ![10, 16].contains(base) {
            ("base", "it is 10 or 16")
        } else if states.values().any(|number| !number.is_finite()) {
            ("states", "each state stands for a number")
        } else if unit
            .as_ref()
            .is_some_and(|unit| unit.trim().is_empty() || unit.contains(|c: char| c.is_ascii_digit()))
        {
            ("unit", "it is what stands behind the numbers, such as \"%\"")
        } else {
            return None;
        };
        Some((key, fault.to_owned()))
    }

    /// A line without its check sum. `None`: it has none, and should.
    ///
    /// # Errors
    /// When it is wrong.
    pub(in crate::sensor) fn body<'a>(&self, line: &'a [u8]) -> Result<Option<&'a [u8]>, Fault> {
        self.checksum.map_or(Ok(Some(line)), |kind| kind.judge(line))
    }

    /// The values in a line, each quantity's once at most.
    pub(in crate::sensor) fn read(&self, line: &str) -> Values {
        match &self.place {
            Place::Match(pattern) => pattern.read(&self.style, line),
            Place::Csv(csv) => csv.read(&self.style, line),
            Place::Json(pointers) => read_json(pointers, &self.style, line),
        }
    }

    /// Why a line gave no values.
    pub(in crate::sensor) fn why_not(&self) -> String {
        match &self.place {
            Place::Match(_) => "`match` is not found in the line".to_owned(),
            Place::Csv(csv) => {
                let columns: Vec<String> = csv.columns.values().map(usize::to_string).collect();
                let plural = if columns.len() == 1 { "" } else { "s" };
                format!("no number in column{plural} {}", columns.join(", "))
            }
            Place::Json(_) => "no JSON with these values is in the line".to_owned(),
        }
    }

    /// Whether a text of one or more lines gives a number for every quantity.
    pub(in crate::sensor) fn is_full(&self, text: &str) -> bool {
        let values: Values = text.lines().flat_map(|line| self.read(line)).collect();
        let given = |quantity| values.iter().any(|(of, value)| *of == quantity && value.is_ok());
        self.names().enumerate().all(|(quantity, _)| given(quantity))
    }
}

impl Pattern {
    /// Every hit in the line counts: a quantity has the value of the first one that its group takes part in. A group that
    /// takes no part (an optional one) has nothing to say.
    fn read(&self, style: &Style, line: &str) -> Values {
        let mut values: BTreeMap<usize, Result<f64, Fault>> = BTreeMap::new();
        for groups in self.regex.captures_iter(line) {
            for (quantity, name) in self.names.iter().enumerate() {
                if let Some(group) = groups.name(name) {
                    values.entry(quantity).or_insert_with(|| style.parse(group.as_str()));
                }
            }
        }
        values.into_iter().collect()
    }
}

impl Csv {
    /// A line without any number in its columns is a heading; with some, the others are faults.
    fn read(&self, style: &Style, line: &str) -> Values {
        let cells = self.cells(line);
        let missing = |column| Err(Fault::Garbled(format!("the line has no column {column}")));
        let value = |column: usize| match column.checked_sub(1).and_then(|index| cells.get(index)) {
            Some(cell) => style.parse(cell),
            None => missing(column),
        };
        let values: Values = self.columns.values().map(|column| value(*column)).enumerate().collect();
        if values.iter().any(|(_, value)| value.is_ok()) { values } else { Values::new() }
    }

    /// The cells, without the quotation marks around them. Blanks that separate may be many, and stand before the first.
    fn cells<'a>(&self, line: &'a str) -> Vec<Cow<'a, str>> {
        if self.separator == ' ' {
            return line.split_whitespace().map(Cow::Borrowed).collect();
        }
        let mut cells = Vec::new();
        let mut rest = line;
        loop {
            let inner = rest.trim_start().strip_prefix('"');
            let quoted = inner.and_then(|inner| quoted_cell(inner, self.separator));
            let (cell, tail) = quoted.unwrap_or_else(|| match rest.split_once(self.separator) {
                Some((cell, tail)) => (Cow::Borrowed(cell), Some(tail)),
                None => (Cow::Borrowed(rest), None),
            });
            cells.push(cell);
            let Some(tail) = tail else { return cells };
            rest = tail;
        }
    }
}

/// The cell whose opening mark was passed, with two marks for one inside (RFC 4180), and what follows the separator.
/// `None`: the mark is not closed, or something else follows it.
fn quoted_cell(inner: &str, separator: char) -> Option<(Cow<'_, str>, Option<&str>)> {
    let mut from = 0;
    loop {
        let end = from + inner[from..].find('"')?;
        if inner[end + 1..].starts_with('"') {
            from = end + 2;
            continue;
        }
        let cell = Cow::Owned(inner[..end].replace("\"\"", "\""));
        let behind = inner[end + 1..].trim_start_matches([' ', '\r']);
        return match behind.strip_prefix(separator) {
            Some(tail) => Some((cell, Some(tail))),
            None => behind.is_empty().then_some((cell, None)),
        };
    }
}

/// A pointer that leads nowhere has nothing to say: devices print objects of several kinds, and several in a line. Text
/// may stand around them.
fn read_json(pointers: &BTreeMap<String, String>, style: &Style, line: &str) -> Values {
    let mut values: BTreeMap<usize, Result<f64, Fault>> = BTreeMap::new();
    for json in jsons(line) {
        for (quantity, pointer) in pointers.values().enumerate() {
            let Some(value) = json.pointer(pointer) else { continue };
            values.entry(quantity).or_insert_with(|| match value {
                Value::String(text) => style.parse(text),
                // A number of JSON is written in one way, whatever the texts around it.
                other => Style { states: style.states.clone(), ..Style::default() }.parse(&other.to_string()),
            });
        }
    }
    values.into_iter().collect()
}

/// The JSON texts in a line: the line itself, or each object and array in it.
fn jsons(line: &str) -> Vec<Value> {
    let line = with_texts_for_nan(line);
    if let Ok(json) = serde_json::from_str(&line) {
        return vec![json];
    }
    let mut jsons = Vec::new();
    let mut rest = line.as_ref();
    while let Some(start) = rest.find(['{', '[']) {
        let mut values = serde_json::Deserializer::from_str(&rest[start..]).into_iter::<Value>();
        match values.next() {
            Some(Ok(json)) => {
                jsons.push(json);
                rest = &rest[start + values.byte_offset()..];
            }
            // The end of the line is missing: what is inside of a whole is none.
            Some(Err(error)) if error.is_eof() => break,
            _ => rest = &rest[start + 1..],
        }
    }
    jsons
}

/// What printf makes of a missing value is no JSON. It becomes a text, which is no number either, and the others are read.
fn with_texts_for_nan(line: &str) -> Cow<'_, str> {
    const WORDS: [&str; 4] = ["nan", "infinity", "inf", "undefined"];
    let mut written = String::new();
    let (mut copied, mut in_text, mut escaped) = (0, false, false);
    let mut before = ' ';
    for (place, c) in line.char_indices() {
        if place < copied {
            continue;
        }
        if in_text {
            in_text = escaped || c != '"';
            escaped = c == '\\' && !escaped;
        } else if c == '"' {
            in_text = true;
        } else if c == '-' || c.is_ascii_alphabetic() {
            let rest = &line[place..];
            let length = rest.find(|c: char| c != '-' && !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
            let word = rest[..length].trim_start_matches('-');
            if [':', ',', '['].contains(&before) && WORDS.iter().any(|nan| word.eq_ignore_ascii_case(nan)) {
                written.push_str(&line[copied..place]);
                written.push('"');
                written.push_str(&rest[..length]);
                written.push('"');
                copied = place + length;
            }
        }
        if !c.is_whitespace() {
            before = c;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(line);
    }
    Cow::Owned(written + &line[copied..])
}

fn is_pointer(text: &str) -> bool {
    text.is_empty() || text.starts_with('/')
}
