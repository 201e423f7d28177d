//! Nothing measured is lost, whatever happens to the program, its disks and its link: the binary as shipped, ill-treated
//! from outside, against the sandbox and a real Mosquitto.
//!
//! Everything waits for an event (a line, a row, an end) with a deadline that only a defect reaches. Each scenario is a test
//! of its own, and many run at once (`.cargo/config.toml`). After each the books are closed: every entry that was
//! acknowledged is a row, exactly once, with its own time.
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
mod trap;
