//! What word of a changed network means: the kernel has a new address or route.
//!
//! While a try is waited for, it comes within two seconds, and the back-off starts from its beginning. A link that stands is
//! pinged, and has to answer soon: an address that went takes its connections along without a word. An interface that comes and
//! goes all the time must not make a flood of either.

use std::time::Duration;

use crate::net::failure::Kind;
use crate::time::Mono;

use super::connection::State;
use super::{Action, Session};

/// The least time between two tries, and between two pings, that such words lead to.
const EVERY: Duration = Duration::from_secs(5);
/// The least time between two new beginnings of the back-off.
const ANEW_EVERY: Duration = Duration::from_secs(30);

/// When such words led to something last.
#[derive(Debug, Default)]
pub(super) struct NetworkBounds {
    tried: Option<Mono>,
    began: Option<Mono>,
    pinged: Option<Mono>,
}

impl Session {
    pub(super) fn network_changed(&mut self, at: Mono, actions: &mut Vec<Action>) {
        match self.state {
            State::Waiting(until) if self.down.as_ref().is_some_and(|down| may_be_the_network(down.kind)) => {
                self.hurry(at, until);
            }
            // The attempt was given up for it: whoever does so has a bound of its own.
            State::Connecting => self.state = State::Waiting(at + self.backoff.hurry()),
            State::Subscribing { .. } | State::Online { .. } if is_due(self.network.pinged, at, EVERY) => {
                self.network.pinged = Some(at);
                let soon = self.settings.tuning.pong_within / 2;
                if self.ping.is_none() {
                    self.ping(at, soon, actions);
                } else if let Some(ping) = &mut self.ping {
                    ping.within = ping.within.min(at.since(ping.sent) + soon);
                }
            }
            State::Waiting(_) | State::Subscribing { .. } | State::Online { .. } | State::Closing | State::Done => {}
        }
    }

    /// Tries in a moment, unless it is tried by then.
    fn hurry(&mut self, at: Mono, until: Mono) {
        if is_due(self.network.began, at, ANEW_EVERY) {
            self.network.began = Some(at);
            self.backoff.progressed();
        }
        let from = self.network.tried.map_or(at, |last| at.max(last + EVERY));
        let then = from + self.backoff.hurry();
        if then < until {
            self.network.tried = Some(then);
            self.state = State::Waiting(then);
        }
    }
}

fn is_due(last: Option<Mono>, at: Mono, every: Duration) -> bool {
    last.is_none_or(|last| at >= last + every)
}

/// A refused login is refused on every network. A certificate or a protocol that is wrong may be that of a login page.
const fn may_be_the_network(kind: Kind) -> bool {
    !matches!(kind, Kind::Login | Kind::Held)
}
