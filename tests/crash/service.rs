//! The sandbox on a thread of its own, so that scenarios can be written without `async`; and what all scenarios ask of a
//! service, whichever it is: the rows that it stored.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::{self, JoinHandle};

use gatepost::time::Utc;
use thingspeak_sandbox::{Channel, Device, Options, Rights, Row, Sandbox, Transport};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// The channel that entries go to.
pub(crate) const HOUSE: u64 = 1;

/// The channel that commands come from.
pub(crate) const SWITCHES: u64 = 2;

/// What a scenario wants to know of a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stored {
    pub(crate) created_at: Utc,
    /// `field1`: how many readings it holds.
    pub(crate) readings: u64,
    /// `field2`: the machine's uptime in seconds when it was last read.
    pub(crate) uptime: Option<u64>,
}

impl Stored {
    /// From the columns of a row, or of an entry.
    pub(crate) fn new(created_at: Utc, field: impl Fn(u8) -> Option<f64>) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts and seconds")]
        let whole = |number| field(number).map(|value| value as u64);
        Self { created_at, readings: whole(1).unwrap_or_default(), uptime: whole(2) }
    }

    fn of(row: &Row) -> Self {
        Self::new(Utc::from_seconds(row.created_at.seconds()), |number| row.field(number)?.parse().ok())
    }
}

/// A sandbox that serves.
pub(crate) struct Service {
    pub(crate) sandbox: Arc<Sandbox>,
    pub(crate) device: Device,
    runtime: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Service {
    /// One that behaves as documented.
    pub(crate) fn start() -> Self {
        let device = Device::generate().with(HOUSE, Rights::ALL).with(SWITCHES, Rights::ALL);
        let channels = [HOUSE, SWITCHES].map(|id| Channel::new(id).paid()).to_vec();
        let options = Options { channels, devices: vec![device.clone()], ..Options::default() };
        let (started, ready) = sync_channel(1);
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let sandbox = Arc::new(Sandbox::start(options).await.expect("a sandbox on free ports"));
                started.send((sandbox, Handle::current())).expect("somebody waits for it");
                // Its owner is gone in any case.
                let _ = stopped.await;
            });
        });
        let (sandbox, runtime) = ready.recv().expect("the sandbox starts");
        Self { sandbox, device, runtime, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn port(&self) -> u16 {
        self.sandbox.addr(Transport::Tcp).port()
    }

    /// Ends it as a broker that is killed. Rows stay.
    pub(crate) fn kill(&self) {
        self.runtime.block_on(self.sandbox.stop());
    }

    /// Serves again.
    pub(crate) fn revive(&self) {
        self.runtime.block_on(self.sandbox.revive()).expect("its ports are kept for it");
    }

    pub(crate) fn rows(&self) -> Vec<Stored> {
        self.sandbox.rows(HOUSE).iter().map(Stored::of).collect()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was reported by its own message.
            let _ = thread.join();
        }
    }
}
