//! What is in files that cannot be gone on with: it waits in memory.

use std::collections::BTreeMap;

use super::{Reading, Told, queue_of};
use crate::entry::ChannelId;
use crate::spool::Key;
use crate::spool::queue::Queue;
use crate::spool::queued::Queued;
use crate::spool::records::{EntryRecord, LogRecord, Time};
use crate::time::BootId;

impl Reading<'_> {
    /// Takes what is in files that cannot be gone on with. Their entries are in memory alone.
    pub(super) fn take_loose(
        &mut self,
        loose: Vec<(BootId, LogRecord)>,
        asides: Vec<Vec<(BootId, LogRecord)>>,
        told: &mut Told,
        queues: &mut BTreeMap<ChannelId, Queue>,
    ) {
        self.take_loose_asides(asides, told, queues);
        let mut entries = Vec::new();
        for (boot, note) in loose {
            match note {
                LogRecord::Entry(kept) => entries.push((boot, kept)),
                LogRecord::Settled(key) => {
                    self.use_up(key);
                    told.has_left(key);
                }
                note => self.common(&note, told, queues),
            }
        }
        for (boot, mut kept) in entries {
            self.use_up(kept.key);
            let queue = queue_of(queues, kept.draft.channel);
            if let Time::Known(at) = kept.time {
                queue.known.given_on_disk.give(at);
            }
            // The file is still there: its acknowledgement has to be told there too.
            queue.attempted = queue.attempted.max(kept.key);
            if told.settled.contains(&kept.key) {
                continue;
            }
            if let Some(at) = told.retimed.get(&kept.key) {
                kept.time = Time::Known(*at);
            }
            let channel = kept.draft.channel;
            let entry = Queued::new(kept, boot);
            told.waiting.entry(entry.record.key).or_insert((entry, channel));
        }
    }

    /// Takes unconfirmed entries of files that cannot be gone on with. What the runtime directory tells of them is newer.
    fn take_loose_asides(
        &mut self,
        asides: Vec<Vec<(BootId, LogRecord)>>,
        told: &mut Told,
        queues: &mut BTreeMap<ChannelId, Queue>,
    ) {
        let newer: Vec<_> = queues.iter_mut().map(|(id, queue)| (*id, std::mem::take(&mut queue.aside))).collect();
        for file in asides {
            let mut channels: BTreeMap<Key, ChannelId> = BTreeMap::new();
            for (boot, note) in file {
                if let LogRecord::Aside(EntryRecord { key, .. }) | LogRecord::Settled(key) = note {
                    self.use_up(key);
                    told.has_left(key);
                }
                let channel = match &note {
                    LogRecord::Aside(kept) => {
                        channels.insert(kept.key, kept.draft.channel);
                        Some(kept.draft.channel)
                    }
                    LogRecord::Settled(key) => channels.get(key).copied(),
                    _ => {
                        self.common(&note, told, queues);
                        None
                    }
                };
                if let Some(channel) = channel {
                    queue_of(queues, channel).aside.push((boot, note));
                }
            }
        }
        for (id, newer) in newer {
            queue_of(queues, id).aside.extend(newer);
        }
    }
}
