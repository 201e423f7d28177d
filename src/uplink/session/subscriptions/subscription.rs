//! One topic: what was asked, and what is believed of it until it is heard.

use std::time::Duration;

use crate::thingspeak::topic::Topic;
use crate::time::Mono;

use super::super::{Action, SessionEvent, Unheard};

/// A topic of the session.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is one independent fact about what became of it")]
pub(super) struct Subscription {
    pub(super) topic: Topic,
    pub(super) is_command: bool,
    pub(super) grant: Grant,
    doubt: Option<Doubt>,
    /// How often in a row a connection in the making was closed while it alone was open.
    pub(super) strikes: u32,
    /// It was refused though no acknowledgement held a place that it could have, or after room was made for it.
    pub(super) had_room: bool,
    /// It is to be asked for before all others.
    pub(super) ask_first: bool,
    /// A guess was looked into sooner than it would have been.
    hurried: bool,
    /// What was told of it, until it is heard.
    told: Option<Unheard>,
}

/// How far it has come on this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grant {
    /// It is to be asked for.
    Unasked,
    /// It was asked for at this time.
    Asked(Mono),
    /// It is heard.
    Granted,
    /// It is not; the doubt says when it is asked for again.
    Unheard,
}

/// Why a topic is not heard, as far as is known, and until when that is believed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doubt {
    why: Unheard,
    /// How often in a row.
    times: usize,
    again: Mono,
}

impl Subscription {
    pub(super) const fn new(topic: Topic, is_command: bool) -> Self {
        Self {
            topic,
            is_command,
            grant: Grant::Unasked,
            doubt: None,
            strikes: 0,
            had_room: false,
            ask_first: false,
            hurried: false,
            told: None,
        }
    }

    /// Whether the session waits for it before it goes online. What was never answered is not waited for twice.
    pub(super) fn is_awaited(&self) -> bool {
        let is_open = matches!(self.grant, Grant::Unasked | Grant::Asked(_));
        is_open && self.doubt.is_none_or(|doubt| doubt.why != Unheard::Unanswered)
    }

    /// Whether it was left out since connections were closed on it.
    pub(super) fn is_left_out(&self) -> bool {
        self.doubt.is_some_and(|doubt| doubt.why == Unheard::Closed)
    }

    pub(super) fn connected(&mut self, at: Mono, cautious: bool) {
        self.grant = match &mut self.doubt {
            Some(Doubt { why: Unheard::Closed, .. }) if !self.ask_first => Grant::Unheard,
            // Where one is asked for after the other its silence would hold up the rest.
            Some(Doubt { why: Unheard::Unanswered, again, .. }) if cautious => {
                *again = at;
                Grant::Unheard
            }
            _ => Grant::Unasked,
        };
    }

    pub(super) fn ask(&mut self, at: Mono, actions: &mut Vec<Action>) {
        self.grant = Grant::Asked(at);
        actions.push(Action::Subscribe(self.topic));
    }

    /// It is heard. Returns whether that is new.
    pub(super) fn grant(&mut self, actions: &mut Vec<Action>) -> bool {
        let before = std::mem::replace(&mut self.grant, Grant::Granted);
        self.acquit();
        (self.had_room, self.hurried) = (false, false);
        if self.told.take().is_some() {
            actions.push(Action::Report(SessionEvent::Subscribed(self.topic)));
        }
        before != Grant::Granted
    }

    /// It is not heard, and asked for again later. Told once, and again when a guess becomes an answer.
    pub(super) fn doubt(&mut self, at: Mono, why: Unheard, waits: &[Duration; 4], actions: &mut Vec<Action>) {
        let times = self.doubt.filter(|before| before.why == why).map_or(0, |before| before.times) + 1;
        // What costs no connection is asked for every few minutes.
        let last = if why == Unheard::Closed { waits.len() } else { waits.len() - 1 };
        let again_in = waits[times.min(last) - 1];
        self.doubt = Some(Doubt { why, times, again: at + again_in });
        self.grant = Grant::Unheard;
        self.ask_first = false;
        if self.told.is_none_or(|told| told.is_guess() && !why.is_guess()) {
            self.told = Some(why);
            actions.push(Action::Report(SessionEvent::NotSubscribed { topic: self.topic, why, again_in }));
        }
    }

    /// Nothing is held against it.
    pub(super) fn acquit(&mut self) {
        self.doubt = None;
        self.strikes = 0;
        self.ask_first = false;
    }

    /// A first guess is looked into at this time, if not before, and counts as none.
    pub(super) fn hurry(&mut self, at: Mono) {
        if let Some(Doubt { why: Unheard::Closed, times: times @ 1, again }) = &mut self.doubt
            && !std::mem::replace(&mut self.hurried, true)
        {
            (*times, *again) = (0, at.min(*again));
        }
    }

    /// Whether it was told that it is not heard.
    pub(super) const fn is_told(&self) -> bool {
        self.told.is_some()
    }

    /// The connection was ended on purpose.
    pub(super) fn renewed(&mut self) {
        if let Some(Doubt { why: Unheard::Closed, again, .. }) = &mut self.doubt {
            *again = Mono::default();
            self.ask_first = self.is_command;
        }
    }

    /// Whether a new connection may help against a refusal: an acknowledgement may hold its place, and it was never refused while none did.
    pub(super) fn may_lack_room(&self, crowded_out: bool) -> bool {
        self.is_command && crowded_out && !self.had_room
    }

    /// Whether it has been doubted so often in a row.
    pub(super) fn is_old_doubt(&self, times: usize) -> bool {
        self.doubt.is_some_and(|doubt| doubt.times >= times)
    }

    /// Whether the connection may be closed for asking.
    pub(super) fn needs_trial(&self) -> bool {
        self.is_left_out()
    }

    /// When it is asked for again on the running connection.
    pub(super) fn due(&self) -> Option<Mono> {
        self.doubt.filter(|_| self.grant == Grant::Unheard).map(|doubt| doubt.again)
    }

    pub(super) fn is_due(&self, at: Mono) -> bool {
        self.due().is_some_and(|due| due <= at)
    }
}
