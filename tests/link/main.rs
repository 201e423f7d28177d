//! The program as built against peers that mean no good: each ends its own connection, with a sentence, and nothing else.
#![cfg(target_os = "linux")]

#[path = "../program/mod.rs"]
#[expect(dead_code, reason = "other suites need the rest")]
mod program;

mod house;
mod peer;
mod peers;
mod roads;
