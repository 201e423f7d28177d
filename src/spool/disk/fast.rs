//! The log in the runtime directory: every entry is written here at once. The directory is memory-backed, so that this costs
//! no card, takes no time, and survives everything but the machine.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::spool::disk::segment::told_in;
use crate::spool::note::Note;
use crate::spool::storage::Storage;
use crate::time::{BootId, Mono};

/// Its name.
pub(super) const FILE: &str = "spool.log";
/// Up to here it is not worth writing it anew.
const SMALL: u64 = 64 << 10;
/// After a failure it is tried again with the first word that comes so much later: it may be large by then.
const RETRY: Duration = Duration::from_secs(5);

pub(super) struct FastLog {
    storage: Arc<dyn Storage>,
    /// Its length, and what it was after it was last written anew.
    bytes: u64,
    base: u64,
    boot: BootId,
    /// Something is missing in it: it must be written anew.
    stale: bool,
    /// When writing it anew failed last.
    failed_at: Option<Mono>,
    /// That it cannot be written was told.
    trouble: bool,
}

impl FastLog {
    /// A log that is to be written anew before anything is added.
    pub(super) fn new(storage: Arc<dyn Storage>) -> Self {
        Self { storage, bytes: 0, base: 0, boot: BootId::default(), stale: true, failed_at: None, trouble: false }
    }

    /// Adds notes. After an error the log wants to be written anew.
    pub(super) fn add(&mut self, boot: BootId, notes: &[Note]) -> io::Result<()> {
        let mut bytes = Vec::new();
        if boot != self.boot {
            Note::Boot(boot).append(&mut bytes);
        }
        for note in notes {
            note.append(&mut bytes);
        }
        self.storage.append(FILE, &bytes).inspect_err(|_| self.stale = true)?;
        self.boot = boot;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Whether it has to be written anew, or should be: most of it tells of entries that have left.
    pub(super) fn wants_anew(&self, now: Mono) -> bool {
        let rests = self.failed_at.is_some_and(|failed| now < failed + RETRY);
        (self.stale || self.bytes > SMALL + self.base * 2) && !rests
    }

    /// Notes whether it could be written. Returns whether that is news.
    pub(super) fn changes_trouble(&mut self, failed: bool) -> bool {
        std::mem::replace(&mut self.trouble, failed) != failed
    }

    /// Whether something is missing in it.
    pub(super) const fn is_stale(&self) -> bool {
        self.stale
    }

    /// Puts these notes in the place of all that it said.
    pub(super) fn write_anew(&mut self, now: Mono, notes: impl IntoIterator<Item = (BootId, Note)>) -> io::Result<()> {
        let bytes = told_in(notes);
        let written = self.storage.replace(FILE, &bytes, false);
        self.failed_at = written.is_err().then_some(now);
        written?;
        self.stale = false;
        self.bytes = bytes.len() as u64;
        self.base = self.bytes;
        // Whatever is added next says its boot again.
        self.boot = BootId::default();
        Ok(())
    }
}
