//! What the session tells the log and whoever watches.

use std::time::Duration;

use crate::entry::{ChannelId, Column, Entry};
use crate::net::failure::Failure;
use crate::thingspeak::topic::Topic;
use crate::time::Utc;

/// What is worth telling.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// The link is up: first, or after it was down.
    Up {
        /// How long it was down, and how many tries it took; none at the start.
        after: Option<(Duration, u32)>,
    },
    /// The link is down. Told once a spell and kind of failure.
    Down {
        /// Why.
        failure: Failure,
        /// When it is tried again.
        retry_in: Duration,
    },
    /// Another try failed, in a way that was told in this spell. For whoever shows how things stand: there may be hundreds.
    StillDown {
        /// Why.
        failure: Failure,
        /// When it is tried again.
        retry_in: Duration,
    },
    /// The session was replaced; commands could be missed in between.
    Renewed {
        /// For how long there was no session.
        gap: Duration,
    },
    /// The broker does not let us hear this topic. Told once, until it does.
    NotSubscribed(Topic),
    /// The service stored an entry of ours without this column: the field is not enabled in the channel's settings. Told once.
    ColumnMissing {
        /// Whose.
        channel: ChannelId,
        /// Which.
        column: Column,
    },
    /// Others write to the channel so fast that our updates never had their turn; from now on we take it.
    Crowded(ChannelId),
    /// Entries of the channel no longer come back: until one does, they are freed when the broker has read them.
    EchoesEnded(ChannelId),
    /// An entry was handed to the network.
    Sent {
        /// Which.
        entry: Box<Entry>,
        /// How often it was sent before.
        again: u32,
        /// It is of the last slot and goes out for the first time; otherwise it had to wait for a spare moment.
        live: bool,
    },
    /// The broker has read an entry.
    Received {
        /// Whose.
        channel: ChannelId,
        /// Which.
        created_at: Utc,
    },
    /// The service has stored an entry.
    Stored {
        /// Whose.
        channel: ChannelId,
        /// Which.
        created_at: Utc,
        /// Its number in the channel.
        entry_id: Option<u64>,
        /// From sending to echo.
        took: Duration,
    },
    /// Another row has an entry's second: it goes out with the next free one.
    Restamped {
        /// Whose.
        channel: ChannelId,
        /// The second it had.
        from: Utc,
        /// The second it has now.
        to: Utc,
        /// That row was seen; otherwise the entry's missing echo says that there is one.
        seen: bool,
    },
    /// An entry was set aside: sent again and again without an echo. Should that come later, it is [`Notice::Stored`].
    Doubtful {
        /// Whose.
        channel: ChannelId,
        /// Which.
        created_at: Utc,
    },
}

impl Notice {
    /// The channel that it is about, where it is about one.
    pub fn channel(&self) -> Option<ChannelId> {
        match self {
            Self::Up { .. }
            | Self::Down { .. }
            | Self::StillDown { .. }
            | Self::Renewed { .. }
            | Self::NotSubscribed(_) => None,
            Self::Sent { entry, .. } => Some(entry.channel),
            Self::Crowded(channel)
            | Self::EchoesEnded(channel)
            | Self::ColumnMissing { channel, .. }
            | Self::Received { channel, .. }
            | Self::Stored { channel, .. }
            | Self::Restamped { channel, .. }
            | Self::Doubtful { channel, .. } => Some(*channel),
        }
    }
}
