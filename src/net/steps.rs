//! The way to the broker, one step at a time, so that the first one that fails can be told: DNS, TCP, TLS, WebSocket. The
//! login that follows is the uplink's own.
//!
//! Each step takes what the one before gave. Nothing is sent to the broker that could hold a secret before the login that follows.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use async_tungstenite::tungstenite::client::IntoClientRequest as _;
use async_tungstenite::tungstenite::http::HeaderValue;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::hal::Clock;
use crate::net::explain;
use crate::net::failure::{Failure, Kind};
use crate::net::peer::Witness;
use crate::net::{Broker, Transport, tls};

pub use crate::net::peer::Peer;

/// How long each step may take.
const STEP_WITHIN: Duration = Duration::from_secs(15);
/// How long each address of several may take.
const ADDRESS_WITHIN: Duration = Duration::from_secs(5);

/// A line to the broker.
pub trait Line: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Line for T {}

/// The broker's addresses.
///
/// # Errors
/// When its name has none.
pub async fn resolve(broker: &Broker) -> Result<Vec<SocketAddr>, Failure> {
    let Broker { host, port, .. } = broker;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let fail = |why: String| {
        let words = format!(
            "the name {host} cannot be resolved ({why}): {}; `getent hosts {host}` asks the system",
            explain::cause_of_no_address(host)
        );
        Failure::new(Kind::Network, words)
    };
    let addresses = timeout(STEP_WITHIN, tokio::net::lookup_host((bare, *port))).await;
    let addresses = addresses.map_err(|_| fail(format!("no answer within {} s", STEP_WITHIN.as_secs())))?;
    let mut addresses: Vec<_> = addresses.map_err(|error| fail(error.to_string()))?.collect();
    addresses.dedup();
    if addresses.is_empty() { Err(fail("it has no address".to_owned())) } else { Ok(addresses) }
}

/// What a TCP connection to each address came to: the first one that stood, and those before it that did not.
pub struct Reached {
    /// The line, its address, and how long it took.
    pub line: Option<(TcpStream, SocketAddr, Duration)>,
    /// The addresses that failed before.
    pub failed: Vec<(SocketAddr, Failure)>,
}

/// Connects to the first address that answers.
pub async fn reach(broker: &Broker, addresses: &[SocketAddr], clock: &dyn Clock) -> Reached {
    let mut failed = Vec::new();
    for address in addresses {
        let since = Instant::now();
        let failure = match timeout(ADDRESS_WITHIN, TcpStream::connect(address)).await {
            Ok(Ok(line)) => return Reached { line: Some((line, *address, since.elapsed())), failed },
            Ok(Err(error)) => explain::io(&error, &address.to_string(), broker.transport, clock),
            Err(_) => Failure::new(
                Kind::Network,
                format!(
                    "{address} did not answer within {} s: a firewall on the way may swallow the connection",
                    ADDRESS_WITHIN.as_secs()
                ),
            ),
        };
        failed.push((*address, failure));
    }
    Reached { line: None, failed }
}

/// What TLS came to.
pub struct Secured {
    /// The line within TLS.
    pub line: Result<Box<dyn Line>, Failure>,
    /// Whose certificate was shown, accepted or not.
    pub peer: Option<Peer>,
    /// The roots that it was held against.
    pub roots: String,
}

/// Talks TLS over a line, and verifies as the daemon does.
///
/// # Panics
/// When reading files panicked.
pub async fn secure(broker: &Broker, line: TcpStream, clock: &dyn Clock) -> Secured {
    let ca_file = broker.ca_file.clone();
    let read = tokio::task::spawn_blocking(move || tls::roots(ca_file.as_deref())).await;
    let (roots, whose) = match read.expect("reading files does not panic") {
        Ok(roots) => roots,
        Err(failure) => return Secured { line: Err(failure), peer: None, roots: "no roots".to_owned() },
    };
    let fail = |words: String| Failure::new(Kind::Tls, words);
    let host = broker.host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(host).map_err(|_| fail(format!("{} is no name for a certificate", broker.host)));
    let made = name.and_then(|name| Ok((name, Witness::config(roots).map_err(fail)?)));
    let (name, (config, witness)) = match made {
        Ok(made) => made,
        Err(failure) => return Secured { line: Err(failure), peer: None, roots: whose },
    };
    let at = format!("{}:{}", broker.host, broker.port);
    let line = match timeout(STEP_WITHIN, TlsConnector::from(config).connect(name, line)).await {
        Ok(Ok(line)) => Ok(Box::new(line) as Box<dyn Line>),
        Ok(Err(error)) => Err(explain::io(&error, &at, broker.transport, clock)),
        Err(_) => Err(fail(format!(
            "{at} did not answer TLS within {} s: perhaps this is not the port for {}",
            STEP_WITHIN.as_secs(),
            broker.transport
        ))),
    };
    Secured { line, peer: witness.seen(), roots: whose }
}

/// Asks for the WebSocket. Returns the status and the sub-protocol that was agreed on.
///
/// # Errors
/// When something else answers.
pub async fn upgrade(broker: &Broker, line: Box<dyn Line>, clock: &dyn Clock) -> Result<(u16, String), Failure> {
    const PROTOCOL: &str = "Sec-WebSocket-Protocol";
    let Broker { port, transport, .. } = broker;
    let at = format!("{}:{port}", broker.host);
    let fail = |words: String| Failure::new(Kind::Protocol, words);
    let mut request = crate::uplink::link::url(broker)
        .into_client_request()
        .map_err(|error| fail(format!("{at} is no address of a WebSocket: {error}")))?;
    request.headers_mut().insert(PROTOCOL, HeaderValue::from_static("mqtt"));
    let asked = timeout(STEP_WITHIN, async_tungstenite::tokio::client_async(request, line)).await;
    let silent = || {
        fail(format!(
            "{at} did not answer the request for a WebSocket within {} s: perhaps this is not the port for {transport}",
            STEP_WITHIN.as_secs()
        ))
    };
    let (_, response) =
        asked.map_err(|_| silent())?.map_err(|error| explain::websocket(&error, &at, *transport, clock))?;
    let agreed = response.headers().get(PROTOCOL).and_then(|value| value.to_str().ok()).unwrap_or_default().trim();
    if agreed == "mqtt" {
        Ok((response.status().as_u16(), agreed.to_owned()))
    } else {
        Err(fail(format!(
            "{at} opened a WebSocket, but not for MQTT (sub-protocol {agreed:?}): check host and port; a proxy may stand in \
             between"
        )))
    }
}

impl Transport {
    /// Whether MQTT travels in a WebSocket.
    pub const fn is_websocket(self) -> bool {
        matches!(self, Self::Wss | Self::Ws)
    }
}
