//! The session of one MQTT device, as a state machine: connect → subscribe and wait for SUBACK → online → renew.
//!
//! [`Session::event`] takes what happened and returns what is to be done; it owns no socket and reads no clock.
//!
//! Invariants:
//! - nothing is published before every subscription was answered (or its time ran out);
//! - at most one update of a channel is on its way; the next waits for its receipt and the license's interval;
//! - an entry leaves the spool on a receipt only: the answer to a ping sent after it (*received*), or its echo on the
//!   channel's own feed (*stored*), whichever the channel asks for;
//! - an entry whose receipt did not come is sent again with its own `created_at`;
//! - there is at most one ping without an answer, and a link that leaves it unanswered is given up.

mod channel;

use std::time::Duration;

use bytes::Bytes;

use crate::entry::{ChannelId, Column, Entry};
use crate::spool::Spool;
use crate::thingspeak::feed::{FeedError, FeedMessage};
use crate::thingspeak::topic::Topic;
use crate::time::{Mono, Now, Utc};
use crate::uplink::Confirm;
use crate::uplink::backoff::Backoff;
use crate::uplink::failure::{Failure, Kind};

use channel::Channel;

/// The session's times. [`Tuning::default`] is what the daemon runs with; tests shorten them.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    /// A subscription without an answer for this long counts as refused.
    pub suback_within: Duration,
    /// A line that was quiet for this long is pinged.
    pub ping_after: Duration,
    /// A ping without an answer for this long means a dead link. With `ping_after` below the promised 30 s.
    pub pong_within: Duration,
    /// An entry without an echo for this long (or three times the slowest echo seen) is sent again.
    pub echo_within: Duration,
    /// How often an entry is sent again before it is given up as doubtful.
    pub resends: u32,
    /// How long a renewal may wait for open receipts.
    pub renew_grace: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            suback_within: Duration::from_secs(10),
            ping_after: Duration::from_secs(18),
            pong_within: Duration::from_secs(10),
            echo_within: Duration::from_secs(20),
            resends: 3,
            renew_grace: Duration::from_secs(20),
        }
    }
}

/// A channel that the session publishes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelSettings {
    /// Its number.
    pub id: ChannelId,
    /// Least time between two updates.
    pub interval: Duration,
    /// The slot's length: a bare value that waited longer is late.
    pub slot: Duration,
    /// What frees an entry.
    pub confirm: Confirm,
}

/// What one device's session is to do.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The channels it publishes to.
    pub channels: Vec<ChannelSettings>,
    /// The topics that commands come on.
    pub commands: Vec<Topic>,
    /// Age at which the session is replaced.
    pub renew: Duration,
    /// The times.
    pub tuning: Tuning,
}

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// The deadline has come, entries were pushed, or nothing.
    Tick,
    /// The broker accepted the login.
    Connected,
    /// The connection failed, or could not be made.
    Lost(Failure),
    /// The broker answered a subscription.
    SubAck(Topic, bool),
    /// The broker answered the ping.
    Pong,
    /// A message on a subscribed topic.
    Message(Topic, Bytes),
    /// The connection was closed as asked by [`Action::Disconnect`].
    Disconnected,
    /// The daemon stops: send what may be sent until then.
    Stop(Mono),
}

/// What is to be done, in this order.
#[derive(Debug, PartialEq)]
pub enum Action {
    /// Read the credentials and connect.
    Connect,
    /// Ask for a topic.
    Subscribe(Topic),
    /// Send an entry.
    Publish(Entry),
    /// Send a ping.
    Ping,
    /// Send DISCONNECT and close.
    Disconnect,
    /// Drop the connection without a word: it is dead.
    Abandon,
    /// Hand a message to the outputs.
    Deliver(Delivery),
    /// Tell the log and whoever watches.
    Notice(Notice),
    /// The session has ended.
    Done,
}

/// What came for the outputs.
#[derive(Clone, Debug, PartialEq)]
pub enum Delivery {
    /// An entry of a channel feed.
    Feed(Box<FeedMessage>),
    /// A bare value of a field feed.
    Field(ChannelId, u8, Bytes),
    /// What came on a channel feed is no entry.
    Garbled(ChannelId, FeedError),
    /// From now on commands on this topic are heard.
    Heard(Topic),
    /// From now on they are not.
    Unheard(Topic),
}

/// What is worth telling.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// The link is up: first, or after it was down.
    Up {
        /// How long it was down, and how many tries it took; none at the start.
        after: Option<(Duration, u32)>,
    },
    /// The link is down. Told once a spell and kind of failure.
    Down {
        /// Why.
        failure: Failure,
        /// When it is tried again.
        retry_in: Duration,
    },
    /// The session was replaced; commands could be missed in between.
    Renewed {
        /// For how long there was no session.
        gap: Duration,
    },
    /// The broker does not let us hear this topic. Told once, until it does.
    NotSubscribed(Topic),
    /// The service stored an entry of ours without this column: the field is not enabled in the channel's settings. Told once.
    ColumnMissing {
        /// Whose.
        channel: ChannelId,
        /// Which.
        column: Column,
    },
    /// Others write to the channel so fast that our updates never had their turn; from now on we take it.
    Crowded(ChannelId),
    /// An entry was handed to the network.
    Sent {
        /// Which.
        entry: Box<Entry>,
        /// How often it was sent before.
        again: u32,
    },
    /// The broker has read an entry.
    Received {
        /// Whose.
        channel: ChannelId,
        /// Which.
        created_at: Utc,
    },
    /// The service has stored an entry.
    Stored {
        /// Whose.
        channel: ChannelId,
        /// Which.
        created_at: Utc,
        /// Its number in the channel.
        entry_id: Option<u64>,
        /// From sending to echo.
        took: Duration,
    },
    /// An entry was given up: sent again and again without an echo.
    Doubtful {
        /// Whose.
        channel: ChannelId,
        /// Which.
        created_at: Utc,
    },
}

/// The session of one device.
#[derive(Debug)]
pub struct Session {
    settings: Settings,
    channels: Vec<Channel>,
    subscriptions: Vec<Subscription>,
    state: State,
    backoff: Backoff,
    /// The spell of failures that goes on.
    down: Option<Down>,
    /// Subscribe one topic after the other, to find the one that gets us thrown out.
    cautious: bool,
    /// The topic that was open when the connection last ended in that way.
    suspect: Option<Topic>,
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

#[derive(Debug)]
struct Subscription {
    topic: Topic,
    state: Grant,
    /// That it is refused was told.
    told: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grant {
    Unasked,
    Asked,
    Granted,
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting(Mono),
    Connecting,
    Subscribing { since: Mono },
    Online { since: Mono },
    Closing,
    Done,
}

#[derive(Debug)]
struct Down {
    since: Mono,
    tries: u32,
    told: Vec<Kind>,
}

impl Subscription {
    fn refuse(&mut self, actions: &mut Vec<Action>) {
        self.state = Grant::Refused;
        if !std::mem::replace(&mut self.told, true) {
            actions.push(Action::Notice(Notice::NotSubscribed(self.topic)));
        }
    }
}

impl Session {
    /// A session that will connect at its first event. `seed` makes its jitter its own.
    pub fn new(settings: Settings, seed: u64) -> Self {
        let receipts = settings
            .channels
            .iter()
            .filter(|channel| channel.confirm != Confirm::Received)
            .map(|channel| Topic::Subscribe(channel.id));
        let mut subscriptions: Vec<Subscription> = Vec::new();
        for topic in receipts.chain(settings.commands.iter().copied()) {
            if !subscriptions.iter().any(|known| known.topic == topic) {
                subscriptions.push(Subscription { topic, state: Grant::Unasked, told: false });
            }
        }
        Self {
            channels: settings.channels.iter().map(Channel::new).collect(),
            subscriptions,
            settings,
            state: State::Waiting(Mono::default()),
            backoff: Backoff::new(seed),
            down: None,
            cautious: false,
            suspect: None,
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
                    channel.received(at, self.covered, spool, &mut actions);
                }
            }
            Event::Message(topic, payload) => {
                self.last_heard = at;
                self.message(now, topic, payload, spool, &mut actions);
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
                    self.give_up_subscriptions(actions);
                }
                self.subscribe(actions);
                let open = |known: &Subscription| matches!(known.state, Grant::Unasked | Grant::Asked);
                if !self.subscriptions.iter().any(open) {
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
            let granted = self.granted(Topic::Subscribe(self.channels[index].id()));
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

    /// The broker did not answer for so long that the connection is given up.
    fn silent(&mut self, at: Mono, within: Duration, actions: &mut Vec<Action>) {
        actions.push(Action::Abandon);
        let words = format!("the broker did not answer for {} s", within.as_secs());
        self.lost(at, &Failure::new(Kind::Silent, words), actions);
    }

    fn connected(&mut self, at: Mono, actions: &mut Vec<Action>) {
        self.last_heard = at;
        self.ping_sent = Some(at);
        actions.push(Action::Ping);
        self.covered = self.published;
        self.state = State::Subscribing { since: at };
        for known in &mut self.subscriptions {
            // What threw us out is not asked for again before the next renewal; what was only refused is.
            if known.state != Grant::Refused || !self.cautious {
                known.state = Grant::Unasked;
            }
        }
    }

    fn subscribe(&mut self, actions: &mut Vec<Action>) {
        if self.cautious && self.subscriptions.iter().any(|known| known.state == Grant::Asked) {
            return;
        }
        let most = if self.cautious { 1 } else { usize::MAX };
        for known in self.subscriptions.iter_mut().filter(|known| known.state == Grant::Unasked).take(most) {
            known.state = Grant::Asked;
            actions.push(Action::Subscribe(known.topic));
        }
    }

    /// The answer may come late, when the session is online already.
    fn answered(&mut self, at: Mono, topic: Topic, granted: bool, actions: &mut Vec<Action>) {
        self.last_heard = at;
        if let State::Subscribing { since } = &mut self.state {
            *since = at;
        }
        let Some(known) = self.subscriptions.iter_mut().find(|known| known.topic == topic) else { return };
        if granted {
            known.state = Grant::Granted;
            known.told = false;
            if self.is_online() && self.settings.commands.contains(&topic) {
                actions.push(Action::Deliver(Delivery::Heard(topic)));
            }
        } else {
            known.refuse(actions);
        }
    }

    fn give_up_subscriptions(&mut self, actions: &mut Vec<Action>) {
        for known in &mut self.subscriptions {
            if matches!(known.state, Grant::Asked | Grant::Unasked) {
                known.refuse(actions);
            }
        }
    }

    fn online(&mut self, at: Mono, actions: &mut Vec<Action>) {
        self.state = State::Online { since: at };
        self.backoff.online(at);
        let gap = self.gap_since.take().map(|since| at.since(since));
        let down = self.down.take();
        actions.push(Action::Notice(match (gap, down) {
            (Some(gap), None) if self.ever_up => Notice::Renewed { gap },
            (_, down) => Notice::Up { after: down.map(|down| (at.since(down.since), down.tries)) },
        }));
        self.ever_up = true;
        let heard = self.settings.commands.iter().filter(|topic| self.granted(**topic));
        actions.extend(heard.map(|topic| Action::Deliver(Delivery::Heard(*topic))));
    }

    fn lost(&mut self, at: Mono, failure: &Failure, actions: &mut Vec<Action>) {
        // A connection that is closed before the login was answered may be how a login is refused.
        let refused = self.state == State::Connecting && failure.kind == Kind::Closed;
        match self.state {
            State::Done => return,
            State::Closing => return self.disconnected(at, actions),
            State::Subscribing { .. } if failure.kind == Kind::Closed => self.thrown_out(actions),
            _ => {}
        }
        self.connection_ended(at, actions);
        self.gap_since = None;
        if self.stop.is_some() {
            return self.finish(actions);
        }
        let retry_in = self.backoff.failed(at, if refused { Kind::Login } else { failure.kind });
        self.state = State::Waiting(at + retry_in);
        let down = self.down.get_or_insert(Down { since: at, tries: 0, told: Vec::new() });
        down.tries += 1;
        if !down.told.contains(&failure.kind) {
            down.told.push(failure.kind);
            actions.push(Action::Notice(Notice::Down { failure: failure.clone(), retry_in }));
        }
    }

    /// The broker closed the connection while subscriptions were open: one of them may be what the broker does not forgive. It is
    /// left out when that happened twice with the same one, since networks fail at any time.
    fn thrown_out(&mut self, actions: &mut Vec<Action>) {
        if !self.cautious {
            self.cautious = true;
            return;
        }
        let Some(open) = self.subscriptions.iter_mut().find(|known| known.state == Grant::Asked) else { return };
        if self.suspect.replace(open.topic) == Some(open.topic) {
            open.refuse(actions);
        }
    }

    fn disconnected(&mut self, at: Mono, actions: &mut Vec<Action>) {
        self.connection_ended(at, actions);
        if self.stop.is_some() {
            self.finish(actions);
        } else {
            self.cautious = false;
            self.suspect = None;
            self.state = State::Waiting(at);
        }
    }

    fn connection_ended(&mut self, at: Mono, actions: &mut Vec<Action>) {
        for channel in &mut self.channels {
            channel.connection_ended(at);
        }
        self.ping_sent = None;
        let unheard = self.settings.commands.iter().filter(|topic| self.granted(**topic));
        actions.extend(unheard.map(|topic| Action::Deliver(Delivery::Unheard(*topic))));
        for known in self.subscriptions.iter_mut().filter(|known| known.state == Grant::Granted) {
            known.state = Grant::Unasked;
        }
    }

    fn finish(&mut self, actions: &mut Vec<Action>) {
        self.state = State::Done;
        actions.push(Action::Done);
    }

    fn message(&mut self, now: Now, topic: Topic, payload: Bytes, spool: &mut dyn Spool, actions: &mut Vec<Action>) {
        match topic {
            Topic::Subscribe(id) => {
                let is_command = self.settings.commands.contains(&topic);
                let message = match FeedMessage::decode(id, &payload) {
                    Ok(message) => message,
                    Err(garbled) if is_command => {
                        return actions.push(Action::Deliver(Delivery::Garbled(id, garbled)));
                    }
                    Err(_) => return,
                };
                if let Some(channel) = self.channels.iter_mut().find(|channel| channel.id() == id) {
                    channel.feed(now, &message, spool, actions);
                }
                if is_command {
                    actions.push(Action::Deliver(Delivery::Feed(Box::new(message))));
                }
            }
            Topic::SubscribeField(id, field) => {
                actions.push(Action::Deliver(Delivery::Field(id, field, payload)));
            }
            Topic::Publish(_) | Topic::PublishField(..) => {}
        }
    }

    fn granted(&self, topic: Topic) -> bool {
        self.subscriptions.iter().any(|known| known.topic == topic && known.state == Grant::Granted)
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
        self.is_old(at, since) && (settled || at >= since + self.settings.renew + self.settings.tuning.renew_grace)
    }

    fn next_deadline(&self, at: Mono, spool: &dyn Spool) -> Option<Mono> {
        let tuning = &self.settings.tuning;
        match self.state {
            State::Waiting(until) => Some(until),
            State::Connecting | State::Closing | State::Done => None,
            State::Subscribing { since } => earliest([Some(since + tuning.suback_within), self.stop]),
            State::Online { since } => {
                let renew = since + self.settings.renew;
                let over = if at >= renew { renew + tuning.renew_grace } else { renew };
                let ping = self.ping_sent.map_or(self.last_heard + tuning.ping_after, |sent| sent + tuning.pong_within);
                let channels = self.channels.iter().map(|channel| channel.deadline(tuning, spool, at >= renew));
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
