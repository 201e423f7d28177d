use std::time::Duration;

use serde_json::json;

use super::*;
use crate::hal::ManualClock;

const PATH: &str = "/run/rain/level";

fn measure(keys: serde_json::Value, sim: &Sim) -> Result<f64, Fault> {
    let settings: Settings = serde_json::from_value(keys).unwrap();
    match settings.open(&sim.hal(), ReadingSender::new(|_, _, _| {}))? {
        Source::Polled(mut sensor) => sensor.measure()?.swap_remove(0),
        Source::Stream(..) => panic!("a file is polled"),
    }
}

fn holding(text: &'static str) -> Sim {
    let sim = Sim::default();
    sim.file(Path::new(PATH), |_| Ok(text.to_owned()));
    sim
}

#[test]
fn the_first_word_is_scaled_and_shifted() {
    assert_eq!(measure(json!({ "path": PATH }), &holding(" 21437 \n")), Ok(21437.0));
    assert_eq!(measure(json!({ "path": PATH }), &holding("0.52 0.58 0.59 1/467 2011\n")), Ok(0.52));
    assert_eq!(measure(json!({ "path": PATH, "scale": 0.5, "offset": -1 }), &holding("5")), Ok(1.5));
}

#[test]
fn scale_and_offset_add_no_binary_noise() {
    assert_eq!(measure(json!({ "path": PATH, "scale": 0.001 }), &holding("-2800")), Ok(-2.8));
    assert_eq!(measure(json!({ "path": PATH, "offset": -20 }), &holding("20.1")), Ok(0.1));
    assert_eq!(measure(json!({ "path": PATH }), &holding("1795334400.123456")), Ok(1_795_334_400.123_456));
}

#[test]
fn what_is_no_number_is_quoted_in_part() {
    for text in ["", "\n", "temp 5", "nan"] {
        let fault = measure(json!({ "path": PATH }), &holding(text)).unwrap_err();
        assert_eq!(fault, Fault::Garbled(format!("\"{}\" is not a number", text.trim())));
    }
    // What a power cut leaves of a file on a disk.
    assert!(matches!(measure(json!({ "path": PATH }), &holding("\0\0\0\0")), Err(Fault::Garbled(_))));
    assert!(matches!(measure(json!({ "path": PATH, "scale": 1e308 }), &holding("1e9")), Err(Fault::OutOfRange(_))));
}

#[test]
fn a_missing_file_is_absent_and_an_unreadable_one_says_why() {
    assert!(matches!(measure(json!({ "path": "/no/such/file" }), &Sim::default()), Err(Fault::Absent(_))));
    let sim = holding("1");
    sim.break_file(Path::new(PATH), io::ErrorKind::PermissionDenied);
    assert!(matches!(measure(json!({ "path": PATH }), &sim), Err(Fault::Bus(_))));
}

#[test]
fn only_a_missing_file_is_simulated() {
    let clock = Arc::new(ManualClock::default());
    let sim = Sim::with_clock(None, clock.clone()).unwrap();
    sim.file(Path::new(PATH), |_| Ok("7".to_owned()));
    for (path, moves) in [(PATH, false), ("/no/such/file", true)] {
        let keys = json!({ "path": path });
        serde_json::from_value::<Settings>(keys.clone()).unwrap().simulate(&sim);
        let before = measure(keys.clone(), &sim).unwrap();
        clock.advance(Duration::from_secs(60));
        assert_eq!(measure(keys, &sim).unwrap().to_bits() != before.to_bits(), moves);
    }
}

#[test]
fn several_values_come_from_one_file_and_each_is_scaled() {
    let keys = json!({ "path": PATH, "json": { "h": "/h", "t": "/t" }, "unit": "%", "decimal": ",", "scale": 0.1 });
    let settings: Settings = serde_json::from_value(keys).unwrap();
    let hal = holding("{\"t\": 215, \"h\": \"45,5%\"}").hal();
    let Ok(Source::Polled(mut sensor)) = settings.open(&hal, ReadingSender::new(|_, _, _| {})) else { panic!() };
    assert_eq!(sensor.measure(), Ok(vec![Ok(4.55), Ok(21.5)]));
    assert_eq!(settings.hint(), None, "its quantities have names of their own");
    let comma = measure(json!({ "path": PATH }), &holding("12,5")).unwrap_err().to_string();
    assert!(comma.contains("decimal comma?"), "{comma}");
}

#[test]
fn a_file_that_was_written_long_ago_is_a_fault_where_the_map_says_so() {
    use std::fs::FileTimes;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("level");
    std::fs::write(&path, "21.5").unwrap();
    let written =
        |at| std::fs::File::options().write(true).open(&path).unwrap().set_times(FileTimes::new().set_modified(at));
    let keys = |max_age: Option<&str>| match max_age {
        Some(max_age) => json!({ "path": path, "max_age": max_age }),
        None => json!({ "path": path }),
    };
    let now = std::time::SystemTime::now();
    written(now - Duration::from_secs(7200)).unwrap();
    let fault = measure(keys(Some("1h")), &Sim::default()).unwrap_err().to_string();
    assert!(fault.starts_with("too old: ") && fault.contains("ago, and `max_age` allows 3600 s"), "{fault}");
    assert_eq!(measure(keys(None), &Sim::default()), Ok(21.5));
    assert_eq!(measure(keys(Some("3h")), &Sim::default()), Ok(21.5));
    written(now + Duration::from_secs(7200)).unwrap();
    assert_eq!(measure(keys(Some("1h")), &Sim::default()), Ok(21.5), "the clock was ahead then");
    assert!(matches!(
        measure(json!({ "path": "/no/such/file", "max_age": "1h" }), &Sim::default()),
        Err(Fault::Absent(_))
    ));
}

#[test]
fn a_file_that_is_empty_for_a_moment_is_read_again() {
    use std::sync::atomic::{AtomicU32, Ordering};
    let sim = Sim::default();
    let reads = AtomicU32::new(0);
    sim.file(Path::new(PATH), move |_| {
        Ok(if reads.fetch_add(1, Ordering::Relaxed) < 2 { "" } else { "7\n" }.to_owned())
    });
    assert_eq!(measure(json!({ "path": PATH }), &sim), Ok(7.0));
}

#[test]
fn keys_that_cannot_work_are_faults() {
    let faults = |keys| {
        serde_json::from_value::<Settings>(keys).unwrap().faults().into_iter().map(|fault| fault.0).collect::<Vec<_>>()
    };
    assert_eq!(faults(json!({ "path": "", "max_age": "0s", "base": 8 })), ["path", "max_age", "base"]);
    let text =
        Settings { scale: f64::NAN, offset: f64::INFINITY, ..serde_json::from_value(json!({ "path": "/x" })).unwrap() };
    assert_eq!(text.faults().iter().map(|fault| fault.0).collect::<Vec<_>>(), ["scale", "offset"]);
    assert!(serde_json::from_value::<Settings>(json!({ "path": "/x", "json": {}, "match": "" })).is_err());
}
