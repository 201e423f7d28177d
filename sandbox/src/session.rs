//! One connection from its first byte to its last: TLS, WebSocket, packets in, packets out.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use rumqttc::mqttbytes::v4::{Connect, Packet};
use rumqttc::mqttbytes::{Error as PacketError, Protocol};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use super::service::{CONNECT_LIMIT, ConnectionId, Event};
use super::shared::{Inbox, Outgoing, Shared};
use super::websocket;
use crate::{PACKET_LIMIT, Transport};

/// Room for one read.
const READ: usize = 4096;
/// How long a peer may leave its side of the socket full.
const WRITE_LIMIT: Duration = Duration::from_secs(10);
/// How long a peer may take to answer the end of TLS and WebSocket before its socket is closed all the same.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);
/// A byte stream, whatever carries it.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Serves one connection until it ends, and tells the core.
pub(super) async fn run(
    shared: Arc<Shared>,
    id: ConnectionId,
    transport: Transport,
    tls: Option<TlsAcceptor>,
    stream: TcpStream,
    inbox: Inbox,
) {
    let last = tokio::select! {
        last = converse(&shared, id, dress(stream, transport, tls), inbox.receiver) => last,
        () = inbox.cut.cancelled() => Event::Gone,
    };
    shared.event(id, last);
    shared.event(id, Event::Gone);
}

/// Reads and writes until the writing ends.
async fn converse(
    shared: &Shared,
    id: ConnectionId,
    dressed: impl Future<Output = Result<Box<dyn Stream>, String>>,
    queue: mpsc::Receiver<Outgoing>,
) -> Event {
    shared.thawed().await;
    let (reader, writer) = match tokio::time::timeout(CONNECT_LIMIT, dressed).await {
        Ok(Ok(stream)) => tokio::io::split(stream),
        Ok(Err(what)) => return Event::Broken(what),
        Err(_) => return Event::Broken("the handshake took too long".to_owned()),
    };
    let reading = async {
        let last = read(shared, id, reader).await;
        // The core's answer to it is the last thing to be written.
        shared.event(id, last);
        std::future::pending().await
    };
    tokio::select! {
        last = reading => last,
        last = write(shared, writer, queue) => last,
    }
}

/// Puts TLS and WebSocket over a socket, as its listener's transport says.
async fn dress(stream: TcpStream, transport: Transport, tls: Option<TlsAcceptor>) -> Result<Box<dyn Stream>, String> {
    // A packet must not wait for the answer to the one before.
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let stream: Box<dyn Stream> = match tls {
        Some(tls) => Box::new(tls.accept(stream).await.map_err(|error| format!("no TLS: {error}"))?),
        None => Box::new(stream),
    };
    if transport.is_websocket() { Ok(Box::new(websocket::accept(stream).await?)) } else { Ok(stream) }
}

/// Reads packets until the stream ends; the result says how it did.
async fn read(shared: &Shared, id: ConnectionId, mut reader: impl AsyncRead + Unpin) -> Event {
    let mut bytes = BytesMut::new();
    let mut first = true;
    loop {
        shared.thawed().await;
        loop {
            let mut event = match packet(&mut bytes, first) {
                Ok(packet) => Event::Packet(packet),
                Err(PacketError::InsufficientBytes(_)) => break,
                Err(error) => return Event::Broken(error.to_string()),
            };
            first = false;
            while let Some(handed_back) = shared.event(id, event) {
                event = handed_back;
                shared.thawed().await;
            }
            // Answers go out between two packets: a burst of them is no reason to call its sender a slow reader.
            tokio::task::yield_now().await;
        }
        bytes.reserve(READ);
        match reader.read_buf(&mut bytes).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => return Event::Gone,
        }
    }
}

/// Takes the next packet out of what came; `first` says that none was taken before.
pub(super) fn packet(bytes: &mut BytesMut, first: bool) -> Result<Packet, PacketError> {
    if first && is_other_version(bytes) {
        return Ok(Packet::Connect(Connect { protocol: Protocol::V5, ..Connect::new("") }));
    }
    Packet::read(bytes, PACKET_LIMIT)
}

/// Whether these are the first bytes of a CONNECT in another version than MQTT 3.1.1. The codec reads MQTT 5 as if it were 3.1.1
/// and refuses 3.1 without telling the client, so this is asked first.
fn is_other_version(bytes: &[u8]) -> bool {
    let Some((&0x10, rest)) = bytes.split_first() else { return false };
    let Some(end) = rest.iter().take(4).position(|byte| byte & 0x80 == 0) else { return false };
    match rest.get(end + 1..) {
        Some([0, 4, b'M', b'Q', b'T', b'T', level, ..]) => *level != 4,
        Some(rest) => rest.starts_with(b"\0\x06MQIsdp"),
        None => false,
    }
}

/// Writes what the core decides until it says that this was all; the result says how it ended.
async fn write(shared: &Shared, mut writer: impl AsyncWrite + Unpin, mut queue: mpsc::Receiver<Outgoing>) -> Event {
    let mut batch = Vec::new();
    loop {
        // Everything that waits goes out in one write.
        queue.recv_many(&mut batch, usize::MAX).await;
        shared.thawed().await;
        let mut bytes = BytesMut::new();
        // A queue that ended without a word belongs to a connection whose peer is gone.
        let mut over = batch.is_empty();
        for outgoing in batch.drain(..) {
            match outgoing {
                Outgoing::Packet(packet) => {
                    if let Err(error) = packet.write(&mut bytes, PACKET_LIMIT) {
                        return Event::Broken(error.to_string());
                    }
                }
                Outgoing::End => over = true,
            }
        }
        let send = async {
            writer.write_all(&bytes).await?;
            if over { writer.shutdown().await } else { writer.flush().await }
        };
        match tokio::time::timeout(if over { CLOSE_LIMIT } else { WRITE_LIMIT }, send).await {
            Ok(Ok(())) if !over => {}
            Err(_) if !over => return Event::Stuck,
            _ => return Event::Gone,
        }
    }
}
