//! `config/gatepost.toml` says that it names every key with its default.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::{root, schema};

/// The default map with every key in force.
fn uncommented() -> (String, Value) {
    let text = fs::read_to_string(root().join("config/gatepost.toml")).expect("it is part of the repository");
    let lines: Vec<&str> = text.lines().map(|line| line.strip_prefix("# ").unwrap_or(line)).collect();
    let map = toml::from_str(&lines.join("\n")).expect("TOML");
    (text, map)
}

fn keys(table: &Value) -> BTreeSet<String> {
    table.as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect()
}

/// The tables of a section: `[name]`, `[name.*]` or `[[name]]`.
fn tables<'a>(map: &'a Value, section: &str) -> Vec<&'a Value> {
    match &map[section] {
        Value::Array(tables) => tables.iter().collect(),
        Value::Object(named) if named.values().all(Value::is_object) => named.values().collect(),
        table => vec![table],
    }
}

fn all_keys(tables: &[&Value]) -> BTreeSet<String> {
    tables.iter().flat_map(|table| keys(table)).collect()
}

#[test]
fn the_default_map_shows_the_keys_of_the_reference_and_no_others() {
    let (schema, (_, map)) = (schema(), uncommented());
    let of = |section: &str| &schema["properties"][section];
    let sections = [
        ("broker", of("broker")),
        ("spool", of("spool")),
        ("metrics", of("metrics")),
        ("device", &of("device")["additionalProperties"]),
        ("channel", &of("channel")["additionalProperties"]),
        ("output", &of("output")["items"]),
    ];
    assert_eq!(keys(&map), keys(&schema["properties"]), "above all sections");
    for (section, schema) in sections {
        assert_eq!(all_keys(&tables(&map, section)), keys(&schema["properties"]), "[{section}]");
    }
    let inner = |section: &str, key: &str| {
        let tables = tables(&map, section);
        tables.iter().flat_map(|table| keys(&table[key])).collect::<BTreeSet<_>>()
    };
    let channel = &of("channel")["additionalProperties"]["properties"];
    assert_eq!(inner("channel", "backlog"), keys(&channel["backlog"]["properties"]));
    assert_eq!(inner("output", "link_loss"), keys(&of("output")["items"]["properties"]["link_loss"]["properties"]));
}

/// The keys that say where the numbers stand in a text.
const TEXT: [&str; 9] = ["base", "csv", "decimal", "json", "match", "simulate", "states", "thousands", "unit"];

#[test]
fn the_default_map_shows_every_kind_of_sensor_with_its_keys() {
    let (schema, (text, map)) = (schema(), uncommented());
    let kinds = schema["properties"]["sensor"]["items"]["oneOf"].as_array().expect("the kinds");
    let common = ["name", "use", "every", "timeout", "to"];
    let everywhere = all_keys(&tables(&map, "sensor"));
    assert!(common.iter().all(|key| everywhere.contains(*key)), "{everywhere:?}");
    for kind in kinds {
        let properties = &kind["properties"];
        let tag = &properties["use"]["const"];
        let shown: Vec<_> = tables(&map, "sensor").into_iter().filter(|sensor| sensor["use"] == *tag).collect();
        // What stands in a text is shown once, for a serial line.
        let elsewhere: &[&str] = if tag == "serial_line" { &[] } else { &TEXT };
        let is_own = |key: &String| !common.contains(&&key[..]) && !elsewhere.contains(&&key[..]);
        let own = |keys: BTreeSet<String>| keys.into_iter().filter(is_own).collect::<Vec<_>>();
        assert_eq!(own(all_keys(&shown)), own(keys(properties)), "{tag}");
    }
    let route = &schema["$defs"]["route"];
    for key in keys(&route["properties"]) {
        let shown = [format!("{key} = "), format!("{key}: ")].iter().any(|words| text.contains(words));
        assert!(shown, "`{key}` of a route is not in the default map");
    }
}

#[test]
fn the_default_map_shows_the_defaults_of_the_reference() {
    let (schema, (_, map)) = (schema(), uncommented());
    let channel = &schema["properties"]["channel"]["additionalProperties"]["properties"];
    let shown = [
        (&map, &schema["properties"]),
        (&map["broker"], &schema["properties"]["broker"]["properties"]),
        (&map["spool"], &schema["properties"]["spool"]["properties"]),
        (&map["channel"]["greenhouse"], channel),
        (&map["channel"]["greenhouse"]["backlog"], &channel["backlog"]["properties"]),
    ];
    let mut compared = 0;
    for (table, schema) in shown {
        for (key, schema) in schema.as_object().expect("keys") {
            let Some(default) = schema.get("default") else { continue };
            assert_eq!(&table[key], default, "`{key}` of the default map");
            compared += 1;
        }
    }
    assert!(compared > 15, "only {compared} defaults were compared");
}
