//! The state directory's files, once they are in order.

use std::collections::{BTreeMap, HashMap};

use super::order::{Damage, Order};
use super::scan::Scan;
use super::{Reading, Told, queue_of, read_file};
use crate::entry::ChannelId;
use crate::spool::Key;
use crate::spool::queue::Queue;
use crate::spool::records::{EntryRecord, LogRecord, LogRecords, Time};
use crate::spool::segment::{self, Segment};
use crate::time::BootId;

impl Reading<'_> {
    pub(super) fn read_disk(
        &mut self,
        order: Order,
        rotten: Option<Damage>,
        told: &mut Told,
        queues: &mut BTreeMap<ChannelId, Queue>,
    ) {
        let Order { segments, unconfirmed, loose, asides, damaged } = order;
        let is_damaged = rotten.is_some() || !damaged.is_empty();
        for (channel, name) in unconfirmed {
            queue_of(queues, channel);
            self.use_up_unconfirmed(channel, &name, told, queues);
        }
        let mut on_disk: HashMap<ChannelId, Vec<(Segment, Vec<Key>)>> = HashMap::new();
        for (channel, first, name) in segments {
            queue_of(queues, channel);
            self.use_up(first);
            if let Some(read) = self.read_segment(channel, first, name, told, queues) {
                on_disk.entry(channel).or_default().push(read);
            }
        }
        self.take_loose(loose, asides, told, queues);
        if is_damaged {
            let keys = on_disk.values().flatten().flat_map(|(_, keys)| keys);
            self.count_lost(rotten.into_iter().chain(damaged), &told.named(keys));
        }
        for (channel, segments) in on_disk {
            let queue = queues.get_mut(&channel).expect("made above");
            for (mut segment, keys) in segments {
                let (left, waiting): (Vec<Key>, Vec<Key>) =
                    keys.into_iter().partition(|key| told.settled.contains(key));
                for key in &waiting {
                    told.waiting.remove(key);
                    if told.retimed.contains_key(key) || told.sent.contains(key) {
                        told.on_disk.insert(*key, channel);
                    }
                }
                // A segment without entries has a key in its name all the same: none below it belongs there.
                queue.written = queue.written.max(Key(segment.first.0.saturating_sub(1)));
                queue.written = queue.written.max(waiting.last().copied().unwrap_or_default());
                queue.written = queue.written.max(left.last().copied().unwrap_or_default());
                for key in &left {
                    if !told.settled_on_disk.contains(&(channel, *key)) {
                        queue.unnoted.push((BootId::default(), LogRecord::Settled(*key)));
                    }
                }
                segment.waiting = waiting.len();
                queue.left.extend(left);
                queue.segments.push_back(segment);
            }
        }
        for (key, at) in &told.retimed {
            if let Some(queue) = told.channel_of(*key).and_then(|channel| queues.get_mut(&channel)) {
                queue.retimed.insert(*key, *at);
                queue.known.taken.give(*at);
                if told.retimed_on_disk.get(&(queue.id, *key)) != Some(at) {
                    queue.unnoted.push((BootId::default(), LogRecord::Retimed(*key, *at)));
                }
            }
        }
        for key in &told.sent {
            if let Some(queue) = told.channel_of(*key).and_then(|channel| queues.get_mut(&channel)) {
                queue.sent.insert(*key);
            }
        }
        for (id, queue) in queues.iter_mut() {
            let on_disk = |boot: BootId| queue.untimed.iter().any(|run| run.boot == boot);
            let lacks = |boot: BootId| on_disk(boot) && !told.began_on_disk.contains(&(*id, boot));
            let untold: Vec<_> = queue.began.iter().filter(|(boot, _)| lacks(*boot)).copied().collect();
            for (boot, began) in untold {
                queue.awaiting_boot_record = true;
                queue.unnoted.push((BootId::default(), LogRecord::Began(*id, boot, began)));
            }
        }
    }

    /// The keys of unconfirmed entries are used, too, and so are their seconds. They do not wait, though the power may have been
    /// cut before their segment was told.
    fn use_up_unconfirmed(
        &mut self,
        channel: ChannelId,
        name: &str,
        told: &mut Told,
        queues: &mut BTreeMap<ChannelId, Queue>,
    ) {
        let bytes = self.disk.read(name).unwrap_or_default();
        for (_, note) in LogRecords::new(&bytes) {
            if let (LogRecord::Aside(EntryRecord { time: Time::Known(at), .. }), Some(queue)) =
                (&note, queues.get_mut(&channel))
            {
                queue.known.given_on_disk.give(*at);
            }
            if let LogRecord::Aside(EntryRecord { key, .. }) | LogRecord::Settled(key) = note {
                self.use_up(key);
                told.has_left(key);
            }
        }
    }

    fn read_segment(
        &mut self,
        channel: ChannelId,
        first: Key,
        file: String,
        told: &mut Told,
        queues: &mut BTreeMap<ChannelId, Queue>,
    ) -> Option<(Segment, Vec<Key>)> {
        let bytes = read_file(self.disk, &file, false, &mut self.found)?;
        let mut segment = Segment { file, ..Segment::new(channel, first) };
        let mut keys = Vec::new();
        let mut scan = Scan::new(&bytes, first);
        for (boot, note) in scan.by_ref() {
            let queue = queues.get_mut(&channel).expect("made by the caller");
            // What the disk tells is older than what the runtime directory does.
            if let Some(at) = segment::time_in(&note) {
                queue.known.given_on_disk.give(at);
            }
            match note {
                LogRecord::Entry(kept) => {
                    self.use_up(kept.key);
                    segment.last = segment.last.max(kept.key);
                    if let Time::Claimed(at) = kept.time {
                        queue.note_untimed(boot, kept.draft.end, at);
                    }
                    keys.push(kept.key);
                }
                LogRecord::Settled(key) => {
                    self.use_up(key);
                    told.has_left(key);
                    told.settled_on_disk.insert((channel, key));
                }
                note => {
                    match note {
                        LogRecord::Retimed(key, at) => {
                            let latest = told.retimed_on_disk.entry((channel, key)).or_insert(at);
                            *latest = at.max(*latest);
                        }
                        LogRecord::Began(of, boot, _) if of == channel => _ = told.began_on_disk.insert((of, boot)),
                        _ => {}
                    }
                    self.common(&note, told, queues);
                }
            }
        }
        segment.bytes = scan.end();
        Some((segment, keys))
    }
}
