//! How a connection comes and goes: connected → subscribed → online → lost, renewed or stopped.

use std::time::Duration;

use crate::net::failure::{Failure, Kind};
use crate::thingspeak::topic::Topic;
use crate::time::Mono;

use super::logins::Refusal;
use super::subscriptions::Answer;
use super::trials::{Trial, Trials};
use super::{Action, Inbound, Ping, Session, SessionEvent};

/// Where the connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// There is none until then.
    Waiting(Mono),
    /// It is being made.
    Connecting,
    /// It stands; subscriptions are open.
    Subscribing { since: Mono },
    /// Entries are sent and commands heard.
    Online { since: Mono },
    /// It is being closed on purpose.
    Closing,
    /// The session has ended.
    Done,
}

/// A spell of failures.
#[derive(Debug)]
pub(super) struct Down {
    since: Mono,
    tries: u32,
    /// What kind the last one was.
    pub(super) kind: Kind,
    /// What was told in this spell.
    told: Vec<(Kind, String)>,
}

impl Session {
    pub(super) fn connected(&mut self, at: Mono, actions: &mut Vec<Action>) {
        self.last_heard = at;
        self.logins.accepted();
        self.backoff.forgive();
        self.covered = self.published;
        self.ping(at, self.settings.tuning.pong_within, actions);
        self.state = State::Subscribing { since: at };
        self.subscriptions.connected(at);
    }

    /// Sends a ping that covers all that was sent before it.
    pub(super) fn ping(&mut self, at: Mono, within: Duration, actions: &mut Vec<Action>) {
        self.covered = self.published;
        self.ping = Some(Ping { sent: at, within });
        actions.push(Action::Ping);
    }

    /// The answer to a subscription may come late, when the session is online already.
    pub(super) fn answered(&mut self, at: Mono, topic: Topic, granted: bool, actions: &mut Vec<Action>) {
        self.last_heard = at;
        if let State::Subscribing { since } = &mut self.state {
            *since = at;
        }
        let is_online = self.is_online();
        match self.subscriptions.answered(at, topic, granted, is_online, actions) {
            Answer::Heard if is_online && self.settings.commands.contains(&topic) => {
                actions.push(Action::Deliver(Inbound::Heard(topic)));
            }
            Answer::NoRoom => self.renew_at = Some(at),
            Answer::Heard | Answer::Other => {}
        }
    }

    pub(super) fn online(&mut self, at: Mono, actions: &mut Vec<Action>) {
        self.state = State::Online { since: at };
        self.subscriptions.online(at);
        let gap = self.gap_since.take().map(|since| at.since(since));
        let down = self.down.take();
        actions.push(Action::Report(match (gap, down) {
            (Some(gap), None) if self.ever_up => SessionEvent::Renewed { gap },
            (_, down) => SessionEvent::Up { after: down.map(|down| (at.since(down.since), down.tries)) },
        }));
        self.ever_up = true;
        let heard = self.settings.commands.iter().filter(|topic| self.subscriptions.is_granted(**topic));
        actions.extend(heard.map(|topic| Action::Deliver(Inbound::Heard(*topic))));
    }

    /// The broker did not answer for so long that the connection is given up.
    pub(super) fn silent(&mut self, at: Mono, within: Duration, actions: &mut Vec<Action>) {
        actions.push(Action::Abandon);
        let words = format!("the broker did not answer for {} s", within.as_secs());
        self.lost(at, Failure::new(Kind::Silent, words), actions);
    }

    pub(super) fn lost(&mut self, at: Mono, failure: Failure, actions: &mut Vec<Action>) {
        match self.state {
            State::Done => return,
            State::Closing => return self.disconnected(at, actions),
            _ => {}
        }
        let (failure, retry_in) = match self.state {
            State::Connecting => self.not_let_in(at, failure),
            State::Subscribing { .. } | State::Online { .. } => self.cut_off(at, failure, actions),
            _ => (failure, self.backoff.failed()),
        };
        self.connection_ended(at, actions);
        self.gap_since = None;
        if self.stop.is_some() {
            return self.finish(actions);
        }
        self.state = State::Waiting(at + retry_in);
        self.tell_down(at, failure, retry_in, actions);
    }

    /// A connection could not be made: what that means, and how long to wait.
    fn not_let_in(&mut self, at: Mono, failure: Failure) -> (Failure, Duration) {
        let is_closed = failure.unanswered_login;
        // A file that cannot be read was refused by nobody, and no more was a login that was never sent. A connection that is closed
        // before the login was answered may be how a login is refused.
        let is_refused = is_closed || (failure.kind == Kind::Login && failure.code.is_some());
        match is_refused.then(|| self.logins.refused(at)) {
            Some(Refusal::Held) => {
                let did = if is_closed {
                    "closed the connection instead of answering the login"
                } else {
                    "refused the login"
                };
                let words = format!(
                    "the broker {did}, which it accepted before: the broker may still hold the old session, for a minute or two. If this \
                     goes on, another program uses the same MQTT device; if the password was reset on the web page, replace the \
                     credentials file, which is read again before each try"
                );
                return (Failure { kind: Kind::Held, words, ..failure }, self.backoff.held());
            }
            Some(Refusal::HeldOrWrong) => {
                let words = format!(
                    "{failure}. Or the broker still holds the session from before this start, which it lets go within minutes"
                );
                return (Failure { words, ..failure }, self.backoff.held());
            }
            Some(Refusal::Wrong) | None => {}
        }
        let retry_in = match failure.kind {
            Kind::Login => self.backoff.refused(),
            _ if is_closed => self.backoff.unanswered(),
            _ => self.backoff.failed(),
        };
        (failure, retry_in)
    }

    /// A connection ended by itself: what may be to blame, and how long to wait. What has a back-off of its own costs the others no
    /// time.
    fn cut_off(&mut self, at: Mono, failure: Failure, actions: &mut Vec<Action>) -> (Failure, Duration) {
        let is_closed = failure.kind == Kind::Closed;
        let mut is_soon = true;
        let blamed = match (self.trials.running, self.state) {
            (Some(Trial::Subscribe(topic)), _) if is_closed => {
                self.subscriptions.trial_failed(at, topic, actions);
                Some(asked_for(topic))
            }
            (Some(Trial::Publish(index)), _) if is_closed => {
                let channel = self.channels[index].id();
                self.suspects.failed(at, index, channel, actions);
                Some(format!("the broker closed the connection when an entry for channel {channel} was sent"))
            }
            (None, State::Subscribing { .. }) if is_closed => {
                self.subscriptions.closed(at, actions).map(|(topic, soon)| {
                    is_soon = soon;
                    asked_for(topic)
                })
            }
            (None, State::Online { .. }) if is_closed => {
                for index in 0..self.channels.len() {
                    if self.channels[index].has_unread() {
                        self.suspects.suspect(at, index);
                    }
                }
                None
            }
            _ => None,
        };
        let retry_in = if blamed.is_some() && is_soon { self.backoff.soon() } else { self.backoff.failed() };
        match blamed {
            Some(words) => (Failure { words, ..failure }, retry_in),
            None => (failure, retry_in),
        }
    }

    fn tell_down(&mut self, at: Mono, failure: Failure, retry_in: Duration, actions: &mut Vec<Action>) {
        let kind = failure.kind;
        let down = self.down.get_or_insert(Down { since: at, tries: 0, kind, told: Vec::new() });
        down.tries += 1;
        down.kind = kind;
        // Whoever mends a file of credentials and makes another mistake is told of that too. The network's words differ from try
        // to try.
        let words = if kind == Kind::Login { failure.words.clone() } else { String::new() };
        let news = (kind, words);
        actions.push(Action::Report(if down.told.contains(&news) {
            SessionEvent::StillDown { failure, retry_in }
        } else {
            down.told.push(news);
            SessionEvent::Down { failure, retry_in }
        }));
    }

    pub(super) fn disconnected(&mut self, at: Mono, actions: &mut Vec<Action>) {
        self.connection_ended(at, actions);
        if self.stop.is_some() {
            self.finish(actions);
        } else {
            self.subscriptions.renewed();
            self.state = State::Waiting(at);
        }
    }

    fn connection_ended(&mut self, at: Mono, actions: &mut Vec<Action>) {
        for channel in &mut self.channels {
            channel.connection_ended(at);
        }
        self.ping = None;
        self.renew_at = None;
        self.trials = Trials::default();
        let unheard = self.settings.commands.iter().filter(|topic| self.subscriptions.is_granted(**topic));
        actions.extend(unheard.map(|topic| Action::Deliver(Inbound::Unheard(*topic))));
        self.subscriptions.connection_ended();
    }

    pub(super) fn finish(&mut self, actions: &mut Vec<Action>) {
        self.state = State::Done;
        actions.push(Action::Done);
    }
}

fn asked_for(topic: Topic) -> String {
    format!("the broker closed the connection when it was asked for {topic}")
}
