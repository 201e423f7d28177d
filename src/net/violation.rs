//! What a peer may not do on a connection, in words.

use std::io;

/// Why a connection was ended from our side.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// RFC 6455, section 5.2: RSV1 without an extension; permessage-deflate would use it.
    #[error("it sent a compressed WebSocket frame, though no compression was agreed on")]
    Compressed,
    /// RFC 6455, section 5.2: another reserved bit.
    #[error("it sent a WebSocket frame with a reserved bit, though no extension was agreed on")]
    ReservedBit,
    /// RFC 6455, section 5.2: a reserved opcode.
    #[error("it sent a WebSocket frame of the unknown kind {0}")]
    Opcode(u8),
    /// MQTT 3.1.1, section 6: packets travel in binary frames.
    #[error("it sent a text frame, and MQTT needs binary frames")]
    Text,
    /// RFC 6455, section 5.1: a server never masks.
    #[error("it sent a masked WebSocket frame, which only a client may do")]
    Masked,
    /// RFC 6455, section 5.5: at most 125 bytes, in one frame.
    #[error("it sent a ping, pong or close that is too long or in pieces")]
    Control,
    /// RFC 6455, section 5.4.
    #[error("it continued a WebSocket message that it had not begun")]
    Continuation,
    /// RFC 6455, section 5.4.
    #[error("it began a WebSocket message inside another one")]
    Interleaved,
    /// A frame that announces more than a packet may have.
    #[error("it announced a WebSocket frame of {0} bytes, and no MQTT packet may have more than {1}")]
    FrameTooLong(u64, usize),
    /// A message whose fragments come to more than that.
    #[error("it sent a WebSocket message in pieces of more than {0} bytes together")]
    MessageTooLong(usize),
    /// Frames without a byte of payload in a row.
    #[error("it sent {0} WebSocket frames in a row without a byte of MQTT")]
    Idle(u32),
    /// More bytes than this a second.
    #[error("it sent more than {0} bytes a second for some time")]
    Bytes(u32),
    /// More packets than this a second.
    #[error("it sent more than {0} MQTT packets a second for some time")]
    Packets(u32),
    /// A packet that announces more than this.
    #[error("it announced an MQTT packet of {0} bytes, and {1} are allowed")]
    PacketTooLong(usize, usize),
    /// What is no packet, or one that no server sends.
    #[error("it sent something that is not an MQTT packet of a server ({0})")]
    NoPacket(String),
}

impl From<Violation> for io::Error {
    fn from(violation: Violation) -> Self {
        Self::new(io::ErrorKind::InvalidData, violation)
    }
}

impl Violation {
    /// The one that an error carries through a stream.
    pub(super) fn within(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}
