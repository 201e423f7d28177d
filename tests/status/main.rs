//! `gatepost status` and `gatepost metrics` on the program as built: simulated pins, directories of its own, and the sandbox.
//!
//! Everything is asked for again and again until it is so, with a deadline that only a defect reaches.
#![cfg(all(target_os = "linux", feature = "sandbox"))]

#[path = "../common/map.rs"]
#[expect(dead_code, reason = "other suites need the rest")]
mod map;
#[path = "../program/mod.rs"]
#[expect(dead_code, reason = "other suites need the rest")]
mod program;
#[path = "../crash/service.rs"]
#[expect(dead_code, reason = "another suite needs the rest")]
mod service;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Output;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use secrecy::ExposeSecret as _;
use serde_json::Value;
use tempfile::TempDir;

use program::{Program, SOON, gatepost};
use service::{SWITCHES, Service};

fn map(port: u16, listen: SocketAddr) -> String {
    let above = format!("[metrics]\nlisten = \"{listen}\"\n[device.pi]\ncredentials = \"credentials.txt\"\n");
    let tank = map::file_sensor("tank", "tank", "house.field1");
    let pump =
        "\n[[output]]\nname = \"pump\"\npin = 17\nfrom = \"switches.field1\"\nmax_on = \"30m\"\nmin_off = \"30m\"\n";
    let house = [map::HOUSE, "every = \"2s\"\n"].concat();
    [&map::broker("localhost", port), &above, &house, map::SWITCHES, &tank, pump].concat()
}

/// A daemon's map, files and directories.
struct House {
    folder: TempDir,
    listen: SocketAddr,
    password: String,
}

impl House {
    fn of(service: &Service) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let listen = free.local_addr().expect("it has one");
        let password = service.device.credentials.password.expose_secret().to_owned();
        let house = Self { folder: tempfile::tempdir().expect("a folder"), listen, password };
        let map = map(service.port(), listen);
        house.write("map.toml", &map);
        house.write("credentials.txt", &service.device.credentials_text());
        house.write("tank", "21.5\n");
        house
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file in one piece, for its owner.
    fn write(&self, name: &str, text: &str) {
        let beside = self.path("beside");
        fs::write(&beside, text).expect("a file");
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o600)).expect("one's own file");
        fs::rename(beside, self.path(name)).expect("the same folder");
    }

    fn start(&self) -> Program {
        let mut command = gatepost();
        command.args(["run", "--simulate", "--config"]).arg(self.path("map.toml"));
        command.arg("--runtime-dir").arg(self.path("run")).arg("--state-dir").arg(self.path("state"));
        Program::start(command)
    }

    /// Exit code, what is printed, and what is complained about.
    fn ask(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let mut command = gatepost();
        let output: Output =
            command.args(arguments).arg("--runtime-dir").arg(self.path("run")).output().expect("it runs");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        let (out, err) = (text(output.stdout), text(output.stderr));
        assert!(!out.contains(&self.password) && !err.contains(&self.password), "a secret is shown");
        (output.status.code(), out, err)
    }

    /// Asks for the report until it is as wanted. Returns it with the exit code.
    fn report(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> (Option<i32>, Value) {
        let until = Instant::now() + SOON;
        loop {
            let (code, out, err) = self.ask(&["status", "--json"]);
            let report: Value = serde_json::from_str(&out).unwrap_or_default();
            if wanted(&report) {
                return (code, report);
            }
            assert!(Instant::now() < until, "never: {what}\n{out}{err}");
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// What is answered over TCP.
    fn over_tcp(&self, page: &str) -> String {
        let mut stream = TcpStream::connect(self.listen).expect("it listens");
        write!(stream, "GET {page} HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("text");
        answer
    }
}

/// Somebody's command, tried until the channel takes it.
fn command(service: &Service, value: &str) {
    let until = Instant::now() + SOON;
    while let Err(why) = service.sandbox.publish(SWITCHES, &[("field1", value)]) {
        assert!(Instant::now() < until, "it is never taken: {why}");
        thread::sleep(Duration::from_millis(200));
    }
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("no number: {value}"))
}

#[test]
fn person_sees_how_things_stand_from_the_first_entry_through_an_outage_to_the_stop() {
    let service = Service::start();
    let house = House::of(&service);
    let (code, _, err) = house.ask(&["status"]);
    assert!(
        code == Some(3) && err.contains("no daemon answers on ") && err.contains("check that --runtime-dir"),
        "{err}"
    );
    assert_eq!(house.ask(&["metrics"]).0, Some(3));

    let mut daemon = house.start();
    let stored = |report: &Value| report["channels"][0]["ack"]["stage"] == "stored";
    let (code, report) = house.report("an entry is stored", stored);
    assert_eq!((code, &report["down"]), (Some(0), &Value::Array(vec![])), "{report:#}");
    assert_eq!(
        (&report["devices"][0]["link"], &report["summary"]),
        (&"up".into(), &"running, SIMULATED; pi: link up".into())
    );
    assert!(report["channels"][0]["ack"]["entry_id"].is_u64() && report["pid"] == daemon.id());
    assert_eq!(report["channels"][0]["confirmed_by"], "stored");
    assert_eq!(
        (&report["sensors"][0]["quantities"][0]["value"], &report["outputs"][0]["level"]),
        (&21.5.into(), &"off".into())
    );
    let (code, out, err) = house.ask(&["status"]);
    assert!(code == Some(0) && err.is_empty() && out.contains("tank") && out.contains("value 21.5"), "{out}{err}");
    assert!(!out.contains('\x1b') && out.lines().all(|line| line.chars().count() <= 80), "{out}");

    pump_obeys_and_refuses(&service, &house);
    fault_has_an_age(&house);
    outage_shows_its_backlog(&service, &house);
    metrics_are_the_same_everywhere(&house);

    assert!(daemon.end_by(Signal::SIGTERM).0.success());
    assert!(!house.path("run/gatepost.sock").exists(), "it goes with the daemon");
    assert_eq!(house.ask(&["status"]).0, Some(3));
    let said = daemon.said();
    assert!(said.contains(&format!("status and metrics: http://{}/metrics", house.listen)), "{said}");
    assert!(!said.contains(&house.password));
}

fn pump_obeys_and_refuses(service: &Service, house: &House) {
    command(service, "1");
    // The output counts as just switched off at the start.
    let (_, report) = house.report("a refusal", |report| report["outputs"][0]["refused"].is_object());
    let pump = &report["outputs"][0];
    assert_eq!(
        (&pump["level"], &pump["reason"], &pump["limit"]),
        (&"off".into(), &"start level".into(), &"min_off".into())
    );
    let left = number(&pump["limit_s"]);
    assert!((1000.0..1800.0).contains(&left), "{pump:#}");
    assert!(
        pump["refused"]["words"].as_str().is_some_and(|words| words.starts_with("off for too short a time")),
        "{pump:#}"
    );
}

fn fault_has_an_age(house: &House) {
    house.write("tank", "no number\n");
    let since = |report: &Value| report["sensors"][0]["fault"]["since_s"].as_f64();
    let (code, report) = house.report("a fault that lasts", |report| since(report).is_some_and(|since| since > 1.0));
    assert_eq!(code, Some(1));
    let sensor = &report["sensors"][0];
    let age = number(&sensor["quantities"][0]["age_s"]);
    assert!(Some(age) > since(&report) && sensor["quantities"][0]["value"] == 21.5, "{sensor:#}");
    let (code, out, _) = house.ask(&["status"]);
    assert!(code == Some(1) && out.contains("\nDown\n! sensor tank: no reading: "), "{out}");
    house.write("tank", "22.5\n");
    house.report("it measures again", |report| report["sensors"][0]["fault"].is_null());
}

fn outage_shows_its_backlog(service: &Service, house: &House) {
    service.kill();
    let waiting = |report: &Value| report["channels"][0]["backlog"]["entries"].as_u64();
    let (code, early) =
        house.report("a backlog", |report| waiting(report) >= Some(2) && report["devices"][0]["link"] == "down");
    assert_eq!(code, Some(1));
    let device = &early["devices"][0];
    assert!(
        device["failure"].is_string() && device["next_try_s"].is_f64() && device["session_age_s"].is_null(),
        "{device:#}"
    );
    assert!(early["channels"][0]["backlog"]["oldest"].is_string());
    let drain = |report: &Value| number(&report["channels"][0]["backlog"]["drains_in_s"]);
    let (_, later) = house.report("a longer backlog", |report| waiting(report) >= Some(4));
    assert!(drain(&later) > drain(&early), "{} and {}", drain(&early), drain(&later));
    service.revive();
    let (code, report) =
        house.report("it is gone", |report| waiting(report) <= Some(1) && report["devices"][0]["link"] == "up");
    assert_eq!((code, &report["devices"][0]["reconnects"]), (Some(0), &1.into()), "{report:#}");
}

fn metrics_are_the_same_everywhere(house: &House) {
    let (code, out, err) = house.ask(&["metrics"]);
    assert!(code == Some(0) && err.is_empty(), "{err}");
    let answer = house.over_tcp("/metrics");
    let (head, page) = answer.split_once("\r\n\r\n").expect("HTTP");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("text/plain; version=0.0.4"), "{head}");
    let names = |page: &str| -> Vec<String> {
        page.lines().filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned())).collect()
    };
    let (here, there) = (names(&out), names(page));
    // An acknowledgement or a backlog may come and go between the two.
    assert!(here.iter().any(|name| name == "gatepost_link_up{device=\"pi\"}"), "{out}");
    assert!(there.iter().any(|name| name.starts_with("gatepost_sensor_value{sensor=\"tank\"")), "{page}");
    assert!(house.over_tcp("/").starts_with("HTTP/1.1 404 "));
    assert!(!page.contains(&house.password));
}

#[test]
fn socket_of_a_killed_daemon_is_replaced_by_the_next_and_every_user_may_ask() {
    let service = Service::start();
    let house = House::of(&service);
    let running = |report: &Value| report["summary"].as_str().is_some_and(|words| words.starts_with("running"));
    let mut daemon = house.start();
    house.report("it runs", running);
    daemon.end_by(Signal::SIGKILL);
    let socket = house.path("run/gatepost.sock");
    assert!(socket.exists(), "a kill leaves it");
    let (code, _, err) = house.ask(&["status"]);
    assert!(code == Some(3) && err.contains("refused"), "{err}");
    let mut daemon = house.start();
    let (_, report) = house.report("the next one runs", running);
    assert_eq!(report["pid"], daemon.id());
    assert_eq!(fs::metadata(&socket).expect("it is there").permissions().mode() & 0o777, 0o666);

    // What a browser's line is, and what is none.
    let mut stream = UnixStream::connect(&socket).expect("it listens");
    stream
        .write_all(b"GET /status HTTP/1.1\r\nHost: localhost\r\nUser-Agent: curl/8\r\nAccept: */*\r\n\r\n")
        .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("text");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"), "{answer}");
    let mut stream = UnixStream::connect(&socket).expect("it listens");
    stream.write_all(b"\0\xff\x16\x03\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("text");
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(daemon.end_by(Signal::SIGTERM).0.success());
}

#[test]
fn watch_gives_programs_a_document_a_line() {
    let service = Service::start();
    let house = House::of(&service);
    let _daemon = house.start();
    house.report("it runs", |report| report["pid"].is_u64());
    let mut command = gatepost();
    command.args(["status", "--json", "--watch", "--runtime-dir"]).arg(house.path("run"));
    let mut watch = Program::start(command);
    for _ in 0..2 {
        let line = watch.wait_for("{");
        let report: Value = serde_json::from_str(&line).expect("one document");
        assert_eq!(report["devices"][0]["name"], "pi");
    }
    watch.end_by(Signal::SIGINT);
}
