//! A peer at full speed, on the program as built: what it costs in switches, in lines of log and in memory, and that measuring,
//! outputs and answers go on meanwhile.
//!
//! Floods go on until what must go on has gone on, so that nothing here depends on how fast the machine is.
#![cfg(target_os = "linux")]

mod broker;
#[path = "../common/map.rs"]
#[expect(dead_code, reason = "other suites need the rest")]
mod map;
#[path = "../program/mod.rs"]
#[expect(dead_code, reason = "other suites need the rest")]
mod program;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

use broker::{Broker, row};
use program::{Program, SOON, gatepost};

const OUTPUTS: &str = r#"
[[output]]
name = "lamp"
pin = 17
from = "switches.field1"
report = "house.field2"

[[output]]
name = "fan"
pwm = 0
from = "switches.field2"
report = "house.field3"

[[output]]
name = "heater"
pin = 23
from = "switches.field3"
max_on = "2s"
"#;

fn map(port: u16) -> String {
    let login = "[device.pi]\nclient_id = \"pi\"\nusername = \"pi\"\npassword = \"sesame\"\n";
    let keys = "every = \"1s\"\nconfirm = \"received\"\n";
    let tank = map::file_sensor("tank", "tank", "house.field1");
    [&map::broker("127.0.0.1", port), login, map::HOUSE, keys, map::SWITCHES, &tank, OUTPUTS].concat()
}

/// The dwell of a pin whose map says nothing, in milliseconds.
const DWELL: u128 = 500;

/// Resident memory that a flood may cost on top of what was there: far below a byte a message.
const GROWTH_KIB: u64 = 6 * 1024;

struct House {
    folder: TempDir,
}

impl House {
    fn of(broker: &Broker) -> Self {
        let house = Self { folder: tempfile::tempdir().expect("a folder") };
        fs::write(house.path("map.toml"), map(broker.port())).expect("a file");
        fs::set_permissions(house.path("map.toml"), fs::Permissions::from_mode(0o600)).expect("one's own file");
        fs::write(house.path("tank"), "21.5\n").expect("a file");
        house
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start(&self) -> Program {
        let mut command = gatepost();
        command.args(["run", "--simulate", "--config"]).arg(self.path("map.toml"));
        command.arg("--runtime-dir").arg(self.path("run")).arg("--state-dir").arg(self.path("state"));
        Program::start(command)
    }

    /// Asks how things stand until that is as wanted.
    fn report(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + SOON;
        loop {
            let mut command = gatepost();
            let asked = command.args(["status", "--json", "--runtime-dir"]).arg(self.path("run")).output();
            let asked = asked.expect("it runs");
            let report: Value = serde_json::from_slice(&asked.stdout).unwrap_or_default();
            if wanted(&report) {
                return report;
            }
            assert!(Instant::now() < until, "never: {what}\n{report:#}");
            thread::sleep(Duration::from_millis(100));
        }
    }
}

fn values(report: &Value) -> u64 {
    report["sensors"][0]["quantities"][0]["values"].as_u64().unwrap_or(0)
}

fn entries(report: &Value) -> u64 {
    report["spool"]["taken"].as_u64().unwrap_or(0)
}

fn driven(report: &Value, output: usize) -> u64 {
    report["outputs"][output]["driven"].as_u64().unwrap_or(0)
}

/// Memory that is the process's own, in KiB.
fn own_memory(program: &Program) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", program.id())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("the kernel tells");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Lines with these words, and what they say of lines that were counted.
fn lines_like(said: &str, words: &str) -> (usize, u64) {
    let lines = said.lines().filter(|line| line.contains(words));
    lines.fold((0, 0), |(told, events), line| {
        let more = line.split_once(" more like this within").and_then(|(before, _)| before.rsplit(' ').next());
        (told + 1, events + more.map_or(1, |more| more.parse().expect("a number")))
    })
}

#[test]
fn flood_costs_no_relay_no_disk_and_no_memory_and_nothing_stands_still() {
    let broker = Broker::start();
    let house = House::of(&broker);
    let mut daemon = house.start();
    let began = Instant::now();
    let before = house.report("it measures and hears", |report| values(report) > 1 && broker.is_subscribed());
    let memory = own_memory(&daemon);

    // New commands, one after the other, for a relay and a PWM; and an output that is to go off by itself meanwhile.
    broker.send("channels/2/subscribe", &row(1, r#""field3":"1""#));
    let commands = |entry: u64| row(entry + 2, &format!(r#""field1":"{}","field2":"{}""#, entry % 2, entry % 101));
    let flood = broker.flood("channels/2/subscribe", commands);
    let heater_is_over = |report: &Value| report["outputs"][2]["reason"] == "longest time on is over";
    let goes_on = |report: &Value| values(report) >= values(&before) + 4 && entries(report) >= entries(&before) + 3;
    house.report("it goes on", |report| goes_on(report) && heater_is_over(report) && flood.sent() > 1500);
    let commands = flood.end();
    broker.send("channels/2/subscribe", &row(1_000_000, r#""field1":"1","field2":"50""#));
    let calm = house.report("the last command holds", |report| {
        report["outputs"][0]["level"] == "on"
            && report["outputs"][1]["fraction"] == 0.5
            && report["outputs"][0]["next"].is_null()
    });
    // Each switch waits for the dwell after the one before; one more is the start.
    let most = began.elapsed().as_millis() / DWELL + 2;
    let switches = driven(&calm, 0);
    assert!(
        u128::from(switches) <= most && commands > 20 * switches,
        "{switches} switches by {commands} commands, {most} at most"
    );

    // What is no command at all, on the same feed.
    let flood = broker.flood("channels/2/subscribe", |entry| format!("{{\"entry_id\":{entry},\"field1\":[["));
    let before = calm;
    let goes_on = |report: &Value| values(report) >= values(&before) + 2 && entries(report) >= entries(&before) + 2;
    house.report("it goes on", |report| goes_on(report) && flood.sent() > 1500);
    let rubbish = flood.end();
    let heard = |report: &Value| report["outputs"][0]["refusals"].as_u64().unwrap_or(0);
    let report = house.report("all of it was heard", |report| heard(report) >= rubbish);
    assert_eq!((heard(&report), driven(&report, 0)), (rubbish, switches), "{report:#}");
    assert_eq!((&report["down"], broker.logins()), (&Value::Array(vec![]), 1), "{report:#}");
    let grown = own_memory(&daemon).saturating_sub(memory);
    assert!(grown < GROWTH_KIB, "{grown} KiB more than before");

    assert!(daemon.end_by(Signal::SIGTERM).0.success());
    let said = daemon.said();
    // Twenty lines a cause, and few causes.
    assert!(said.len() < 40_000, "{} bytes of log", said.len());
    for (output, events) in [("lamp", rubbish), ("fan", rubbish), ("heater", rubbish)] {
        let (told, counted) = lines_like(&said, &format!("output {output}: not a command"));
        assert!(told <= 30 && counted == events, "{output}: {told} lines for {counted} of {events}\n{said}");
    }
}
