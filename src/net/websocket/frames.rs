//! What comes out of the bytes of WebSocket frames, one part after the other (RFC 6455, section 5).
//!
//! Payload is handed on as it comes and never collected: a packet of MQTT may lie across frames and messages in any way, and
//! what a frame announces costs no memory.

use std::io::Cursor;

use bytes::{Buf as _, Bytes, BytesMut};
use tungstenite::Error;
use tungstenite::error::ProtocolError;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use crate::net::violation::Violation;

/// The longest payload of a frame, and of the frames of a message together: a whole packet with its header, and a little more.
const PAYLOAD_LIMIT: usize = crate::net::PACKET_LIMIT + 64;
/// The longest payload of a control frame (RFC 6455, section 5.5).
const CONTROL_LIMIT: u64 = 125;
/// Frames in a row without a byte of payload for MQTT. A broker that pings every second stays far below: each of our own pings
/// brings such bytes.
const IDLE_FRAMES: u32 = 100;

/// What came next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// So many bytes of payload were put where they were wanted.
    Payload(usize),
    /// A ping that wants its bytes back.
    Ping(Bytes),
    /// The other side closes the WebSocket, with this payload.
    Close(Bytes),
    /// More bytes are needed.
    Nothing,
}

/// Reads a server's frames, which have no mask.
#[derive(Debug)]
pub(super) struct Frames {
    /// The data frame that is being read.
    data: Option<Frame>,
    /// Payload of the message so far; none between messages.
    message: Option<usize>,
    /// Frames since the last byte of payload.
    idle: u32,
}

/// A data frame within its payload.
#[derive(Debug)]
struct Frame {
    left: usize,
    is_final: bool,
}

impl Frames {
    pub(super) const fn new() -> Self {
        Self { data: None, message: None, idle: 0 }
    }

    /// Takes what comes next out of `raw`. Payload goes to the beginning of `room`, which has some.
    pub(super) fn next(&mut self, raw: &mut BytesMut, room: &mut [u8]) -> Result<Part, Violation> {
        loop {
            if let Some(frame) = &mut self.data {
                let count = frame.left.min(raw.len()).min(room.len());
                if count == 0 && frame.left > 0 {
                    return Ok(Part::Nothing);
                }
                raw.copy_to_slice(&mut room[..count]);
                frame.left -= count;
                if frame.left == 0 {
                    if frame.is_final {
                        self.message = None;
                    }
                    self.data = None;
                }
                if count > 0 {
                    self.idle = 0;
                    return Ok(Part::Payload(count));
                }
            }
            let mut cursor = Cursor::new(&raw[..]);
            let Some((header, length)) = FrameHeader::parse(&mut cursor).map_err(unknown)? else {
                return Ok(Part::Nothing);
            };
            let head = usize::try_from(cursor.position()).unwrap_or(usize::MAX);
            self.check(&header, length)?;
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            match header.opcode {
                OpCode::Control(kind) => {
                    if raw.len() - head < length {
                        return Ok(Part::Nothing);
                    }
                    raw.advance(head);
                    self.count()?;
                    let payload = raw.split_to(length);
                    match kind {
                        Control::Ping => return Ok(Part::Ping(payload.freeze())),
                        Control::Close => return Ok(Part::Close(payload.freeze())),
                        // An answer to no ping of ours is allowed (section 5.5.3), and says nothing.
                        _ => {}
                    }
                }
                OpCode::Data(_) => {
                    raw.advance(head);
                    self.count()?;
                    let sum = self.message.unwrap_or(0) + length;
                    if sum > PAYLOAD_LIMIT {
                        return Err(Violation::MessageTooLong(PAYLOAD_LIMIT));
                    }
                    self.message = Some(sum);
                    let is_final = header.is_final;
                    self.data = Some(Frame { left: length, is_final });
                }
            }
        }
    }

    /// Whether the frame's header may stand where it stands.
    fn check(&self, header: &FrameHeader, length: u64) -> Result<(), Violation> {
        if header.rsv1 {
            return Err(Violation::Compressed);
        }
        if header.rsv2 || header.rsv3 {
            return Err(Violation::ReservedBit);
        }
        if header.mask.is_some() {
            return Err(Violation::Masked);
        }
        match header.opcode {
            OpCode::Control(_) if length > CONTROL_LIMIT || !header.is_final => Err(Violation::Control),
            OpCode::Data(Data::Text) => Err(Violation::Text),
            OpCode::Data(_) if length > PAYLOAD_LIMIT as u64 => Err(Violation::FrameTooLong(length, PAYLOAD_LIMIT)),
            OpCode::Data(Data::Continue) if self.message.is_none() => Err(Violation::Continuation),
            OpCode::Data(Data::Binary) if self.message.is_some() => Err(Violation::Interleaved),
            OpCode::Control(_) | OpCode::Data(_) => Ok(()),
        }
    }

    /// A frame began.
    fn count(&mut self) -> Result<(), Violation> {
        self.idle += 1;
        if self.idle > IDLE_FRAMES { Err(Violation::Idle(IDLE_FRAMES)) } else { Ok(()) }
    }
}

/// What the library does not take for a header.
fn unknown(error: Error) -> Violation {
    match error {
        Error::Protocol(ProtocolError::InvalidOpcode(opcode)) => Violation::Opcode(opcode),
        other => Violation::NoPacket(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Everything that comes out of these bytes, which arrive in pieces of `step`.
    fn read(bytes: &[u8], step: usize) -> (Vec<u8>, Vec<Part>, Option<Violation>) {
        let (mut frames, mut raw) = (Frames::new(), BytesMut::new());
        let (mut payload, mut parts) = (Vec::new(), Vec::new());
        let mut room = [0; 7];
        for piece in bytes.chunks(step.max(1)) {
            raw.extend_from_slice(piece);
            loop {
                match frames.next(&mut raw, &mut room) {
                    Ok(Part::Payload(count)) => payload.extend_from_slice(&room[..count]),
                    Ok(Part::Nothing) => break,
                    Ok(part) => parts.push(part),
                    Err(violation) => return (payload, parts, Some(violation)),
                }
            }
        }
        (payload, parts, None)
    }

    fn ended_by(bytes: &[u8]) -> Violation {
        let ended = [1, 3, bytes.len()].map(|step| read(bytes, step).2);
        assert!(ended.iter().all(|end| *end == ended[0]), "the pieces do not matter: {ended:?}");
        ended[0].clone().expect("a violation")
    }

    #[test]
    fn payload_comes_as_it_arrives_across_fragments_with_pings_between_them() {
        // RFC 6455, section 5.7, as binary frames: "Hel" and "lo", with a ping of "Hello" in between.
        let bytes = b"\x02\x03Hel\x89\x05Hello\x80\x02lo\x82\x00\x82\x01!";
        for step in 1..bytes.len() {
            let (payload, parts, end) = read(bytes, step);
            assert_eq!((payload.as_slice(), end), (&b"Hello!"[..], None));
            assert_eq!(parts, [Part::Ping(Bytes::from_static(b"Hello"))]);
        }
    }

    #[test]
    fn a_masked_frame_is_none_of_a_server() {
        // RFC 6455, section 5.7: "Hello", masked, as a binary frame.
        assert_eq!(ended_by(b"\x82\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), Violation::Masked);
    }

    #[test]
    fn each_breach_of_the_rules_is_named() {
        assert_eq!(ended_by(b"\xc2\x01a"), Violation::Compressed);
        assert_eq!(ended_by(b"\xa2\x01a"), Violation::ReservedBit);
        assert_eq!(ended_by(b"\x92\x01a"), Violation::ReservedBit);
        assert_eq!(ended_by(b"\x81\x01a"), Violation::Text);
        assert_eq!(ended_by(b"\x83\x01a"), Violation::Opcode(3));
        assert_eq!(ended_by(b"\x8b\x01a"), Violation::Opcode(11));
        assert_eq!(ended_by(b"\x80\x01a"), Violation::Continuation);
        assert_eq!(ended_by(b"\x02\x01a\x82\x01a"), Violation::Interleaved);
        assert_eq!(ended_by(b"\x09\x01a"), Violation::Control);
        assert_eq!(ended_by(b"\x89\x7e\x00\x7e"), Violation::Control);
        assert_eq!(
            ended_by(b"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff"),
            Violation::FrameTooLong(u64::MAX, PAYLOAD_LIMIT)
        );
        assert_eq!(read(b"\x88\x02\x03\xe8", 1).1, [Part::Close(Bytes::from_static(b"\x03\xe8"))]);
    }

    #[test]
    fn a_message_without_end_is_ended_at_the_limit_of_a_packet() {
        let mut frames = Frames::new();
        let mut room = [0; 4096];
        let mut came = 0;
        let end = (0..).find_map(|nth| {
            let opcode: &[u8] = if nth == 0 { b"\x02" } else { b"\x00" };
            let mut raw = BytesMut::from(&[opcode, b"\x7e\x10\x00", &[0; 4096]].concat()[..]);
            loop {
                match frames.next(&mut raw, &mut room) {
                    Ok(Part::Payload(count)) => came += count,
                    Ok(_) => return None,
                    Err(violation) => return Some(violation),
                }
            }
        });
        assert_eq!(end, Some(Violation::MessageTooLong(PAYLOAD_LIMIT)));
        assert!(came <= PAYLOAD_LIMIT, "{came}");
    }

    #[test]
    fn frames_without_payload_are_bounded_of_whatever_kind() {
        for frame in [&b"\x89\x00"[..], b"\x8a\x00", b"\x82\x00"] {
            assert_eq!(ended_by(&frame.repeat(20_000)), Violation::Idle(100));
            let (payload, _, end) = read(&[&frame.repeat(100)[..], b"\x82\x01a"].concat().repeat(5), 64);
            assert_eq!((payload.len(), end), (0, Some(Violation::Idle(100))), "the frame with the byte counts");
            let (payload, _, end) = read(&[&frame.repeat(99)[..], b"\x82\x01a"].concat().repeat(5), 64);
            assert_eq!((payload.len(), end), (5, None));
        }
        assert_eq!(ended_by(&[&b"\x02\x00"[..], &b"\x00\x00".repeat(200)].concat()), Violation::Idle(100));
    }

    proptest! {
        #[test]
        fn any_bytes_come_to_an_end_without_a_panic(bytes: Vec<u8>, step in 1_usize..40) {
            read(&bytes, step);
        }

        #[test]
        fn any_cutting_into_frames_leaves_the_bytes_as_they_are(
            bytes in proptest::collection::vec(any::<u8>(), 1..600),
            cuts in proptest::collection::vec((1_usize..90, any::<bool>()), 1..60),
            step in 1_usize..50,
        ) {
            let (mut wire, mut rest, mut within) = (Vec::new(), &bytes[..], false);
            for (length, ends) in cuts.iter().cycle() {
                let (now, later) = rest.split_at((*length).min(rest.len()));
                rest = later;
                let ends = *ends || rest.is_empty();
                wire.push(if within { 0 } else { 2 } | if ends { 0x80 } else { 0 });
                wire.push(u8::try_from(now.len()).expect("below 126"));
                wire.extend_from_slice(now);
                within = !ends;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(read(&wire, step), (bytes, Vec::new(), None));
        }
    }
}
