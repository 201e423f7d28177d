//! A section of the map as people read of it: its keys in words.

use std::time::Duration;

use serde_json::Value;

use super::tables::{properties, required};
use crate::reading::Quantity;
use crate::sensor::{Bus, Proof};

/// A table of the map.
#[derive(Clone, Debug)]
pub struct Section {
    /// What it is called here: `broker`.
    pub name: String,
    /// Its header in the map: `[broker]`.
    pub header: String,
    /// Its keys.
    pub keys: Vec<Key>,
}

/// A key.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its name.
    pub name: String,
    /// What a value of it is, in words: "duration, 50ms or more, such as `"5s"`".
    pub value: String,
    /// What it is for, in sentences with code in backticks.
    pub text: String,
    /// The values that it may have, each with what it means, where they are few.
    pub values: Vec<(String, String)>,
    /// What counts where it is not written, as a map writes it.
    pub default: Option<String>,
    /// Whether the map must have it.
    pub is_required: bool,
}

/// A kind of sensor.
#[derive(Clone, Debug)]
pub struct SensorKind {
    /// What it is, in a sentence.
    pub about: String,
    /// The keys that it has besides those of every sensor.
    pub keys: Section,
    /// What it measures; empty where the map names it.
    pub quantities: Vec<Quantity>,
    /// What each of them can be, where that is known.
    pub ranges: Vec<Option<(f64, f64)>>,
    /// What it is attached to.
    pub bus: Bus,
    /// Whether it takes a pin for itself.
    pub has_pin: bool,
    /// What shows that it reads right.
    pub proof: Proof,
    /// How often it is read, if it is asked at all.
    pub every: Option<Duration>,
    /// How long it may take or be silent.
    pub timeout: Duration,
}

impl Section {
    pub(super) fn new(name: &str, header: &str, table: &Value) -> Self {
        let required = required(table);
        let mut keys = Vec::new();
        for (name, schema) in properties(table) {
            keys.push(Key::new(name, schema, required.contains(name)));
            // The keys of a small table that is a value.
            let needed = self::required(schema);
            let inner = |(inner, schema): (&String, &Value)| {
                Key::new(&format!("{name}.{inner}"), schema, needed.contains(inner))
            };
            keys.extend(properties(schema).map(inner));
        }
        Self { name: name.to_owned(), header: header.to_owned(), keys }
    }
}

impl Key {
    fn new(name: &str, schema: &Value, is_required: bool) -> Self {
        Self {
            name: name.to_owned(),
            value: value(schema),
            text: schema["description"].as_str().unwrap_or_default().to_owned(),
            values: values(schema),
            default: schema.get("default").filter(|default| !default.is_null()).map(|default| written(schema, default)),
            is_required,
        }
    }
}

/// A value as a map writes it.
fn toml(value: &Value) -> String {
    match value {
        Value::Array(values) => format!("[{}]", values.iter().map(toml).collect::<Vec<_>>().join(", ")),
        Value::Object(keys) => {
            let keys = keys.iter().map(|(key, value)| format!("{key} = {}", toml(value)));
            format!("{{ {} }}", keys.collect::<Vec<_>>().join(", "))
        }
        Value::String(text) if text.contains(['\\', '"']) => format!("'{text}'"),
        other => other.to_string(),
    }
}

/// A value as a map writes it, in hexadecimal where people name it so.
fn written(schema: &Value, value: &Value) -> String {
    match value.as_u64() {
        Some(number) if schema["x-hex"] == true => format!("{number:#x}"),
        _ => toml(value),
    }
}

/// What a value is, its range, and an example where neither a default nor a choice shows what it looks like.
fn value(schema: &Value) -> String {
    let range = range(schema).map(|range| format!(", {range}")).unwrap_or_default();
    let is_single = schema["minimum"].is_number() && schema["minimum"] == schema["maximum"];
    let is_shown = is_single || schema.get("default").is_some() || schema.get("oneOf").is_some();
    let example = schema["examples"].get(0).filter(|_| !is_shown);
    let example = example.map(|example| format!(", such as `{}`", toml(example))).unwrap_or_default();
    kind(schema) + &range + &example
}

/// What a value is, in a user's words.
fn kind(schema: &Value) -> String {
    if let Some(title) = schema["title"].as_str() {
        return title.to_owned();
    }
    if !values(schema).is_empty() {
        return "one of these".to_owned();
    }
    match schema["type"].as_str() {
        Some("string") => "text",
        Some("integer") => "whole number",
        Some("number") => "number",
        Some("boolean") => "true or false",
        Some("array") => return list(&schema["items"], schema),
        Some("object") => {
            let keys: Vec<_> = properties(schema).map(|(key, _)| format!("`{key}`")).collect();
            return if keys.is_empty() { "table".to_owned() } else { format!("table of {}", keys.join(" and ")) };
        }
        _ => "text or table",
    }
    .to_owned()
}

fn list(items: &Value, schema: &Value) -> String {
    if schema.get("prefixItems").is_some() || schema.get("maxItems").is_some() {
        return "pair of numbers".to_owned();
    }
    match items["type"].as_str() {
        Some("string") => "list of texts".to_owned(),
        Some("array") => "list of pairs of numbers".to_owned(),
        _ => "list of numbers".to_owned(),
    }
}

/// The values that there are, where a key takes words of its own.
fn values(schema: &Value) -> Vec<(String, String)> {
    let choices = schema["oneOf"].as_array().into_iter().flatten();
    let value = |choice: &Value| {
        let meaning = choice["description"].as_str().unwrap_or_default().to_owned();
        Some((toml(choice.get("const")?), meaning))
    };
    choices.filter_map(value).collect()
}

fn range(schema: &Value) -> Option<String> {
    if let Some(words) = schema["x-range"].as_str() {
        return Some(words.to_owned());
    }
    let bound = |name| schema.get(name).filter(|bound| bound.is_number());
    match (bound("minimum"), bound("maximum")) {
        (Some(least), Some(most)) if least == most => Some(format!("only {least}")),
        (Some(least), Some(most)) => Some(format!("{} to {}", written(schema, least), written(schema, most))),
        (Some(least), None) if least.as_f64() != Some(0.0) => Some(format!("{least} or more")),
        (None, Some(most)) => Some(format!("up to {most}")),
        _ => None,
    }
}
