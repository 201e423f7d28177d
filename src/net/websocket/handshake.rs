//! How a WebSocket begins: a request and its answer over HTTP (RFC 6455, section 4), bounded.

use data_encoding::BASE64;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio_rustls::rustls::crypto::ring;
use tungstenite::handshake::derive_accept_key;

use super::WebSocket;
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
    random.fill(&mut nonce).map_err(|_| Failure::new(Kind::Network, "this system provides no random numbers"))?;
    ask(&mut line, road, path, &BASE64.encode(&nonce)).await?;
    Ok(WebSocket::new(line))
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
            "{at} answered as a web server and not as a WebSocket: perhaps this network's login page (a captive \
             portal), so log in there with a browser; or the answer is from a proxy, or this is not ThingSpeak's MQTT \
             port"
        ));
    }
    if answer.header("sec-websocket-accept") != derive_accept_key(key.as_bytes()) {
        return fail(format!(
            "{at} is not an MQTT WebSocket (its answer has the wrong key; it may come from a cache or a proxy): check \
             transport and port"
        ));
    }
    let extensions = answer.header("sec-websocket-extensions");
    if !extensions.is_empty() {
        return fail(format!(
            "{at} is not an MQTT WebSocket (it uses the extension {extensions:.60}, which gatepost did not request)"
        ));
    }
    let agreed = answer.header("sec-websocket-protocol");
    if agreed != SUBPROTOCOL {
        return fail(format!(
            "{at} opened a WebSocket, but not for MQTT (sub-protocol {agreed:?}): check host and port; the answer may \
             also come from a proxy"
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
        other => Failure::new(
            Kind::Protocol,
            format!(
                "{at} is not an MQTT WebSocket ({other}): check transport and \
                                                       port"
            ),
        ),
    }
}
