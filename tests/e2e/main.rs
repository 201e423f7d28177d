//! The daemon and the sandbox, end to end over real sockets: the same wiring as `gatepost run`, with simulated hardware.
//!
//! A scenario sets a [`stage::Stage`] (a sandbox, simulated parts, a map on disk), lets the daemon play on it, and ends it;
//! the end holds everything the daemon sent against the documented forms (`dump`) and every log line against the
//! device's password (`secrets`).
//!
//! Each scenario is a test of its own. Most of its time is waiting, so that many run at once (`.cargo/config.toml`).
//!
//! Nothing here depends on how fast the machine is: everything waits for an event, with a deadline that only a defect
//! reaches. What depends on time alone (back-off, pacing, slots) is tested in the cores, on virtual clocks.
#![cfg(feature = "sandbox")]

mod dump;
mod every_switch;
mod links;
mod logins;
#[path = "../common/map.rs"]
#[expect(dead_code, reason = "another suite needs the rest")]
mod map;
mod observed;
mod outputs;
mod pacing;
mod reload;
mod renewal;
mod rights;
mod secrets;
mod sensors;
mod stage;
mod wires;

use std::time::Duration;

use gatepost::entry::ChannelId;

/// A deadline that only a defect reaches.
const SOON: Duration = Duration::from_secs(180);
/// The channel that the maps publish to.
const HOUSE: ChannelId = ChannelId(1);
/// The channel that the maps take commands from.
const SWITCHES: ChannelId = ChannelId(2);
