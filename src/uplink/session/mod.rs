//! The session of one MQTT device, as a state machine: connect → subscribe and wait for SUBACK → online → renew.
//!
//! [`Session::event`] takes what happened and returns what is to be done; it owns no socket and reads no clock.
//!
//! Invariants:
//! - nothing is published before every subscription was answered, or its time ran out, or it was left out as a guess;
//! - at most one update of a channel is on its way; the next waits for its acknowledgement and the license's interval. What was
//!   measured in the last slot goes first, then the backlog, then what has to be sent again;
//! - an entry leaves the spool on an acknowledgement only: the answer to a ping sent after it (*received*), or its echo on the
//!   channel's own feed (*stored*), whichever the channel asks for;
//! - an entry whose acknowledgement did not come is sent again with its own `created_at`, unless a row of somebody else is known to
//!   have that second. After several sends without an echo it is unconfirmed; an echo settles it even then;
//! - there is at most one ping without an answer, and a link that leaves it unanswered is given up;
//! - what is concluded from a connection that was closed is a guess with an end: that a topic may not be heard
//!   (`subscriptions`), that a channel may not be published to (`suspects`). What may be closed on again is tried alone (`trials`),
//!   and keeps nothing else waiting;
//! - the back-off begins anew when a connection was of use: an entry was acknowledged, or where none was sent, a ping. Only
//!   refused logins (`logins`) are tried less than once a minute;
//! - what the broker had kept (RETAIN) is old: an acknowledgement perhaps, and never a command.

mod channel;
mod connection;
mod event;
mod incoming;
mod logins;
mod network;
mod session_event;
mod settings;
mod subscriptions;
mod suspects;
mod tally;
mod trials;

use std::time::Duration;

use crate::spool::Spool;
use crate::thingspeak::topic::Topic;
use crate::time::{Mono, Now};
use crate::uplink::Confirm;
use crate::uplink::backoff::Backoff;

use channel::Channel;
use connection::{Down, State};
use logins::Logins;
use network::NetworkBounds;
use subscriptions::Subscriptions;
use suspects::Suspects;
use trials::Trials;

pub use event::{Action, Event, Inbound};
pub use session_event::{SessionEvent, Unheard, in_words};
pub use settings::{ChannelSettings, Settings, Tuning};
pub use tally::Tally;

/// The session of one device.
#[derive(Debug)]
pub struct Session {
    settings: Settings,
    channels: Vec<Channel>,
    subscriptions: Subscriptions,
    suspects: Suspects,
    trials: Trials,
    state: State,
    backoff: Backoff,
    logins: Logins,
    network: NetworkBounds,
    /// The spell of failures that goes on.
    down: Option<Down>,
    last_heard: Mono,
    ping: Option<Ping>,
    /// Publishes so far, and how many of them the open ping covers.
    published: u64,
    covered: u64,
    /// The session is to be renewed sooner than by its age.
    renew_at: Option<Mono>,
    /// When a renewal's gap began.
    gap_since: Option<Mono>,
    stop: Option<Mono>,
    deadline: Option<Mono>,
    ever_up: bool,
}

/// A ping without an answer.
#[derive(Clone, Copy, Debug)]
struct Ping {
    sent: Mono,
    /// How soon it has to be answered.
    within: Duration,
}

impl Session {
    /// A session that will connect at its first event. `seed` makes its jitter its own.
    pub fn new(settings: Settings, seed: u64) -> Self {
        let acks = settings
            .channels
            .iter()
            .filter(|channel| channel.confirm != Confirm::Received)
            .map(|channel| Topic::Subscribe(channel.id));
        let (commands, waits) = (settings.commands.iter().copied(), settings.tuning.doubt);
        Self {
            channels: settings.channels.iter().map(Channel::new).collect(),
            subscriptions: Subscriptions::new(commands, acks, waits, !settings.channels.is_empty()),
            suspects: Suspects::new(settings.channels.len(), waits),
            trials: Trials::default(),
            settings,
            state: State::Waiting(Mono::default()),
            backoff: Backoff::new(seed),
            logins: Logins::default(),
            network: NetworkBounds::default(),
            down: None,
            last_heard: Mono::default(),
            ping: None,
            published: 0,
            covered: 0,
            renew_at: None,
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
    pub fn event(&mut self, now: Now, event: Event, spool: &mut Spool) -> Vec<Action> {
        let mut actions = Vec::new();
        let at = now.mono;
        match event {
            Event::Tick => {}
            Event::Connected => self.connected(at, &mut actions),
            Event::Lost(failure) => self.lost(at, failure, &mut actions),
            Event::LostWithNewCredentials(failure) => {
                self.logins.changed();
                self.backoff.forgive();
                self.lost(at, failure, &mut actions);
            }
            Event::SubAck(topic, granted) => self.answered(at, topic, granted, &mut actions),
            Event::Pong => self.pong(at, spool, &mut actions),
            Event::Message { topic, payload, retained } => {
                self.last_heard = at;
                self.message(now, topic, &payload, retained, spool, &mut actions);
            }
            Event::NetworkChanged => self.network_changed(at, &mut actions),
            Event::Disconnected => self.disconnected(at, &mut actions),
            Event::Adopt(channels) => self.adopt(at, channels),
            Event::Stop(until) => self.stop = Some(until),
        }
        self.advance(now, spool, &mut actions);
        self.deadline = self.next_deadline(now.mono, spool);
        actions
    }

    fn adopt(&mut self, at: Mono, channels: Vec<ChannelSettings>) {
        for settings in &channels {
            if let Some(channel) = self.channels.iter_mut().find(|channel| channel.id() == settings.id) {
                channel.adopt(at, settings);
            }
        }
        self.settings.channels = channels;
    }

    /// Does whatever the state and the time allow.
    fn advance(&mut self, now: Now, spool: &mut Spool, actions: &mut Vec<Action>) {
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
                self.logins.tried(at);
                actions.push(Action::Connect);
            }
            State::Subscribing { since } => {
                let within = self.settings.tuning.suback_within;
                if at >= since + within {
                    if self.ping.is_some() {
                        // Not even the ping was answered: the link is dead, and nobody refused anything.
                        return self.silent(at, within, actions);
                    }
                    self.subscriptions.give_up(at, actions);
                    self.state = State::Subscribing { since: at };
                } else if let Some(within) = self.unanswered_for(at) {
                    return self.silent(at, within, actions);
                }
                self.subscriptions.ask(at, self.ping.is_none(), actions);
                if self.subscriptions.are_answered() {
                    self.online(at, actions);
                    self.advance(now, spool, actions);
                }
            }
            State::Online { since } => {
                if let Some(within) = self.unanswered_for(at) {
                    self.silent(at, within, actions);
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

    /// Publishes what is due, asks for what is not heard, and pings where an acknowledgement or a quiet line needs it.
    fn work(&mut self, now: Now, since: Mono, spool: &mut Spool, actions: &mut Vec<Action>) {
        let at = now.mono;
        let tuning = self.settings.tuning;
        for channel in &mut self.channels {
            channel.set_granted(self.subscriptions.is_granted(Topic::Subscribe(channel.id())));
            channel.expire(at, &tuning, spool, actions);
        }
        self.subscriptions.work(at, tuning.suback_within, actions);
        if !self.is_old(at, since) {
            self.publish(at, spool, actions);
        }
        let quiet = at >= self.last_heard + tuning.ping_after;
        if self.ping.is_none() && (self.published > self.covered || quiet) {
            self.ping(at, tuning.pong_within, actions);
        }
    }

    /// For how long the broker has left a ping unanswered, where that is too long.
    fn unanswered_for(&self, at: Mono) -> Option<Duration> {
        self.ping.filter(|ping| at >= ping.sent + ping.within).map(|ping| ping.within)
    }

    /// When a session that is online since then is to be renewed.
    fn renew_at(&self, since: Mono) -> Mono {
        let by_age = since + self.settings.renew;
        self.renew_at.map_or(by_age, |sooner| sooner.min(by_age))
    }

    fn is_old(&self, at: Mono, since: Mono) -> bool {
        at >= self.renew_at(since)
    }

    /// Whether the session ends now: it is old (or the daemon stops) and nothing is open, or the grace is over.
    fn is_over(&self, at: Mono, since: Mono, spool: &Spool) -> bool {
        let settled = self.channels.iter().all(Channel::is_settled);
        if let Some(until) = self.stop {
            let idle = settled && !(0..self.channels.len()).any(|index| self.can_publish(index, at, spool));
            return idle || at >= until;
        }
        self.is_old(at, since) && (settled || at >= self.renew_at(since) + self.grace())
    }

    /// How long a renewal waits for open acknowledgements: an echo that comes after it is never heard.
    fn grace(&self) -> Duration {
        self.channels.iter().map(Channel::echo_takes).fold(self.settings.tuning.renew_grace, Duration::max)
    }

    fn next_deadline(&self, at: Mono, spool: &Spool) -> Option<Mono> {
        let tuning = &self.settings.tuning;
        match self.state {
            State::Waiting(until) => Some(until),
            State::Connecting | State::Closing | State::Done => None,
            State::Subscribing { since } => {
                let ping = self.ping.map(|ping| ping.sent + ping.within);
                earliest([Some(since + tuning.suback_within), ping, self.stop])
            }
            State::Online { since } => {
                let renew = self.renew_at(since);
                let is_old = at >= renew;
                let over = if is_old { renew + self.grace() } else { renew };
                let ping = self.ping.map_or(self.last_heard + tuning.ping_after, |ping| ping.sent + ping.within);
                let publish = if is_old { None } else { self.publish_deadline(at, spool) };
                let echoes = self.channels.iter().map(Channel::late_at);
                let asked = self.subscriptions.deadline(at, tuning.suback_within);
                earliest(echoes.chain([publish, asked, Some(over), Some(ping), self.stop]))
            }
        }
    }
}

fn earliest(times: impl IntoIterator<Item = Option<Mono>>) -> Option<Mono> {
    times.into_iter().flatten().min()
}

#[cfg(test)]
mod tests;
