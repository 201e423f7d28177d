//! Text lines out of bytes that come in pieces, for the devices that talk over a serial port.
//!
//! A line ends in `\n` or `\r\n`. At most [`LONGEST`] bytes are kept: a longer line is dropped whole, up to its end, so
//! that a port of the wrong speed cannot fill the memory.

/// The longest line in bytes, without its end. NMEA has 82 and JSON of a sensor node a few hundred.
pub(super) const LONGEST: usize = 1024;

/// The line that is being received.
#[derive(Debug, Default)]
pub(super) struct Lines {
    line: Vec<u8>,
    too_long: bool,
}

impl Lines {
    /// Takes bytes as they came and gives each line they complete to `take`, without its end. Empty lines are given too.
    pub(super) fn feed(&mut self, bytes: &[u8], mut take: impl FnMut(&[u8])) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.append(&rest[..end]);
            rest = &rest[end + 1..];
            if !self.too_long {
                take(self.line.strip_suffix(b"\r").unwrap_or(&self.line));
            }
            self.line.clear();
            self.too_long = false;
        }
        self.append(rest);
    }

    fn append(&mut self, bytes: &[u8]) {
        // One byte more than the longest line, since a carriage return may still belong to its end.
        self.too_long |= self.line.len() + bytes.len() > LONGEST + 1;
        if !self.too_long {
            self.line.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut lines = Lines::default();
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
    fn a_line_that_is_too_long_is_dropped_up_to_its_end() {
        let long = vec![b'x'; LONGEST + 2];
        assert_eq!(lines(&[&long, b"tail\nnext\n"]), [b"next"]);
        assert_eq!(lines(&[&long[..LONGEST], b"\r\n"]), [&long[..LONGEST]]);
    }

    #[test]
    fn memory_is_bounded_without_an_end_of_line() {
        let mut lines = Lines::default();
        (0..1000).for_each(|_| lines.feed(&[0xff; 700], |_| panic!("there is no line")));
        assert!(lines.line.capacity() <= 4 * LONGEST);
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
