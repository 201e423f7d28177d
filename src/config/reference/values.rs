//! The map's values with units, for its schema: what an editor may take, and what a person is told.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use super::super::values::{FREQUENCIES, Finite, Hertz, HumanDuration, SetTo, Size};
use crate::time::{duration_schema, shown};

impl HumanDuration {
    /// The words for a range with a lower bound.
    pub(in super::super) fn or_more(least: Duration) -> String {
        format!("{} or more", shown(least))
    }

    /// The words for a range with an upper bound.
    pub(in super::super) fn up_to(most: Duration) -> String {
        format!("up to {}", shown(most))
    }

    /// The words for a range whose upper bound is not in it.
    pub(in super::super) fn from_to_under(least: Duration, bound: Duration) -> String {
        format!("{} to under {}", shown(least), shown(bound))
    }
}

impl Size {
    /// As a map writes it, in the largest unit that gives a whole number.
    fn shown(self) -> String {
        let units = [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
        let fitting = units.into_iter().find(|(_, of)| self.0.is_multiple_of(*of));
        let (unit, of) = fitting.unwrap_or(("B", 1));
        format!("{}{unit}", self.0 / of)
    }

    /// The words for a range with this lower bound.
    pub(in super::super) fn or_more(self) -> String {
        format!("{} or more", self.shown())
    }
}

impl Serialize for HumanDuration {
    fn serialize<S: Serializer>(&self, into: S) -> Result<S::Ok, S::Error> {
        into.serialize_str(&shown(self.0))
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, into: S) -> Result<S::Ok, S::Error> {
        into.serialize_str(&self.shown())
    }
}

impl Serialize for Hertz {
    fn serialize<S: Serializer>(&self, into: S) -> Result<S::Ok, S::Error> {
        into.collect_str(self)
    }
}

impl Serialize for SetTo {
    fn serialize<S: Serializer>(&self, into: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Off => into.serialize_str("off"),
            Self::On => into.serialize_str("on"),
            Self::Percent(percent) => into.serialize_f64(*percent),
        }
    }
}

/// Gives a type the schema of an expression, wherever it is used.
macro_rules! schema {
    ($type:ident, $schema:expr) => {
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                let schema: fn(&mut SchemaGenerator) -> Schema = $schema;
                schema(generator)
            }
        }
    };
}

schema!(HumanDuration, duration_schema);

schema!(Size, |_| json_schema!({
    "type": "string",
    "title": "size",
    "pattern": r"^\s*[0-9]+\s*(B|[kMG]B|[KMG]iB)\s*$",
}));

schema!(Hertz, |_| json_schema!({
    "type": "string",
    "title": "frequency",
    "pattern": r"^\s*[0-9.]+\s*([kM]?Hz)\s*$",
    "x-range": format!("{} to {}", Hertz(*FREQUENCIES.start()), Hertz(*FREQUENCIES.end())),
}));

schema!(Finite, |_| json_schema!({ "type": "number" }));

schema!(SetTo, |_| json_schema!({
    "title": "\"on\", \"off\" or, with `pwm`, percent",
    "anyOf": [{ "enum": ["on", "off"] }, { "type": "number", "minimum": 0, "maximum": 100 }],
}));
