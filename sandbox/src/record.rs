//! What happened, in words: one [`Record`] for everything a person at the sandbox wants to know.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::row::Row;
use super::service::ConnectionId;
use crate::Transport;
use crate::time::Now;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// When.
    pub at: Now,
    /// On which connection; none for what did not come over MQTT.
    pub connection: Option<ConnectionId>,
    /// What.
    pub what: What,
}

/// The kinds of records. `client` is the client id, or empty before CONNECT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A socket was accepted.
    Opened {
        /// On which listener.
        transport: Transport,
        /// From where.
        peer: SocketAddr,
    },
    /// A client logged in.
    Connected {
        /// Its client id.
        client: String,
        /// How it came.
        transport: Transport,
    },
    /// A client was not let in.
    Refused {
        /// The client id it gave.
        client: String,
        /// Why.
        why: Refusal,
    },
    /// A subscription was granted.
    Subscribed {
        /// Who.
        client: String,
        /// To what.
        filter: String,
    },
    /// A subscription was refused.
    SubscribeRefused {
        /// Who.
        client: String,
        /// To what.
        filter: String,
        /// Why.
        why: SubscribeFault,
    },
    /// A subscription was given back.
    Unsubscribed {
        /// Who.
        client: String,
        /// From what.
        filter: String,
    },
    /// An update became a row.
    Accepted(Box<Row>),
    /// An update vanished; its sender is told nothing.
    Dropped {
        /// Who sent it.
        client: String,
        /// To which topic.
        topic: String,
        /// Why.
        why: DropReason,
    },
    /// A connection ended.
    Closed {
        /// Who.
        client: String,
        /// Why.
        why: Closing,
    },
}

/// Why a CONNECT was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No device has this client id.
    #[error("no device has this client id")]
    UnknownClientId,
    /// The device exists, the user name is another.
    #[error("the user name does not match the client id")]
    WrongUsername,
    /// The password is wrong or missing.
    #[error("the password is wrong")]
    WrongPassword,
    /// CONNECT carries a Last Will, and [`Wills::Refuse`](super::Wills::Refuse) holds.
    #[error("it has a Last Will")]
    Will,
    /// CONNECT asks for a stored session, and [`StoredSessions::Refuse`](super::StoredSessions::Refuse) holds.
    #[error("it asked for a session that outlives the connection (clean session = 0)")]
    StoredSession,
    /// The client id is empty.
    #[error("its client id is empty")]
    EmptyClientId,
    /// Not MQTT 3.1.1.
    #[error("it does not speak MQTT 3.1.1")]
    ProtocolVersion,
    /// The client id is connected, and [`SecondConnection::RefuseNew`](super::SecondConnection::RefuseNew) holds.
    #[error("this client id is connected already")]
    AlreadyConnected,
}

/// Why a subscription was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubscribeFault {
    /// The device may not subscribe to the channel, or there is no such channel.
    #[error("the device has no right to subscribe to this channel")]
    NoRight,
    /// Not a topic to which one can subscribe.
    #[error("no such topic")]
    BadTopic,
    /// QoS 1 or 2, and [`SubscribeQos::Refuse`](super::SubscribeQos::Refuse) holds.
    #[error("QoS {0} was requested; only QoS 0 exists")]
    QoS(u8),
    /// The connection holds as many as [`subscription_limit`](super::Switches::subscription_limit) allows.
    #[error("a connection may hold {0} subscriptions")]
    TooMany(usize),
}

/// Why an update was dropped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DropReason {
    /// It came before the license's interval was over.
    #[error("it came {:.3} s too early for the channel's license", early_by.as_secs_f64())]
    RateLimited {
        /// By how much.
        early_by: Duration,
    },
    /// The channel has an entry of this time.
    #[error("the channel has an entry with this created_at")]
    Duplicate,
    /// The device may not publish to the channel, or there is no such channel.
    #[error("the device has no right to publish to this channel")]
    NoRight,
    /// Not a topic to which one can publish.
    #[error("no such topic")]
    BadTopic,
    /// A message above 3000 bytes, or a value above 255, and [`TooLong::Truncate`](super::TooLong::Truncate) does not hold.
    #[error("{what} has {bytes} bytes; {limit} are allowed")]
    TooLong {
        /// What is too long.
        what: String,
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        limit: usize,
    },
    /// The message cannot be read.
    #[error("{0}")]
    Malformed(String),
    /// No name in it is one of the channel's columns, or no value has a character.
    #[error("it holds no value")]
    Empty,
    /// QoS 1 or 2; the connection is closed.
    #[error("it was sent with QoS {0}; only QoS 0 exists")]
    QoS(u8),
    /// RETAIN was set; the connection is closed.
    #[error("it was sent with RETAIN")]
    Retain,
    /// The sandbox plays a loss, see [`Loss`](super::Loss).
    #[error("dropped as the options of the sandbox demand")]
    Lost,
}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Closing {
    /// The client sent DISCONNECT.
    #[error("the client disconnected")]
    Goodbye,
    /// The client closed the socket, or the network did.
    #[error("the socket was closed")]
    SocketClosed,
    /// The client broke the protocol.
    #[error("it broke the protocol: {0}")]
    Violation(String),
    /// Nothing came for one and a half times the keep-alive (MQTT 3.1.1 section 3.1.2.10).
    #[error("nothing arrived for 1.5 times its keep-alive")]
    KeepAlive,
    /// No activity for the idle limit.
    #[error("it was idle for too long")]
    Idle,
    /// No CONNECT came in time.
    #[error("no CONNECT arrived in time")]
    NoConnect,
    /// The client was refused.
    #[error("it was refused")]
    Refused,
    /// An update to a channel without right came, and [`PublishRefusal::Close`](super::PublishRefusal::Close) holds.
    #[error("it published to a channel without the right to")]
    PublishRefused,
    /// A subscription was refused, and [`SubscribeRefusal::Disconnect`](super::SubscribeRefusal::Disconnect) holds.
    #[error("its subscription was refused")]
    SubscribeRefused,
    /// The same client id connected again.
    #[error("the same client id connected again")]
    TakenOver,
    /// The sandbox was asked to.
    #[error("closed by the sandbox")]
    Kicked,
    /// The device's password was changed.
    #[error("its password was changed")]
    PasswordChanged,
    /// It did not read what was sent to it.
    #[error("the client does not read")]
    SlowReader,
    /// The sandbox stopped.
    #[error("the sandbox stopped")]
    Stopped,
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.connection {
            Some(connection) => write!(f, "{} {connection} {}", self.at.utc, self.what),
            None => write!(f, "{} -- {}", self.at.utc, self.what),
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opened { transport, peer } => write!(f, "opened over {transport} from {peer}"),
            Self::Connected { client, transport } => write!(f, "{} connected over {transport}", Name(client)),
            Self::Refused { client, why } => write!(f, "{} refused: {why}", Name(client)),
            Self::Subscribed { client, filter } => write!(f, "{} subscribed to {}", Name(client), Shown(filter)),
            Self::SubscribeRefused { client, filter, why } => {
                write!(f, "{} may not subscribe to {}: {why}", Name(client), Shown(filter))
            }
            Self::Unsubscribed { client, filter } => write!(f, "{} unsubscribed from {}", Name(client), Shown(filter)),
            Self::Accepted(row) => {
                write!(
                    f,
                    "channel {} stored entry {} of {} from {}:",
                    row.channel, row.entry_id, row.created_at, row.by
                )?;
                for (name, value) in columns(row) {
                    write!(f, " {name}={}", Shown(value))?;
                }
                Ok(())
            }
            Self::Dropped { client, topic, why } => {
                write!(f, "dropped an update from {} to {}: {why}", Name(client), Shown(topic))
            }
            Self::Closed { client, why } => write!(f, "{} closed: {why}", Name(client)),
        }
    }
}

impl What {
    /// The channel of a stored row.
    pub fn stored_in(&self) -> Option<u64> {
        match self {
            Self::Accepted(row) => Some(row.channel),
            _ => None,
        }
    }
}

/// The columns a row has, with their names in an update.
fn columns(row: &Row) -> impl Iterator<Item = (String, &str)> {
    let fields = row.fields.iter().enumerate().map(|(index, value)| (format!("field{}", index + 1), value));
    let others =
        [("lat", &row.latitude), ("long", &row.longitude), ("elevation", &row.elevation), ("status", &row.status)];
    fields
        .chain(others.into_iter().map(|(name, value)| (name.to_owned(), value)))
        .filter_map(|(name, value)| value.as_deref().map(|value| (name, value)))
}

/// A client id for people.
struct Name<'a>(&'a str);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { f.write_str("a nameless client") } else { Shown(self.0).fmt(f) }
    }
}

/// Text from outside for one line of a log: control characters escaped, long ones cut.
struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST: usize = 80;
        for character in self.0.chars().take(MOST) {
            if character.is_control() {
                write!(f, "{}", character.escape_default())?;
            } else {
                write!(f, "{character}")?;
            }
        }
        if self.0.chars().nth(MOST).is_some() { f.write_str("…") } else { Ok(()) }
    }
}
