//! `gatepost doctor` as people meet it: a sandbox on real sockets, the program as built, and the sentences that it prints.
//!
//! Every output is held against the password of the device that it was made with ([`house::House::doctor`]).
#![cfg(all(target_os = "linux", feature = "sandbox"))]

mod accounts;
mod house;
mod lines;
mod probe;
mod roads;

use std::time::Duration;

/// A deadline that only a defect reaches.
const SOON: Duration = Duration::from_secs(120);
/// The channel of the maps.
const HOUSE: u64 = 7;
