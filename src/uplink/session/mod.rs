//! The session of one MQTT device, as a state machine: connect → subscribe and wait for SUBACK → online → renew.
//!
//! [`Session::event`] takes what happened and returns what is to be done; it owns no socket and reads no clock.
//!
//! Invariants:
//! - nothing is published before every subscription was answered (or its time ran out);
//! - at most one update of a channel is on its way; the next waits for its receipt and the license's interval. What was
//!   measured in the last slot goes first, then the backlog, then what has to be sent again;
//! - an entry leaves the spool on a receipt only: the answer to a ping sent after it (*received*), or its echo on the
//!   channel's own feed (*stored*), whichever the channel asks for;
//! - an entry whose receipt did not come is sent again with its own `created_at`, unless a row of somebody else is known to
//!   have that second. After several sends without an echo it is set aside; an echo settles it even then;
//! - what the broker had kept (RETAIN) is old: a receipt perhaps, and never a command;
//! - there is at most one ping without an answer, and a link that leaves it unanswered is given up.

mod channel;
mod connection;
mod event;
mod notice;
mod settings;
mod subscriptions;
mod tally;

use std::time::Duration;

use bytes::Bytes;

use crate::spool::Spool;
use crate::thingspeak::feed::FeedMessage;
use crate::thingspeak::topic::Topic;
use crate::time::{Mono, Now};
use crate::uplink::Confirm;
use crate::uplink::backoff::Backoff;

use channel::Channel;
use connection::{Down, State};
use subscriptions::Subscriptions;

pub use event::{Action, Delivery, Event};
pub use notice::Notice;
pub use settings::{ChannelSettings, Settings, Tuning};
pub use tally::Tally;

/// The session of one device.
#[derive(Debug)]
pub struct Session {
    settings: Settings,
    channels: Vec<Channel>,
    subscriptions: Subscriptions,
    state: State,
    backoff: Backoff,
    /// The spell of failures that goes on.
    down: Option<Down>,
    last_heard: Mono,
    ping_sent: Option<Mono>,
    /// Publishes so far, and how many of them the open ping covers.
    published: u64,
    covered: u64,
    /// When a renewal's gap began.
    gap_since: Option<Mono>,
    stop: Option<Mono>,
    deadline: Option<Mono>,
    ever_up: bool,
}

impl Session {
    /// A session that will connect at its first event. `seed` makes its jitter its own.
    pub fn new(settings: Settings, seed: u64) -> Self {
        let receipts = settings
            .channels
            .iter()
            .filter(|channel| channel.confirm != Confirm::Received)
            .map(|channel| Topic::Subscribe(channel.id));
        Self {
            channels: settings.channels.iter().map(Channel::new).collect(),
            subscriptions: Subscriptions::new(receipts.chain(settings.commands.iter().copied())),
            settings,
            state: State::Waiting(Mono::default()),
            backoff: Backoff::new(seed),
            down: None,
            last_heard: Mono::default(),
            ping_sent: None,
            published: 0,
            covered: 0,
            gap_since: None,
            stop: None,
            deadline: Some(Mono::default()),
            ever_up: false,
        }
    }

    /// When [`Event::Tick`] is due; none while only the outside can go on.
    pub fn deadline(&self) -> Option<Mono> {
        self.deadline
    }

    /// Whether commands can be heard and entries sent.
    pub fn is_online(&self) -> bool {
        matches!(self.state, State::Online { .. })
    }

    /// Takes what happened and says what is to be done.
    pub fn event(&mut self, now: Now, event: Event, spool: &mut dyn Spool) -> Vec<Action> {
        let mut actions = Vec::new();
        let at = now.mono;
        match event {
            Event::Tick => {}
            Event::Connected => self.connected(at, &mut actions),
            Event::Lost(failure) => self.lost(at, &failure, &mut actions),
            Event::SubAck(topic, granted) => self.answered(at, topic, granted, &mut actions),
            Event::Pong => {
                self.last_heard = at;
                self.ping_sent = None;
                for channel in &mut self.channels {
                    channel.received(at, self.covered, &self.settings.tuning, spool, &mut actions);
                }
            }
            Event::Message { topic, payload, retained } => {
                self.last_heard = at;
                self.message(now, topic, &payload, retained, spool, &mut actions);
            }
            Event::Disconnected => self.disconnected(at, &mut actions),
            Event::Stop(until) => self.stop = Some(until),
        }
        self.advance(now, spool, &mut actions);
        self.deadline = self.next_deadline(now.mono, spool);
        actions
    }

    /// Does whatever the state and the time allow.
    fn advance(&mut self, now: Now, spool: &mut dyn Spool, actions: &mut Vec<Action>) {
        let at = now.mono;
        match self.state {
            // A connection in the making was dropped by the stop; nothing could be sent before its subscriptions anyway.
            State::Waiting(_) | State::Connecting if self.stop.is_some() => self.finish(actions),
            State::Subscribing { .. } if self.stop.is_some_and(|until| at >= until) => {
                actions.push(Action::Abandon);
                self.finish(actions);
            }
            State::Waiting(until) if at >= until => {
                self.state = State::Connecting;
                actions.push(Action::Connect);
            }
            State::Subscribing { since } => {
                if at >= since + self.settings.tuning.suback_within {
                    if self.ping_sent.is_some() {
                        // Not even the ping was answered: the link is dead, and nobody refused anything.
                        return self.silent(at, self.settings.tuning.suback_within, actions);
                    }
                    self.subscriptions.give_up(actions);
                }
                self.subscriptions.ask(actions);
                if self.subscriptions.are_answered() {
                    self.online(at, actions);
                    self.advance(now, spool, actions);
                }
            }
            State::Online { since } => {
                if self.ping_sent.is_some_and(|sent| at >= sent + self.settings.tuning.pong_within) {
                    self.silent(at, self.settings.tuning.pong_within, actions);
                } else if self.is_over(at, since, spool) {
                    self.gap_since = Some(at);
                    self.state = State::Closing;
                    actions.push(Action::Disconnect);
                } else {
                    self.work(now, since, spool, actions);
                }
            }
            State::Waiting(_) | State::Connecting | State::Closing | State::Done => {}
        }
    }

    /// Publishes what is due, and pings where a receipt or a quiet line needs it.
    fn work(&mut self, now: Now, since: Mono, spool: &mut dyn Spool, actions: &mut Vec<Action>) {
        let at = now.mono;
        let renewing = self.is_old(at, since);
        for index in 0..self.channels.len() {
            let granted = self.subscriptions.is_granted(Topic::Subscribe(self.channels[index].id()));
            let channel = &mut self.channels[index];
            channel.set_granted(granted);
            channel.expire(at, &self.settings.tuning, spool, actions);
            if !renewing && channel.publish(at, self.published + 1, spool, actions) {
                self.published += 1;
            }
        }
        let quiet = at >= self.last_heard + self.settings.tuning.ping_after;
        if self.ping_sent.is_none() && (self.published > self.covered || quiet) {
            self.covered = self.published;
            self.ping_sent = Some(at);
            actions.push(Action::Ping);
        }
    }

    fn message(
        &mut self,
        now: Now,
        topic: Topic,
        payload: &Bytes,
        retained: bool,
        spool: &mut dyn Spool,
        actions: &mut Vec<Action>,
    ) {
        match topic {
            Topic::Subscribe(id) => {
                let is_command = self.settings.commands.contains(&topic);
                let message = match FeedMessage::decode(id, payload) {
                    Ok(message) => message,
                    Err(garbled) if is_command => {
                        return actions.push(Action::Deliver(Delivery::Garbled(id, garbled)));
                    }
                    Err(_) => return,
                };
                if let Some(channel) = self.channels.iter_mut().find(|channel| channel.id() == id) {
                    channel.feed(now, &message, retained, &self.settings.tuning, spool, actions);
                }
                if is_command {
                    actions.push(Action::Deliver(Delivery::Feed { message: Box::new(message), retained }));
                }
            }
            Topic::SubscribeField(channel, field) => {
                let payload = payload.clone();
                actions.push(Action::Deliver(Delivery::Field { channel, field, payload, retained }));
            }
            Topic::Publish(_) | Topic::PublishField(..) => {}
        }
    }

    fn is_old(&self, at: Mono, since: Mono) -> bool {
        at >= since + self.settings.renew
    }

    /// Whether the session ends now: it is old (or the daemon stops) and nothing is open, or the grace is over.
    fn is_over(&self, at: Mono, since: Mono, spool: &dyn Spool) -> bool {
        if let Some(until) = self.stop {
            let idle = self.channels.iter().all(|channel| channel.is_settled() && !channel.can_publish(at, spool));
            return idle || at >= until;
        }
        let settled = self.channels.iter().all(Channel::is_settled);
        self.is_old(at, since) && (settled || at >= since + self.settings.renew + self.grace())
    }

    /// How long a renewal waits for open receipts: an echo that comes after it is never heard.
    fn grace(&self) -> Duration {
        self.channels.iter().map(Channel::echo_takes).fold(self.settings.tuning.renew_grace, Duration::max)
    }

    fn next_deadline(&self, at: Mono, spool: &dyn Spool) -> Option<Mono> {
        let tuning = &self.settings.tuning;
        match self.state {
            State::Waiting(until) => Some(until),
            State::Connecting | State::Closing | State::Done => None,
            State::Subscribing { since } => earliest([Some(since + tuning.suback_within), self.stop]),
            State::Online { since } => {
                let renew = since + self.settings.renew;
                let over = if at >= renew { renew + self.grace() } else { renew };
                let ping = self.ping_sent.map_or(self.last_heard + tuning.ping_after, |sent| sent + tuning.pong_within);
                let channels = self.channels.iter().map(|channel| channel.deadline(at, spool, at >= renew));
                earliest(channels.chain([Some(over), Some(ping), self.stop]))
            }
        }
    }
}

fn earliest(times: impl IntoIterator<Item = Option<Mono>>) -> Option<Mono> {
    times.into_iter().flatten().min()
}

#[cfg(test)]
mod tests;
