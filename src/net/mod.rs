//! The way out, and back: names, addresses, a proxy, TLS, WebSocket, MQTT; and what fails on it, in words.
//!
//! [`dial()`] goes the way, for the daemon, `doctor` and the probe alike, and yields a stream of bytes; [`mqtt`] speaks on it. What
//! comes from the other side is bounded before anything is kept of it: a peer that goes beyond ends its own connection, and
//! nothing else.
//!
//! ```text
//! name ─▶ race of addresses ─▶ proxy ─▶ TLS ─▶ bytes a second ─▶ WebSocket ─▶ packets
//! ```

mod broker;
mod certificate;
pub mod dial;
mod explain;
pub mod failure;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod http;
mod meter;
pub mod mqtt;
mod peer;
pub mod proxy;
mod race;
mod recording;
mod road;
#[cfg(target_os = "linux")]
pub(crate) mod routes;
mod tls;
mod violation;
pub mod websocket;
mod x509;

pub use broker::{Broker, MQTT_PATH, Transport};
pub use dial::dial;
pub use meter::Metered;
pub use peer::Peer;
pub use road::Road;
/// MQTT's packets as bytes, for tests that play a broker.
pub use rumqttc::mqttbytes;
pub use tls::Trust;
pub use violation::Violation;

/// The longest packet in either direction. A feed message of eight long fields is 3 kB.
pub const PACKET_LIMIT: usize = 256 * 1024;
