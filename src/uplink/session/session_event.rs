//! What the session tells the log and whoever watches.

use std::fmt;
use std::time::Duration;

use crate::entry::{ChannelId, Column, Entry};
use crate::net::failure::Failure;
use crate::thingspeak::license::License;
use crate::thingspeak::topic::Topic;
use crate::time::Utc;

/// What the broker did when it was asked for a topic that is not heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unheard {
    /// It refused (SUBACK 0x80).
    Refused,
    /// It did not answer. That may be how it refuses.
    Unanswered,
    /// It closed the connection. That may be how it refuses.
    Closed,
}

impl Unheard {
    /// Whether it may have another reason than a missing right.
    pub const fn is_guess(self) -> bool {
        !matches!(self, Self::Refused)
    }
}

impl Unheard {
    /// What to do about it. A guess is worded as one.
    pub fn advice(self, channel: &str) -> String {
        if self.is_guess() {
            return format!(
                "perhaps \"allow subscribe\" is not ticked for channel {channel} in the MQTT device, or it is not one of the device's channels"
            );
        }
        let most = License::Free.subscriptions().unwrap_or_default();
        format!(
            "tick \"allow subscribe\" for channel {channel} in the MQTT device. Is {channel} one of this device's channels? A free license \
             allows {most} subscriptions at a time"
        )
    }
}

/// How soon something is tried again.
pub fn in_words(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds >= 60 && seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}

impl fmt::Display for Unheard {
    /// What the broker did: "it " and this.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "refused the subscription",
            Self::Unanswered => "did not answer the subscription",
            Self::Closed => "closed the connection when it was asked for it",
        })
    }
}

/// What is worth telling.
#[derive(Clone, Debug, PartialEq)]
pub enum SessionEvent {
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
    /// The broker does not let us hear this topic, or seems not to. Told once until it is heard, and once more when a guess turns
    /// out to be right.
    NotSubscribed {
        /// What is not heard.
        topic: Topic,
        /// What the broker did.
        why: Unheard,
        /// When it is asked for again.
        again_in: Duration,
    },
    /// A topic that [`SessionEvent::NotSubscribed`] has told of is heard.
    Subscribed(Topic),
    /// The broker closed the connection again and again when an entry of this channel was sent. The other channels go on. Told once
    /// until an entry is accepted.
    PublishSuspected {
        /// Whose.
        channel: ChannelId,
        /// When the next entry is tried.
        again_in: Duration,
    },
    /// An entry of a channel that [`SessionEvent::PublishSuspected`] has told of was accepted.
    PublishAccepted(ChannelId),
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
    Retimed {
        /// Whose.
        channel: ChannelId,
        /// The second it had.
        from: Utc,
        /// The second it has now.
        to: Utc,
        /// That row was seen; otherwise the entry's missing echo says that there is one.
        seen: bool,
    },
    /// An entry was given up as unconfirmed: sent again and again without an echo. Should that come later, it is [`SessionEvent::Stored`].
    Unconfirmed {
        /// Whose.
        channel: ChannelId,
        /// Which.
        created_at: Utc,
    },
}

impl SessionEvent {
    /// The channel that it is about, where it is about one.
    pub fn channel(&self) -> Option<ChannelId> {
        match self {
            Self::Up { .. }
            | Self::Down { .. }
            | Self::StillDown { .. }
            | Self::Renewed { .. }
            | Self::NotSubscribed { .. }
            | Self::Subscribed(_) => None,
            Self::Sent { entry, .. } => Some(entry.channel),
            Self::Crowded(channel)
            | Self::EchoesEnded(channel)
            | Self::PublishAccepted(channel)
            | Self::PublishSuspected { channel, .. }
            | Self::ColumnMissing { channel, .. }
            | Self::Received { channel, .. }
            | Self::Stored { channel, .. }
            | Self::Retimed { channel, .. }
            | Self::Unconfirmed { channel, .. } => Some(*channel),
        }
    }
}
