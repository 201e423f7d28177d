//! The log in the runtime directory: every entry is written here at once. The directory is memory-backed, so that this costs
//! no card, takes no time, and survives everything but the machine.

use std::io;
use std::sync::Arc;

use crate::spool::disk::segment::told_in;
use crate::spool::records::LogRecord;
use crate::store::journal::Journal;
use crate::store::storage::Storage;
use crate::time::{BootId, Mono};

/// Its name.
pub(super) const FILE: &str = "spool.log";

pub(super) struct FastLog {
    journal: Journal,
    /// The boot that it said last.
    boot: BootId,
}

impl FastLog {
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
