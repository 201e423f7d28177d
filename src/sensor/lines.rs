//! Text lines out of bytes that come in pieces, for the devices that talk over a serial port.
//!
//! A line ends in `\n` or `\r\n` unless the device ends it in another way. A line that is too long is dropped whole, up to
//! its end, so that a port of the wrong speed cannot fill the memory.

use std::time::Duration;

/// The longest line in bytes, without its end. NMEA has 82 and JSON of a sensor node a few hundred.
pub(super) const LONGEST: usize = 1024;

/// How much of a dropped line is kept, to be quoted.
const QUOTED: usize = 80;

/// What ends a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// These bytes, at least one. A carriage return before `\n`, and a `\n` behind `\r`, belong to the end.
    Bytes(Vec<u8>),
    /// So much silence. Whoever feeds the lines says when it is over.
    Silence(Duration),
}

/// How lines are told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Framing {
    pub(super) end: End,
    /// In bytes, without the end.
    pub(super) longest: usize,
}

impl Default for Framing {
    fn default() -> Self {
        Self { end: End::Bytes(b"\n".to_vec()), longest: LONGEST }
    }
}

/// The line that is being received.
#[derive(Debug, Default)]
pub(super) struct Lines {
    framing: Framing,
    line: Vec<u8>,
    too_long: bool,
    dropped: Option<Vec<u8>>,
}

impl Lines {
    pub(super) fn new(framing: Framing) -> Self {
        Self { framing, ..Self::default() }
    }

    /// Takes bytes as they came and gives each line they complete to `take`, without its end. Empty lines are given too.
    pub(super) fn feed(&mut self, bytes: &[u8], mut take: impl FnMut(&[u8])) {
        let Self { framing: Framing { end, longest }, line, too_long, dropped } = self;
        let end: &[u8] = if let End::Bytes(end) = end { end } else { &[] };
        // One byte more than the longest line, since a carriage return may belong to its end.
        let most = *longest + 1;
        for byte in bytes {
            if line.len() == most + end.len() {
                // The beginning is kept, to be quoted, and the last bytes, to see the end.
                *too_long = true;
                if end.is_empty() {
                    return;
                }
                line.remove(most);
            }
            line.push(*byte);
            if !end.is_empty() && line.ends_with(end) {
                let whole = trimmed(&line[..line.len() - end.len()], end);
                if *too_long || whole.len() > *longest {
                    *dropped = Some(whole[..QUOTED.min(whole.len())].to_vec());
                } else {
                    take(whole);
                }
                line.clear();
                *too_long = false;
            }
        }
    }

    /// What came of the line that has no end yet.
    pub(super) fn tail(&self) -> &[u8] {
        let End::Bytes(end) = &self.framing.end else { return &self.line };
        trimmed(&self.line, end)
    }

    /// Whether this line is longer than it may be; its beginning is in [`Lines::tail`].
    pub(super) fn is_too_long(&self) -> bool {
        self.too_long
    }

    /// The beginning of a line that was dropped since this was asked last, because it was too long.
    pub(super) fn take_dropped(&mut self) -> Option<Vec<u8>> {
        self.dropped.take()
    }

    /// Begins a new line.
    pub(super) fn clear(&mut self) {
        self.line.clear();
        self.too_long = false;
    }
}

fn trimmed<'a>(line: &'a [u8], end: &[u8]) -> &'a [u8] {
    match end {
        b"\n" => line.strip_suffix(b"\r").unwrap_or(line),
        b"\r" => line.strip_prefix(b"\n").unwrap_or(line),
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        lines_with(Framing::default(), chunks)
    }

    fn lines_with(framing: Framing, chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut lines = Lines::new(framing);
        let mut taken = Vec::new();
        for chunk in chunks {
            lines.feed(chunk, |line| taken.push(line.to_vec()));
        }
        taken
    }

    #[test]
    fn both_ends_of_line_are_taken_off() {
        assert_eq!(lines(&[b"one\ntwo\r\n\nrest"]), [&b"one"[..], b"two", b""]);
        assert_eq!(lines(&[b"one\r", b"\ntwo"]), [b"one"]);
    }

    #[test]
    fn another_end_is_the_maps() {
        let end = |bytes: &[u8]| Framing { end: End::Bytes(bytes.to_vec()), longest: 8 };
        assert_eq!(lines_with(end(b"\r"), &[b"one\r\ntwo\rthree"]), [b"one", b"two"]);
        assert_eq!(lines_with(end(b"\r\n"), &[b"o\rn\ne\r", b"\ntwo\n"]), [b"o\rn\ne"]);
        assert_eq!(lines_with(end(b"\x03"), &[b"one\n\x03two"]), [b"one\n"]);
        assert_eq!(lines_with(end(b";"), &[b"123456789012345", b"67;two;"]), [b"two"]);
    }

    #[test]
    fn a_line_that_is_too_long_is_dropped_up_to_its_end() {
        let long = vec![b'x'; LONGEST + 1];
        assert_eq!(lines(&[&long, b"tail\nnext\n"]), [b"next"]);
        assert_eq!(lines(&[&long[..LONGEST], b"\r\n"]), [&long[..LONGEST]]);
    }

    #[test]
    fn memory_is_bounded_without_an_end_of_line() {
        for end in [End::Bytes(b"\n".to_vec()), End::Silence(Duration::from_secs(1))] {
            let mut lines = Lines::new(Framing { end, longest: LONGEST });
            (0..1000).for_each(|_| lines.feed(&[0xff; 700], |_| panic!("there is no line")));
            assert!(lines.line.capacity() <= 4 * LONGEST);
            assert!(lines.is_too_long());
        }
    }

    proptest! {
        #[test]
        fn pieces_give_the_same_lines_as_the_whole(
            runs in prop::collection::vec((any::<u8>(), 0..LONGEST + 10, prop_oneof![Just("\n"), Just("\r\n"), Just("")]), 0..8),
            size in 1..200_usize,
        ) {
            let text: Vec<u8> = runs.iter().flat_map(|(byte, length, end)| [&vec![*byte; *length], end.as_bytes()].concat()).collect();
            let chunks: Vec<&[u8]> = text.chunks(size).collect();
            prop_assert_eq!(lines(&chunks), lines(&[&text]));
        }
    }
}
