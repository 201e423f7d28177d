//! The server's side of a WebSocket that carries MQTT (RFC 6455), as a stream of bytes: MQTT does not care where messages
//! begin and end. The frames are tungstenite's, so that a client with frames of its own meets another reading of the standard.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use futures_util::{Sink as _, Stream as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::PACKET_LIMIT;

/// The WebSocket path of the real service (docs/thingspeak.md, connection).
pub(super) const MQTT_PATH: &str = "/mqtt";
/// The WebSocket sub-protocol of MQTT (MQTT 3.1.1, section 6).
const SUBPROTOCOL: &str = "mqtt";
/// The longest request that is read.
const HEAD: usize = 16 * 1024;
/// Header lines of a request.
const LINES: usize = 100;
/// The longest message: a whole packet with its header, and a little more.
const MESSAGE: usize = PACKET_LIMIT + 64;
/// Room for one read.
const READ: usize = 4096;
/// Messages in a row without a byte for MQTT.
const IDLE: u32 = 100;

/// A WebSocket over a stream.
pub(super) struct WebSocket<S> {
    inner: WebSocketStream<S>,
    /// What came and was not read yet.
    came: Bytes,
    /// Messages since the last byte.
    idle: u32,
}

/// Waits for a request of a WebSocket that carries MQTT at [`MQTT_PATH`], and agrees to it.
///
/// # Errors
/// When something else was asked for. It was answered where it was HTTP.
pub(super) async fn accept<S>(mut line: S) -> Result<WebSocket<S>, String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let head = read_head(&mut line).await.map_err(|what| format!("no WebSocket: {what}"))?;
    let (answer, refused) = match agree(&head) {
        Ok(key) => (
            format!(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {}\r\n\
                 Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n",
                derive_accept_key(&key)
            ),
            None,
        ),
        Err((status, words)) => (
            format!(
                "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{words}\n",
                words.len() + 1
            ),
            Some(words),
        ),
    };
    let told = async {
        line.write_all(answer.as_bytes()).await?;
        line.flush().await
    };
    told.await.map_err(|error| format!("no WebSocket: {error}"))?;
    match refused {
        None => Ok(WebSocket::new(line).await),
        Some(words) => {
            // What the peer has sent already and nobody reads would make the end a reset, which may overtake the words.
            let _ = line.shutdown().await;
            Err(format!("no WebSocket: {words}"))
        }
    }
}

/// Reads up to and with the empty line, byte by byte, so that nothing behind it is taken. What does not begin as a request does is
/// no HTTP, and may never have an empty line.
async fn read_head(line: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>, String> {
    const BEGIN: &[u8] = b"GET ";
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && !head.ends_with(b"\n\n") {
        if head.len() >= HEAD {
            return Err(format!("its request is longer than {} KiB", HEAD / 1024));
        }
        head.push(line.read_u8().await.map_err(|error| error.to_string())?);
        if head.len() == BEGIN.len() && head != BEGIN {
            return Err(format!("it does not begin with HTTP (\"{}\")", head.escape_ascii()));
        }
    }
    Ok(head)
}

/// The key of a request that asks for the right thing; otherwise the status and the words to refuse it with.
fn agree(head: &[u8]) -> Result<Vec<u8>, (&'static str, String)> {
    const BAD: &str = "400 Bad Request";
    let mut lines = [httparse::EMPTY_HEADER; LINES];
    let mut request = httparse::Request::new(&mut lines);
    if !matches!(request.parse(head), Ok(httparse::Status::Complete(_))) {
        return Err((BAD, "this is not an HTTP request".to_owned()));
    }
    let header = |name: &'static str| {
        let named = request.headers.iter().filter(move |line| line.name.eq_ignore_ascii_case(name));
        named.flat_map(|line| line.value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
    };
    if request.path.is_none_or(|asked| asked.split('?').next() != Some(MQTT_PATH)) {
        return Err(("404 Not Found", format!("nothing here; MQTT is at {MQTT_PATH}")));
    }
    if !header("upgrade").any(|word| word.eq_ignore_ascii_case(b"websocket")) {
        return Err(("426 Upgrade Required", "only a WebSocket is served here".to_owned()));
    }
    if header("sec-websocket-version").next() != Some(b"13") {
        return Err((BAD, "the WebSocket version must be 13".to_owned()));
    }
    if !header("sec-websocket-protocol").any(|word| word == SUBPROTOCOL.as_bytes()) {
        return Err((BAD, format!("the WebSocket sub-protocol must be {SUBPROTOCOL}")));
    }
    match header("sec-websocket-key").next() {
        Some(key) if !key.is_empty() => Ok(key.to_vec()),
        _ => Err((BAD, "Sec-WebSocket-Key is missing".to_owned())),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// One that was agreed on.
    async fn new(line: S) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ)
            .max_message_size(Some(MESSAGE))
            .max_frame_size(Some(MESSAGE));
        let inner = WebSocketStream::from_raw_socket(line, Role::Server, Some(config)).await;
        Self { inner, came: Bytes::new(), idle: 0 }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for WebSocket<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while this.came.is_empty() {
            match ready!(Pin::new(&mut this.inner).poll_next(context)) {
                Some(Ok(Message::Binary(bytes))) => this.came = bytes,
                Some(Ok(Message::Text(_))) => return Poll::Ready(Err(invalid("it sent text, and MQTT is binary"))),
                // A ping is answered below, and the end comes behind a close.
                Some(Ok(_)) => {}
                None => return Poll::Ready(Ok(())),
                Some(Err(error)) => return Poll::Ready(Err(broken(error))),
            }
            this.idle += 1;
            if this.came.is_empty() && this.idle > IDLE {
                return Poll::Ready(Err(invalid("it sent too many WebSocket frames in a row without a byte of MQTT")));
            }
        }
        this.idle = 0;
        let count = this.came.len().min(room.remaining());
        room.put_slice(&this.came[..count]);
        this.came.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WebSocket<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.inner).poll_ready(context)).map_err(broken)?;
        let message = Message::Binary(Bytes::copy_from_slice(bytes));
        Pin::new(&mut self.inner).start_send(message).map_err(broken)?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context).map_err(broken)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A peer that has said the close itself needs none.
        let _ = ready!(Pin::new(&mut self.inner).poll_close(context));
        Pin::new(self.inner.get_mut()).poll_shutdown(context)
    }
}

fn invalid(words: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, words)
}

fn broken(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        other => io::Error::new(io::ErrorKind::InvalidData, other),
    }
}

#[cfg(test)]
mod tests;
