//! What an entry costs, counted: a disk wears by bytes and by flushes, and neither depends on the machine that counts.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use gatepost::spool::{Durability, Policy};
use gatepost::store::storage::Storage;

use crate::station::{Folders, Station, Storages};

/// Entries of each row.
const ENTRIES: usize = 2_000;
const FREE: Duration = Duration::from_secs(15);
const PAID: Duration = Duration::from_secs(1);

/// A folder that counts what is written to it.
struct Counting {
    folder: Arc<dyn Storage>,
    bytes: AtomicU64,
    flushes: AtomicU64,
}

impl Counting {
    fn new(folder: Arc<dyn Storage>) -> Arc<Self> {
        Arc::new(Self { folder, bytes: AtomicU64::new(0), flushes: AtomicU64::new(0) })
    }

    /// Bytes and flushes since this was last asked.
    fn taken(&self) -> (u64, u64) {
        (self.bytes.swap(0, Relaxed), self.flushes.swap(0, Relaxed))
    }
}

impl Storage for Counting {
    fn list(&self) -> io::Result<Vec<String>> {
        self.folder.list()
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.folder.read(name)
    }

    fn append(&self, name: &str, whole: u64, bytes: &[u8]) -> io::Result<()> {
        self.bytes.fetch_add(bytes.len() as u64, Relaxed);
        self.folder.append(name, whole, bytes)
    }

    fn extend(&self, name: &str, whole: u64, bytes: &[u8]) -> io::Result<()> {
        self.bytes.fetch_add(bytes.len() as u64, Relaxed);
        self.flushes.fetch_add(1, Relaxed);
        self.folder.extend(name, whole, bytes)
    }

    fn replace(&self, name: &str, bytes: &[u8], durable: bool) -> io::Result<()> {
        self.bytes.fetch_add(bytes.len() as u64, Relaxed);
        self.flushes.fetch_add(u64::from(durable), Relaxed);
        self.folder.replace(name, bytes, durable)
    }

    fn truncate(&self, name: &str, length: u64) -> io::Result<()> {
        self.flushes.fetch_add(1, Relaxed);
        self.folder.truncate(name, length)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.folder.remove(name)
    }
}

/// Prints bytes and flushes of each way that an entry may go.
pub(crate) fn print() {
    println!("an entry of eight fields costs      runtime B    state B    state flushes");
    let grouped = Policy::default();
    let always = Policy { durability: Durability::Always, ..grouped };
    for (every, words) in [(FREE, "15 s"), (PAID, "1 s")] {
        row(&format!("healthy link, one each {words}"), grouped, |station| station.send(every));
        row(&format!("outage, one each {words}"), grouped, |station| station.wait(every));
        row_with_backlog(&format!("drained, one each {words}"), grouped, |station| station.drain(every));
    }
    row("healthy link, always", always, |station| station.send(FREE));
    row("outage, always", always, |station| station.wait(FREE));
    println!();
}

fn row(name: &str, policy: Policy, step: impl Fn(&mut Station)) {
    counted(name, &Folders::new(), policy, step);
}

fn row_with_backlog(name: &str, policy: Policy, step: impl Fn(&mut Station)) {
    let folders = Folders::new();
    Station::new(&folders.storages(), policy).outage(ENTRIES, PAID);
    counted(name, &folders, policy, step);
}

#[expect(clippy::cast_precision_loss, reason = "a few megabytes")]
fn counted(name: &str, folders: &Folders, policy: Policy, step: impl Fn(&mut Station)) {
    let Storages { runtime, state } = folders.storages();
    let (runtime, state) = (Counting::new(runtime), Counting::new(state));
    let storages = Storages { runtime: Arc::clone(&runtime) as _, state: Arc::clone(&state) as _ };
    let mut station = Station::rebooted(&storages, policy);
    runtime.taken();
    state.taken();
    for _ in 0..ENTRIES {
        step(&mut station);
    }
    let each = |counted: u64| counted as f64 / ENTRIES as f64;
    let ((in_memory, _), (on_disk, flushes)) = (runtime.taken(), state.taken());
    println!("{name:<34} {:>10.0} {:>10.0} {:>16.4}", each(in_memory), each(on_disk), each(flushes));
}
