//! The shell's tasks: listeners and the one that watches the time.
//!
//! | task | waits on |
//! |---|---|
//! | one per listener | a connection, the end of one of its sessions, the stop, the thaw after half-open |
//! | one per connection (`session`) | bytes, its queue, the thaw |
//! | the timer | the core's next due time, a change of the core, the stop |

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::session;
use super::shared::Shared;
use crate::uplink::Transport;

/// Connections of one listener; who comes beyond waits in the kernel's backlog.
const CONNECTIONS: usize = 256;

/// The tasks between start and stop.
pub(super) struct Running {
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Takes the ports.
pub(super) async fn listen(wanted: &HashMap<Transport, SocketAddr>) -> io::Result<Vec<(Transport, TcpListener)>> {
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
    /// Serves what comes to these listeners.
    pub(super) fn start(shared: &Arc<Shared>, tls: &TlsAcceptor, listeners: Vec<(Transport, TcpListener)>) -> Self {
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        for (transport, listener) in listeners {
            tasks.spawn(accept(Arc::clone(shared), transport, tls.clone(), listener, stop.clone()));
        }
        tasks.spawn(watch_time(Arc::clone(shared), stop.clone()));
        Self { stop, tasks }
    }

    /// Closes every socket, and returns when all of them are closed.
    pub(super) async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
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
        let wait = shared.time_to_due();
        let sleep = async {
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = shared.changed() => {}
            () = sleep => shared.with(|service, now| ((), service.tick(now))),
        }
    }
}
