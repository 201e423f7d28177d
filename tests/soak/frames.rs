//! Where one WebSocket frame ends and the next begins (RFC 6455 section 5.2), in a stream of which only bytes are known:
//! frames of others are put between two, never into one, and the answers to them are taken out. Pure.

/// One direction of a connection.
#[derive(Debug)]
pub(crate) struct Frames {
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// In the handshake, which has no body; so much of its end has come.
    Handshake(usize),
    /// In the head of a frame.
    Head(Vec<u8>),
    /// In its payload, of which so much is to come; whether it is a pong.
    Payload(u64, bool),
}

/// The end of a handshake.
const HANDSHAKE_ENDS: &[u8] = b"\r\n\r\n";
/// The first byte of a pong.
pub(crate) const PONG: u8 = 0x8a;

impl Default for Frames {
    fn default() -> Self {
        Self { place: Place::Handshake(0) }
    }
}

impl Frames {
    /// Takes the next bytes, and returns them without pongs. The head of a frame is returned in one piece.
    pub(crate) fn pass(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut passed = Vec::with_capacity(bytes.len());
        let mut left = bytes;
        while let Some((&first, rest)) = left.split_first() {
            match &mut self.place {
                Place::Handshake(seen) => {
                    left = rest;
                    passed.push(first);
                    *seen = if first == HANDSHAKE_ENDS[*seen] {
                        *seen + 1
                    } else {
                        usize::from(first == HANDSHAKE_ENDS[0])
                    };
                    if *seen == HANDSHAKE_ENDS.len() {
                        self.place = Place::Head(Vec::new());
                    }
                }
                Place::Head(head) => {
                    left = rest;
                    head.push(first);
                    if let Some(length) = payload(head) {
                        let is_pong = head[0] == PONG;
                        if !is_pong {
                            passed.append(head);
                        }
                        self.place = Self::within(length, is_pong);
                    }
                }
                Place::Payload(to_come, is_pong) => {
                    let here = left.len().min(usize::try_from(*to_come).unwrap_or(usize::MAX));
                    if !*is_pong {
                        passed.extend_from_slice(&left[..here]);
                    }
                    left = &left[here..];
                    self.place = Self::within(*to_come - here as u64, *is_pong);
                }
            }
        }
        passed
    }

    const fn within(to_come: u64, is_pong: bool) -> Place {
        if to_come == 0 { Place::Head(Vec::new()) } else { Place::Payload(to_come, is_pong) }
    }

    /// Whether the next byte begins a frame.
    pub(crate) fn is_between(&self) -> bool {
        matches!(&self.place, Place::Head(head) if head.is_empty())
    }
}

/// The payload's length, once the head is complete, with its mask.
fn payload(head: &[u8]) -> Option<u64> {
    let big_endian = |bytes: &[u8]| bytes.iter().fold(0, |number, &byte| number << 8 | u64::from(byte));
    let (is_masked, short) = (*head.get(1)? & 0x80 != 0, head[1] & 0x7f);
    let (end, length) = match short {
        126 => (4, head.get(2..4).map(big_endian)?),
        127 => (10, head.get(2..10).map(big_endian)?),
        short => (2, short.into()),
    };
    (head.len() == if is_masked { end + 4 } else { end }).then_some(length)
}

/// A frame from the server: its first byte says the kind, and whether it ends a message.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ ..126 => frame.push(u8::try_from(length).expect("it is short")),
        length @ ..65_536 => {
            frame.push(126);
            frame.extend(u16::try_from(length).expect("it fits").to_be_bytes());
        }
        length => {
            frame.push(127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    const HANDSHAKE: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";

    /// The same frame from a client.
    fn masked(frame: &[u8], head: usize) -> Vec<u8> {
        [&[frame[0], frame[1] | 0x80], &frame[2..head], b"mask", &frame[head..]].concat()
    }

    #[test]
    fn ends_of_frames_are_found_however_the_bytes_come() {
        let frames = [frame(0x82, b""), frame(0x82, &[7; 5]), frame(0x02, &[0; 300]), frame(0x80, &vec![9; 70_000])];
        let stream: Vec<u8> = HANDSHAKE.iter().copied().chain(frames.concat()).collect();
        let mut ends = vec![HANDSHAKE.len()];
        for frame in &frames {
            ends.push(ends.last().expect("the handshake's") + frame.len());
        }
        for piece in [1, 3, 7, 1000, stream.len()] {
            let (mut known, mut came, mut passed) = (Frames::default(), 0, Vec::new());
            for bytes in stream.chunks(piece) {
                passed.extend(known.pass(bytes));
                came += bytes.len();
                assert_eq!(known.is_between(), ends.contains(&came), "{came} of {}, in {piece}s", stream.len());
            }
            assert!(passed == stream, "nothing is lost, in {piece}s");
        }
    }

    #[test]
    fn pongs_are_taken_out_and_nothing_else() {
        let wanted = [masked(&frame(0x82, &[0x8a; 5]), 2), masked(&frame(0x82, &[0x8a; 300]), 4)];
        let pongs = [masked(&frame(PONG, b""), 2), masked(&frame(PONG, &[1; 9]), 2)];
        let stream = [HANDSHAKE, &pongs[0], &wanted[0], &pongs[1], &wanted[1], &pongs[0]].concat();
        for piece in [1, 2, 5, stream.len()] {
            let mut frames = Frames::default();
            let passed: Vec<u8> = stream.chunks(piece).flat_map(|bytes| frames.pass(bytes)).collect();
            assert!(passed == [HANDSHAKE, &wanted[0], &wanted[1]].concat(), "in {piece}s");
        }
    }
}
