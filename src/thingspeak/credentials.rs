//! The credentials of an MQTT device: where they come from, and the two files ThingSpeak offers for download.
//!
//! `mqtt_credentials.txt` has lines `username = …`, `clientId = …`, `password = …`; `mqtt_secrets.h` has lines
//! `#define SECRET_MQTT_USERNAME "…"` and so on. People reorder lines, add their own, edit them with word processors and paste
//! them into mails and programs. Both are read by key from the same text: a value that can be read in one way only is taken,
//! and everything else is refused with its line and what to do (`Problem`). Nothing is tried as a login that is not a
//! credential.
//!
//! Reading blocks (these are files). No error and no `Debug` output holds anything of a file's content; the text of a
//! file is wiped from memory after reading.

mod comments;
mod file;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod key;
mod placeholder;
mod problem;
mod text;
mod value;

use std::io;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

pub use key::Key;
pub use problem::{CredentialsError, Place, Problem};

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

impl Source {
    /// Reads the credentials as they are now.
    ///
    /// # Errors
    /// When the file cannot be read, or when what is in it cannot be logged in with.
    pub fn read(&self) -> Result<Credentials, CredentialsError> {
        match self {
            Self::File(path) => text::parse(path, &file::read(path)?),
            Self::PasswordFile { client_id, username, password_file: path } => {
                let password = text::parse_password(path, &file::read(path)?)?;
                let credentials = Credentials { client_id: client_id.clone(), username: username.clone(), password };
                match credentials.misfit() {
                    // What is wrong with a name is in the map.
                    Some((problem, key)) => Err(CredentialsError::at(path, vec![1], vec![key], problem)),
                    None => Ok(credentials),
                }
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

/// What is wrong with a value that the map itself holds.
pub fn check_written(key: Key, value: &str) -> Option<Problem> {
    value::check_written(value, key == Key::Password)
}

impl Credentials {
    /// What shows only when the three are seen together, with the key that it is about: values of ThingSpeak's form that have
    /// changed places, or of which one is damaged. Values of other brokers have other forms, and are taken as they are.
    pub fn misfit(&self) -> Option<(Problem, Key)> {
        let Self { client_id, username, password } = self;
        let password = password.expose_secret();
        let is_odd = |name: &String| name == password || value::is_password_of_thingspeak(name);
        if value::is_id_of_thingspeak(password) && [client_id, username].into_iter().any(is_odd) {
            return Some((Problem::SwappedLines, Key::Password));
        }
        let damaged = match () {
            () if value::is_damaged_id(client_id, username) => Key::ClientId,
            () if value::is_damaged_id(username, client_id) => Key::Username,
            () if client_id == username
                && value::is_id_of_thingspeak(client_id)
                && value::is_damaged_password(password) =>
            {
                Key::Password
            }
            () => return None,
        };
        Some((Problem::Damaged, damaged))
    }

    /// What is odd about them, though some broker may want them so; with what to do.
    pub fn remark(&self) -> Option<(&'static str, &'static str)> {
        let password = self.password.expose_secret();
        let is_id = [&self.client_id, &self.username].map(|name| value::is_id_of_thingspeak(name));
        match () {
            () if text::is_api_key(password) => Some((
                "the password has 16 capitals and digits, as ThingSpeak's API keys have",
                "a login takes the password of the MQTT device, which has 24 characters",
            )),
            () if is_id != [false; 2] && self.client_id != self.username => Some((
                "client ID and user name differ, and ThingSpeak's are the same",
                "compare both with ThingSpeak's page: one may have been cut or changed when it was copied",
            )),
            () if is_id == [true; 2] && !value::is_password_of_thingspeak(password) => Some((
                "the client ID has the form of ThingSpeak's, and the password has not",
                "compare it with what was downloaded: ThingSpeak's passwords have 24 characters",
            )),
            () => None,
        }
    }
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
