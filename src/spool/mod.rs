//! Entries that wait for their receipt.

use std::time::Duration;

/// How much of an outage is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backlog {
    /// Entries older than this are dropped, and counted.
    pub keep: Duration,
    /// When the waiting entries of a channel would take more bytes than this, the oldest are dropped, and counted.
    pub max_size: u64,
    /// Before dropping for size, neighbours within this time are merged, each column by its own reduce.
    pub thin: Option<Duration>,
}

impl Default for Backlog {
    fn default() -> Self {
        Self { keep: Duration::from_secs(7 * 86_400), max_size: 32 << 20, thin: None }
    }
}
