//! A broker that answers at once, and in its own way: what it grants, ignores, refuses or closes the connection for.

use std::collections::VecDeque;

use super::*;

/// What it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Does {
    /// What it is asked for.
    Takes,
    /// Says no: SUBACK 0x80, CONNACK 5.
    Refuses,
    /// Nothing.
    Ignores,
    /// Closes the connection.
    Closes,
}

/// How it treats something at a time, in seconds.
pub(super) type Way<T> = Box<dyn FnMut(f64, T) -> Does>;

/// The broker, the network, and the session that works with them.
pub(super) struct Broker {
    pub(super) script: Script,
    pub(super) logins: Way<()>,
    /// Of a topic, and how many the connection holds.
    pub(super) subscriptions: Way<(Topic, usize)>,
    pub(super) publishes: Way<ChannelId>,
    /// What happened, and when.
    pub(super) seen: Vec<(f64, Seen)>,
    /// The channels that an entry is made for each 20 s.
    measured: Vec<ChannelId>,
    next_slot: f64,
    /// The length of a slot, and how long an echo takes, in seconds.
    pub(super) slot: f64,
    pub(super) echo: f64,
    /// Echoes under way on the connection, each with its time.
    echoes: VecDeque<(f64, Event)>,
    is_open: bool,
    held: Vec<Topic>,
}

/// What is worth looking at.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Seen {
    Login,
    Asked(Topic),
    Sent(ChannelId),
    Told(SessionEvent),
    Delivered(Inbound),
}

/// A channel of a paid license with an entry each 20 s.
fn channel(id: ChannelId) -> ChannelSettings {
    let (interval, slot) = (Duration::from_secs(1), Duration::from_secs(20));
    ChannelSettings { id, interval, slot, confirm: Confirm::Stored, messages_a_year: 33_000_000 }
}

impl Broker {
    /// One that takes everything, for a session with these channels and commands.
    pub(super) fn new(channels: &[u64], commands: &[Topic]) -> Self {
        let measured: Vec<_> = channels.iter().map(|id| ChannelId(*id)).collect();
        let (spool, _) = spool_in_memory(measured.iter().copied());
        let settings = Settings {
            channels: measured.iter().map(|id| channel(*id)).collect(),
            commands: commands.to_vec(),
            ..settings(Confirm::Auto, |_| {})
        };
        let session = Session::new(settings, 1);
        Self {
            script: Script { session, spool, at: 1000.0, tally: Tally::default() },
            logins: Box::new(|_, ()| Does::Takes),
            subscriptions: Box::new(|_, _| Does::Takes),
            publishes: Box::new(|_, _| Does::Takes),
            seen: Vec::new(),
            measured,
            next_slot: 1020.0,
            slot: 20.0,
            echo: 0.0,
            echoes: VecDeque::new(),
            is_open: false,
            held: Vec::new(),
        }
    }

    /// Goes on for so many seconds.
    pub(super) fn run(&mut self, seconds: f64) {
        let until = self.script.at + seconds;
        self.event(Event::Tick);
        loop {
            let deadline = self.script.session.deadline().map_or(f64::MAX, |at| at.since_boot().as_secs_f64() + 1e-6);
            let echo = self.echoes.front().map_or(f64::MAX, |(at, _)| *at);
            if deadline.min(self.next_slot).min(echo) > until {
                self.script.at = until;
                return;
            }
            if echo <= deadline.min(self.next_slot) {
                self.script.at = self.script.at.max(echo);
                let (_, event) = self.echoes.pop_front().expect("just looked at");
                self.event(event);
                continue;
            }
            if self.next_slot <= deadline {
                self.script.at = self.script.at.max(self.next_slot);
                self.next_slot += self.slot;
                self.measured.clone().into_iter().for_each(|channel| self.push(channel));
            } else {
                self.script.at = self.script.at.max(deadline);
            }
            self.event(Event::Tick);
        }
    }

    /// The network closes the connection.
    pub(super) fn cut(&mut self) {
        self.is_open = false;
        self.event(lost(Kind::Closed));
    }

    /// When something was seen, in seconds since the start.
    pub(super) fn times(&self, wanted: impl Fn(&Seen) -> bool) -> Vec<f64> {
        self.seen.iter().filter(|(_, seen)| wanted(seen)).map(|(at, _)| at - 1000.0).collect()
    }

    pub(super) fn count(&self, wanted: impl Fn(&Seen) -> bool) -> usize {
        self.times(wanted).len()
    }

    /// When a topic of commands was heard from.
    pub(super) fn heard(&self, topic: Topic) -> Vec<f64> {
        self.times(|seen| *seen == Seen::Delivered(Inbound::Heard(topic)))
    }

    /// When somebody was told that a topic is not heard, and why.
    pub(super) fn unheard(&self, of: Topic) -> Vec<(f64, Unheard)> {
        let why = |(at, seen): &(f64, Seen)| match seen {
            Seen::Told(SessionEvent::NotSubscribed { topic, why, .. }) if *topic == of => Some((at - 1000.0, *why)),
            _ => None,
        };
        self.seen.iter().filter_map(why).collect()
    }

    /// When a topic was asked for.
    pub(super) fn asked(&self, topic: Topic) -> Vec<f64> {
        self.times(|seen| *seen == Seen::Asked(topic))
    }

    /// When the device logged in.
    pub(super) fn connections(&self) -> Vec<f64> {
        self.times(|seen| *seen == Seen::Login)
    }

    /// When an entry of a channel was sent.
    pub(super) fn sent(&self, channel: u64) -> Vec<f64> {
        self.times(|seen| *seen == Seen::Sent(ChannelId(channel)))
    }

    fn push(&mut self, channel: ChannelId) {
        let mut cells = Cells::default();
        cells[0] = Some(Cell::new(self.script.at, 1, Reduce::Mean));
        let now = self.script.now();
        let draft = UntimedEntry { channel, end: now.mono, cells, status: None, form: Form::Feed };
        self.script.spool.push(now, vec![draft]);
    }

    pub(super) fn event(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            for action in self.script.event(event) {
                self.perform(action, &mut events);
            }
        }
    }

    fn see(&mut self, seen: Seen) {
        self.seen.push((self.script.at, seen));
    }

    fn close(&mut self, events: &mut VecDeque<Event>) {
        self.is_open = false;
        events.push_back(lost(Kind::Closed));
    }

    fn perform(&mut self, action: Action, events: &mut VecDeque<Event>) {
        let at = self.script.at;
        match action {
            Action::Connect => {
                self.see(Seen::Login);
                self.held.clear();
                self.echoes.clear();
                let does = (self.logins)(at, ());
                self.is_open = does == Does::Takes;
                events.push_back(match does {
                    Does::Takes => Event::Connected,
                    Does::Refuses => {
                        Event::Lost(Failure { code: Some(5), ..Failure::new(Kind::Login, "the password is wrong") })
                    }
                    Does::Ignores => lost(Kind::Network),
                    Does::Closes => Event::Lost(Failure::new(Kind::Closed, "no answer").instead_of_login()),
                });
            }
            Action::Report(notice) => self.see(Seen::Told(notice)),
            Action::Deliver(inbound) => self.see(Seen::Delivered(inbound)),
            Action::Abandon => self.is_open = false,
            Action::Disconnect => {
                self.is_open = false;
                events.push_back(Event::Disconnected);
            }
            Action::Done => {}
            Action::Subscribe(_) | Action::Publish(_) | Action::Ping if !self.is_open => {}
            Action::Ping => events.push_back(Event::Pong),
            Action::Subscribe(topic) => {
                self.see(Seen::Asked(topic));
                match (self.subscriptions)(at, (topic, self.held.len())) {
                    Does::Takes => {
                        self.held.push(topic);
                        events.push_back(Event::SubAck(topic, true));
                    }
                    Does::Refuses => events.push_back(Event::SubAck(topic, false)),
                    Does::Ignores => {}
                    Does::Closes => self.close(events),
                }
            }
            Action::Publish(entry) => {
                self.see(Seen::Sent(entry.channel));
                match (self.publishes)(at, entry.channel) {
                    Does::Takes => self.echo(&entry, events),
                    Does::Closes => self.close(events),
                    Does::Refuses | Does::Ignores => {}
                }
            }
        }
    }

    fn echo(&mut self, entry: &Entry, events: &mut VecDeque<Event>) {
        let topic = Topic::Subscribe(entry.channel);
        if self.held.contains(&topic) {
            let value = entry.cells[0].expect("field1").value;
            let json = format!(r#"{{"created_at":"{}","field1":"{value}"}}"#, entry.created_at);
            let echo = said(topic, Bytes::from(json));
            if self.echo > 0.0 {
                self.echoes.push_back((self.script.at + self.echo, echo));
            } else {
                events.push_back(echo);
            }
        }
    }
}
