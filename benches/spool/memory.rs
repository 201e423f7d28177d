//! What a backlog takes in memory, in a process of its own: this program started once more.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use std::{env, fs, io};

use gatepost::spool::Policy;
use gatepost::store::storage::Folder;

use crate::station::{CHANNEL, Folders, Station, Storages};

/// The argument that makes this program the other process.
const ARGUMENT: &str = "memory-of";
pub(crate) const ENTRIES: usize = 100_000;
const DRAINED: usize = 1_000;
const EVERY: Duration = Duration::from_secs(1);

/// Prints what a backlog takes at the start and while it drains.
pub(crate) fn print() {
    let folders = Folders::new();
    Station::new(&folders.storages(), Policy::default()).outage(ENTRIES, EVERY);
    let program = env::current_exe().expect("this program has a path");
    let ended = Command::new(program).arg(ARGUMENT).arg(folders.state_path()).status();
    assert!(ended.is_ok_and(|status| status.success()), "the other process says why");
}

/// Does the other process's part where this is it. Returns whether it was.
pub(crate) fn is_the_other_process() -> bool {
    let mut arguments = env::args_os().skip(1);
    let folder = arguments.next().filter(|first| first == ARGUMENT).and_then(|_| arguments.next());
    let Some(folder) = folder else { return false };
    if let Err(error) = measure(Path::new(&folder)) {
        println!("no memory figures: this system has no /proc ({error})");
    }
    true
}

fn measure(backlog: &Path) -> io::Result<()> {
    rehearse();
    let folders = Folders::new();
    let storages = Storages { state: Arc::new(Folder::new(backlog)), ..folders.storages() };
    println!("{ENTRIES} entries wait, kB         anonymous   resident       peak");
    forget_peak()?;
    row("before the start")?;
    let mut station = Station::rebooted(&storages, Policy::default());
    assert!(station.spool.waiting(CHANNEL) >= ENTRIES, "the backlog is there");
    row("started")?;
    forget_peak()?;
    for _ in 0..DRAINED {
        station.drain(EVERY);
    }
    row(&format!("{DRAINED} of them drained"))?;
    println!();
    Ok(())
}

/// Code that runs for the first time is read from the program's file, which is not what is asked.
fn rehearse() {
    let folders = Folders::new();
    let mut station = Station::new(&folders.storages(), Policy::default());
    station.outage(100, EVERY);
    station.drain(EVERY);
}

/// From now on the peak is told anew.
fn forget_peak() -> io::Result<()> {
    fs::write("/proc/self/clear_refs", "5")
}

fn row(name: &str) -> io::Result<()> {
    let status = fs::read_to_string("/proc/self/status")?;
    let of = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        line.map_or("", |line| line.trim_start_matches(':').trim().trim_end_matches(" kB")).to_owned()
    };
    println!("{name:<34} {:>10} {:>10} {:>10}", of("RssAnon"), of("VmRSS"), of("VmHWM"));
    Ok(())
}
