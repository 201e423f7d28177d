//! What ThingSpeak's MQTT interface looks like from outside: topics, payloads, license limits, credential files.
//! Facts and their sources are in the module docs; nothing here does I/O.

pub mod credentials;
pub mod feed;
pub mod license;
pub mod topic;
pub mod update;
