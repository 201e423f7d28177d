//! The daemon is killed at an exact point of its life, again and again, and goes on from what it left. No point is guessed: the
//! system call at which it dies is named, and it is the call that decides, never a timer.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::house::{House, Plan};
use crate::program::SOON;
use crate::service::Service;
use crate::trap::{CUT, OPEN, RENAME, Trap};

/// Kills in a row before everything has to arrive.
const A_ROUND: usize = 3;
/// An acknowledgement cannot be told from an entry in advance: so many tries are made for a round's kills.
const TRIES: usize = 12;

/// A point of the daemon's life.
struct Phase {
    name: &'static str,
    /// Whether the broker is there.
    online: bool,
    /// What has to be there before.
    before: fn(&mut House),
    /// The call that is never carried out, at the n-th kill of a round.
    trap: fn(&House, usize) -> Trap,
    /// Whether the kill hit what it was to hit.
    hit: fn(&House, &Service) -> bool,
}

fn nothing(_: &mut House) {}

fn always(_: &House, _: &Service) -> bool {
    true
}

const APPEND: Phase = Phase {
    name: "append",
    online: false,
    before: nothing,
    trap: |house, shot| Trap::kill("write", 1 + shot).on([house.log()]),
    hit: always,
};

const APPENDED: Phase = Phase {
    name: "appended",
    online: false,
    before: nothing,
    trap: |house, shot| Trap::kill("close", 1 + shot).on([house.log()]),
    hit: always,
};

const FLUSH: Phase = Phase {
    name: "flush",
    online: false,
    before: nothing,
    // The file's, the folder's once the file is new, and the file's again, in another life.
    trap: |_, shot| Trap::kill(["fdatasync", "fsync"][shot % 2], 1 + shot / 2),
    hit: always,
};

const ROTATE: Phase = Phase {
    name: "rotate",
    online: false,
    before: a_segment,
    // Before the file is made, and once it is made and not flushed.
    trap: |house, shot| Trap::kill(OPEN, [1, 2, 1][shot % 3]).on(house.segments_to_come()),
    hit: always,
};

const PROMOTE: Phase = Phase {
    name: "promote",
    online: false,
    before: nothing,
    trap: |house, shot| Trap::kill("write", 1 + shot).on(house.segments()).on(house.segments_to_come()),
    hit: always,
};

const CONFIRM: Phase = Phase {
    name: "confirm",
    online: true,
    before: nothing,
    // Of a log that begins empty every third note is an acknowledgement, behind the push and the sending, unless one is late.
    trap: |house, shot| Trap::kill("write", 3 + 3 * (shot % 3)).on([house.log()]),
    hit: |house, service| {
        let rows = service.rows();
        house.waiting().iter().any(|entry| rows.iter().any(|row| row.created_at == entry.created_at))
    },
};

const TRUNCATE: Phase = Phase {
    name: "truncate",
    online: false,
    before: nothing,
    // The log in the runtime directory is written anew at the start, and after each write that failed.
    trap: |house, shot| {
        let kill = Trap::kill(RENAME, 1 + shot % 2).and("write", "error=ENOSPC", "2+2");
        kill.on([house.log(), house.runtime().join("spool.log.new")])
    },
    hit: always,
};

const TORN: Phase = Phase {
    name: "torn",
    online: false,
    before: |house| {
        a_segment(house);
        tear(&house.segments());
    },
    trap: |house, _| Trap::kill(CUT, 1).on(house.segments()),
    hit: always,
};

const RECOVER: Phase = Phase {
    name: "recover",
    online: false,
    before: a_segment,
    trap: |house, shot| Trap::kill("read", [1, 3, 4][shot % 3]).on([house.log()]).on(house.segments()),
    hit: always,
};

/// A test for every phase: one round of kills, and eight of them.
macro_rules! phases {
    ($($name:ident: $phase:ident;)+) => {
        mod one_round {$(
            #[test]
            fn $name() {
                super::kill_in(&super::$phase, 1);
            }
        )+}

        mod eight_rounds {$(
            #[test]
            #[ignore = "takes a quarter of an hour: `just proof kills`"]
            fn $name() {
                super::kill_in(&super::$phase, 8);
            }
        )+}
    };
}

phases! {
    killed_before_an_append_it_loses_nothing_and_sends_nothing_twice: APPEND;
    killed_after_an_append_it_loses_nothing_and_sends_nothing_twice: APPENDED;
    killed_in_a_flush_it_loses_nothing_and_sends_nothing_twice: FLUSH;
    killed_while_it_begins_a_segment_it_loses_nothing_and_sends_nothing_twice: ROTATE;
    killed_while_entries_go_to_the_disk_it_loses_nothing_and_sends_nothing_twice: PROMOTE;
    killed_before_it_notes_an_acknowledgement_it_loses_nothing_and_sends_nothing_twice: CONFIRM;
    killed_while_it_writes_the_log_anew_it_loses_nothing_and_sends_nothing_twice: TRUNCATE;
    killed_while_it_cuts_a_torn_tail_it_loses_nothing_and_sends_nothing_twice: TORN;
    killed_while_it_reads_what_it_left_it_loses_nothing_and_sends_nothing_twice: RECOVER;
}

/// Lets the daemon live until it has put entries on the disk.
fn a_segment(house: &mut House) {
    if !house.segments().is_empty() {
        return;
    }
    let program = house.run();
    let until = Instant::now() + SOON;
    while house.segments().is_empty() {
        assert!(Instant::now() < until, "no entry goes to the disk");
        thread::sleep(Duration::from_millis(20));
    }
    house.kill(program);
}

/// Leaves half a record behind each segment that has none, as a power cut may.
fn tear(segments: &[PathBuf]) {
    for segment in segments {
        let bytes = fs::read(segment).expect("it can be read");
        let torn = &bytes[..bytes.len().min(40)];
        if !bytes.ends_with(torn) {
            let mut file = OpenOptions::new().append(true).open(segment).expect("it can be written");
            file.write_all(torn).expect("there is room");
        }
    }
}

/// Kills the daemon in this phase, round after round, each ending with a service that has everything.
fn kill_in(phase: &Phase, rounds: usize) {
    let service = Service::start();
    // Segments of a few entries, for a disk that fills quickly.
    let plan = Plan { max_size: "12KiB", broken: true, ..Plan::default() };
    let mut house = House::of(&service, &plan);
    let mut hits = 0;
    let mut report = String::new();
    for round in 0..rounds {
        if !phase.online {
            service.kill();
        }
        let (mut shot, mut tries) = (0, 0);
        while shot < A_ROUND {
            tries += 1;
            assert!(tries <= TRIES, "{}: the kill hits something else", phase.name);
            (phase.before)(&mut house);
            let trap = (phase.trap)(&house, shot);
            let mut program = house.run_in(&trap);
            let status = program.wait_for_end();
            assert_eq!(status.signal(), Some(Signal::SIGKILL as i32), "{}: {status}, {}", phase.name, house.seen());
            house.was_killed(&program);
            if (phase.hit)(&house, &service) {
                shot += 1;
                let seen = house.seen();
                let last = seen.lines().rev().find(|line| line.contains('(')).unwrap_or_default();
                println!("{:9} round {round}: {}", phase.name, last.trim_end());
            }
        }
        hits += shot;
        service.revive();
        let program = house.run();
        report = house.close(program, &|| service.rows());
    }
    println!("{:9} killed {hits} times: {report}", phase.name);
}
