//! What is tried alone, since the broker may close the connection for it: a topic that was left out, an entry of a channel that
//! is suspected.
//!
//! While a trial runs nothing else is sent, so that only it can be to blame. It begins when nothing waits for the broker: no
//! ping, no entry that is not known to be read and, with some patience, no echo. So a connection that is closed costs the others
//! one reconnect and none of their entries a second sending.

use std::time::Duration;

use crate::spool::Spool;
use crate::thingspeak::topic::Topic;
use crate::time::Mono;

use super::channel::Channel;
use super::{Action, Session, earliest};

/// For so long a trial waits for a moment in which no echo is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// And for so long with everything else held back.
const HOLD: Duration = Duration::from_secs(30);

/// What is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trial {
    /// A subscription.
    Subscribe(Topic),
    /// An entry of the channel at this place.
    Publish(usize),
}

/// Trials of a connection.
#[derive(Debug, Default)]
pub(super) struct Trials {
    /// The one that runs.
    pub(super) running: Option<Trial>,
    /// Since when one waits for its moment.
    wanted: Option<Mono>,
}

impl Session {
    /// Sends what has its turn.
    pub(super) fn publish(&mut self, at: Mono, spool: &mut Spool, actions: &mut Vec<Action>) {
        self.end_trial(actions);
        if self.trials.running.is_some() {
            return;
        }
        let Some(trial) = self.next_trial(at, spool) else {
            self.trials.wanted = None;
            return self.publish_unsuspected(at, spool, actions);
        };
        let since = *self.trials.wanted.get_or_insert(at);
        let has_echoes = self.channels.iter().all(Channel::is_settled) || at >= since + PATIENCE + HOLD;
        if self.is_all_read() && has_echoes {
            self.trials = Trials { running: Some(trial), wanted: None };
            match trial {
                Trial::Subscribe(topic) => self.subscriptions.try_out(at, topic, actions),
                Trial::Publish(index) => {
                    self.publish_to(index, at, spool, actions);
                    // It had nothing to send after all: what waited turned out to be stored.
                    self.end_trial(actions);
                }
            }
        } else if at < since + PATIENCE {
            self.publish_unsuspected(at, spool, actions);
        }
    }

    fn publish_unsuspected(&mut self, at: Mono, spool: &mut Spool, actions: &mut Vec<Action>) {
        for index in 0..self.channels.len() {
            if !self.suspects.has(index) {
                self.publish_to(index, at, spool, actions);
            }
        }
    }

    fn publish_to(&mut self, index: usize, at: Mono, spool: &mut Spool, actions: &mut Vec<Action>) {
        self.published += u64::from(self.channels[index].publish(at, self.published + 1, spool, actions));
    }

    /// What is to be tried. Nothing while the daemon stops: the others have a moment left.
    fn next_trial(&self, at: Mono, spool: &Spool) -> Option<Trial> {
        if self.stop.is_some() {
            return None;
        }
        let is_due = |index: &usize| {
            let may = self.suspects.again(*index).is_some_and(|again| again <= at);
            may && self.channels[*index].can_publish(at, spool)
        };
        let publish = || (0..self.channels.len()).find(is_due).map(Trial::Publish);
        self.subscriptions.trial(at).map(Trial::Subscribe).or_else(publish)
    }

    /// Looks whether what is tried was answered.
    fn end_trial(&mut self, actions: &mut Vec<Action>) {
        let is_over = match self.trials.running {
            None => return,
            Some(Trial::Subscribe(topic)) => !self.subscriptions.is_asked(topic),
            Some(Trial::Publish(index)) => !self.channels[index].has_unread(),
        };
        if is_over && let Some(Trial::Publish(index)) = self.trials.running {
            self.acquit(index, actions);
        }
        if is_over {
            self.trials.running = None;
        }
    }

    /// An entry of the channel at this place was read or stored.
    pub(super) fn acquit(&mut self, index: usize, actions: &mut Vec<Action>) {
        self.suspects.acquit(index, self.channels[index].id(), actions);
    }

    /// Whether the broker is known to have read all that was sent.
    fn is_all_read(&self) -> bool {
        self.ping.is_none() && self.published == self.covered
    }

    /// Whether the channel at this place could send something now, as far as the others and the broker let it.
    pub(super) fn can_publish(&self, index: usize, at: Mono, spool: &Spool) -> bool {
        !self.suspects.has(index) && self.trials.running.is_none() && self.channels[index].can_publish(at, spool)
    }

    /// When an entry can go out, or a trial begin; none while that depends on the outside.
    pub(super) fn publish_deadline(&self, at: Mono, spool: &Spool) -> Option<Mono> {
        if self.trials.running.is_some() {
            return None;
        }
        let patience = self.trials.wanted.map(|since| since + PATIENCE);
        let is_held = patience.is_some_and(|until| at >= until);
        let moments = [patience, patience.map(|until| until + HOLD)].map(|moment| moment.filter(|moment| *moment > at));
        let publishes = self.channels.iter().enumerate().map(|(index, channel)| {
            let next = channel.next_publish(at, spool);
            if self.suspects.has(index) {
                // One whose time has come waits for its moment.
                let next = next.max(self.suspects.again(index)).filter(|_| next.is_some() && self.stop.is_none());
                next.filter(|next| *next > at)
            } else {
                next.filter(|_| !is_held)
            }
        });
        earliest(publishes.chain(moments))
    }
}
