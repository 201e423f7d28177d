//! How many updates a channel makes of its license.

use std::time::Duration;

use crate::pipeline::slots::Publish;

/// A license's year; quotas are whole years of messages.
pub(super) const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// What a channel's license has to bear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) slot: Duration,
    /// One for the entry, and one for each field that is published by itself.
    pub(super) updates_a_slot: u32,
}

impl Load {
    /// The loads of channels with slots of these lengths, of what is published to each: its place, and when.
    pub(super) fn all(
        slots: impl IntoIterator<Item = Duration>,
        published: impl IntoIterator<Item = (usize, Publish)>,
    ) -> Vec<Self> {
        let mut loads: Vec<Self> = slots.into_iter().map(|slot| Self { slot, updates_a_slot: 0 }).collect();
        let mut has_entry = vec![false; loads.len()];
        for (channel, publish) in published {
            let is_first = publish == Publish::Field || !std::mem::replace(&mut has_entry[channel], true);
            loads[channel].updates_a_slot += u32::from(is_first);
        }
        loads
    }

    /// How many updates a day makes.
    pub(super) fn a_day(self) -> u64 {
        self.during(Duration::from_secs(86_400))
    }

    /// How many updates a license's year makes.
    pub(super) fn a_year(self) -> u64 {
        self.during(YEAR)
    }

    fn during(self, time: Duration) -> u64 {
        let slots = time.as_secs().checked_div(self.slot.as_secs()).unwrap_or_default();
        slots * u64::from(self.updates_a_slot)
    }
}
