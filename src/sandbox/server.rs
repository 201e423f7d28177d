//! The shell: listeners, the task that watches the time, and the handle [`Sandbox`].
//!
//! | task | waits on |
//! |---|---|
//! | one per listener | a connection, the end of one of its sessions, the stop |
//! | one per connection (`session`) | bytes, its queue, thaw after half-open |
//! | the timer | the core's next due time, a change of the core |
//!
//! The core sits behind one lock that is never held across a wait; what it decides is put into the bounded queues
//! of the connections under the same lock, so that the order of packets is the order of decisions.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rumqttc::mqttbytes::v4::Packet;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::authority::Authority;
use super::device::{Channel, Device, Rights};
use super::journal::{ConnectSeen, Mark, NotSeen, PublishSeen};
use super::record::{DropReason, Record};
use super::row::Row;
use super::service::{Action, ConnectionId, Event, Service};
use super::session;
use super::switches::Switches;
use crate::entry::ChannelId;
use crate::hal::{Clock, SystemClock};
use crate::uplink::Transport;

/// Packets that wait for a connection's socket. Twelve entries with all their topics; who is further behind is cut.
const QUEUE: usize = 256;
/// Connections of one listener; who comes beyond waits in the kernel's backlog.
const CONNECTIONS: usize = 256;

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
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
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
            clock: Arc::new(SystemClock),
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
    running: tokio::sync::Mutex<Option<Running>>,
}

/// The tasks between start and stop.
struct Running {
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Sandbox {
    /// Listens, and serves from tasks of the current runtime.
    ///
    /// # Errors
    /// A port that is taken, or channels and devices that contradict each other.
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
        let listeners = listen(&wanted).await?;
        let mut addresses = HashMap::new();
        for (transport, listener) in &listeners {
            addresses.insert(*transport, listener.local_addr()?);
        }
        let shared = Arc::new(Shared::new(service, options.clock));
        let running = Running::start(&shared, &tls, listeners);
        Ok(Self { shared, authority, tls, addresses, running: tokio::sync::Mutex::new(Some(running)) })
    }

    /// Closes every socket at once, as a broker that is killed; rows, records, devices and switches stay.
    pub async fn stop(&self) {
        if let Some(mut running) = self.running.lock().await.take() {
            running.stop.cancel();
            while running.tasks.join_next().await.is_some() {}
            self.shared.stop();
        }
    }

    /// Listens again on the same ports, after [`stop`](Self::stop), with the same certificate. Does nothing while it runs.
    ///
    /// # Errors
    /// A port that was taken meanwhile.
    pub async fn revive(&self) -> io::Result<()> {
        let mut running = self.running.lock().await;
        if running.is_none() {
            let listeners = listen(&self.addresses).await?;
            *running = Some(Running::start(&self.shared, &self.tls, listeners));
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

    /// The rows of a channel, oldest first.
    pub fn rows(&self, channel: ChannelId) -> Vec<Row> {
        self.shared.lock().service.rows(channel)
    }

    /// Client ids that are connected.
    pub fn connected(&self) -> Vec<String> {
        self.shared.lock().service.connected()
    }

    /// Every CONNECT that came.
    pub fn connects(&self) -> Vec<ConnectSeen> {
        self.shared.lock().service.journal().connects()
    }

    /// Every PUBLISH that came, byte for byte.
    pub fn publishes(&self) -> Vec<PublishSeen> {
        self.shared.lock().service.journal().publishes()
    }

    /// Every record, oldest first.
    pub fn records(&self) -> Vec<Record> {
        self.records_since(Mark::default())
    }

    /// The point after the newest record.
    pub fn mark(&self) -> Mark {
        self.shared.lock().service.journal().end()
    }

    /// The records after a point, oldest first.
    pub fn records_since(&self, mark: Mark) -> Vec<Record> {
        self.shared.lock().service.journal().since(mark).cloned().collect()
    }

    /// Waits until there are records after `mark`, moves it behind them and returns them.
    pub async fn next_records(&self, mark: &mut Mark) -> Vec<Record> {
        let mut end = self.shared.records.subscribe();
        let seen = *mark;
        // The sender lives in `self`: the wait cannot fail.
        *mark = end.wait_for(|end| *end > seen).await.map_or(seen, |end| *end);
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
        self.shared.lock().service.switches().clone()
    }

    /// Changes how it behaves, from now on.
    pub fn set(&self, switches: Switches) {
        let now = self.shared.clock.now();
        let mut state = self.shared.lock();
        self.shared.half_open.send_replace(switches.half_open);
        state.service.set(now, switches);
        drop(state);
        self.shared.changed.notify_one();
    }

    /// An update by somebody else, as REST would bring it: no rights, the same rules.
    ///
    /// # Errors
    /// Why the channel did not take it.
    pub fn publish(&self, channel: ChannelId, pairs: &[(&str, &str)]) -> Result<Row, DropReason> {
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
    pub fn set_rights(&self, client_id: &str, channel: ChannelId, rights: Rights) -> bool {
        self.shared.lock().service.set_rights(client_id, channel, rights)
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

async fn listen(wanted: &HashMap<Transport, SocketAddr>) -> io::Result<Vec<(Transport, TcpListener)>> {
    let mut listeners = Vec::with_capacity(wanted.len());
    for (&transport, addr) in wanted {
        let listener = TcpListener::bind(addr).await.map_err(|error| {
            io::Error::new(error.kind(), format!("cannot listen for {transport} on {addr}: {error}"))
        })?;
        listeners.push((transport, listener));
    }
    Ok(listeners)
}

impl Running {
    fn start(shared: &Arc<Shared>, tls: &TlsAcceptor, listeners: Vec<(Transport, TcpListener)>) -> Self {
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        for (transport, listener) in listeners {
            tasks.spawn(accept(Arc::clone(shared), transport, tls.clone(), listener, stop.clone()));
        }
        tasks.spawn(watch_time(Arc::clone(shared), stop.clone()));
        Self { stop, tasks }
    }
}

/// Accepts connections until the stop, then closes all of them.
async fn accept(
    shared: Arc<Shared>,
    transport: Transport,
    tls: TlsAcceptor,
    listener: TcpListener,
    stop: CancellationToken,
) {
    let mut sessions = JoinSet::new();
    loop {
        let next = async {
            shared.thawed().await;
            listener.accept().await
        };
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = sessions.join_next() => {}
            accepted = next, if sessions.len() < CONNECTIONS => match accepted {
                Ok((stream, peer)) => open(&shared, transport, &tls, stream, peer, &mut sessions),
                // Out of file descriptors: trying again at once would spin.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            },
        }
    }
    drop(listener);
    sessions.shutdown().await;
}

fn open(
    shared: &Arc<Shared>,
    transport: Transport,
    tls: &TlsAcceptor,
    stream: TcpStream,
    peer: SocketAddr,
    sessions: &mut JoinSet<()>,
) {
    let (id, inbox) = shared.open(transport, peer);
    let tls = transport.is_encrypted().then(|| tls.clone());
    sessions.spawn(session::run(Arc::clone(shared), id, transport, tls, stream, inbox));
}

/// Lets the core do what is due.
async fn watch_time(shared: Arc<Shared>, stop: CancellationToken) {
    loop {
        let due = shared.lock().service.due().map(|at| at.since(shared.clock.now().mono));
        let sleep = async {
            match due {
                Some(wait) => tokio::time::sleep(wait).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = shared.changed.notified() => {}
            () = sleep => shared.with(|service, now| ((), service.tick(now))),
        }
    }
}

/// What waits for a connection's socket.
#[derive(Debug)]
pub(super) enum Outgoing {
    Packet(Packet),
    /// Close after everything before it is sent.
    End,
}

/// What all tasks share.
pub(super) struct Shared {
    state: Mutex<State>,
    clock: Arc<dyn Clock>,
    /// Wakes the timer after the core has changed.
    changed: Notify,
    /// The journal's end, for those who wait for records.
    records: watch::Sender<Mark>,
    half_open: watch::Sender<bool>,
    next: AtomicU64,
}

struct State {
    service: Service,
    queues: HashMap<ConnectionId, Queue>,
}

/// The core's end of a connection's queue.
struct Queue {
    sender: mpsc::Sender<Outgoing>,
    cut: CancellationToken,
}

/// The connection's end of its queue.
pub(super) struct Inbox {
    pub(super) receiver: mpsc::Receiver<Outgoing>,
    /// Cancelled when there is no use in sending what waits.
    pub(super) cut: CancellationToken,
}

impl Shared {
    fn new(service: Service, clock: Arc<dyn Clock>) -> Self {
        let half_open = service.switches().half_open;
        Self {
            state: Mutex::new(State { service, queues: HashMap::new() }),
            clock,
            changed: Notify::new(),
            records: watch::Sender::new(Mark::default()),
            half_open: watch::Sender::new(half_open),
            next: AtomicU64::new(1),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under the lock is a defect that has been reported; the rows are still worth reading.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while the sandbox plays a half-open link.
    pub(super) async fn thawed(&self) {
        // The sender lives in `self`: the wait cannot fail.
        let _ = self.half_open.subscribe().wait_for(|half_open| !half_open).await;
    }

    /// Takes what happened on a connection. A packet that comes while the link plays half-open is handed back: it waits for the
    /// thaw as it would in a socket that nobody reads.
    pub(super) fn event(&self, id: ConnectionId, event: Event) -> Option<Event> {
        let mut state = self.lock();
        if state.service.switches().half_open && matches!(event, Event::Packet(_)) {
            return Some(event);
        }
        let gone = matches!(event, Event::Gone);
        let actions = state.service.event(self.clock.now(), id, event);
        self.perform(&mut state, actions);
        if gone {
            state.queues.remove(&id);
        }
        drop(state);
        self.changed.notify_one();
        None
    }

    fn open(&self, transport: Transport, peer: SocketAddr) -> (ConnectionId, Inbox) {
        let id = ConnectionId(self.next.fetch_add(1, Ordering::Relaxed));
        let (sender, receiver) = mpsc::channel(QUEUE);
        let cut = CancellationToken::new();
        self.lock().queues.insert(id, Queue { sender, cut: cut.clone() });
        self.event(id, Event::Opened { transport, peer });
        (id, Inbox { receiver, cut })
    }

    /// Lets the core do something and performs what it decides.
    fn with<T>(&self, work: impl FnOnce(&mut Service, crate::time::Now) -> (T, Vec<Action>)) -> T {
        let mut state = self.lock();
        let (result, actions) = work(&mut state.service, self.clock.now());
        self.perform(&mut state, actions);
        drop(state);
        self.changed.notify_one();
        result
    }

    fn perform(&self, state: &mut State, mut actions: Vec<Action>) {
        // Cutting a slow reader may lead to more actions: another pass for those.
        while !actions.is_empty() {
            let mut stuck = Vec::new();
            for action in actions.drain(..) {
                match action {
                    Action::Send(id, packet) => {
                        let queue = state.queues.get(&id);
                        if queue.is_some_and(|queue| queue.sender.try_send(Outgoing::Packet(packet)).is_err()) {
                            stuck.push(id);
                        }
                    }
                    Action::Close(id) => {
                        if let Some(queue) = state.queues.remove(&id)
                            && queue.sender.try_send(Outgoing::End).is_err()
                        {
                            queue.cut.cancel();
                        }
                    }
                }
            }
            let now = self.clock.now();
            for id in stuck {
                actions.extend(state.service.event(now, id, Event::Stuck));
            }
        }
        self.records.send_replace(state.service.journal().end());
    }

    fn stop(&self) {
        let now = self.clock.now();
        let mut state = self.lock();
        state.service.stop(now);
        state.queues.clear();
        self.perform(&mut state, Vec::new());
    }
}
