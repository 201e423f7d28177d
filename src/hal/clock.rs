//! The clocks: what time it is, whether the wall clock can be believed, and which boot the boot clock counts from.

use serde::Deserialize;

use crate::time::{BootId, Now};

/// The clocks.
pub trait Clock: Send + Sync {
    /// Both clocks at this instant.
    fn now(&self) -> Now;

    /// Whether the wall clock shows UTC. A machine without a battery clock boots with a time of its own making, so that no
    /// stamp may be taken before the answer was [`ClockState::Synchronised`] once.
    ///
    /// It costs a few system calls, and a look at a real-time clock where there is one: cheap enough to be asked at each
    /// slot until the answer is yes. That answer holds until the next boot: keep it, for what it rests on may be forgotten
    /// when the program starts anew.
    fn state(&self) -> ClockState;

    /// Which boot [`Now::mono`] counts from. Points on the boot clock compare within one boot only.
    fn boot(&self) -> BootId;
}

/// Whether the wall clock can be believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClockState {
    /// It shows UTC: a time server or a person has set it, or a battery clock that kept on running. On systems other than
    /// Linux it is always this one.
    #[default]
    Synchronised,
    /// Nothing is known to have set it since boot: it may be decades off, and will jump when something does.
    Unsynchronised,
}

/// What the wall clock needs before entries get its time; the map's `clock` key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "docs", derive(serde::Serialize, schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ClockTrust {
    /// A time server or a battery clock has set it since boot.
    #[default]
    Synchronised,
    /// Always, for a machine without a time server and a battery clock, whose clock you set by hand.
    System,
}
