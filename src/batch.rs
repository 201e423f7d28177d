//! Readings become one [`Entry`](crate::entry::Entry) per channel and slot.

use std::time::Duration;

use crate::entry::{ChannelId, Column, Reduce};

/// When a route's value is published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Publish {
    /// With the slot.
    #[default]
    Slot,
    /// With the slot; a change closes the slot early, as soon as the license allows.
    OnChange,
    /// By itself on the field's own topic, at the end of the slot.
    Field,
}

/// What goes into an entry's status text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StatusText {
    /// Nothing.
    #[default]
    Off,
    /// Which sensors have trouble, and which; nothing while all is well.
    Health,
}

/// A channel as the batch sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Channel {
    /// Its number.
    pub id: ChannelId,
    /// The slot's length.
    pub every: Duration,
    /// Least time between two entries.
    pub interval: Duration,
    /// What its status column says.
    pub status: StatusText,
}

/// Where the readings of one quantity go.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Index of the channel.
    pub channel: usize,
    /// Which column.
    pub column: Column,
    /// How a slot's readings become one value.
    pub reduce: Reduce,
    /// When it goes out.
    pub publish: Publish,
}
