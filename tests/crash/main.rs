//! Nothing measured is lost, whatever happens to the program, its disks and its link: the binary as shipped, ill-treated
//! from outside, against the sandbox and a real Mosquitto.
//!
//! Everything waits for an event (a line, a row, an end) with a deadline that only a defect reaches. Scenarios that wait most of
//! the time play at once. After each the books are closed: every entry that was acknowledged is a row, exactly once, with
//! its own time.
#![cfg(all(target_os = "linux", feature = "sandbox"))]

mod books;
#[path = "../mosquitto/broker.rs"]
#[expect(dead_code, reason = "another suite needs the rest")]
mod broker;
#[path = "../mosquitto/certificates.rs"]
mod certificates;
mod disks;
mod house;
mod kills;
#[path = "../program/namespace.rs"]
mod namespace;
mod networks;
mod outages;
#[path = "../program/mod.rs"]
#[expect(dead_code, reason = "other suites need the rest")]
mod program;
mod quiet;
#[path = "../program/reads.rs"]
#[expect(dead_code, reason = "another suite needs the rest")]
mod reads;
mod service;
mod trap;

use std::panic::resume_unwind;
use std::thread;

/// Something bad that happens, by its name.
type Scenario = (&'static str, fn());

#[test]
fn bad_disks_and_bad_links_lose_nothing_and_are_told_once() {
    together(disks::SCENARIOS.into_iter().chain(outages::SCENARIOS).chain(networks::SCENARIOS).collect());
}

/// Plays scenarios at once. All are played to their ends; then a failed one fails the test.
fn together<T: Send>(scenarios: Vec<(&str, impl FnOnce() -> T + Send)>) -> Vec<T> {
    thread::scope(|scope| {
        let playing: Vec<_> = scenarios.into_iter().map(|(name, scenario)| (name, scope.spawn(scenario))).collect();
        let played: Vec<_> = playing.into_iter().map(|(name, scenario)| (name, scenario.join())).collect();
        for (name, result) in &played {
            if result.is_err() {
                eprintln!("failed: {name}");
            }
        }
        played.into_iter().map(|(_, result)| result.unwrap_or_else(|panic| resume_unwind(panic))).collect()
    })
}
