//! One update, sent as a person with another MQTT device would send it: connect, subscribe, ask for a sign of life, publish,
//! ask again, disconnect.
//!
//! The broker reads in order, so its answer to a ping proves that the update before it was read; and where the sandbox tells
//! its subscribers at once, the echo has come before that answer. This is a tool for people at a sandbox, not the uplink.

use std::net::SocketAddr;
use std::time::Duration;

use crate::entry::ChannelId;
use crate::hal::SystemClock;
use crate::net::dial::Memory;
use crate::net::failure::{Failure, Kind};
use crate::net::mqtt::{Incoming, Login, Mqtt};
use crate::net::{Broker, Transport, dial};
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
    #[error("{0}; is the sandbox running?")]
    Unreachable(Failure),
    /// The connection ended on the way.
    #[error("the connection to {addr} ended before the update was known to be read: {failure}")]
    Lost {
        /// The broker.
        addr: SocketAddr,
        /// What happened.
        failure: Failure,
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
    let errand = async {
        let mqtt = log_in(addr, credentials).await?;
        let run = Errand::new(channel, pairs).run(mqtt).await;
        run.map_err(|failure| PublishError::Lost { addr, failure })
    };
    tokio::time::timeout(LIMIT, errand).await.unwrap_or(Err(PublishError::Silent { addr }))
}

async fn log_in(addr: SocketAddr, credentials: &Credentials) -> Result<Mqtt, PublishError> {
    let host = addr.ip().to_string();
    let broker = Broker::at(&host, addr.port(), Transport::Tcp);
    let dialled = dial(&broker, None, &mut Memory::default(), &SystemClock, |_| ()).await;
    let line = dialled.map_err(|obstacle| PublishError::Unreachable(obstacle.failure))?;
    let Credentials { client_id, username, password, .. } = credentials;
    let login = Login { client_id, username, password, keep_alive: LIMIT };
    Mqtt::login(line, &login, &broker.road(&host)).await.map_err(|failure| match failure.kind {
        Kind::Login => PublishError::Refused { addr },
        _ => PublishError::Lost { addr, failure },
    })
}

/// The course of an errand.
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

    async fn run(mut self, mut mqtt: Mqtt) -> Result<Outcome, Failure> {
        mqtt.subscribe(self.feed.clone())?;
        mqtt.flush().await?;
        loop {
            match mqtt.next().await? {
                Incoming::SubAck(_, granted) => {
                    if granted {
                        self.outcome = Outcome::NotSeen;
                    }
                    mqtt.ping()?;
                    mqtt.flush().await?;
                }
                Incoming::Pong if !self.sent => {
                    mqtt.publish(format!("channels/{}/publish", self.channel), form(self.pairs))?;
                    mqtt.ping()?;
                    mqtt.flush().await?;
                    self.sent = true;
                }
                Incoming::Pong => {
                    mqtt.disconnect().await;
                    return Ok(self.outcome);
                }
                Incoming::Message { topic, payload, .. } => {
                    if topic == self.feed {
                        self.hear(&payload);
                    }
                }
            }
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

    /// What becomes of an update of field 1 that is sent, or a message that comes, in this order.
    fn outcome_of(course: &[Option<&str>]) -> Outcome {
        let update = pairs(&[("field1", "on")]);
        let mut errand = Errand::new(ChannelId(3), &update);
        errand.outcome = Outcome::NotSeen;
        for heard in course {
            match heard {
                Some(message) => errand.hear(message.as_bytes()),
                None => errand.sent = true,
            }
        }
        errand.outcome
    }

    #[test]
    fn an_entry_from_before_the_update_is_not_its_echo_whenever_it_comes() {
        const SENT: Option<&str> = None;
        let text = |id: u64| format!(r#"{{"channel_id":3,"entry_id":{id},"field1":"on"}}"#);
        let texts: Vec<String> = (0..10).map(text).collect();
        let entry = |id: usize| Some(texts[id].as_str());
        assert_eq!(outcome_of(&[entry(7)]), Outcome::NotSeen);
        assert_eq!(outcome_of(&[entry(7), SENT]), Outcome::NotSeen);
        assert_eq!(outcome_of(&[entry(7), SENT, entry(7), entry(6)]), Outcome::NotSeen);
        assert_eq!(outcome_of(&[entry(7), SENT, entry(8), entry(9)]), Outcome::Stored(8));
        assert_eq!(outcome_of(&[SENT, entry(1)]), Outcome::Stored(1));
        assert_eq!(outcome_of(&[SENT, Some("? {")]), Outcome::NotSeen);
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
