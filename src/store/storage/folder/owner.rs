//! Folders of other users, and files that belong to whoever owns the folder.

#[cfg(unix)]
use std::fs;
use std::fs::File;
use std::io;
#[cfg(unix)]
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::sync::Arc;
#[cfg(target_os = "linux")]
use std::{fs::Permissions, os::unix::fs::PermissionsExt as _, path::Path};

use super::Folder;

/// A folder that is held open, and who owns it.
#[derive(Debug)]
pub(super) struct Pinned {
    #[cfg(target_os = "linux")]
    pub(super) folder: File,
    #[cfg(unix)]
    owner: (u32, u32),
}

impl Folder {
    /// The same folder for somebody, root most often, who works in what is another user's: new files will belong to whoever
    /// owns it. It is held open, so that a link that is put in its place later leads nowhere.
    ///
    /// # Errors
    /// When a link is there that is neither root's nor this user's, or it cannot be opened. A folder that is not there is no
    /// error.
    #[cfg(target_os = "linux")]
    pub fn for_its_owner(self) -> io::Result<Self> {
        let folder = match open_folder(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(self),
            opened => opened?,
        };
        let found = folder.metadata()?;
        let pinned = Pinned { folder, owner: (found.uid(), found.gid()) };
        Ok(Self { pinned: Some(Arc::new(pinned)), ..self })
    }

    /// As on Linux, without holding it.
    #[cfg(not(target_os = "linux"))]
    pub fn for_its_owner(self) -> io::Result<Self> {
        #[cfg(unix)]
        let pinned = fs::metadata(&self.path).ok().map(|found| Pinned { owner: (found.uid(), found.gid()) });
        #[cfg(not(unix))]
        let pinned = None;
        Ok(Self { pinned: pinned.map(Arc::new), ..self })
    }

    /// A folder of ours that everybody may write, as an earlier version made it without a mask, is theirs no more.
    pub(super) fn close_to_others(&self) {
        #[cfg(target_os = "linux")]
        for folder in [Some(&self.path), self.locked_with.as_ref()].into_iter().flatten() {
            let Ok(found) = fs::symlink_metadata(folder) else { continue };
            let is_ours = found.is_dir() && found.uid() == rustix::process::geteuid().as_raw();
            if is_ours && found.mode() & 0o1002 == 0o002 {
                let path = folder.display();
                log::warn!(path:%; "{path} could be written by every user; from now on it cannot");
                if let Err(error) = fs::set_permissions(folder, Permissions::from_mode(self.mode)) {
                    log::warn!(path:%, reason:% = error; "{path} can still be written by every user: {error}");
                }
            }
        }
    }

    /// In another user's folder a file must be of that folder alone.
    pub(super) fn alone(&self, file: &File) -> io::Result<()> {
        #[cfg(unix)]
        if self.pinned.is_some() && file.metadata()?.nlink() > 1 {
            let words = "it has a second name elsewhere (a hard link)";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, words));
        }
        Ok(())
    }

    /// Gives a file to whoever owns the folder.
    pub(super) fn give(&self, file: &File) -> io::Result<()> {
        self.alone(file)?;
        #[cfg(unix)]
        if let Some(Pinned { owner: (user, group), .. }) = self.pinned.as_deref()
            && file.metadata()?.uid() != *user
        {
            fchown(file, Some(*user), Some(*group))?;
        }
        Ok(())
    }
}

/// A folder itself. A link to one may be root's or this user's: whoever else made it could lead anywhere.
#[cfg(target_os = "linux")]
fn open_folder(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags, fstat, open, readlinkat};
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let folder = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let link = open(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    let found = fstat(&link)?;
    if rustix::fs::FileType::from_raw_mode(found.st_mode) != rustix::fs::FileType::Symlink {
        return Ok(File::from(open(path, folder | OFlags::NOFOLLOW, Mode::empty())?));
    }
    if found.st_uid != 0 && found.st_uid != rustix::process::geteuid().as_raw() {
        let words = "it is a link that another user made: name the directory that is meant";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, words));
    }
    let target = readlinkat(&link, "", Vec::new())?;
    let target = path.parent().unwrap_or(Path::new("")).join(OsStr::from_bytes(target.as_bytes()));
    Ok(File::from(open(&target, folder, Mode::empty())?))
}
