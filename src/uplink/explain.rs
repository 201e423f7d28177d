//! The library's errors in words for people: what happened, and what to do.

use async_tungstenite::tungstenite;
use rumqttc::{ConnectReturnCode, ConnectionError, StateError, TlsError, mqttbytes};
use tokio_rustls::rustls;

use crate::time::Utc;
use crate::uplink::failure::{Failure, Kind};
use crate::uplink::link::CONNECT_WITHIN_SECONDS;
use crate::uplink::{Broker, Transport};

/// The other side closed the connection.
pub(super) fn closed() -> Failure {
    Failure::new(
        Kind::Closed,
        "the broker closed the connection: it went down, or another program uses the same MQTT device",
    )
}

/// A connection that was up has ended.
pub(super) fn lost(error: &ConnectionError) -> Failure {
    match error {
        ConnectionError::MqttState(StateError::ConnectionAborted) => closed(),
        other if io_within(other).is_some_and(is_close) => closed(),
        other => Failure::new(Kind::Network, format!("the connection broke: {}", plain(other))),
    }
}

/// The system's error inside the library's: what was read may fail as a state, or as a packet that was not whole.
fn io_within(error: &ConnectionError) -> Option<&std::io::Error> {
    match error {
        ConnectionError::Io(io)
        | ConnectionError::MqttState(StateError::Io(io) | StateError::Deserialization(mqttbytes::Error::Io(io))) => {
            Some(io)
        }
        _ => None,
    }
}

fn is_close(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

/// A connection could not be made, in words that say what to do.
pub(super) fn connect_failure(error: &ConnectionError, broker: &Broker, clock_says: Utc) -> Failure {
    let Broker { host, port, transport, .. } = broker;
    let at = format!("{host}:{port}");
    match error {
        ConnectionError::ConnectionRefused(code) => refused(*code),
        ConnectionError::NetworkTimeout | ConnectionError::FlushTimeout => {
            Failure::new(Kind::Network, format!("{at} did not answer within {CONNECT_WITHIN_SECONDS} s"))
        }
        ConnectionError::Websocket(error) => websocket(error, &at, *transport, clock_says),
        ConnectionError::Tls(TlsError::TLS(error)) => certificate(error, host, clock_says),
        ConnectionError::Tls(TlsError::Io(error)) | ConnectionError::Io(error) => {
            io(error, &at, *transport, clock_says)
        }
        ConnectionError::MqttState(
            StateError::Io(error) | StateError::Deserialization(mqttbytes::Error::Io(error)),
        ) if !is_close(error) => io(error, &at, *transport, clock_says),
        ConnectionError::MqttState(
            StateError::ConnectionAborted | StateError::Io(_) | StateError::Deserialization(mqttbytes::Error::Io(_)),
        ) => Failure::new(
            Kind::Closed,
            format!(
                "{at} closed the connection without answering the login: the credentials may be wrong, another program \
                 may use the same MQTT device, or this is not the port for {transport}"
            ),
        ),
        ConnectionError::NotConnAck(_) | ConnectionError::MqttState(StateError::Deserialization(_)) => {
            Failure::new(Kind::Protocol, format!("{at} does not speak MQTT over {transport}: check transport and port"))
        }
        ConnectionError::ResponseValidation(_) => {
            Failure::new(Kind::Protocol, format!("{at} answered, but not as an MQTT WebSocket: check host and port"))
        }
        other => Failure::new(Kind::Network, format!("{at}: {}", plain(other))),
    }
}

fn refused(code: ConnectReturnCode) -> Failure {
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

fn websocket(error: &tungstenite::Error, at: &str, transport: Transport, clock_says: Utc) -> Failure {
    use tungstenite::Error;
    match error {
        Error::Http(response) => Failure::new(
            Kind::Protocol,
            format!("{at} answered HTTP {} to /mqtt: this is not ThingSpeak's MQTT port", response.status().as_u16()),
        ),
        Error::Io(error) => io(error, at, transport, clock_says),
        other => Failure::new(Kind::Protocol, format!("{at} is no MQTT WebSocket: check transport and port ({other})")),
    }
}

fn io(error: &std::io::Error, at: &str, transport: Transport, clock_says: Utc) -> Failure {
    let host = at.rsplit_once(':').map_or(at, |(host, _)| host);
    if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return certificate(tls, host, clock_says);
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
                format!("the name {host} cannot be resolved: no network, or a wrong host name ({text})")
            } else {
                format!("{at}: {text}")
            }
        }
    };
    Failure::new(Kind::Network, words)
}

fn certificate(error: &rustls::Error, host: &str, clock_says: Utc) -> Failure {
    use rustls::CertificateError as Bad;
    let words = match error {
        rustls::Error::InvalidCertificate(bad) => match bad {
            Bad::Expired | Bad::ExpiredContext { .. } => format!(
                "the certificate of {host} has expired, or the clock of this machine is wrong: it says {clock_says}"
            ),
            Bad::NotValidYet | Bad::NotValidYetContext { .. } => format!(
                "the certificate of {host} is not valid yet, so the clock of this machine is wrong: it says {clock_says}"
            ),
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
                format!("the certificate was not made for {host}: check broker.host; somebody may sit in between")
            }
            // The second: a root of the right name with another key, such as that of an earlier sandbox.
            Bad::UnknownIssuer | Bad::BadSignature => format!(
                "the certificate of {host} was signed by nobody this machine trusts: update ca-certificates, or name the \
                 right ca_file; somebody may sit in between"
            ),
            other => format!("the certificate of {host} is not accepted: {other:?}"),
        },
        rustls::Error::InvalidMessage(_) => {
            return Failure::new(Kind::Protocol, format!("{host} does not speak TLS on this port"));
        }
        other => format!("TLS with {host} failed: {other}"),
    };
    Failure::new(Kind::Tls, words)
}

/// The library's words without its nesting; none of its errors carries a password.
fn plain(error: &ConnectionError) -> String {
    io_within(error).map_or_else(|| error.to_string(), ToString::to_string)
}
