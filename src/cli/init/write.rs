//! Writes map and credentials, each in one piece: there is the old file or the new one, never a part.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use secrecy::zeroize::Zeroizing;

use super::target::{FileAction, Placed, Target, service_group};
#[cfg(unix)]
use crate::cli::directories::is_root;

/// Owner and group may read it, and the owner write.
const SECRET: u32 = 0o640;
const FOLDER: u32 = 0o750;

/// Whose a file is to be, and who may read it. What is not said stays as the system makes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Access {
    mode: Option<u32>,
    owner: Option<u32>,
    group: Option<u32>,
}

/// Does what was announced: the credentials first, so that a map never names what is not there. If the map cannot be written,
/// a copy of the credentials that was made for it is taken back.
pub(super) fn write(target: &Target, credentials: &Placed, map: &str) -> anyhow::Result<()> {
    let is_new = !credentials.path.exists();
    place(target, credentials).with_context(|| format!("cannot put {} in its place", credentials.path.display()))?;
    let written = keep_old(&target.map).and_then(|_| in_one_piece(&target.map, map.as_bytes(), access(target)));
    if written.is_err() && is_new {
        // It was of no use without the map; the original is still where it was.
        let _ = fs::remove_file(&credentials.path);
    }
    written.with_context(|| format!("cannot write {}", target.map.display()))
}

/// The service's map is for root and the daemon, as the package has it; a user's stays as the one that it replaces.
fn access(target: &Target) -> Access {
    if target.is_service { service(SECRET) } else { kept(&target.map) }
}

/// What the service reads and nobody else.
fn service(mode: u32) -> Access {
    Access { mode: Some(mode), owner: None, group: service_group() }
}

fn place(target: &Target, credentials: &Placed) -> io::Result<()> {
    let access = if target.is_service { service(SECRET) } else { Access { mode: Some(SECRET), ..Access::default() } };
    match &credentials.deed {
        FileAction::Copy(from) => {
            let folder = credentials.path.parent().filter(|folder| !folder.is_dir());
            if let Some(folder) = folder {
                fs::create_dir_all(folder)?;
                own(&File::open(folder)?, Access { mode: Some(FOLDER), ..access })?;
            }
            let new = Zeroizing::new(fs::read(from)?);
            let differs = fs::read(&credentials.path).is_ok_and(|old| *Zeroizing::new(old) != *new);
            if let Some(old) = if differs { keep_old(&credentials.path)? } else { None } {
                own(&open_itself(&old)?, access)?;
            }
            in_one_piece(&credentials.path, &new, access)
        }
        FileAction::Own => own(&File::open(&credentials.path)?, access),
        FileAction::Hide => hide(&open_itself(&credentials.path)?),
        FileAction::Leave => Ok(()),
    }
}

/// Keeps what is at a path under the first free of `gatepost.toml.bak`, `gatepost.toml.bak2` and so on, and returns that.
fn keep_old(path: &Path) -> io::Result<Option<PathBuf>> {
    if !path.exists() {
        return Ok(None);
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let names = [format!("{name}.bak")].into_iter().chain((2..).map(|number: u32| format!("{name}.bak{number}")));
    // A link that leads nowhere has the name too.
    let mut free = names.map(|name| path.with_file_name(name)).filter(|path| fs::symlink_metadata(path).is_err());
    let new = free.next().expect("numbers do not end");
    // A second name for the old file, which the new one does not touch; where there are no such, a copy.
    fs::hard_link(path, &new).or_else(|_| copy(path, &new))?;
    Ok(Some(new))
}

/// A copy in a file of its own, whatever somebody else puts there meanwhile.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let bytes = Zeroizing::new(fs::read(from)?);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    private(&mut options);
    let mut file = options.open(to)?;
    file.write_all(&bytes)?;
    own(&file, kept(from))
}

/// A file that is taken away again unless it got its name.
struct Fresh(PathBuf);

impl Drop for Fresh {
    fn drop(&mut self) {
        // It has another name by now, or is of no use.
        let _ = fs::remove_file(&self.0);
    }
}

fn in_one_piece(path: &Path, bytes: &[u8], access: Access) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    // Nobody else may look while it is being written; what has no mode of its own holds no secret.
    if access.mode.is_some() {
        private(&mut options);
    }
    let fresh = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let mut file = options.open(&fresh)?;
    let fresh = Fresh(fresh);
    file.write_all(bytes)?;
    // By the open file and not by its name, which in somebody's folder may mean another file by now.
    own(&file, access)?;
    file.sync_all()?;
    fs::rename(&fresh.0, path)?;
    // The name is on the disk once its folder is; not every system can do that.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).or(Ok(()))
}

#[cfg(unix)]
fn private(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt as _;
    options.mode(0o600);
}

/// How the file at a path stands, for the one that takes its place. Only root can give it its owner.
#[cfg(unix)]
fn kept(path: &Path) -> Access {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let Ok(found) = fs::symlink_metadata(path) else { return Access::default() };
    if !found.is_file() {
        return Access::default();
    }
    let give = |id| Some(id).filter(|_| is_root());
    Access { mode: Some(found.permissions().mode() & 0o777), owner: give(found.uid()), group: give(found.gid()) }
}

#[cfg(unix)]
fn own(file: &File, Access { mode, owner, group }: Access) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    if owner.is_some() || group.is_some() {
        std::os::unix::fs::fchown(file, owner, group)?;
    }
    mode.map_or(Ok(()), |mode| file.set_permissions(fs::Permissions::from_mode(mode)))
}

/// A file itself: a link in its place is refused, for it may lead to what is none of ours.
#[cfg(target_os = "linux")]
fn open_itself(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
}

#[cfg(not(target_os = "linux"))]
fn open_itself(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// Takes the file from others; owner and group keep what they have.
#[cfg(unix)]
fn hide(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = file.metadata()?.permissions().mode();
    file.set_permissions(fs::Permissions::from_mode(mode & 0o770))
}

#[cfg(not(unix))]
fn private(_options: &mut OpenOptions) {}

#[cfg(not(unix))]
fn kept(_path: &Path) -> Access {
    Access::default()
}

#[cfg(not(unix))]
fn own(_file: &File, _access: Access) -> io::Result<()> {
    Ok(())
}

#[cfg(not(unix))]
fn hide(_file: &File) -> io::Result<()> {
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
        assert_eq!([mode(&target.map), mode(&placed.path)], [0o640, 0o640]);
        assert_eq!(mode(placed.path.parent().expect("a folder")), 0o750);
        let etc = folder.path().join("etc");
        assert_eq!(names(&etc), ["credentials", "gatepost.toml", "gatepost.toml.bak"]);
        write(&target, &placed, "version = 1\n").expect("written");
        assert_eq!(fs::read_to_string(etc.join("gatepost.toml.bak2")).expect("kept"), "version = 1 # new\n");
        assert_eq!(names(placed.path.parent().expect("a folder")), ["mqtt_credentials.txt"]);
    }

    #[test]
    fn map_of_a_user_keeps_the_mode_of_the_one_that_it_replaces() {
        let (folder, _, placed) = machine();
        let target = Target { map: folder.path().join("map.toml"), is_service: false };
        let placed = Placed { deed: FileAction::Leave, ..placed };
        fs::write(&target.map, "version = 1\n").expect("written");
        let usual = mode(&target.map);
        fs::remove_file(&target.map).expect("it was there");
        write(&target, &placed, "version = 1\n").expect("written");
        assert_eq!(mode(&target.map), usual, "a new one is as every new file");
        fs::set_permissions(&target.map, fs::Permissions::from_mode(0o600)).expect("one's own");
        write(&target, &placed, "version = 1 # new\n").expect("written");
        assert_eq!(mode(&target.map), 0o600);
    }

    #[test]
    fn other_credentials_are_kept_beside_the_new_ones_and_as_secret() {
        let (folder, target, placed) = machine();
        write(&target, &placed, "version = 1\n").expect("written");
        let old = fs::read_to_string(&placed.path).expect("there");
        fs::set_permissions(&placed.path, fs::Permissions::from_mode(0o604)).expect("one's own");
        let file = folder.path().join("mqtt_credentials.txt");
        fs::write(&file, "username = b\nclientId = b\npassword = poppy").expect("written");
        let placed = target.credentials(&file, true).expect("forced");
        for _ in 0..2 {
            write(&target, &placed, "version = 1\n").expect("written");
        }
        let secrets = placed.path.parent().expect("a folder");
        assert_eq!(names(secrets), ["mqtt_credentials.txt", "mqtt_credentials.txt.bak"], "the same ones are not kept");
        let kept = secrets.join("mqtt_credentials.txt.bak");
        assert_eq!((fs::read_to_string(&kept).expect("kept"), mode(&kept)), (old, 0o640));
    }

    #[test]
    fn link_in_somebody_s_folder_leads_to_no_other_file() {
        let (folder, _, placed) = machine();
        let other = folder.path().join("other");
        fs::write(&other, "not ours").expect("written");
        fs::set_permissions(&other, fs::Permissions::from_mode(0o644)).expect("one's own");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&other, &link).expect("made");
        assert!(open_itself(&link).is_err(), "it would be hidden from others");
        assert_eq!(mode(&other), 0o644);
        // Where an old map would be kept, and where a new one is written.
        let target = Target { map: folder.path().join("map.toml"), is_service: false };
        std::os::unix::fs::symlink(folder.path().join("nowhere"), folder.path().join("map.toml.bak")).expect("made");
        fs::write(&target.map, "version = 1\n").expect("written");
        write(&target, &Placed { deed: FileAction::Leave, ..placed }, "version = 1 # new\n").expect("written");
        assert!(!folder.path().join("nowhere").exists() && folder.path().join("map.toml.bak2").exists());
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
}
