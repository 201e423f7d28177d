//! What clients send: the targets of `fuzz/fuzz_targets` whose names begin with `sandbox_`.
//!
//! They are built by `cargo fuzz`, which sets `cfg(fuzzing)`, and for the tests, which feed every seed in `fuzz/seeds` to its target.

use std::time::Duration;

use bytes::BytesMut;
use futures_util::FutureExt as _;
use rumqttc::mqttbytes::v4::{Connect, Packet};

use super::device::{Channel, Device, Rights};
use super::journal::Mark;
use super::service::{Action, ConnectionId, Event, Service};
use super::session::packet;
use super::switches::{Switches, TooLong};
use super::topic::{Filter, Target};
use super::update::{Update, VALUE_LIMIT};
use super::websocket::accept;
use crate::time::{Now, Utc};
use crate::{PACKET_LIMIT, Transport};

const FREE: u64 = 1;
const PAID: u64 = 2;
const PASSWORD: &str = "abcdefghijklmnopqrstuv+/";

fn at(second: u64) -> Now {
    Now { mono: Duration::from_secs(second), utc: Utc::from_seconds(1_795_334_400 + second.cast_signed()) }
}

/// A line that goes to a log or a terminal: it says something, has an end, and disturbs neither.
fn assert_line(words: &str) {
    assert!(!words.is_empty() && words.len() <= 2000, "{} bytes: {words:?}", words.len());
    assert!(!words.chars().any(char::is_control), "{words:?}");
}

/// Whatever one client sends, on a new connection or behind a login, what the service answers can be sent, a connection that is
/// closed stays silent, each record stays on its line, and the feed tells of
/// rows as they are.
///
/// # Panics
/// Where that does not hold.
pub fn packets(bytes: &[u8]) {
    for logged_in in [false, true] {
        let channels = vec![Channel::new(FREE), Channel::new(PAID).paid().with_fields(&[1, 2])];
        let writer = Device::new("writer", PASSWORD).with(FREE, Rights::ALL).with(PAID, Rights::ALL);
        let reader = Device::new("reader", PASSWORD).with(FREE, Rights::SUBSCRIBE);
        let switches = Switches { push_last_on_subscribe: true, ..Switches::default() };
        let mut service = Service::new(channels, vec![writer, reader], switches).expect("they fit together");
        let (id, peer) = (ConnectionId(1), ([127, 0, 0, 1], 40_000).into());
        service.event(at(0), id, Event::Opened { transport: Transport::Tcp, peer });
        if logged_in {
            let mut connect = Connect { keep_alive: 60, ..Connect::new("writer") };
            connect.set_login("writer", PASSWORD);
            assert_eq!(service.event(at(0), id, Event::Packet(Packet::Connect(connect))).len(), 1);
        }
        converse(&mut service, id, bytes, !logged_in);
        for record in service.journal().since(Mark::default()) {
            assert_line(&record.to_string());
        }
        let rows = [FREE, PAID].map(|channel| service.rows(channel).len());
        assert!(rows.iter().sum::<usize>() <= bytes.len(), "{rows:?}");
    }
}

/// As the session does it.
fn converse(service: &mut Service, id: ConnectionId, bytes: &[u8], mut first: bool) {
    let (mut stream, mut second, mut closed) = (BytesMut::from(bytes), 1, false);
    while !closed {
        let event = match packet(&mut stream, first) {
            Ok(packet) => Event::Packet(packet),
            Err(error) => {
                assert_line(&error.to_string());
                Event::Broken(error.to_string())
            }
        };
        closed = matches!(event, Event::Broken(_));
        first = false;
        let mut actions = service.event(at(second), id, event);
        second += 16;
        actions.extend(service.tick(at(second)));
        for action in actions {
            match action {
                Action::Send(_, packet) => {
                    assert!(!closed, "{packet:?}");
                    packet.write(&mut BytesMut::new(), PACKET_LIMIT).expect("what the service says can be written");
                    if let Packet::Publish(publish) = packet
                        && let Some(Filter::Feed(channel)) = Filter::parse(&publish.topic)
                    {
                        let message: serde_json::Value = serde_json::from_slice(&publish.payload).expect("JSON");
                        let id = message["entry_id"].as_u64();
                        let row = service.rows(channel).into_iter().find(|row| Some(row.entry_id) == id);
                        let row = row.expect("a row of this number");
                        assert_eq!(message["channel_id"], channel);
                        assert_eq!(message["created_at"], row.created_at.to_string());
                        assert_eq!(message["status"], serde_json::json!(row.status));
                        for number in 1..=if channel == FREE { 8 } else { 2 } {
                            assert_eq!(message[format!("field{number}")], serde_json::json!(row.field(number)));
                        }
                    }
                }
                Action::Close(_) => closed = true,
            }
        }
    }
    assert!(service.event(at(second), id, Event::Packet(Packet::PingReq)).is_empty(), "it is closed");
}

/// An update is refused in a line, or holds values that are short and printable; what is not too long is read the same by every
/// rule.
///
/// # Panics
/// Where that does not hold.
pub fn update(bytes: &[u8]) {
    let forms = [TooLong::Drop, TooLong::Truncate].map(|rule| Update::from_form(bytes, rule));
    let fields = [TooLong::Drop, TooLong::Truncate].map(|rule| Update::from_field(3, bytes, rule));
    for [strict, lenient] in [forms, fields] {
        for update in [&strict, &lenient] {
            match update {
                Ok(update) => {
                    let others = [&update.latitude, &update.longitude, &update.elevation, &update.status];
                    for value in update.fields.iter().chain(others).flatten() {
                        assert!((1..=VALUE_LIMIT).contains(&value.len()), "{value:?}");
                        assert!(value.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{value:?}");
                    }
                }
                Err(why) => assert_line(&why.to_string()),
            }
        }
        assert!(strict.is_err() || strict == lenient);
    }
    if let Ok(topic) = std::str::from_utf8(bytes) {
        let _ = Target::parse(topic);
        if let Some(filter) = Filter::parse(topic) {
            assert_eq!(Filter::parse(&filter.to_string()), Some(filter));
        }
    }
}

/// A request for a WebSocket is agreed to or refused; either is answered, where it is HTTP.
///
/// # Panics
/// Where that does not hold.
pub fn request(bytes: &[u8]) {
    let mut answer = Vec::new();
    let asked = accept(tokio::io::join(bytes, &mut answer)).now_or_never().expect("all of it is there");
    match asked.map(drop) {
        Ok(()) => assert!(answer.starts_with(b"HTTP/1.1 101 ")),
        Err(refusal) => {
            assert_line(&refusal);
            assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"));
        }
    }
}

/// What reads bytes, and panics where what must hold of them does not.
pub type Parser = fn(&[u8]);

/// Every target by its name.
pub const TARGETS: &[(&str, Parser)] =
    &[("sandbox_packets", packets), ("sandbox_request", request), ("sandbox_update", update)];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::TARGETS;

    fn fuzz() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
    }

    #[test]
    fn every_seed_does_no_harm() {
        for (target, read) in TARGETS {
            let seeds: Vec<_> = fs::read_dir(fuzz().join("seeds").join(target)).expect("seeds").collect();
            assert!(!seeds.is_empty(), "{target} has no seed");
            for seed in seeds {
                let path = seed.expect("listed").path();
                eprintln!("{}", path.display());
                read(&fs::read(&path).expect("a file"));
            }
        }
    }

    #[test]
    fn every_target_has_its_program_and_there_are_no_others() {
        let programs = fs::read_dir(fuzz().join("fuzz_targets")).expect("programs");
        let names = programs.map(|entry| entry.expect("listed").file_name().into_string().expect("UTF-8"));
        let names: BTreeSet<String> = names.filter(|name| name.starts_with("sandbox_")).collect();
        assert_eq!(names, TARGETS.iter().map(|(name, _)| format!("{name}.rs")).collect());
        for (target, _) in TARGETS {
            let program = fs::read_to_string(fuzz().join(format!("fuzz_targets/{target}.rs"))).expect("there");
            let function = target.trim_start_matches("sandbox_");
            let call =
                format!("libfuzzer_sys::fuzz_target!(|bytes: &[u8]| thingspeak_sandbox::fuzzing::{function}(bytes));");
            assert_eq!(program, format!("#![no_main]\n\n{call}\n"));
        }
    }
}
