//! What the probe has seen, before anything is concluded from it.

use std::time::Duration;

use crate::time::{Mono, Utc};

/// How a login was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// By a CONNACK with this code.
    Code(u8),
    /// The connection was closed without CONNACK.
    Closed,
    /// Nothing came.
    Silence,
    /// It did not come to a login, in words.
    Other(String),
}

/// How a subscription was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suback {
    /// SUBACK with a QoS.
    Granted,
    /// SUBACK 0x80.
    Code80,
    /// No SUBACK.
    Silence,
    /// The connection was closed.
    Closed,
}

/// Whether the last entry came right after SUBSCRIBE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It did: a command may be old.
    Yes,
    /// It did not.
    No,
}

/// What a second connection of the same device does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Second {
    /// The first one is closed.
    KicksTheFirst,
    /// The second one is refused.
    Refused(Refusal),
    /// Both live on.
    BothLive,
}

/// What a login with a wrong password met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WrongPassword {
    /// It was let in.
    LetIn,
    /// It was refused.
    Refused(Refusal),
}

/// What became of a session with nothing but pings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// It lived as long as was asked.
    KeptFor(Duration),
    /// It was closed after this time.
    CutAfter(Duration),
}

/// An update of ours.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) at: Mono,
    pub(super) created_at: Utc,
    /// It has the time of another one.
    pub(super) is_copy: bool,
    /// When the ping behind it was answered: it had arrived by then.
    pub(super) read: Option<Mono>,
    /// When its echo came, and the time that it told.
    pub(super) echo: Option<(Mono, Option<Utc>)>,
}

/// Everything that was seen.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// Why there was no login at all.
    pub(super) failed: Option<String>,
    /// The answer to the channel's own subscription.
    pub(super) feed: Option<Suback>,
    pub(super) sent: Vec<Sent>,
    /// How often the question of the window was asked anew.
    pub(super) rounds: usize,
    /// Somebody else writes to the channel.
    pub(super) others: bool,
    /// The connection was lost between two updates.
    pub(super) interrupted: bool,
    pub(super) again: Option<Pushed>,
    pub(super) foreign: Option<Suback>,
    pub(super) second: Option<Second>,
    pub(super) wrong: Option<WrongPassword>,
    pub(super) idle_since: Option<Mono>,
    pub(super) idle: Option<Idle>,
    /// No ping was answered any more, which leaves that question open.
    pub(super) silent: bool,
}

impl Evidence {
    /// The place of the update that the current round starts from: the one behind the copy at first, then every third.
    pub(super) fn base(&self) -> Option<usize> {
        let copy = self.sent.iter().position(|sent| sent.is_copy)?;
        let base = copy + 1 + 3 * self.rounds;
        (base < self.sent.len()).then_some(base)
    }
}
