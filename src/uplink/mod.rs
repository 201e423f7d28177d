//! The way to the broker and back: one MQTT session per device.
//!
//! [`session`] decides (pure), `link` is the connection, [`task`] joins the two. [`login`] asks single questions for `doctor`,
//! and [`probe`] asks the service what nobody knows of it.

pub mod backoff;
pub mod budget;
pub(crate) mod link;
pub mod login;
pub mod network;
pub mod pacer;
pub mod probe;
pub mod session;
pub mod task;

use crate::thingspeak::credentials;

/// What frees an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(feature = "docs", derive(serde::Serialize, schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Confirm {
    /// Like `stored`. If an echo is late and none has ever been seen on the channel: like `received`, until one is
    /// seen.
    #[default]
    Auto,
    /// Its echo on the channel's own feed, which proves that it is stored. If the device may not subscribe to the
    /// channel: like `received`, and the log says so.
    Stored,
    /// The broker's answer to a ping that was sent after it, which proves that the broker has read it. gatepost does
    /// not notice if ThingSpeak then drops the entry because it arrived too early. This needs no subscription; a free
    /// license allows three at a time.
    Received,
}

/// One MQTT device of the map.
#[derive(Clone, Debug)]
pub struct Device {
    /// The map's name for it.
    pub name: String,
    /// Where its credentials are.
    pub credentials: credentials::Source,
}
