//! One update, sent as a person with another MQTT device would send it: connect, subscribe, publish, ask for a sign of
//! life, disconnect.
//!
//! The broker reads in order, so its answer to a ping proves that the update before it was read; and where the sandbox tells
//! its subscribers at once, the echo has come before that answer. This is a tool for people at a sandbox, not the uplink.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rumqttc::{
    ConnectReturnCode, ConnectionError, Disconnect, Event, EventLoop, MqttOptions, Outgoing, Packet, PingReq, Publish,
    QoS, Request, StateError, Subscribe, SubscribeReasonCode,
};
use secrecy::ExposeSecret;

use crate::entry::ChannelId;
use crate::thingspeak::credentials::Credentials;

/// How long the whole errand may take.
const LIMIT: Duration = Duration::from_secs(15);

/// What became of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Outcome {
    /// It came back on the channel's feed.
    #[error("stored as entry {0}")]
    Stored(u64),
    /// It was read, and did not come back before the broker's next answer.
    #[error(
        "read by the broker, but not seen in the channel: it came within the license's interval of another update, or its \
         created_at exists, or the device may not publish here; the sandbox's own lines say which"
    )]
    NotSeen,
    /// It was read; the device may not subscribe to the channel, so nobody can say more.
    #[error("read by the broker; this device may not subscribe to the channel, so whether it was stored is not known")]
    Read,
}

/// Why an update did not get to the broker.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The credentials belong to another sandbox: was the folder made anew?
    #[error("{addr} refused the login: client id, user name or password is wrong")]
    Refused {
        /// The broker.
        addr: SocketAddr,
    },
    /// Is the sandbox running?
    #[error("{addr} cannot be reached ({error}); is the sandbox running?")]
    Unreachable {
        /// The broker.
        addr: SocketAddr,
        /// The system's words.
        error: std::io::Error,
    },
    /// The connection ended on the way.
    #[error("the connection to {addr} ended before the update was known to be read: {error}")]
    Lost {
        /// The broker.
        addr: SocketAddr,
        /// What happened.
        error: Box<ConnectionError>,
    },
    /// Nothing came.
    #[error("{addr} did not answer within {} s", LIMIT.as_secs())]
    Silent {
        /// The broker.
        addr: SocketAddr,
    },
}

/// Sends one update over MQTT on plain TCP.
///
/// # Errors
/// See [`PublishError`]; an update that arrived and was not stored is no error but an [`Outcome`].
pub async fn publish(
    addr: SocketAddr,
    credentials: &Credentials,
    channel: ChannelId,
    pairs: &[(String, String)],
) -> Result<Outcome, PublishError> {
    let host = match addr.ip() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    let mut options = MqttOptions::new(&credentials.client_id, host, addr.port());
    options.set_credentials(&credentials.username, credentials.password.expose_secret());
    match tokio::time::timeout(LIMIT, converse(options, channel, pairs)).await {
        Ok(Ok(outcome)) => Ok(outcome),
        Ok(Err(error)) => Err(explained(addr, error)),
        Err(_) => Err(PublishError::Silent { addr }),
    }
}

async fn converse(
    options: MqttOptions,
    channel: ChannelId,
    pairs: &[(String, String)],
) -> Result<Outcome, ConnectionError> {
    let mut broker = EventLoop::new(options, 8);
    let feed = format!("channels/{channel}/subscribe");
    let mut outcome = Outcome::Read;
    loop {
        match broker.poll().await? {
            Event::Incoming(Packet::ConnAck(_)) => {
                broker.pending.push_back(Request::Subscribe(Subscribe::new(&feed, QoS::AtMostOnce)));
            }
            Event::Incoming(Packet::SubAck(answer)) => {
                if !answer.return_codes.contains(&SubscribeReasonCode::Failure) {
                    outcome = Outcome::NotSeen;
                }
                let update = Publish::new(format!("channels/{channel}/publish"), QoS::AtMostOnce, form(pairs));
                broker.pending.extend([Request::Publish(update), Request::PingReq(PingReq)]);
            }
            Event::Incoming(Packet::Publish(message)) if message.topic == feed => {
                if let Some(entry_id) = echo_of(pairs, &message.payload) {
                    outcome = Outcome::Stored(entry_id);
                }
            }
            Event::Incoming(Packet::PingResp) => broker.pending.push_back(Request::Disconnect(Disconnect)),
            Event::Outgoing(Outgoing::Disconnect) => return Ok(outcome),
            _ => {}
        }
    }
}

fn explained(addr: SocketAddr, error: ConnectionError) -> PublishError {
    match error {
        ConnectionError::ConnectionRefused(
            ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized | ConnectReturnCode::BadClientId,
        ) => PublishError::Refused { addr },
        ConnectionError::Io(error) | ConnectionError::MqttState(StateError::Io(error)) => {
            PublishError::Unreachable { addr, error }
        }
        error => PublishError::Lost { addr, error: Box::new(error) },
    }
}

/// The entry id of a feed message, if it holds every value that was sent.
fn echo_of(pairs: &[(String, String)], payload: &[u8]) -> Option<u64> {
    let feed: serde_json::Value = serde_json::from_slice(payload).ok()?;
    let same = |(name, sent): &(String, String)| {
        let value = match name.as_str() {
            "lat" => &feed["latitude"],
            "long" => &feed["longitude"],
            // The service writes a time in its own way.
            "created_at" => return true,
            name => &feed[name],
        };
        match value {
            serde_json::Value::String(text) => text == sent,
            serde_json::Value::Number(number) => sent.parse().ok() == number.as_f64(),
            _ => false,
        }
    };
    if pairs.iter().all(same) { feed["entry_id"].as_u64() } else { None }
}

/// Pairs in the form encoding of the channel feed.
fn form(pairs: &[(String, String)]) -> String {
    let pairs: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect();
    pairs.join("&")
}

fn escaped(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn values_travel_escaped() {
        assert_eq!(form(&pairs(&[("field1", "20.5"), ("status", "a b+c&d")])), "field1=20.5&status=a%20b%2Bc%26d");
    }

    #[test]
    fn an_echo_is_ones_own_only_with_ones_own_values() {
        let feed = br#"{"channel_id":1,"entry_id":7,"field1":"on","field2":2.5,"latitude":"60.1"}"#;
        assert_eq!(echo_of(&pairs(&[("field1", "on"), ("field2", "2.50"), ("lat", "60.1")]), feed), Some(7));
        assert_eq!(echo_of(&pairs(&[("field1", "off")]), feed), None);
        assert_eq!(echo_of(&pairs(&[("field3", "")]), feed), None);
        assert_eq!(echo_of(&pairs(&[("field1", "on")]), b"\xff not json"), None);
    }
}
