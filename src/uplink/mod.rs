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
    /// As `stored`, until an echo is late and none was ever seen on the channel; then as `received`, until one is.
    #[default]
    Auto,
    /// Once it comes back on the channel's own feed, which proves that it is stored. Where the device may not subscribe to the
    /// channel it is as `received`, and the log says so.
    Stored,
    /// Once the broker has answered something that was sent after it, so that the broker has it. What ThingSpeak then drops,
    /// for coming too fast, is not noticed. It needs no subscription, of which a free license allows three at a time.
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
