//! What the session tells the log and whoever watches.

use std::time::Duration;

use crate::entry::{ChannelId, Column, Entry};
use crate::thingspeak::topic::Topic;
use crate::time::Utc;
use crate::uplink::failure::Failure;

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
    /// An entry was handed to the network.
    Sent {
        /// Which.
        entry: Box<Entry>,
        /// How often it was sent before.
        again: u32,
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
    /// An entry was given up: sent again and again without an echo.
    Doubtful {
        /// Whose.
        channel: ChannelId,
        /// Which.
        created_at: Utc,
    },
}
