//! The program as shipped against a real broker, Debian's Mosquitto, on loopback.
//!
//! Everything waits for an event (a line, a pin's file) with a deadline that only a defect reaches. Where it is to be
//! seen that something does *not* happen, the test says for how long it looked.
#![cfg(target_os = "linux")]

mod broker;
mod certificates;
mod faults;
mod gateway;
mod house;
mod outages;
#[path = "../program/mod.rs"]
mod program;
mod retained;
mod stop;
mod transports;
