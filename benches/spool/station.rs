//! A spool with its two folders and a clock of its own: what a slot, an outage and an acknowledgement do to it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gatepost::entry::{Cell, Cells, ChannelId, Decimals, Entry, Form, Reduce, UntimedEntry};
use gatepost::spool::{Backlog, Policy, Spool, Turn};
use gatepost::store::storage::{Folder, Storage};
use gatepost::time::{BootId, Mono, Now, Utc};
use tempfile::TempDir;

pub(crate) const CHANNEL: ChannelId = ChannelId(1_234_567);
/// 2026-11-22T08:00:00Z, the wall clock at the beginning of the first boot.
const EIGHT: Utc = Utc::from_seconds(1_795_334_400);
/// Any backlog here is shorter.
const MONTH: Duration = Duration::from_secs(30 * 86_400);
/// Nothing is dropped for its age: what is asked is what a backlog costs, however long it took.
const BACKLOG: Backlog =
    Backlog { keep: Duration::from_secs(365 * 86_400), max_size: 32 << 20, thin: None, drains: true };

/// The runtime and the state directory.
#[derive(Clone)]
pub(crate) struct Storages {
    pub(crate) runtime: Arc<dyn Storage>,
    pub(crate) state: Arc<dyn Storage>,
}

/// Two folders that are removed in the end: one in memory, as systemd's is, where the machine has such, and one on the disk
/// of this checkout.
pub(crate) struct Folders {
    runtime: TempDir,
    state: TempDir,
}

impl Folders {
    pub(crate) fn new() -> Self {
        let in_memory = Path::new("/dev/shm");
        let runtime = if in_memory.is_dir() { TempDir::new_in(in_memory) } else { TempDir::new() };
        let state = TempDir::new_in(env!("CARGO_TARGET_TMPDIR"));
        Self { runtime: runtime.expect("a folder"), state: state.expect("a folder") }
    }

    pub(crate) fn storages(&self) -> Storages {
        Storages { runtime: Arc::new(Folder::new(self.runtime.path())), state: self.state() }
    }

    pub(crate) fn state(&self) -> Arc<dyn Storage> {
        Arc::new(Folder::new(self.state.path()))
    }

    pub(crate) fn state_path(&self) -> &Path {
        self.state.path()
    }
}

pub(crate) struct Station {
    pub(crate) spool: Spool,
    state: Arc<dyn Storage>,
    pub(crate) now: Now,
}

impl Station {
    /// A spool in empty folders. Its clock is right.
    pub(crate) fn new(storages: &Storages, policy: Policy) -> Self {
        Self::open(storages, policy, BootId(1), EIGHT)
    }

    /// The spool of the next boot, on what these folders hold.
    pub(crate) fn rebooted(storages: &Storages, policy: Policy) -> Self {
        Self::open(storages, policy, BootId(2), EIGHT + MONTH)
    }

    fn open(storages: &Storages, policy: Policy, boot: BootId, utc: Utc) -> Self {
        let Storages { runtime, state } = storages.clone();
        let bell = Box::new(|| {});
        let now = Now { mono: Mono::default(), utc };
        let (mut spool, _) = Spool::open([(CHANNEL, BACKLOG)], policy, (boot, now), runtime, &*state, bell);
        spool.synchronised(now);
        Self { spool, state, now }
    }

    pub(crate) fn pass(&mut self, by: Duration) {
        self.now = Now { mono: self.now.mono + by, utc: self.now.utc + by };
    }

    /// A slot ends: its entry has all eight fields.
    pub(crate) fn push(&mut self, every: Duration) {
        self.pass(every);
        let mut cells = Cells::default();
        for (cell, value) in cells.iter_mut().zip([21.52, 48.1, 1013.25, 3.3, 12.6, 0.75, 417.0, 88.0]) {
            *cell = Some(Cell { decimals: Some(Decimals::UpTo(2)), ..Cell::new(value, 4, Reduce::Mean) });
        }
        let draft = UntimedEntry { channel: CHANNEL, end: self.now.mono, cells, status: None, form: Form::Feed };
        self.spool.push(self.now, vec![draft]);
    }

    /// Does all that the disk is to do now, as the disk's thread would.
    pub(crate) fn pump(&mut self) {
        while let Some(job) = self.spool.job(self.now) {
            let outcome = job.perform(&*self.state);
            self.spool.done(self.now, outcome);
        }
    }

    /// Sends the oldest entry.
    pub(crate) fn take(&mut self) -> Entry {
        let oldest = self.spool.take(CHANNEL, Turn::Backlog, 1).pop();
        oldest.expect("entries wait, and the next ones were read from the disk")
    }

    /// A slot with a healthy link: its acknowledgement comes before the next one ends.
    pub(crate) fn send(&mut self, every: Duration) {
        self.wait(every);
        let sent = self.take();
        self.spool.acknowledge(CHANNEL, sent.key);
        self.pump();
    }

    /// A slot of an outage.
    pub(crate) fn wait(&mut self, every: Duration) {
        self.push(every);
        self.pump();
    }

    /// An outage of so many slots, until everything is on the disk.
    pub(crate) fn outage(&mut self, entries: usize, every: Duration) {
        for _ in 0..entries {
            self.wait(every);
        }
        self.spool.stop();
        self.pump();
        assert!(self.spool.is_written() && self.spool.waiting(CHANNEL) >= entries, "all of them wait on the disk");
    }

    /// The oldest entry of a backlog goes, in a spare slot.
    pub(crate) fn drain(&mut self, every: Duration) {
        self.pass(every);
        self.pump();
        let sent = self.take();
        self.spool.acknowledge(CHANNEL, sent.key);
    }
}
