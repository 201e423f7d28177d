//! What goes into the session, and what comes out of it.

use bytes::Bytes;

use crate::entry::{ChannelId, Entry};
use crate::net::failure::Failure;
use crate::thingspeak::feed::{FeedError, FeedMessage};
use crate::thingspeak::topic::Topic;
use crate::time::Mono;

use super::{ChannelSettings, SessionEvent};

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// The deadline has come, entries were pushed, or nothing.
    Tick,
    /// The broker accepted the login.
    Connected,
    /// The connection failed, or could not be made.
    Lost(Failure),
    /// As [`Event::Lost`], where other credentials were tried than those that the last accepted login had.
    LostWithNewCredentials(Failure),
    /// The broker answered a subscription.
    SubAck(Topic, bool),
    /// The broker answered the ping.
    Pong,
    /// A message on a subscribed topic.
    Message {
        /// Which.
        topic: Topic,
        /// The expected value.
        payload: Bytes,
        /// RETAIN is set: the broker has kept it, and sends it because of the subscription (MQTT 3.1.1, section 3.3.1.3). It is the
        /// last message of the topic, and not a new one.
        retained: bool,
    },
    /// The machine has a new link, address or route. While a connection is being made it was given up for that.
    NetworkChanged,
    /// The connection was closed as asked by [`Action::Disconnect`].
    Disconnected,
    /// A new map has other slots or shares of the license's year for these channels, which are the session's own.
    Adopt(Vec<ChannelSettings>),
    /// The daemon stops: send what may be sent until then.
    Stop(Mono),
}

/// What is to be done, in this order.
#[derive(Debug, PartialEq)]
pub enum Action {
    /// Read the credentials and connect.
    Connect,
    /// Ask for a topic.
    Subscribe(Topic),
    /// Send an entry.
    Publish(Entry),
    /// Send a ping.
    Ping,
    /// Send DISCONNECT and close.
    Disconnect,
    /// Drop the connection without a word: it is dead.
    Abandon,
    /// Hand a message to the outputs.
    Deliver(Inbound),
    /// SpoolEvent the log and whoever watches.
    Report(SessionEvent),
    /// The session has ended.
    Done,
}

/// What came for the outputs.
#[derive(Clone, Debug, PartialEq)]
pub enum Inbound {
    /// An entry of a channel feed.
    Feed {
        /// The entry.
        message: Box<FeedMessage>,
        /// The broker had kept it (RETAIN): it is the channel's last one, and not a new one.
        retained: bool,
    },
    /// A bare value of a field feed.
    Field {
        /// The channel.
        channel: ChannelId,
        /// Its field, from 1.
        field: u8,
        /// The value.
        payload: Bytes,
        /// As with the channel feed.
        retained: bool,
    },
    /// What came on a channel feed is no entry.
    Garbled(ChannelId, FeedError),
    /// From now on commands on this topic are heard.
    Heard(Topic),
    /// From now on they are not.
    Unheard(Topic),
}
