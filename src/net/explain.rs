//! What the system and the libraries say, in words for people: what happened, and what to do.

use std::io;

use rumqttc::mqttbytes::v4::ConnectReturnCode;

use super::broker::Transport;
use super::failure::{Failure, Kind};
use super::road::Road;
use super::violation::Violation;
use super::websocket::close::Closed;

/// The other side closed the connection.
fn closed(error: &io::Error) -> Failure {
    let reason = Closed::within(error).map_or_else(String::new, |closed| format!(" ({closed})"));
    let words = format!(
        "the broker closed the connection{reason}; if it does so repeatedly, another program may use the same MQTT \
         device"
    );
    Failure::new(Kind::Closed, words)
}

/// A connection that was up has ended.
pub(super) fn lost(error: &io::Error) -> Failure {
    if let Some(violation) = Violation::within(error) {
        let words = format!("gatepost ended the connection: the broker broke the protocol: {violation}");
        return Failure::new(Kind::Protocol, words);
    }
    if is_close(error) { closed(error) } else { Failure::new(Kind::Network, format!("the connection broke: {error}")) }
}

fn is_close(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

/// The connection stood, and ended before the login was answered.
pub(super) fn before_login(error: &io::Error, road: &Road) -> Failure {
    let (at, transport) = (road.at(), road.transport);
    match Violation::within(error) {
        Some(violation @ (Violation::NoPacket(_) | Violation::PacketTooLong(..))) => Failure::new(
            Kind::Protocol,
            format!("{at} does not speak MQTT over {transport} ({violation}): check transport and port"),
        ),
        Some(violation) => {
            Failure::new(Kind::Protocol, format!("{at} broke the protocol before the login: {violation}"))
        }
        None if is_close(error) => unanswered(&at, transport, Closed::within(error)),
        None => io(error, road),
    }
}

fn unanswered(at: &str, transport: Transport, closed: Option<&Closed>) -> Failure {
    // Where a WebSocket for MQTT was agreed on, the port is the right one.
    let words = match closed {
        Some(closed) => format!(
            "{at} closed the connection in answer to the login ({closed}): user name, client ID or password may be wrong, or \
             another program may use the same MQTT device. If the password was reset on the web page, replace the credentials \
             file; it is read again before each try"
        ),
        None => format!(
            "{at} closed the connection without answering the login: the credentials may be wrong, another program may \
             use the same MQTT device, or this is not the port for {transport}"
        ),
    };
    Failure::new(Kind::Closed, words).instead_of_login()
}

/// The broker refused the login with this code of a CONNACK.
pub(super) fn refused(code: ConnectReturnCode) -> Failure {
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
            return Failure::new(Kind::Network, "the broker reports that it is not available now");
        }
        ConnectReturnCode::RefusedProtocolVersion => {
            return Failure::new(Kind::Protocol, "the broker refuses MQTT 3.1.1");
        }
        ConnectReturnCode::Success => unreachable!("success is no refusal"),
    };
    Failure::new(Kind::Login, words)
}

/// A line was closed before it was of any use: no login was sent on it, so none was refused.
pub(super) fn closed_at_once(road: &Road) -> Failure {
    let words =
        format!("{} closed the connection at once: perhaps this is not the port for {}", road.at(), road.transport);
    Failure::new(Kind::Closed, words)
}

/// A line could not be made, or broke before the login.
pub(super) fn io(error: &io::Error, road: &Road) -> Failure {
    at(error, &road.at(), road)
}

/// The same, at this address.
pub(super) fn at(error: &io::Error, at: &str, road: &Road) -> Failure {
    if let Some(violation) = Violation::within(error) {
        return Failure::new(Kind::Protocol, format!("{at} broke the protocol: {violation}"));
    }
    let words = match error.kind() {
        io::ErrorKind::ConnectionRefused => format!("nothing listens at {at}"),
        io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof => return closed_at_once(road),
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => format!("no route to {at}"),
        _ => format!("{at}: {error}"),
    };
    Failure::new(Kind::Network, words)
}

/// A name has no address.
pub(super) fn no_address(host: &str, why: &str) -> Failure {
    let words = format!(
        "the name {host} cannot be resolved ({why}): {}; check with `getent hosts {host}`",
        cause_of_no_address(host)
    );
    Failure::new(Kind::Network, words)
}

/// Why a name has no address. Names below `.local` are asked for with mDNS, by a library that a static program (the package for
/// 32-bit Pis) cannot load.
fn cause_of_no_address(host: &str) -> &'static str {
    let is_local = host.rsplit('.').next().is_some_and(|last| last.eq_ignore_ascii_case("local"));
    if cfg!(target_feature = "crt-static") && is_local {
        "this build for 32-bit Pis cannot look up names that end in .local, so write the address instead"
    } else {
        "no network, no name server or a wrong host name"
    }
}
