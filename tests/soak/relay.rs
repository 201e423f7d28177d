//! The way between a daemon and its sandbox: everything goes through it byte by byte, until it is told to cut, to hold or to
//! add something. It does not know what it relays, but for the ends of WebSocket frames where it adds some.
//!
//! Each connection has one task, which waits for bytes of both sides, for an order and for the thaw.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use thingspeak_sandbox::Transport;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

use crate::frames::Frames;

/// Room for one read.
const READ: usize = 16 << 10;
/// A daemon that takes nothing for so long has had enough of what is added.
const TAKES_WITHIN: Duration = Duration::from_secs(20);

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Relay,
    /// The daemon's end is closed, and the broker is not told.
    Orphan,
    Cut,
}

/// Frames that are put between two of the broker's.
struct Addition {
    frames: Vec<u8>,
    times: usize,
    /// Told how many bytes the daemon has taken.
    taken: SyncSender<usize>,
}

/// One connection.
struct Wire {
    /// Where the daemon found it.
    address: Option<Ipv4Addr>,
    order: watch::Sender<Order>,
    /// Bytes that may yet pass, in both directions together.
    left: AtomicUsize,
    additions: mpsc::Sender<Addition>,
}

struct Shared {
    broker: SocketAddr,
    /// It relays WebSocket in the clear.
    reads_frames: bool,
    frozen: watch::Sender<bool>,
    refuses: AtomicBool,
    wires: Mutex<Vec<Arc<Wire>>>,
}

/// A relay that listens.
#[derive(Clone)]
pub(crate) struct Relay(Arc<Shared>);

impl Relay {
    /// Listens on all of these, and goes on to the broker.
    pub(crate) fn start(listeners: Vec<TcpListener>, broker: SocketAddr, transport: Transport) -> Self {
        let shared = Shared {
            broker,
            reads_frames: transport == Transport::Ws,
            frozen: watch::Sender::new(false),
            refuses: AtomicBool::new(false),
            wires: Mutex::default(),
        };
        let relay = Self(Arc::new(shared));
        for listener in listeners {
            tokio::spawn(accept(Arc::clone(&relay.0), listener));
        }
        relay
    }

    /// Cuts every connection once so many bytes more have passed: within a packet, mostly.
    pub(crate) fn cut_after(&self, bytes: usize) {
        for wire in self.0.wires() {
            wire.left.store(bytes, Ordering::Relaxed);
            if bytes == 0 {
                wire.order.send_replace(Order::Cut);
            }
        }
    }

    /// Whether new connections are closed at once.
    pub(crate) fn refuse(&self, refuses: bool) {
        self.0.refuses.store(refuses, Ordering::Relaxed);
    }

    /// Whether nothing passes, while every connection stays open.
    pub(crate) fn freeze(&self, frozen: bool) {
        self.0.frozen.send_replace(frozen);
    }

    /// Closes the daemon's end of every connection and keeps the broker's open, until it is [cut](Self::cut_after).
    pub(crate) fn orphan(&self) {
        for wire in self.0.wires() {
            wire.order.send_if_modified(|order| std::mem::replace(order, Order::Orphan) == Order::Relay);
        }
    }

    /// The broker's address of the newest connection.
    pub(crate) fn address(&self) -> Option<Ipv4Addr> {
        self.0.wires().pop()?.address
    }

    /// Adds frames to what the daemon hears over [`Transport::Ws`], so many times in a row, and returns how many bytes it has taken
    /// when that is over: all of them, or those until it closed the connection. The broker does not hear its pongs.
    pub(crate) fn add(&self, frames: &[u8], times: usize) -> usize {
        let Some(newest) = self.0.wires().pop() else { return 0 };
        let (taken, told) = sync_channel(1);
        let addition = Addition { frames: frames.to_vec(), times, taken };
        if newest.additions.blocking_send(addition).is_err() {
            return 0;
        }
        // A connection that ended before drops its end.
        told.recv().unwrap_or(0)
    }
}

impl Shared {
    /// The connections that are open, the newest last.
    fn wires(&self) -> Vec<Arc<Wire>> {
        let mut wires = self.wires.lock().unwrap_or_else(PoisonError::into_inner);
        wires.retain(|wire| wire.order.receiver_count() > 0);
        wires.clone()
    }

    /// Waits while nothing passes.
    async fn thawed(&self) {
        // The sender lives in `self`: the wait cannot fail.
        let _ = self.frozen.subscribe().wait_for(|frozen| !frozen).await;
    }
}

async fn accept(shared: Arc<Shared>, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok(_) if shared.refuses.load(Ordering::Relaxed) => {}
            Ok((daemon, _)) => {
                let (additions, to_add) = mpsc::channel(1);
                let (order, orders) = watch::channel(Order::Relay);
                let address = match daemon.local_addr() {
                    Ok(SocketAddr::V4(address)) => Some(*address.ip()),
                    _ => None,
                };
                let wire = Arc::new(Wire { address, order, left: AtomicUsize::new(usize::MAX), additions });
                shared.wires.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&wire));
                tokio::spawn(carry(Arc::clone(&shared), daemon, wire, orders, to_add));
            }
            // Out of file descriptors: trying again at once would spin.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Carries a connection to its end. Whatever ends it ends both sides: what one of them does not hear is for the other to
/// find out.
async fn carry(
    shared: Arc<Shared>,
    mut daemon: TcpStream,
    wire: Arc<Wire>,
    mut orders: watch::Receiver<Order>,
    to_add: mpsc::Receiver<Addition>,
) {
    shared.thawed().await;
    let Ok(mut broker) = TcpStream::connect(shared.broker).await else { return };
    let (Ok(()), Ok(())) = (daemon.set_nodelay(true), broker.set_nodelay(true)) else { return };
    let is_over = {
        let (from_daemon, to_daemon) = daemon.split();
        let (from_broker, to_broker) = broker.split();
        tokio::select! {
            _ = up(&shared, &wire, from_daemon, to_broker) => true,
            _ = down(&shared, &wire, from_broker, to_daemon, to_add) => true,
            ordered = orders.wait_for(|order| *order != Order::Relay) => ordered.is_ok_and(|order| *order == Order::Cut),
        }
    };
    drop(daemon);
    if is_over {
        return;
    }
    // Nothing is read from it but its end.
    let mut unheard = [0; READ];
    tokio::select! {
        _ = orders.wait_for(|order| *order == Order::Cut) => {}
        () = async { while broker.read(&mut unheard).await.is_ok_and(|read| read > 0) {} } => {}
    }
}

/// What the daemon says.
async fn up(shared: &Shared, wire: &Wire, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> io::Result<()> {
    let mut frames = Frames::default();
    let mut bytes = [0; READ];
    loop {
        shared.thawed().await;
        let read = from.read(&mut bytes).await?;
        shared.thawed().await;
        let may_pass = wire.let_pass(read);
        if shared.reads_frames {
            to.write_all(&frames.pass(&bytes[..may_pass])).await?;
        } else {
            to.write_all(&bytes[..may_pass]).await?;
        }
        if may_pass == 0 || may_pass < read {
            return Ok(());
        }
    }
}

/// What the broker says, and what is added to it.
async fn down(
    shared: &Shared,
    wire: &Wire,
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut to_add: mpsc::Receiver<Addition>,
) -> io::Result<()> {
    let mut frames = Frames::default();
    let mut bytes = [0; READ];
    loop {
        shared.thawed().await;
        tokio::select! {
            biased;
            read = from.read(&mut bytes) => {
                let read = read?;
                shared.thawed().await;
                let may_pass = wire.let_pass(read);
                to.write_all(&bytes[..may_pass]).await?;
                if may_pass == 0 || may_pass < read {
                    return Ok(());
                }
                if shared.reads_frames {
                    frames.pass(&bytes[..may_pass]);
                }
            }
            Some(addition) = to_add.recv(), if frames.is_between() => {
                let mut taken = 0;
                let mut added = Ok(());
                for _ in 0..addition.times {
                    let write = tokio::time::timeout(TAKES_WITHIN, to.write_all(&addition.frames));
                    added = write.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
                    if added.is_err() {
                        break;
                    }
                    taken += addition.frames.len();
                }
                // Who asked for it may have given up.
                let _ = addition.taken.send(taken);
                added?;
            }
        }
    }
}

impl Wire {
    /// How many of these bytes may pass.
    fn let_pass(&self, bytes: usize) -> usize {
        let take = |left: usize| (left < usize::MAX).then(|| left.saturating_sub(bytes));
        match self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
            Ok(left) => bytes.min(left),
            Err(_) => bytes,
        }
    }
}
