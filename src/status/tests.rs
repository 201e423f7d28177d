//! Reports that the tests of its forms share, and what holds of all.

use super::*;

/// A daemon of a map with nothing in it.
pub(super) fn empty() -> Report {
    Report {
        version: "0.1.0".to_owned(),
        pid: 42,
        asked_at: "2026-11-22T08:00:00Z".to_owned(),
        uptime_s: 3.0,
        summary: "running".to_owned(),
        ..Report::default()
    }
}

/// A channel with some of everything.
fn house() -> Channel {
    let entry = |second: u8, stage| Entry {
        created_at: format!("2026-11-22T07:59:{second}Z"),
        stage,
        age_s: 60.0 - f64::from(second),
        ..Entry::default()
    };
    Channel {
        name: "green\"house".to_owned(),
        id: 1_234_567,
        confirm: Receipt::Auto,
        confirmed_by: Receipt::Stored,
        newest: Some(entry(40, Stage::Sent)),
        ack: Some(Entry { entry_id: Some(4711), took_s: Some(0.32), ..entry(20, Stage::Stored) }),
        backlog: Backlog {
            entries: 3,
            on_disk: 1,
            bytes: 450,
            oldest: Some("2026-11-22T07:50:00Z".to_owned()),
            drain: Drain::Planned,
            drains_in_s: Some(193.0),
        },
        quota: Quota {
            sent: 415,
            planned_a_year: 1_576_800,
            projected_a_year: Some(1_578_000),
            license_a_year: 3_000_000,
        },
        counts: Counts {
            made: 414,
            sent: 415,
            resent: 4,
            received: 412,
            stored: 410,
            dropped_for_size: 3,
            ..Counts::default()
        },
    }
}

/// A daemon with some of everything.
pub(super) fn busy() -> Report {
    let trouble = |words: &str, since_s| Some(Trouble { words: words.to_owned(), since_s });
    let quantity = |name: &str, unit: &str, value: Option<f64>| Quantity {
        name: name.to_owned(),
        unit: unit.to_owned(),
        value,
        text: value.map(|value| value.to_string()),
        age_s: value.map(|_| 4.0),
        values: 800,
        faults: 0,
    };
    let sensor = |name: &str, kind: &str, quantities| Sensor {
        name: name.to_owned(),
        kind: kind.to_owned(),
        fault: None,
        slow_read_s: None,
        quantities,
    };
    let mut rain = sensor("rain", "file", vec![quantity("value", "", Some(7.0))]);
    rain.slow_read_s = Some(6.17);
    let mut tank = sensor("tank", "ds18b20", vec![quantity("temperature", "°C", None)]);
    tank.fault = trouble("no answer: /sys/bus/w1/devices/28-0417b1fb82ff/w1_slave is not there", 310.0);
    tank.quantities[0].faults = 31;
    Report {
        uptime_s: 8290.0,
        summary: "running; pi: link up".to_owned(),
        down: vec![
            "sensor tank: no reading: no answer: /sys/bus/w1/devices/28-0417b1fb82ff/w1_slave is not there".to_owned(),
            "the state directory cannot be written: Read-only file system (os error 30)".to_owned(),
        ],
        remarks: vec!["channel green\"house: others write to it as fast as the license allows".to_owned()],
        clock: Clock { synchronised: true, steps: 1, last_step_s: Some(-7200.0), last_step_age_s: Some(600.0) },
        devices: vec![Device {
            name: "pi".to_owned(),
            link: Link::Up,
            since_s: 8280.0,
            session_age_s: Some(2400.0),
            renews_in_s: Some(600.0),
            reconnects: 1,
            renewals: 2,
            last_gap_s: Some(0.31),
            ..Device::default()
        }],
        channels: vec![house()],
        sensors: vec![
            sensor(
                "air",
                "bme280",
                vec![
                    quantity("temperature", "°C", Some(21.5)),
                    quantity("humidity", "%", Some(48.25)),
                    quantity("pressure", "hPa", Some(1013.254)),
                ],
            ),
            rain,
            tank,
        ],
        outputs: vec![Output {
            name: "pump".to_owned(),
            level: Some("on".to_owned()),
            fraction: Some(1.0),
            since_s: Some(65.0),
            reason: Some("commanded".to_owned()),
            limit: Some(Limit::MaxOn),
            limit_s: Some(1735.0),
            next: None,
            next_s: None,
            fault: None,
            refused: trouble("heater is on, and the two are interlocked", 900.0),
            driven: 7,
            refusals: 2,
        }],
        spool: Spool {
            on_disk: true,
            state_fault: trouble("Read-only file system (os error 30)", 40.0),
            waiting: 3,
            bytes: 450,
            groups: 2,
            written: 40,
            taken: 414,
            acknowledged: 408,
            ..Spool::default()
        },
        ..empty()
    }
}

#[test]
fn report_comes_back_from_json_as_it_was() {
    for report in [empty(), busy()] {
        let json = serde_json::to_string(&report).expect("JSON");
        assert_eq!(serde_json::from_str::<Report>(&json).expect("the same"), report);
    }
}

#[test]
fn report_of_another_version_is_read_as_far_as_it_goes() {
    let json = r#"{"version":"9.0.0","devices":[{"name":"pi","link":"up","new":[1]}],"novel":{}}"#;
    let report: Report = serde_json::from_str(json).expect("what is known of it");
    assert_eq!((report.version.as_str(), report.devices[0].link), ("9.0.0", Link::Up));
}
