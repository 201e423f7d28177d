//! How a WebSocket begins: a request and its answer over HTTP (RFC 6455, section 4), bounded on both sides.

use bytes::BytesMut;
use data_encoding::BASE64;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio_rustls::rustls::crypto::ring;
use tungstenite::handshake::derive_accept_key;

use super::{Role, WebSocket};
use crate::net::explain;
use crate::net::failure::{Failure, Kind};
use crate::net::http::{self, Answer, HeadError};
use crate::net::road::Road;

/// The WebSocket sub-protocol of MQTT (MQTT 3.1.1, section 6).
const SUBPROTOCOL: &str = "mqtt";

/// Asks the server at the end of a line for a WebSocket that carries MQTT.
pub(in crate::net) async fn upgrade<S>(mut line: S, road: &Road, path: &str) -> Result<WebSocket<S>, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut nonce = [0; 16];
    let random = ring::default_provider().secure_random;
    random.fill(&mut nonce).map_err(|_| Failure::new(Kind::Network, "this system gives no random numbers"))?;
    ask(&mut line, road, path, &BASE64.encode(&nonce)).await?;
    Ok(WebSocket::new(line, Role::Client, BytesMut::new()))
}

/// Asks with this key, and reads the answer and nothing behind it.
pub(super) async fn ask<S>(line: &mut S, road: &Road, path: &str, key: &str) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let broken = |error: HeadError| failed(error, road);
    let request = request(road, path, key);
    let asked = async {
        line.write_all(request.as_bytes()).await?;
        line.flush().await
    };
    asked.await.map_err(|error| broken(error.into()))?;
    let answer = Answer::read(line).await.map_err(broken)?;
    check(&answer, key, &road.at(), path)
}

fn request(road: &Road, path: &str, key: &str) -> String {
    let host = road.authority();
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: gatepost/{version}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n",
        version = env!("CARGO_PKG_VERSION")
    )
}

/// Whether the answer agrees to what was asked for, and to nothing else.
fn check(answer: &Answer, key: &str, at: &str, path: &str) -> Result<(), Failure> {
    let fail = |words: String| Err(Failure::new(Kind::Protocol, words));
    if answer.code != 101 {
        return Err(http::refusal(answer, at, path));
    }
    if !answer.lists("connection", "upgrade") || !answer.lists("upgrade", "websocket") {
        return fail(format!(
            "{at} answered as a web server and not as a WebSocket: perhaps this network's login page (a captive portal), so \
             log in there with a browser; or a proxy in between, or this is not ThingSpeak's MQTT port"
        ));
    }
    if answer.header("sec-websocket-accept") != derive_accept_key(key.as_bytes()) {
        return fail(format!(
            "{at} is no MQTT WebSocket (its answer has the wrong key, as from a cache or a proxy in between): check transport \
             and port"
        ));
    }
    let extensions = answer.header("sec-websocket-extensions");
    if !extensions.is_empty() {
        return fail(format!(
            "{at} is no MQTT WebSocket (it wants the extension {extensions:.60}, which nobody asked for)"
        ));
    }
    let agreed = answer.header("sec-websocket-protocol");
    if agreed != SUBPROTOCOL {
        return fail(format!(
            "{at} opened a WebSocket, but not for MQTT (sub-protocol {agreed:?}): check host and port; a proxy may stand in \
             between"
        ));
    }
    Ok(())
}

/// There is no answer.
fn failed(error: HeadError, road: &Road) -> Failure {
    let at = road.at();
    match error {
        HeadError::Io(error) => explain::io(&error, road),
        HeadError::Closed => explain::closed_at_once(road),
        other => Failure::new(Kind::Protocol, format!("{at} is no MQTT WebSocket ({other}): check transport and port")),
    }
}

/// Why a request got no WebSocket.
#[cfg(feature = "sandbox")]
#[derive(Debug, thiserror::Error)]
#[error("no WebSocket: {0}")]
pub struct Refusal(String);

/// Waits for a request of a WebSocket that carries MQTT at `path`, and agrees to it; the sandbox's side.
///
/// # Errors
/// When something else was asked for. It was answered where it was HTTP.
#[cfg(feature = "sandbox")]
pub async fn accept<S>(mut line: S, path: &str) -> Result<WebSocket<S>, Refusal>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let head = http::read_head(&mut line, b"GET ").await.map_err(|error| Refusal(error.to_string()))?;
    let (answer, refused) = match agree(&head, path) {
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
    told.await.map_err(|error| Refusal(error.to_string()))?;
    match refused {
        None => Ok(WebSocket::new(line, Role::Server, BytesMut::new())),
        Some(words) => {
            // What the peer has sent already and nobody reads would make the end a reset, which may overtake the words.
            let _ = line.shutdown().await;
            Err(Refusal(words))
        }
    }
}

/// The key of a request that asks for the right thing; otherwise the status and the words to refuse it with.
#[cfg(feature = "sandbox")]
fn agree(head: &[u8], path: &str) -> Result<Vec<u8>, (&'static str, String)> {
    const BAD: &str = "400 Bad Request";
    let mut lines = [httparse::EMPTY_HEADER; 100];
    let mut request = httparse::Request::new(&mut lines);
    if !matches!(request.parse(head), Ok(httparse::Status::Complete(_))) {
        return Err((BAD, "this is no HTTP request".to_owned()));
    }
    let header = |name: &'static str| {
        let named = request.headers.iter().filter(move |line| line.name.eq_ignore_ascii_case(name));
        named.flat_map(|line| line.value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
    };
    if request.path.is_none_or(|asked| asked.split('?').next() != Some(path)) {
        return Err(("404 Not Found", format!("there is nothing here; MQTT is at {path}")));
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
        _ => Err((BAD, "there is no Sec-WebSocket-Key".to_owned())),
    }
}
