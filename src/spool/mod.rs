//! Entries that wait for their receipt.
//!
//! [`Spool`] is the seam: whoever makes entries pushes them, the uplink reads them oldest first and removes each on its
//! receipt. [`MemorySpool`] keeps them in memory, bounded by age and size; a restart loses what it holds.
//!
//! Invariants: an entry leaves on a receipt, or by the stated policy, which counts it: too old, no room, or given up as
//! doubtful after several sends without an echo. An entry whose receipt is open is neither merged nor dropped.

mod memory;
mod thin;

use std::time::Duration;

use crate::entry::{ChannelId, Entry};
use crate::time::Mono;

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub u64);

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

/// A waiting entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Waiting {
    /// Its place.
    pub key: Key,
    /// The entry.
    pub entry: Entry,
    /// When it was pushed, on the boot clock.
    pub since: Mono,
}

/// Waiting entries of all channels. An entry that is pinned leaves on its receipt or is given up by whoever sent it; the
/// bounds drop the others.
pub trait Spool: Send {
    /// Takes an entry. Returns how many entries of its channel had to be dropped for it.
    fn push(&mut self, now: Mono, entry: Entry) -> usize;

    /// The oldest entry of a channel after `after`, or its oldest.
    fn next(&self, channel: ChannelId, after: Option<Key>) -> Option<Waiting>;

    /// This entry is being sent: it must be neither merged nor dropped.
    fn pin(&mut self, key: Key);

    /// The entry's receipt is here.
    fn confirm(&mut self, key: Key);

    /// The entry was sent several times and its echo never came: it may be stored or not.
    fn give_up(&mut self, key: Key);

    /// Drops what has waited longer than the channel's `keep`, on the boot clock: a wall clock that is set days ahead must
    /// not empty the backlog. Returns how many.
    fn expire(&mut self, now: Mono, channel: ChannelId) -> usize;

    /// Entries that wait, of one channel.
    fn waiting(&self, channel: ChannelId) -> usize;

    /// What happened since the start.
    fn counts(&self) -> Counts;
}

#[cfg(test)]
mod tests;
