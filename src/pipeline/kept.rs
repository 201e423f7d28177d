//! The open slots' file in the runtime directory, so that a kill costs no more than the samples in flight.
//!
//! It holds the whole state of the batch (`batch::bytes` says what, and why nothing is lost or sent twice) and is written
//! anew, by whoever measured and is awake for it, when that changed: a timer of its own would wake the machine. A state has
//! some 40 bytes a field: ten sensors in two channels take about 1 KB, so that a reading every five seconds moves 0.2 KB/s,
//! in memory.
//!
//! The runtime directory is memory-backed and gone with the boot, and so is what the file means: nothing is synced. It is
//! put in the place of the one before as a whole, so that a kill within the write leaves the old one. A write that fails is
//! told once, and tried again with the next reading.

use std::io::{self, ErrorKind};
use std::sync::Arc;

use crate::entry::ChannelId;
use crate::pipeline::core::Intake;
use crate::pipeline::slots::Restored;
use crate::store::storage::Storage;
use crate::time::{BootId, Mono, Now};

/// The file's name.
const NAME: &str = "slots";

/// The file, and what was last written to it.
pub struct Slots {
    storage: Arc<dyn Storage>,
    boot: BootId,
    written: Vec<u8>,
    /// The last write failed, and that was told.
    failing: bool,
}

impl Slots {
    /// The file in a folder, for the boot with this id. Where a boot cannot be told from another the id must be new with
    /// each start: times of another boot mean nothing.
    pub fn new(storage: Arc<dyn Storage>, boot: BootId) -> Self {
        Self { storage, boot, written: Vec::new(), failing: false }
    }

    /// Gives the intake what the process before this one had open. `last_end` is the end of the last draft of a channel
    /// that the spool has, of this boot; it holds also where there is no file.
    ///
    /// # Errors
    /// When the file is there and cannot be read; the intake is then without it.
    pub fn restore(
        &self,
        intake: &mut Intake,
        now: Now,
        last_end: impl Fn(ChannelId) -> Option<Mono>,
    ) -> io::Result<Restored> {
        let (bytes, failed) = match self.storage.read(NAME) {
            Ok(bytes) => (bytes, None),
            Err(error) if error.kind() == ErrorKind::NotFound => (Vec::new(), None),
            Err(error) => (Vec::new(), Some(error)),
        };
        let restored = intake.restore(now, self.boot, &bytes, last_end);
        failed.map_or(Ok(restored), Err)
    }

    /// The file is gone: what was written last does not count.
    pub fn forget(&mut self) {
        self.written.clear();
    }

    /// Writes the intake's state, if it is another than the one written last. Returns an edge: that it cannot be written
    /// from now on, or that it can again.
    pub fn keep(&mut self, intake: impl FnOnce(BootId) -> Vec<u8>) -> Option<io::Result<()>> {
        let state = intake(self.boot);
        if state == self.written {
            return None;
        }
        let wrote = self.storage.replace(NAME, &state, false);
        if wrote.is_ok() {
            self.written = state;
        }
        let was_failing = std::mem::replace(&mut self.failing, wrote.is_err());
        (was_failing != self.failing).then_some(wrote)
    }
}

#[cfg(test)]
mod tests;
