//! What it says to a first, and perhaps wrong, call.

use std::fs;

use crate::program::{Program, gatepost};

/// Exit code and words of a call.
fn call(arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = gatepost();
    command.args(arguments);
    let mut program = Program::start(command);
    let status = program.wait_for_end();
    (status.code(), program.said())
}

#[test]
fn help_lists_the_commands_and_says_where_to_begin() {
    let (code, said) = call(&["--help"]);
    assert_eq!(code, Some(0));
    for word in ["run ", "check ", "init ", "scan ", "spool ", "demo ", "sandbox ", "New to gatepost? `gatepost demo`"]
    {
        assert!(said.contains(word), "no {word:?} in\n{said}");
    }
    assert_eq!(call(&[]), (Some(2), said), "who asks nothing is told the same");
    let (code, said) = call(&["--version"]);
    assert_eq!((code, &said[..]), (Some(0), concat!("gatepost ", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn a_map_that_cannot_be_read_is_one_line_that_names_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = folder.path().join("nowhere.toml").display().to_string();
    let directory = folder.path().display().to_string();
    for path in [&missing, &directory] {
        for arguments in [&["check", path][..], &["run", "--config", path], &["run", "--simulate", "--config", path]] {
            let (code, said) = call(arguments);
            assert_eq!(code, Some(1), "{said}");
            assert!(said.lines().count() == 1 && said.contains(path.as_str()), "{said}");
        }
    }
}

#[test]
fn a_map_that_is_no_text_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("photo.toml");
    fs::write(&path, b"\x89PNG\r\n\x1a\n\0\0\xff").expect("a file");
    for command in [&["check"][..], &["run", "--config"]] {
        let (code, said) = call(&[command, &[path.to_str().expect("text")]].concat());
        println!("{said}");
        assert!(code == Some(78) || code == Some(1), "{code:?}");
        assert!(said.contains("photo.toml"), "{said}");
    }
}

#[test]
fn run_refuses_a_map_with_twelve_faults_and_touches_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let pins = folder.path().join("pins");
    let map = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/maps/twelve-faults.toml");
    let (checked, of_check) = call(&["check", map]);
    let (ran, of_run) = call(&["run", "--config", map, "--simulate", "--pins", pins.to_str().expect("text")]);
    assert_eq!((checked, ran), (Some(78), Some(78)));
    assert_eq!(of_run, of_check, "both say the same");
    assert_eq!(of_run.lines().filter(|line| line.contains(": fault: ")).count(), 12);
    assert!(!pins.exists(), "no output may move for a map with faults");
}

#[test]
fn simulated_values_are_not_published_to_the_service_unasked() {
    let folder = tempfile::tempdir().expect("a folder");
    let (map, pins) = (folder.path().join("map.toml"), folder.path().join("pins"));
    let text = r#"
version = 1
[device.pi]
client_id = "c"
username = "c"
password = "p"
[channel.room]
id = 1234567
[[sensor]]
name = "pi"
use = "system"
to.load1 = "room.field1"
"#;
    std::fs::write(&map, text).expect("written");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&map, std::fs::Permissions::from_mode(0o600)).expect("ours");
    }
    let [map, pins] = [&map, &pins].map(|path| path.to_str().expect("text"));
    let (code, said) = call(&["run", "--simulate", "--config", map, "--pins", pins]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("mqtt3.thingspeak.com") && said.contains("--publish-simulated"), "{said}");
    assert!(!std::path::Path::new(pins).exists(), "nothing has begun");
    let (code, said) = call(&["run", "--publish-simulated", "--config", map]);
    assert!(code == Some(2) && said.contains("--simulate"), "{said}");
}

#[test]
fn pins_without_simulation_are_refused() {
    let (code, said) = call(&["run", "--pins", "pins"]);
    assert!(code == Some(2) && said.contains("--simulate"), "{said}");
}
