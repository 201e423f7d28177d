//! The reference of the map: its JSON schema, made of the very structs that the check reads a map with, and the same as
//! [`Section`]s for the pages that people read. Only with the feature `docs`.
//!
//! What a key is for stands in its doc comment; defaults and ranges are the constants that the check uses. Here is only how
//! the sections lie in each other.

mod section;
mod tables;
mod values;

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use self::tables::{of, plain, properties, required, with};
use super::{broker, channels, devices, metrics, outputs, sensors, spool, steps};
use crate::reading::Quantity;
use crate::sensor::{Kind, Resource};

pub use section::{Key, Section, SensorKind};

/// The reference of the map.
pub struct Reference {
    /// The JSON schema (draft 2020-12), for editors.
    pub schema: Value,
    /// The sections in the order in which a map is written.
    pub sections: Vec<Section>,
    /// The kinds of sensors.
    pub kinds: Vec<SensorKind>,
}

impl Reference {
    /// Makes it.
    ///
    /// # Panics
    /// When an example of a key is none: the build machine's fault, never the user's.
    pub fn new() -> Self {
        let mut generator =
            SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true).into_generator();
        let parts = Parts::new(&mut generator);
        Self {
            schema: parts.schema(),
            sections: parts.sections(),
            kinds: parts.kinds.iter().map(KindPart::described).collect(),
        }
    }
}

impl Default for Reference {
    fn default() -> Self {
        Self::new()
    }
}

/// The schemas of the structs.
struct Parts {
    general: Value,
    broker: Value,
    spool: Value,
    metrics: Value,
    device: Value,
    channel: Value,
    backlog: Value,
    sensor: Value,
    kinds: Vec<KindPart>,
    route: Value,
    step: Value,
    output: Value,
    link_loss: Value,
}

/// A kind of sensor.
struct KindPart {
    tag: &'static str,
    about: String,
    keys: Value,
    /// With the keys that are needed, as their examples say.
    example: Kind,
}

impl Parts {
    fn new(generator: &mut SchemaGenerator) -> Self {
        let kinds = Kind::schemas(generator).into_iter().map(|(tag, about, keys)| {
            let keys = plain(keys);
            let example = Kind::deserialize(tag, needed(&keys)).expect("the tag is a kind's");
            KindPart { tag, about, example: example.expect("the examples of a kind's keys are good"), keys }
        });
        let kinds = kinds.collect();
        Self {
            general: of::<super::General>(generator),
            broker: of::<broker::Keys>(generator),
            spool: of::<spool::Keys>(generator),
            metrics: of::<metrics::Keys>(generator),
            device: of::<devices::Keys>(generator),
            channel: of::<channels::Keys>(generator),
            backlog: of::<channels::BacklogKeys>(generator),
            sensor: of::<sensors::Keys>(generator),
            kinds,
            route: of::<sensors::RouteKeys>(generator),
            step: of::<steps::Keys>(generator),
            output: of::<outputs::Keys>(generator),
            link_loss: of::<outputs::LinkLossKeys>(generator),
        }
    }

    /// The schema of a whole map.
    fn schema(&self) -> Value {
        let named = |table: &Value| json!({ "type": "object", "additionalProperties": table });
        let list = |table: &Value| json!({ "type": "array", "items": table });
        let channel = with(&self.channel, &[("backlog", self.backlog.clone())]);
        let output = with(&self.output, &[("link_loss", self.link_loss.clone())]);
        let sensors: Vec<Value> = self.kinds.iter().map(|kind| self.sensor_of(kind)).collect();
        let mut schema = with(
            &self.general,
            &[
                ("broker", self.broker.clone()),
                ("spool", self.spool.clone()),
                ("metrics", self.metrics.clone()),
                ("device", named(&self.device)),
                ("channel", named(&channel)),
                ("sensor", json!({ "type": "array", "items": { "oneOf": sensors } })),
                ("output", list(&output)),
            ],
        );
        schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
        schema["title"] = json!("gatepost's sensor map");
        schema["$defs"] = self.places();
        schema
    }

    /// A sensor of one kind: its own keys, those that every sensor has, and where its quantities go.
    fn sensor_of(&self, kind: &KindPart) -> Value {
        let place = json!({ "$ref": "#/$defs/place" });
        let quantities = kind.example.device().quantities();
        let to = if kind.names_its_own() {
            json!({ "type": "object", "additionalProperties": place })
        } else {
            let places = quantities.iter().map(|quantity| {
                let mut place = place.clone();
                place["description"] = json!(described(quantity));
                (quantity.name.to_string(), place)
            });
            json!({ "type": "object", "additionalProperties": false, "properties": places.collect::<Map<_, _>>() })
        };
        let own: Vec<_> = properties(&kind.keys).map(|(key, schema)| (key.as_str(), schema.clone())).collect();
        let mut sensor = with(&self.sensor, &own);
        sensor["properties"]["use"] = json!({ "const": kind.tag, "description": kind.about });
        sensor["properties"]["to"] = to;
        let mut required = required(&self.sensor);
        required.extend(self::required(&kind.keys));
        sensor["required"] = json!(required);
        sensor
    }

    /// Where a quantity may go, once for all of them.
    fn places(&self) -> Value {
        let one = json!([{ "type": "string" }, { "$ref": "#/$defs/route" }]);
        let place = json!([one[0], one[1], { "type": "array", "items": { "anyOf": one } }]);
        json!({ "route": self.long_route(), "place": { "anyOf": place } })
    }

    /// The long form of a route, with the steps as keys of its own and in `filter`.
    fn long_route(&self) -> Value {
        let steps: Vec<_> = properties(&self.step).map(|(key, schema)| (key.as_str(), schema.clone())).collect();
        let mut route = with(&self.route, &steps);
        let step = &self.step;
        route["properties"]["filter"] = json!({ "anyOf": [step, { "type": "array", "items": step }] });
        route
    }

    fn sections(&self) -> Vec<Section> {
        vec![
            Section::new("top", "ABOVE ALL SECTIONS", &self.general),
            Section::new("broker", "[broker]", &self.broker),
            Section::new("spool", "[spool]", &self.spool),
            Section::new("metrics", "[metrics]", &self.metrics),
            Section::new("device", "[device.NAME]", &self.device),
            Section::new("channel", "[channel.NAME]", &self.channel),
            Section::new("backlog", "backlog, in a channel", &self.backlog),
            Section::new("sensor", "[[sensor]]", &self.sensor),
            Section::new("route", "to.QUANTITY, in a sensor", &self.route),
            Section::new("step", "filter, in a route", &self.step),
            Section::new("output", "[[output]]", &self.output),
            Section::new("link_loss", "link_loss, in an output", &self.link_loss),
        ]
    }
}

impl KindPart {
    /// Whether the quantities are those that the map names.
    fn names_its_own(&self) -> bool {
        let quantities = self.example.device().quantities();
        quantities.is_empty() || quantities.iter().any(|quantity| matches!(quantity.name, std::borrow::Cow::Owned(_)))
    }

    fn described(&self) -> SensorKind {
        let device = self.example.device();
        let heading = format!("use = \"{}\"", self.tag);
        SensorKind {
            about: self.about.clone(),
            keys: Section::new(self.tag, &heading, &self.keys),
            quantities: if self.names_its_own() { Vec::new() } else { device.quantities() },
            ranges: match &self.example {
                Kind::Part(part) => part.ranges().map(Some).collect(),
                _ => vec![None; device.quantities().len()],
            },
            bus: device.bus(),
            has_pin: device.resources().iter().any(|resource| matches!(resource, Resource::Line(_))),
            proof: device.proof(),
            every: device.is_asked().then(|| device.default_every()),
            timeout: device.default_timeout(),
        }
    }
}

/// What an editor shows of a quantity.
fn described(quantity: &Quantity) -> String {
    let unit = if quantity.unit.is_empty() { String::new() } else { format!("In {}. ", quantity.unit) };
    format!("{unit}{} of the slot by default.", capital(quantity.reduce.name()))
}

fn capital(word: &str) -> String {
    word[..1].to_uppercase() + &word[1..]
}

/// The keys that a table must have, each with its example. Of several ways to say one thing the first counts.
fn needed(table: &Value) -> Value {
    let names = required(table);
    let has_ways = names.is_empty() || table["properties"].get("match").is_some();
    let ways: &[&str] = match &table["properties"] {
        keys if keys.get("tcp_port").is_some() => &["port", "registers"],
        _ if has_ways => &["match"],
        _ => &[],
    };
    let keys = properties(table).filter(|(key, _)| names.contains(key) || ways.contains(&key.as_str()));
    keys.map(|(key, schema)| (key.clone(), schema["examples"][0].clone())).collect::<Map<_, _>>().into()
}
