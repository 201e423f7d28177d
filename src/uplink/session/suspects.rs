//! Channels for whose entries the broker may have closed the connection: MQTT 3.1.1 lets it do so where the right to publish is
//! missing (section 3.3.5).
//!
//! Networks break, too, so that a suspicion is a guess that ends by itself. Invariants:
//! - a channel is suspected when the other side closed the connection while an entry of it was sent and not known to be read;
//! - a suspected channel is only sent to while nothing else is on its way: that entry alone is to blame when it happens again;
//! - then it waits, longer each time, and the others go on. It is told of once;
//! - an entry that is read or stored ends the suspicion.

use std::time::Duration;

use crate::entry::ChannelId;
use crate::time::Mono;

use super::{Action, SessionEvent};

/// The channels of a session, in the order of its settings.
#[derive(Debug)]
pub(super) struct Suspects {
    channels: Vec<Option<Suspicion>>,
    /// How long a channel waits: the first time, and those that follow.
    waits: [Duration; 4],
}

#[derive(Clone, Copy, Debug)]
struct Suspicion {
    /// How often in a row the connection was closed on an entry of it alone.
    times: usize,
    again: Mono,
}

impl Suspects {
    pub(super) fn new(channels: usize, waits: [Duration; 4]) -> Self {
        Self { channels: vec![None; channels], waits }
    }

    /// Whether it is suspected.
    pub(super) fn has(&self, channel: usize) -> bool {
        self.channels[channel].is_some()
    }

    /// When the next entry of a suspected channel may be tried.
    pub(super) fn again(&self, channel: usize) -> Option<Mono> {
        self.channels[channel].map(|suspicion| suspicion.again)
    }

    /// The connection was closed while entries of several channels may have been on their way.
    pub(super) fn suspect(&mut self, at: Mono, channel: usize) {
        self.channels[channel].get_or_insert(Suspicion { times: 0, again: at });
    }

    /// The connection was closed while an entry of this channel was on its way, and nothing else.
    pub(super) fn failed(&mut self, at: Mono, channel: usize, id: ChannelId, actions: &mut Vec<Action>) {
        let times = self.channels[channel].map_or(0, |before| before.times) + 1;
        let again_in = self.waits[times.min(self.waits.len()) - 1];
        self.channels[channel] = Some(Suspicion { times, again: at + again_in });
        if times == 1 {
            actions.push(Action::Report(SessionEvent::PublishSuspected { channel: id, again_in }));
        }
    }

    /// An entry was read or stored.
    pub(super) fn acquit(&mut self, channel: usize, id: ChannelId, actions: &mut Vec<Action>) {
        if self.channels[channel].take().is_some_and(|suspicion| suspicion.times > 0) {
            actions.push(Action::Report(SessionEvent::PublishAccepted(id)));
        }
    }
}
