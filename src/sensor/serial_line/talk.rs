//! What a simulated device says: lines of the form the map asks for, with numbers that move.

use std::collections::BTreeMap;
use std::f64::consts::TAU;

use serde_json::{Map, Value};

use super::form::{Csv, Form};
use super::sample::{self, Template};
use crate::time::Mono;

/// The lines of a simulated device.
#[derive(Debug)]
pub(super) enum Talk {
    /// The map's own text.
    Fixed(String),
    /// For a regular expression: one line for each of its alternatives.
    Match(Vec<Template>),
    Csv(Csv),
    Json(Vec<String>),
}

impl Talk {
    /// Lines that give every quantity of `form`: the map's own `simulate` text if there is one. `None` when no line
    /// can be made up.
    pub(super) fn new(form: &Form, simulate: Option<&str>) -> Option<Self> {
        let talk = match (simulate, form) {
            (Some(text), _) => Self::Fixed(text.to_owned()),
            (None, Form::Match(pattern)) => Self::Match(sample::templates(pattern.regex.as_str())?),
            (None, Form::Csv(csv)) => Self::Csv(csv.clone()),
            (None, Form::Json(pointers)) => Self::Json(pointers.values().cloned().collect()),
        };
        form.is_full(&String::from_utf8_lossy(&talk.say(Mono::default()))).then_some(talk)
    }

    /// What the device says at a time. It begins with an end of line, so that a listener that has just opened the port
    /// is in step at once.
    pub(super) fn say(&self, at: Mono) -> Vec<u8> {
        format!("\r\n{}\r\n", self.text(at).trim_end_matches(['\r', '\n'])).into_bytes()
    }

    fn text(&self, at: Mono) -> String {
        match self {
            Self::Fixed(text) => text.clone(),
            Self::Match(templates) => {
                let lines: Vec<String> = templates.iter().map(|template| template.line(|n| drift(at, n))).collect();
                lines.join("\r\n")
            }
            Self::Csv(csv) => csv_line(csv, at),
            Self::Json(pointers) => json_line(pointers, at),
        }
    }
}

/// A value between 20 and 25 that moves slowly, each number in its own rhythm.
pub(super) fn drift(at: Mono, number: usize) -> f64 {
    let period = 300.0 + 70.0 * f64::from(u16::try_from(number).unwrap_or(u16::MAX));
    22.5 + 2.4 * (at.since_boot().as_secs_f64() / period * TAU).sin()
}

fn csv_line(csv: &Csv, at: Mono) -> String {
    let last = csv.columns.values().copied().max().unwrap_or(0);
    let cells: Vec<String> = (1..=last).map(|column| format!("{:.2}", drift(at, column))).collect();
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
