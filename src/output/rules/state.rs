//! What the rules know of one output: its level, since when, its link, and the newest entry it obeyed.
//!
//! Everything here looks at one output alone; what is between outputs is in [`super`].

use std::time::Duration;

use crate::command::Command;
use crate::output::rules::{Reason, Refusal};
use crate::output::{CommandFeed, Drive, Settings};
use crate::time::{Mono, Utc};

/// How long after a failure an output is driven again.
const RETRY: Duration = Duration::from_secs(1);

#[derive(Clone, Debug)]
pub(super) struct Output {
    pub(super) settings: Settings,
    /// Interlocked outputs, from both sides.
    pub(super) partners: Vec<usize>,
    pub(super) drive: Drive,
    pub(super) reason: Reason,
    /// When it last went from off to on or from on to off.
    pub(super) since: Mono,
    /// When it could not be driven: its level is not known since.
    pub(super) failed: Option<Mono>,
    pub(super) link: Link,
    /// The newest entry that held a command for it.
    pub(super) seen: Option<Seen>,
}

/// The feed its commands come on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    Up,
    Away { since: Mono, handled: bool },
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) id: u64,
    pub(super) written: Option<Utc>,
}

impl Output {
    pub(super) fn new(settings: &Settings, partners: Vec<usize>) -> Self {
        Self {
            settings: settings.clone(),
            partners,
            drive: settings.start,
            reason: Reason::Start,
            since: Mono::default(),
            failed: None,
            link: Link::Away { since: Mono::default(), handled: false },
            seen: None,
        }
    }

    /// Takes a level. False when it has it already.
    pub(super) fn take(&mut self, now: Mono, drive: Drive, reason: Reason) -> bool {
        if self.drive == drive && self.failed.is_none() {
            return false;
        }
        // An output that could not be switched off was on until now.
        if self.drive.is_on() != drive.is_on() || (self.failed.is_some() && !drive.is_on()) {
            self.since = now;
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
        self.settings.max_on.filter(|_| self.drive.is_on()).map(|max_on| self.since + max_on)
    }

    /// When `min_off` is over. None while it is on.
    pub(super) fn off_until(&self) -> Option<Mono> {
        self.settings.min_off.filter(|_| !self.drive.is_on()).map(|min_off| self.since + min_off)
    }

    /// When it is to be driven again after a failure.
    pub(super) fn retry_at(&self) -> Option<Mono> {
        self.failed.map(|failed| failed + RETRY)
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
        let repeated = self.seen.is_some_and(|seen| {
            let counts_anew = seen.written.zip(command.written).is_some_and(|(before, after)| after > before);
            id <= seen.id && !counts_anew
        });
        if !repeated {
            self.seen = Some(Seen { id, written: command.written });
        }
        repeated
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
