//! Binary frames out of bytes that come in pieces. After garbage the next frame is found by itself.

use crate::reading::Fault;

/// What stands at the beginning of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// No frame begins here.
    Nothing,
    /// Perhaps one; more bytes will say.
    More,
    /// A frame of so many bytes.
    Frame(usize),
}

/// How many bytes a fault quotes.
const QUOTED: usize = 12;

/// The bytes of the frame that is being received.
#[derive(Debug, Default)]
pub(super) struct Frames {
    buffer: Vec<u8>,
    /// The last bytes that were no frame, since the last complaint.
    garbage: Vec<u8>,
}

impl Frames {
    /// Takes bytes and gives each frame that `look` finds to `take`, which says whether it was good. Of a bad one only the
    /// first byte is passed over: a good one may begin inside.
    pub(super) fn feed(&mut self, bytes: &[u8], look: impl Fn(&[u8]) -> Look, mut take: impl FnMut(&[u8]) -> bool) {
        self.buffer.extend_from_slice(bytes);
        let mut start = 0;
        while start < self.buffer.len() {
            let rest = &self.buffer[start..];
            match look(rest) {
                Look::Frame(length) if length > rest.len() => break,
                Look::More => break,
                Look::Frame(length) if take(&rest[..length]) => {
                    start += length;
                    self.garbage.clear();
                }
                Look::Frame(_) | Look::Nothing => {
                    if self.garbage.len() < QUOTED {
                        self.garbage.push(rest[0]);
                    }
                    start += 1;
                }
            }
        }
        self.buffer.drain(..start);
    }

    /// Forgets what came.
    pub(super) fn clear(&mut self) {
        self.buffer.clear();
        self.garbage.clear();
    }

    /// What came instead of frames since this was asked last.
    pub(super) fn complaint(&mut self, port: &str) -> Option<Fault> {
        let mut came = std::mem::take(&mut self.garbage);
        came.extend(self.buffer.iter().take(QUOTED - came.len()));
        (!came.is_empty()).then(|| Fault::Garbled(format!("{port}: bytes come, but no whole frame: {}", hex(&came))))
    }
}

/// Bytes for a message.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

/// A fault of a part that answers before it measures.
pub(super) fn warming_up() -> Fault {
    Fault::Garbled("warming up: every value is still zero".to_owned())
}

/// The fault of a frame whose check sum is wrong.
pub(super) fn wrong_checksum(port: &str, given: u16, expected: u16, frame: &[u8]) -> Fault {
    Fault::Checksum(format!("{port}: {given:x} where {expected:x} belongs in {}", hex(frame)))
}

/// The big-endian word at a place.
pub(super) fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::hal::sim::Sim;
    use crate::sensor::{Device, ReadingSender, SerialDriver, Source};
    use crate::time::Mono;

    pub(in crate::sensor) type Put = (usize, Result<f64, Fault>);

    pub(in crate::sensor) fn bytes(hex: &str) -> Vec<u8> {
        hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).expect("two digits")).collect()
    }

    /// A sender that notes what is put.
    pub(in crate::sensor) fn noting() -> (ReadingSender, Arc<Mutex<Vec<Put>>>) {
        let puts = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&puts);
        let sender = ReadingSender::new(move |quantity, _, value| sink.lock().unwrap().push((quantity, value)));
        (sender, puts)
    }

    /// What a device that talks by itself makes of bytes in pieces, and its complaint afterwards.
    pub(in crate::sensor) fn heard(device: &dyn Device, bytes: &[u8], piece: usize) -> (Vec<Put>, Option<Fault>) {
        let (sender, puts) = noting();
        let opened = device.open(&Sim::default().hal(), sender.clone());
        let Ok(Source::Stream(SerialDriver::Stream(mut stream))) = opened else { panic!("it talks by itself") };
        bytes.chunks(piece).for_each(|piece| stream.bytes(Mono::default(), piece, &sender));
        let puts = puts.lock().unwrap().clone();
        (puts, stream.complaint())
    }

    /// Frames of `:` and a digit that says how many bytes follow; those that end in `!` are bad.
    fn frames(bytes: &[u8], piece: usize) -> (Vec<Vec<u8>>, Option<Fault>) {
        let mut frames = Frames::default();
        let mut taken = Vec::new();
        for piece in bytes.chunks(piece) {
            let look = |rest: &[u8]| match rest {
                [b':', digit, ..] if digit.is_ascii_digit() => Look::Frame(2 + usize::from(digit - b'0')),
                [b':'] => Look::More,
                _ => Look::Nothing,
            };
            frames.feed(piece, look, |frame| {
                let is_good = !frame.ends_with(b"!");
                taken.extend(is_good.then(|| frame.to_vec()));
                is_good
            });
        }
        (taken, frames.complaint("/dev/x"))
    }

    #[test]
    fn frames_are_found_after_garbage_and_inside_of_bad_ones_in_pieces_of_any_size() {
        for piece in 1..12 {
            let (taken, complaint) = frames(b"x:y:2ab:4:1c!:3def", piece);
            assert_eq!(taken, [&b":2ab"[..], b":1c", b":3def"], "{piece}");
            assert_eq!(complaint, None);
        }
        let (taken, complaint) = frames(b"xy:2a", 2);
        assert!(taken.is_empty());
        let told = complaint.expect("no frame came").to_string();
        assert_eq!(told, "no measurement: /dev/x: bytes come, but no whole frame: 78 79 3a 32 61");
    }
}
