//! The library's errors in words for people: what happened, and what to do.

use async_tungstenite::tungstenite;
use async_tungstenite::tungstenite::http::Response;
use async_tungstenite::tungstenite::http::header::{CONTENT_TYPE, LOCATION};
use rumqttc::{ConnectReturnCode, ConnectionError, StateError, TlsError};
use tokio_rustls::rustls;

use crate::hal::Clock;
use crate::net::certificate::tls_failure;
use crate::net::failure::{Failure, Kind};
use crate::net::{Broker, Transport};
use crate::uplink::link::CONNECT_WITHIN_SECONDS;

/// The other side closed the connection.
pub(crate) fn closed() -> Failure {
    let words =
        "the broker closed the connection; if it does so again and again, another program may use the same MQTT device";
    Failure::new(Kind::Closed, words)
}

/// A connection that was up has ended.
pub(crate) fn lost(error: &ConnectionError) -> Failure {
    let was_closed = matches!(error, ConnectionError::MqttState(StateError::ConnectionAborted));
    if was_closed || io_within(error).is_some_and(is_close) {
        closed()
    } else {
        Failure::new(Kind::Network, format!("the connection broke: {}", plain(error)))
    }
}

/// The socket's own error. What fails while a packet is read comes as one of the packet's form.
fn io_within(error: &ConnectionError) -> Option<&std::io::Error> {
    match error {
        ConnectionError::MqttState(
            StateError::Io(io) | StateError::Deserialization(rumqttc::mqttbytes::Error::Io(io)),
        )
        | ConnectionError::Tls(TlsError::Io(io))
        | ConnectionError::Io(io) => Some(io),
        _ => None,
    }
}

fn is_close(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

/// A connection could not be made, in words that say what to do.
pub(crate) fn connect_failure(error: &ConnectionError, broker: &Broker, clock: &dyn Clock) -> Failure {
    let Broker { host, port, transport, .. } = broker;
    let at = format!("{host}:{port}");
    if let (ConnectionError::MqttState(_), Some(error)) = (error, io_within(error)) {
        // The connection stood, and ended before the login was answered.
        return if is_close(error) { unanswered(&at, *transport) } else { io(error, &at, *transport, clock) };
    }
    match error {
        ConnectionError::ConnectionRefused(code) => refused(*code),
        ConnectionError::NetworkTimeout | ConnectionError::FlushTimeout => {
            Failure::new(Kind::Network, format!("{at} did not answer within {CONNECT_WITHIN_SECONDS} s"))
        }
        ConnectionError::Websocket(error) => websocket(error, &at, *transport, clock),
        ConnectionError::Tls(TlsError::TLS(error)) => tls_failure(error, host, clock),
        ConnectionError::Tls(TlsError::Io(error)) | ConnectionError::Io(error) => io(error, &at, *transport, clock),
        ConnectionError::MqttState(StateError::ConnectionAborted) => unanswered(&at, *transport),
        ConnectionError::NotConnAck(_) | ConnectionError::MqttState(StateError::Deserialization(_)) => {
            Failure::new(Kind::Protocol, format!("{at} does not speak MQTT over {transport}: check transport and port"))
        }
        ConnectionError::ResponseValidation(_) => {
            Failure::new(Kind::Protocol, format!("{at} answered, but not as an MQTT WebSocket: check host and port"))
        }
        other => Failure::new(Kind::Network, format!("{at}: {}", plain(other))),
    }
}

fn unanswered(at: &str, transport: Transport) -> Failure {
    Failure::new(
        Kind::Closed,
        format!(
            "{at} closed the connection without answering the login: the credentials may be wrong, another program may \
             use the same MQTT device, or this is not the port for {transport}"
        ),
    )
}

fn refused(code: ConnectReturnCode) -> Failure {
    in_words(code).by_connack(code as u8)
}

fn in_words(code: ConnectReturnCode) -> Failure {
    let words = match code {
        ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized => {
            "the broker refused the login: user name, client ID or password is wrong, or another program uses the same \
             MQTT device. If the password was reset on the web page, replace the credentials file; it is read again \
             before each try"
        }
        ConnectReturnCode::BadClientId => {
            "the broker refused the client ID: it must be the one ThingSpeak gave this MQTT device"
        }
        ConnectReturnCode::ServiceUnavailable => {
            return Failure::new(Kind::Network, "the broker says that it is not available now");
        }
        ConnectReturnCode::RefusedProtocolVersion => {
            return Failure::new(Kind::Protocol, "the broker refuses MQTT 3.1.1");
        }
        ConnectReturnCode::Success => unreachable!("success is no refusal"),
    };
    Failure::new(Kind::Login, words)
}

/// An answer of the web to a WebSocket's request. What stands in between gives itself away: a login page redirects or is a
/// page itself.
fn http(response: &Response<Option<Vec<u8>>>, at: &str) -> Failure {
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let code = response.status().as_u16();
    let what = match code {
        300..=399 => {
            // Where to, without what a login page puts behind it.
            let to = header(LOCATION).split(['?', '#']).next().unwrap_or_default();
            format!(
                "this network sends the connection on to {to:.100}: perhaps its login page (a captive portal), so log in \
                 there with a browser; or this is not ThingSpeak's MQTT port"
            )
        }
        200..=299 if header(CONTENT_TYPE).starts_with("text/html") => {
            "a web page instead of a WebSocket: perhaps this network's login page (a captive portal), so log in there with a \
             browser; or a proxy in between, or this is not ThingSpeak's MQTT port"
                .to_owned()
        }
        407 | 511 => "this network lets nobody out before a login: ask who runs it, or log in with a browser".to_owned(),
        500..=599 => "whoever answers there has trouble of his own, or stands in between: try again later".to_owned(),
        _ => "this is not ThingSpeak's MQTT port".to_owned(),
    };
    Failure::new(Kind::Protocol, format!("{at} answered HTTP {code} to /mqtt: {what}"))
}

pub(crate) fn websocket(error: &tungstenite::Error, at: &str, transport: Transport, clock: &dyn Clock) -> Failure {
    use tungstenite::Error;
    use tungstenite::error::ProtocolError;
    match error {
        Error::Http(response) => http(response, at),
        Error::Io(error) => io(error, at, transport, clock),
        // A page as servers of old give it, or one that agrees to a WebSocket without changing over to it.
        Error::Protocol(
            ProtocolError::WrongHttpVersion
            | ProtocolError::MissingConnectionUpgradeHeader
            | ProtocolError::MissingUpgradeWebSocketHeader,
        ) => Failure::new(
            Kind::Protocol,
            format!(
                "{at} answered as a web server and not as a WebSocket: perhaps this network's login page (a captive portal), so \
                 log in there with a browser; or a proxy in between, or this is not ThingSpeak's MQTT port"
            ),
        ),
        other => Failure::new(Kind::Protocol, format!("{at} is no MQTT WebSocket ({other}): check transport and port")),
    }
}

pub(crate) fn io(error: &std::io::Error, at: &str, transport: Transport, clock: &dyn Clock) -> Failure {
    let host = at.rsplit_once(':').map_or(at, |(host, _)| host);
    if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return tls_failure(tls, host, clock);
    }
    let words = match error.kind() {
        std::io::ErrorKind::ConnectionRefused => format!("nothing listens at {at}"),
        std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::UnexpectedEof => {
            return Failure::new(
                Kind::Closed,
                format!("{at} closed the connection at once: perhaps this is not the port for {transport}"),
            );
        }
        std::io::ErrorKind::NetworkUnreachable | std::io::ErrorKind::HostUnreachable => format!("no route to {at}"),
        _ => {
            let text = error.to_string();
            if text.contains("lookup") || text.contains("resolve") || text.contains("Name or service") {
                format!("the name {host} cannot be resolved: {} ({text})", cause_of_no_address(host))
            } else {
                format!("{at}: {text}")
            }
        }
    };
    Failure::new(Kind::Network, words)
}

/// Why a name has no address. Names below `.local` are asked for with mDNS, by a library that a static program (the package for
/// 32-bit Pis) cannot load.
pub(crate) fn cause_of_no_address(host: &str) -> &'static str {
    let is_local = host.rsplit('.').next().is_some_and(|last| last.eq_ignore_ascii_case("local"));
    if cfg!(target_feature = "crt-static") && is_local {
        "this build for 32-bit Pis cannot look up names that end in .local, so write the address instead"
    } else {
        "no network, no name server, or a wrong host name"
    }
}

/// The library's words without its nesting; none of its errors carries a password.
fn plain(error: &ConnectionError) -> String {
    io_within(error).map_or_else(|| error.to_string(), ToString::to_string)
}
