//! One update, sent as a person with another MQTT device would send it: connect, subscribe, ask for a sign of life, publish,
//! ask again, disconnect.
//!
//! The broker reads in order, so its answer to a ping proves that the update before it was read; and where the sandbox tells
//! its subscribers at once, the echo has come before that answer. This is a tool for people at a sandbox, not the uplink.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use rumqttc::mqttbytes::v4::{Connect, ConnectReturnCode, Login, Packet, Publish, Subscribe, SubscribeReasonCode};
use rumqttc::mqttbytes::{Error as PacketError, QoS};
use secrecy::ExposeSecret as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::{Credentials, PACKET_LIMIT};

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
        "read by the broker, but not stored: it arrived within the license's interval of another update, or its \
         created_at exists, or the device may not publish here; the sandbox's log says which"
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
    #[error("{addr} cannot be reached: {error}; is the sandbox running?")]
    Unreachable {
        /// The broker.
        addr: SocketAddr,
        /// The system's words.
        error: io::Error,
    },
    /// The connection ended on the way.
    #[error("the connection to {addr} ended before the broker confirmed the update: {error}")]
    Lost {
        /// The broker.
        addr: SocketAddr,
        /// What happened.
        error: io::Error,
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
    channel: u64,
    pairs: &[(String, String)],
) -> Result<Outcome, PublishError> {
    let errand = async {
        let stream = TcpStream::connect(addr).await.map_err(|error| PublishError::Unreachable { addr, error })?;
        let lost = |error| PublishError::Lost { addr, error };
        let mut client = Client { stream, came: BytesMut::new() };
        if !client.log_in(credentials).await.map_err(lost)? {
            return Err(PublishError::Refused { addr });
        }
        Errand::new(channel, pairs).run(client).await.map_err(lost)
    };
    tokio::time::timeout(LIMIT, errand).await.unwrap_or(Err(PublishError::Silent { addr }))
}

/// A connection, packet by packet.
struct Client {
    stream: TcpStream,
    came: BytesMut,
}

impl Client {
    /// Says CONNECT, and whether it was let in.
    async fn log_in(&mut self, credentials: &Credentials) -> io::Result<bool> {
        let Credentials { client_id, username, password } = credentials;
        let keep_alive = u16::try_from(LIMIT.as_secs()).unwrap_or(u16::MAX);
        let login = Some(Login::new(username, password.expose_secret()));
        self.send([Packet::Connect(Connect { keep_alive, login, ..Connect::new(client_id) })]).await?;
        match self.next().await? {
            Packet::ConnAck(answer) => Ok(answer.code == ConnectReturnCode::Success),
            _ => Err(invalid("the first packet is not CONNACK".to_owned())),
        }
    }

    /// Sends packets in one write.
    async fn send(&mut self, packets: impl IntoIterator<Item = Packet>) -> io::Result<()> {
        let mut bytes = BytesMut::new();
        for packet in packets {
            packet.write(&mut bytes, PACKET_LIMIT).map_err(|error| invalid(error.to_string()))?;
        }
        self.stream.write_all(&bytes).await
    }

    /// The next packet that comes.
    async fn next(&mut self) -> io::Result<Packet> {
        loop {
            match Packet::read(&mut self.came, PACKET_LIMIT) {
                Ok(packet) => return Ok(packet),
                Err(PacketError::InsufficientBytes(_)) => {}
                Err(error) => return Err(invalid(error.to_string())),
            }
            if self.stream.read_buf(&mut self.came).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

fn invalid(words: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, words)
}

/// The course of an errand.
///
/// The channel's last entry may be pushed after SUBSCRIBE, and may hold the very values that are to be sent. So the first
/// ping goes out before the update: its answer comes after what was pushed. Then only an entry that is newer than all seen
/// can be the own one.
struct Errand<'a> {
    channel: u64,
    feed: String,
    pairs: &'a [(String, String)],
    sent: bool,
    /// The largest entry id seen.
    newest: Option<u64>,
    outcome: Outcome,
}

impl<'a> Errand<'a> {
    fn new(channel: u64, pairs: &'a [(String, String)]) -> Self {
        let feed = format!("channels/{channel}/subscribe");
        Self { channel, feed, pairs, sent: false, newest: None, outcome: Outcome::Read }
    }

    async fn run(mut self, mut client: Client) -> io::Result<Outcome> {
        let filter = Subscribe { pkid: 1, ..Subscribe::new(&self.feed, QoS::AtMostOnce) };
        client.send([Packet::Subscribe(filter)]).await?;
        loop {
            match client.next().await? {
                Packet::SubAck(answer) => {
                    if answer.return_codes.iter().all(|code| matches!(code, SubscribeReasonCode::Success(_))) {
                        self.outcome = Outcome::NotSeen;
                    }
                    client.send([Packet::PingReq]).await?;
                }
                Packet::PingResp if !self.sent => {
                    let topic = format!("channels/{}/publish", self.channel);
                    let update = Publish::new(topic, QoS::AtMostOnce, form(self.pairs));
                    client.send([Packet::Publish(update), Packet::PingReq]).await?;
                    self.sent = true;
                }
                Packet::PingResp => {
                    client.send([Packet::Disconnect]).await?;
                    return Ok(self.outcome);
                }
                Packet::Publish(message) if message.topic == self.feed => self.hear(&message.payload),
                _ => {}
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
    use crate::{Channel, Device, Options, Rights, Sandbox, Switches, Transport};

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
        let mut errand = Errand::new(3, &update);
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
        let channel = 3;
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
