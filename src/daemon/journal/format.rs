//! A line of the log on a terminal, in a file, and as JSON.

use std::io::{self, IsTerminal as _, Write};

use chrono::{DateTime, Local};
use env_logger::fmt::style::Style;
use log::kv::{self, VisitSource};
use log::{Level, Record};
use serde_json::{Map, Value};

use super::{ENTRY, READING};
use crate::hal::{Clock as _, SystemClock};

/// How the log is written where the journal does not take it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// A line of text.
    #[default]
    Text,
    /// An object on each line: `time`, `level`, `message`, and the message's fields.
    Json,
}

/// On a terminal in local time, `08:00:20 WARN  sensor tank: no reading: …`; elsewhere `[2026-11-22T08:00:20Z WARN ] sensor tank: …`.
pub(super) fn text(out: &mut env_logger::fmt::Formatter, record: &Record<'_>) -> io::Result<()> {
    let now = SystemClock.now().utc;
    let (style, word) = (out.default_level_style(record.level()), word(record));
    if io::stderr().is_terminal() {
        let local = DateTime::from_timestamp(now.seconds(), 0).unwrap_or_default().with_timezone(&Local);
        let dimmed = Style::new().dimmed();
        writeln!(out, "{dimmed}{}{dimmed:#} {style}{word:<5}{style:#} {}", local.format("%H:%M:%S"), record.args())
    } else {
        writeln!(out, "[{now} {style}{word:<5}{style:#}] {}", record.args())
    }
}

fn word(record: &Record<'_>) -> &'static str {
    match (record.target(), record.level()) {
        (ENTRY, _) => "ENTRY",
        (READING, _) => "READ",
        (_, level) => level.as_str(),
    }
}

/// One object.
pub(super) fn json(out: &mut dyn Write, record: &Record<'_>) -> io::Result<()> {
    let level = match record.level() {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    };
    let mut object = Object(Map::new());
    object.0.insert("time".to_owned(), SystemClock.now().utc.to_string().into());
    object.0.insert("level".to_owned(), level.into());
    object.0.insert("message".to_owned(), record.args().to_string().into());
    // It takes whatever comes.
    let _ = record.key_values().visit(&mut object);
    serde_json::to_writer(&mut *out, &object.0)?;
    out.write_all(b"\n")
}

struct Object(Map<String, Value>);

impl<'kvs> VisitSource<'kvs> for Object {
    fn visit_pair(&mut self, key: kv::Key<'kvs>, value: kv::Value<'kvs>) -> Result<(), kv::Error> {
        let value = if let Some(number) = value.to_u64() {
            number.into()
        } else if let Some(number) = value.to_i64() {
            number.into()
        } else if let Some(truth) = value.to_bool() {
            truth.into()
        } else {
            Value::from(value.to_string())
        };
        // The three of every line are not replaced.
        self.0.entry(key.as_str()).or_insert(value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_has_the_sentence_and_its_fields() {
        let fields = [("sensor", kv::Value::from("tank")), ("lost", kv::Value::from(3_u64)), ("level", "on".into())];
        let mut out = Vec::new();
        let record =
            Record::builder().level(Level::Warn).key_values(&fields).args(format_args!("a \"line\"\nof two")).build();
        json(&mut out, &record).expect("memory takes it");
        let text = String::from_utf8(out).expect("text");
        assert_eq!(text.lines().count(), 1, "{text}");
        let object: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(object["message"], "a \"line\"\nof two");
        assert_eq!((&object["level"], &object["sensor"], &object["lost"]), (&"warn".into(), &"tank".into(), &3.into()));
    }
}
