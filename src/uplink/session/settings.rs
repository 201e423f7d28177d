//! What a session is told to do, and its times.

use std::time::Duration;

use crate::entry::ChannelId;
use crate::thingspeak::topic::Topic;
use crate::uplink::Confirm;

/// The session's times. [`Tuning::default`] is what the daemon runs with; tests shorten them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// A subscription without an answer for this long is not waited for any more.
    pub suback_within: Duration,
    /// A line that was quiet for this long is pinged.
    pub ping_after: Duration,
    /// A ping without an answer for this long means a dead link. With `ping_after` below the promised 30 s.
    pub pong_within: Duration,
    /// An entry without an echo for this long, or for as long as the channel's echoes were seen to take, is sent again.
    pub echo_within: Duration,
    /// How often an entry is sent again before it is left unconfirmed.
    pub resends: u32,
    /// How often one is that an earlier run has sent, or that a lost connection cut off: it may be stored already.
    pub resends_unsure: u32,
    /// How long a renewal may wait for open acknowledgements; longer where echoes were seen to take longer.
    pub renew_grace: Duration,
    /// How long a topic or a channel is left alone that the broker seems to refuse: the first time, the second, and so on; the
    /// last one from then on. What costs no connection is asked for again after the third at the latest.
    pub doubt: [Duration; 4],
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            suback_within: Duration::from_secs(10),
            ping_after: Duration::from_secs(18),
            pong_within: Duration::from_secs(10),
            echo_within: Duration::from_secs(20),
            resends: 4,
            resends_unsure: 2,
            renew_grace: Duration::from_secs(20),
            doubt: [60, 120, 300, 900].map(Duration::from_secs),
        }
    }
}

/// A channel that the session publishes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelSettings {
    /// Its number.
    pub id: ChannelId,
    /// Least time between two updates.
    pub interval: Duration,
    /// The slot's length: an entry that waited longer is not live any more.
    pub slot: Duration,
    /// What frees an entry.
    pub confirm: Confirm,
    /// The channel's share of its license's year, in messages.
    pub messages_a_year: u64,
}

/// What one device's session is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The channels it publishes to.
    pub channels: Vec<ChannelSettings>,
    /// The topics that commands come on.
    pub commands: Vec<Topic>,
    /// Age at which the session is replaced.
    pub renew: Duration,
    /// The times.
    pub tuning: Tuning,
}
