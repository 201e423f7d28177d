//! Writes map and credentials, each in one piece: there is the old file or the new one, never a part.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use secrecy::zeroize::Zeroizing;

use super::target::{Deed, Placed, Target};

/// Owner and group may read it, and the owner write.
const SECRET: u32 = 0o640;
const FOLDER: u32 = 0o750;
const OPEN: u32 = 0o644;

/// Does what was announced: the credentials first, so that a map never names what is not there. If the map cannot be written,
/// a copy of the credentials that was made for it is taken back.
pub(super) fn write(target: &Target, credentials: &Placed, map: &str) -> anyhow::Result<()> {
    let is_new = !credentials.path.exists();
    place(target, credentials).with_context(|| format!("cannot put {} in its place", credentials.path.display()))?;
    let written = keep_old(&target.map).and_then(|()| in_one_piece(&target.map, map.as_bytes(), OPEN, None));
    if written.is_err() && is_new {
        // It was of no use without the map; the original is still where it was.
        let _ = fs::remove_file(&credentials.path);
    }
    written.with_context(|| format!("cannot write {}", target.map.display()))
}

fn place(target: &Target, credentials: &Placed) -> io::Result<()> {
    let group = if target.is_service { service_group() } else { None };
    match &credentials.deed {
        Deed::Copy(from) => {
            if let Some(folder) = credentials.path.parent().filter(|folder| !folder.is_dir()) {
                fs::create_dir_all(folder)?;
                own(folder, FOLDER, group)?;
            }
            in_one_piece(&credentials.path, &Zeroizing::new(fs::read(from)?), SECRET, group)
        }
        Deed::Own => own(&credentials.path, SECRET, group),
        Deed::Hide => hide(&credentials.path),
        Deed::Leave => Ok(()),
    }
}

/// Keeps what is at a path under the first free of `gatepost.toml.bak`, `gatepost.toml.bak2` and so on.
fn keep_old(path: &Path) -> io::Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let names = [format!("{name}.bak")].into_iter().chain((2..).map(|number: u32| format!("{name}.bak{number}")));
    let mut free = names.map(|name| path.with_file_name(name)).filter(|path| !path.exists());
    let kept = free.next().expect("numbers do not end");
    // A second name for the old file, which the new one does not touch; where there are no such, a copy.
    fs::hard_link(path, &kept).or_else(|_| fs::copy(path, &kept).map(drop))
}

/// A file that is taken away again unless it got its name.
struct Fresh(PathBuf);

impl Drop for Fresh {
    fn drop(&mut self) {
        // It has another name by now, or is of no use.
        let _ = fs::remove_file(&self.0);
    }
}

fn in_one_piece(path: &Path, bytes: &[u8], mode: u32, group: Option<u32>) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let fresh = Fresh(path.with_file_name(format!(".{name}.{}", std::process::id())));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    private(&mut options);
    let mut file = options.open(&fresh.0)?;
    file.write_all(bytes)?;
    own(&fresh.0, mode, group)?;
    file.sync_all()?;
    fs::rename(&fresh.0, path)?;
    // The name is on the card once its folder is; not every system can do that.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).or(Ok(()))
}

/// The service's group; the package makes it.
pub(super) fn service_group() -> Option<u32> {
    group("gatepost", &fs::read_to_string("/etc/group").unwrap_or_default())
}

/// The number of a group in a text as `/etc/group` has it.
fn group(name: &str, groups: &str) -> Option<u32> {
    let fields = groups.lines().map(|line| line.split(':').collect::<Vec<_>>());
    fields.filter(|fields| fields.first() == Some(&name)).find_map(|fields| fields.get(2)?.parse().ok())
}

/// Nobody else may look while it is being written.
#[cfg(unix)]
fn private(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt as _;
    options.mode(0o600);
}

#[cfg(unix)]
fn own(path: &Path, mode: u32, group: Option<u32>) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    if group.is_some() {
        std::os::unix::fs::chown(path, None, group)?;
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

/// Takes the file from others; owner and group keep what they have.
#[cfg(unix)]
fn hide(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(path)?.permissions().mode();
    fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o770))
}

#[cfg(not(unix))]
fn private(_options: &mut OpenOptions) {}

#[cfg(not(unix))]
fn own(_path: &Path, _mode: u32, _group: Option<u32>) -> io::Result<()> {
    Ok(())
}

#[cfg(not(unix))]
fn hide(_path: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("there").permissions().mode() & 0o777
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("there");
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("one").file_name().into_string().expect("text")).collect();
        names.sort();
        names
    }

    /// The service's folder as the package makes it, and a downloaded file beside it.
    fn machine() -> (tempfile::TempDir, Target, Placed) {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("etc")).expect("made");
        let target = Target::service(&folder.path().join("etc"));
        let file = folder.path().join("mqtt_credentials.txt");
        fs::write(&file, "username = a\nclientId = a\npassword = sesame").expect("written");
        let placed = target.credentials(&file, false).expect("good");
        (folder, target, placed)
    }

    #[test]
    fn service_gets_its_map_and_credentials_that_others_cannot_read() {
        let (folder, target, placed) = machine();
        fs::write(&target.map, "version = 1\n").expect("written");
        write(&target, &placed, "version = 1 # new\n").expect("written");
        assert_eq!(fs::read_to_string(&target.map).expect("there"), "version = 1 # new\n");
        assert_eq!([mode(&target.map), mode(&placed.path)], [0o644, 0o640]);
        assert_eq!(mode(placed.path.parent().expect("a folder")), 0o750);
        let etc = folder.path().join("etc");
        assert_eq!(names(&etc), ["credentials", "gatepost.toml", "gatepost.toml.bak"]);
        write(&target, &placed, "version = 1\n").expect("written");
        assert_eq!(fs::read_to_string(etc.join("gatepost.toml.bak2")).expect("kept"), "version = 1 # new\n");
        assert_eq!(names(placed.path.parent().expect("a folder")), ["mqtt_credentials.txt"]);
    }

    #[test]
    fn map_that_cannot_be_written_leaves_no_credentials_behind() {
        let (folder, mut target, placed) = machine();
        target.map = folder.path().join("gone/gatepost.toml");
        let failed = write(&target, &placed, "version = 1\n").expect_err("no such folder");
        assert!(failed.to_string().contains("gone/gatepost.toml"), "{failed}");
        assert!(!placed.path.exists());
        assert!(names(folder.path()).contains(&"mqtt_credentials.txt".to_owned()), "the original stays");
    }

    #[test]
    fn group_is_found_by_its_whole_name() {
        let groups = "root:x:0:\ngatepost2:x:7:\ngatepost:x:994:pi\nbroken";
        assert_eq!((group("gatepost", groups), group("i2c", groups)), (Some(994), None));
    }
}
