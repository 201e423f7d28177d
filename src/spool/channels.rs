//! What the spool knows of a channel beyond its entries.

use crate::entry::{ChannelId, ColumnSet};
use crate::spool::Spool;
use crate::spool::records::LogRecord;
use crate::time::Mono;

impl Spool {
    /// Whether entries of a channel were seen to come back: only then that one does not means something.
    pub fn echoes(&self, channel: ChannelId) -> bool {
        self.queues.get(channel).is_some_and(|queue| queue.known.echoes)
    }

    /// Entries of a channel come back, or do no longer.
    pub fn set_echoes(&mut self, channel: ChannelId, echoes: bool) {
        let queue = self.queues.get_or_new(channel);
        if std::mem::replace(&mut queue.known.echoes, echoes) != echoes {
            self.learned.insert(channel);
            self.note(self.rules.boot, &[LogRecord::Echoes(channel, echoes)]);
        }
    }

    /// The columns of a channel in which entries were seen to come back as they were sent.
    pub fn columns(&self, channel: ChannelId) -> ColumnSet {
        self.queues.get(channel).map_or_else(ColumnSet::default, |queue| queue.known.columns)
    }

    /// From now on these are the columns in which entries come back.
    pub fn set_columns(&mut self, channel: ChannelId, columns: ColumnSet) {
        let queue = self.queues.get_or_new(channel);
        if std::mem::replace(&mut queue.known.columns, columns) != columns {
            self.learned.insert(channel);
            self.note(self.rules.boot, &[LogRecord::Columns(channel, columns)]);
        }
    }

    /// Whether an earlier boot may have given seconds of a channel that are not known: rows may be in the way of entries.
    pub fn may_collide(&self, channel: ChannelId) -> bool {
        self.queues.get(channel).is_some_and(|queue| queue.known.may_collide())
    }

    /// The end of the last draft of this boot that was taken from a channel.
    pub fn last_end(&self, channel: ChannelId) -> Option<Mono> {
        self.queues.get(channel)?.last_end
    }

    /// Whether an earlier run or session may have sent updates a moment ago: nobody knows when they arrived. True for every run
    /// that is not known to be the first.
    pub const fn may_have_just_sent(&self) -> bool {
        self.may_have_just_sent
    }

    /// What is to be remembered of channels over a reboot. `is_last` says that no more seconds will be given in this boot.
    pub fn memory(&self, is_last: bool) -> Vec<(ChannelId, Vec<u8>)> {
        self.queues.iter().map(|(id, queue)| (*id, queue.known.memory(is_last))).collect()
    }

    /// Takes up what [`Spool::memory`] gave to an earlier run. What cannot be read is left out. `was_used` says whether an
    /// earlier run has used the state directory, whatever it left there.
    pub fn recall(&mut self, memories: Vec<(ChannelId, Vec<u8>)>, was_used: bool) {
        if self.is_first_run {
            self.queues.iter_mut().for_each(|(_, queue)| queue.known.has_past = was_used);
        }
        for (channel, memory) in memories {
            let queue = self.queues.get_or_new(channel);
            let _ = queue.known.recall(&memory, self.is_first_run);
            self.outdates_disk |= std::mem::take(&mut queue.known.is_outdated);
        }
        self.move_off_taken();
        self.write_anew();
    }

    /// What is to be remembered of the channels of which something was learned since this was last asked: it is worth a write to
    /// the disk.
    pub fn learned(&mut self) -> Vec<(ChannelId, Vec<u8>)> {
        let learned = std::mem::take(&mut self.learned).into_iter();
        learned.filter_map(|channel| Some((channel, self.queues.get(channel)?.known.memory(false)))).collect()
    }

    /// Whether the disk says that it knows all seconds that were given, and no longer does, since this was last asked.
    pub fn outdates_disk(&mut self) -> bool {
        std::mem::take(&mut self.outdates_disk)
    }
}
