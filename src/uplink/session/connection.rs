//! How a connection comes and goes: connected → subscribed → online → lost, renewed or stopped.

use std::time::Duration;

use crate::net::failure::{Failure, Kind};
use crate::thingspeak::topic::Topic;
use crate::time::Mono;

use super::{Action, Delivery, Notice, Ping, Session};

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
        self.subscriptions.connected();
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
        let heard = self.subscriptions.answered(topic, granted, actions);
        if heard && self.is_online() && self.settings.commands.contains(&topic) {
            actions.push(Action::Deliver(Delivery::Heard(topic)));
        }
    }

    pub(super) fn online(&mut self, at: Mono, actions: &mut Vec<Action>) {
        self.state = State::Online { since: at };
        let gap = self.gap_since.take().map(|since| at.since(since));
        let down = self.down.take();
        actions.push(Action::Notice(match (gap, down) {
            (Some(gap), None) if self.ever_up => Notice::Renewed { gap },
            (_, down) => Notice::Up { after: down.map(|down| (at.since(down.since), down.tries)) },
        }));
        self.ever_up = true;
        let heard = self.settings.commands.iter().filter(|topic| self.subscriptions.is_granted(**topic));
        actions.extend(heard.map(|topic| Action::Deliver(Delivery::Heard(*topic))));
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
            State::Subscribing { .. } if failure.kind == Kind::Closed => self.subscriptions.thrown_out(actions),
            _ => {}
        }
        let (failure, retry_in) = match self.state {
            State::Connecting => self.not_let_in(at, failure),
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
        let is_closed = failure.kind == Kind::Closed;
        // A file that cannot be read was refused by nobody. A connection that is closed before the login was answered may be how a
        // login is refused.
        let is_refused = is_closed || (failure.kind == Kind::Login && failure.code.is_some());
        if is_refused && self.logins.refused(at) {
            let did =
                if is_closed { "closed the connection instead of answering the login" } else { "refused the login" };
            let words = format!(
                "the broker {did}, which it accepted before: the broker may still hold the old session, for a minute or two. If this \
                 goes on, another program uses the same MQTT device; if the password was reset on the web page, replace the credentials \
                 file, which is read again before each try"
            );
            return (Failure { kind: Kind::Held, words, ..failure }, self.backoff.held());
        }
        let retry_in = match failure.kind {
            Kind::Login => self.backoff.refused(),
            Kind::Closed => self.backoff.unanswered(),
            _ => self.backoff.failed(),
        };
        (failure, retry_in)
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
        actions.push(Action::Notice(if down.told.contains(&news) {
            Notice::StillDown { failure, retry_in }
        } else {
            down.told.push(news);
            Notice::Down { failure, retry_in }
        }));
    }

    pub(super) fn disconnected(&mut self, at: Mono, actions: &mut Vec<Action>) {
        self.connection_ended(at, actions);
        if self.stop.is_some() {
            self.finish(actions);
        } else {
            self.subscriptions.forgive();
            self.state = State::Waiting(at);
        }
    }

    fn connection_ended(&mut self, at: Mono, actions: &mut Vec<Action>) {
        for channel in &mut self.channels {
            channel.connection_ended(at);
        }
        self.ping = None;
        let unheard = self.settings.commands.iter().filter(|topic| self.subscriptions.is_granted(**topic));
        actions.extend(unheard.map(|topic| Action::Deliver(Delivery::Unheard(*topic))));
        self.subscriptions.connection_ended();
    }

    pub(super) fn finish(&mut self, actions: &mut Vec<Action>) {
        self.state = State::Done;
        actions.push(Action::Done);
    }
}
