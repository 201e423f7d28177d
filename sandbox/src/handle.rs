//! [`Sandbox`]: the handle on a running look-alike.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpSocket;
use tokio_rustls::TlsAcceptor;

use super::authority::Authority;
use super::device::{Channel, Device, Rights};
use super::journal::{ConnectSeen, Mark, NotSeen, PublishSeen};
use super::record::{DropReason, Record};
use super::row::Row;
use super::server::{Running, listen};
use super::service::Service;
use super::shared::Shared;
use super::switches::Switches;
use crate::Transport;

/// What a sandbox is made of.
#[derive(Clone)]
pub struct Options {
    /// Where to listen for MQTT over TCP; port 0 takes a free one.
    pub tcp: Option<SocketAddr>,
    /// Where to listen for MQTT over TLS.
    pub tls: Option<SocketAddr>,
    /// Where to listen for MQTT over WebSocket.
    pub ws: Option<SocketAddr>,
    /// Where to listen for MQTT over WebSocket and TLS.
    pub wss: Option<SocketAddr>,
    /// Host names and addresses for which the certificate holds.
    pub names: Vec<String>,
    /// Who signs the certificate; a new authority when there is none.
    pub authority: Option<Arc<Authority>>,
    /// The channels.
    pub channels: Vec<Channel>,
    /// The devices.
    pub devices: Vec<Device>,
    /// How it behaves at first.
    pub switches: Switches,
}

impl Default for Options {
    /// All four transports on free ports of 127.0.0.1, a certificate for localhost, 127.0.0.1 and ::1, and nobody who could log in.
    fn default() -> Self {
        let free = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        Self {
            tcp: free,
            tls: free,
            ws: free,
            wss: free,
            names: ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into(),
            authority: None,
            channels: Vec::new(),
            devices: Vec::new(),
            switches: Switches::default(),
        }
    }
}

/// A running sandbox. Dropping it closes everything.
///
/// Its methods may be called from any task; the ones that are not `async` never wait.
pub struct Sandbox {
    shared: Arc<Shared>,
    authority: Arc<Authority>,
    tls: TlsAcceptor,
    addresses: HashMap<Transport, SocketAddr>,
    phase: tokio::sync::Mutex<Phase>,
}

/// Whether it serves.
enum Phase {
    Running(Running),
    /// The ports are kept for its revival.
    Stopped(HashMap<Transport, TcpSocket>),
}

impl Sandbox {
    /// Listens, and serves from tasks of the current runtime.
    ///
    /// # Errors
    /// A port that is taken, or channels and devices that contradict each other.
    #[expect(clippy::unused_async, reason = "it needs a runtime around it, and that it never waits is no promise")]
    pub async fn start(options: Options) -> io::Result<Self> {
        let service = Service::new(options.channels, options.devices, options.switches)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let authority = match options.authority {
            Some(authority) => authority,
            None => Arc::new(Authority::new().map_err(io::Error::other)?),
        };
        let tls = TlsAcceptor::from(authority.server_config(&options.names).map_err(io::Error::other)?);
        let wanted = [
            (Transport::Tcp, options.tcp),
            (Transport::Tls, options.tls),
            (Transport::Ws, options.ws),
            (Transport::Wss, options.wss),
        ];
        let wanted = wanted.into_iter().filter_map(|(transport, addr)| addr.map(|addr| (transport, addr))).collect();
        let listeners = listen(&wanted, HashMap::new())?;
        let mut addresses = HashMap::new();
        for (transport, listener) in &listeners {
            addresses.insert(*transport, listener.local_addr()?);
        }
        let shared = Arc::new(Shared::new(service));
        let running = Running::start(&shared, &tls, listeners);
        Ok(Self { shared, authority, tls, addresses, phase: tokio::sync::Mutex::new(Phase::Running(running)) })
    }

    /// Closes every socket at once, as a broker that is killed; rows, records, devices and switches stay, and so does the claim to
    /// the ports: who connects is refused, and no other program is given them.
    pub async fn stop(&self) {
        let mut phase = self.phase.lock().await;
        if let Phase::Running(running) = &mut *phase {
            let reserved = running.stop().await;
            *phase = Phase::Stopped(reserved);
            self.shared.stop();
        }
    }

    /// Listens again on the same ports, after [`stop`](Self::stop), with the same certificate. Does nothing while it runs.
    ///
    /// # Errors
    /// A port that was taken meanwhile, where the system let that happen.
    pub async fn revive(&self) -> io::Result<()> {
        let mut phase = self.phase.lock().await;
        if let Phase::Stopped(reserved) = &mut *phase {
            let listeners = listen(&self.addresses, std::mem::take(reserved))?;
            *phase = Phase::Running(Running::start(&self.shared, &self.tls, listeners));
        }
        Ok(())
    }

    /// Where it listens.
    ///
    /// # Panics
    /// When the options did not ask for this transport.
    pub fn addr(&self, transport: Transport) -> SocketAddr {
        *self.addresses.get(&transport).unwrap_or_else(|| panic!("the sandbox was not asked to listen for {transport}"))
    }

    /// Where it listens, for the transports it was asked for.
    pub fn addresses(&self) -> &HashMap<Transport, SocketAddr> {
        &self.addresses
    }

    /// The certificate that clients must trust, in PEM.
    pub fn ca_pem(&self) -> String {
        self.authority.pem()
    }

    /// Who signed the certificate: for a second sandbox that the same clients trust.
    pub fn authority(&self) -> Arc<Authority> {
        Arc::clone(&self.authority)
    }

    /// The numbers of its channels, in order.
    pub fn channels(&self) -> Vec<u64> {
        self.shared.look(Service::channels)
    }

    /// The rows of a channel, oldest first.
    pub fn rows(&self, channel: u64) -> Vec<Row> {
        self.shared.look(|service| service.rows(channel))
    }

    /// Client ids that are connected.
    pub fn connected(&self) -> Vec<String> {
        self.shared.look(Service::connected)
    }

    /// Every CONNECT that came.
    pub fn connects(&self) -> Vec<ConnectSeen> {
        self.shared.look(|service| service.journal().connects())
    }

    /// Every PUBLISH that came, byte for byte.
    pub fn publishes(&self) -> Vec<PublishSeen> {
        self.shared.look(|service| service.journal().publishes())
    }

    /// Every record, oldest first.
    pub fn records(&self) -> Vec<Record> {
        self.records_since(Mark::default())
    }

    /// The point after the newest record.
    pub fn mark(&self) -> Mark {
        self.shared.look(|service| service.journal().end())
    }

    /// The records after a point, oldest first.
    pub fn records_since(&self, mark: Mark) -> Vec<Record> {
        self.shared.look(|service| service.journal().since(mark).cloned().collect())
    }

    /// Waits until there are records after `mark`, moves it behind them and returns them.
    pub async fn next_records(&self, mark: &mut Mark) -> Vec<Record> {
        let seen = *mark;
        *mark = self.shared.records_after(seen).await;
        self.records_since(seen).into_iter().take(usize::try_from(mark.0 - seen.0).unwrap_or(usize::MAX)).collect()
    }

    /// The first record since the start that is the wanted one, at once or within the time given.
    ///
    /// # Errors
    /// All records, when none of them was.
    pub async fn wait_for(&self, wanted: impl FnMut(&Record) -> bool, within: Duration) -> Result<Record, NotSeen> {
        self.wait_since(Mark::default(), wanted, within).await
    }

    /// The first record after `mark` that is the wanted one, at once or within the time given.
    ///
    /// # Errors
    /// The records after `mark`, when none of them was.
    pub async fn wait_since(
        &self,
        mark: Mark,
        mut wanted: impl FnMut(&Record) -> bool,
        within: Duration,
    ) -> Result<Record, NotSeen> {
        let mut next = mark;
        let search = async {
            loop {
                if let Some(found) = self.next_records(&mut next).await.into_iter().find(&mut wanted) {
                    return found;
                }
            }
        };
        tokio::time::timeout(within, search).await.map_err(|_| NotSeen { seen: self.records_since(mark) })
    }

    /// How it behaves.
    pub fn switches(&self) -> Switches {
        self.shared.look(|service| service.switches().clone())
    }

    /// Changes how it behaves, from now on.
    pub fn set(&self, switches: Switches) {
        self.shared.set(switches);
    }

    /// An update by somebody else, as REST would bring it: no rights, the same rules.
    ///
    /// # Errors
    /// Why the channel did not take it.
    pub fn publish(&self, channel: u64, pairs: &[(&str, &str)]) -> Result<Row, DropReason> {
        self.shared.with(|service, now| service.publish(now, channel, pairs))
    }

    /// Closes the connection of a client.
    pub fn kick(&self, client_id: &str) {
        self.shared.with(|service, now| ((), service.kick(now, client_id)));
    }

    /// Gives a device another password, which closes its connection. Says whether there is such a device.
    pub fn set_password(&self, client_id: &str, password: &str) -> bool {
        self.shared.with(|service, now| match service.set_password(now, client_id, password) {
            Some(actions) => (true, actions),
            None => (false, Vec::new()),
        })
    }

    /// Changes what a device may do with a channel. Says whether there are such a device and such a channel, with no more than
    /// ten channels on the device.
    pub fn set_rights(&self, client_id: &str, channel: u64, rights: Rights) -> bool {
        self.shared.with(|service, _| (service.set_rights(client_id, channel, rights), Vec::new()))
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}
