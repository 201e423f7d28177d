//! The two directories of the program as built: who may write there, what is in the place of a file, and who may ask.
//!
//! No broker is there: what is measured waits.
#![cfg(target_os = "linux")]

mod files;
mod house;
mod locks;
#[path = "../common/map.rs"]
#[expect(dead_code, reason = "other suites need the rest")]
mod map;
#[path = "../program/mod.rs"]
#[expect(dead_code, reason = "other suites need the rest")]
mod program;
mod users;
