//! `gatepost demo`, and the commands that it prints to be tried.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::program::{Program, SOON, gatepost};
use crate::{password_in, typed};

/// A demo whose files go under this folder.
fn demo(folder: &Path, arguments: &[&str]) -> Program {
    let mut command = gatepost();
    command.arg("demo").args(arguments).env("TMPDIR", folder);
    Program::start(command)
}

/// Seconds since its start, as a line of the demo tells them.
fn seconds(line: &str) -> f64 {
    let (seconds, _) = line.trim_start().split_once(" s ").unwrap_or_else(|| panic!("no time: {line}"));
    seconds.parse().unwrap_or_else(|_| panic!("no time: {line}"))
}

#[test]
fn two_entries_are_soon_stored_and_nothing_is_left_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let started = Instant::now();
    let mut program = demo(folder.path(), &["--entries", "2"]);
    let stored = program.wait_for("stored as 1 after");
    println!("first entry stored after {:?}, by its own clock: {stored}", started.elapsed());
    assert!(seconds(&stored) < 5.0, "{stored}");
    program.wait_for("stored as 2 after");
    program.wait_for("entries: 2 stored");
    let status = program.wait_for_end();
    assert!(status.success(), "{status}");
    assert_eq!(fs::read_dir(folder.path()).expect("it is there").count(), 0, "the temporary folder is removed");
}

#[test]
fn ctrl_c_ends_it_well() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut program = demo(folder.path(), &[]);
    program.wait_for("link up");
    let (status, took) = program.end_by(Signal::SIGINT);
    println!("ended after {took:?}");
    assert!(status.success(), "{status}");
    program.wait_for("stopped: outputs at their stop level");
    assert_eq!(fs::read_dir(folder.path()).expect("it is there").count(), 0, "the temporary folder is removed");
}

#[test]
fn what_it_prints_to_be_tried_works() {
    let parent = tempfile::tempdir().expect("a folder");
    // A blank in a path must not break a line that is copied.
    let folder = parent.path().join("my demo");
    let mut program = demo(parent.path(), &["--dir", folder.to_str().expect("text")]);
    program.wait_for("Ctrl-C stops it.");
    let welcome = program.said();
    println!("{welcome}");
    let printed = |words: &str| {
        let line = welcome.lines().find(|line| line.starts_with("    ") && line.contains(words));
        line.unwrap_or_else(|| panic!("no line with {words:?}")).to_owned()
    };
    program.wait_for("stored as 1 after");

    // The door is closed at first; an entry tells that it was opened.
    run(&printed("echo 0"));
    program.wait_for("field4=1");
    program.wait_for("stored as ");

    // The demo switches the lamp twice by itself: what happened then was perhaps not our doing, and is tried again.
    let by_itself = |program: &Program| program.said().matches("somebody writes field1").count();
    loop {
        let before = by_itself(&program);
        has_effect(&mut program, &printed("sandbox publish"), "lamp: on (");
        let level = run(&printed("cat "));
        has_effect(&mut program, &printed("mosquitto_pub"), "lamp: off (");
        if by_itself(&program) == before {
            assert_eq!(level, "1");
            break;
        }
    }

    let said = [program.said(), program.command_line()].concat();
    for device in ["demo", "remote"] {
        let password = password_in(&folder.join(format!("{device}_credentials.txt")));
        assert!(!said.contains(&password), "the password of {device} was told");
    }
    assert!(program.end_by(Signal::SIGINT).0.success());
    assert!(folder.join("pins").is_dir(), "a folder that was asked for stays");
}

#[test]
fn it_ends_without_a_word_when_its_reader_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = typed("gatepost demo | head -n 2");
    command.env("TMPDIR", folder.path());
    let mut program = Program::start(command);
    assert!(program.wait_for_end().success());
    let said = program.said();
    assert!(said.starts_with("gatepost demo: ") && said.lines().count() == 2, "{said}");
}

/// Runs a printed line until the demo says what it did: a channel takes one update a second, and drops the others.
fn has_effect(program: &mut Program, line: &str, effect: &str) {
    let until = Instant::now() + SOON;
    loop {
        let said = run(line);
        if program.hear(effect, Duration::from_secs(2)).is_some() {
            return;
        }
        assert!(Instant::now() < until, "{line}\nhas no effect; it says\n{said}");
    }
}

/// Runs a printed line in a shell and returns what it says.
fn run(line: &str) -> String {
    let mut program = Program::start(typed(line));
    program.wait_for_end();
    program.said()
}
