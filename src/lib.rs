//! gatepost reads sensors, makes one entry per ThingSpeak channel and slot out of the readings, publishes it
//! over MQTT, and drives outputs from the field updates it subscribes to.
//!
//! ```text
//! hal ─▶ sensor ─▶ reading ─▶ pipeline ─▶ spool ─▶ uplink ─▶ broker
//!                               broker ─▶ uplink ─▶ output ─▶ hal
//! ```
//!
//! The modules stand in the order in which the data flows. A module names what stands to its left in its own
//! row, and the plain types ([`time`], [`store`], [`reading`], [`entry`], [`formula`]); it never names the daemon. The cores (pipeline,
//! spool, uplink session, output rules) are state machines that take `now` and return what is to be
//! done; the daemon's tasks are the only place where threads, sockets and clocks meet them.

pub mod formula;
pub mod store;
pub mod time;

pub mod hal;
pub mod net;
pub mod sensor;

pub mod scan;

pub mod reading;

pub mod entry;

pub mod thingspeak;

pub mod pipeline;
pub mod spool;

pub mod state;

pub mod uplink;

pub mod output;

pub mod config;
pub mod daemon;
#[cfg(target_os = "linux")]
pub mod doctor;
pub mod status;

pub mod first_map;

#[cfg(any(test, fuzzing))]
pub mod fuzzing;
