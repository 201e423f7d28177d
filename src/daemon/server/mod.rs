//! The server that answers who asks how things stand: on a socket in the runtime directory, for every user of the machine, and
//! over TCP where the map says so. It speaks HTTP on both ([`http`]): `GET /status` is the report as JSON, `GET /metrics` for
//! Prometheus.
//!
//! - It only tells: nothing can be changed here, and the report holds no secret. Hence the socket's mode, 0666.
//! - On loopback it answers who asks for an IP address or `localhost`, and no name that a web page could have made up
//!   ([`http::Way`]).
//! - It sleeps until somebody asks. There is a timer only while a connection is open, or a port is busy.
//! - A client can hold nothing: a connection ends after [`PATIENCE`], and each user of the machine has [`A_USER`] of them, so
//!   that others are served while one floods the socket. Over TCP nobody knows who asks, and there are [`OVER_TCP`] for all.
//!   Where there are too many, the oldest goes that has not asked yet.
//! - What cannot be had (a directory that cannot be written, a busy port) is told once, and nothing else fails. A port is tried
//!   again; so is the socket with each map that is taken, and when the guard of the directories has looked.

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod http;
#[cfg(unix)]
mod socket;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::daemon::event::{Event, Observer};
use crate::daemon::tracker::{StatusHandle, metrics_url};
use crate::spool::Spool;
use crate::status::metrics;

use http::{Page, Request, Way};
#[cfg(unix)]
use socket::Socket;

/// How long a connection may take: the answer is there in milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);
/// Connections that a user of the machine may have open at a time.
const A_USER: usize = 8;
/// Those over TCP, of whomever.
const OVER_TCP: usize = 16;
/// Those of all: enough for more users than ask at a time, and far fewer than a process may have files.
const MOST: usize = 64;
/// How often a busy port is tried again.
const RETRY: Duration = Duration::from_secs(30);
/// After an error of accepting: the process has no file left, and will have one again.
const ACCEPT_AGAIN: Duration = Duration::from_secs(1);
/// What is read of a client that still sends after its answer, so that the answer is not lost with the connection.
const REST: u64 = 64 << 10;

/// What the server works with.
pub(super) struct Server {
    /// Where its socket is to be; none where nobody is to ask, as in a simulated run without directories.
    pub(super) socket: Option<PathBuf>,
    /// Who knows.
    pub(super) tracker: StatusHandle,
    /// Who knows the rest.
    pub(super) spool: Arc<Mutex<Spool>>,
    /// Who is told of what cannot be had.
    pub(super) observer: Observer,
    /// Rung when the socket is to be looked after.
    pub(super) look: Arc<Notify>,
}

impl Server {
    /// Serves until it is dropped; that removes the socket.
    pub(super) async fn run(self) {
        let mut maps = self.tracker.listen();
        let mut network = Network::new(Arc::clone(&self.observer));
        network.set(*maps.borrow_and_update());
        let mut door = Door::new(self.socket.clone(), Arc::clone(&self.observer));
        door.open();
        let mut clients = Clients::default();
        loop {
            tokio::select! {
                (stream, whose) = door.next() => clients.serve(whose, |asked| self.serve(stream, Way::Open, asked)),
                stream = network.next() => {
                    let is_loopback = stream.local_addr().is_ok_and(|here| here.ip().to_canonical().is_loopback());
                    let way = if is_loopback { Way::Loopback } else { Way::Open };
                    clients.serve(Whose::Network, |asked| self.serve(stream, way, asked));
                }
                () = self.look.notified() => door.open(),
                changed = maps.changed() => {
                    // The tracker lives as long as this holds it.
                    if changed.is_ok() {
                        network.set(*maps.borrow_and_update());
                        door.open();
                    }
                }
                () = clients.reap(), if !clients.tasks.is_empty() => {}
            }
        }
    }

    /// Answers one client. `asked` is set when its request is here.
    fn serve<S>(&self, mut stream: S, way: Way, asked: Arc<AtomicBool>) -> impl Future<Output = ()> + Send + use<S>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (tracker, spool) = (self.tracker.clone(), Arc::clone(&self.spool));
        let render = move |page| {
            asked.store(true, Ordering::Relaxed);
            let report = tracker.report(&spool);
            match page {
                Page::Metrics => metrics::render(&report),
                Page::Status => serde_json::to_string_pretty(&report).unwrap_or_default() + "\n",
            }
        };
        async move {
            // A client that is gone, or too slow, has no answer: that is its own affair.
            let _ = timeout(PATIENCE, converse(&mut stream, way, render)).await;
        }
    }
}

/// Reads a request and answers it.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    way: Way,
    render: impl Fn(Page) -> String,
) -> io::Result<()> {
    let mut bytes = Vec::new();
    let answer = loop {
        let room = http::LARGEST.saturating_sub(bytes.len()) as u64;
        if (&mut *stream).take(room).read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
        match Request::read(&bytes, way) {
            Request::Partial => {}
            Request::Page { page, head } => break http::answer(page, head, &render(page)),
            Request::Refused(why) => break http::refusal(why),
        }
    };
    stream.write_all(&answer).await?;
    stream.shutdown().await?;
    tokio::io::copy(&mut stream.take(REST), &mut tokio::io::sink()).await?;
    Ok(())
}

/// Whose a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    /// A user's of this machine, as the kernel says (SO_PEERCRED in unix(7)).
    #[cfg(unix)]
    User(u32),
    /// Somebody's over TCP.
    Network,
}

impl Whose {
    const fn most(self) -> usize {
        match self {
            #[cfg(unix)]
            Self::User(_) => A_USER,
            Self::Network => OVER_TCP,
        }
    }
}

/// The connections that are open.
#[derive(Default)]
struct Clients {
    tasks: JoinSet<()>,
    /// Oldest first.
    open: VecDeque<Client>,
}

struct Client {
    whose: Whose,
    /// It has asked, and is being answered.
    asked: Arc<AtomicBool>,
    handle: AbortHandle,
}

impl Clients {
    /// Serves one more. Where there are too many one has to go: of those of the same user, or else of whoever has most.
    fn serve<W>(&mut self, whose: Whose, work: impl FnOnce(Arc<AtomicBool>) -> W)
    where
        W: Future<Output = ()> + Send + 'static,
    {
        self.open.retain(|client| !client.handle.is_finished());
        while self.count(whose) >= whose.most() {
            self.end_one(whose);
        }
        while self.open.len() >= MOST {
            let most = self.open.iter().map(|client| client.whose).max_by_key(|whose| self.count(*whose));
            self.end_one(most.unwrap_or(whose));
        }
        let asked = Arc::new(AtomicBool::new(false));
        let handle = self.tasks.spawn(work(Arc::clone(&asked)));
        self.open.push_back(Client { whose, asked, handle });
    }

    fn count(&self, whose: Whose) -> usize {
        self.open.iter().filter(|client| client.whose == whose).count()
    }

    /// Ends the oldest that has not asked yet, or else the oldest.
    fn end_one(&mut self, whose: Whose) {
        let its = |client: &Client| client.whose == whose;
        let idle = |client: &Client| its(client) && !client.asked.load(Ordering::Relaxed);
        let place = self.open.iter().position(idle).or_else(|| self.open.iter().position(its));
        if let Some(client) = place.and_then(|place| self.open.remove(place)) {
            client.handle.abort();
        }
    }

    /// Waits for the end of one. A panic goes on here, as everywhere but in a driver.
    async fn reap(&mut self) {
        if let Some(Err(error)) = self.tasks.join_next().await
            && let Ok(panic) = error.try_into_panic()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

/// The listener of the network.
struct Network {
    address: Option<SocketAddr>,
    listener: Option<TcpListener>,
    /// That the port cannot be had was told.
    told: bool,
    retry_at: Option<Instant>,
    observer: Observer,
}

impl Network {
    fn new(observer: Observer) -> Self {
        Self { address: None, listener: None, told: false, retry_at: None, observer }
    }

    /// Takes what the map says. A listener that stays the same is not touched.
    fn set(&mut self, address: Option<SocketAddr>) {
        if self.address != address {
            let observer = Arc::clone(&self.observer);
            *self = Self { address, ..Self::new(observer) };
        }
    }

    /// The next client; never where nothing listens. It may be dropped at any time.
    async fn next(&mut self) -> TcpStream {
        loop {
            if let Some(at) = self.retry_at {
                sleep_until(at).await;
                self.retry_at = None;
            }
            match (&self.listener, self.address) {
                (Some(listener), _) => match listener.accept().await {
                    Ok((stream, _)) => return stream,
                    Err(_) => sleep(ACCEPT_AGAIN).await,
                },
                (None, Some(address)) => {
                    let bound = TcpListener::bind(address).await;
                    self.bound(address, bound);
                }
                (None, None) => std::future::pending().await,
            }
        }
    }

    fn bound(&mut self, address: SocketAddr, bound: io::Result<TcpListener>) {
        let at = metrics_url(address);
        match bound {
            Ok(listener) => {
                self.listener = Some(listener);
                (self.observer)(&Event::Served { at: &at, error: None });
            }
            Err(error) => {
                self.retry_at = Some(Instant::now() + RETRY);
                if !std::mem::replace(&mut self.told, true) {
                    (self.observer)(&Event::Served { at: &at, error: Some(&error) });
                }
            }
        }
    }
}

/// The socket in the runtime directory, where there is one.
struct Door {
    path: Option<PathBuf>,
    #[cfg(unix)]
    socket: Option<Socket>,
    /// That it cannot be had was told.
    #[cfg(unix)]
    told: bool,
    #[cfg(unix)]
    observer: Observer,
}

#[cfg(unix)]
impl Door {
    const fn new(path: Option<PathBuf>, observer: Observer) -> Self {
        Self { path, socket: None, told: false, observer }
    }

    /// Opens it, where it is not there: for the first time, or since somebody has emptied the directory or put something else
    /// in its place.
    fn open(&mut self) {
        let Some(path) = &self.path else { return };
        if self.socket.as_ref().is_some_and(Socket::is_there) {
            return;
        }
        let (again, at) = (self.socket.take().is_some(), path.display().to_string());
        match Socket::open(path) {
            Ok(socket) => {
                self.socket = Some(socket);
                if std::mem::take(&mut self.told) || again {
                    (self.observer)(&Event::Served { at: &at, error: None });
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut self.told, true) {
                    (self.observer)(&Event::Served { at: &at, error: Some(&error) });
                }
            }
        }
    }

    /// The next client, and whose it is; never where there is no socket.
    async fn next(&self) -> (tokio::net::UnixStream, Whose) {
        let Some(socket) = &self.socket else { return std::future::pending().await };
        loop {
            match socket.accept().await {
                // One that is gone already counts with nobody's.
                Ok(stream) => {
                    let user = stream.peer_cred().map_or(u32::MAX, |peer| peer.uid());
                    return (stream, Whose::User(user));
                }
                Err(_) => sleep(ACCEPT_AGAIN).await,
            }
        }
    }
}

/// Elsewhere than on Unix there are no such sockets.
#[cfg(not(unix))]
impl Door {
    fn new(path: Option<PathBuf>, _observer: Observer) -> Self {
        Self { path }
    }

    fn open(&mut self) {
        self.path = None;
    }

    async fn next(&self) -> (TcpStream, Whose) {
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests;
