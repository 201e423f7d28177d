//! The broker of the map: where it is and how it is reached.

use std::path::PathBuf;
use std::time::Duration;

use super::proxy;

/// The WebSocket path of the real service (thingspeak.md, connection).
pub const MQTT_PATH: &str = "/mqtt";

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

    /// Whether MQTT travels in a WebSocket.
    pub const fn is_websocket(self) -> bool {
        matches!(self, Self::Wss | Self::Ws)
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
    /// Names or addresses, each verified against the certificate that is shown there. One, or those of a cluster's nodes: a try
    /// that came to nothing begins the next one at another.
    pub hosts: Vec<String>,
    /// Port.
    pub port: u16,
    /// How it is reached.
    pub transport: Transport,
    /// Where the WebSocket is on the server.
    pub path: String,
    /// A PEM file of roots to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// What leads out of the network.
    pub proxy: proxy::Choice,
    /// Age at which a session is replaced, below the broker's one-hour idle limit.
    pub renew: Duration,
}

impl Broker {
    /// A broker at one host, as the map's defaults have it.
    pub fn at(host: &str, port: u16, transport: Transport) -> Self {
        Self {
            hosts: vec![host.to_owned()],
            port,
            transport,
            path: MQTT_PATH.to_owned(),
            ca_file: None,
            proxy: proxy::Choice::Environment,
            renew: Duration::from_secs(3000),
        }
    }

    /// The same broker at one of its hosts alone.
    #[must_use]
    pub fn only(&self, host: &str) -> Self {
        Self { hosts: vec![host.to_owned()], ..self.clone() }
    }
}
