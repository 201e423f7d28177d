//! Kinds of keys that were found and not written: what `gatepost scan` proposes.

use serde_json::Value;
use toml::de::{Error, ValueDeserializer};

use super::Kind;

impl Kind {
    /// Reads keys as a map would have them. `None` for a tag that is no kind.
    ///
    /// They go through the map's own deserializer: a second one would make each kind's code a second time, 0.2 MB of it.
    ///
    /// # Errors
    /// What is wrong with the first wrong key.
    pub fn proposed(tag: &str, keys: &Value) -> Option<Result<Self, Error>> {
        let text = written(keys);
        match ValueDeserializer::parse(&text) {
            Ok(keys) => Self::deserialize(tag, keys),
            Err(error) => Some(Err(error)),
        }
    }
}

/// A value as TOML writes it. What JSON escapes in a text, TOML escapes in the same way (TOML 1.0, strings).
fn written(value: &Value) -> String {
    match value {
        Value::Object(keys) => {
            let keys = keys.iter().map(|(key, value)| format!("{} = {}", Value::from(key.as_str()), written(value)));
            format!("{{ {} }}", keys.collect::<Vec<_>>().join(", "))
        }
        Value::Array(values) => format!("[{}]", values.iter().map(written).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_read_as_a_map_has_them() {
        let keys =
            json!({ "port": "/dev/\"x\"\n", "csv": { "columns": { "a b": 2 } }, "baud": 4800, "exclusive": true });
        let kind = Kind::proposed("serial_line", &keys).expect("a kind").expect("its keys");
        assert_eq!(Some(Ok(kind)), Kind::deserialize("serial_line", keys).map(|kind| kind.map_err(|_| ())));
        assert!(Kind::proposed("bme280", &json!({ "address": "x" })).is_some_and(|kind| kind.is_err()));
        assert!(Kind::proposed("no such kind", &json!({})).is_none());
        assert!(Kind::proposed("file", &json!({ "path": null })).is_some_and(|kind| kind.is_err()));
    }
}
