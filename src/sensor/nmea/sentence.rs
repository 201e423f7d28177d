//! The frame of a sentence: `$GPGGA,…*53`, and its checksum (NMEA 0183, 5.3: exclusive or of all between `$` and `*`).

use nmea::ParseResult;

/// A sentence found in a line, unchecked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sentence<'a> {
    /// From the dollar to the end of the line, in ASCII.
    text: &'a str,
}

/// Why a sentence says nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Unusable {
    /// Bytes were changed or lost on the way.
    WrongChecksum,
    /// It ends without one, as the standard once allowed.
    NoChecksum,
}

impl<'a> Sentence<'a> {
    /// The sentence in a line. `None` for a line that is none: noise, comments, another protocol.
    ///
    /// It begins at the first dollar, since a receiver that was just switched on may send noise before it. A second dollar
    /// means that the end of a sentence was lost; such a line fails its checksum, and nothing of it is taken.
    pub(super) fn find(line: &'a [u8]) -> Option<Self> {
        let start = line.iter().position(|byte| *byte == b'$')?;
        let text = std::str::from_utf8(line[start..].trim_ascii_end()).ok()?;
        text.is_ascii().then_some(Self { text })
    }

    /// Which sentence it is, such as `GGA`, whoever the talker.
    pub(super) fn formatter(&self) -> Option<&'a str> {
        let address = self.text[1..].split(',').next()?;
        (address.len() == 5).then(|| &address[2..])
    }

    /// Compares the checksum with the text.
    pub(super) fn check(&self) -> Result<(), Unusable> {
        let (body, sum) = self.text[1..].split_once('*').ok_or(Unusable::NoChecksum)?;
        let expected = body.bytes().fold(0, |sum, byte| sum ^ byte);
        let two_digits = sum.len() == 2 && sum.bytes().all(|byte| byte.is_ascii_hexdigit());
        let given = u8::from_str_radix(sum, 16).ok().filter(|_| two_digits);
        if given == Some(expected) { Ok(()) } else { Err(Unusable::WrongChecksum) }
    }

    /// The sentence's data, where it is a GGA or RMC that the library can read.
    pub(super) fn parse(&self) -> Option<ParseResult> {
        nmea::parse_str(self.text).ok()
    }

    /// A sentence around `body`, with its checksum and end of line.
    pub(super) fn write(body: &str) -> String {
        let sum = body.bytes().fold(0, |sum, byte| sum ^ byte);
        format!("${body}*{sum:02X}\r\n")
    }
}
