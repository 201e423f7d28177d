//! A listening socket in the file system, which is gone with its owner.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

/// Every user of the machine may ask: it only tells, and no secrets.
const MODE: u32 = 0o666;

/// A socket that is listened on.
pub(super) struct Socket {
    path: PathBuf,
    listener: UnixListener,
    /// Device and inode of the name that leads to it.
    place: (u64, u64),
}

impl Socket {
    /// Listens at a path. What a daemon that was killed left there is replaced: its runtime directory is ours alone
    /// ([`crate::store::storage::Folder::lock`]).
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
        let made = fs::symlink_metadata(&beside)?;
        fs::rename(&beside, path)?;
        Ok(Self { path: path.to_owned(), listener, place: (made.dev(), made.ino()) })
    }

    /// Whether clients can still find it, and no other one in its place.
    pub(super) fn is_there(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|known| (known.dev(), known.ino()) == self.place)
    }

    /// The next client.
    pub(super) async fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // One that is gone already needs no removing, and another one is somebody else's.
        if self.is_there() {
            let _ = fs::remove_file(&self.path);
        }
    }
}
