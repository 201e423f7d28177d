//! The client's side of a WebSocket as a stream of bytes (RFC 6455): MQTT does not care where frames begin and end.
//!
//! What is written in one go is one binary message. Pings are answered, a burst of them with the last one's bytes (section
//! 5.5.3), so that nothing piles up.

pub(in crate::net) mod close;
mod frames;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod handshake;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::rustls::crypto::{SecureRandom, ring};
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use frames::{Frames, Part};

pub(super) use close::Closed;
pub(super) use handshake::upgrade;

/// Room for one read.
const READ: usize = 4096;
/// The longest payload that is written as one frame.
const FRAME: usize = 64 * 1024;

/// A WebSocket over a stream.
pub struct WebSocket<S> {
    inner: S,
    random: &'static dyn SecureRandom,
    frames: Frames,
    /// Came, not read yet.
    raw: BytesMut,
    /// Whole frames on their way out.
    out: BytesMut,
    /// The ping to be answered next.
    ping: Option<Bytes>,
    /// The other side has closed it.
    closed: bool,
    /// We have said so.
    said_close: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// One that was agreed on.
    fn new(inner: S) -> Self {
        Self {
            inner,
            random: ring::default_provider().secure_random,
            frames: Frames::new(),
            raw: BytesMut::new(),
            out: BytesMut::new(),
            ping: None,
            closed: false,
            said_close: false,
        }
    }

    /// Puts a frame into what goes out.
    fn frame(&mut self, opcode: OpCode, payload: &[u8]) -> io::Result<()> {
        let mut mask = [0; 4];
        self.random.fill(&mut mask).map_err(|_| io::Error::other("no random numbers"))?;
        let header = FrameHeader { opcode, mask: Some(mask), ..FrameHeader::default() };
        let mut out = std::mem::take(&mut self.out).writer();
        header.format(payload.len() as u64, &mut out).map_err(io::Error::other)?;
        self.out = out.into_inner();
        let begin = self.out.len();
        self.out.extend_from_slice(payload);
        // RFC 6455, section 5.3.
        for (byte, mask) in self.out[begin..].iter_mut().zip(mask.iter().cycle()) {
            *byte ^= mask;
        }
        Ok(())
    }

    /// Writes what is on its way out.
    fn poll_out(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            while self.out.has_remaining() {
                let count = ready!(Pin::new(&mut self.inner).poll_write(context, &self.out))?;
                if count == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.out.advance(count);
            }
            match self.ping.take() {
                Some(ping) => self.frame(OpCode::Control(Control::Pong), &ping)?,
                None => return Poll::Ready(Ok(())),
            }
        }
    }

    fn say_close(&mut self) -> io::Result<()> {
        const NORMAL: [u8; 2] = 1000_u16.to_be_bytes();
        if std::mem::replace(&mut self.said_close, true) {
            return Ok(());
        }
        self.ping = None;
        self.frame(OpCode::Control(Control::Close), &NORMAL)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for WebSocket<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if room.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        while !this.closed {
            match this.frames.next(&mut this.raw, room.initialize_unfilled())? {
                Part::Payload(count) => {
                    room.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Part::Ping(_) if this.said_close => {}
                Part::Ping(ping) => {
                    this.ping = Some(ping);
                    // What cannot go out now goes out with the next write; reading does not wait for it.
                    let _ = this.poll_out(context)?;
                }
                Part::Close(payload) => {
                    this.closed = true;
                    this.say_close()?;
                    let _ = this.poll_out(context)?;
                    if let Some(closed) = Closed::read(&payload) {
                        return Poll::Ready(Err(closed.into()));
                    }
                }
                Part::Nothing => {
                    this.raw.reserve(READ);
                    let mut buffer = [0; READ];
                    let mut read = ReadBuf::new(&mut buffer);
                    ready!(Pin::new(&mut this.inner).poll_read(context, &mut read))?;
                    if read.filled().is_empty() {
                        this.closed = true;
                    }
                    this.raw.extend_from_slice(read.filled());
                }
            }
        }
        // The end of the stream.
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WebSocket<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.said_close {
            // Nothing goes behind a close (RFC 6455, section 5.5.1).
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        // One frame at a time: what the socket does not take, the caller keeps.
        ready!(self.poll_out(context))?;
        let count = bytes.len().min(FRAME);
        if count > 0 {
            self.frame(OpCode::Data(Data::Binary), &bytes[..count])?;
            let _ = self.poll_out(context)?;
        }
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_out(context))?;
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.say_close()?;
        ready!(self.poll_out(context))?;
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests;
