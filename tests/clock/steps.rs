//! What a clock that is set may cost, through kills and starts without memory: nothing.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use thingspeak_sandbox::{DropReason, Transport, What};

use crate::program::{Program, SOON, gatepost};
use crate::service::Service;
use crate::{CHANNELS, Gateway, HOUR, ahead, closed};

const GREENHOUSE: u64 = CHANNELS[0].0;

/// An entry goes out within seconds of its slot's end, on a busy machine too.
const CLOSE_TO: i64 = 30;

fn service() -> Service {
    Service::start(&CHANNELS.map(|(id, _)| id))
}

fn is_duplicate(what: &What) -> bool {
    matches!(what, What::Dropped { why: DropReason::Duplicate, .. })
}

/// Every entry that was made is one row, but for the last one, which may have been made when the daemon was told to stop.
fn assert_each_is_one_row(service: &Service, runs: &[&Program]) {
    for (id, name) in CHANNELS {
        let rows = service.rows(id);
        let uptimes: BTreeSet<&str> = rows.iter().filter_map(|row| row.field(1)).collect();
        assert_eq!(uptimes.len(), rows.len(), "{name}: no entry twice");
        let made: usize = runs.iter().map(|run| closed(run, name).len()).sum();
        assert!(rows.len() + runs.len() >= made, "{name}: {} rows of {made} entries", rows.len());
    }
}

fn status(gateway: &Gateway, args: &[&str]) -> String {
    let output = gatepost().args(args).arg("--runtime-dir").arg(gateway.path("run")).output().expect("it runs");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn clock_that_was_two_hours_ahead_spoils_nothing_that_follows_and_is_told_once() {
    let service = service();
    let gateway = Gateway::of(&service, Transport::Tcp);
    gateway.set_ahead(2 * HOUR);
    let mut first = gateway.start();
    service.wait_for_rows(3);
    gateway.set_ahead(0);
    let told = first.wait_for("the clock was set back by 2h");
    assert!(told.contains("WARN"), "{told}");
    let before = service.rows(GREENHOUSE).len();
    service.wait_for_rows(3);

    let report = status(&gateway, &["status", "--json"]);
    assert!(report.contains(r#""steps": 1"#), "{report}");
    assert!(status(&gateway, &["status"]).contains("the clock was set back by 2h"));
    assert!(status(&gateway, &["metrics"]).contains("\ngatepost_clock_steps_total 1\n"));

    first.end_by(Signal::SIGKILL);
    let mut second = gateway.start();
    service.wait_for_rows(2);
    assert!(second.end_by(Signal::SIGTERM).0.success());
    let mut third = gateway.start();
    service.wait_for_rows(2);
    assert!(third.end_by(Signal::SIGTERM).0.success());
    let told = [&first, &second, &third].map(|run| run.said().matches("the clock was set").count());
    assert_eq!(told, [1, 0, 0]);
    // One that had its second when the clock was set may come behind it.
    for row in &service.rows(GREENHOUSE)[before + 2..] {
        assert!(ahead(row.created_at, row.arrived.utc).abs() < CLOSE_TO, "{row:?}");
    }
    assert!(service.dropped().is_empty(), "{:?}", service.dropped());
    assert_each_is_one_row(&service, &[&first, &second, &third]);
}

#[test]
fn seconds_are_not_given_again_after_a_kill_and_a_clock_that_goes_back() {
    let service = service();
    let gateway = Gateway::of(&service, Transport::Tcp);
    let mut first = gateway.start();
    service.wait_for_rows(6);
    first.end_by(Signal::SIGKILL);
    gateway.set_ahead(-10);
    let mut second = gateway.start();
    service.wait_for_rows(7);
    assert!(second.end_by(Signal::SIGTERM).0.success());
    // What was on its way when the first one was killed is sent again, and refused as a double of itself.
    for (id, name) in CHANNELS {
        let rows: BTreeSet<String> = service.rows(id).iter().map(|row| row.created_at.to_string()).collect();
        let refused = closed(&second, name).difference(&rows).count();
        assert!(refused <= 1, "{name}: {refused} entries of the second run have no row of their second");
    }
    assert_each_is_one_row(&service, &[&first, &second]);
}

#[test]
fn no_entry_whose_second_an_unknown_run_had_given_is_freed_by_a_ping_alone() {
    let service = service();
    let gateway = Gateway::of(&service, Transport::Tcp);
    let mut first = gateway.start();
    service.wait_for_rows(6);
    first.end_by(Signal::SIGKILL);
    // As after a boot: the runtime directory is gone, and the clock goes on where it was saved.
    std::fs::remove_dir_all(gateway.path("run")).expect("it is there");
    gateway.set_ahead(-10);
    let mut second = gateway.start();
    let refused = || service.dropped().iter().filter(|record| is_duplicate(&record.what)).count();
    wait_until("some are refused", || refused() >= 2);
    // What comes after them is stored, so that echoes come.
    service.wait_for_rows(2);
    assert!(second.end_by(Signal::SIGTERM).0.success());
    let refused = refused();
    let said = second.said();
    let waiting = said.lines().find_map(|line| line.split_once("] ")?.1.split_once(" entries wait for the next start"));
    let waiting: usize = waiting.expect("they wait").0.parse().expect("a number");
    assert!(waiting >= refused, "{waiting} of {refused} wait");
    assert!(said.contains(" 0 unconfirmed"), "{said}");
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + 4 * SOON;
    while !is_so() {
        assert!(Instant::now() < until, "{what}: never");
        thread::sleep(Duration::from_millis(100));
    }
}
