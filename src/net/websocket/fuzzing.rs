//! How a WebSocket begins, and its frames.

use std::sync::atomic::Ordering;

use bytes::BytesMut;
use tokio::io::AsyncReadExt as _;
use tungstenite::handshake::derive_accept_key;

use super::frames::{Frames, Part};
use super::{Closed, WebSocket, handshake};
use crate::fuzzing::line::{Line, done};
use crate::fuzzing::{assert_line, same_in_pieces};
use crate::net::{Broker, MQTT_PATH, Transport};

/// RFC 6455, section 1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// A WebSocket is one only where the answer says so with the key, and nothing behind it is taken; anything else is told in words.
pub(crate) fn answer(bytes: &[u8]) {
    let road = Broker::at("broker.example", 80, Transport::Ws).road("broker.example");
    let (answered, left) = same_in_pieces(bytes, |piece| {
        let mut line = Line::new(bytes, piece);
        let answered = done(handshake::ask(&mut line, &road, MQTT_PATH, KEY));
        (answered, line.left.len())
    });
    let head = String::from_utf8_lossy(&bytes[..bytes.len() - left]);
    match answered {
        Ok(()) => {
            assert!(head.starts_with("HTTP/1.") && head.contains(" 101"), "{head}");
            assert!(head.contains(&derive_accept_key(KEY.as_bytes())), "{head}");
        }
        Err(failure) => assert_line(&failure.words),
    }
}

/// What comes out of frames is what was in them, however they come, and as the stream of bytes that a WebSocket is.
pub(crate) fn frames(bytes: &[u8]) {
    let (payload, pings, end) = same_in_pieces(bytes, |piece| read(bytes, piece));
    assert!(payload.len() + pings.iter().map(Vec::len).sum::<usize>() <= bytes.len());
    let (streamed, told) = same_in_pieces(bytes, |piece| {
        let line = Line::new(bytes, piece);
        let written = line.written();
        let mut streamed = Vec::new();
        let mut socket = WebSocket::new(line);
        let told = done(socket.read_to_end(&mut streamed)).err().map(|error| error.to_string());
        // Each ping has its answer at most, with a mask of four bytes, and each WebSocket one close.
        assert!(written.load(Ordering::Relaxed) <= 3 * bytes.len() + 8);
        (streamed, told)
    });
    assert_eq!(streamed, payload);
    assert_eq!(told, end);
    told.inspect(|told| assert_line(told));
}

/// Payload, pings, and what is told of the end, where that is more than that it is over.
type Read = (Vec<u8>, Vec<Vec<u8>>, Option<String>);

fn read(bytes: &[u8], piece: usize) -> Read {
    let (mut frames, mut raw, mut room) = (Frames::new(), BytesMut::new(), [0; 5]);
    let (mut payload, mut pings) = (Vec::new(), Vec::new());
    for piece in bytes.chunks(piece) {
        raw.extend_from_slice(piece);
        loop {
            match frames.next(&mut raw, &mut room) {
                Ok(Part::Payload(count)) => payload.extend_from_slice(&room[..count]),
                Ok(Part::Ping(ping)) => pings.push(ping.to_vec()),
                Ok(Part::Close(close)) => {
                    return (payload, pings, Closed::read(&close).map(|closed| closed.to_string()));
                }
                Ok(Part::Nothing) => break,
                Err(violation) => return (payload, pings, Some(violation.to_string())),
            }
        }
    }
    (payload, pings, None)
}
