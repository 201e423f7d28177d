//! Disks that fail, fill, are write-protected or vanish: the daemon goes on measuring and publishing, says once what is wrong
//! and once that it is over, and loses nothing.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::books::{WAITS, count};
use crate::house::{House, Plan};
use crate::namespace::{Namespace, Own};
use crate::program::{Program, SOON};
use crate::service::Service;
use crate::trap::Trap;

const DISK_FAILS: &str = "the state directory cannot be written";
const DISK_WORKS: &str = "the state directory can be written again";
const MEMORY_FAILS: &str = "the runtime directory cannot be written";
const MEMORY_WORKS: &str = "the runtime directory can be written again";
const SLOTS_FAIL: &str = "open slots cannot be saved";
const SLOTS_WORK: &str = "open slots are saved again";
const EVERYTHING: [&str; 6] = [DISK_FAILS, DISK_WORKS, MEMORY_FAILS, MEMORY_WORKS, SLOTS_FAIL, SLOTS_WORK];

/// After a failure the disk is left alone for so long.
const DISK_RESTS: Duration = Duration::from_secs(30);

/// Waits until it has measured so many slots more.
fn wait_for_entries(program: &mut Program, count: usize) {
    for _ in 0..count {
        program.wait_for(WAITS);
    }
}

/// Waits until all of these lines came, in whatever order: it measures on meanwhile.
fn wait_until_logged(program: &mut Program, lines: &[&str]) {
    for _ in 0..60 {
        if lines.iter().all(|line| count(program, line) > 0) {
            return;
        }
        program.wait_for(WAITS);
    }
    panic!("not logged: {lines:?}");
}

/// Each of these lines came once.
fn assert_logged_once(program: &Program, lines: &[&str]) {
    for line in lines {
        assert_eq!(count(program, line), 1, "logged once: {line}");
    }
}

/// Kills the daemon in the outage, lets the service come back, and closes the books.
fn end(name: &str, service: &Service, mut house: House, program: Program) {
    house.kill(program);
    service.revive();
    let program = house.run();
    println!("{name}: {}", house.close(program, &|| service.rows()));
}

#[test]
fn a_disk_that_cannot_flush_loses_nothing_and_is_reported_once() {
    let service = Service::start();
    service.kill();
    let mut house = House::of(&service, &Plan::default());
    // The file the first time, and its name in the folder the second.
    let trap = Trap::fail("fdatasync", "EIO", "1").and("fsync", "error=EIO", "1");
    let mut program = house.run_in(&trap);
    program.wait_for(DISK_FAILS);
    wait_for_entries(&mut program, 2);
    program.hear(DISK_WORKS, DISK_RESTS * 2 + SOON).expect("it recovers");
    assert_logged_once(&program, &[DISK_FAILS, DISK_WORKS]);
    assert_eq!(house.seen().matches("EIO").count(), 2, "both were met");
    end("EIO on the disk", &service, house, program);
}

#[test]
fn a_disk_without_room_loses_nothing_and_is_reported_once() {
    let service = Service::start();
    service.kill();
    let mut house = House::of(&service, &Plan::default());
    let mut program = house.run_in(&Trap::fail("write", "ENOSPC", "2").on(house.segments_to_come()));
    program.wait_for(DISK_FAILS);
    wait_for_entries(&mut program, 2);
    program.wait_for(DISK_WORKS);
    assert_logged_once(&program, &[DISK_FAILS, DISK_WORKS]);
    end("ENOSPC on the disk", &service, house, program);
}

#[test]
fn a_runtime_directory_without_room_loses_nothing_and_is_reported_once() {
    let service = Service::start();
    let mut house = House::of(&service, &Plan::default());
    let files = ["spool.log", "spool.log.new"].map(|name| house.runtime().join(name));
    let mut program = house.run_in(&Trap::fail("write", "ENOSPC", "4..12").on(files));
    program.wait_for(MEMORY_FAILS);
    // It publishes from memory.
    program.wait_for("stored as");
    program.wait_for(MEMORY_WORKS);
    wait_for_entries(&mut program, 2);
    assert_logged_once(&program, &[MEMORY_FAILS, MEMORY_WORKS]);
    service.kill();
    wait_for_entries(&mut program, 2);
    end("ENOSPC in the runtime directory", &service, house, program);
}

/// Both directories are memory of 64 KiB, which somebody else fills.
#[test]
fn memory_that_fills_loses_nothing_and_is_reported_once() {
    let service = Service::start();
    service.kill();
    // Long entries, so that the page that the log ends in is soon full.
    let mut house = House::of(&service, &Plan { broken: true, ..Plan::default() });
    let (runtime, state) = (house.runtime(), house.state());
    let mount = |path: &Path| format!("mount -t tmpfs -o size=64k tmpfs {}\n", path.display());
    let own = Namespace::new(&[Own::Mounts], &(mount(&runtime) + &mount(&state)));
    house.seen_by(own.pid());
    let mut program = house.run_as(own.enter(&house.command()));
    wait_for_entries(&mut program, 2);
    let fillers = [runtime, state].map(|path| house.here(&path.join("filler")));
    for filler in &fillers {
        // A write that fails has taken what there was.
        fs::write(filler, vec![0; 256 << 10]).expect_err("there is no room for it");
    }
    // The last page of a log has room for a few entries yet.
    wait_until_logged(&mut program, &[MEMORY_FAILS, DISK_FAILS, SLOTS_FAIL]);
    wait_for_entries(&mut program, 2);
    for filler in &fillers {
        fs::remove_file(filler).expect("it is ours");
    }
    wait_until_logged(&mut program, &EVERYTHING);
    assert_logged_once(&program, &EVERYTHING);
    house.kill(program);
    service.revive();
    let program = house.run_as(own.enter(&house.command()));
    println!("a tmpfs that fills: {}", house.close(program, &|| service.rows()));
}

#[test]
fn write_protection_loses_nothing_and_is_reported_once() {
    let service = Service::start();
    service.kill();
    let mut house = House::of(&service, &Plan::default());
    let own = Namespace::new(&[Own::Mounts], "");
    house.seen_by(own.pid());
    let mut program = house.run_as(own.enter(&house.command()));
    wait_for_entries(&mut program, 2);
    let paths = [house.runtime(), house.state()].map(|path| path.display().to_string());
    for path in &paths {
        own.sh(&format!("mount --bind {path} {path}; mount -o remount,bind,ro {path}"));
    }
    wait_until_logged(&mut program, &[MEMORY_FAILS, DISK_FAILS, SLOTS_FAIL]);
    service.revive();
    // It publishes from memory.
    program.wait_for("stored as");
    service.kill();
    for path in &paths {
        own.sh(&format!("umount {path}"));
    }
    wait_until_logged(&mut program, &EVERYTHING);
    assert_logged_once(&program, &EVERYTHING);
    house.kill(program);
    service.revive();
    let program = house.run_as(own.enter(&house.command()));
    println!("write protection: {}", house.close(program, &|| service.rows()));
}

/// The directory is renamed and a file is in its place, as where a mount is gone.
#[test]
fn a_disk_that_is_away_loses_nothing_and_is_reported_once() {
    let service = Service::start();
    service.kill();
    let mut house = House::of(&service, &Plan::default());
    let mut program = house.run();
    wait_for_entries(&mut program, 4);
    fs::rename(house.state(), house.path("away")).expect("it is there");
    fs::write(house.state(), "in the way\n").expect("its place is free");
    program.wait_for(DISK_FAILS);
    wait_for_entries(&mut program, 2);
    fs::remove_file(house.state()).expect("it is ours");
    fs::rename(house.path("away"), house.state()).expect("its place is free");
    program.wait_for(DISK_WORKS);
    assert_logged_once(&program, &[DISK_FAILS, DISK_WORKS]);
    end("a state directory that is away", &service, house, program);
}

/// Somebody empties it while entries wait that the disk does not have yet.
#[test]
fn a_runtime_directory_that_is_emptied_loses_nothing() {
    let service = Service::start();
    service.kill();
    let mut house = House::of(&service, &Plan { write_after: "10m", ..Plan::default() });
    let mut program = house.run();
    wait_for_entries(&mut program, 3);
    for file in fs::read_dir(house.runtime()).expect("it is there") {
        // One that was to become another may be gone already.
        let _ = fs::remove_file(file.expect("it can be listed").path());
    }
    // The next write finds that out.
    wait_for_entries(&mut program, 2);
    end("a runtime directory that is emptied", &service, house, program);
}
