//! What is in the place of a file, and what became of one.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::house::House;
use crate::program::Program;

type Thing = (&'static str, fn(&Path));

const THINGS: [Thing; 4] = [
    ("it is a named pipe and not a plain file", |path| mkfifo(path, Mode::S_IRWXU).expect("made")),
    ("it is a directory and not a plain file", |path| fs::create_dir(path).expect("made")),
    ("it is a link and not a plain file", |path| symlink("/dev/zero", path).expect("made")),
    ("it has 300 MiB; more than 64 MiB is not read", |path| {
        File::create(path).expect("made").set_len(300 << 20).expect("sparse");
    }),
];

/// The most memory that it had, in KiB.
fn peak(program: &Program) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", program.id())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux has it");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn what_is_not_a_plain_file_of_a_sane_size_is_refused_in_words_and_the_daemon_starts() {
    let files = [
        "run/spool.log",
        "run/slots",
        "run/state",
        "state/spool/1-0000000000000001.log",
        "state/spool/1-unconfirmed.log",
        "state/spool/state",
    ];
    std::thread::scope(|scope| {
        for file in files {
            scope.spawn(move || {
                for (words, make) in THINGS {
                    let house = House::new();
                    let path = house.path(file);
                    fs::create_dir_all(path.parent().expect("one")).expect("made");
                    make(&path);
                    let mut daemon = house.start();
                    let said = daemon.said();
                    assert!(said.contains(words), "{file}: {words}: {said}");
                    assert!(peak(&daemon) < 64 << 10, "{file}: {words}: {} KiB", peak(&daemon));
                    assert!(daemon.end_by(Signal::SIGTERM).0.success(), "{file}: {words}");
                    let listed = house.spool(&["list"], &house.runtime());
                    assert!(listed.status.success(), "{file}: {words}");
                }
            });
        }
    });
}

#[test]
fn lock_that_is_not_a_file_is_told_and_nothing_is_written_beside_it() {
    for (words, make) in &THINGS[..3] {
        let house = House::new();
        fs::create_dir_all(house.runtime()).expect("made");
        make(&house.runtime().join("lock"));
        let mut daemon = house.start();
        assert!(daemon.said().contains(&format!("the runtime directory cannot be used: {words}")), "{}", daemon.said());
        assert!(daemon.end_by(Signal::SIGTERM).0.success());
        assert!(!house.runtime().join("spool.log").exists());
    }
}

#[test]
fn renamed_and_rotten_segments_are_told_in_the_log_with_file_and_count() {
    let house = House::new();
    let mut daemon = house.start();
    for _ in 0..8 {
        daemon.wait_for(" made");
    }
    daemon.end_by(Signal::SIGTERM);
    let segments = || -> Vec<_> {
        let names = fs::read_dir(house.disk()).expect("there").map(|file| file.expect("listed").path());
        names.filter(|path| path.extension().is_some_and(|end| end == "log")).collect()
    };
    let [segment] = &segments()[..] else { panic!("one segment") };
    fs::rename(segment, segment.with_file_name("1-00000000000f0501.log")).expect("renamed");
    let mut daemon = house.start();
    assert!(daemon.said().contains("1-00000000000f0501.log was renamed, copied or mixed up"), "{}", daemon.said());
    daemon.end_by(Signal::SIGTERM);
    let mut bytes = fs::read(&segments()[0]).expect("there");
    let middle = bytes.len() / 2;
    bytes[middle..middle + 150].fill(0);
    fs::write(&segments()[0], bytes).expect("written");
    fs::remove_file(house.runtime().join("spool.log")).expect("there");
    let mut daemon = Program::start(house.command());
    let line = daemon.wait_for("is damaged");
    assert!(line.contains("ERROR") && line.contains(".log is damaged: ") && line.contains("at most"), "{line}");
    daemon.wait_for("running");
    assert!(daemon.end_by(Signal::SIGTERM).0.success());
}
