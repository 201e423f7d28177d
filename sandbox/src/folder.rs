//! The folder that a sandbox leaves for its clients, and finds again at its next start.
//!
//! | file | holds |
//! |---|---|
//! | `ca.pem` | the certificate to trust |
//! | `ca_key.pem` | its key, so that a restarted sandbox is trusted by clients that are still running |
//! | `<name>_credentials.txt` | a device, in the form of ThingSpeak's `mqtt_credentials.txt` |
//! | `mosquitto-<name>/` | the same device as options of Mosquitto's clients |
//! | `endpoints` | `transport = address` of the sandbox that wrote it last, and its `channels` |
//!
//! Mosquitto's clients read their options from the folder that `XDG_CONFIG_HOME` names; a password among the arguments would be
//! seen by every user of the machine.
//!
//! What is secret is readable by its owner alone, where the system knows such a thing.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use super::authority::{Authority, AuthorityError};
use super::device::{Credentials, Device};
use super::handle::Sandbox;
use crate::Transport;

/// A sandbox's folder.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

/// Why a sandbox's folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// A file cannot be read or written: check the path and who owns it.
    #[error("{}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// The system's words.
        error: io::Error,
    },
    /// A file is not what the sandbox wrote: mend it, or delete it, and the sandbox makes a new one.
    #[error("{}: {what}", path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// What is missing.
        what: String,
    },
    /// The key does not make an authority: delete `ca_key.pem`.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
}

impl Folder {
    /// The folder at `path`, made if it is missing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(path: &Path) -> Result<Self, FolderError> {
        fs::create_dir_all(path).map_err(|error| FolderError::File { path: path.to_owned(), error })?;
        // Absolute paths can be copied from what is printed into a file that lies elsewhere.
        let path = std::path::absolute(path).map_err(|error| FolderError::File { path: path.to_owned(), error })?;
        Ok(Self { path })
    }

    /// The folder at `path`, as it is.
    pub fn open(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The certificate that its clients are to trust.
    pub fn ca_file(&self) -> PathBuf {
        self.path.join("ca.pem")
    }

    /// The credentials of a device.
    pub fn credentials_file(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}_credentials.txt"))
    }

    /// The authority of the last start, or a new one; both files are there afterwards.
    ///
    /// # Errors
    /// Files that cannot be read or written, a key that is none.
    pub fn authority(&self) -> Result<Arc<Authority>, FolderError> {
        let key_file = self.path.join("ca_key.pem");
        let authority = match read_if_there(&key_file)? {
            Some(key) => Authority::restore(&key)?,
            None => Authority::new()?,
        };
        write_secret(&key_file, &authority.key_pem())?;
        write(&self.ca_file(), &authority.pem())?;
        Ok(Arc::new(authority))
    }

    /// The device of the last start under this name, or a new one, without channels; its file is there afterwards.
    ///
    /// # Errors
    /// Files that cannot be read or written, or that hold something else.
    pub fn device(&self, name: &str) -> Result<Device, FolderError> {
        let path = self.credentials_file(name);
        let device = if path.exists() { self.known_device(name)? } else { Device::generate() };
        write_secret(&path, &device.credentials_text())?;
        Ok(device)
    }

    /// The device under this name, without channels.
    ///
    /// # Errors
    /// A file that is missing, or that holds something else.
    pub fn known_device(&self, name: &str) -> Result<Device, FolderError> {
        let path = self.credentials_file(name);
        let text = fs::read_to_string(&path).map_err(|error| FolderError::File { path: path.clone(), error })?;
        let value = |key| value_of(&text, key, &path);
        let credentials = Credentials {
            client_id: value("clientId")?,
            username: value("username")?,
            password: SecretString::from(value("password")?),
        };
        Ok(Device { credentials, rights: BTreeMap::new() })
    }

    /// Writes a device's options for Mosquitto's clients and says in which folder.
    ///
    /// # Errors
    /// Files that cannot be written.
    pub fn write_mosquitto_options(
        &self,
        name: &str,
        device: &Device,
        addr: SocketAddr,
    ) -> Result<PathBuf, FolderError> {
        let path = self.path.join(format!("mosquitto-{name}"));
        fs::create_dir_all(&path).map_err(|error| FolderError::File { path: path.clone(), error })?;
        let Credentials { client_id, username, password } = &device.credentials;
        let (host, port) = (addr.ip(), addr.port());
        let password = password.expose_secret();
        let options = format!("-h {host}\n-p {port}\n-i {client_id}\n-u {username}\n-P {password}\n");
        for client in ["mosquitto_pub", "mosquitto_sub"] {
            write_secret(&path.join(client), &options)?;
        }
        Ok(path)
    }

    /// Writes down where a sandbox listens, and which channels it has.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_endpoints(&self, sandbox: &Sandbox) -> Result<(), FolderError> {
        let line = |(transport, addr): (&Transport, &SocketAddr)| format!("{transport} = {addr}\n");
        let mut lines: Vec<String> = sandbox.addresses().iter().map(line).collect();
        lines.sort();
        let channels: Vec<String> = sandbox.channels().iter().map(u64::to_string).collect();
        lines.push(format!("channels = {}\n", channels.join(" ")));
        write(&self.path.join("endpoints"), &lines.concat())
    }

    /// The channels of the sandbox that wrote this folder.
    ///
    /// # Errors
    /// No such file, or no channels in it.
    pub fn channels(&self) -> Result<Vec<u64>, FolderError> {
        let path = self.path.join("endpoints");
        let text = fs::read_to_string(&path).map_err(|error| FolderError::File { path: path.clone(), error })?;
        let value = value_of(&text, "channels", &path)?;
        let number = |word: &str| {
            word.parse()
                .map_err(|_| FolderError::Content { path: path.clone(), what: format!("{word} is not a channel") })
        };
        value.split(' ').map(number).collect()
    }

    /// Where the sandbox that wrote this folder listens.
    ///
    /// # Errors
    /// No such file, or no such transport in it.
    pub fn endpoint(&self, transport: Transport) -> Result<SocketAddr, FolderError> {
        let path = self.path.join("endpoints");
        let text = fs::read_to_string(&path).map_err(|error| FolderError::File { path: path.clone(), error })?;
        let value = value_of(&text, &transport.to_string(), &path)?;
        value.parse().map_err(|_| FolderError::Content { path, what: format!("{value} is not an address") })
    }
}

/// The value of `key = value`.
fn value_of(text: &str, key: &str, path: &Path) -> Result<String, FolderError> {
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    let mut values = pairs.filter(|(name, _)| name.trim() == key).map(|(_, value)| value.trim());
    let value = values.next().filter(|value| !value.is_empty()).map(str::to_owned);
    value.ok_or_else(|| FolderError::Content { path: path.to_owned(), what: format!("no line \"{key} = …\"") })
}

fn read_if_there(path: &Path) -> Result<Option<String>, FolderError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FolderError::File { path: path.to_owned(), error }),
    }
}

fn write(path: &Path, text: &str) -> Result<(), FolderError> {
    fs::write(path, text).map_err(|error| FolderError::File { path: path.to_owned(), error })
}

/// Writes a file that only its owner may read. An older one is removed first: it might be open to others, or a link.
fn write_secret(path: &Path, text: &str) -> Result<(), FolderError> {
    let written = match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => create_secret(path).and_then(|mut file| file.write_all(text.as_bytes())),
    };
    written.map_err(|error| FolderError::File { path: path.to_owned(), error })
}

#[cfg(unix)]
fn create_secret(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn create_secret(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_and_authority_survive_a_restart() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = Folder::create(&dir.path().join("new")).expect("a folder");
        let first = folder.device("remote").expect("a device");
        let again = folder.device("remote").expect("the same device");
        assert_eq!(first.credentials_text(), again.credentials_text());
        assert_ne!(folder.device("gatepost").expect("another").credentials.client_id, first.credentials.client_id);
        let authority = folder.authority().expect("an authority");
        assert_eq!(authority.key_pem(), folder.authority().expect("the same").key_pem());
    }

    #[cfg(unix)]
    #[test]
    fn secrets_are_for_their_owner_alone_even_where_a_wider_file_was() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = Folder::create(dir.path()).expect("a folder");
        let path = folder.credentials_file("remote");
        fs::write(&path, "username = a\nclientId = b\npassword = c").expect("writable");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("mine");
        let device = folder.device("remote").expect("a device");
        assert_eq!(device.credentials.username, "a");
        assert_eq!(device.credentials.password.expose_secret(), "c");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_file_is_named_and_its_content_is_not_shown() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = Folder::create(dir.path()).expect("a folder");
        fs::write(folder.credentials_file("remote"), "password = s3cret\nclientId =\n").expect("writable");
        let error = folder.device("remote").expect_err("no client id").to_string();
        assert!(error.contains("remote_credentials.txt") && error.contains("clientId"), "{error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
}
