//! One update, sent as a person with another MQTT device would send it: connect, subscribe, ask for a sign of life, publish,
//! ask again, disconnect.
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
    let mut errand = Errand::new(channel, pairs);
    loop {
        let event = broker.poll().await?;
        if event == Event::Outgoing(Outgoing::Disconnect) {
            return Ok(errand.outcome);
        }
        broker.pending.extend(errand.event(&event));
    }
}

/// The course of an errand. Pure.
///
/// The channel's last entry may be pushed after SUBSCRIBE, and may hold the very values that are to be sent. So the first
/// ping goes out before the update: its answer comes after what was pushed. Then only an entry that is newer than all seen
/// can be the own one.
struct Errand<'a> {
    channel: ChannelId,
    feed: String,
    pairs: &'a [(String, String)],
    sent: bool,
    /// The largest entry id seen.
    newest: Option<u64>,
    outcome: Outcome,
}

impl<'a> Errand<'a> {
    fn new(channel: ChannelId, pairs: &'a [(String, String)]) -> Self {
        let feed = format!("channels/{channel}/subscribe");
        Self { channel, feed, pairs, sent: false, newest: None, outcome: Outcome::Read }
    }

    /// Takes what happened and says what is to be sent.
    fn event(&mut self, event: &Event) -> Vec<Request> {
        match event {
            Event::Incoming(Packet::ConnAck(_)) => {
                vec![Request::Subscribe(Subscribe::new(&self.feed, QoS::AtMostOnce))]
            }
            Event::Incoming(Packet::SubAck(answer)) => {
                if !answer.return_codes.contains(&SubscribeReasonCode::Failure) {
                    self.outcome = Outcome::NotSeen;
                }
                vec![Request::PingReq(PingReq)]
            }
            Event::Incoming(Packet::PingResp) if !self.sent => {
                let topic = format!("channels/{}/publish", self.channel);
                let update = Publish::new(topic, QoS::AtMostOnce, form(self.pairs));
                vec![Request::Publish(update), Request::PingReq(PingReq)]
            }
            Event::Outgoing(Outgoing::Publish(_)) => {
                self.sent = true;
                Vec::new()
            }
            Event::Incoming(Packet::Publish(message)) if message.topic == self.feed => {
                self.hear(&message.payload);
                Vec::new()
            }
            Event::Incoming(Packet::PingResp) => vec![Request::Disconnect(Disconnect)],
            _ => Vec::new(),
        }
    }

    fn hear(&mut self, payload: &[u8]) {
        let Ok(feed) = serde_json::from_slice::<serde_json::Value>(payload) else { return };
        let Some(entry_id) = feed["entry_id"].as_u64() else { return };
        if self.newest.is_some_and(|newest| entry_id <= newest) {
            return;
        }
        self.newest = Some(entry_id);
        if self.sent && !matches!(self.outcome, Outcome::Stored(_)) && holds(&feed, self.pairs) {
            self.outcome = Outcome::Stored(entry_id);
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

/// Whether a feed message holds every value that was sent.
fn holds(feed: &serde_json::Value, pairs: &[(String, String)]) -> bool {
    pairs.iter().all(|(name, sent)| {
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
    })
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
    use crate::net::Transport;
    use crate::sandbox::{Channel, Device, Options, Rights, Sandbox, Switches};

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn values_travel_escaped() {
        assert_eq!(form(&pairs(&[("field1", "20.5"), ("status", "a b+c&d")])), "field1=20.5&status=a%20b%2Bc%26d");
    }

    #[test]
    fn an_echo_is_ones_own_only_with_ones_own_values() {
        let feed = serde_json::json!({"channel_id":1,"entry_id":7,"field1":"on","field2":2.5,"latitude":"60.1"});
        assert!(holds(&feed, &pairs(&[("field1", "on"), ("field2", "2.50"), ("lat", "60.1")])));
        assert!(!holds(&feed, &pairs(&[("field1", "off")])));
        assert!(!holds(&feed, &pairs(&[("field3", "")])));
    }

    /// What the feed says of an entry with this id and field 1 on.
    fn entry(id: u64) -> Event {
        let payload = format!(r#"{{"channel_id":3,"entry_id":{id},"field1":"on"}}"#);
        Event::Incoming(Packet::Publish(Publish::new("channels/3/subscribe", QoS::AtMostOnce, payload)))
    }

    fn outcome_of(events: &[Event]) -> Outcome {
        let update = pairs(&[("field1", "on")]);
        let mut errand = Errand::new(ChannelId(3), &update);
        errand.outcome = Outcome::NotSeen;
        for event in events {
            errand.event(event);
        }
        errand.outcome
    }

    #[test]
    fn an_entry_from_before_the_update_is_not_its_echo_whenever_it_comes() {
        let sent = Event::Outgoing(Outgoing::Publish(0));
        assert_eq!(outcome_of(&[entry(7)]), Outcome::NotSeen);
        assert_eq!(outcome_of(&[entry(7), sent.clone()]), Outcome::NotSeen);
        assert_eq!(outcome_of(&[entry(7), sent.clone(), entry(7), entry(6)]), Outcome::NotSeen);
        assert_eq!(outcome_of(&[entry(7), sent.clone(), entry(8), entry(9)]), Outcome::Stored(8));
        assert_eq!(outcome_of(&[sent.clone(), entry(1)]), Outcome::Stored(1));
        let noise = Event::Incoming(Packet::Publish(Publish::new("channels/3/subscribe", QoS::AtMostOnce, *b"\xff {")));
        assert_eq!(outcome_of(&[sent, noise]), Outcome::NotSeen);
    }

    #[tokio::test]
    async fn a_dropped_update_with_the_values_of_the_pushed_last_entry_is_not_called_stored() {
        let channel = ChannelId(3);
        let device = Device::generate().with(channel, Rights::ALL);
        let options = Options {
            channels: vec![Channel::new(channel)],
            devices: vec![device.clone()],
            switches: Switches { push_last_on_subscribe: true, ..Switches::default() },
            ..Options::default()
        };
        let sandbox = Sandbox::start(options).await.expect("free ports");
        let addr = sandbox.addr(Transport::Tcp);
        let update = pairs(&[("field1", "on")]);
        let mut outcomes = Vec::new();
        for _ in 0..2 {
            outcomes.push(publish(addr, &device.credentials, channel, &update).await.expect("it listens"));
        }
        // The second comes within the 15 s of a free channel.
        assert_eq!(outcomes, [Outcome::Stored(1), Outcome::NotSeen]);
    }
}
