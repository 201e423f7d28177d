//! A ThingSpeak look-alike for tests of MQTT clients: a broker that keeps to what MathWorks documents and can be switched either
//! way where nobody outside MathWorks knows ([`Switches`]).
//!
//! A test starts one in its own process, on free ports of 127.0.0.1, points its client at it and asks what came:
//!
//! ```
//! use std::time::Duration;
//!
//! use thingspeak_sandbox::{Channel, Device, Options, Rights, Sandbox, Transport, What, publish::publish};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let device = Device::generate().with(1, Rights::ALL);
//! let credentials = device.credentials.clone();
//! let options = Options { channels: vec![Channel::new(1)], devices: vec![device], ..Options::default() };
//! let sandbox = Sandbox::start(options).await?;
//!
//! // Here stands the client that is to be tested. It logs in with the device's credentials, and over TLS it trusts
//! // `sandbox.ca_pem()`.
//! let update = [("field1".to_owned(), "20.5".to_owned())];
//! publish(sandbox.addr(Transport::Tcp), &credentials, 1, &update).await?;
//!
//! let stored = |what: &What| matches!(what, What::Accepted(_));
//! sandbox.wait_for(|record| stored(&record.what), Duration::from_secs(10)).await?;
//! assert_eq!(sandbox.rows(1)[0].field(1), Some("20.5"));
//!
//! // A free channel takes one update in 15 s, and its sender is told nothing.
//! publish(sandbox.addr(Transport::Tcp), &credentials, 1, &update).await?;
//! let dropped = |what: &What| matches!(what, What::Dropped { .. });
//! sandbox.wait_for(|record| dropped(&record.what), Duration::from_secs(10)).await?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! ```text
//! sockets ─▶ server, session ─▶ service ─▶ rows, records
//!                     ◀── actions ──┘
//! ```
//!
//! [`service`] is the pure core: MQTT packets and the time go in, packets and closed connections come out. It can be driven without
//! sockets, on a virtual clock. `server` and `session` are the shell with the sockets; [`Sandbox`] is the handle on them.
//!
//! It is no general broker: what a client sends reaches others only as the feed of a channel. It shares no code with any client, so
//! that a mistake on the sending side cannot hide by being made on the receiving side too.
//!
//! Invariants:
//! - Bytes from outside, whatever they are, end at most the connection they came on.
//! - Nothing grows without a bound: rows, records, queues, connections and subscriptions have one each.
//! - No password is ever in a record.

mod authority;
#[cfg(feature = "cli")]
pub mod cli;
mod device;
mod folder;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod handle;
mod journal;
pub mod publish;
mod record;
mod row;
mod server;
pub mod service;
mod session;
mod shared;
mod store;
mod switches;
mod time;
mod topic;
mod transport;
mod update;
mod websocket;

pub use authority::{Authority, AuthorityError};
pub use device::{Channel, Credentials, Device, FIELDS, Rights};
pub use folder::{Folder, FolderError};
pub use handle::{Options, Sandbox};
pub use journal::{ConnectSeen, Mark, NotSeen, PublishSeen};
pub use record::{Closing, DropReason, Record, Refusal, SubscribeFault, What};
pub use row::Row;
/// MQTT's packets, for those who drive [`service`] themselves.
pub use rumqttc::mqttbytes;
pub use switches::{
    Duplicates, EchoValues, Loss, OtherEntries, PublishRefusal, RefusedBy, SecondConnection, StoredSessions,
    SubscribeQos, SubscribeRefusal, Switches, TooLong, Wills,
};
pub use time::{Now, Utc};
pub use transport::Transport;

/// The example of the README, so that it goes on compiling.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The longest packet in either direction. A feed message of eight long fields is 3 kB.
const PACKET_LIMIT: usize = 256 * 1024;
