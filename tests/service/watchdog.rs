//! The watchdog is fed while all is well, and not while a read hangs.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::manager::Manager;
use crate::tracer::{Tracer, slow_file};

fn map(path: &str) -> String {
    format!(
        r#"
[[sensor]]
name = "tank"
use = "file"
path = "{path}"
every = "1s"
timeout = "500ms"
to.value = "house.field1"

[[sensor]]
name = "machine"
use = "system"
every = "1s"
to.uptime = "house.field2"
"#
    )
}

#[test]
fn a_well_daemon_feeds_and_one_with_a_read_that_hangs_does_not_and_names_the_sensor() {
    let manager = Manager::new("");
    let level = manager.path("level");
    fs::write(&level, "7").expect("written");
    manager.write_map(&map(&level.display().to_string()));

    // From its second opening on it is a device that never answers.
    let mut command = slow_file(&manager, &level, Duration::from_secs(600), "2+");
    command.env("WATCHDOG_USEC", "3000000");
    let mut daemon = manager.start(command);
    let tracer = Tracer::of(&daemon);
    manager.wait_for("WATCHDOG=1");
    let told = daemon.wait_for("hangs");
    assert!(told.contains("sensor tank hangs"), "{told}");
    // What was said before may still be in the line; from here on there is silence for longer than the interval.
    while manager.hear().is_some() {}
    let until = Instant::now() + Duration::from_secs(6);
    while Instant::now() < until {
        let heard = manager.hear();
        assert_ne!(heard.as_deref(), Some("WATCHDOG=1"), "it is not fed while the read hangs");
    }
    assert!(daemon.said().matches("hangs").count() == 1, "told once");
    drop(tracer);
    daemon.end_by(Signal::SIGKILL);
}

#[test]
fn a_daemon_whose_reads_end_feeds_on() {
    let manager = Manager::new("");
    let level = manager.path("level");
    fs::write(&level, "7").expect("written");
    manager.write_map(&map(&level.display().to_string()));
    let mut command = manager.daemon();
    command.env("WATCHDOG_USEC", "1200000");
    let mut daemon = manager.start(command);
    for _ in 0..4 {
        manager.wait_for("WATCHDOG=1");
    }
    let (status, _) = daemon.end_by(Signal::SIGTERM);
    assert!(status.success(), "{status}");
}
