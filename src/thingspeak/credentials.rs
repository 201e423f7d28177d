//! The credentials of an MQTT device: where they come from, and the two files ThingSpeak offers for download.
//!
//! `mqtt_credentials.txt` has lines `username = …`, `clientId = …`, `password = …`; `mqtt_secrets.h` has lines
//! `#define SECRET_MQTT_USERNAME "…"` and so on. People reorder lines, add their own and edit them on Windows, so both
//! are read by key from the same text: other lines are passed over, and what is missing or doubtful is named.
//!
//! Reading blocks (these are files). No error and no `Debug` output holds anything of a file's content; the text of a
//! file is wiped from memory after reading.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};

/// Largest secret file that is read. The downloaded ones have some hundred bytes.
pub const MAX_BYTES: usize = 16 * 1024;

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
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// A downloaded file (either form) or systemd's credential of that name, as [`locate`] found it.
    File(PathBuf),
    /// Names written in the map, and a file that holds the password and nothing else.
    PasswordFile {
        /// As in [`Credentials`].
        client_id: String,
        /// As in [`Credentials`].
        username: String,
        /// As [`locate`] found it.
        password_file: PathBuf,
    },
    /// Written in the map itself.
    Inline(Credentials),
}

/// Why a device has no credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// The file is not there, or its owner and mode keep it from this user.
    #[error("{}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        error: String,
    },
    /// Larger than [`MAX_BYTES`], or not UTF-8 (an editor may have saved it as "Unicode", which is UTF-16): save it as
    /// plain text.
    #[error("{} is not a plain text file with credentials", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// A key is missing or has no value: download the file again, or add the line.
    #[error("{} holds no {key}", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// `username`, `clientId` or `password`.
        key: &'static str,
    },
    /// A key stands there twice with different values: keep one device a file.
    #[error("{} holds two different values for {key}", path.display())]
    Ambiguous {
        /// The file.
        path: PathBuf,
        /// As in [`CredentialsError::Missing`].
        key: &'static str,
    },
    /// A value holds blanks or bytes that are not printable ASCII: it was damaged when copied.
    #[error("the {key} in {} holds characters that ThingSpeak does not use", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// As in [`CredentialsError::Missing`].
        key: &'static str,
    },
    /// Everyone on this machine can get at the secret: `chmod o= FILE`.
    #[error("other users of this machine may read or change {} (mode {mode:03o}): run chmod o= on it", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

impl Source {
    /// Reads the credentials as they are now.
    ///
    /// # Errors
    /// When the file cannot be read or does not hold all three.
    pub fn read(&self) -> Result<Credentials, CredentialsError> {
        match self {
            Self::File(path) => parse(path, &read(path)?),
            Self::PasswordFile { client_id, username, password_file: path } => {
                let text = read(path)?;
                let password = value(path, Key::Password, text.trim())?;
                Ok(Credentials {
                    client_id: client_id.clone(),
                    username: username.clone(),
                    password: SecretString::from(password),
                })
            }
            Self::Inline(credentials) => Ok(credentials.clone()),
        }
    }

    /// The file that holds the secret, for [`check_mode`]. None where the map itself holds it.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) | Self::PasswordFile { password_file: path, .. } => Some(path),
            Self::Inline(_) => None,
        }
    }
}

/// The directory in which systemd puts a service's credentials (systemd.exec, `LoadCredential=`). This is the one
/// place that reads it from the environment.
pub fn directory() -> Option<PathBuf> {
    std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from)
}

/// The file a map means by `written`: a bare name is systemd's credential of that name where there is one; anything
/// else, and a bare name without such a credential, is relative to the map's folder.
pub fn locate(written: &Path, credentials_directory: Option<&Path>, map_folder: &Path) -> PathBuf {
    let is_bare = written.file_name() == Some(written.as_os_str());
    credentials_directory
        .filter(|_| is_bare)
        .map(|directory| directory.join(written))
        .filter(|credential| credential.is_file())
        .unwrap_or_else(|| map_folder.join(written))
}

/// Whether only the owner and the group can get at a secret file. Links are followed.
///
/// # Errors
/// [`CredentialsError::Exposed`] when others may read or write it, [`CredentialsError::Unreadable`] when it is not there.
#[cfg(unix)]
pub fn check_mode(path: &Path) -> Result<(), CredentialsError> {
    use std::os::unix::fs::PermissionsExt as _;

    let metadata = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o006 == 0 { Ok(()) } else { Err(CredentialsError::Exposed { path: path.to_owned(), mode }) }
}

/// Whether the file is there: only Unix has modes to check.
///
/// # Errors
/// [`CredentialsError::Unreadable`] when it is not there.
#[cfg(not(unix))]
pub fn check_mode(path: &Path) -> Result<(), CredentialsError> {
    std::fs::metadata(path).map(drop).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &io::Error) -> CredentialsError {
    CredentialsError::Unreadable { path: path.to_owned(), error: error.to_string() }
}

/// A small text file, without a byte order mark.
fn read(path: &Path) -> Result<Zeroizing<String>, CredentialsError> {
    // A pipe would be waited for without end.
    if std::fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(CredentialsError::NotText { path: path.to_owned() });
    }
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    // The buffer has its full size from the start: one that grows would leave copies of the secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES + 1));
    let limit = u64::try_from(MAX_BYTES + 1).expect("a small constant");
    file.take(limit).read_to_end(&mut bytes).map_err(|error| unreadable(path, &error))?;
    let text = std::str::from_utf8(&bytes).ok().filter(|_| bytes.len() <= MAX_BYTES);
    let text = text.ok_or_else(|| CredentialsError::NotText { path: path.to_owned() })?;
    Ok(Zeroizing::new(text.trim_start_matches('\u{feff}').to_owned()))
}

/// What a credential file may say, under the name the download uses.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    Username,
    ClientId,
    Password,
}

impl Key {
    const fn name(self) -> &'static str {
        match self {
            Self::Username => "username",
            Self::ClientId => "clientId",
            Self::Password => "password",
        }
    }

    /// `clientId`, `client_id` and `SECRET_MQTT_CLIENT_ID` are one key.
    fn parse(written: &str) -> Option<Self> {
        let letters = written.chars().filter(|letter| !matches!(letter, '_' | '-') && !letter.is_whitespace());
        let letters: String = letters.map(|letter| letter.to_ascii_lowercase()).collect();
        match letters.strip_prefix("secretmqtt").unwrap_or(&letters) {
            "username" => Some(Self::Username),
            "clientid" => Some(Self::ClientId),
            "password" => Some(Self::Password),
            _ => None,
        }
    }
}

/// Reads either form of a downloaded file. `path` is for the errors.
fn parse(path: &Path, text: &str) -> Result<Credentials, CredentialsError> {
    let pairs = || text.lines().filter_map(pair);
    let find = |key: Key| {
        let mut values = pairs().filter(|(it, _)| *it == key).map(|(_, value)| value);
        let first = values.next().unwrap_or_default();
        if values.any(|other| other != first) {
            return Err(CredentialsError::Ambiguous { path: path.to_owned(), key: key.name() });
        }
        value(path, key, first)
    };
    Ok(Credentials {
        username: find(Key::Username)?,
        client_id: find(Key::ClientId)?,
        password: SecretString::from(find(Key::Password)?),
    })
}

/// Key and value of a line of either form; none for comments and everything else.
fn pair(line: &str) -> Option<(Key, &str)> {
    let line = line.trim();
    let (key, value) = match line.strip_prefix('#') {
        Some(directive) => {
            let define = directive.trim_start().strip_prefix("define")?;
            let (key, value) = define.trim_start().split_once(char::is_whitespace)?;
            (key, value.trim_start().strip_prefix('"')?.split_once('"')?.0)
        }
        None => line.split_once('=')?,
    };
    let value = value.trim();
    let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    Some((Key::parse(key)?, quoted.unwrap_or(value)))
}

/// A value that can be sent to a broker. Those of ThingSpeak are letters, digits and base64.
fn value(path: &Path, key: Key, text: &str) -> Result<String, CredentialsError> {
    if text.is_empty() {
        return Err(CredentialsError::Missing { path: path.to_owned(), key: key.name() });
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(CredentialsError::Damaged { path: path.to_owned(), key: key.name() });
    }
    Ok(text.to_owned())
}

impl PartialEq for Credentials {
    /// Whether a file that was read again says something new. Not in constant time: both sides are ours.
    fn eq(&self, other: &Self) -> bool {
        self.client_id == other.client_id
            && self.username == other.username
            && self.password.expose_secret() == other.password.expose_secret()
    }
}

#[cfg(test)]
mod tests;
