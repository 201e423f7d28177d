//! The look-alike over real sockets: a client that says one packet after the other, and raw bytes where no client would say such a thing.
//!
//! Nothing here depends on how fast the machine is: everything waits for an event, with a deadline that only a defect
//! reaches. The rules themselves are tested in the core, on a virtual clock.
#![cfg(feature = "sandbox")]

mod client;
mod hostile;
mod outages;
#[cfg(target_os = "linux")]
mod program;
mod transports;

use std::sync::Arc;
use std::time::Duration;

use thingspeak_sandbox::{Channel, Device, Options, Rights, Sandbox};

/// A deadline that only a defect reaches.
const SOON: Duration = Duration::from_secs(30);
const ONE: u64 = 1;
const TWO: u64 = 2;

fn device() -> Device {
    Device::new("device", "password").with(ONE, Rights::ALL).with(TWO, Rights::ALL)
}

fn options() -> Options {
    Options {
        channels: vec![Channel::new(ONE), Channel::new(TWO).paid()],
        devices: vec![device()],
        ..Options::default()
    }
}

async fn sandbox(options: Options) -> Arc<Sandbox> {
    Arc::new(Sandbox::start(options).await.expect("a sandbox on free ports"))
}
