//! The names of the three values, as people and programs write them.

use std::fmt;

/// What a credential file may say, under the name the download uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// `username`
    Username,
    /// `clientId`
    ClientId,
    /// `password`
    Password,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Username => "username",
            Self::ClientId => "clientId",
            Self::Password => "password",
        })
    }
}

/// What may stand before a name: prefixes, and the types and keywords of programs. A word that is the begin of another one
/// comes behind it. Any other word makes another name: a `WIFI_PASSWORD` is none of ours.
const PREFIXES: &str = "secret mqtt thingspeak ts my your the device broker client config credentials constexpr const char string str \
    static final public private export let var val auto set self this pub";

impl Key {
    pub(super) const ALL: [Self; 3] = [Self::Username, Self::ClientId, Self::Password];

    /// `clientId`, `"client_id"`, `Client ID`, `SECRET_MQTT_CLIENT_ID` and `const char clientId[]` are one key.
    pub(super) fn parse(written: &str) -> Option<Self> {
        let written = match written.split_once('[') {
            Some((name, _)) if name.contains(|letter: char| letter.is_ascii_alphanumeric()) => name,
            _ => written,
        };
        let letters = written.chars().filter(char::is_ascii_alphanumeric);
        let letters: String = letters.map(|letter| letter.to_ascii_lowercase()).collect();
        let names = [("username", Self::Username), ("clientid", Self::ClientId), ("password", Self::Password)];
        let (mut before, key) = names.iter().find_map(|(name, key)| Some((letters.strip_suffix(name)?, *key)))?;
        while !before.is_empty() {
            before = PREFIXES.split(' ').find_map(|word| before.strip_prefix(word))?;
        }
        Some(key)
    }

    /// The name that begins a line.
    pub(super) fn leading(line: &str) -> Option<Self> {
        let is_end = |letter: char| !letter.is_ascii_alphanumeric() && letter != '_';
        let ends = line.match_indices(is_end).map(|(at, _)| at).chain([line.len()]);
        ends.take(4).find_map(|end| Self::parse(&line[..end]))
    }
}
