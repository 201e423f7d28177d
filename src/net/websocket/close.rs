//! How the other side closed a WebSocket (RFC 6455, section 7.4). Some brokers say so why they refuse a login.

use std::fmt;
use std::io;

use crate::net::peer::printable;

/// It closed the WebSocket for a reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::net) struct Closed {
    code: u16,
    reason: String,
}

impl Closed {
    /// From a close frame's payload; `None` where that tells no more than that it is over.
    pub(super) fn read(payload: &[u8]) -> Option<Self> {
        /// The purpose is fulfilled, and the server goes down.
        const PLAIN: [u16; 2] = [1000, 1001];
        let (code, reason) = payload.split_first_chunk()?;
        let (code, reason) = (u16::from_be_bytes(*code), String::from_utf8_lossy(reason));
        let reason = if reason.is_empty() { String::new() } else { printable(&reason) };
        (!reason.is_empty() || !PLAIN.contains(&code)).then_some(Self { code, reason })
    }

    /// The one that an error carries through a stream.
    pub(in crate::net) fn within(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebSocket code {}", self.code)?;
        if self.reason.is_empty() { Ok(()) } else { write!(f, ", \"{}\"", self.reason) }
    }
}

impl std::error::Error for Closed {}

impl From<Closed> for io::Error {
    fn from(closed: Closed) -> Self {
        Self::new(io::ErrorKind::ConnectionAborted, closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_told_in_one_line_and_a_plain_end_is_none() {
        let told = |payload: &[u8]| Closed::read(payload).map(|closed| closed.to_string());
        assert_eq!(told(b"\x03\xeaunauthenticated"), Some("WebSocket code 1002, \"unauthenticated\"".to_owned()));
        assert_eq!(told(b"\x03\xea"), Some("WebSocket code 1002".to_owned()));
        assert_eq!(told(b"\x03\xe8bye\n\x1b[m"), Some("WebSocket code 1000, \"bye??[m\"".to_owned()));
        for plain in [&b"\x03\xe8"[..], b"\x03\xe9", b"", b"\x03"] {
            assert_eq!(told(plain), None);
        }
    }
}
