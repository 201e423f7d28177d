//! An entry out and a command in, over each of the four ways; the encrypted ones with host name and authority verified.

use std::time::SystemTime;

use gatepost::net::Transport;
use gatepost::time::Utc;
use nix::sys::signal::Signal;

use crate::broker::{Broker, GATEWAY, PASSWORD};
use crate::gateway::Gateway;

#[test]
fn tcp_carries_entries_out_and_commands_in() {
    carries_entries_out_and_commands_in(Transport::Tcp);
}

#[test]
fn tls_carries_entries_out_and_commands_in() {
    carries_entries_out_and_commands_in(Transport::Tls);
}

#[test]
fn ws_carries_entries_out_and_commands_in() {
    carries_entries_out_and_commands_in(Transport::Ws);
}

#[test]
fn wss_carries_entries_out_and_commands_in() {
    carries_entries_out_and_commands_in(Transport::Wss);
}

fn carries_entries_out_and_commands_in(transport: Transport) {
    let mut broker = Broker::start();
    let mut watcher = broker.watch();
    let gateway = Gateway::of(&broker, transport);
    let mut program = gateway.run();
    program.wait_for("link up");
    broker.log().wait_for(&format!("as {GATEWAY} (p2, c1, k60, u'{GATEWAY}')"));

    // Whichever comes first: each channel has its own pace.
    let mut seen = [watcher.wait_for("channels/"), String::new()];
    let other = if seen[0].starts_with("channels/1/") { "channels/2/" } else { "channels/1/" };
    seen[1] = watcher.wait_for(other);
    seen.sort();
    println!("{transport}: mosquitto_sub says\n  {}\n  {}", seen[0], seen[1]);
    is_entry(seen[0].strip_prefix("channels/1/publish ").expect("the channel's own topic"));
    let value = seen[1].strip_prefix("channels/2/publish/fields/field3 ").expect("the field's own topic");
    assert!((0.0..=100.0).contains(&value.parse::<f64>().expect("a bare number")), "{value}");
    // A channel that never echoes has its entries freed by the answer to a ping.
    program.wait_for("acknowledged by ping");

    assert_eq!((gateway.pin("GPIO17"), gateway.pin("GPIO23")), ("0".to_owned(), "1".to_owned()), "both are off");
    broker.tell("channels/3/subscribe", &feed_message(r#""field1":"1","field2":null"#));
    gateway.wait_for_pin("GPIO17", "1");
    assert_eq!(gateway.pin("GPIO23"), "1", "it listens to the field's own feed");
    broker.tell("channels/3/subscribe/fields/field1", "1");
    gateway.wait_for_pin("GPIO23", "0");
    broker.tell("channels/3/subscribe", &feed_message(r#""field1":0"#));
    gateway.wait_for_pin("GPIO17", "0");

    assert!(!program.command_line().contains(PASSWORD), "the process list is for everybody");
    let (status, _) = program.end_by(Signal::SIGTERM);
    assert!(status.success(), "{status}");
    assert!(!program.said().contains(PASSWORD), "no secret in the log");
}

/// Holds a payload against the form that ThingSpeak documents for the channel feed: pairs of known names, printable, the
/// time in ISO 8601.
fn is_entry(payload: &str) {
    assert!(payload.len() <= 3000 && payload.bytes().all(|byte| byte.is_ascii_graphic()), "{payload}");
    let pairs: Vec<(&str, &str)> =
        payload.split('&').map(|pair| pair.split_once('=').expect("name and value")).collect();
    let names: Vec<&str> = pairs.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["field1", "field2", "created_at"], "{payload}");
    assert_eq!(pairs[0].1, "21.5");
    assert!(pairs[1].1.parse::<f64>().is_ok_and(|uptime| uptime > 0.0), "{payload}");
    let at = pairs[2].1.replace("%3A", ":").replace("%20", " ");
    let at = Utc::parse(&at).unwrap_or_else(|| panic!("no time: {payload}"));
    assert!(at.since(now()).max(now().since(at)).as_secs() < 60, "of about now: {payload}");
}

/// What a subscriber of the channel feed receives from ThingSpeak, with these fields.
fn feed_message(fields: &str) -> String {
    format!(
        r#"{{"channel_id":3,"created_at":"{}","entry_id":{},{fields},"latitude":null,"longitude":null,"elevation":null,"status":null}}"#,
        now(),
        now().millis()
    )
}

fn now() -> Utc {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    Utc::from_millis(i64::try_from(since_1970.as_millis()).expect("before the year 292 million"))
}
