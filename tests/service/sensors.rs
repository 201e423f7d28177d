//! Files that hang or are slow, beside one that is well.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::manager::Manager;
use crate::program::{Program, SOON, gatepost};
use crate::tracer::{Tracer, slow_file};

fn map(tank: &Path, steady: &Path) -> String {
    let sensor = |name: &str, path: &Path, every: &str, field: u8| {
        let path = path.display();
        format!(
            "[[sensor]]\nname = \"{name}\"\nuse = \"file\"\npath = \"{path}\"\nevery = \"{every}\"\ntimeout = \"3s\"\n\
             to.value = \"house.field{field}\"\n"
        )
    };
    sensor("tank", tank, "1s", 1) + &sensor("steady", steady, "200ms", 2)
}

/// A daemon's house whose tank is slow to open.
fn house(takes: Duration) -> (Manager, Program, Tracer) {
    let manager = Manager::new("");
    let (tank, steady) = (manager.path("tank"), manager.path("steady"));
    fs::write(&tank, "7").expect("written");
    fs::write(&steady, "21").expect("written");
    manager.write_map(&map(&tank, &steady));
    let daemon = manager.start(slow_file(&manager, &tank, takes, "1+"));
    let tracer = Tracer::of(&daemon);
    (manager, daemon, tracer)
}

/// Asks for the report until it is as wanted.
fn until(manager: &Manager, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + SOON;
    loop {
        let mut command = gatepost();
        command.args(["status", "--json", "--runtime-dir"]).arg(manager.path("run"));
        let output = command.output().expect("it runs");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        if wanted(&report) {
            return report;
        }
        assert!(Instant::now() < deadline, "never: {what}: {report:#}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// How often a sensor was read well.
fn values(report: &Value, sensor: usize) -> u64 {
    report["sensors"][sensor]["quantities"][0]["values"].as_u64().unwrap_or_default()
}

#[test]
fn a_file_that_hangs_from_the_start_is_a_fault_after_its_time_out_and_its_neighbour_is_read() {
    let (manager, mut daemon, tracer) = house(Duration::from_secs(600));
    let told = daemon.wait_for("no answer");
    assert!(told.contains("sensor tank: ") && told.contains("no answer for 3 s"), "{told}");
    let report = until(&manager, "the neighbour is read", |report| values(report, 1) > 10);
    assert_eq!(report["sensors"][0]["fault"]["words"], "no answer for 3 s", "{report:#}");
    assert_eq!((values(&report, 0), &report["sensors"][1]["fault"]), (0, &Value::Null));
    // A stop does not wait for it. The process itself ends no sooner than strace lets go of its thread.
    kill(Pid::from_raw(daemon.id().cast_signed()), Signal::SIGTERM).expect("it runs");
    daemon.wait_for("stopped: ");
    drop(tracer);
    daemon.end_by(Signal::SIGKILL);
}

#[test]
fn a_file_that_takes_long_delays_nobody_after_its_first_read_and_is_told_of() {
    let (manager, mut daemon, tracer) = house(Duration::from_millis(1500));
    let told = daemon.wait_for(": slow: ");
    assert!(told.contains("sensor tank: slow: a read took 1.") && told.contains("do not wait for it"), "{told}");
    let before = until(&manager, "the status tells of it", |report| report["sensors"][0]["slow_read_s"].is_f64());
    assert!(before["remarks"].to_string().contains("sensor tank: slow"), "{before:#}");
    let after = until(&manager, "it is read on", |report| values(report, 0) >= values(&before, 0) + 4);
    let gained = |sensor| values(&after, sensor) - values(&before, sensor);
    assert!(gained(1) >= 3 * gained(0), "{} reads of the neighbour in {} slow ones", gained(1), gained(0));
    assert_eq!((&after["sensors"][0]["fault"], &after["down"][1]), (&Value::Null, &Value::Null), "slow is not down");

    // It answers at once from here on.
    drop(tracer);
    daemon.wait_for("sensor tank: no longer slow");
    until(&manager, "the status does not tell of it", |report| report["sensors"][0]["slow_read_s"].is_null());
    daemon.end_by(Signal::SIGTERM);
    assert_eq!(daemon.said().matches(": slow: ").count(), 1, "told once");
}
