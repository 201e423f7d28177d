//! The topics that a session asks for, and what the broker said to each.
//!
//! How a broker answers a subscription that is not allowed is not known: in words (SUBACK 0x80), by silence, or by closing the
//! connection (docs/thingspeak.md, connection). And connections are closed for other reasons, too. Invariants:
//! - commands are asked for first: where a license limits subscriptions, acknowledgements have a substitute and commands have none;
//! - a refusal in words is an answer; silence and a close are guesses. Each is a doubt that ends by itself: the topic is asked for
//!   again on the running connection, after 1, 2 and 5 minutes, and later each 5 minutes (each 15 where it may cost a connection);
//! - a topic that was refused in words, or not answered, is asked for again with each connection, too. What is never answered
//!   holds up the publishing once;
//! - after a close with topics open they are asked for one after the other, each on a connection that has answered a ping. A topic
//!   is left out when the connection was closed on it three times, or twice where another one was granted before it;
//! - a topic that was left out is asked for while nothing else is on its way (a trial), so that it costs one reconnect at most. Only a
//!   close counts against it: where the network broke, the trial is made again. A renewal asks for commands before all others;
//! - a command that may be refused for the license's limit, since acknowledgements hold a part of it, is asked for before them on a new
//!   connection, once. Where commands hold all of it, a new connection would only make another of them deaf;
//! - what is left out is never all that a session has to do: one that only listens goes on asking, at the pace of the back-off;
//! - nothing of this outlives a connection that grants the topic.

mod subscription;

use std::time::Duration;

use crate::thingspeak::license::License;
use crate::thingspeak::topic::Topic;
use crate::time::Mono;

use super::{Action, Unheard};
use subscription::{Grant, Subscription};

/// The subscriptions of a session.
#[derive(Debug)]
pub(super) struct Subscriptions {
    /// Commands first.
    known: Vec<Subscription>,
    /// How long doubts last, the first and those that follow.
    waits: [Duration; 4],
    /// Ask for one topic after the other.
    cautious: bool,
    /// The session has something to do without any of them.
    optional: bool,
}

/// What an answer to a subscription means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The topic is heard from now on.
    Heard,
    /// It was refused on a running connection on which others hold as many subscriptions as the free license grants, acknowledgements among
    /// them: on a new connection it would be asked for before those.
    NoRoom,
    /// Nothing new.
    Other,
}

impl Subscriptions {
    /// Each of these topics once. `optional`: the session publishes, too.
    pub(super) fn new(
        commands: impl IntoIterator<Item = Topic>,
        acks: impl IntoIterator<Item = Topic>,
        waits: [Duration; 4],
        optional: bool,
    ) -> Self {
        let commands = commands.into_iter().map(|topic| (topic, true));
        let mut known: Vec<Subscription> = Vec::new();
        for (topic, is_command) in commands.chain(acks.into_iter().map(|topic| (topic, false))) {
            if !known.iter().any(|other| other.topic == topic) {
                known.push(Subscription::new(topic, is_command));
            }
        }
        Self { known, waits, cautious: false, optional }
    }

    /// Whether the broker lets us hear this topic.
    pub(super) fn is_granted(&self, topic: Topic) -> bool {
        self.known.iter().any(|known| known.topic == topic && known.grant == Grant::Granted)
    }

    /// Whether anything is heard, or there is nothing to hear.
    pub(super) fn has_any(&self) -> bool {
        self.known.is_empty() || self.count_granted() > 0
    }

    /// Whether none is waited for.
    pub(super) fn are_answered(&self) -> bool {
        !self.known.iter().any(Subscription::is_awaited)
    }

    /// Whether this one was asked for and has no answer yet.
    pub(super) fn is_asked(&self, topic: Topic) -> bool {
        self.known.iter().any(|known| known.topic == topic && matches!(known.grant, Grant::Asked(_)))
    }

    /// A new connection: all has to be asked for again, but for what got the last one closed.
    pub(super) fn connected(&mut self, at: Mono) {
        self.cautious |= self.known.iter().any(|known| known.ask_first);
        for known in &mut self.known {
            known.connected(at, self.cautious);
        }
    }

    /// Asks for what was not asked for yet; where care is needed, once the connection `answers`, and for one at a time.
    pub(super) fn ask(&mut self, at: Mono, answers: bool, actions: &mut Vec<Action>) {
        if !self.cautious {
            self.known
                .iter_mut()
                .filter(|known| known.grant == Grant::Unasked)
                .for_each(|known| known.ask(at, actions));
        } else if answers && !self.known.iter().any(|known| matches!(known.grant, Grant::Asked(_))) {
            // One that was never suspected shows whether any is answered; then their order counts.
            let is_first = self.count_granted() == 0;
            let unasked = self.known.iter_mut().filter(|known| known.grant == Grant::Unasked);
            let next = unasked.min_by_key(|known| (!known.ask_first, if is_first { known.strikes } else { 0 }));
            if let Some(next) = next {
                next.ask(at, actions);
            }
        }
    }

    /// The broker's answer, which may come late.
    pub(super) fn answered(
        &mut self,
        at: Mono,
        topic: Topic,
        granted: bool,
        is_online: bool,
        actions: &mut Vec<Action>,
    ) -> Answer {
        let crowded_out = self.is_crowded_out(topic);
        let Some(known) = self.known.iter_mut().find(|known| known.topic == topic) else { return Answer::Other };
        if granted {
            return if known.grant(actions) { Answer::Heard } else { Answer::Other };
        }
        known.doubt(at, Unheard::Refused, &self.waits, actions);
        // Room is made for it once. If it is refused all the same, that was not the reason.
        let lacks_room = is_online && known.may_lack_room(crowded_out);
        known.had_room |= lacks_room || !crowded_out;
        if lacks_room { Answer::NoRoom } else { Answer::Other }
    }

    /// What was asked for and not answered by now is not waited for any more. The others go on together: silence closes nothing.
    pub(super) fn give_up(&mut self, at: Mono, actions: &mut Vec<Action>) {
        for known in self.known.iter_mut().filter(|known| matches!(known.grant, Grant::Asked(_))) {
            known.doubt(at, Unheard::Unanswered, &self.waits, actions);
        }
        self.cautious = false;
    }

    /// The broker closed the connection before all were answered. Returns the topic that it may have been closed for, where only one
    /// was open, and whether the others can go on soon.
    pub(super) fn closed(&mut self, at: Mono, actions: &mut Vec<Action>) -> Option<(Topic, bool)> {
        if !std::mem::replace(&mut self.cautious, true) {
            return None;
        }
        let is_proven = self.count_granted() > 0;
        let place = self.known.iter().position(|known| matches!(known.grant, Grant::Asked(_)))?;
        let is_needed =
            !self.optional && self.known.iter().enumerate().all(|(other, known)| other == place || known.is_left_out());
        let known = &mut self.known[place];
        let topic = known.topic;
        known.strikes += 1;
        if !known.ask_first && known.strikes < if is_proven { 2 } else { 3 } {
            return Some((topic, self.optional || !known.is_told()));
        }
        known.had_room |= known.ask_first;
        known.doubt(at, Unheard::Closed, &self.waits, actions);
        if is_needed {
            // Without it there is nothing to be online for: all begin again, as slowly as the back-off says.
            self.known.iter_mut().for_each(Subscription::acquit);
        }
        Some((topic, !is_needed))
    }

    /// All that is waited for was answered.
    pub(super) fn online(&mut self, at: Mono) {
        self.cautious = false;
        let soon = at + self.waits[0] / 12;
        let is_deaf = self.count_granted() == 0;
        for known in &mut self.known {
            known.strikes = 0;
            if is_deaf {
                // That each of them was to blame is less likely than that the network was.
                known.hurry(soon);
            }
        }
    }

    /// What is to be tried while nothing else is on its way.
    pub(super) fn trial(&self, at: Mono) -> Option<Topic> {
        self.known.iter().find(|known| known.is_due(at) && known.needs_trial()).map(|known| known.topic)
    }

    /// Tries a topic.
    pub(super) fn try_out(&mut self, at: Mono, topic: Topic, actions: &mut Vec<Action>) {
        self.known.iter_mut().filter(|known| known.topic == topic).for_each(|known| known.ask(at, actions));
    }

    /// The broker closed the connection while a topic was tried.
    pub(super) fn trial_failed(&mut self, at: Mono, topic: Topic, actions: &mut Vec<Action>) {
        let crowded_out = self.is_crowded_out(topic);
        let Some(known) = self.known.iter_mut().find(|known| known.topic == topic) else { return };
        // A connection that trials end each time is never renewed: once in a while it is asked for first all the same.
        if crowded_out && known.is_old_doubt(self.waits.len()) {
            known.had_room = false;
        }
        if known.may_lack_room(crowded_out) {
            known.ask_first = true;
        } else {
            known.doubt(at, Unheard::Closed, &self.waits, actions);
        }
    }

    /// Asks on the running connection for what costs nothing, and looks for answers that do not come.
    pub(super) fn work(&mut self, at: Mono, within: Duration, actions: &mut Vec<Action>) {
        for known in &mut self.known {
            if matches!(known.grant, Grant::Asked(since) if at >= since + within) {
                known.doubt(at, Unheard::Unanswered, &self.waits, actions);
            } else if known.is_due(at) && !known.needs_trial() {
                known.ask(at, actions);
            }
        }
    }

    /// When [`Subscriptions::work`] or [`Subscriptions::trial`] has something to do next.
    pub(super) fn deadline(&self, at: Mono, within: Duration) -> Option<Mono> {
        let next = |known: &Subscription| match known.grant {
            Grant::Asked(since) => Some(since + within),
            _ => known.due().filter(|due| *due > at),
        };
        self.known.iter().filter_map(next).min()
    }

    /// The connection is gone, and with it what it granted.
    pub(super) fn connection_ended(&mut self) {
        self.known.iter_mut().for_each(|known| known.grant = Grant::Unasked);
    }

    /// The connection was ended on purpose: the next one asks for everything.
    pub(super) fn renewed(&mut self) {
        self.cautious = false;
        self.known.iter_mut().for_each(Subscription::renewed);
    }

    fn count_granted(&self) -> usize {
        self.known.iter().filter(|known| known.grant == Grant::Granted).count()
    }

    /// Whether an acknowledgement may hold the place of this topic: the others hold as many subscriptions as the free license is known to
    /// grant, and not all of them are commands, whose places are as good as its own.
    fn is_crowded_out(&self, topic: Topic) -> bool {
        let others = || self.known.iter().filter(|known| known.topic != topic && known.grant == Grant::Granted);
        let is_full = License::Free.subscriptions().is_some_and(|limit| others().count() >= limit);
        is_full && others().any(|other| !other.is_command)
    }
}
