//! The shell's tasks: listeners and the one that watches the time.
//!
//! | task | waits on |
//! |---|---|
//! | one per listener | a connection, the end of one of its sessions, the stop, the thaw after half-open |
//! | one per connection (`session`) | bytes, its queue, the thaw |
//! | the timer | the core's next due time, a change of the core |

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::session;
use super::shared::Shared;
use crate::Transport;

/// Connections of one listener; who comes beyond waits in the kernel's backlog.
const CONNECTIONS: usize = 256;
/// Connections that the kernel may keep waiting.
const BACKLOG: u32 = 128;

/// The tasks between start and stop.
pub(super) struct Running {
    stop: CancellationToken,
    listeners: JoinSet<Option<Reserved>>,
    timer: JoinSet<()>,
}

/// A port that is taken while nobody listens on it: who connects is refused, and no other program is given it meanwhile.
pub(super) type Reserved = (Transport, TcpSocket);

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Takes the ports and listens; a port that is reserved is taken from there.
pub(super) fn listen(
    wanted: &HashMap<Transport, SocketAddr>,
    mut reserved: HashMap<Transport, TcpSocket>,
) -> io::Result<Vec<(Transport, TcpListener)>> {
    let mut listener = |transport, addr| match reserved.remove(&transport) {
        Some(socket) => socket.listen(BACKLOG),
        None => reserve(addr)?.listen(BACKLOG),
    };
    let mut named = |(&transport, &addr): (&Transport, &SocketAddr)| match listener(transport, addr) {
        Ok(listener) => Ok((transport, listener)),
        Err(error) => Err(io::Error::new(error.kind(), format!("cannot listen for {transport} on {addr}: {error}"))),
    };
    wanted.iter().map(&mut named).collect()
}

/// Takes a port without listening on it.
fn reserve(addr: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Elsewhere than on Unix this would let two programs listen on one port.
    if cfg!(unix) {
        socket.set_reuseaddr(true)?;
    }
    socket.bind(addr)?;
    Ok(socket)
}

impl Running {
    /// Serves what comes to these listeners.
    pub(super) fn start(shared: &Arc<Shared>, tls: &TlsAcceptor, listeners: Vec<(Transport, TcpListener)>) -> Self {
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        for (transport, listener) in listeners {
            tasks.spawn(accept(Arc::clone(shared), transport, tls.clone(), listener, stop.clone()));
        }
        let mut timer = JoinSet::new();
        timer.spawn(watch_time(Arc::clone(shared)));
        Self { stop, listeners: tasks, timer }
    }

    /// Closes every socket, and returns the ports when all of them are closed.
    pub(super) async fn stop(&mut self) -> HashMap<Transport, TcpSocket> {
        self.stop.cancel();
        self.timer.shutdown().await;
        let mut reserved = HashMap::new();
        while let Some(ended) = self.listeners.join_next().await {
            reserved.extend(ended.ok().flatten());
        }
        reserved
    }
}

/// Accepts connections until the stop, then closes all of them and keeps the port.
async fn accept(
    shared: Arc<Shared>,
    transport: Transport,
    tls: TlsAcceptor,
    listener: TcpListener,
    stop: CancellationToken,
) -> Option<Reserved> {
    let addr = listener.local_addr().ok();
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
    let reserved = addr.and_then(|addr| reserve(addr).ok());
    sessions.shutdown().await;
    reserved.map(|socket| (transport, socket))
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
async fn watch_time(shared: Arc<Shared>) {
    loop {
        let wait = shared.time_to_due();
        let sleep = async {
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = shared.changed() => {}
            () = sleep => shared.with(|service, now| ((), service.tick(now))),
        }
    }
}
