//! What is learned of the ways to a broker: which one worked, which came to nothing, and whether large packets get through.

use std::net::SocketAddr;

use crate::net::broker::Broker;
use crate::net::race::Family;

/// Addresses that came to nothing that are remembered.
const REMEMBERED: usize = 32;

/// What was learned from one attempt for the next.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// The family of the address that worked last.
    pub(super) family: Option<Family>,
    /// Which host is tried first.
    pub(super) host: usize,
    /// Where the last attempt went.
    pub(super) last: Option<SocketAddr>,
    /// How many addresses the name had that was looked up last.
    pub(super) addresses: usize,
    /// Addresses that came to nothing, the last one last.
    pub(super) unanswered: Vec<SocketAddr>,
    /// Large packets are lost on the way, or may be: connections are made in small segments. That costs next to nothing, so that
    /// it is never taken back.
    pub(super) small_segments: bool,
}

impl Memory {
    /// The host that the last attempt went to.
    pub fn host<'a>(&self, broker: &'a Broker) -> &'a str {
        broker.hosts.get(self.host % broker.hosts.len().max(1)).map_or("", String::as_str)
    }

    /// How many attempts it may take until each of the broker's places was tried, as far as that is worth waiting for.
    pub fn places(&self, broker: &Broker) -> usize {
        const WORTH: usize = 4;
        broker.hosts.len().max(self.addresses).min(WORTH)
    }

    /// The attempt led to a login that was accepted: the next one begins there.
    pub fn worked(&mut self) {
        self.family = self.last.as_ref().map(Family::of);
        self.unanswered.retain(|address| Some(*address) != self.last);
    }

    /// What the attempt led to does not answer any more: the next one begins elsewhere, and in small segments. A connection stands
    /// still like that, too, when it first has a large packet to carry and the way swallows those.
    pub fn fell_silent(&mut self) {
        self.failed();
        self.small_segments = true;
    }

    /// The attempt came to nothing: the next one begins elsewhere.
    pub fn failed(&mut self) {
        self.host = self.host.wrapping_add(1);
        if let Some(address) = self.last.take() {
            self.unanswered.retain(|known| *known != address);
            if self.unanswered.len() >= REMEMBERED {
                self.unanswered.remove(0);
            }
            self.unanswered.push(address);
        }
    }
}
