//! Outputs: what a field update commands ([`command`], pure), the rules that say what an output does ([`rules`], pure), what
//! it drives ([`actuator`], one kind a file), and what is kept of it for the time after a crash ([`levels`]).

pub mod actuator;
pub mod command;
pub mod levels;
pub mod line;
pub mod pwm;
pub mod rules;
pub mod target;

use std::time::Duration;

use crate::entry::{ChannelId, Column};
use crate::thingspeak::topic::Topic;

pub use target::Target;

/// What an output is driven with: 0 is off, 1 is on, between them a PWM duty.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Drive(f64);

impl Drive {
    /// Off.
    pub const OFF: Self = Self(0.0);
    /// Fully on.
    pub const ON: Self = Self(1.0);

    /// A duty from 0 to 1. `None` outside.
    pub fn duty(duty: f64) -> Option<Self> {
        (0.0..=1.0).contains(&duty).then_some(Self(duty))
    }

    /// From 0 to 1.
    pub fn fraction(self) -> f64 {
        self.0
    }

    /// Whether anything flows.
    pub fn is_on(self) -> bool {
        self.0 > 0.0
    }
}

impl std::fmt::Display for Drive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if *self == Self::OFF {
            f.write_str("off")
        } else if *self == Self::ON {
            f.write_str("on")
        } else {
            write!(f, "{} %", (self.0 * 1000.0).round() / 10.0)
        }
    }
}

/// Which feed an output listens to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(feature = "docs", derive(serde::Serialize, schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum CommandFeed {
    /// The channel's own (`channels/<id>/subscribe`), which gives each command a time and a number, so that old
    /// commands are recognised.
    #[default]
    Channel,
    /// The field's (`channels/<id>/subscribe/fields/field<n>`), which has only the value.
    Field,
}

/// Where an output's commands come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandSource {
    /// The channel.
    pub channel: ChannelId,
    /// Its field, from 1.
    pub field: u8,
    /// How it is heard.
    pub feed: CommandFeed,
}

impl CommandSource {
    /// The topic its messages come on.
    pub const fn topic(self) -> Topic {
        match self.feed {
            CommandFeed::Channel => Topic::Subscribe(self.channel),
            CommandFeed::Field => Topic::SubscribeField(self.channel, self.field),
        }
    }
}

/// What to do when the link has been away.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinkLoss {
    /// For how long.
    pub after: Duration,
    /// Then this.
    pub set: Drive,
}

/// An output of the map, as checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The map's name for it.
    pub name: String,
    /// What is driven.
    pub target: Target,
    /// Who commands it.
    pub from: CommandSource,
    /// At start, from the first moment.
    pub start: Drive,
    /// At stop.
    pub stop: Drive,
    /// When the link has been away.
    pub link_loss: Option<LinkLoss>,
    /// Longest time on; then it goes off.
    pub max_on: Option<Duration>,
    /// Least time on before a command may switch it off.
    pub min_on: Option<Duration>,
    /// Least time off before it may go on again.
    pub min_off: Option<Duration>,
    /// Outputs that may not be on together with this one, by their place in the map.
    pub interlock: Vec<usize>,
    /// Commands older than this are refused (channel feed only).
    pub accept_age: Option<Duration>,
    /// Where the level is published back.
    pub report: Option<(ChannelId, Column)>,
}
