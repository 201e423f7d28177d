//! The keys of a part in the map: read by one visitor for all of them, and described for the reference.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};

use super::row::{Allowed, Row, Wire};
use super::{Place, Settings};
use crate::sensor::i2c::BusName;
use crate::sensor::spi::SpiBus;

/// Reads the keys of a part.
pub(super) struct Keys(pub(super) &'static Row);

impl<'de> DeserializeSeed<'de> for Keys {
    type Value = Settings;

    fn deserialize<D: Deserializer<'de>>(self, keys: D) -> Result<Settings, D::Error> {
        keys.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Keys {
    type Value = Settings;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the keys of a {}", self.0.tag)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Settings, A::Error> {
        let row = self.0;
        let mut settings = Settings {
            row,
            place: match row.wire {
                Wire::I2c(addresses) => Place::I2c(BusName::default(), addresses.first().copied().unwrap_or_default()),
                Wire::Spi(..) => Place::Spi { bus: SpiBus::default(), chip_select: 0 },
            },
            options: row.defaults(),
            wrong: Vec::new(),
        };
        while let Some(key) = map.next_key_seed(Key(row))? {
            match (key, &mut settings.place) {
                (Named::Bus, Place::I2c(bus, _)) => *bus = map.next_value()?,
                (Named::Bus, Place::Spi { bus, .. }) => *bus = map.next_value()?,
                (Named::Number, Place::I2c(_, number) | Place::Spi { chip_select: number, .. }) => {
                    *number = map.next_value()?;
                }
                (Named::Option(index), _) => {
                    let choice = &row.options[index];
                    if let Allowed::Words(words) = choice.allowed {
                        let written: String = map.next_value()?;
                        match (0_u8..).zip(words).find(|(_, word)| **word == written) {
                            Some((place, _)) => settings.options[index] = place.into(),
                            None => settings.wrong.push((choice.key, one_of(choice.key, words))),
                        }
                    } else {
                        settings.options[index] = map.next_value()?;
                    }
                }
            }
        }
        Ok(settings)
    }
}

fn one_of(key: &str, words: &[&str]) -> String {
    let words: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
    format!("`{key}` is one of {}", words.join(", "))
}

/// A key that a part has.
enum Named {
    Bus,
    /// The address or the chip select.
    Number,
    Option(usize),
}

/// The key that says where on its bus a part is; none for a part whose address cannot be chosen.
const fn number_key(wire: Wire) -> Option<&'static str> {
    match wire {
        Wire::I2c([_]) => None,
        Wire::I2c(_) => Some("address"),
        Wire::Spi(..) => Some("chip_select"),
    }
}

fn keys(row: &'static Row) -> impl Iterator<Item = &'static str> {
    let places = ["bus"].into_iter().chain(number_key(row.wire));
    places.chain(row.options.iter().map(|choice| choice.key))
}

struct Key(&'static Row);

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Named;

    fn deserialize<D: Deserializer<'de>>(self, key: D) -> Result<Named, D::Error> {
        key.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Named;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Named, E> {
        let Self(row) = self;
        if key == "bus" {
            return Ok(Named::Bus);
        }
        if number_key(row.wire) == Some(key) {
            return Ok(Named::Number);
        }
        if let Some(index) = row.options.iter().position(|choice| choice.key == key) {
            return Ok(Named::Option(index));
        }
        // In the words of serde, which `check` knows.
        let known: Vec<_> = keys(row).map(|key| format!("`{key}`")).collect();
        let expected = if known.len() == 1 { "expected" } else { "expected one of" };
        Err(E::custom(format!("unknown field `{key}`, {expected} {}", known.join(", "))))
    }
}

/// The schema of a part's keys.
#[cfg(feature = "docs")]
pub(super) fn schema(row: &'static Row) -> schemars::Schema {
    use serde_json::{Map, Value, json};

    let mut properties = Map::new();
    match row.wire {
        Wire::I2c(addresses) => {
            properties.insert(
                "bus".to_owned(),
                json!({
                    "type": "string", "default": "i2c-1",
                    "description": "The kernel's name of the bus. On the header's pins 3 and 5 it is `\"i2c-1\"`, once I2C is on (`dtparam=i2c_arm=on`).",
                }),
            );
            if number_key(row.wire).is_some() {
                let words: Vec<_> = addresses.iter().map(|address| format!("0x{address:02x}")).collect();
                properties.insert(
                    "address".to_owned(),
                    json!({
                        "type": "integer", "enum": addresses, "x-hex": true, "default": addresses[0], "x-range": words.join(", "),
                        "description": "The part's address.",
                    }),
                );
            }
        }
        Wire::Spi(..) => {
            properties.insert(
                "bus".to_owned(),
                json!({
                    "type": "string", "default": "spi0",
                    "description": "The bus: `\"spi0\"` is the one on the header's pins 19, 21 and 23, once SPI is on (`dtparam=spi=on`).",
                }),
            );
            properties.insert(
                "chip_select".to_owned(),
                json!({
                    "type": "integer", "minimum": 0, "maximum": 255, "default": 0,
                    "description": "Which of the bus's select lines the part has: of spi0, 0 is CE0 on pin 24, and 1 is CE1 on pin 26.",
                }),
            );
        }
    }
    for choice in row.options {
        let mut schema = match choice.allowed {
            Allowed::Range(least, most) => {
                json!({ "type": "number", "minimum": least, "maximum": most, "default": choice.default })
            }
            Allowed::Numbers(numbers) => {
                let words: Vec<_> = numbers.iter().map(f64::to_string).collect();
                json!({ "type": "number", "enum": numbers, "x-range": words.join(", "), "default": choice.default })
            }
            Allowed::Words(words) => {
                let first = (0_u8..).zip(words).find(|(place, _)| (f64::from(*place) - choice.default).abs() < 0.5);
                let default = first.map(|(_, word)| *word);
                let list: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
                json!({ "type": "string", "enum": words, "x-range": list.join(", "), "default": default })
            }
        };
        schema["description"] = Value::from(choice.about);
        properties.insert(choice.key.to_owned(), schema);
    }
    let schema = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    schema.try_into().expect("an object is a schema")
}
