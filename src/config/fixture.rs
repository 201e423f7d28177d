//! The map of the unit tests: one MQTT device and one channel, and whatever matters to a test.

use std::path::Path;

use super::{Settings, parse};

/// A map with the MQTT device `pi` and the channel `house`, number 7. What is added stands behind the channel's number: more
/// of its keys first, then other tables.
pub(crate) fn map(added: &str) -> String {
    format!(
        "version = 1\n\
         [device.pi]\nclient_id = \"c\"\nusername = \"c\"\npassword = \"sesame\"\n\
         [channel.house]\nid = 7\n{added}"
    )
}

/// What such a map says.
pub(crate) fn settings(added: &str) -> Settings {
    read(&map(added))
}

/// What a whole map says, which has no fault.
pub(crate) fn read(map: &str) -> Settings {
    parse(map, Path::new("map.toml")).unwrap_or_else(|faults| panic!("{faults}")).settings
}
