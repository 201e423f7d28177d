//! How files and folders are made, and who may read them.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
#[cfg(unix)]
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// What new files may be: readings are nobody else's business.
#[cfg(unix)]
const FILES: u32 = 0o640;
/// What a new folder may be.
pub(super) const PRIVATE: u32 = 0o750;
/// What one may be in which everybody finds a socket.
pub(super) const SHOWN: u32 = 0o755;

/// Does something in a folder. Where that finds it missing, it is made first.
pub(super) fn make_and<T>(path: &Path, mode: u32, mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    match attempt() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            make(path, mode)?;
            attempt()
        }
        done => done,
    }
}

fn make(path: &Path, mode: u32) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let mut folders = DirBuilder::new();
    folders.recursive(true);
    #[cfg(unix)]
    folders.mode(mode);
    folders.create(path)?;
    #[cfg(unix)]
    {
        // Whatever the process's mask is.
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            File::open(parent)?.sync_all()?;
        }
    }
    #[cfg(not(unix))]
    let _ = mode;
    Ok(())
}

pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    options.mode(FILES);
    options
}
