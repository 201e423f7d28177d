//! What the spool has to say of itself.

use crate::entry::ChannelId;
use crate::time::Utc;

/// What happened in a spool since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Entries taken.
    pub pushed: u64,
    /// Entries that left on their acknowledgement.
    pub acknowledged: u64,
    /// Entries dropped for their age.
    pub dropped_for_age: u64,
    /// Entries dropped for size.
    pub dropped_for_size: u64,
    /// Entries that were sent several times and never acknowledged.
    pub unconfirmed: u64,
    /// Entries that were merged into a neighbour.
    pub merged: u64,
    /// Entries in files that could no longer be read.
    pub unreadable: u64,
}

/// How a channel's entries stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Entries that wait: those that are taken too, the unconfirmed not.
    pub waiting: usize,
    /// Of them, those that are on the disk.
    pub on_disk: usize,
    /// What they take, on the disk and in memory.
    pub bytes: u64,
    /// The time of the oldest. `None` where none waits, or while it has no time, or is still to be read from the disk.
    pub oldest: Option<Utc>,
}

/// What a spool has to say about its directories. A trouble is told when it begins and when it is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpoolEvent {
    /// Entries are on the disk: from now on they survive a power cut. They are told after the disk has said so.
    Written {
        /// Whose.
        channel: ChannelId,
        /// How many.
        entries: usize,
        /// The time of the last one; `None` while it waits for the clock. Of what the channel took before it nothing waits
        /// to be written.
        until: Option<Utc>,
    },
    /// The runtime directory cannot be written, for this reason; or can again.
    Runtime(Option<String>),
    /// The state directory cannot be written, for this reason; or can again.
    State(Option<String>),
    /// A file in the state directory can no longer be read. It is left there.
    Unreadable {
        /// Which.
        file: String,
        /// How many entries that wait in it memory does not have.
        entries: usize,
        /// Why.
        why: String,
    },
}
