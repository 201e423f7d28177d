//! The way to a broker, for whoever goes it: name, address, proxy, TLS, WebSocket. It ends in a stream of bytes.

mod memory;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::{Instant, sleep, timeout};

use super::broker::Broker;
use super::explain;
use super::failure::{Failure, Kind};
use super::meter::Metered;
use super::peer::Peer;
use super::proxy::{self, Proxy};
use super::race::{self, race};
use super::road::Road;
use super::tls::{self, Trust};
use super::websocket;
use crate::hal::Clock;

pub use memory::Memory;

/// How long the system may look for a name.
const RESOLVE_WITHIN: Duration = Duration::from_secs(10);
/// How long a proxy, TLS and the WebSocket may take, each: a Pi Zero on a bad line needs seconds for TLS.
const STEP_WITHIN: Duration = Duration::from_secs(10);
/// TLS without an answer for so long is tried in small segments as well.
const SMALL_AFTER: Duration = Duration::from_secs(3);
/// A segment that passes wherever IPv4 does (RFC 879, section 1).
const SMALL_SEGMENT: u32 = 536;
/// Another host of a cluster is tried within one attempt while no more time than this has passed.
const HOSTS_WITHIN: Duration = Duration::from_secs(15);
/// Addresses of a name that are tried.
const ADDRESSES: usize = 16;

/// A line to the broker.
pub trait Line: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Line for T {}

/// A step of the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// A name is looked up.
    Dns,
    /// A TCP connection is made.
    Tcp,
    /// A proxy is asked for a tunnel.
    Proxy,
    /// TLS is talked.
    Tls,
    /// A WebSocket is asked for.
    WebSocket,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dns => "DNS",
            Self::Tcp => "TCP",
            Self::Proxy => "proxy",
            Self::Tls => "TLS",
            Self::WebSocket => "WebSocket",
        })
    }
}

/// A step that was made.
#[derive(Clone, Debug)]
pub enum Passed {
    /// A name has these addresses; the broker's, or that of a proxy.
    Resolved {
        /// The name.
        host: String,
        /// Its addresses, in the order in which they are tried.
        addresses: Vec<IpAddr>,
    },
    /// A connection stands.
    Reached {
        /// Where to.
        address: SocketAddr,
        /// How long it took.
        took: Duration,
        /// What came of those that were tried before.
        failed: Vec<Failure>,
    },
    /// A proxy has made a tunnel.
    Tunnelled {
        /// The proxy's host and port.
        proxy: String,
        /// What named it.
        named_by: &'static str,
    },
    /// The line is encrypted, and the certificate good.
    Secured {
        /// Whose certificate it is.
        peer: Option<Peer>,
        /// Only small segments came through: it was found that larger packets are lost on the way (an MTU hole).
        small_segments: bool,
    },
    /// The WebSocket stands, for MQTT.
    Upgraded,
}

/// Where the way ended, and why.
#[derive(Clone, Debug)]
pub struct Obstacle {
    /// The step that failed.
    pub step: Step,
    /// Why.
    pub failure: Failure,
    /// Whose certificate was shown, where it came to that.
    pub peer: Option<Peer>,
    /// What names the proxy that was not reached, where it was one.
    pub proxy: Option<&'static str>,
}

impl Obstacle {
    fn new(step: Step, failure: Failure) -> Self {
        Self { step, failure, peer: None, proxy: None }
    }

    /// The first hop did not answer: the broker or, where there is one, the proxy.
    fn at_first_hop(step: Step, failure: Failure, proxy: Option<&Proxy>) -> Self {
        let proxy = proxy.map(|proxy| proxy.named_by);
        let failure = match proxy {
            Some(named_by) => failure.about_proxy(named_by),
            None => failure,
        };
        Self { proxy, ..Self::new(step, failure) }
    }
}

/// Goes the way to a broker. `tell` hears of each step that was made.
///
/// It may be dropped at any point; what is half made goes with it.
///
/// # Errors
/// The first step that failed, in words.
pub async fn dial(
    broker: &Broker,
    trust: Option<&Trust>,
    memory: &mut Memory,
    clock: &dyn Clock,
    mut tell: impl FnMut(Passed),
) -> Result<Box<dyn Line>, Obstacle> {
    let since = Instant::now();
    // Of an attempt that reaches nobody, no address is to blame.
    memory.last = None;
    let mut first = None;
    for turn in 0..broker.hosts.len() {
        let place = memory.host.wrapping_add(turn) % broker.hosts.len();
        let Some(host) = broker.hosts.get(place) else { break };
        let way = Way { road: broker.road(host), trust, clock };
        match way.begin(broker, memory, &mut tell).await {
            Ok((start, line)) => {
                memory.host = place;
                return way.finish(start, line, memory, &mut tell).await;
            }
            Err(obstacle) => {
                first.get_or_insert(obstacle);
            }
        }
        if since.elapsed() > HOSTS_WITHIN {
            break;
        }
    }
    Err(first.unwrap_or_else(|| Obstacle::new(Step::Dns, explain::no_address("", "the map names no host"))))
}

/// The way to one host.
struct Way<'a> {
    road: Road,
    trust: Option<&'a Trust>,
    clock: &'a dyn Clock,
}

/// Where a way begins that can be begun again.
struct Start {
    address: SocketAddr,
    proxy: Option<Proxy>,
}

impl Way<'_> {
    /// The name, and a connection to one of its addresses, or to a proxy's.
    async fn begin(
        &self,
        broker: &Broker,
        memory: &mut Memory,
        tell: &mut impl FnMut(Passed),
    ) -> Result<(Start, TcpStream), Obstacle> {
        let (choice, road) = (broker.proxy.clone(), self.road.clone());
        // It reads a file.
        let found = tokio::task::spawn_blocking(move || choice.proxy_for(&road, |name| std::env::var(name).ok()));
        let proxy = found.await.expect("reading files does not panic");
        let proxy = proxy.map_err(|failure| Obstacle::new(Step::Proxy, failure))?;
        let (host, port) = proxy.as_ref().map_or((&self.road.host, self.road.port), |proxy| (&proxy.host, proxy.port));
        let found = resolve(host, port).await;
        let found = found.map_err(|failure| Obstacle::at_first_hop(Step::Dns, failure, proxy.as_ref()))?;
        let addresses = race::order(&found, memory.family, &memory.unanswered);
        memory.addresses = addresses.len();
        let ips = addresses.iter().map(SocketAddr::ip).collect();
        tell(Passed::Resolved { host: host.clone(), addresses: ips });
        let segment = memory.small_segments.then_some(SMALL_SEGMENT);
        let raced = race(&addresses, |address| connect(address, segment)).await;
        let failed = || raced.failed.iter().map(|(address, error)| self.unreached(&address.to_string(), error));
        let Some((line, address, took)) = raced.won else {
            let at = proxy.as_ref().map_or_else(|| self.road.at(), Proxy::at);
            return Err(Obstacle::at_first_hop(Step::Tcp, self.nowhere(&at, &raced.failed), proxy.as_ref()));
        };
        let failed = failed().collect();
        memory.last = Some(address);
        tell(Passed::Reached { address, took, failed });
        Ok((Start { address, proxy }, line))
    }

    /// Proxy, TLS and WebSocket, as far as they are wanted.
    async fn finish(
        &self,
        start: Start,
        line: TcpStream,
        memory: &mut Memory,
        tell: &mut impl FnMut(Passed),
    ) -> Result<Box<dyn Line>, Obstacle> {
        let line = self.tunnel(line, &start).await.map_err(|failure| Obstacle::new(Step::Proxy, failure))?;
        if let Some(proxy) = &start.proxy {
            tell(Passed::Tunnelled { proxy: proxy.at(), named_by: proxy.named_by });
        }
        let line: Box<dyn Line> = match self.trust {
            Some(trust) => {
                let secured = self.secure(line, &start, trust).await;
                let peer = trust.seen();
                let (line, came_through_small) =
                    secured.map_err(|failure| Obstacle { peer: peer.clone(), ..Obstacle::new(Step::Tls, failure) })?;
                // Where all of them are small already, the second connection was only the quicker one.
                let small_segments = came_through_small && !memory.small_segments;
                memory.small_segments |= small_segments;
                tell(Passed::Secured { peer, small_segments });
                Box::new(Metered::new(line))
            }
            None => Box::new(Metered::new(line)),
        };
        if !self.road.transport.is_websocket() {
            return Ok(line);
        }
        let upgrading = timeout(STEP_WITHIN, websocket::upgrade(line, &self.road, &self.road.path)).await;
        let upgraded = upgrading.unwrap_or_else(|_| Err(self.silent("the request for a WebSocket")));
        let socket = upgraded.map_err(|failure| Obstacle::new(Step::WebSocket, failure))?;
        tell(Passed::Upgraded);
        Ok(Box::new(socket))
    }

    async fn tunnel(&self, mut line: TcpStream, start: &Start) -> Result<TcpStream, Failure> {
        if let Some(proxy) = &start.proxy {
            let asked = timeout(STEP_WITHIN, proxy::tunnel(&mut line, proxy, &self.road)).await;
            asked.unwrap_or_else(|_| {
                let words = format!("the proxy {} did not answer within {} s", proxy.at(), STEP_WITHIN.as_secs());
                Err(Failure::new(Kind::Network, words))
            })?;
        }
        Ok(line)
    }

    /// TLS. Where nothing comes back, a second connection is made whose segments are small: where that one gets an answer,
    /// packets of the usual size are lost on the way. Says whether it was needed.
    async fn secure(
        &self,
        line: TcpStream,
        start: &Start,
        trust: &Trust,
    ) -> Result<(impl Line + use<>, bool), Failure> {
        let usual = tls::secure(line, &self.road, trust, self.clock);
        let small = async {
            sleep(SMALL_AFTER).await;
            let line =
                connect(start.address, Some(SMALL_SEGMENT)).await.map_err(|error| explain::io(&error, &self.road))?;
            let line = self.tunnel(line, start).await?;
            tls::secure(line, &self.road, trust, self.clock).await
        };
        let either = async {
            tokio::pin!(usual, small);
            tokio::select! {
                usual = &mut usual => usual.map(|line| (line, false)),
                small = &mut small => match small {
                    Ok(line) => Ok((line, true)),
                    Err(failure) if failure.kind == Kind::Tls => Err(failure),
                    // It may be refused for being a second one: what the first one comes to counts.
                    Err(_) => usual.await.map(|line| (line, false)),
                },
            }
        };
        timeout(STEP_WITHIN, either).await.unwrap_or_else(|_| Err(self.silent("TLS, with packets of any size")))
    }

    fn silent(&self, what: &str) -> Failure {
        let (at, transport, within) = (self.road.at(), self.road.transport, STEP_WITHIN.as_secs());
        let words =
            format!("{at} did not answer {what}, within {within} s: perhaps this is not the port for {transport}");
        Failure::new(Kind::Network, words)
    }

    /// No address answered. Where all failed alike, the host is named and not each of them.
    fn nowhere(&self, at: &str, failed: &[(SocketAddr, io::Error)]) -> Failure {
        let alike = failed.windows(2).all(|pair| pair[0].1.kind() == pair[1].1.kind());
        if let (true, Some((_, error))) = (alike, failed.first()) {
            return self.unreached(at, error);
        }
        let words = failed.iter().take(4).map(|(address, error)| self.unreached(&address.to_string(), error).words);
        Failure::new(Kind::Network, words.collect::<Vec<_>>().join("; "))
    }

    /// What is at `at` did not answer.
    fn unreached(&self, at: &str, error: &io::Error) -> Failure {
        if error.kind() != io::ErrorKind::TimedOut {
            return explain::at(error, at, &self.road);
        }
        let within = race::EACH_WITHIN.as_secs();
        let words =
            format!("{at} did not answer within {within} s: a firewall may drop the packets, or the machine is off");
        Failure::new(Kind::Network, words)
    }
}

/// The addresses of a name.
async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
    let found = timeout(RESOLVE_WITHIN, lookup_host((host, port))).await;
    let found =
        found.map_err(|_| explain::no_address(host, &format!("no answer within {} s", RESOLVE_WITHIN.as_secs())))?;
    let found: Vec<_> = found.map_err(|error| explain::no_address(host, &error.to_string()))?.take(ADDRESSES).collect();
    if found.is_empty() { Err(explain::no_address(host, "it has no address")) } else { Ok(found) }
}

/// A TCP connection, in segments of at most this size where it is given.
async fn connect(address: SocketAddr, segment: Option<u32>) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(segment) = segment {
        // The other side is told of it, and sends no larger ones either.
        #[cfg(unix)]
        SockRef::from(&socket).set_tcp_mss(segment)?;
        #[cfg(not(unix))]
        let _ = segment;
    }
    let line = socket.connect(address).await?;
    // A packet must not wait for the answer to the one before.
    line.set_nodelay(true)?;
    Ok(line)
}

#[cfg(test)]
mod tests;
