//! What is known of a channel beyond its entries: the seconds that it gave, and how its entries come back.
//!
//! The runtime directory is told of each change. Over a reboot it is remembered as bytes that go along with the disk's page of totals.

use minicbor::{Decode, Encode};

use crate::entry::ColumnSet;
use crate::spool::taken::Taken;
use crate::store::codec;

/// What is remembered of a channel over a reboot takes at most so many bytes: on the disk, and with every total.
pub const MEMORY: usize = 256;

/// What is remembered of a channel over a reboot.
#[derive(Debug, Default, PartialEq, Encode, Decode)]
struct Memory {
    #[n(0)]
    echoes: bool,
    /// It holds all seconds that were given.
    #[n(1)]
    is_complete: bool,
    #[n(2)]
    columns: ColumnSet,
    #[n(3)]
    taken: Taken,
}

impl Memory {
    /// What all but the seconds take at most, in bytes.
    const REST: usize = 1 + 1 + 1 + 3;
}

/// What is known of a channel.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The seconds that were given.
    pub(super) taken: Taken,
    /// Those that the disk's log tells of, while it is read.
    pub(super) given_on_disk: Taken,
    /// Entries were seen to come back.
    pub(super) echoes: bool,
    /// The columns in which they did.
    pub(super) columns: ColumnSet,
    /// An earlier boot may have given seconds that are not among these.
    pub(super) has_past: bool,
    /// The disk says that it knows all seconds, and from now on it does not.
    pub(super) is_outdated: bool,
}

impl Known {
    /// Whether rows may be in the way of entries that this boot does not know of.
    pub(super) const fn may_collide(&self) -> bool {
        self.has_past || self.taken.has_forgotten()
    }

    /// The bytes to remember. `is_last` says that no more seconds will be given in this boot.
    pub(super) fn memory(&self, is_last: bool) -> Vec<u8> {
        let taken = self.taken.newest(MEMORY - Memory::REST);
        let is_complete = is_last && !self.has_past && !taken.has_forgotten();
        codec::encode(&Memory { echoes: self.echoes, is_complete, columns: self.columns, taken })
    }

    /// Takes up what an earlier run remembered. Where `is_first` is not so, a run of this boot knows more since. `None` for bytes
    /// that are none of ours.
    pub(super) fn recall(&mut self, memory: &[u8], is_first: bool) -> Option<()> {
        let memory: Memory = codec::decode(memory).ok()?;
        if is_first {
            self.echoes |= memory.echoes;
            self.columns = self.columns.union(memory.columns);
            self.has_past = !memory.is_complete;
        }
        // From now on seconds are given that the disk does not know.
        self.is_outdated |= memory.is_complete;
        self.taken.learn(&memory.taken);
        Some(())
    }
}
