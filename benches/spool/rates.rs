//! How long the spool takes, on real folders. What a flush takes is the disk's business: see the counts.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use divan::{Bencher, black_box};
use gatepost::spool::{Durability, Policy, Turn};
use gatepost::store::storage::Storage;

use crate::memory;
use crate::station::{CHANNEL, Folders, Station, Storages};

const EVERY: Duration = Duration::from_secs(1);
const SAMPLES: u32 = 100;
const STEPS: u32 = 100;

#[divan::bench(sample_count = SAMPLES, sample_size = STEPS)]
fn healthy_link(bencher: Bencher<'_, '_>) {
    let folders = Folders::new();
    let mut station = Station::new(&folders.storages(), Policy::default());
    bencher.bench_local(|| station.send(EVERY));
}

#[divan::bench(sample_count = SAMPLES, sample_size = STEPS)]
fn outage_grouped(bencher: Bencher<'_, '_>) {
    let folders = Folders::new();
    let mut station = Station::new(&folders.storages(), Policy::default());
    bencher.bench_local(|| station.wait(EVERY));
}

#[divan::bench(sample_count = SAMPLES, sample_size = STEPS)]
fn outage_always(bencher: Bencher<'_, '_>) {
    let folders = Folders::new();
    let policy = Policy { durability: Durability::Always, ..Policy::default() };
    let mut station = Station::new(&folders.storages(), policy);
    bencher.bench_local(|| station.wait(EVERY));
}

#[divan::bench(sample_count = SAMPLES, sample_size = STEPS)]
fn drained_from_the_card(bencher: Bencher<'_, '_>) {
    let folders = Folders::new();
    let entries = (SAMPLES * STEPS * 2) as usize;
    Station::new(&folders.storages(), Policy::default()).outage(entries, EVERY);
    let mut station = Station::rebooted(&folders.storages(), Policy::default());
    bencher.bench_local(|| station.drain(EVERY));
}

#[divan::bench(sample_count = 20, sample_size = 1)]
fn started_with_100_000_waiting(bencher: Bencher<'_, '_>) {
    let folders = Folders::new();
    Station::new(&folders.storages(), Policy::default()).outage(memory::ENTRIES, EVERY);
    bencher.bench_local(|| Station::rebooted(&folders.storages(), Policy::default()));
}

/// A disk that takes nothing.
struct Full;

impl Storage for Full {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn read(&self, _: &str) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn append(&self, _: &str, _: u64, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn extend(&self, _: &str, _: u64, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn replace(&self, _: &str, _: &[u8], _: bool) -> io::Result<()> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn truncate(&self, _: &str, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        Ok(())
    }
}

/// All that a channel may hold in memory waits there: with the next entry the oldest one goes.
fn without_a_card(folders: &Folders) -> Station {
    let storages = Storages { state: Arc::new(Full), ..folders.storages() };
    let mut station = Station::new(&storages, Policy::default());
    while station.spool.counts().dropped_for_size == 0 {
        station.wait(EVERY);
    }
    station
}

mod full_card {
    use super::{Bencher, CHANNEL, EVERY, Folders, SAMPLES, STEPS, Turn, black_box, without_a_card};

    #[divan::bench(sample_count = SAMPLES, sample_size = STEPS)]
    fn push(bencher: Bencher<'_, '_>) {
        let folders = Folders::new();
        let mut station = without_a_card(&folders);
        bencher.bench_local(|| station.wait(EVERY));
    }

    #[divan::bench]
    fn oldest(bencher: Bencher<'_, '_>) {
        let folders = Folders::new();
        let station = without_a_card(&folders);
        bencher.bench_local(|| black_box(station.spool.next(CHANNEL, Turn::Backlog)));
    }

    #[divan::bench]
    fn live(bencher: Bencher<'_, '_>) {
        let folders = Folders::new();
        let station = without_a_card(&folders);
        let since = station.now.mono - EVERY * 15;
        bencher.bench_local(|| black_box(station.spool.next(CHANNEL, Turn::Live(since))));
    }

    #[divan::bench]
    fn due(bencher: Bencher<'_, '_>) {
        let folders = Folders::new();
        let mut station = without_a_card(&folders);
        bencher.bench_local(|| black_box(station.spool.due()));
    }

    #[divan::bench]
    fn waiting(bencher: Bencher<'_, '_>) {
        let folders = Folders::new();
        let station = without_a_card(&folders);
        bencher.bench_local(|| black_box(station.spool.waiting(CHANNEL)));
    }
}
