//! The outside of one daemon: a sandbox and the relay to it, on a thread of their own in the outside network.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::{self, JoinHandle};

use thingspeak_sandbox::{Channel, Device, Options, Rights, Row, Sandbox, Transport};
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

use crate::network::{self, Outside};
use crate::relay::Relay;

/// The channel that entries go to.
pub(crate) const HOUSE: u64 = 1;
/// The channel that the soak's commands come from.
pub(crate) const SWITCHES: u64 = 2;
/// The channel that floods come from.
pub(crate) const BELLS: u64 = 3;

/// A sandbox that serves, and the way to it.
pub(crate) struct Service {
    pub(crate) sandbox: Arc<Sandbox>,
    pub(crate) relay: Relay,
    pub(crate) device: Device,
    /// Where the relay listens.
    pub(crate) port: u16,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Service {
    /// One for the daemon with this number, which knows it by this name.
    pub(crate) fn start(outside: &Arc<Outside>, number: u8, name: &str, transport: Transport) -> Self {
        let channels = [HOUSE, SWITCHES, BELLS];
        let device = channels.iter().fold(Device::generate(), |device, id| device.with(*id, Rights::ALL));
        let options = Options {
            names: vec![network::host(name)],
            channels: channels.map(|id| Channel::new(id).paid()).to_vec(),
            devices: vec![device.clone()],
            ..Options::default()
        };
        let (tell, told) = sync_channel(1);
        let (stop, stopped) = oneshot::channel();
        let outside = Arc::clone(outside);
        let thread = thread::spawn(move || {
            outside.enter();
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let sandbox = Arc::new(Sandbox::start(options).await.expect("a sandbox on free ports"));
                let mut listeners = Vec::new();
                let mut port = 0;
                for address in network::addresses(number) {
                    let listener = TcpListener::bind(SocketAddr::from((address, port))).await.expect("a free port");
                    port = listener.local_addr().expect("it is bound").port();
                    listeners.push(listener);
                }
                let relay = Relay::start(listeners, sandbox.addr(transport), transport);
                tell.send((sandbox, relay, port)).expect("somebody waits for it");
                // Its owner is gone in any case.
                let _ = stopped.await;
            });
        });
        let (sandbox, relay, port) = told.recv().expect("the sandbox starts");
        Self { sandbox, relay, device, port, stop: Some(stop), thread: Some(thread) }
    }

    /// The client id of the daemon.
    pub(crate) fn client(&self) -> &str {
        &self.device.credentials.client_id
    }

    /// The rows that the daemon made.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let mut rows = self.sandbox.rows(HOUSE);
        rows.retain(|row| row.by == self.client());
        rows
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was told by its own message.
            let _ = thread.join();
        }
    }
}
