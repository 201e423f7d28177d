//! The release binary through everything that happens in the field, again and again: each kind of fault has a daemon, a
//! network and a sandbox of its own, and all of them play at once. What they do is chance that comes from one seed.
//!
//! Of each daemon every reading is followed to its row: none is lost, none is there twice. Commands that are sent while the
//! link is up are obeyed. docs/figures.md says what the table means.
//!
//! It takes root, for networks and mounts of its own. `just soak` builds what it needs and starts it:
//! `just soak [MINUTES] [SEED] [--only FAULT,...]`.
#![cfg(all(target_os = "linux", feature = "sandbox"))]

mod audit;
mod daemon;
mod faults;
mod frames;
mod lane;
mod link;
#[path = "../program/namespace.rs"]
#[expect(dead_code, reason = "another suite needs the rest")]
mod namespace;
mod network;
mod order;
#[path = "../program/mod.rs"]
#[expect(dead_code, reason = "other suites need the rest")]
mod program;
mod proof;
mod readings;
#[path = "../program/reads.rs"]
mod reads;
mod relay;
mod report;
mod service;

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread;

use gatepost::hal::{Clock as _, SystemClock};

use faults::{FAULTS, Fault};
use lane::Lane;
use network::{Outside, host};
use order::Order;
use report::{Figures, table};

/// What all daemons of a soak have in common.
pub(crate) struct Soak {
    /// The binary that is tried.
    pub(crate) program: PathBuf,
    pub(crate) minutes: u64,
    pub(crate) seed: u64,
    pub(crate) outside: Arc<Outside>,
}

#[test]
#[ignore = "takes 20 minutes and root: `just soak`"]
fn release_binary_loses_nothing_and_obeys_through_every_fault() {
    let words = env::var("GATEPOST_SOAK").unwrap_or_default();
    let order = Order::parse(&words, &FAULTS.map(|fault| fault.name)).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert!(
        rustix::process::geteuid().is_root(),
        "the soak makes networks and mounts of its own, which takes root: run `just soak` as root"
    );
    let program = env::var_os("GATEPOST_SOAK_PROGRAM").and_then(|program| PathBuf::from(program).canonicalize().ok());
    let program = program.expect("GATEPOST_SOAK_PROGRAM names no binary to try: `just soak` builds one and names it");
    let played: Vec<(u8, Fault)> = (1..).zip(FAULTS).filter(|(_, fault)| order.names(fault.name)).collect();
    let folder = tempfile::tempdir().expect("a folder");
    let outside = Arc::new(Outside::make(folder.path(), &hosts(&played)));
    let now = SystemClock.now().utc;
    #[expect(clippy::cast_sign_loss, reason = "it is after 1970")]
    let seed = order.seed.unwrap_or(now.millis() as u64 % 1_000_000);
    let Order { minutes, only, .. } = &order;
    let only = if only.is_empty() { String::new() } else { format!(" --only {}", only.join(",")) };
    println!("{now}  {}  just soak {minutes} {seed}{only}", version(&program));
    let soak = Soak { program, minutes: *minutes, seed, outside };

    let all: Vec<Figures> = thread::scope(|scope| {
        let playing: Vec<_> =
            played.iter().map(|(number, fault)| scope.spawn(|| Lane::run(fault, *number, &soak))).collect();
        let played = playing.into_iter().zip(&played);
        played.map(|(playing, (_, fault))| playing.join().unwrap_or_else(|_| Figures::broken(fault))).collect()
    });
    drop(soak);
    println!("\n{}", table(&all));
    let failed: Vec<&str> = all.iter().filter(|figures| figures.has_failed()).map(|figures| figures.name).collect();
    assert!(failed.is_empty(), "failed: {}", failed.join(", "));
}

/// Where the brokers are, in the form of /etc/hosts.
fn hosts(played: &[(u8, Fault)]) -> String {
    let lines = played.iter().flat_map(|(number, fault)| {
        let known = if fault.plan.two_addresses { 2 } else { 1 };
        network::addresses(*number).into_iter().take(known).map(|address| format!("{address} {}\n", host(fault.name)))
    });
    lines.collect()
}

/// What the binary calls itself.
fn version(program: &Path) -> String {
    let said = Command::new(program).arg("--version").output().expect("the binary is there, and starts");
    String::from_utf8_lossy(&said.stdout).trim().to_owned()
}
