//! Entries that wait for their receipt.
//!
//! [`Spool`] is the seam: whoever makes entries pushes them, the uplink reads them oldest first and removes each on its
//! receipt. [`MemorySpool`] keeps them in memory, bounded by age and size; a restart loses what it holds.
//!
//! Invariants: an entry leaves on a receipt, or by the stated drop policy, which counts it. An entry that was sent is
//! never merged with a neighbour while its receipt is open.

mod memory;
mod thin;

use std::time::Duration;

use crate::entry::{ChannelId, Entry};
use crate::time::Utc;

pub use memory::MemorySpool;

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

/// A waiting entry's place: keys grow in the order of pushing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub u64);

/// Why an entry left without a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drop {
    /// Older than the backlog's `keep`.
    Age,
    /// The backlog's `max_size` was reached.
    Size,
    /// Sent again and again without an echo: it may be stored or not.
    Doubtful,
}

/// What happened in a spool since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Entries taken.
    pub pushed: u64,
    /// Entries that left on a receipt.
    pub confirmed: u64,
    /// Entries dropped for their age.
    pub dropped_for_age: u64,
    /// Entries dropped for size.
    pub dropped_for_size: u64,
    /// Entries given up without an echo.
    pub doubtful: u64,
    /// Entries that were merged into a neighbour.
    pub merged: u64,
}

/// Waiting entries of all channels.
pub trait Spool: Send {
    /// Takes an entry. Returns how many entries had to be dropped for it.
    fn push(&mut self, entry: Entry) -> usize;

    /// The oldest entry of a channel after `after`, or its oldest.
    fn next(&self, channel: ChannelId, after: Option<Key>) -> Option<(Key, Entry)>;

    /// From now on this entry is as it was sent: it must not be merged.
    fn pin(&mut self, key: Key);

    /// The entry's receipt is here.
    fn confirm(&mut self, key: Key);

    /// Takes an entry out without a receipt, and counts it.
    fn drop_entry(&mut self, key: Key, why: Drop);

    /// Drops what is older than its channel's `keep`. Returns how many.
    fn expire(&mut self, now: Utc) -> usize;

    /// Entries that wait, of one channel.
    fn waiting(&self, channel: ChannelId) -> usize;

    /// What happened since the start.
    fn counts(&self) -> Counts;
}

#[cfg(test)]
mod tests;
