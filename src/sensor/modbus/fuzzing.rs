//! What a Modbus unit answers.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;

use super::{Device as _, Settings};
use crate::fuzzing::assert_line;
use crate::hal::sim::Sim;
use crate::sensor::port::{Input, Step};
use crate::sensor::{ReadingSender, SerialDriver, Source};
use crate::time::Mono;

/// Whatever is answered, a turn gives each quantity once at most, as a number or a fault in a line, and asks a bounded number of times.
/// The first byte says how the bytes come in pieces.
pub(crate) fn answers(bytes: &[u8]) {
    let Some((piece, bytes)) = bytes.split_first() else { return };
    for place in [json!({ "port": "/dev/ttyUSB0" }), json!({ "host": "meter" })] {
        let mut keys = place;
        keys["registers"] = json!({
            "one": { "at": 0, "type": "f32", "order": "word-swapped" },
            "two": { "at": 4, "type": "i64", "none": [-1], "scale": 0.1 },
            "three": { "at": 40, "bit": 3 },
            "four": { "at": 9, "function": 2 },
        });
        let settings: Settings = serde_json::from_value(keys).expect("good keys");
        let puts = Arc::new(Mutex::new([0; 4]));
        let sink = Arc::clone(&puts);
        let sender = ReadingSender::new(move |quantity, _, value| {
            sink.lock().expect("no panic")[quantity] += 1;
            match value {
                Ok(value) => assert!(value.is_finite()),
                Err(fault) => assert_line(&fault.to_string()),
            }
        });
        let Ok(Source::Stream(SerialDriver::Dialogue(mut talk))) = settings.open(&Sim::default().hal(), sender.clone())
        else {
            unreachable!("it is asked")
        };
        let mut now = Mono::default();
        let (mut step, mut sent) = (talk.step(now, Input::Turn, &sender), 0);
        let mut pieces = bytes.chunks(usize::from(*piece).max(1));
        for _ in 0..2 * bytes.len() + 40 {
            step = match step {
                Step::Done => break,
                Step::Send(..) => {
                    sent += 1;
                    match pieces.next() {
                        Some(piece) => talk.step(now, Input::Bytes(piece), &sender),
                        None => break,
                    }
                }
                Step::Wait(at) => {
                    // What comes soon comes in a piece; a long wait is one for the next one.
                    let is_pause = at.since(now) < Duration::from_millis(100);
                    match if is_pause { None } else { pieces.next() } {
                        Some(piece) => talk.step(now, Input::Bytes(piece), &sender),
                        None if at.since(now) > Duration::from_secs(3600) => break,
                        None => {
                            now = at;
                            talk.step(now, Input::Time, &sender)
                        }
                    }
                }
            };
        }
        if let Some(complaint) = talk.complaint() {
            assert_line(&complaint.to_string());
        }
        assert!(sent <= 8, "{sent}");
        assert!(puts.lock().expect("no panic").iter().all(|count| *count <= 1));
    }
}
