//! What a simulated device says: lines of the form the map asks for, with numbers that move.

use std::collections::BTreeMap;
use std::f64::consts::TAU;

use serde_json::{Map, Value};

use super::checksum;
use super::form::{Csv, Form, Place};
use super::sample::{self, Template};
use crate::sensor::lines::End;
use crate::time::Mono;

/// The lines of a simulated device.
#[derive(Debug)]
pub(in crate::sensor) enum Talk {
    /// The map's own text.
    Fixed(String),
    /// For a regular expression: one line for each of its alternatives.
    Match(Vec<Template>),
    /// With the decimal sign.
    Csv(Csv, char),
    Json(Vec<String>),
}

impl Talk {
    /// Lines that give every quantity of `form`: the map's own `simulate` text if there is one. `None` when no line
    /// can be made up.
    pub(in crate::sensor) fn new(form: &Form, simulate: Option<&str>) -> Option<Self> {
        let talk = match (simulate, &form.place) {
            (Some(text), _) => Self::Fixed(text.to_owned()),
            (None, Place::Match(pattern)) => Self::Match(sample::templates(pattern.regex.as_str())?),
            (None, Place::Csv(csv)) => Self::Csv(csv.clone(), form.style.decimal),
            (None, Place::Json(pointers)) => Self::Json(pointers.values().cloned().collect()),
        };
        form.is_full(&talk.lines(Mono::default()).join("\n")).then_some(talk)
    }

    /// What the device says at a time, with the map's ends and check sums. It begins with an end of line, so that a listener
    /// that has just opened the port is in step at once.
    pub(in crate::sensor) fn say(&self, at: Mono, end: &End, checksum: Option<checksum::Kind>) -> Vec<u8> {
        let end = match end {
            End::Bytes(end) if end == b"\n" => b"\r\n",
            End::Bytes(end) => &end[..],
            End::Silence(_) => &[],
        };
        let lines = self.lines(at).into_iter().map(|line| checksum.map_or(line.clone(), |kind| kind.write(&line)));
        lines.fold(end.to_vec(), |said, line| [&said, line.as_bytes(), end].concat())
    }

    /// The lines that are said together.
    pub(in crate::sensor) fn lines(&self, at: Mono) -> Vec<String> {
        match self {
            Self::Fixed(text) => text.lines().map(str::to_owned).collect(),
            Self::Match(templates) => templates.iter().map(|template| template.line(|n| drift(at, n))).collect(),
            Self::Csv(csv, decimal) => vec![csv_line(csv, *decimal, at)],
            Self::Json(pointers) => vec![json_line(pointers, at)],
        }
    }
}

/// A value between 20 and 25 that moves slowly, each number in its own rhythm.
pub(in crate::sensor) fn drift(at: Mono, number: usize) -> f64 {
    let period = 300.0 + 70.0 * f64::from(u16::try_from(number).unwrap_or(u16::MAX));
    22.5 + 2.4 * (at.since_boot().as_secs_f64() / period * TAU).sin()
}

fn csv_line(csv: &Csv, decimal: char, at: Mono) -> String {
    let last = csv.columns.values().copied().max().unwrap_or(0);
    let cells: Vec<String> = (1..=last)
        .map(|column| format!("{:.2}", drift(at, column)).replace('.', decimal.encode_utf8(&mut [0; 4])))
        .collect();
    cells.join(&csv.separator.to_string())
}

fn json_line(pointers: &[String], at: Mono) -> String {
    let mut root = Node::default();
    for (number, pointer) in pointers.iter().enumerate() {
        let mut node = &mut root;
        for token in pointer.split('/').skip(1) {
            // The two escapes of RFC 6901, in the order it asks for.
            node = node.children.entry(token.replace("~1", "/").replace("~0", "~")).or_default();
        }
        node.number = Some((drift(at, number) * 100.0).round() / 100.0);
    }
    root.json().to_string()
}

/// An object on its way to become JSON. Indices of arrays become keys, which a pointer does not tell apart.
#[derive(Default)]
struct Node {
    number: Option<f64>,
    children: BTreeMap<String, Node>,
}

impl Node {
    fn json(self) -> Value {
        match self.number {
            Some(number) if self.children.is_empty() => number.into(),
            _ => Value::Object(self.children.into_iter().map(|(key, node)| (key, node.json())).collect::<Map<_, _>>()),
        }
    }
}
