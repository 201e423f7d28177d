use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use serde_json::json;

use super::*;

type Put = (usize, Result<f64, Fault>);

fn settings(keys: serde_json::Value) -> Result<Settings, String> {
    let mut keys = keys;
    keys["port"] = json!("/dev/ttyUSB0");
    serde_json::from_value(keys).map_err(|error| error.to_string())
}

fn matching(pattern: &str) -> Settings {
    settings(json!({ "match": pattern })).unwrap()
}

/// What the settings make of a text that comes in these pieces, once the reader is in step.
fn hear<'a>(settings: &Settings, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Put> {
    let puts = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&puts);
    let sender = ReadingSender::new(move |quantity, _, value| sink.lock().unwrap().push((quantity, value)));
    let mut reader = Reader::new(settings.port.clone(), settings.form.clone());
    reader.bytes(Mono::default(), b"\n", &sender);
    for piece in pieces {
        reader.bytes(Mono::default(), piece, &sender);
    }
    puts.lock().unwrap().clone()
}

fn names(settings: &Settings) -> Vec<String> {
    settings.quantities().into_iter().map(|quantity| quantity.name.into_owned()).collect()
}

#[test]
fn named_groups_are_the_quantities_from_left_to_right() {
    let probe = matching("T=(?<temperature>-?[0-9.]+) H=(?<humidity>[0-9]+)");
    assert_eq!(names(&probe), ["temperature", "humidity"]);
    assert_eq!(hear(&probe, [&b"boot v1.2\r\nT=-3.5 H=40\r\n"[..]]), [(0, Ok(-3.5)), (1, Ok(40.0))]);
}

#[test]
fn an_optional_group_that_takes_no_part_says_nothing() {
    let probe = matching("T=(?<t>[0-9.]+)(?: H=(?<h>[0-9]+))?");
    assert_eq!(hear(&probe, [&b"T=21.5\n"[..]]), [(0, Ok(21.5))]);
}

#[test]
fn a_group_that_is_no_number_is_a_fault_that_quotes_it() {
    let probe = matching("T=(?<t>[0-9.na]+)");
    let puts = hear(&probe, [&b"T=1.2.3\nT=nan\n"[..]]);
    assert_eq!(puts[0], (0, Err(Fault::Garbled("\"1.2.3\" is not a number".into()))));
    assert!(matches!(puts[1], (0, Err(Fault::Garbled(_)))));
}

#[test]
fn columns_are_counted_from_one_and_headings_are_passed_over() {
    let csv = settings(json!({ "csv": { "separator": ";", "columns": { "temperature": 1, "humidity": 3 } } })).unwrap();
    assert_eq!(names(&csv), ["humidity", "temperature"]);
    let puts = hear(&csv, [&b"temp;pressure;hum\n 21.5 ;1013;40\n22;1013\n"[..]]);
    assert_eq!(puts[..2], [(0, Ok(40.0)), (1, Ok(21.5))]);
    assert_eq!(puts[2..], [(0, Err(Fault::Garbled("the line has no column 3".into()))), (1, Ok(22.0))]);
}

#[test]
fn json_pointers_lead_to_numbers_and_to_texts_that_are_numbers() {
    let json = settings(json!({ "json": { "a": "/sensor/t", "b": "/list/1", "c": "/odd~1key" } })).unwrap();
    let line = r#"{"sensor":{"t":21.5},"list":[1,"2.5"],"odd/key":null}"#.to_owned() + "\n";
    let puts = hear(&json, [line.as_bytes(), b"{\"other\":1}\n", b"no json\n", b"{\"sensor\":\n"]);
    assert_eq!(puts[..2], [(0, Ok(21.5)), (1, Ok(2.5))]);
    assert_eq!(puts[2..], [(2, Err(Fault::Garbled("\"null\" is not a number".into())))]);
}

#[test]
fn what_comes_before_the_first_end_of_line_is_not_used() {
    let csv = settings(json!({ "csv": { "columns": { "t": 1 } } })).unwrap();
    let puts = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&puts);
    let sender = ReadingSender::new(move |_, _, value| sink.lock().unwrap().push(value));
    let mut reader = Reader::new(csv.port.clone(), csv.form.clone());
    reader.bytes(Mono::default(), b"1.5\n121.5\n", &sender);
    assert_eq!(*puts.lock().unwrap(), [Ok(121.5)]);
}

#[test]
fn bytes_that_are_no_utf8_do_not_spoil_the_line_around_them() {
    assert_eq!(hear(&matching("T=(?<t>[0-9.]+)"), [&b"\xb0\xff T=21.5 \xb0C\n"[..]]), [(0, Ok(21.5))]);
}

#[test]
fn exactly_one_key_says_where_the_numbers_stand() {
    for keys in [json!({}), json!({ "match": "(?<t>.)", "json": { "t": "/t" } })] {
        assert!(settings(keys).unwrap_err().starts_with("exactly one of"));
    }
    assert!(settings(json!({ "match": "(?<t>." })).is_err(), "an open group");
    assert!(settings(json!({ "match": "(?<t>.)", "macth": "" })).unwrap_err().contains("macth"));
}

#[test]
fn keys_that_cannot_work_are_faults() {
    let misfits = [
        (json!({ "match": "T=([0-9]+)" }), "match"),
        (json!({ "csv": { "columns": {} } }), "csv"),
        (json!({ "csv": { "columns": { "t": 0 } } }), "csv"),
        (json!({ "json": { "t": "sensor/t" } }), "json"),
        (json!({ "match": "(?<t>[0-9])", "baud": 0 }), "baud"),
        (json!({ "match": "T=(?<t>[0-9]+)", "simulate": "H=3" }), "simulate"),
    ];
    for (keys, key) in misfits {
        let faults = settings(keys).unwrap().faults();
        assert_eq!(faults.iter().map(|fault| fault.0).collect::<Vec<_>>(), [key]);
    }
    assert_eq!(matching("T=(?<t>[0-9]+)").faults(), []);
}

/// Every form of line gets a simulated device that gives all its quantities, and moves.
#[test]
fn simulated_lines_are_understood_at_all_times() {
    let patterns = [
        r"T=(?<temperature>-?[0-9.]+)",
        r"^\s*(?P<t>[+-]?\d+(?:\.\d+)?)\s+C\s*$",
        r"\[(?<n>\d{4})\] x{3}[^a-z]?y",
        r"(?i)temp[[:space:]]*:?\s?(?<t>\d{1,3}[.]\d{2})\u{b0}?|hum (?<h>\d+)%",
        r"(?:a|b)(?<t>\+\d\d\.\d)(?: ?opt(?<h>.*?))?;",
        r"(?<t>\S+)\t(?<u>[^\t]+)",
        "T=(?<t>[0-9.]+) C ",
    ];
    let mut all: Vec<Settings> = patterns.iter().map(|pattern| matching(pattern)).collect();
    all.push(settings(json!({ "csv": { "separator": "\t", "columns": { "t": 2, "h": 5 } } })).unwrap());
    all.push(settings(json!({ "json": { "t": "/sensor/t", "h": "/sensor/list/0", "x": "/a~1b" } })).unwrap());
    all.push(settings(json!({ "json": { "t": "" } })).unwrap());
    for settings in all {
        let talk = Talk::new(&settings.form, None).unwrap_or_else(|| panic!("nothing to say: {settings:?}"));
        let said = |seconds| talk.say(Mono::new(Duration::from_secs(seconds)));
        for seconds in (0..2000).step_by(97) {
            let puts = hear(&settings, [&said(seconds)[..]]);
            assert_eq!(puts.len(), settings.quantities().len(), "{settings:?} {puts:?}");
            assert!(puts.iter().all(|(_, value)| value.is_ok()), "{settings:?} {puts:?}");
        }
        assert_ne!(said(0), said(100), "{settings:?}");
    }
}

#[test]
fn the_maps_own_line_is_what_the_simulated_device_says() {
    let form = matching("T=(?<t>[0-9.]+)").form;
    assert_eq!(Talk::new(&form, Some("T=7\n")).unwrap().say(Mono::default()), b"\r\nT=7\r\n");
}

#[test]
fn a_pattern_beyond_the_walker_has_no_simulated_device() {
    assert!(Talk::new(&matching(r"(?x) a b (?<t>\d+)").form, None).is_none());
    assert!(Talk::new(&matching(r"(?<t>[a-z]+)").form, None).is_none());
    // An end of line is no part of a line.
    assert!(Talk::new(&matching(r"(?<t>[0-9.]+)\r").form, None).is_none());
    let contradictory = settings(json!({ "json": { "a": "/a", "b": "/a/b" } })).unwrap();
    assert!(Talk::new(&contradictory.form, None).is_none());
}

fn any_settings() -> impl Strategy<Value = Settings> {
    prop_oneof![
        Just(json!({ "match": "(?<a>[0-9.]+),?(?<b>[^,]*)" })),
        Just(json!({ "csv": { "columns": { "a": 1, "b": 2 } } })),
        Just(json!({ "json": { "a": "/a", "b": "" } })),
    ]
    .prop_map(|keys| settings(keys).unwrap())
}

proptest! {
    #[test]
    fn pieces_give_the_same_values_as_the_whole(
        settings in any_settings(),
        text in "([0-9.]{1,4}(,[0-9a]{1,3})?\r?\n|\\{\"a\":[0-9]\\}\n|\n){0,20}",
        size in 1..40_usize,
    ) {
        let whole = hear(&settings, [text.as_bytes()]);
        prop_assert_eq!(hear(&settings, text.as_bytes().chunks(size)), whole);
    }

    #[test]
    fn hostile_bytes_give_only_finite_values(
        settings in any_settings(),
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\n'), b'0'..=b'9', Just(b'[')], 0..600),
    ) {
        let puts = hear(&settings, [&bytes[..]]);
        prop_assert!(puts.iter().all(|(_, value)| value.as_ref().map_or(true, |value| value.is_finite())));
    }

    #[test]
    fn walking_any_pattern_ends_without_panic(pattern in "[a-z0-9(){}?*+|\\[\\]^$.<>\\\\:,é-]{0,30}") {
        let _ = sample::templates(&pattern);
    }
}
