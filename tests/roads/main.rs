//! Networks with defects between the program and its broker: dead and frozen addresses, MTU holes, proxies. The daemon and
//! `doctor` as built run in networks of the test's own, against the sandbox.
//!
//! Everything waits for an event with a deadline that only a defect reaches. What is checked is what the programs report: which
//! addresses were tried, and with which result.
#![cfg(all(target_os = "linux", feature = "sandbox"))]

mod addresses;
#[path = "../program/fetched.rs"]
mod fetched;
mod hole;
mod house;
#[path = "../program/namespace.rs"]
#[expect(dead_code, reason = "another suite needs the rest")]
mod namespace;
#[path = "../program/mod.rs"]
#[expect(dead_code, reason = "other suites need the rest")]
mod program;
mod proxies;
