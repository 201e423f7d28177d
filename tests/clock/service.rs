//! The sandbox on a thread of its own, so that the test may wait for the daemon's end while it answers.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use secrecy::ExposeSecret as _;
use thingspeak_sandbox::{Channel, Device, Options, Record, Rights, Row, Sandbox, Transport, What};
use tokio::sync::oneshot;

use crate::program::SOON;

/// How often the rows are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A running sandbox with channels of the paid license, and a device that may do everything with them.
pub(crate) struct Service {
    sandbox: Arc<Sandbox>,
    device: Device,
    channels: Vec<u64>,
    /// Ends the thread; `None` once it is told.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Service {
    pub(crate) fn start(channels: &[u64]) -> Self {
        let device = channels.iter().fold(Device::generate(), |device, id| device.with(*id, Rights::ALL));
        let options = Options {
            channels: channels.iter().map(|id| Channel::new(*id).paid()).collect(),
            devices: vec![device.clone()],
            ..Options::default()
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let sandbox = Arc::new(runtime.block_on(Sandbox::start(options)).expect("a sandbox on free ports"));
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            // A test that fails drops its end; that is word enough.
            let _ = runtime.block_on(stopped);
        });
        Self { sandbox, device, channels: channels.to_vec(), stop: Some(stop), thread: Some(thread) }
    }

    /// The port of this transport.
    pub(crate) fn port(&self, transport: Transport) -> u16 {
        self.sandbox.addr(transport).port()
    }

    /// The authority that its certificate is from.
    pub(crate) fn ca_pem(&self) -> String {
        self.sandbox.ca_pem()
    }

    /// The device's credentials in the form that ThingSpeak offers for download.
    pub(crate) fn credentials_text(&self) -> String {
        self.device.credentials_text()
    }

    /// The device's password, which is not to be seen anywhere.
    pub(crate) fn password(&self) -> &str {
        self.device.credentials.password.expose_secret()
    }

    pub(crate) fn rows(&self, channel: u64) -> Vec<Row> {
        self.sandbox.rows(channel)
    }

    /// Waits until each channel has this many rows more than now.
    pub(crate) fn wait_for_rows(&self, more: usize) {
        let until = Instant::now() + SOON;
        for channel in &self.channels {
            let wanted = self.rows(*channel).len() + more;
            while self.rows(*channel).len() < wanted {
                assert!(Instant::now() < until, "channel {channel} does not get {more} more rows");
                thread::sleep(LOOK_EVERY);
            }
        }
    }

    /// What it was sent and did not store.
    pub(crate) fn dropped(&self) -> Vec<Record> {
        let mut records = self.sandbox.records();
        records.retain(|record| matches!(record.what, What::Dropped { .. }));
        records
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It only waits, and waiting does not panic.
            let _ = thread.join();
        }
    }
}
