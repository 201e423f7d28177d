//! The way out: names, addresses, TLS and WebSocket, and what fails on it in words.

mod broker;
pub(crate) mod certificate;
pub(crate) mod explain;
pub mod failure;
pub(crate) mod peer;
#[cfg(target_os = "linux")]
pub(crate) mod routes;
pub mod steps;
pub(crate) mod tls;
mod x509;

pub use broker::{Broker, Transport};
