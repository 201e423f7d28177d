//! The reference of the map against reality: the page is what the generator writes, every key of the schema is accepted
//! and its default applied, and the default map names every key.
//!
//! It is built with the feature `docs` only; `just docs` renews the page.

mod default_map;
mod keys;

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The crate's root.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What the generator writes, in a folder.
fn written() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let done = Command::new(env!("CARGO_BIN_EXE_gatepost")).arg("docs").arg(folder.path()).status();
    assert!(done.expect("the binary runs").success());
    folder
}

/// The schema as an editor gets it.
fn schema() -> Value {
    let text = fs::read_to_string(written().path().join("gatepost.schema.json")).expect("it was written");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn the_page_on_the_map_is_what_the_code_says() {
    let page = fs::read_to_string(written().path().join("map.md")).expect("it was written");
    let committed = fs::read_to_string(root().join("docs/map.md")).unwrap_or_default();
    assert!(committed == page, "docs/map.md is not what the code says: run `just docs` and commit it");
    let page = fs::read_to_string(written().path().join("sensors.md")).expect("it was written");
    let committed = fs::read_to_string(root().join("docs/sensors.md")).unwrap_or_default();
    assert!(committed == page, "docs/sensors.md is not what the code says: run `just docs` and commit it");
}

#[test]
fn every_file_is_written_and_none_lists_the_generator_itself() {
    let folder = written();
    let files = [
        "man/gatepost.1",
        "man/gatepost.toml.5",
        "completions/gatepost.bash",
        "completions/_gatepost",
        "completions/gatepost.fish",
    ];
    for name in files {
        let text = fs::read_to_string(folder.path().join(name)).expect("it was written");
        assert!(!text.contains("gatepost docs") && !text.contains("__docs"), "{name} tells of a hidden command");
        assert!(name.ends_with(".5") || text.contains("simulate"), "{name} has the options of `run`");
    }
}
