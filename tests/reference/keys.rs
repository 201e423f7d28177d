//! Each key of the schema in a map of its own.

use std::fs;
use std::path::Path;

use gatepost::config;
use serde_json::Value;
use tempfile::TempDir;

use crate::schema;

/// A table of the map with what has to stand in it: several ways where keys exclude each other.
struct Table<'a> {
    /// Where its lines go in [`map`].
    section: &'a str,
    /// Before each key: `backlog.` for a table in a table.
    prefix: &'a str,
    schema: &'a Value,
    ways: Vec<Vec<String>>,
}

/// A folder with the files that the examples speak of.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let files = [
        ("proxy.txt", "username = u\npassword = sesame"),
        ("mqtt_credentials.txt", "username = u\nclientId = c\npassword = sesame"),
        ("mqtt_password", "sesame"),
        ("ca.pem", "-----BEGIN CERTIFICATE-----\n"),
        ("map.toml", ""),
    ];
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("a file");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("one's own file");
        }
    }
    folder
}

/// A map that is good by itself, with other lines in one of its sections.
fn map(section: &str, lines: &[String]) -> String {
    let all = [
        ("top", "", "version = 1"),
        ("broker", "[broker]", ""),
        ("spool", "[spool]", ""),
        ("metrics", "[metrics]", ""),
        ("device", "[device.garden]", "credentials = 'mqtt_credentials.txt'"),
        ("channel", "[channel.greenhouse]", "id = 1"),
        ("", "[channel.switches]", "id = 2"),
        ("", "[channel.bath]", "id = 3"),
        ("sensor", "[[sensor]]", "name = 's'\nuse = 'system'\nto.load1 = 'greenhouse.field1'"),
        ("", "[[sensor]]", "name = 'bath'\nuse = 'bme280'\nbus = 'i2c-9'\nto.humidity = 'bath.field1'"),
        ("output", "[[output]]", "name = 'o'\npin = 12\nfrom = 'switches.field1'"),
        ("", "[[output]]", "name = 'heater'\npin = 5\nfrom = 'switches.field2'"),
    ];
    let part = |(name, header, own): &(&str, &str, &str)| {
        let lines = if *name == section { lines.join("\n") } else { (*own).to_owned() };
        format!("{header}\n{lines}\n")
    };
    all.iter().map(part).collect()
}

/// What the daemon would do with the map, in the words of its settings; or every fault.
fn check(map: &str, folder: &Path) -> Result<String, String> {
    let checked = config::parse(map, &folder.join("map.toml")).map_err(|error| error.to_string())?;
    Ok(format!("{:?}", checked.settings))
}

/// A value as a map writes it.
fn toml(value: &Value) -> String {
    match value {
        Value::Array(values) => format!("[{}]", values.iter().map(toml).collect::<Vec<_>>().join(", ")),
        Value::Object(keys) => {
            let keys = keys.iter().map(|(key, value)| format!("{key} = {}", toml(value)));
            format!("{{ {} }}", keys.collect::<Vec<_>>().join(", "))
        }
        Value::String(text) => format!("'{text}'"),
        other => other.to_string(),
    }
}

/// The values to try: those that there are, the default, or the first example.
fn values(key: &str, schema: &Value) -> Vec<Value> {
    // Tables whose keys are tried one by one elsewhere have no example.
    match key {
        "backlog" => return vec![serde_json::json!({ "keep": "1d" })],
        "link_loss" => return vec![serde_json::json!({ "after": "1m", "set": "on" })],
        "filter" => return vec![serde_json::json!([{ "round": 1 }, { "change": 1, "heartbeat": "1h" }])],
        "to" => return vec![serde_json::json!({})],
        // Their examples are placeholders, so that nobody logs in with what stands in the page on the map.
        "client_id" | "username" | "password" => return vec![serde_json::json!("c")],
        _ => {}
    }
    let choices = schema["oneOf"].as_array().into_iter().flatten().filter_map(|choice| choice.get("const"));
    let single = schema.get("const").or_else(|| schema.get("default")).or_else(|| schema["examples"].get(0));
    let values: Vec<Value> = choices.chain(single).cloned().collect();
    assert!(!values.is_empty(), "`{key}` has neither a default nor an example");
    values
}

fn properties(table: &Value) -> impl Iterator<Item = (&String, &Value)> {
    table["properties"].as_object().expect("a table with keys").iter()
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(|line| line.trim().to_owned()).collect()
}

/// The tables of the schema.
fn tables(schema: &Value) -> Vec<Table<'_>> {
    let of = |name: &str| &schema["properties"][name];
    let (device, channel) = (&of("device")["additionalProperties"], &of("channel")["additionalProperties"]);
    let output = &of("output")["items"];
    let route = "name = 'air'\nuse = 'bme280'\nto.temperature.field = 'greenhouse.field2'";
    let pin = "name = 'o'\npin = 12\nfrom = 'switches.field1'";
    let table = |section, prefix, schema, ways: &[&str]| {
        let ways = ways.iter().map(|way| lines(way)).collect();
        Table { section, prefix, schema, ways }
    };
    let mut tables = vec![
        table("broker", "", of("broker"), &["", "allow_plaintext = true", "proxy = 'http://proxy.example:3128'"]),
        table("spool", "", of("spool"), &[""]),
        table("metrics", "", of("metrics"), &[""]),
        table(
            "device",
            "",
            device,
            &[
                "credentials = 'mqtt_credentials.txt'",
                "client_id = 'c'\npassword_file = 'mqtt_password'",
                "client_id = 'c'",
            ],
        ),
        table("channel", "", channel, &["id = 1"]),
        table("channel", "backlog.", &channel["properties"]["backlog"], &["id = 1"]),
        table(
            "output",
            "",
            output,
            &[pin, "name = 'o'\npwm = 0\nfrom = 'switches.field1'", "name = 'o'\nfrom = 'switches.field1'"],
        ),
        table(
            "output",
            "link_loss.",
            &output["properties"]["link_loss"],
            &[&format!("{pin}\nlink_loss.after = '1m'\nlink_loss.set = 'on'")],
        ),
    ];
    for kind in of("sensor")["items"]["oneOf"].as_array().expect("the kinds") {
        let required: Vec<&str> = kind["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let needed = properties(kind).filter(|(key, _)| required.contains(&key.as_str()));
        let needed: Vec<String> =
            needed.map(|(key, schema)| format!("{key} = {}", toml(&values(key, schema)[0]))).collect();
        // Of the ways to say where the numbers stand in a line exactly one is needed.
        let forms = ["match", "csv", "json"].into_iter().filter_map(|form| Some((form, kind["properties"].get(form)?)));
        let with = forms
            .map(|(form, schema)| [&needed[..], &[format!("{form} = {}", toml(&values(form, schema)[0]))]].concat());
        let mut ways: Vec<Vec<String>> = with.collect();
        // Keys that stand only with others.
        if kind["properties"]["use"]["const"] == "mqtt" {
            for more in ["transport = 'wss'", "topic = 'zigbee2mqtt/+'", "json = { value = '/t' }", "retained = false"]
            {
                let mqtt =
                    ["name = 'air'", "use = 'mqtt'", if more.starts_with("topic") { "" } else { "topic = 'a/b'" }];
                ways.push(mqtt.iter().map(|line| (*line).to_owned()).chain([more.to_owned()]).collect());
            }
        }
        if kind["properties"].get("thousands").is_some() {
            ways.push([&ways[0][..], &lines("decimal = ','")].concat());
        }
        if kind["properties"]["use"]["const"] == "serial_line" {
            let first = ways[0].clone();
            ways.push([&first[..], &lines("send = '?'\nwake_up = '!'")].concat());
            ways.push([&first[..], &lines("decimal = ','")].concat());
        }
        if kind["properties"]["use"]["const"] == "modbus" {
            let registers = "registers = { x = { at = 0 } }";
            for place in ["port = '/dev/ttyUSB0'", "host = 'meter'"] {
                ways.push([&needed[..], &lines(&format!("{place}\n{registers}"))].concat());
            }
        }
        ways.push(needed);
        tables.push(Table { section: "sensor", prefix: "", schema: kind, ways });
        if kind["properties"]["use"]["const"] == "bme280" {
            let long = &schema["$defs"]["route"];
            let with = |key: &str| lines(&format!("{route}\nto.temperature.{key} = 1"));
            let ways = vec![with("round"), with("change")];
            tables.push(Table { section: "sensor", prefix: "to.temperature.", schema: long, ways });
        }
    }
    tables
}

#[test]
fn every_key_of_the_schema_is_accepted_and_a_stranger_beside_it_refused() {
    let (schema, folder) = (schema(), folder());
    let mut tried = 0;
    for Table { section, prefix, schema, ways } in tables(&schema) {
        // A formula has no time of its own, and says so.
        let is_timeless = schema["properties"]["use"]["const"] == "formula";
        for (key, schema) in
            properties(schema).filter(|(key, _)| !(is_timeless && ["every", "timeout"].contains(&key.as_str())))
        {
            for value in values(key, schema) {
                let line = format!("{prefix}{key} = {}", toml(&value));
                let own = |way: &Vec<String>| {
                    let others = way.iter().filter(|line| !line.starts_with(&format!("{prefix}{key} = ")));
                    others.cloned().chain([line.clone()]).collect::<Vec<_>>()
                };
                let results: Vec<_> =
                    ways.iter().map(|way| (own(way), check(&map(section, &own(way)), folder.path()))).collect();
                let Some((good, _)) = results.iter().find(|(_, result)| result.is_ok()) else {
                    panic!("in {section}, `{line}` is refused: {:?}", results[0].1);
                };
                let stranger = [&good[..], &[format!("{prefix}zzyzx = 1")]].concat();
                let refused = check(&map(section, &stranger), folder.path()).expect_err("a stranger");
                assert!(refused.contains("unknown key `zzyzx`"), "{refused}");
                tried += 1;
            }
        }
    }
    assert!(tried > 100, "only {tried} values were tried");
}

#[test]
fn every_default_of_the_schema_is_the_one_that_is_applied() {
    let (schema, folder) = (schema(), folder());
    let mut compared = 0;
    for Table { section, prefix, schema, ways } in tables(&schema) {
        let with_default = properties(schema).filter_map(|(key, schema)| Some((key, schema.get("default")?)));
        for (key, default) in with_default {
            let own = format!("{prefix}{key} = ");
            let without =
                |way: &Vec<String>| way.iter().filter(|line| !line.starts_with(&own)).cloned().collect::<Vec<_>>();
            let both = ways.iter().find_map(|way| {
                let without = without(way);
                let written = [&without[..], &[format!("{own}{}", toml(default))]].concat();
                let written = check(&map(section, &written), folder.path()).ok()?;
                Some((written, check(&map(section, &without), folder.path()).expect("it may be left out")))
            });
            let (written, left_out) = both.unwrap_or_else(|| panic!("in {section}, the default of `{key}` is refused"));
            assert_eq!(written, left_out, "in {section}, `{key}` has another default than {default}");
            compared += 1;
        }
    }
    assert!(compared > 25, "only {compared} defaults were compared");
}

#[test]
fn every_range_of_the_schema_is_the_one_that_is_checked() {
    let (schema, folder) = (schema(), folder());
    let mut compared = 0;
    for Table { section, prefix, schema, ways } in tables(&schema) {
        for (key, schema) in properties(schema) {
            let own = format!("{prefix}{key} = ");
            let is_good = |number: i64| {
                ways.iter().any(|way| {
                    let others = way.iter().filter(|line| !line.starts_with(&own)).cloned();
                    let lines: Vec<String> = others.chain([format!("{own}{number}")]).collect();
                    check(&map(section, &lines), folder.path()).is_ok()
                })
            };
            for (bound, beyond) in [("minimum", -1), ("maximum", 1)] {
                let Some(last) = schema[bound].as_i64() else { continue };
                assert!(is_good(last), "in {section}, `{own}{last}` is refused");
                assert!(!is_good(last + beyond), "in {section}, `{own}{}` is accepted", last + beyond);
                compared += 1;
            }
        }
    }
    assert!(compared > 15, "only {compared} bounds were compared");
}

#[test]
fn every_key_that_is_needed_is_missed() {
    let (schema, folder) = (schema(), folder());
    for Table { section, prefix, schema, ways } in tables(&schema) {
        for key in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let own = format!("{prefix}{key} = ");
            let without: Vec<String> = ways[0].iter().filter(|line| !line.starts_with(&own)).cloned().collect();
            assert!(without.len() < ways[0].len(), "in {section}, the test does not say `{key}`");
            assert!(check(&map(section, &without), folder.path()).is_err(), "in {section}, `{key}` may be left out");
        }
    }
}

#[test]
fn the_keys_above_all_sections_are_accepted_with_every_value() {
    let (schema, folder) = (schema(), folder());
    let scalars =
        properties(&schema).filter(|(_, schema)| schema.get("properties").is_none() && schema["type"] != "object");
    for (key, schema) in scalars.filter(|(_, schema)| schema["type"] != "array") {
        for value in values(key, schema) {
            let mut lines = vec![format!("{key} = {}", toml(&value))];
            if key != "version" {
                lines.push("version = 1".to_owned());
            }
            check(&map("top", &lines), folder.path()).unwrap_or_else(|faults| panic!("{faults}"));
            lines.push("zzyzx = 1".to_owned());
            check(&map("top", &lines), folder.path()).expect_err("a stranger");
        }
    }
}
