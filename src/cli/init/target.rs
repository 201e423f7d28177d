//! Where the map and the credentials go.
//!
//! For root they go where the service looks, the credentials as a copy that only root and the group gatepost can read. For
//! others the map goes where they are, and the file of credentials stays where it is.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use gatepost::thingspeak::credentials::{self, Source};

use crate::cli::directories::is_root;
use crate::cli::{is_denied, is_of_service};

/// The service's folder.
const SERVICE: &str = "/etc/gatepost";
/// The map's name.
const MAP: &str = "gatepost.toml";
/// The folder of credentials in the service's.
const CREDENTIALS: &str = "credentials";

/// Where the map goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) map: PathBuf,
    /// Whether the service reads it.
    pub(super) is_service: bool,
}

/// Where the credentials are, and what becomes of the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Placed {
    /// As the map writes it.
    pub(super) written: String,
    /// Where the map will find them.
    pub(super) path: PathBuf,
    pub(super) deed: FileAction,
}

/// What becomes of a file of credentials.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FileAction {
    /// It is copied to its place, from here.
    Copy(PathBuf),
    /// It is in its place, and gets the service's owner and mode.
    Own,
    /// Others may read it, and may not any more.
    Hide,
    /// Nothing.
    Leave,
}

impl Target {
    /// Where `output` says, or else where the service or this user has it.
    pub(super) fn of(output: Option<&Path>) -> Self {
        match output {
            Some(output) => Self { map: output.to_owned(), is_service: output == Path::new(SERVICE).join(MAP) },
            None if is_root() => Self::service(Path::new(SERVICE)),
            None => Self { map: PathBuf::from(MAP), is_service: false },
        }
    }

    /// The service's, whose folder is this.
    pub(super) fn service(folder: &Path) -> Self {
        Self { map: folder.join(MAP), is_service: true }
    }

    /// The map's folder.
    pub(super) fn folder(&self) -> &Path {
        self.map.parent().unwrap_or(Path::new(""))
    }

    /// Where the service has its credentials.
    pub(super) fn credentials_folder(&self) -> Option<PathBuf> {
        self.is_service.then(|| self.folder().join(CREDENTIALS))
    }

    /// Whether a map may be written there.
    pub(super) fn check(&self, force: bool) -> anyhow::Result<()> {
        let map = self.map.display();
        let text = match fs::read_to_string(&self.map) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if is_denied(&error) && is_of_service(&self.map) => {
                return Err(error).with_context(|| format!("{map} belongs to the service: run this with sudo"));
            }
            Err(error) if !force => return Err(error).with_context(|| format!("cannot read {map}")),
            Err(_) => String::new(),
            Ok(text) => text,
        };
        if self.map.is_dir() {
            bail!("{map} is a folder: name a file in it");
        }
        if !force && !says_nothing(&text) {
            bail!(
                "{map} already exists and is not changed: edit it, name another file with --output, or replace it \
                 with --force (which keeps the old one beside it)"
            );
        }
        Ok(())
    }

    /// Where the credentials in `file` will be.
    pub(super) fn credentials(&self, file: &Path, force: bool) -> anyhow::Result<Placed> {
        let Some(folder) = self.credentials_folder() else { return self.where_they_are(file) };
        let name =
            file.file_name().and_then(|name| name.to_str()).context("the credentials file has an unusable name")?;
        let path = folder.join(name);
        let written = format!("{CREDENTIALS}/{name}");
        if is_same(file, &path) {
            return Ok(Placed { written, path, deed: FileAction::Own });
        }
        if path.exists() && !force {
            let other = Source::File(path.clone()).read();
            let own = Source::File(file.to_owned()).read().context("the credentials")?;
            if other.is_ok_and(|other| other != own) {
                bail!(
                    "{} already holds other credentials: rename {}, or replace them with --force",
                    path.display(),
                    file.display()
                );
            }
        }
        Ok(Placed { written, path, deed: FileAction::Copy(file.to_owned()) })
    }

    /// The file as it is, named from the map's folder where it is in there.
    fn where_they_are(&self, file: &Path) -> anyhow::Result<Placed> {
        let absolute = file.canonicalize().with_context(|| format!("cannot find {}", file.display()))?;
        let here = if self.folder().as_os_str().is_empty() { Path::new(".") } else { self.folder() };
        let folder = here
            .canonicalize()
            .with_context(|| format!("there is no folder {}: create it first (mkdir)", here.display()))?;
        let written = absolute.strip_prefix(&folder).unwrap_or(&absolute);
        let written = written.to_str().context("the path of the credentials file is not UTF-8")?.to_owned();
        let path = self.folder().join(&written);
        let deed = if credentials::check_mode(&absolute).is_ok() { FileAction::Leave } else { FileAction::Hide };
        Ok(Placed { written, path, deed })
    }

    /// What will be done to files, a line each.
    pub(super) fn deeds(&self, credentials: &Placed) -> Vec<String> {
        let mut deeds = vec!["Files".to_owned()];
        deeds.push(format!("  {}: the map", self.map.display()));
        if self.map.exists() {
            deeds.push("  the existing map is kept beside it".to_owned());
        }
        let path = credentials.path.display();
        if matches!(credentials.deed, FileAction::Copy(_)) && credentials.path.exists() {
            deeds.push("  existing other credentials are kept beside the new ones".to_owned());
        }
        match &credentials.deed {
            FileAction::Copy(from) => deeds.push(format!(
                "  {path}: a copy of {}, readable by root and the group gatepost; delete the original afterwards",
                from.display()
            )),
            FileAction::Own => deeds.push(format!("  {path}: readable by root and the group gatepost only")),
            FileAction::Hide => {
                deeds.push(format!("  {path}: readable by other users now; access will be restricted (chmod o=)"));
            }
            FileAction::Leave => deeds.push(format!("  {path}: not changed")),
        }
        if self.is_service && service_group().is_none() {
            let told = "  this machine has no group gatepost (the package creates it): only root can read the file";
            deeds.push(told.to_owned());
        }
        deeds
    }
}

/// Whether a map has no live line but its version, as that of the package: nobody's work is lost with it.
fn says_nothing(text: &str) -> bool {
    let live = |line: &&str| !line.is_empty() && !line.starts_with('#');
    let mut lines = text.trim_start_matches('\u{feff}').lines().map(str::trim).filter(live);
    lines.all(|line| line.split_once('=').is_some_and(|(key, _)| key.trim() == "version"))
}

fn is_same(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
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

#[cfg(test)]
mod tests {
    use super::*;

    const CREDENTIALS_TEXT: &str = "username = a\nclientId = a\npassword = sesame";

    #[test]
    fn map_of_the_package_says_nothing_and_any_other_something() {
        assert!(says_nothing(include_str!("../../../config/gatepost.toml")));
        assert!(says_nothing("") && says_nothing("version = 1\n  # id = 2\n"));
        for text in
            [include_str!("../../../config/examples/first-map.toml"), "version = 1\n[broker]", "gpio = \"cdev\""]
        {
            assert!(!says_nothing(text), "{text}");
        }
    }

    #[test]
    fn map_with_anything_in_it_is_kept_unless_forced() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = Target::service(folder.path());
        assert!(target.check(false).is_ok());
        fs::write(&target.map, "version = 1\n[device.pi]\n").expect("written");
        let refused = target.check(false).expect_err("a map").to_string();
        assert!(refused.contains("--force") && refused.contains("--output"), "{refused}");
        assert!(target.check(true).is_ok());
    }

    #[test]
    fn credentials_of_a_user_stay_and_are_named_from_the_map_s_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("secrets")).expect("made");
        let file = folder.path().join("secrets/mqtt_credentials.txt");
        fs::write(&file, CREDENTIALS_TEXT).expect("written");
        let target = Target { map: folder.path().join("gatepost.toml"), is_service: false };
        assert_eq!(target.credentials(&file, false).expect("there").written, "secrets/mqtt_credentials.txt");
        let elsewhere = Target { map: folder.path().join("secrets/../secrets/map.toml"), is_service: false };
        assert_eq!(elsewhere.credentials(&file, false).expect("there").written, "mqtt_credentials.txt");
        let other = tempfile::tempdir().expect("a folder");
        let other = Target { map: other.path().join("gatepost.toml"), is_service: false };
        assert!(Path::new(&other.credentials(&file, false).expect("there").written).is_absolute());
    }

    #[test]
    fn credentials_of_the_service_are_copied_once_and_never_overwrite_others() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = Target::service(&folder.path().join("etc"));
        let file = folder.path().join("mqtt_credentials.txt");
        fs::write(&file, CREDENTIALS_TEXT).expect("written");
        let placed = target.credentials(&file, false).expect("good");
        assert_eq!(
            (placed.written.as_str(), placed.deed),
            ("credentials/mqtt_credentials.txt", FileAction::Copy(file.clone()))
        );
        fs::create_dir_all(placed.path.parent().expect("a folder")).expect("made");
        fs::write(&placed.path, CREDENTIALS_TEXT.replace("sesame", "other")).expect("written");
        let refused = target.credentials(&file, false).expect_err("others").to_string();
        assert!(refused.contains("--force") && !refused.contains("sesame"), "{refused}");
        assert!(target.credentials(&file, true).is_ok());
        assert_eq!(target.credentials(&placed.path, false).expect("in its place").deed, FileAction::Own);
    }

    #[test]
    fn group_is_found_by_its_whole_name() {
        let groups = "root:x:0:\ngatepost2:x:7:\ngatepost:x:994:pi\nbroken";
        assert_eq!((group("gatepost", groups), group("i2c", groups)), (Some(994), None));
    }
}
