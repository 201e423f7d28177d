//! What the broker says: answers to pings, and messages.

use bytes::Bytes;

use crate::spool::Spool;
use crate::thingspeak::feed::FeedMessage;
use crate::thingspeak::topic::Topic;
use crate::time::{Mono, Now};

use super::connection::State;
use super::{Action, Inbound, Session};

impl Session {
    pub(super) fn pong(&mut self, at: Mono, spool: &mut Spool, actions: &mut Vec<Action>) {
        self.last_heard = at;
        let ping = self.ping.take();
        match &mut self.state {
            // From now on the broker answers: what it leaves unanswered was asked for later.
            State::Subscribing { since } => *since = at,
            State::Online { since } => {
                // A connection on which nothing was sent is of use when it answers after it was online for a while.
                let has_lasted = ping.is_some_and(|ping| ping.sent > *since);
                if has_lasted && self.covered == self.published && self.subscriptions.has_any() {
                    self.backoff.progressed();
                }
            }
            _ => {}
        }
        for index in 0..self.channels.len() {
            if self.channels[index].received(at, self.covered, &self.settings.tuning, spool, actions) {
                self.acknowledged(index, actions);
            }
        }
    }

    /// The broker has read or stored an entry of the channel at this place.
    fn acknowledged(&mut self, index: usize, actions: &mut Vec<Action>) {
        self.backoff.progressed();
        self.acquit(index, actions);
    }

    pub(super) fn message(
        &mut self,
        now: Now,
        topic: Topic,
        payload: &Bytes,
        retained: bool,
        spool: &mut Spool,
        actions: &mut Vec<Action>,
    ) {
        match topic {
            Topic::Subscribe(id) => {
                let is_command = self.settings.commands.contains(&topic);
                let message = match FeedMessage::decode(id, payload) {
                    Ok(message) => message,
                    Err(garbled) if is_command => {
                        return actions.push(Action::Deliver(Inbound::Garbled(id, garbled)));
                    }
                    Err(_) => return,
                };
                if let Some(index) = self.channels.iter().position(|channel| channel.id() == id)
                    && self.channels[index].feed(now, &message, retained, &self.settings.tuning, spool, actions)
                {
                    self.acknowledged(index, actions);
                }
                if is_command {
                    actions.push(Action::Deliver(Inbound::Feed { message: Box::new(message), retained }));
                }
            }
            Topic::SubscribeField(channel, field) => {
                let payload = payload.clone();
                actions.push(Action::Deliver(Inbound::Field { channel, field, payload, retained }));
            }
            Topic::Publish(_) | Topic::PublishField(..) => {}
        }
    }
}
