//! One process at a time writes in the two directories, also when somebody removes them.

use std::fs;

use gatepost::store::storage::Folder;
use nix::sys::signal::Signal;

use crate::house::{House, until};
use crate::program::Program;

#[test]
fn second_daemon_with_another_runtime_directory_is_refused_and_so_is_dropping_entries() {
    let house = House::new();
    let mut first = house.start();
    first.wait_for("on the disk, up to");
    let (other, state) = (house.path("other"), house.path("state"));
    for (runtime, state, held) in
        [(&other, &state, house.disk()), (&house.runtime(), &house.path("other-state"), house.runtime())]
    {
        let mut second = Program::start(house.command_in(runtime, state));
        assert_eq!(second.wait_for_end().code(), Some(1));
        let said = second.said();
        assert!(said.contains(&format!("{} is in use by another gatepost", held.display())), "{said}");
        assert!(said.contains(&format!("(process {})", first.id())) && said.contains("--state-dir"), "{said}");
    }
    let dropped = house.spool(&["drop", "--channel", "house", "--yes"], &other);
    let why = String::from_utf8_lossy(&dropped.stderr).into_owned();
    assert!(dropped.status.code() == Some(1) && why.contains("stop it first"), "{why}");
    let listed = house.spool(&["list"], &other);
    assert!(listed.status.success(), "to look is allowed");
    // The first one goes on as if nothing had been.
    first.wait_for("on the disk, up to");
    assert!(first.end_by(Signal::SIGTERM).0.success());
    assert!(!first.said().contains("can no longer be read"), "{}", first.said());
}

#[test]
fn runtime_directory_that_is_removed_is_made_again_with_all_that_belongs_there() {
    let house = House::new();
    let mut daemon = house.start();
    let runtime = house.runtime();
    until("it is removed", || fs::remove_dir_all(&runtime).is_ok());
    daemon.wait_for("the runtime directory or its lock was removed: created again");
    for name in ["lock", "spool.log", "slots", "state", "gatepost.sock"] {
        until(name, || runtime.join(name).exists());
    }
    until("it answers", || house.ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200 ")));
    let mut second = Program::start(house.command_in(&runtime, &house.path("other")));
    assert_eq!(second.wait_for_end().code(), Some(1), "it is locked again");

    // Another file in the lock's place, and then the state directory's lock.
    fs::remove_file(runtime.join("lock")).expect("it is there");
    fs::write(runtime.join("lock"), "").expect("written");
    daemon.wait_for("the runtime directory or its lock was removed");
    until("it is removed", || fs::remove_dir_all(house.path("state")).is_ok());
    daemon.wait_for("the state directory or its lock was removed");
    let mut second = Program::start(house.command_in(&house.path("other"), &house.path("state")));
    assert_eq!(second.wait_for_end().code(), Some(1), "it is locked again");

    fs::remove_file(runtime.join("gatepost.sock")).expect("it is there");
    until("it answers again", || house.ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200 ")));
    assert!(daemon.end_by(Signal::SIGTERM).0.success());
}

#[test]
fn runtime_directory_that_cannot_be_made_again_ends_the_daemon_with_the_reason() {
    let house = House::new();
    let mut daemon = house.start();
    let away = house.path("away");
    fs::rename(house.runtime(), &away).expect("it is there");
    until("a file has its place", || {
        // The daemon may have made it again meanwhile.
        fs::write(house.runtime(), "in the way").is_ok() || fs::remove_dir_all(house.runtime()).is_err()
    });
    let ended = daemon.wait_for_end();
    let said = daemon.said();
    assert_eq!(ended.code(), Some(1), "{said}");
    assert!(said.contains("the runtime directory was removed, and cannot be made again"), "{said}");
    assert!(said.contains("stopped:"), "it stops in order: {said}");
}

#[test]
fn daemon_whose_directory_another_one_has_taken_stops_and_writes_nothing_there() {
    let house = House::new();
    let mut daemon = house.start();
    let other = house.path("other");
    let theirs = Folder::new(&other);
    theirs.lock().expect("nobody has it");
    until("another directory has its place", || {
        // The daemon may make its own again in between.
        let away = tempfile::tempdir_in(house.path(".")).expect("a folder").keep();
        let _ = fs::rename(house.runtime(), away);
        fs::rename(&other, house.runtime()).is_ok()
    });
    let ended = daemon.wait_for_end();
    let said = daemon.said();
    assert_eq!(ended.code(), Some(1), "{said}");
    assert!(said.contains("the runtime directory was removed, and another gatepost has taken its place"), "{said}");
    let there: Vec<_> =
        fs::read_dir(house.runtime()).expect("there").map(|file| file.expect("listed").file_name()).collect();
    assert_eq!(there, ["lock"]);
}
