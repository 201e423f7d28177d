//! What other users of the machine may do, and may not.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{PermissionsExt as _, lchown, symlink};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::sys::signal::Signal;

use crate::house::House;
use crate::program::Program;

#[test]
fn directories_and_files_have_their_modes_whatever_the_mask() {
    for mask in ["000", "022", "077"] {
        let house = House::new();
        let daemon = house.command();
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("umask {mask}; exec \"$0\" \"$@\""));
        command.arg(daemon.get_program()).args(daemon.get_args());
        let mut daemon = Program::start(command);
        daemon.wait_for("on the disk, up to");
        let mode = |name: &str| {
            let found = fs::metadata(house.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
            format!("{name} {:o}", found.permissions().mode() & 0o777)
        };
        let folders = ["state 750", "state/spool 750", "run 755"];
        let files = ["run/gatepost.sock 666", "run/lock 640", "run/spool.log 640", "run/slots 640"];
        for expected in folders.into_iter().chain(files) {
            let name = expected.split(' ').next().expect("a name");
            assert_eq!(mode(name), expected, "umask {mask}");
        }
        for file in fs::read_dir(house.disk()).expect("there") {
            let file = file.expect("listed").path();
            assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o640, "{}", file.display());
        }
        daemon.end_by(Signal::SIGTERM);
    }
}

/// Becomes another user, in this thread alone. Only root can.
fn become_nobody() -> bool {
    let nobody = rustix::process::Uid::from_raw(65_534);
    rustix::process::geteuid().is_root() && rustix::thread::set_thread_uid(nobody).is_ok()
}

#[test]
fn others_are_answered_while_one_user_floods_the_socket() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("NOT TRIED: only root can be two users; the server's own test tries it without them");
        return;
    }
    let house = House::new();
    let mut daemon = house.start();
    fs::set_permissions(house.path("."), fs::Permissions::from_mode(0o755)).expect("ours");
    let (socket, is_over) = (house.runtime().join("gatepost.sock"), AtomicBool::new(false));
    thread::scope(|scope| {
        let flood = scope.spawn(|| {
            assert!(become_nobody());
            let mut held = Vec::new();
            let mut connected = 0_u32;
            while !is_over.load(Ordering::Relaxed) {
                match UnixStream::connect(&socket) {
                    Ok(stream) => {
                        connected += 1;
                        held.push(stream);
                    }
                    Err(_) => thread::yield_now(),
                }
                if held.len() > 500 {
                    held.drain(..250);
                }
            }
            // Who floods is answered, too.
            let mut stream = UnixStream::connect(&socket).expect("it listens");
            stream.write_all(b"GET /status HTTP/1.1\r\n\r\n").expect("written");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).expect("text");
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
            connected
        });
        let answered = (0..20).filter(|_| {
            thread::sleep(std::time::Duration::from_millis(50));
            house.ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200 "))
        });
        let answered = answered.count();
        is_over.store(true, Ordering::Relaxed);
        let connected = flood.join().expect("it floods");
        assert_eq!(answered, 20, "while {connected} connections came");
        assert!(connected > 1000, "{connected}");
    });
    assert!(daemon.end_by(Signal::SIGTERM).0.success());
}

#[test]
fn root_follows_no_link_that_the_services_user_has_planted() {
    let house = House::new();
    let mut daemon = house.start();
    daemon.end_by(Signal::SIGTERM);
    let elsewhere = house.path("elsewhere");
    fs::create_dir(&elsewhere).expect("made");
    fs::write(elsewhere.join("important.new"), "root's").expect("written");
    // The file of the log, of its replacement, and the directory itself.
    let log = house.runtime().join("spool.log");
    let kept = fs::read(&log).expect("there");
    fs::remove_file(&log).expect("there");
    symlink(elsewhere.join("important.new"), &log).expect("planted");
    symlink(elsewhere.join("important.new"), house.runtime().join("spool.log.new")).expect("planted");
    let dropped = house.spool(&["drop", "--channel", "house", "--yes"], &house.runtime());
    let said = format!("{dropped:?}");
    assert!(said.contains("it is a link and not a plain file"), "{said}");
    assert_eq!(fs::read(elsewhere.join("important.new")).expect("there"), b"root's");
    let _ = fs::remove_file(&log);
    fs::write(&log, kept).expect("written");

    fs::rename(house.disk(), house.path("away")).expect("there");
    symlink(&elsewhere, house.disk()).expect("planted");
    if lchown(house.disk(), Some(65_534), None).is_ok() {
        let dropped = house.spool(&["drop", "--channel", "house", "--yes"], &house.runtime());
        let said = String::from_utf8_lossy(&dropped.stderr).into_owned();
        assert!(dropped.status.code() == Some(1) && said.contains("a link that another user made"), "{said}");
        let there: Vec<_> =
            fs::read_dir(&elsewhere).expect("there").map(|file| file.expect("listed").file_name()).collect();
        assert_eq!(there, ["important.new"], "neither removed nor joined");
    }
}
