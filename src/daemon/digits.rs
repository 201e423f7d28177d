//! One value, one text: from a map and its readings to the entry's payload, the export and the status, on a virtual clock.

use std::time::Duration;

use super::event::Event;
use super::tracker::{Asked, StatusTracker};
use crate::config::fixture;
use crate::entry::UntimedEntry;
use crate::pipeline::{Pipeline, Put};
use crate::reading::{Reading, SensorId};
use crate::status;
use crate::store::codec;
use crate::thingspeak::{import, update};
use crate::time::{Mono, Now, Utc};

/// What a slot with readings of one sensor's first quantity becomes.
struct Shown {
    payload: String,
    export: String,
    status: String,
    number: f64,
}

/// The sensor's keys of the map, `to` included, and its readings.
fn shown(sensor: &str, quantity: usize, readings: &[f64]) -> Shown {
    let map = fixture::settings(&format!("every = \"20s\"\n[[sensor]]\nname = \"it\"\n{sensor}\n"));
    let (start, it) = (Mono::default(), SensorId(0));
    let mut pipeline = Pipeline::new(&map.pipeline(), &[it], start);
    let mut tracker = StatusTracker::new(start, false);
    tracker.event(start, &Event::Map(&map, &[it]));
    let now = |tenths: u64| {
        let mono = Mono::new(Duration::from_millis(tenths * 100));
        Now { mono, utc: Utc::from_seconds(1_795_334_400) + mono.since_boot() }
    };
    for (tenths, value) in (1..).zip(readings) {
        let now = now(tenths);
        let reading = Reading { sensor: it, quantity, at: now.mono, value: Ok(*value) };
        pipeline.put(now, &reading, &mut Put::default());
        tracker.event(now.mono, &Event::Reading(&reading));
    }
    let mut entries = Vec::new();
    pipeline.close_due(now(400), |closed| entries.extend(closed));
    let untimed = entries.swap_remove(0);
    // As it comes back from the disk.
    let read: UntimedEntry = codec::decode(&codec::encode(&untimed)).expect("an entry");
    let entry = read.stamped(Utc::from_seconds(1_795_334_420));
    let payload = update::encode(&entry);
    let report = tracker.report(now(400), &Asked::default());
    let sensor = report.sensors.iter().flat_map(|sensor| &sensor.quantities).next().expect("one");
    Shown {
        payload: payload.split('&').next().and_then(|pair| pair.strip_prefix("field1=")).expect("field1").to_owned(),
        export: import::row(&entry).split(',').nth(1).expect("field1").to_owned(),
        status: sensor.text.clone().expect("a value"),
        number: sensor.value.expect("a value"),
    }
}

#[track_caller]
fn assert_shown(sensor: &str, quantity: usize, readings: &[f64], text: &str) {
    let Shown { payload, export, .. } = shown(sensor, quantity, readings);
    assert_eq!((payload.as_str(), export.as_str()), (text, text), "{sensor} with {readings:?}");
}

#[test]
fn number_of_a_file_loses_only_binary_noise() {
    let file = "use = \"file\"\npath = \"x\"\n";
    assert_shown(&format!("{file}to.value = {{ field = \"house.field1\", scale = 0.001 }}"), 0, &[-2800.0], "-2.8");
    let plain = format!("{file}to.value = \"house.field1\"");
    assert_shown(&plain, 0, &[67.01, 67.01], "67.01");
    assert_shown(&plain, 0, &[1e15], "1000000000000000");
    assert_shown(&plain, 0, &[1e-9], "0.000000001");
    assert_shown(&plain, 0, &[-0.0], "0");
    assert_shown(&plain, 0, &[0.123_456_789_012], "0.123456789012");
}

#[test]
fn wind_across_north_is_north() {
    let line = "use = \"serial_line\"\nport = \"/dev/ttyUSB0\"\ncsv = { columns = { direction = 1 } }\n";
    let wind = format!("{line}to.direction = {{ field = \"house.field1\", reduce = \"direction\" }}");
    assert_shown(&wind, 0, &[350.0, 10.0], "0");
    let rounded = format!("{line}to.direction = {{ field = \"house.field1\", reduce = \"direction\", round = 0 }}");
    assert_shown(&rounded, 0, &[350.0, 10.0, 20.0], "7");
    assert_shown(&rounded, 0, &[359.6], "0");
}

#[test]
fn a_rain_gauge_keeps_the_digits_of_its_tips() {
    let gauge = "use = \"counter\"\npin = 27\n";
    let own = format!("{gauge}scale = 0.2794\nto.sum = \"house.field1\"");
    let routes = format!("{gauge}to.sum = {{ field = \"house.field1\", scale = 0.2794 }}");
    for (tips, text) in [(1, "0.2794"), (3, "0.8382"), (5, "1.397"), (10, "2.794")] {
        assert_shown(&own, 0, &vec![0.2794; tips], text);
        assert_shown(&routes, 0, &vec![1.0; tips], text);
    }
    assert_shown(&own, 0, &[0.0], "0");
    assert_shown(&format!("{gauge}scale = 0.2794\nto.total = \"house.field1\""), 1, &[0.2794 * 1234.0], "344.7796");
    assert_shown(&format!("{gauge}to.sum = \"house.field1\""), 0, &[2.0, 3.0], "5");
}

/// One digit more than BST-BME280-DS002 says: 0.01 °C, 0.008 %, and 2.6 Pa of 16 bits.
#[test]
fn a_bme280_has_one_digit_more_than_it_resolves() {
    let part = "use = \"bme280\"\n";
    assert_shown(&format!("{part}to.temperature = \"house.field1\""), 0, &[21.51, 21.52, 21.52], "21.517");
    assert_shown(&format!("{part}to.temperature = \"house.field1\""), 0, &[21.5, 21.5], "21.5");
    assert_shown(&format!("{part}to.humidity = \"house.field1\""), 1, &[41.234_375], "41.2344");
    assert_shown(&format!("{part}to.pressure = \"house.field1\""), 2, &[1_006.532_7], "1006.533");
    let fahrenheit = "to.temperature = { field = \"house.field1\", scale = 1.8, offset = 32 }";
    assert_shown(&format!("{part}{fahrenheit}"), 0, &[21.51, 21.52, 21.52], "70.73");
}

#[test]
fn a_ds18b20_shows_what_the_kernel_says() {
    let probe = "use = \"ds18b20\"\nid = \"28-0417b1fb82ff\"\nto.temperature = \"house.field1\"";
    assert_shown(probe, 0, &[21.437], "21.437");
    assert_shown(probe, 0, &[21.437, 21.5, 21.562], "21.4997");
}

#[test]
fn the_routes_own_round_wins() {
    let part = "use = \"bme280\"\nto.temperature = { field = \"house.field1\", round = 2 }";
    assert_shown(part, 0, &[21.5, 21.5], "21.50");
    assert_shown(&part.replace("round = 2", "round = 0"), 0, &[21.51], "22");
    let then_scaled = part.replace("round = 2", "filter = [{ round = 1 }, { scale = 10 }]");
    assert_shown(&then_scaled, 0, &[21.54], "215");
}

#[test]
fn status_shows_a_reading_with_the_digits_of_the_entry() {
    for (sensor, quantity, reading) in [
        ("use = \"bme280\"\nto.temperature = \"house.field1\"", 0, 21.517_382_1),
        ("use = \"bme280\"\nto.temperature = { field = \"house.field1\", round = 1 }", 0, 21.0),
        ("use = \"file\"\npath = \"x\"\nto.value = \"house.field1\"", 0, 67.009_999_999_999_99),
        ("use = \"nmea\"\nto.latitude = \"house.field1\"", 0, 48.117_3),
        ("use = \"counter\"\npin = 27\nscale = 0.2794\nto.sum = \"house.field1\"", 0, 0.2794 * 3.0),
        ("use = \"system\"\nto.load1 = \"house.field1\"", 1, 0.52),
        ("use = \"input\"\npin = 22\nto.level = \"house.field1\"", 0, 1.0),
    ] {
        let Shown { payload, export, status, number } = shown(sensor, quantity, &[reading]);
        assert_eq!((&status, &export), (&payload, &payload), "{sensor}");
        assert_eq!(number.to_bits(), status.parse::<f64>().expect("a number").to_bits());
        // The page for people has the same.
        let quantity = status::Quantity {
            name: "it".into(),
            text: Some(status),
            value: Some(number),
            age_s: Some(1.0),
            ..Default::default()
        };
        let sensor = status::Sensor { name: "it".into(), quantities: vec![quantity], ..Default::default() };
        let page = status::text::render(&status::Report { sensors: vec![sensor], ..Default::default() }, false);
        assert!(page.contains(&format!(" it {payload} (")), "{page}");
    }
}

#[test]
fn status_shows_what_was_read_where_the_route_publishes_something_else() {
    let scaled = "use = \"bme280\"\nto.temperature = { field = \"house.field1\", scale = 1.8, offset = 32, round = 0 }";
    let Shown { payload, status, .. } = shown(scaled, 0, &[21.517_382_1]);
    assert_eq!((payload.as_str(), status.as_str()), ("71", "21.517"));
}
