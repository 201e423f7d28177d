//! The files of a map: the map itself, and behind it the drop-ins `conf.d/*.toml` of its folder in the order of their names.
//!
//! They stand one behind the other in one text, so that an offset names a place in any of them. Each is parsed by itself, behind as many
//! blanks as there is text before it: that makes the parser's places those of the whole.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::diagnostic::Findings;
use super::syntax::{self, Spoilt};

/// The folder of the drop-ins, beside the map.
pub(super) const FOLDER: &str = "conf.d";

/// One of the files.
#[derive(Clone, Debug)]
pub(super) struct MapFile {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// The texts of a map as they are parsed.
pub(super) struct Texts(Vec<String>);

impl Texts {
    pub(super) fn new(files: &[MapFile]) -> Self {
        let mut start = 0;
        let padded = files.iter().map(|file| {
            let text = match start {
                0 => file.text.clone(),
                // The line before ends where this file's first line begins.
                before => format!("{}\n{}", " ".repeat(before - 1), file.text),
            };
            start += file.text.len() + 1;
            text
        });
        Self(padded.collect())
    }

    /// Parses all of them, and merges what they say. Gives the lines that are no TOML too.
    pub(super) fn read(&self, findings: &mut Findings) -> (DeTable<'_>, Spoilt) {
        let mut whole = DeTable::new();
        let mut spoilt = Spoilt::default();
        for text in &self.0 {
            let (root, lines) = syntax::read(text, findings);
            spoilt.extend(lines);
            merge(&mut whole, root);
        }
        (whole, spoilt)
    }
}

/// Adds a later file's tables: sensors and outputs stand behind those before them, and a key of any other table replaces the earlier one.
fn merge<'a>(before: &mut DeTable<'a>, later: DeTable<'a>) {
    for (key, node) in later {
        let span = node.span();
        match (before.get_mut(key.get_ref().as_ref()).map(toml::Spanned::get_mut), node.into_inner()) {
            (Some(DeValue::Table(known)), DeValue::Table(more)) => merge(known, more),
            (Some(DeValue::Array(known)), DeValue::Array(more)) if is_tables(known) && is_tables(&more) => {
                more.into_iter().for_each(|node| known.push(node));
            }
            (_, value) => {
                before.remove(key.get_ref().as_ref());
                before.insert(key, toml::Spanned::new(span, value));
            }
        }
    }
}

fn is_tables(array: &toml::de::DeArray<'_>) -> bool {
    array.iter().all(|node| node.get_ref().is_table())
}

/// The drop-ins of the map at `path`, which may have none.
///
/// # Errors
/// When the folder is there and cannot be read.
pub(super) fn drop_ins(path: &Path) -> io::Result<Vec<PathBuf>> {
    let folder = path.parent().unwrap_or(Path::new("")).join(FOLDER);
    let entries = match fs::read_dir(&folder) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        entries => entries?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if path.extension().is_some_and(|extension| extension == "toml") && !is_hidden {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Each file with its place in the whole text.
pub(super) fn places(files: &[MapFile]) -> Vec<(PathBuf, Range<usize>)> {
    let mut start = 0;
    let place = |file: &MapFile| {
        let place = start..start + file.text.len();
        start = place.end + 1;
        (file.path.clone(), place)
    };
    files.iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{LoadError, Settings, devices::Promised, load, parse_files};
    use super::*;
    use crate::config::fixture;

    fn read(texts: &[&str]) -> Result<Settings, String> {
        let files: Vec<MapFile> = texts
            .iter()
            .enumerate()
            .map(|(number, text)| MapFile { path: format!("{number}.toml").into(), text: (*text).to_owned() })
            .collect();
        parse_files(&files, &Promised::Nothing).map(|checked| checked.settings).map_err(|error| error.to_string())
    }

    const DOOR: &str = "[[sensor]]\nname = \"door\"\nuse = \"input\"\npin = 22\nto.level = \"house.field1\"\n";
    const TANK: &str = "[[sensor]]\nname = \"tank\"\nuse = \"file\"\npath = \"/tank\"\nto.value = \"house.field2\"\n";

    #[test]
    fn drop_in_adds_sensors_and_replaces_keys() {
        let host = ["[channel.house]\nid = 8\nevery = \"1m\"\n[broker]\nport = 8443\n", TANK].concat();
        let map = read(&[&fixture::map(&["every = \"20s\"\n", DOOR].concat()), &host]).expect("good");
        let names: Vec<_> = map.sensors.iter().map(|sensor| sensor.name.as_str()).collect();
        assert_eq!(names, ["door", "tank"]);
        assert_eq!((map.channels.len(), map.channels[0].id.0, map.channels[0].every.as_secs()), (1, 8, 60));
        assert_eq!(map.broker.port, 8443);
        // The last file has the last word.
        let map = read(&[&fixture::map(DOOR), "[channel.house]\nid = 8\n", "[channel.house]\nid = 9\n"]).expect("good");
        assert_eq!(map.channels[0].id.0, 9);
    }

    #[test]
    fn fault_names_its_own_file_and_line_and_a_name_that_stands_twice_both() {
        let told = read(&[&fixture::map(DOOR), "\n[channel.house]\nevry = \"1m\"\n"]).expect_err("a typo");
        assert!(told.starts_with("1.toml:3:1: fault: unknown key `evry`"), "{told}");
        let told = read(&[&fixture::map(DOOR), "# one\n", &TANK.replace("tank", "door")]).expect_err("twice");
        assert!(told.starts_with("2.toml:2:8: fault: two sensors are named `door`"), "{told}");
        assert!(told.contains("the first is in line 9 of 0.toml"), "{told}");
        let told = read(&[&fixture::map(DOOR), "gpio = cdev\n"]).expect_err("no TOML");
        assert!(told.starts_with("1.toml:1:8: fault: a text needs quotes"), "{told}");
        let told = read(&[&fixture::map(DOOR), "[device.pi]\npasword = \"sesame\"\n"]).expect_err("a typo");
        assert!(told.starts_with("1.toml:2:1: ") && !told.contains("sesame"), "{told}");
    }

    #[test]
    fn drop_ins_are_read_in_the_order_of_their_names_and_other_files_are_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let map = folder.path().join("map.toml");
        fs::write(&map, fixture::map(DOOR).replace("password = \"sesame\"", "password_file = \"p\"")).expect("written");
        let into = |name: &str, text: &str| fs::write(folder.path().join(FOLDER).join(name), text).expect("written");
        fs::write(folder.path().join("p"), "sesame-sesame\n").expect("written");
        #[cfg(unix)]
        fs::set_permissions(folder.path().join("p"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("set");
        fs::create_dir(folder.path().join(FOLDER)).expect("made");
        into("20-b.toml", "[channel.house]\nid = 20\n");
        into("10-a.toml", "[channel.house]\nid = 10\n");
        into("30-c.toml.bak", "[channel.house]\nid = 30\n");
        into(".40-d.toml", "[channel.house]\nid = 40\n");
        let checked = load(&map).expect("good");
        assert_eq!(checked.settings.channels[0].id.0, 20);
        let names: Vec<_> = checked.source.names().collect();
        assert!(names.len() == 3 && names[1].ends_with("10-a.toml") && names[2].ends_with("20-b.toml"), "{names:?}");
        fs::create_dir(folder.path().join(FOLDER).join("50-e.toml")).expect("made");
        assert!(matches!(load(&map), Err(LoadError::Unreadable { path, .. }) if path.ends_with("50-e.toml")));
    }
}
