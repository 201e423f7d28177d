//! What the daemon sent, held against the documented forms. The forms are written out here once more, from ThingSpeak's
//! MQTT pages ("Publish to a Channel Feed", "Publish to a Channel Field Feed", MQTT basics), so that neither the daemon nor
//! the sandbox can drift from them unseen.

use std::collections::BTreeSet;

use thingspeak_sandbox::{Closing, ConnectSeen, Device, DropReason, PublishRefusal, PublishSeen, Sandbox, What};

/// The names an update may have.
const NAMES: [&str; 13] = [
    "field1",
    "field2",
    "field3",
    "field4",
    "field5",
    "field6",
    "field7",
    "field8",
    "lat",
    "long",
    "elevation",
    "status",
    "created_at",
];

/// Holds every packet of the device against the forms, and the sandbox's judgement of it: nothing is sent in vain but copies
/// of what is stored, what the sandbox was told to lose, and tries of a right that it was told to end connections for; where
/// `early` holds, also what comes too early.
pub(crate) fn assert_documented(sandbox: &Sandbox, device: &Device, early: bool) {
    let tries_rights = sandbox.switches().publish_refusal == PublishRefusal::Close;
    let client = &device.credentials.client_id;
    for connect in sandbox.connects().iter().filter(|connect| connect.client == *client) {
        assert_connect(connect, device);
    }
    for publish in sandbox.publishes().iter().filter(|publish| publish.client == *client) {
        assert_publish(publish);
    }
    for record in sandbox.records() {
        match &record.what {
            What::Dropped { client: by, why, .. } if by == client => {
                let excused = match why {
                    DropReason::Duplicate | DropReason::Lost => true,
                    DropReason::RateLimited { .. } => early,
                    DropReason::NoRight => tries_rights,
                    _ => false,
                };
                assert!(excused, "{record}");
            }
            What::Closed { client: by, why } if by == client => {
                let ours = matches!(why, Closing::Violation(_) | Closing::KeepAlive | Closing::SlowReader);
                assert!(!ours, "{record}");
            }
            _ => {}
        }
    }
}

fn assert_connect(connect: &ConnectSeen, device: &Device) {
    assert_eq!(connect.client, device.credentials.client_id);
    assert_eq!(connect.username, device.credentials.username);
    assert!(connect.has_password && connect.clean_session && !connect.will, "{connect:?}");
    assert!(connect.keep_alive > 0, "{connect:?}");
}

fn assert_publish(publish: &PublishSeen) {
    assert_eq!((publish.qos, publish.retain, publish.dup), (0, false, false), "{publish:?}");
    assert!(publish.payload.len() <= 3000, "{publish:?}");
    let payload = std::str::from_utf8(&publish.payload).expect("text");
    assert!(payload.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{payload}");
    match publish.topic.split('/').collect::<Vec<_>>()[..] {
        ["channels", id, "publish"] => {
            assert_plain_number(id);
            assert_pairs(payload);
        }
        ["channels", id, "publish", "fields", field] => {
            assert_plain_number(id);
            assert!(NAMES[..8].contains(&field), "{}", publish.topic);
            assert_value(payload);
        }
        _ => panic!("no topic of ThingSpeak's: {}", publish.topic),
    }
}

fn assert_plain_number(id: &str) {
    assert!(id.bytes().all(|byte| byte.is_ascii_digit()) && !id.starts_with('0'), "{id}");
}

fn assert_pairs(payload: &str) {
    let mut seen = BTreeSet::new();
    for pair in payload.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or_else(|| panic!("no pair: {payload}"));
        assert!(NAMES.contains(&name), "{name} is no name of an update: {payload}");
        assert!(seen.insert(name), "{name} is there twice: {payload}");
        match name {
            "status" => {
                let text = decoded(value);
                assert!(!text.is_empty() && text.len() <= 255, "{payload}");
            }
            "created_at" => assert_iso_8601(value),
            _ => assert_value(value),
        }
    }
    // Without its own time an entry that is sent again would become a second row.
    assert!(seen.contains("created_at") && seen.len() > 1, "{payload}");
}

/// A number in plain decimals: no exponent, no NaN, nothing that the form encoding would change.
fn assert_value(value: &str) {
    assert!(value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b'-'), "{value}");
    assert!(value.len() <= 255 && value.parse::<f64>().is_ok_and(f64::is_finite), "{value}");
}

/// `2026-11-22T08:00:00Z`
fn assert_iso_8601(value: &str) {
    let form: String = value.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect();
    assert_eq!(form, "0000-00-00T00:00:00Z", "{value}");
}

/// Undoes the percent-encoding.
fn decoded(value: &str) -> String {
    let mut pieces = value.split('%');
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let byte = u8::from_str_radix(&piece[..2], 16).expect("two hexadecimal digits");
        text.push(char::from(byte));
        text.push_str(&piece[2..]);
    }
    assert!(text.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{text}");
    text
}
