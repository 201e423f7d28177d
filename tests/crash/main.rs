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
#[expect(dead_code, reason = "another suite needs the rest")]
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
#[path = "../program/together.rs"]
mod together;
mod trap;

use together::together;

/// Something bad that happens, by its name.
type Scenario = (&'static str, fn());

#[test]
fn bad_disks_and_bad_links_lose_nothing_and_are_told_once() {
    together(disks::SCENARIOS.into_iter().chain(outages::SCENARIOS).chain(networks::SCENARIOS).collect());
}
