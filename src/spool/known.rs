//! What is known of a channel beyond its entries: the seconds that it gave, and how its entries come back.
//!
//! The runtime directory is told of each change. Over a reboot it is remembered as bytes that go along with the card's page of totals.

use crate::entry::ColumnSet;
use crate::spool::taken::Taken;
use crate::store::record::{Reader, Writer};

/// What is remembered of a channel over a reboot takes at most so many bytes: on the card, and with every total.
pub const MEMORY: usize = 256;

/// The flag of entries that come back.
const ECHOES: u8 = 1;
/// The flag of a memory that holds all seconds that were given.
const COMPLETE: u8 = 2;

/// What is known of a channel.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The seconds that were given.
    pub(super) taken: Taken,
    /// Those that the card's log tells of, while it is read.
    pub(super) given_on_card: Taken,
    /// Entries were seen to come back.
    pub(super) echoes: bool,
    /// The columns in which they did.
    pub(super) columns: ColumnSet,
    /// An earlier boot may have given seconds that are not among these.
    pub(super) has_past: bool,
    /// The card says that it knows all seconds, and from now on it does not.
    pub(super) is_outdated: bool,
}

impl Known {
    /// Whether rows may be in the way of entries that this boot does not know of.
    pub(super) const fn may_collide(&self) -> bool {
        self.has_past || self.taken.has_forgotten()
    }

    /// The bytes to remember. `is_last` says that no more seconds will be given in this boot.
    pub(super) fn memory(&self, is_last: bool) -> Vec<u8> {
        let flag = |is_so: bool, flag: u8| if is_so { flag } else { 0 };
        let mut taken = Writer::new();
        // A flag and three bytes of columns at most.
        let is_complete = self.taken.write(MEMORY - 4, &mut taken) && is_last && !self.may_collide();
        let mut to = Writer::new();
        to.byte(flag(self.echoes, ECHOES) | flag(is_complete, COMPLETE));
        to.number(self.columns.bits().into());
        for byte in taken.finish() {
            to.byte(byte);
        }
        to.finish()
    }

    /// Takes up what an earlier run remembered. Where `is_first` is not so, a run of this boot knows more since. `None` for bytes
    /// that are none of ours.
    pub(super) fn recall(&mut self, memory: &[u8], is_first: bool) -> Option<()> {
        let mut from = Reader::new(memory);
        let (flags, columns) = (from.byte()?, u16::try_from(from.number()?).ok()?);
        let taken = Taken::read(&mut from)?;
        let is_complete = flags & COMPLETE != 0;
        if is_first {
            self.echoes |= flags & ECHOES != 0;
            self.columns = self.columns.union(ColumnSet::from_bits(columns));
            self.has_past = !is_complete;
        }
        // From now on seconds are given that the card does not know.
        self.is_outdated |= is_complete;
        self.taken.learn(&taken);
        Some(())
    }
}
