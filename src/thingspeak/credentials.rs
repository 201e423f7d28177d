//! The credentials of an MQTT device: where they come from, and the two files ThingSpeak offers for download
//! (thingspeak.md, credential files).

use std::path::PathBuf;

use secrecy::SecretString;

/// Client ID, user name and password of one MQTT device.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Fixed by ThingSpeak; one live connection each.
    pub client_id: String,
    /// Equals the client ID in every known example.
    pub username: String,
    /// Shown once by the web page.
    pub password: SecretString,
}

/// Where the credentials of a device are found. They are read again before each connection, so that a replaced file
/// heals a refused login.
#[derive(Clone, Debug)]
pub enum Source {
    /// A downloaded file (either form) or systemd's credential of that name.
    File(PathBuf),
    /// Written in the map itself.
    Inline(Credentials),
}
