//! The daemon under a service manager, as far as a test can play one: what it tells the manager, a new map at SIGHUP, the
//! watchdog, sensors that hang, and the outputs after a crash. The real systemd is `just proof`'s.
#![cfg(target_os = "linux")]

mod manager;
mod outputs;
#[path = "../program/mod.rs"]
mod program;
mod reload;
mod sensors;
mod tracer;
mod watchdog;
