use std::sync::{Arc, Mutex};

use serde_json::json;

use super::*;
use crate::time::{Mono, Now, Utc};

type Puts = Arc<Mutex<Vec<(usize, Result<f64, Fault>)>>>;

fn settings(keys: serde_json::Value) -> Settings {
    serde_json::from_value(keys).unwrap()
}

struct Stage {
    listener: Listener,
    puts: Puts,
}

/// A listener with a connection, at second 0.
fn stage(keys: serde_json::Value) -> Stage {
    let settings = settings(keys);
    assert_eq!(settings.faults(), []);
    let puts = Puts::default();
    let told = Arc::clone(&puts);
    let sender = ReadingSender::new(move |quantity, _, value| told.lock().unwrap().push((quantity, value)));
    let mut listener = Listener::new(settings, sender, mono(0));
    listener.connected();
    Stage { listener, puts }
}

fn mono(second: u64) -> Mono {
    Mono::new(Duration::from_secs(second))
}

fn utc(second: u64) -> Utc {
    Utc::RELEASED + Duration::from_secs(second)
}

impl Stage {
    fn hears(
        &mut self,
        second: u64,
        topic: &str,
        payload: &[u8],
        is_retained: bool,
    ) -> Vec<(usize, Result<f64, Fault>)> {
        self.listener.message(Now { mono: mono(second), utc: utc(second) }, topic, payload, is_retained);
        std::mem::take(&mut self.puts.lock().unwrap())
    }

    fn at(&mut self, second: u64) -> Vec<(usize, Result<f64, Fault>)> {
        self.listener.time(mono(second));
        std::mem::take(&mut self.puts.lock().unwrap())
    }
}

/// The words of the only fault.
fn fault(puts: &[(usize, Result<f64, Fault>)]) -> String {
    match puts {
        [(_, Err(fault)), ..] => fault.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn messages_are_readings_and_others_are_passed_over() {
    let mut plain = stage(json!({ "topic": "shelly/+/power" }));
    assert_eq!(plain.hears(1, "shelly/x/power", b"12.5", false), [(0, Ok(12.5))]);
    assert_eq!(plain.hears(1, "shelly/x/energy", b"3", false), []);
    assert!(fault(&plain.hears(2, "shelly/x/power", b"on", false)).contains("shelly/x/power: \"on\" is not a number"));
    let keys =
        json!({ "topic": "zigbee2mqtt/kitchen", "json": { "humidity": "/humidity", "temperature": "/temperature" } });
    let mut json = stage(keys);
    let both = json.hears(1, "zigbee2mqtt/kitchen", br#"{"temperature":21.5,"humidity":41}"#, false);
    assert_eq!(both, [(0, Ok(41.0)), (1, Ok(21.5))]);
    assert_eq!(json.hears(2, "zigbee2mqtt/kitchen", br#"{"temperature":22}"#, false), [(1, Ok(22.0))]);
    assert_eq!(json.hears(3, "zigbee2mqtt/kitchen", br#"{"linkquality":80}"#, false), []);
}

#[test]
fn names_are_what_stands_in_place_of_the_wildcards() {
    let keys = json!({ "topic": "z/+", "names": ["kitchen", "hall"], "json": { "h": "/h", "t": "/t" } });
    let names: Vec<_> = settings(keys.clone()).quantities().iter().map(|it| it.name.to_string()).collect();
    assert_eq!(names, ["kitchen_h", "kitchen_t", "hall_h", "hall_t"]);
    let mut stage_of_two = stage(keys);
    assert_eq!(stage_of_two.hears(1, "z/hall", br#"{"t":1}"#, false), [(3, Ok(1.0))]);
    assert_eq!(stage_of_two.hears(1, "z/garden", br#"{"t":1}"#, false), []);
    assert!(stage_of_two.hears(1, "z/kitchen", b"\xff", false).iter().map(|put| put.0).eq([0, 1]));
    let plain = settings(json!({ "topic": "a/+/b/#", "names": ["x/y/z"] }));
    assert_eq!(plain.quantities()[0].name, "x/y/z");
}

#[test]
fn a_value_that_does_not_come_is_a_fault_and_not_its_last_value() {
    let mut stage = stage(json!({ "topic": "t", "max_age": "1m", "json": { "a": "/a", "b": "/b" } }));
    assert_eq!(stage.hears(30, "t", br#"{"a":1}"#, false), [(0, Ok(1.0))]);
    assert_eq!(stage.at(59), []);
    assert_eq!(stage.at(60), [(1, Err(Fault::Silent(Duration::from_secs(60))))]);
    assert_eq!(stage.listener.next_call(), Some(mono(90)));
    assert_eq!(stage.at(90), [(0, Err(Fault::Silent(Duration::from_secs(60))))]);
    stage.hears(100, "t", b"no json", false);
    assert!(fault(&stage.at(120)).contains("no JSON with these values"), "the reason is told");
}

#[test]
fn a_kept_message_needs_its_own_time_or_the_word_of_the_map() {
    let mut none = stage(json!({ "topic": "t", "max_age": "1m" }));
    assert_eq!(none.hears(1, "t", b"5", true), []);
    assert!(fault(&none.at(60)).contains("add `time`, or `retained = true`"));
    let mut told = stage(json!({ "topic": "t", "retained": true }));
    assert_eq!(told.hears(1, "t", b"5", true), [(0, Ok(5.0))]);
    let mut timed = stage(json!({ "topic": "t", "max_age": "1m", "json": { "v": "/v" }, "time": "/at" }));
    let at = |second, value: u8| format!(r#"{{"v":{value},"at":"{}"}}"#, utc(second)).into_bytes();
    assert_eq!(timed.hears(100, "t", &at(50, 1), true), [(0, Ok(1.0))]);
    assert_eq!(timed.hears(101, "t", &at(50, 1), true), [], "it comes with each connection");
    let old = fault(&timed.hears(200, "t", &at(100, 2), false));
    assert!(old.starts_with("too old: ") && old.contains("100 s old"), "{old}");
    assert!(fault(&timed.hears(201, "t", br#"{"v":1}"#, false)).contains("no time at /at"));
    assert!(fault(&timed.hears(201, "t", b"5", true)).contains("no time at /at"));
    for written in
        [utc(300).seconds().to_string(), (utc(301).millis()).to_string(), format!("\"{}\"", utc(302).seconds())]
    {
        let message = format!(r#"{{"v":1,"at":{written}}}"#);
        assert_eq!(timed.hears(310, "t", message.as_bytes(), true), [(0, Ok(1.0))], "{message}");
    }
}

#[test]
fn a_device_that_is_offline_is_a_fault_at_once() {
    let mut stage = stage(json!({ "topic": "t", "availability": "t/state" }));
    for offline in ["offline", "Offline", "false", r#"{"state":"offline"}"#] {
        assert!(
            fault(&stage.hears(1, "t/state", offline.as_bytes(), true)).contains("offline, says t/state"),
            "{offline}"
        );
    }
    for online in ["online", "Online", "true", r#"{"state":"online"}"#, "\u{fffd}"] {
        assert_eq!(stage.hears(1, "t/state", online.as_bytes(), true), [], "{online}");
    }
    assert_eq!(stage.hears(2, "t", b"5", false), [(0, Ok(5.0))]);
}

#[test]
fn a_broker_that_is_away_is_a_fault_after_the_time_out() {
    let mut stage = stage(json!({ "topic": "t" }));
    let away = Fault::Absent("broker x: closed".to_owned());
    stage.listener.failed(mono(5), &away);
    assert_eq!(stage.at(14), []);
    assert_eq!(stage.listener.next_call(), Some(mono(15)));
    assert_eq!(stage.at(15), [(0, Err(away.clone()))]);
    assert_eq!((stage.at(30), stage.listener.next_call()), (vec![], None));
    stage.listener.failed(mono(40), &away);
    assert_eq!(stage.at(40), [(0, Err(away.clone()))], "each failed try");
    stage.listener.connected();
    stage.listener.failed(mono(50), &away);
    stage.listener.connected();
    assert_eq!(stage.at(100), [], "a restart of the broker is none");
}

#[test]
fn what_is_no_text_or_too_long_is_a_fault() {
    let mut stage = stage(json!({ "topic": "t" }));
    assert!(fault(&stage.hears(1, "t", b"\xff\x00\x01", false)).contains("is not a text"));
    assert!(fault(&stage.hears(1, "t", &vec![b'1'; 70_000], false)).contains("70000 bytes"));
    stage.listener.too_long(mono(2), "t", 1_000_000);
    stage.listener.too_long(mono(2), "other", 1_000_000);
    assert_eq!(stage.puts.lock().unwrap().len(), 1);
}

#[test]
fn a_simulated_device_gives_every_quantity() {
    let mut stage = stage(json!({ "topic": "z/+", "names": ["a", "b"], "json": { "t": "/t" } }));
    stage.listener.simulate(mono(1));
    assert!(stage.puts.lock().unwrap().iter().map(|put| put.0).eq([0, 1]));
}

#[test]
fn keys_that_cannot_work_are_faults_and_equal_brokers_are_one_connection() {
    let faults = |keys| settings(keys).faults().into_iter().map(|fault| fault.0).collect::<Vec<_>>();
    let wrong = json!({ "topic": "a+", "host": "tcp://x", "port": 0, "qos": 2, "time": "x", "max_age": "0s",
        "availability": "a/+", "names": ["", ""], "base": 8 });
    assert_eq!(faults(wrong), ["host", "port", "topic", "names", "qos", "time", "max_age", "availability", "base"]);
    assert_eq!(faults(json!({ "topic": "a", "names": ["b"] })), ["names"]);
    for wrong in [json!({ "topic": "a", "path": "/x" }), json!({ "topic": "a", "ca_file": "x", "transport": "ws" })] {
        assert!(serde_json::from_value::<Settings>(wrong).is_err());
    }
    let one = settings(json!({ "topic": "a", "port": 1883 }));
    assert_eq!(one.connection(), settings(json!({ "topic": "b", "qos": 1 })).connection());
    assert_ne!(one.connection(), settings(json!({ "topic": "a", "transport": "tls" })).connection());
    let warned = settings(json!({ "topic": "a", "host": "house.lan", "credentials": "x" })).warnings();
    assert_eq!(warned[0].0, "credentials");
    assert!(settings(json!({ "topic": "a", "credentials": "x" })).warnings().is_empty());
}
