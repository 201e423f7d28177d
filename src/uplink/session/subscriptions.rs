//! The topics that a session asks for, and what the broker said to each.
//!
//! Whether a subscription that is not allowed is answered in words, by silence or by closing the connection is not known
//! (thingspeak.md, connection). So silence counts as a refusal, and after a close the topics are asked for one after the
//! other, to find the one that gets us thrown out.

use crate::thingspeak::topic::Topic;

use super::{Action, Notice};

/// The subscriptions of a session.
#[derive(Debug)]
pub(super) struct Subscriptions {
    known: Vec<Subscription>,
    /// Ask for one topic after the other.
    cautious: bool,
    /// The topic that was open when the connection last ended in that way.
    suspect: Option<Topic>,
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

impl Subscriptions {
    /// Each of these topics once.
    pub(super) fn new(topics: impl IntoIterator<Item = Topic>) -> Self {
        let mut known: Vec<Subscription> = Vec::new();
        for topic in topics {
            if !known.iter().any(|other| other.topic == topic) {
                known.push(Subscription { topic, state: Grant::Unasked, told: false });
            }
        }
        Self { known, cautious: false, suspect: None }
    }

    /// Whether the broker lets us hear this topic.
    pub(super) fn is_granted(&self, topic: Topic) -> bool {
        self.known.iter().any(|known| known.topic == topic && known.state == Grant::Granted)
    }

    /// Whether anything is heard, or there is nothing to hear.
    pub(super) fn has_any(&self) -> bool {
        self.known.is_empty() || self.known.iter().any(|known| known.state == Grant::Granted)
    }

    /// Whether none waits for its answer.
    pub(super) fn are_answered(&self) -> bool {
        !self.known.iter().any(|known| matches!(known.state, Grant::Unasked | Grant::Asked))
    }

    /// A new connection: everything has to be asked for again.
    pub(super) fn connected(&mut self) {
        for known in &mut self.known {
            // What threw us out is not asked for again before the next renewal; what was only refused is.
            if known.state != Grant::Refused || !self.cautious {
                known.state = Grant::Unasked;
            }
        }
    }

    /// Asks for what was not asked for yet.
    pub(super) fn ask(&mut self, actions: &mut Vec<Action>) {
        if self.cautious && self.known.iter().any(|known| known.state == Grant::Asked) {
            return;
        }
        let most = if self.cautious { 1 } else { usize::MAX };
        for known in self.known.iter_mut().filter(|known| known.state == Grant::Unasked).take(most) {
            known.state = Grant::Asked;
            actions.push(Action::Subscribe(known.topic));
        }
    }

    /// The broker's answer. Returns whether the topic is one of ours and is heard from now on.
    pub(super) fn answered(&mut self, topic: Topic, granted: bool, actions: &mut Vec<Action>) -> bool {
        let Some(known) = self.known.iter_mut().find(|known| known.topic == topic) else { return false };
        if granted {
            known.state = Grant::Granted;
            known.told = false;
        } else {
            known.refuse(actions);
        }
        granted
    }

    /// What was not answered by now counts as refused.
    pub(super) fn give_up(&mut self, actions: &mut Vec<Action>) {
        for known in &mut self.known {
            if matches!(known.state, Grant::Asked | Grant::Unasked) {
                known.refuse(actions);
            }
        }
    }

    /// The broker closed the connection while subscriptions were open: one of them may be what the broker does not forgive. It is
    /// left out when that happened twice with the same one, since networks fail at any time.
    pub(super) fn thrown_out(&mut self, actions: &mut Vec<Action>) {
        if !self.cautious {
            self.cautious = true;
            return;
        }
        let Some(open) = self.known.iter_mut().find(|known| known.state == Grant::Asked) else { return };
        if self.suspect.replace(open.topic) == Some(open.topic) {
            open.refuse(actions);
        }
    }

    /// The connection is gone, and with it what it granted.
    pub(super) fn connection_ended(&mut self) {
        for known in self.known.iter_mut().filter(|known| known.state == Grant::Granted) {
            known.state = Grant::Unasked;
        }
    }

    /// The connection was ended on purpose: the next one may ask for everything at once again.
    pub(super) fn forgive(&mut self) {
        self.cautious = false;
        self.suspect = None;
    }
}

impl Subscription {
    fn refuse(&mut self, actions: &mut Vec<Action>) {
        self.state = Grant::Refused;
        if !std::mem::replace(&mut self.told, true) {
            actions.push(Action::Notice(Notice::NotSubscribed(self.topic)));
        }
    }
}
