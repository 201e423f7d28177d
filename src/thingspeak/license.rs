//! The licenses' limits (docs/thingspeak.md, rates and quota).

use std::time::Duration;

/// What a channel's owner pays for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(feature = "docs", derive(serde::Serialize, schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum License {
    /// One update a channel every 15 s, 3,000,000 messages a year.
    #[default]
    Free,
    /// One update a channel every second, 33,000,000 messages a year and unit.
    Paid,
}

impl License {
    /// Least time between two accepted updates of a channel, judged where they arrive.
    pub const fn interval(self) -> Duration {
        match self {
            Self::Free => Duration::from_secs(15),
            Self::Paid => Duration::from_secs(1),
        }
    }

    /// Messages a year, over all of the user's channels.
    pub const fn messages_a_year(self) -> u64 {
        match self {
            Self::Free => 3_000_000,
            Self::Paid => 33_000_000,
        }
    }

    /// Topics that may be subscribed to at a time, where that is known. Whether a device or an account may is not.
    pub const fn subscriptions(self) -> Option<usize> {
        match self {
            Self::Free => Some(3),
            Self::Paid => None,
        }
    }

    /// The shortest slot that survives an arrival jitter of up to a second.
    pub const fn shortest_safe_slot(self) -> Duration {
        match self {
            Self::Free => Duration::from_secs(16),
            Self::Paid => Duration::from_secs(2),
        }
    }
}
