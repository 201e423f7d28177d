//! The runtime directory's log.

use std::collections::BTreeMap;

use super::order::Damage;
use super::scan::{Condition, Scan};
use super::{Reading, Told, queue_of, read_file};
use crate::entry::ChannelId;
use crate::spool::Key;
use crate::spool::queue::Queue;
use crate::spool::queued::Queued;
use crate::spool::records::LogRecord;
use crate::spool::runtime_log;
use crate::spool::segment::{self, BAD};
use crate::store::storage::Storage;

impl Reading<'_> {
    /// Returns what is wrong with the file, if it is rotten.
    pub(super) fn read_runtime(
        &mut self,
        runtime: &dyn Storage,
        told: &mut Told,
        queues: &mut BTreeMap<ChannelId, Queue>,
    ) -> Option<Damage> {
        let bytes = read_file(runtime, runtime_log::FILE, self.repair, &mut self.found)?;
        let mut scan = Scan::new(&bytes, Key(0));
        for (boot, note) in scan.by_ref() {
            self.is_first_run &= boot != self.boot;
            if let Some(at) = segment::time_in(&note)
                && let Some(channel) = told.channel_of_note(&note)
            {
                queue_of(queues, channel).known.taken.give(at);
            }
            match note {
                LogRecord::Echoes(channel, echoes) if boot == self.boot => {
                    queue_of(queues, channel).known.echoes = echoes;
                }
                LogRecord::Columns(channel, columns) => {
                    let queue = queue_of(queues, channel);
                    queue.known.columns = columns;
                }
                LogRecord::Given(channel, taken, has_past) => {
                    let known = &mut queue_of(queues, channel).known;
                    known.taken.learn(&taken);
                    known.has_past = has_past && boot == self.boot;
                }
                LogRecord::Entry(kept) => {
                    let channel = kept.draft.channel;
                    let queue = queue_of(queues, channel);
                    if boot == self.boot {
                        queue.last_end = queue.last_end.max(Some(kept.draft.end));
                    }
                    self.use_up(kept.key);
                    if !told.settled.contains(&kept.key) {
                        told.waiting.insert(kept.key, (Queued::new(kept, boot), channel));
                    }
                }
                LogRecord::Settled(key) => {
                    self.use_up(key);
                    // A late acknowledgement of an unconfirmed entry, of which the disk may have been told or not.
                    if told.waiting.remove(&key).is_none()
                        && let Some(channel) = told.asides.get(&key)
                    {
                        queue_of(queues, *channel).aside.push((boot, LogRecord::Settled(key)));
                    }
                    told.settled.insert(key);
                }
                LogRecord::Aside(kept) => {
                    self.use_up(kept.key);
                    told.has_left(kept.key);
                    told.asides.insert(kept.key, kept.draft.channel);
                    queue_of(queues, kept.draft.channel).aside.push((boot, LogRecord::Aside(kept)));
                }
                LogRecord::Sent(key) => _ = told.sent.insert(key),
                LogRecord::Latest(channel, at, end) => {
                    let queue = queue_of(queues, channel);
                    if let Some(at) = at {
                        queue.known.taken.give(at);
                    }
                    if boot == self.boot {
                        queue.last_end = queue.last_end.max(end);
                    }
                }
                LogRecord::Believed => self.believed |= boot == self.boot,
                note => self.common(&note, told, queues),
            }
        }
        match scan.condition() {
            Condition::Whole => return None,
            Condition::Torn => {
                self.found.torn.push(runtime_log::FILE.to_owned());
                return None;
            }
            Condition::Rotten => {}
        }
        if self.repair
            && let Err(error) = runtime.replace(&format!("{}{BAD}", runtime_log::FILE), &bytes, false)
        {
            self.found.unreadable.push((runtime_log::FILE.to_owned(), error.to_string()));
        }
        let lost = scan.strange_entries();
        Some(Damage { file: runtime_log::FILE.to_owned(), holes: scan.holes(), lost, until: None })
    }
}
