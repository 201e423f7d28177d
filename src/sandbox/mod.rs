//! The ThingSpeak look-alike: an MQTT broker that keeps to what MathWorks documents and can be switched either way
//! where nobody knows.
//!
//! ```text
//! sockets ─▶ server, session ─▶ service ─▶ rows, records
//!                     ◀── actions ──┘
//! ```
//!
//! [`service`] is the pure core: MQTT packets and the time go in, packets and closed connections come out. `server` and
//! `session` are the shell with the sockets; [`Sandbox`] is the handle that tests, `gatepost demo` and `gatepost sandbox` hold.
//!
//! It reads topics and updates with code of its own, not with `thingspeak`'s: a mistake on the sending side must not be
//! able to hide by being made on the receiving side too. It is no general broker: what a client sends reaches others only
//! as the feed of a channel.
//!
//! Invariants:
//! - Bytes from outside, whatever they are, end at most the connection they came on.
//! - Nothing grows without a bound: rows, records, queues, connections and subscriptions have one each.
//! - No password is ever in a record.

mod authority;
mod device;
mod folder;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
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
mod topic;
mod update;

pub use authority::{Authority, AuthorityError};
pub use device::{Channel, Device, Rights};

pub use folder::{Folder, FolderError};
pub use handle::{Options, Sandbox};
pub use journal::{ConnectSeen, Mark, NotSeen, PublishSeen};
pub use record::{Closing, DropReason, Record, Refusal, SubscribeFault, What};
pub use row::Row;
pub use switches::{
    Duplicates, EchoValues, Loss, OtherEntries, PublishRefusal, RefusedBy, SecondConnection, StoredSessions,
    SubscribeQos, SubscribeRefusal, Switches, TooLong, Wills,
};
