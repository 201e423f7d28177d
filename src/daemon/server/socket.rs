//! A listening socket in the file system, which is gone with its owner.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

/// Every user of the machine may ask: it only tells, and no secrets.
const MODE: u32 = 0o666;

/// A socket that is listened on.
pub(super) struct Socket {
    path: PathBuf,
    listener: UnixListener,
}

impl Socket {
    /// Listens at a path. What a daemon that was killed left there is replaced: its runtime directory is ours alone
    /// ([`crate::spool::storage::Folder::lock`]).
    ///
    /// # Errors
    /// When the folder cannot be written, or something else than a socket is there.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        if fs::symlink_metadata(path).is_ok_and(|known| !known.file_type().is_socket()) {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "something else has the name of the socket"));
        }
        // Made beside it and renamed: whoever finds it may ask, from the first moment.
        let beside = path.with_extension("sock.new");
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&beside)?;
        fs::set_permissions(&beside, Permissions::from_mode(MODE))?;
        fs::rename(&beside, path)?;
        Ok(Self { path: path.to_owned(), listener })
    }

    /// Whether clients can still find it.
    pub(super) fn is_there(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|known| known.file_type().is_socket())
    }

    /// The next client.
    pub(super) async fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // One that is gone already, with its folder, needs no removing.
        let _ = fs::remove_file(&self.path);
    }
}
