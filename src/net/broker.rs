//! The broker of the map: where it is and how it is reached.

use std::path::PathBuf;
use std::time::Duration;

use super::proxy;
use super::road::Road;
pub use super::road::Transport;

/// The WebSocket path of the real service (docs/thingspeak.md, connection).
pub const MQTT_PATH: &str = "/mqtt";

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
    /// The way to one of its hosts.
    pub fn road(&self, host: &str) -> Road {
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Road { host, port: self.port, transport: self.transport, path: self.path.clone() }
    }

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
