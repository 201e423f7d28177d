use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::sensor::Stream;
use crate::time::Mono;

type Put = (usize, Result<f64, Fault>);

fn garbled(reason: &str) -> Result<f64, Fault> {
    Err(Fault::Garbled(format!("/dev/ttyUSB0: {reason}")))
}

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
    let mut reader = Reader::new(settings);
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
    assert_eq!(puts[0], (0, garbled("\"1.2.3\" is not a number in \"T=1.2.3\"")));
    assert!(matches!(puts[1], (0, Err(Fault::Garbled(_)))));
}

#[test]
fn columns_are_counted_from_one_and_headings_are_passed_over() {
    let csv = settings(json!({ "csv": { "separator": ";", "columns": { "temperature": 1, "humidity": 3 } } })).unwrap();
    assert_eq!(names(&csv), ["humidity", "temperature"]);
    let puts = hear(&csv, [&b"temp;pressure;hum\n 21.5 ;1013;40\n22;1013\n"[..]]);
    assert_eq!(puts[..2], [(0, Ok(40.0)), (1, Ok(21.5))]);
    assert_eq!(puts[2..], [(0, garbled("the line has no column 3 in \"22;1013\"")), (1, Ok(22.0))]);
}

#[test]
fn json_pointers_lead_to_numbers_and_to_texts_that_are_numbers() {
    let json = settings(json!({ "json": { "a": "/sensor/t", "b": "/list/1", "c": "/odd~1key" } })).unwrap();
    let line = r#"{"sensor":{"t":21.5},"list":[1,"2.5"],"odd/key":null}"#.to_owned() + "\n";
    let puts = hear(&json, [line.as_bytes(), b"{\"other\":1}\n", b"no json\n", b"{\"sensor\":\n"]);
    assert_eq!(puts[..2], [(0, Ok(21.5)), (1, Ok(2.5))]);
    assert_eq!(
        puts[2],
        (2, garbled("\"null\" is not a number in \"{\"sensor\":{\"t\":21.5},\"list\":[1,\"2.5\"],\"o…\""))
    );
    assert_eq!(puts.len(), 3);
}

#[test]
fn what_comes_before_the_first_end_of_line_is_not_used() {
    let csv = settings(json!({ "csv": { "columns": { "t": 1 } } })).unwrap();
    let puts = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&puts);
    let sender = ReadingSender::new(move |_, _, value| sink.lock().unwrap().push(value));
    let mut reader = Reader::new(&csv);
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
        (json!({ "match": "T=(?<t>[0-9]+)", "data_bits": 9 }), "data_bits"),
        (json!({ "match": "T=(?<t>[0-9]+)", "stop_bits": 3 }), "stop_bits"),
        (json!({ "match": "T=(?<t>[0-9]+)", "decimal": ";" }), "decimal"),
        (json!({ "csv": { "columns": { "t": 1 } }, "decimal": "," }), "decimal"),
        (json!({ "match": "T=(?<t>[0-9]+)", "thousands": "." }), "thousands"),
        (json!({ "match": "T=(?<t>[0-9]+)", "base": 8 }), "base"),
        (json!({ "match": "T=(?<t>[0-9]+)", "longest": 0 }), "longest"),
        (json!({ "match": "T=(?<t>[0-9]+)", "end": { "silence": "1ms" } }), "end"),
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
        let said = |seconds| talk.say(Mono::new(Duration::from_secs(seconds)), &End::Bytes(b"\n".to_vec()), None);
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
    assert_eq!(
        Talk::new(&form, Some("T=7\n")).unwrap().say(Mono::default(), &End::Bytes(b"\n".to_vec()), None),
        b"\r\nT=7\r\n"
    );
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

mod lines_of_the_field {
    use super::*;

    fn csv(keys: &serde_json::Value) -> Settings {
        settings(json!({ "csv": keys })).unwrap()
    }

    #[test]
    fn blanks_separate_columns_and_cells_may_be_quoted() {
        let blanks = csv(&json!({ "separator": " ", "columns": { "a": 1, "b": 2 } }));
        assert_eq!(
            hear(&blanks, [&b" 5.2 100.1\n5.3\t  7\n"[..]]),
            [(0, Ok(5.2)), (1, Ok(100.1)), (0, Ok(5.3)), (1, Ok(7.0))]
        );
        let quoted = csv(&json!({ "columns": { "a": 2, "b": 3 } }));
        assert_eq!(hear(&quoted, [&b"\"x, \"\"y\"\"\",\"5.2\", \"7\"\r\n"[..]]), [(0, Ok(5.2)), (1, Ok(7.0))]);
        assert_eq!(
            hear(&quoted, [&b"an \"open mark,5.2,7\n\"and,5,7\n"[..]]).len(),
            4,
            "a mark that is not closed is text"
        );
    }

    #[test]
    fn each_hit_in_a_line_counts_and_a_quantity_has_its_first_value() {
        let probe = matching("T=(?<t>[0-9.]+)|H=(?<h>[0-9]+)");
        assert_eq!(hear(&probe, [&b"H=40 T=21.5 T=22\n"[..]]), [(0, Ok(21.5)), (1, Ok(40.0))]);
    }

    #[test]
    fn nul_splits_no_number_and_the_documented_pattern_takes_no_half_line() {
        let probe = matching("^T=(?<temperature>-?[0-9.]+)$");
        assert_eq!(hear(&probe, [&b"T=2\x001.7\nT=21T=21.5\n\x00T=5\n"[..]]), [(0, Ok(5.0))]);
        let loose = matching("T=(?<temperature>-?[0-9.]+)");
        assert_eq!(hear(&loose, [&b"T=2\x001.7\n"[..]]), [(0, garbled("a NUL is in the line in \"T=2?1.7\""))]);
    }

    #[test]
    fn a_missing_value_of_json_costs_no_other() {
        let node = settings(json!({ "json": { "t": "/temperature", "h": "/humidity" } })).unwrap();
        let puts = hear(&node, [&b"{\"temperature\":nan,\"humidity\":41.2}\n"[..]]);
        assert_eq!(puts[0], (0, Ok(41.2)));
        assert!(
            matches!(&puts[1], (1, Err(Fault::Garbled(reason))) if reason.contains("\"nan\" is not a number")),
            "{puts:?}"
        );
        for missing in ["-nan", "NaN", "null", "-Infinity", "\"nan\""] {
            let line =
                format!("{{\"note\":\"a:nan\",\"list\":[nan , inf],\"temperature\": {missing} ,\"humidity\":1}}\n");
            let puts = hear(&node, [line.as_bytes()]);
            assert_eq!(puts[0], (0, Ok(1.0)), "{line}");
            assert!(puts[1].1.is_err(), "{line}");
        }
    }

    #[test]
    fn text_may_stand_before_json_and_objects_side_by_side() {
        let node = settings(json!({ "json": { "t": "/t", "h": "/h" } })).unwrap();
        let line = b"I (312) [main] got: {\"t\":21.5}{\"h\":40} ok {\"t\":99}\n";
        assert_eq!(hear(&node, [&line[..]]), [(0, Ok(40.0)), (1, Ok(21.5))]);
        assert_eq!(hear(&node, [&b"got {\"a\":{\"t\":1},\n"[..]]), [], "a part of an object is none");
    }

    #[test]
    fn numbers_are_written_as_the_map_says() {
        let german = settings(json!({ "match": "T=(?<t>[^ ]+)", "decimal": ",", "thousands": "." })).unwrap();
        assert_eq!(hear(&german, [&b"T=-1.234,5\n"[..]]), [(0, Ok(-1234.5))]);
        let hex = settings(json!({ "match": "^(?<n>.+)$", "base": 16, "states": { "OFF": 0 } })).unwrap();
        assert_eq!(hear(&hex, [&b"1f\nOFF\n"[..]]), [(0, Ok(31.0)), (0, Ok(0.0))]);
        let apart = matching("^(?<t>.+) C$");
        assert_eq!(hear(&apart, ["- 5.2 C\n\u{2212}3 C\n".as_bytes()]), [(0, Ok(-5.2)), (0, Ok(-3.0))]);
    }

    #[test]
    fn a_wrong_check_sum_is_judged_before_the_line_is_read() {
        let probe = settings(json!({ "csv": { "columns": { "t": 1 } }, "checksum": "xor" })).unwrap();
        let puts = hear(&probe, [&b"21.5*18\n21.6*18\n21.7\n"[..]]);
        assert_eq!(puts[0], (0, Ok(21.5)));
        let Err(Fault::Checksum(reason)) = &puts[1].1 else { panic!("{puts:?}") };
        assert_eq!(reason, "/dev/ttyUSB0: \"18\" where 1B belongs in \"21.6*18\"");
        assert_eq!(puts.len(), 2, "a line without one is passed over");
    }
}

mod framing {
    use super::*;

    struct Port {
        reader: Reader,
        puts: Arc<Mutex<Vec<Put>>>,
        sender: ReadingSender,
    }

    fn at(millis: u64) -> Mono {
        Mono::new(Duration::from_millis(millis))
    }

    impl Port {
        /// Opened at 0.
        fn of(keys: serde_json::Value) -> Self {
            let puts = Arc::new(Mutex::new(Vec::new()));
            let sink = Arc::clone(&puts);
            let sender = ReadingSender::new(move |quantity, _, value| sink.lock().unwrap().push((quantity, value)));
            let mut reader = Reader::new(&settings(keys).unwrap());
            reader.opened(at(0));
            Self { reader, puts, sender }
        }

        /// Feeds bytes, with the silence before them.
        fn hear(&mut self, millis: u64, bytes: &[u8]) -> Vec<Put> {
            self.reader.bytes(at(millis), bytes, &self.sender);
            std::mem::take(&mut self.puts.lock().unwrap())
        }

        fn silence(&mut self, millis: u64) -> Vec<Put> {
            assert!(self.reader.silence_after().is_some(), "something waits for it");
            self.reader.silence(at(millis), &self.sender);
            std::mem::take(&mut self.puts.lock().unwrap())
        }

        fn complaint(&mut self) -> String {
            self.reader.complaint().expect("it has one").to_string()
        }
    }

    fn probe() -> Port {
        Port::of(json!({ "match": "T=(?<t>[0-9.]+)" }))
    }

    #[test]
    fn newline_before_the_line_loses_and_delays_nothing() {
        let mut port = probe();
        assert_eq!(port.hear(50, b"\nT=1"), []);
        assert_eq!(port.silence(1_050), [(0, Ok(1.0))]);
        assert_eq!(port.hear(10_000, b"\nT=2"), []);
        assert_eq!(port.silence(11_000), [(0, Ok(2.0))]);
    }

    #[test]
    fn the_first_line_counts_when_the_port_was_silent_before_it() {
        assert_eq!(probe().hear(3_000, b"T=21.5\n"), [(0, Ok(21.5))]);
        assert_eq!(probe().hear(20, b"1.5T=21.5\n"), []);
        assert_eq!(probe().hear(20, b"T=1.5\nT=121.5\n"), [(0, Ok(121.5))]);
    }

    #[test]
    fn a_device_that_ends_its_lines_is_not_believed_when_it_breaks_off() {
        let mut port = probe();
        port.hear(50, b"\n");
        assert_eq!(port.hear(5_000, b"T=21.5\n"), [(0, Ok(21.5))]);
        assert_eq!(port.hear(10_000, b"T=2"), []);
        assert_eq!(port.silence(11_000), []);
        assert!(port.complaint().ends_with("/dev/ttyUSB0: bytes come, but no line end: \"T=2\""));
    }

    #[test]
    fn what_comes_instead_of_lines_is_told() {
        let mut port = probe();
        assert_eq!(port.reader.complaint(), None);
        port.hear(500, b"T=21.5\rT=21.6\r");
        assert_eq!(port.silence(1_500), []);
        let told = port.complaint();
        assert!(
            told.contains("/dev/ttyUSB0: bytes come, but no line end (\\n), only \\r (set end = \"\\r\")"),
            "{told}"
        );
        assert!(told.contains("T=21.5?T=21.6"), "{told}");

        let mut port = probe();
        port.hear(500, &[b'x'; 3000]);
        assert!(port.complaint().contains("a line is longer than 1024 bytes: \"xxxx"));
        port.hear(600, b"\n");
        assert!(port.complaint().contains("a line is longer than 1024 bytes: \"xxxx"));

        let mut port = Port::of(json!({ "csv": { "columns": { "t": 2 } } }));
        assert_eq!(port.hear(500, b"a,b\n"), []);
        assert_eq!(port.complaint(), "no measurement: /dev/ttyUSB0: no number in column 2: \"a,b\"");
        assert_eq!(port.reader.complaint(), None, "it is told once");
    }

    #[test]
    fn lines_end_as_the_map_says() {
        let keys = |end| json!({ "match": "^T=(?<t>[0-9.]+)$", "end": end });
        assert_eq!(Port::of(keys(json!("\\r"))).hear(500, b"T=1\r\nT=2\r"), [(0, Ok(1.0)), (0, Ok(2.0))]);
        assert_eq!(Port::of(keys(json!({ "hex": "03" }))).hear(500, b"T=1\x03"), [(0, Ok(1.0))]);
        let mut port = Port::of(keys(json!({ "silence": "50ms" })));
        assert_eq!(port.hear(500, b"T="), []);
        assert_eq!(port.hear(510, b"7"), []);
        assert_eq!(port.reader.silence_after(), Some(Duration::from_millis(50)));
        assert_eq!(port.silence(560), [(0, Ok(7.0))]);
        let mut short = Port::of(json!({ "match": "T=(?<t>[0-9.]+)", "longest": 5 }));
        assert_eq!(short.hear(500, b"T=21.5\n\nT=2.5\n"), [(0, Ok(2.5))]);
    }
}

mod asked {
    use super::super::ask::Questioner;
    use super::*;
    use crate::sensor::port::{Dialogue, Input, Step};

    fn at(millis: u64) -> Mono {
        Mono::new(Duration::from_millis(millis))
    }

    fn questioner(keys: serde_json::Value) -> Questioner {
        let settings = settings(keys).unwrap();
        assert!(settings.is_asked());
        Questioner::new(&settings, *settings.ask.clone().unwrap())
    }

    #[test]
    fn the_question_follows_the_wake_up_and_the_answer_ends_the_turn() {
        let mut device = questioner(json!({
            "match": "T=(?<t>[0-9.]+)", "send": "\\x05M?\\r\\n", "wake_up": { "hex": "0d 0A" }, "wake_pause": "50ms"
        }));
        let puts = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&puts);
        let sender = ReadingSender::new(move |_, _, value| sink.lock().unwrap().push(value));
        assert_eq!(device.step(at(0), Input::Turn, &sender), Step::Send(b"\r\n".to_vec(), at(50)));
        assert_eq!(device.step(at(10), Input::Bytes(b"T=9\n"), &sender), Step::Wait(at(50)));
        let Step::Send(question, _) = device.step(at(50), Input::Time, &sender) else { panic!("it asks") };
        assert_eq!(question, b"\x05M?\r\n");
        assert!(matches!(device.step(at(60), Input::Bytes(b"T=2"), &sender), Step::Wait(_)));
        assert_eq!(device.step(at(70), Input::Bytes(b"1.5\n"), &sender), Step::Done);
        assert_eq!(*puts.lock().unwrap(), [Ok(21.5)]);
        // Half of an answer is not carried into the next turn.
        device.step(at(100), Input::Turn, &sender);
        device.step(at(150), Input::Time, &sender);
        device.step(at(160), Input::Bytes(b"T=1"), &sender);
        assert!(device.complaint().unwrap().to_string().contains("no line end: \"T=1\""));
    }

    #[test]
    fn an_answer_that_lacks_a_quantity_ends_with_its_silence() {
        let mut device = questioner(json!({ "json": { "t": "/t", "h": "/h" }, "send": "?" }));
        let sender = ReadingSender::new(|_, _, _| {});
        device.step(at(0), Input::Turn, &sender);
        assert_eq!(device.step(at(100), Input::Bytes(b"{\"t\":1}\n"), &sender), Step::Wait(at(400)));
        assert_eq!(device.step(at(400), Input::Time, &sender), Step::Done);
    }

    #[test]
    fn bytes_that_cannot_be_sent_are_refused_with_the_reason() {
        let refused = |send: serde_json::Value| settings(json!({ "match": "(?<t>.)", "send": send })).unwrap_err();
        assert!(refused(json!("\\q")).contains("\\q is not an escape"));
        assert!(
            refused(json!("\\x5")).contains("two hexadecimal digits") || refused(json!("\\x5")).contains("hexadecimal")
        );
        assert!(refused(json!({ "hex": "0" })).contains("hexadecimal digits"));
        assert!(refused(json!("")).contains("at least one byte"));
        assert!(settings(json!({ "match": "(?<t>.)", "wake_up": "x" })).unwrap_err().contains("without `send`"));
    }
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
