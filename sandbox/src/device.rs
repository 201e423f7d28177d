//! What a ThingSpeak account holds: channels, and MQTT devices with their rights.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio_rustls::rustls::crypto::ring;

/// Fields that a channel has (docs/thingspeak.md, payload of the channel feed).
pub const FIELDS: usize = 8;

/// Most channels a device may be given (docs/thingspeak.md, connection).
pub(super) const CHANNELS_OF_A_DEVICE: usize = 10;

/// Characters of a client id: letters and digits.
const ID_ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// Characters of a password: those of base64.
const PASSWORD_ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// A channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Its number.
    pub id: u64,
    /// The least time between two updates, which follows from what its owner pays for (docs/thingspeak.md, rates and quota).
    pub interval: Duration,
    /// Which of field 1 to field 8 it has. It matters only for [`omit_disabled_fields`](super::Switches::omit_disabled_fields).
    pub enabled: [bool; FIELDS],
}

impl Channel {
    /// A free channel with all eight fields: one update in 15 s.
    pub fn new(id: u64) -> Self {
        Self { id, interval: Duration::from_secs(15), enabled: [true; FIELDS] }
    }

    /// The same channel, paid for: one update a second.
    #[must_use]
    pub fn paid(self) -> Self {
        Self { interval: Duration::from_secs(1), ..self }
    }

    /// The same channel with these fields only; numbers outside 1 to 8 mean nothing.
    #[must_use]
    pub fn with_fields(self, numbers: &[u8]) -> Self {
        Self { enabled: std::array::from_fn(|index| numbers.iter().any(|&n| usize::from(n) == index + 1)), ..self }
    }
}

/// What a device may do with a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// *Allow publish.*
    pub publish: bool,
    /// *Allow subscribe.*
    pub subscribe: bool,
}

impl Rights {
    /// Both.
    pub const ALL: Self = Self { publish: true, subscribe: true };
    /// Publish alone.
    pub const PUBLISH: Self = Self { publish: true, subscribe: false };
    /// Subscribe alone.
    pub const SUBSCRIBE: Self = Self { publish: false, subscribe: true };
}

/// What a client logs in with.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Fixed by ThingSpeak; one live connection each.
    pub client_id: String,
    /// Equals the client id in every known example.
    pub username: String,
    /// Shown once by the web page.
    pub password: SecretString,
}

/// An MQTT device.
#[derive(Clone, Debug)]
pub struct Device {
    /// Client id, user name and password.
    pub credentials: Credentials,
    /// Its channels, at most ten.
    pub rights: BTreeMap<u64, Rights>,
}

impl Device {
    /// A device whose user name is its client id, without channels.
    pub fn new(client_id: &str, password: &str) -> Self {
        let credentials = Credentials {
            client_id: client_id.to_owned(),
            username: client_id.to_owned(),
            password: SecretString::from(password),
        };
        Self { credentials, rights: BTreeMap::new() }
    }

    /// A device as ThingSpeak makes them: 23 letters and digits, and 24 characters of base64, from the system's
    /// random numbers.
    pub fn generate() -> Self {
        Self::new(&random_text(ID_ALPHABET, 23), &random_text(PASSWORD_ALPHABET, 24))
    }

    /// The same device with these rights on a channel.
    #[must_use]
    pub fn with(mut self, channel: u64, rights: Rights) -> Self {
        self.rights.insert(channel, rights);
        self
    }

    /// What ThingSpeak offers for download as `mqtt_credentials.txt`: three lines, no newline at the end
    /// (docs/thingspeak.md, credential files). It holds the password.
    pub fn credentials_text(&self) -> String {
        let Credentials { client_id, username, password } = &self.credentials;
        format!("username = {username}\nclientId = {client_id}\npassword = {}", password.expose_secret())
    }
}

/// Text of characters drawn evenly from an alphabet of at most 64.
fn random_text(alphabet: &[u8], length: usize) -> String {
    let provider = ring::default_provider();
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let mut byte = [0];
        provider.secure_random.fill(&mut byte).expect("the system has random numbers");
        // Six bits choose one of 64; a number beyond a shorter alphabet is drawn again, so that none is favoured.
        if let Some(&character) = alphabet.get(usize::from(byte[0] & 0x3f)) {
            text.push(char::from(character));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_have_the_form_of_the_download() {
        let device = Device::generate();
        let text = device.credentials_text();
        assert_eq!(text.len(), 105, "username, clientId and password lines of the real file make 105 bytes");
        assert_eq!(text.lines().count(), 3);
        assert!(!text.ends_with('\n'));
        let id = &device.credentials.client_id;
        assert!(id.len() == 23 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_eq!(&device.credentials.username, id);
        assert_ne!(Device::generate().credentials.client_id, *id);
    }

    #[test]
    fn fields_of_a_channel_are_the_ones_named() {
        let channel = Channel::new(9).with_fields(&[1, 8, 0, 9]);
        assert_eq!(channel.enabled, [true, false, false, false, false, false, false, true]);
    }
}
