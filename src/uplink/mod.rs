//! The way to the broker and back: one MQTT session per device.
//!
//! [`session`] decides (pure), `link` is the connection and alone uses rumqttc (`explain` and
//! `certificate` translate its errors), [`task`] joins the two. [`steps`] goes the same way step by step, for `doctor`, and
//! [`probe`] asks the service what nobody knows of it.

pub mod backoff;
pub mod budget;
mod certificate;
mod explain;
pub mod failure;
mod link;
mod login;
pub mod pacer;
mod peer;
pub mod probe;
pub mod session;
pub mod steps;
pub mod task;
mod tls;
mod x509;

use std::path::PathBuf;
use std::time::Duration;

use crate::thingspeak::credentials;

/// How the broker is reached (thingspeak.md, connection).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Deserialize)]
#[cfg_attr(feature = "docs", derive(serde::Serialize, schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// WebSocket over TLS, port 443.
    #[default]
    Wss,
    /// MQTT over TLS, port 8883.
    Tls,
    /// WebSocket, port 80. Passwords and readings in the clear.
    Ws,
    /// MQTT over TCP, port 1883. Passwords and readings in the clear.
    Tcp,
}

impl Transport {
    /// The port ThingSpeak has for it.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Wss => 443,
            Self::Tls => 8883,
            Self::Ws => 80,
            Self::Tcp => 1883,
        }
    }

    /// Whether the line is encrypted and the broker's name verified.
    pub const fn is_encrypted(self) -> bool {
        matches!(self, Self::Wss | Self::Tls)
    }
}

impl std::fmt::Display for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Wss => "wss",
            Self::Tls => "tls",
            Self::Ws => "ws",
            Self::Tcp => "tcp",
        })
    }
}

/// The broker of the map.
#[derive(Clone, Debug, PartialEq)]
pub struct Broker {
    /// Host name, verified against its certificate.
    pub host: String,
    /// Port.
    pub port: u16,
    /// How it is reached.
    pub transport: Transport,
    /// A PEM file of roots to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Age at which a session is replaced, below the broker's one-hour idle limit.
    pub renew: Duration,
}

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
    /// for coming too fast, is not noticed.
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
