//! What ThingSpeak's MQTT interface looks like from outside: topics, payloads, license limits, credential files.
//!
//! Facts and their sources are in the module docs. Nothing here knows a connection: [`topic`], [`update`], [`feed`]
//! and [`import`] turn values into text and back, and [`credentials`] alone reads files, small ones, when it is asked to.

pub mod credentials;
pub mod feed;
pub mod import;
pub mod license;
pub mod topic;
pub mod update;
