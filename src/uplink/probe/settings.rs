//! What the probe goes by, and what it costs.

use std::time::Duration;

use super::ROUNDS;
use crate::entry::ChannelId;

/// What the probe goes by.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The channel that is written to.
    pub channel: ChannelId,
    /// A channel that the device has no right on.
    pub foreign: ChannelId,
    /// The license's interval.
    pub interval: Duration,
    /// How long an answer of the broker may take.
    pub answer_within: Duration,
    /// How long an echo may take.
    pub echo_within: Duration,
    /// For how long nothing but pings is sent; not at all without.
    pub idle: Option<Duration>,
    /// How often, then.
    pub ping_every: Duration,
}

impl Settings {
    /// For the service itself.
    pub fn new(channel: ChannelId, interval: Duration, idle: bool) -> Self {
        // The first channels there ever were; nobody but their owner has a right on them.
        let foreign = if channel == ChannelId(1) { ChannelId(2) } else { ChannelId(1) };
        Self {
            channel,
            foreign,
            interval,
            answer_within: Duration::from_secs(10),
            echo_within: Duration::from_secs(20),
            idle: idle.then_some(Duration::from_secs(65 * 60)),
            ping_every: Duration::from_secs(30),
        }
    }

    /// From the license's interval, with what a line adds to it.
    pub(super) fn pace(&self) -> Duration {
        self.interval + self.interval / 10
    }

    /// Updates that are sent, at least and at most.
    pub const fn updates(&self) -> (usize, usize) {
        (6, 4 + 3 * ROUNDS)
    }

    /// How long it takes where nothing answers before its time is up: every update waits for its echo, all rounds are played,
    /// and each login and each other answer takes as long as it may.
    pub fn lasts_at_most(&self) -> Duration {
        let updates = u32::try_from(self.updates().1).unwrap_or(u32::MAX);
        (self.pace() + self.echo_within) * updates + self.answer_within * 24 + self.idle.unwrap_or_default()
    }

    /// How long it takes where everything answers.
    pub fn lasts(&self) -> Duration {
        self.pace() * 6 + self.answer_within * 3 + self.idle.unwrap_or_default()
    }
}
