//! The questions, answered by a text.

use std::io::Cursor;
use std::path::Path;

use gatepost::first_map::offers;

use super::*;

/// Nothing given.
fn nothing() -> Args {
    Args {
        credentials: None,
        channel: Vec::new(),
        command_channel: None,
        license: None,
        to: Vec::new(),
        skip: Vec::new(),
        found: None,
        output: None,
        force: false,
        yes: false,
    }
}

/// What comes of these answers, and what was said.
fn talk(args: &Args, lines: &[&str]) -> (anyhow::Result<questions::Chosen>, String) {
    let found = Found { cpu_temperature: true, ..Found::default() };
    let mut said = Vec::new();
    let input = Cursor::new(lines.join("\n") + if lines.is_empty() { "" } else { "\n" });
    let target = Target::service(Path::new("/nowhere"));
    let chosen = questions::ask(&mut Talk::new(input, &mut said), args, &target, &offers(&found));
    (chosen, String::from_utf8(said).expect("text"))
}

/// A file of credentials.
fn downloaded() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mqtt_credentials.txt");
    std::fs::write(&file, "username = a\nclientId = a\npassword = sesame").expect("written");
    let file = file.display().to_string();
    (folder, file)
}

#[test]
fn wrong_answers_are_explained_and_asked_again() {
    let (folder, file) = downloaded();
    let of_folder = folder.path().display().to_string();
    let lines = [
        of_folder.as_str(),
        "nowhere.txt",
        file.as_str(),
        "",
        "room",
        "0",
        "1234567",
        "",
        "1234567",
        "1234568",
        "room",
        "cellar",
        "",
        "gratis",
        "paid",
        "perhaps",
        "yes",
        "attic",
        "cellar",
        "1234569",
        "",
    ];
    let (chosen, said) = talk(&nothing(), &lines);
    let chosen = chosen.unwrap_or_else(|error| panic!("{error}\n{said}"));
    let names: Vec<_> = chosen.answers.channels.iter().map(|channel| (channel.name.as_str(), channel.id.0)).collect();
    assert_eq!(names, [("room", 1_234_567), ("cellar", 1_234_568)]);
    assert_eq!(chosen.answers.commands, Some(Named::parse("switches=1234569").expect("good")));
    assert_eq!(chosen.answers.places, [gatepost::first_map::Place::Channel(1)]);
    assert_eq!(chosen.credentials, Path::new(&file));
    for words in [
        "is a directory",
        "nowhere.txt",
        "\"\" is not a channel's number",
        "\"room\" is not a channel's number",
        "\"0\" is not a channel's number",
        "channel 1234567 is already in use",
        "the name room is already in use",
        "answer free or paid",
        "answer yes or no",
        "answer one of room, cellar",
    ] {
        assert!(said.contains(words), "no {words:?} in\n{said}");
    }
    assert!(!said.contains("sesame"));
}

#[test]
fn what_the_flags_say_is_not_asked() {
    let (_folder, file) = downloaded();
    let args = Args {
        credentials: Some(PathBuf::from(file)),
        channel: vec![Named::parse("room=1234567").expect("good")],
        license: Some("free".to_owned()),
        ..nothing()
    };
    let (chosen, said) = talk(&args, &["no"]);
    assert_eq!(chosen.expect("one question").answers.places, [gatepost::first_map::Place::Nowhere]);
    assert!(said.contains("pi (this machine itself): cpu_temperature? [yes]: "), "{said}");
    assert!(!said.contains("Channel ID") && !said.contains("free or paid"), "{said}");
}

#[test]
fn end_of_the_input_stops_at_any_question() {
    let (_folder, file) = downloaded();
    let lines = [file.as_str(), "1234567", "room", "", "free", "yes"];
    for answered in 0..=lines.len() {
        let (chosen, said) = talk(&nothing(), &lines[..answered]);
        let stopped = chosen.err().unwrap_or_else(|| panic!("{answered} answers are not enough:\n{said}"));
        assert_eq!(stopped.to_string(), "stopped: nothing was written");
    }
}

#[test]
fn names_in_flags_that_do_not_exist_are_told_with_those_that_do() {
    let (_folder, file) = downloaded();
    let offers = offers(&Found::default());
    let with = |to: &str, skip: &[&str]| {
        let args = Args {
            credentials: Some(PathBuf::from(&file)),
            channel: vec![Named::parse("room=1234567").expect("good")],
            to: vec![to.to_owned()],
            skip: skip.iter().map(|name| (*name).to_owned()).collect(),
            ..nothing()
        };
        questions::given(&args, &offers).err().map(|error| error.to_string())
    };
    assert_eq!(with("pi=room", &[]), None);
    assert_eq!(with("air=room", &[]).as_deref(), Some("there is no sensor air: the sensors are pi"));
    assert!(with("pi=attic", &[]).is_some_and(|error| error.contains("--channel attic=ID")));
    assert!(with("pi", &[]).is_some_and(|error| error.contains("SENSOR=CHANNEL")));
    assert_eq!(with("pi=room", &["probe"]).as_deref(), Some("there is no sensor probe: the sensors are pi"));
}
