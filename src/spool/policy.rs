//! How much is kept, and when it is written to the disk.

use std::time::Duration;

use crate::entry::{Key, UntimedEntry};
use crate::spool::records;
use crate::store::record;
use crate::time::Utc;

/// How much of an outage is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backlog {
    /// Entries older than this are dropped, and counted.
    pub keep: Duration,
    /// When the waiting entries of a channel would take more bytes than this, the oldest are dropped, and counted.
    pub max_size: u64,
    /// Before dropping for size, and where the map leaves no spare slots, neighbours within this time are merged, each column
    /// by its own reduce.
    pub thin: Option<Duration>,
    /// Whether the map leaves spare slots, in which a backlog drains.
    pub drains: bool,
}

impl Default for Backlog {
    fn default() -> Self {
        Self { keep: Duration::from_secs(7 * 86_400), max_size: 32 << 20, thin: None, drains: true }
    }
}

/// When an entry is written to the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(feature = "docs", derive(serde::Serialize, schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// When it is not acknowledged in time, in groups. While the link is up, nothing is written.
    #[default]
    Grouped,
    /// At once.
    Always,
}

/// How the disk is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// When an entry is written to it.
    pub durability: Durability,
    /// An entry that is unconfirmed for so long is written.
    pub write_after: Duration,
    /// Then it waits so long for others,
    pub group_every: Duration,
    /// or for so many.
    pub group_entries: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            durability: Durability::Grouped,
            write_after: Duration::from_secs(60),
            group_every: Duration::from_secs(30),
            group_entries: 32,
        }
    }
}

impl Policy {
    /// How long an entry may wait in an outage until the disk has it.
    pub const fn unwritten_for(&self) -> Duration {
        match self.durability {
            Durability::Grouped => self.write_after.saturating_add(self.group_every),
            Durability::Always => Duration::ZERO,
        }
    }

    /// How many entries one write takes in an outage, where a channel makes so many at the end of each slot.
    pub fn group_of(&self, every: Duration, updates: u32) -> u64 {
        let slots = match self.durability {
            Durability::Grouped => self.group_every.as_nanos() / every.as_nanos().max(1) + 1,
            Durability::Always => return 1,
        };
        let ripe = u64::try_from(slots).unwrap_or(u64::MAX).saturating_mul(updates.into());
        ripe.min(self.group_entries as u64).max(1)
    }
}

/// What a group takes on the disk besides its entries, in bytes: the boot that they were made in.
pub const GROUP_SIZE: u64 = record::size(19) as u64;

/// What an entry takes on the disk, in bytes.
pub fn entry_size(draft: UntimedEntry) -> usize {
    // Keys grow; this one stands for those of the first years.
    let since = draft.end;
    records::EntryRecord { key: Key(1 << 20), since, time: records::Time::Known(Utc::RELEASED), draft }.size()
}

/// Bytes as people read them, rounded up.
pub fn size_in_words(bytes: u64) -> String {
    match bytes.div_ceil(1 << 10) {
        0..=1 => format!("{bytes} bytes"),
        kibibytes @ ..1024 => format!("{kibibytes} KiB"),
        kibibytes => format!("{} MiB", kibibytes.div_ceil(1 << 10)),
    }
}
