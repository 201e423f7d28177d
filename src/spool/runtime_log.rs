//! The log in the runtime directory: every entry is written here at once. The directory is memory-backed, so that this costs
//! no disk, takes no time, and survives everything but the machine.

use std::io;
use std::sync::Arc;

use crate::spool::records::LogRecord;
use crate::spool::segment::told_in;
use crate::spool::{Spool, SpoolEvent};
use crate::store::journal::Journal;
use crate::store::storage::Storage;
use crate::time::{BootId, Mono};

/// Its name.
pub(super) const FILE: &str = "spool.log";

pub(super) struct RuntimeLog {
    journal: Journal,
    /// The boot that it said last.
    boot: BootId,
}

impl RuntimeLog {
    /// A log that is to be written as a whole before anything is added.
    pub(super) fn new(storage: Arc<dyn Storage>) -> Self {
        Self { journal: Journal::new(storage, FILE), boot: BootId::default() }
    }

    /// Adds records, unless something is missing in the log.
    pub(super) fn add(&mut self, boot: BootId, records: &[LogRecord]) -> io::Result<()> {
        let mut bytes = Vec::new();
        if boot != self.boot {
            LogRecord::Boot(boot).append(&mut bytes);
        }
        for record in records {
            record.append(&mut bytes);
        }
        self.journal.append(&bytes)?;
        self.boot = boot;
        Ok(())
    }

    /// Its file, for what does not depend on the records.
    pub(super) const fn journal(&mut self) -> &mut Journal {
        &mut self.journal
    }

    /// Puts these records in the place of all that it said.
    pub(super) fn rewrite(
        &mut self,
        now: Mono,
        records: impl IntoIterator<Item = (BootId, LogRecord)>,
    ) -> io::Result<()> {
        self.journal.rewrite(now, &told_in(records))?;
        // Whatever is added next says its boot again.
        self.boot = BootId::default();
        Ok(())
    }
}

impl Spool {
    /// Writes the runtime directory's log anew: somebody has removed it.
    pub fn keep_anew(&mut self) {
        self.write_anew();
    }

    /// Adds to the runtime directory's log; where that fails, memory is all there is until it works again.
    pub(super) fn note(&mut self, boot: BootId, notes: &[LogRecord]) {
        if !self.runtime.journal().is_stale() {
            let written = self.runtime.add(boot, notes);
            self.report_runtime(written);
        }
        if self.runtime.journal().wants_rewrite(self.seen) {
            self.write_anew();
        }
    }

    pub(super) fn write_anew(&mut self) {
        let mut notes = vec![(self.rules.boot, LogRecord::Next(self.next))];
        if self.believed {
            notes.push((self.rules.boot, LogRecord::Believed));
        }
        for (id, queue) in self.queues.iter() {
            notes.push((self.rules.boot, LogRecord::Latest(*id, None, queue.last_end)));
            notes.push((self.rules.boot, LogRecord::Given(*id, queue.known.taken.clone(), queue.known.has_past)));
            notes.push((self.rules.boot, LogRecord::Columns(*id, queue.known.columns)));
            notes.extend(queue.known.echoes.then_some((self.rules.boot, LogRecord::Echoes(*id, true))));
            notes.extend(
                queue.began.iter().map(|(boot, began)| (self.rules.boot, LogRecord::Began(*id, *boot, *began))),
            );
            notes.extend(queue.sent.iter().map(|key| (self.rules.boot, LogRecord::Sent(*key))));
            let taken = queue.queued.iter().filter(|(_, queued)| queued.taken);
            notes.extend(taken.map(|(key, _)| (self.rules.boot, LogRecord::Sent(*key))));
            notes.extend(queue.retimed.iter().map(|(key, at)| (self.rules.boot, LogRecord::Retimed(*key, *at))));
            notes.extend(queue.unnoted.iter().filter(|(_, note)| matches!(note, LogRecord::Settled(_))).cloned());
            let unwritten = queue.queued.values().filter(|queued| !queued.on_disk);
            notes.extend(unwritten.map(|queued| (queued.boot, LogRecord::Entry(queued.record.clone()))));
            notes.extend(queue.aside.iter().cloned());
        }
        let written = self.runtime.rewrite(self.seen, notes);
        self.report_runtime(written);
    }

    fn report_runtime(&mut self, written: std::io::Result<()>) {
        if let Some(news) = self.runtime.journal().news(written) {
            self.told.push(SpoolEvent::Runtime(news.err().map(|error| error.to_string())));
        }
    }
}
