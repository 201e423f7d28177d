//! Schemas of tables as they are put together: what schemars says of a struct in what TOML knows, and its parts.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

/// The schema of a struct of keys.
pub(super) fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    plain(generator.subschema_for::<T>())
}

/// A schema in what TOML knows: a key that may be left out is not null, and sentences have no ends of lines in them.
pub(super) fn plain(schema: Schema) -> Value {
    let mut value = schema.to_value();
    simplify(&mut value);
    value
}

fn simplify(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(simplify),
        Value::Object(keys) => {
            if let Some(Value::Array(types)) = keys.get_mut("type") {
                types.retain(|name| name != "null");
                if let [one] = &types[..] {
                    let one = one.clone();
                    keys.insert("type".to_owned(), one);
                }
            }
            if let Some(Value::Array(choices)) = keys.get_mut("anyOf") {
                choices.retain(|choice| *choice != json!({ "type": "null" }));
                if let [Value::Object(one)] = &choices[..] {
                    let one = one.clone();
                    keys.remove("anyOf");
                    for (key, inner) in one {
                        keys.entry(key).or_insert(inner);
                    }
                }
            }
            if let Some(Value::String(text)) = keys.get_mut("description") {
                *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            }
            // The machine's widths of numbers mean nothing in a map.
            keys.remove("format");
            keys.values_mut().for_each(simplify);
        }
        _ => {}
    }
}

/// A table's schema with more keys.
pub(super) fn with(table: &Value, keys: &[(&str, Value)]) -> Value {
    let mut table = table.clone();
    for (key, schema) in keys {
        table["properties"][*key] = schema.clone();
    }
    table
}

/// The keys of a table with their schemas, as they stand in the struct.
pub(super) fn properties(table: &Value) -> impl Iterator<Item = (&String, &Value)> {
    table["properties"].as_object().into_iter().flatten()
}

/// The keys that a table must have.
pub(super) fn required(table: &Value) -> Vec<String> {
    let names = table["required"].as_array().into_iter().flatten();
    names.filter_map(Value::as_str).map(str::to_owned).collect()
}
