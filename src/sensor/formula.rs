//! Values that are reckoned from other sensors' readings ([`crate::formula`]). It has no driver: the pipeline computes them when their inputs
//! come.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::{Bus, Device, ReadingSender, Source};
use crate::formula::Formula;
use crate::hal::Hal;
use crate::hal::sim::Sim;
use crate::reading::{Fault, Quantity};

/// The keys of `use = "formula"`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// An expression over other sensors' readings, each `sensor.quantity`: its value is `to.value`. Or a table of several, each with
    /// the name of its quantity: `value = { dew = "…", deficit = "…" }`.
    #[cfg_attr(feature = "docs", schemars(extend("examples" = ["dew_point(bath.temperature, bath.humidity)"])))]
    pub value: Expressions,
}

/// Expressions with the names of their quantities.
#[derive(Clone, Debug, PartialEq)]
pub struct Expressions(pub Vec<(String, String)>);

/// What the quantity of a single expression is called.
const SINGLE: &str = "value";

impl<'de> Deserialize<'de> for Expressions {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Written;

        impl<'de> Visitor<'de> for Written {
            type Value = Expressions;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an expression in quotes, or a table of them")
            }

            fn visit_str<E>(self, text: &str) -> Result<Expressions, E> {
                Ok(Expressions(vec![(SINGLE.to_owned(), text.to_owned())]))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Expressions, A::Error> {
                let mut all = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    all.push(entry);
                }
                Ok(Expressions(all))
            }
        }

        from.deserialize_any(Written)
    }
}

#[cfg(feature = "docs")]
impl schemars::JsonSchema for Expressions {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Expressions".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "title": "expression, or a table of them",
            "anyOf": [{ "type": "string" }, { "type": "object", "additionalProperties": { "type": "string" } }],
        })
    }
}

impl Device for Settings {
    fn quantities(&self) -> Vec<Quantity> {
        let quantity = |(name, text): &(String, String)| {
            // One that cannot be read is a fault of the map, and has neither.
            let (unit, step) = Formula::parse(text).map_or(("", None), |formula| formula.kind());
            let quantity = Quantity::named(name, unit);
            step.map_or_else(|| quantity.clone(), |step| quantity.clone().resolving(step))
        };
        self.value.0.iter().map(quantity).collect()
    }

    fn proof(&self) -> crate::sensor::Proof {
        crate::sensor::Proof::AnyPart
    }

    fn bus(&self) -> Bus {
        Bus::Computed
    }

    fn is_asked(&self) -> bool {
        false
    }

    fn faults(&self) -> Vec<(&'static str, String)> {
        if self.value.0.is_empty() {
            return vec![("value", "here is no expression\nwrite value = \"air.temperature * 1.8 + 32\"".to_owned())];
        }
        Vec::new()
    }

    fn open(&self, _hal: &Hal, _sender: ReadingSender) -> Result<Source, Fault> {
        Err(Fault::Unsupported("a formula is reckoned from other sensors, and is not read".to_owned()))
    }

    /// Its inputs are simulated.
    fn simulate(&self, _sim: &Sim) {}
}
