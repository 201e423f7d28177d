//! The program as built, on a wall clock that jumps: libfaketime moves the time that the daemon is told while it runs, and
//! leaves the boot clock alone. The sandbox lives in the test and keeps the right time.
//!
//! Everything waits for rows of the sandbox, with a deadline that only a defect reaches.
#![cfg(all(target_os = "linux", feature = "sandbox"))]

#[path = "../program/mod.rs"]
mod program;
mod service;
mod steps;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use gatepost::hal::{Clock as _, SystemClock};
use nix::sys::signal::Signal;
use tempfile::TempDir;
use thingspeak_sandbox::{Row, Transport, Utc};

use program::{Program, gatepost, tool};
use service::Service;

const CHANNELS: [(u64, &str); 2] = [(1, "greenhouse"), (2, "cellar")];

/// One sensor for all, so that both channels are due together.
const MAP: &str = r#"
version = 1

[broker]
host = "localhost"
port = {port}
transport = "{transport}"
allow_plaintext = true
ca_file = "ca.pem"

[device.garden]
credentials = "mqtt_credentials.txt"

[channel.greenhouse]
id = 1
license = "paid"
every = "2s"

[channel.cellar]
id = 2
license = "paid"
every = "2s"

[[sensor]]
name = "machine"
use = "system"
every = "1s"
to.uptime = [{ field = "greenhouse.field1", reduce = "last" }, { field = "cellar.field1", reduce = "last" }]
"#;

/// An hour in seconds.
const HOUR: i64 = 3600;
/// How many rows each channel gets under each time.
const ROWS: usize = 2;

/// The daemon with a map and a clock of its own.
struct Gateway {
    folder: TempDir,
}

impl Gateway {
    fn of(service: &Service, transport: Transport) -> Self {
        let gateway = Self { folder: tempfile::tempdir().expect("a folder") };
        let port = service.port(transport).to_string();
        gateway.write("map.toml", &MAP.replace("{port}", &port).replace("{transport}", &transport.to_string()));
        gateway.write("ca.pem", &service.ca_pem());
        gateway.write("mqtt_credentials.txt", &service.credentials_text());
        gateway.set_ahead(0);
        gateway
    }

    fn start(&self) -> Program {
        // The library comes with the command and has no name that could be looked for.
        tool("faketime", "faketime");
        let mut command = gatepost();
        command.args(["run", "--simulate", "--verbose", "--config"]).arg(self.path("map.toml"));
        command.arg("--runtime-dir").arg(self.path("run")).arg("--state-dir").arg(self.path("lib"));
        command.env("LD_PRELOAD", "/usr/$LIB/faketime/libfaketimeMT.so.1");
        command.env("FAKETIME_TIMESTAMP_FILE", self.path("clock"));
        // The time is looked up at each call, and only that of the wall clock is another one.
        command.envs([("FAKETIME_NO_CACHE", "1"), ("DONT_FAKE_MONOTONIC", "1"), ("NO_FAKE_STAT", "1")]);
        Program::start(command)
    }

    /// Sets the daemon's wall clock this far ahead of the machine's, or behind it.
    fn set_ahead(&self, seconds: i64) {
        self.write("clock", &format!("{seconds:+}"));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file in one piece: the daemon may be reading right now.
    fn write(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let beside = self.path("beside");
        fs::write(&beside, text).expect("a file");
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o600)).expect("one's own file");
        fs::rename(&beside, self.path(name)).expect("the same folder");
    }
}

/// The times of a channel's entries that were closed, as the log has them.
fn closed(program: &Program, name: &str) -> BTreeSet<String> {
    let mark = format!("channel {name}: entry of ");
    let said = program.said();
    let lines = said.lines().filter_map(|line| line.split_once(&mark)).map(|(_, rest)| rest);
    lines.filter(|rest| rest.ends_with(" made")).filter_map(|rest| rest.split(' ').next()).map(str::to_owned).collect()
}

/// How far the row's own time is ahead of that of its arrival, in seconds.
fn ahead(created_at: Utc, arrived: Utc) -> i64 {
    created_at.seconds() - arrived.seconds()
}

#[test]
fn wall_clock_that_jumps_an_hour_on_and_back_loses_and_merges_no_entry() {
    let service = Service::start(&CHANNELS.map(|(id, _)| id));
    let gateway = Gateway::of(&service, Transport::Tcp);
    let mut daemon = gateway.start();
    service.wait_for_rows(ROWS);
    for seconds in [HOUR, 0, -HOUR] {
        gateway.set_ahead(seconds);
        service.wait_for_rows(ROWS);
    }
    assert!(daemon.end_by(Signal::SIGTERM).0.success(), "{}", daemon.said());

    for (id, name) in CHANNELS {
        let rows = service.rows(id);
        let times: Vec<Utc> = rows.iter().map(|row| row.created_at).collect();
        for jumped in [HOUR, -HOUR] {
            let has_jumped = |row: &Row| (ahead(row.created_at, row.arrived.utc) - jumped).abs() < HOUR / 2;
            assert!(rows.iter().any(has_jumped), "the daemon was told another time than the sandbox: {times:?}");
        }

        // The rows tell in which order their values were measured.
        let uptimes = rows.iter().map(|row| row.field(1).and_then(|value| value.parse::<f64>().ok()).expect("a value"));
        let uptimes: Vec<f64> = uptimes.collect();
        assert!(uptimes.is_sorted_by(|one, next| one < next), "{name}: {uptimes:?}");

        // The last one may have been made when the daemon was told to stop.
        let stored: BTreeSet<String> = times.iter().map(ToString::to_string).collect();
        assert_eq!(stored.len(), times.len(), "{name}: no second twice: {times:?}");
        let missing = closed(&daemon, name).difference(&stored).count();
        assert!(missing <= 1, "{name}: {missing} entries that were made are no rows: {stored:?}");
    }
    assert!(service.dropped().is_empty(), "{:?}", service.dropped());
}

#[test]
fn wrong_clock_is_told_as_such_where_tls_fails_for_it_and_heals_when_it_is_set() {
    let service = Service::start(&CHANNELS.map(|(id, _)| id));
    let gateway = Gateway::of(&service, Transport::Wss);
    // The sandbox's certificates are valid from 1975.
    let in_1971 = Utc::parse("1971-08-02T00:00:00Z").expect("a time").seconds();
    gateway.set_ahead(in_1971 - SystemClock.now().utc.seconds());
    let mut daemon = gateway.start();
    let words = daemon.wait_for("this machine's clock is wrong: it is at 1971-08-02T00:00");
    assert!(words.contains("valid only from 1975-01-01T00:00:00Z") && words.contains("timedatectl"), "{words}");
    gateway.set_ahead(0);
    daemon.wait_for("link up");
    service.wait_for_rows(1);
    let shown = daemon.command_line() + &daemon.said();
    assert!(!shown.contains(service.password()), "the password is shown");
}
