//! What the rules know of one output: its level, its last switch, its link, and the newest entry it obeyed.
//!
//! Everything here looks at one output alone; what is between outputs is in [`super`].

use std::time::Duration;

use crate::output::command::Command;
use crate::output::rules::{Past, Reason, Refusal, Seen, Switch};
use crate::output::{CommandFeed, Drive, Settings};
use crate::time::{Mono, Utc};

/// How long after a failure an output is driven again.
const RETRY: Duration = Duration::from_secs(1);

/// How long an "on" waits at most where its feed tells no age.
const LONGEST_WAIT: Duration = Duration::from_secs(120);
/// The times of entries are whole seconds, so that one counts as up to so much older than it is.
const WHOLE_SECOND: Duration = Duration::from_secs(1);

#[derive(Clone, Debug)]
pub(super) struct Output {
    pub(super) settings: Settings,
    /// Interlocked outputs, from both sides.
    pub(super) partners: Vec<usize>,
    pub(super) drive: Drive,
    pub(super) reason: Reason,
    /// When it last went from off to on or from on to off.
    pub(super) switch: Switch,
    /// What was known of it before the start.
    past: Option<Switch>,
    /// Its start level is on, and waits for `min_off`.
    pub(super) start_waits: bool,
    /// When it could not be driven: its level is not known since.
    pub(super) failed: Option<Mono>,
    pub(super) link: Link,
    /// The newest entry that held a command for it.
    pub(super) seen: Option<Seen>,
    /// The commanded level that waits for the end of a dwell, or for the next try of an output that could not be driven.
    pub(super) next: Option<Drive>,
    /// The last command that was refused since the broker had kept it.
    pub(super) retained: Option<Command>,
}

/// The feed its commands come on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    Up,
    Away { since: Mono, handled: bool },
}

/// Before anything is known: off.
const UNKNOWN: Switch = Switch { on: false, at: Mono::new(Duration::ZERO), used: Duration::ZERO, by: Reason::Start };

impl Output {
    pub(super) fn new(settings: &Settings, partners: Vec<usize>) -> Self {
        Self {
            settings: settings.clone(),
            partners,
            drive: settings.start,
            reason: Reason::Start,
            switch: UNKNOWN,
            past: None,
            start_waits: false,
            failed: None,
            link: Link::Away { since: Mono::default(), handled: false },
            seen: None,
            next: None,
            retained: None,
        }
    }

    /// Goes on where an output of the map before stands that drives the same thing: its pin does not move.
    pub(super) fn go_on(&mut self, now: Mono, old: &Self) {
        let Self { drive, reason, switch, start_waits, failed, .. } = *old;
        (self.drive, self.reason, self.switch, self.failed) = (drive, reason, switch, failed);
        self.start_waits = start_waits && self.settings.start.is_on();
        let (was, is) = (old.settings.from, self.settings.from);
        self.link = if was.topic() == is.topic() { old.link } else { Link::Away { since: now, handled: false } };
        let same_field = (was.channel, was.field) == (is.channel, is.field);
        (self.seen, self.next) = (old.seen.filter(|_| same_field), old.next.filter(|_| same_field));
    }

    /// What was known of it before the start.
    pub(super) fn remember(&mut self, past: Past) {
        self.past = past.switch;
        self.seen = past.seen;
    }

    /// What is to be known of it after a restart. One that could not be driven may be on.
    pub(super) fn past(&self) -> Past {
        let switch = Switch { on: self.switch.on || self.failed.is_some(), ..self.switch };
        Past { switch: Some(switch), seen: self.seen }
    }

    /// The level to begin with, and why: the start level, or off where the past forbids that it is on.
    pub(super) fn start(&mut self, now: Mono) -> (Drive, Reason) {
        // A time to come is none of this boot's.
        let past = self.past.filter(|past| past.at <= now);
        self.switch = past.unwrap_or(Switch { at: now, ..UNKNOWN });
        let start = self.settings.start;
        let over = self.is_over(now);
        if over && self.switch.on {
            return (Drive::OFF, Reason::MaxOn);
        }
        if over {
            self.switch.by = Reason::MaxOn;
            return (Drive::OFF, if start.is_on() { Reason::MaxOn } else { Reason::Start });
        }
        if !start.is_on() || past.is_none_or(|past| past.on) {
            return (start, Reason::Start);
        }
        self.start_waits = self.off_until().is_some_and(|until| until > now);
        if self.start_waits { (Drive::OFF, Reason::Rest) } else { (start, Reason::Start) }
    }

    /// Whether `max_on` has ended the last stretch of being on, or would have if something else had not done so just then.
    fn is_over(&self, now: Mono) -> bool {
        let Switch { on, used, by, .. } = self.switch;
        self.settings.max_on.is_some_and(|max_on| match by {
            _ if on => self.on_until().is_some_and(|until| until <= now),
            Reason::MaxOn => true,
            Reason::Command => false,
            Reason::Start | Reason::Rest | Reason::LinkLoss | Reason::Stop | Reason::Interlock => used >= max_on,
        })
    }

    /// Takes its first level.
    pub(super) fn begin(&mut self, now: Mono, drive: Drive, reason: Reason) {
        self.drive = drive;
        self.reason = reason;
        if self.switch.on != drive.is_on() {
            self.switch(now, reason);
        }
    }

    /// It goes on or off.
    fn switch(&mut self, now: Mono, by: Reason) {
        let Switch { on, at, used, by: before } = self.switch;
        let held = now.since(at);
        let used = if on {
            used.saturating_add(held)
        } else {
            // Whether a restart broke the last stretch, so that this one goes on with it.
            let broken = match before {
                Reason::Start | Reason::Rest | Reason::Stop => true,
                Reason::LinkLoss => by == Reason::Start,
                Reason::Command | Reason::MaxOn | Reason::Interlock => false,
            };
            let most = self.settings.max_on.unwrap_or(Duration::MAX);
            if broken { used.min(most).saturating_sub(held) } else { Duration::ZERO }
        };
        self.switch = Switch { on: !on, at: now, used, by };
    }

    /// Takes a level. False when it has it already.
    pub(super) fn take(&mut self, now: Mono, drive: Drive, reason: Reason) -> bool {
        self.start_waits = false;
        if self.drive == drive && self.failed.is_none() {
            return false;
        }
        if self.switch.on != drive.is_on() {
            self.switch(now, reason);
        } else if self.failed.is_some() && !drive.is_on() {
            // An output that could not be switched off was on until now.
            self.switch.at = now;
        }
        self.drive = drive;
        self.reason = reason;
        self.failed = None;
        true
    }

    /// Whether this level would turn an output that is off, or may be, into one that is on. One that was to go on and
    /// failed is not on, whatever `drive` says.
    pub(super) fn switches_on(&self, drive: Drive) -> bool {
        drive.is_on() && (!self.drive.is_on() || self.failed.is_some())
    }

    /// When `max_on` is over. None while it is off.
    pub(super) fn on_until(&self) -> Option<Mono> {
        let left = self.settings.max_on.filter(|_| self.switch.on)?.saturating_sub(self.switch.used);
        Some(self.switch.at + left)
    }

    /// When `min_off` is over. None while it is on.
    pub(super) fn off_until(&self) -> Option<Mono> {
        self.settings.min_off.filter(|_| !self.switch.on).map(|min_off| self.switch.at + min_off)
    }

    /// When `min_on` is over. None while it is off, and where it could not be driven: that it is on is not known then.
    fn held_until(&self) -> Option<Mono> {
        let held = self.switch.on && self.failed.is_none();
        self.settings.min_on.filter(|_| held).map(|min_on| self.switch.at + min_on)
    }

    /// When a command may set it to this level: after its dwell, and not before one that could not be driven is tried again.
    pub(super) fn ready_at(&self, drive: Drive) -> Option<Mono> {
        let dwell = if drive.is_on() { self.off_until() } else { self.held_until() };
        dwell.max(self.retry_at())
    }

    /// When what waits is to be set. None where nothing waits, and where nothing keeps it from being set now.
    pub(super) fn next_at(&self) -> Option<Mono> {
        self.next.and_then(|next| self.ready_at(next))
    }

    /// What it is, or goes to once its dwell is over.
    pub(super) fn target(&self) -> Drive {
        self.next.unwrap_or(self.drive)
    }

    /// Whether a command may wait for so long: it must not be too old by then.
    pub(super) fn lets_wait(&self, utc: Utc, command: &Command, wait: Duration) -> bool {
        let age = command.written.map_or(Duration::ZERO, |written| utc.since(written));
        !command.drive.is_on()
            || wait.is_zero()
            || age + wait <= self.settings.accept_age.unwrap_or(LONGEST_WAIT) + WHOLE_SECOND
    }

    /// When it is to be driven again after a failure.
    pub(super) fn retry_at(&self) -> Option<Mono> {
        self.failed.map(|failed| failed + RETRY)
    }

    /// When the start level that waits may be taken.
    pub(super) fn start_at(&self) -> Option<Mono> {
        self.off_until().filter(|_| self.start_waits)
    }

    /// When the link will have been away for too long, and what then. None once that was done.
    pub(super) fn link_loss(&self) -> Option<(Mono, Drive)> {
        match (self.link, self.settings.link_loss) {
            (Link::Away { since, handled: false }, Some(loss)) => Some((since + loss.after, loss.set)),
            _ => None,
        }
    }

    /// Whether the command's entry was heard before. Notes it as heard.
    pub(super) fn hears_again(&mut self, command: &Command) -> bool {
        let Some(id) = command.entry_id else { return false };
        let repeated = self.heard(id, command);
        if !repeated {
            self.seen = Some(Seen { id, written: command.written });
        }
        repeated
    }

    /// Whether the command's entry, of this number, was heard before.
    pub(super) fn heard(&self, id: u64, command: &Command) -> bool {
        self.seen.is_some_and(|seen| {
            let counts_anew = seen.written.zip(command.written).is_some_and(|(before, after)| after > before);
            id <= seen.id && !counts_anew
        })
    }

    /// Why the command's age forbids it.
    pub(super) fn age_refusal(&self, utc: Utc, command: &Command) -> Option<Refusal> {
        let accepted = self.settings.accept_age.filter(|_| self.settings.from.feed == CommandFeed::Channel)?;
        let Some(written) = command.written else { return Some(Refusal::AgeUnknown) };
        let (age, ahead) = (utc.since(written), written.since(utc));
        if age > accepted {
            Some(Refusal::TooOld(age))
        } else if ahead > accepted {
            Some(Refusal::FromTheFuture(ahead))
        } else {
            None
        }
    }
}
