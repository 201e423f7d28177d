//! Why an output is at its level, and why it was not driven: in words a person can act on.

use std::fmt;
use std::time::Duration;

use minicbor::{Decode, Encode};

/// Why an output is at its level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Reason {
    /// Its start level.
    #[n(0)]
    Start,
    /// Its start level is on, and waits until `min_off`, which began before the restart, is over.
    #[n(5)]
    Rest,
    /// A command.
    #[n(1)]
    Command,
    /// `max_on` is over.
    #[n(2)]
    MaxOn,
    /// The feed was away for the stated time.
    #[n(3)]
    LinkLoss,
    /// Its stop level.
    #[n(4)]
    Stop,
    /// A new map does not let it be on together with an output that is on.
    #[n(6)]
    Interlock,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "start level",
            Self::Rest => "its least time off is not over, then the start level",
            Self::Command => "commanded",
            Self::MaxOn => "longest time on is over",
            Self::LinkLoss => "link lost",
            Self::Stop => "stop level",
            Self::Interlock => "an output that it is interlocked with now is on",
        })
    }
}

/// Why a level was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It was on its way for too long: send it again, or give the output a longer `accept_age`.
    #[error("the command is {} old", human(*.0))]
    TooOld(Duration),
    /// Its time lies ahead: this machine's clock, or the one of the sender that stamped it, is wrong.
    #[error("the command is from {} in the future: this clock or the sender's is wrong", human(*.0))]
    FromTheFuture(Duration),
    /// It came without a time, on a feed that has them.
    #[error("the age of the command is not known")]
    AgeUnknown,
    /// The broker had kept it (RETAIN) and sends it to each new subscriber: publish commands without RETAIN.
    #[error("the broker had kept the command (RETAIN), so that it is an old one")]
    Retained,
    /// The output went off too short a time ago, and the command would be too old when that is over: send it again after this, or
    /// give the output a longer `accept_age`.
    #[error("off for too short a time, {} to go", human(*.0))]
    MinOff(Duration),
    /// An output that may not be on at the same time is on: switch that one off first.
    #[error("{0} is on, and the two are interlocked")]
    Interlock(String),
    /// An output that may not be on at the same time was commanded on before, and waits for its `min_off`.
    #[error("{0} is about to go on, and the two are interlocked")]
    InterlockNext(String),
    /// An output that may not be on at the same time could not be driven, so that nobody knows whether it is on.
    #[error("{0} could not be driven and may be on, and the two are interlocked")]
    InterlockUnknown(String),
    /// Before start or after stop.
    #[error("the outputs are stopped")]
    Stopped,
}

/// Whole seconds in words; a part of a second counts as one.
fn human(duration: Duration) -> humantime::FormattedDuration {
    let whole = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    humantime::format_duration(Duration::from_secs(whole))
}
