//! A Mosquitto as the broker in the house: its topics are sensors. The same one takes the entries, which say what the sensors say.

use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant};

use gatepost::net::Transport;
use tempfile::TempDir;

use crate::broker::{Broker, GATEWAY, HOUSE, PASSWORD, SERVICE_PASSWORD, TRANSPORTS};
use crate::program::{Program, SOON, gatepost};

const MAP: &str = r#"
version = 1
clock = "system"

[broker]
host = "localhost"
port = {port}
transport = "tcp"
allow_plaintext = true

[device.house]
credentials = "mqtt_credentials.txt"

[channel.house]
id = 1
license = "paid"
every = "2s"
confirm = "received"
"#;

/// A daemon with sensors on topics.
struct House {
    _folder: TempDir,
    program: Program,
    watcher: Program,
}

impl House {
    /// Each sensor has a name, a field in its turn, and keys besides those of the connection over this transport. All are subscribed
    /// when this returns.
    fn start(broker: &mut Broker, transport: Transport, sensors: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let write_file = |name: &str, text: &str| {
            use std::os::unix::fs::PermissionsExt as _;
            let path = folder.path().join(name);
            fs::write(&path, text).expect("a file");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("one's own file");
        };
        write_file(
            "mqtt_credentials.txt",
            &format!("username = {GATEWAY}\nclientId = {GATEWAY}\npassword = {PASSWORD}"),
        );
        write_file("house.txt", &format!("username = {HOUSE}\npassword = {SERVICE_PASSWORD}\n"));
        write_file("ca.pem", broker.ca());
        let ca = if transport.is_encrypted() { "ca_file = \"ca.pem\"\n" } else { "" };
        let mut map = MAP.replace("{port}", &broker.port(Transport::Tcp).to_string());
        for (place, (name, keys)) in sensors.iter().enumerate() {
            let port = broker.port(transport);
            write!(
                map,
                "[[sensor]]\nname = \"{name}\"\nuse = \"mqtt\"\nport = {port}\ntransport = \"{transport}\"\n\
                 credentials = \"house.txt\"\ntimeout = \"500ms\"\n{ca}{keys}\nto.value = \"house.field{}\"\n",
                place + 1
            )
            .expect("a String takes everything");
        }
        write_file("gatepost.toml", &map);
        let watcher = broker.watch();
        let mut command = gatepost();
        command.args(["run", "--verbose", "--config"]).arg(folder.path().join("gatepost.toml"));
        for (option, name) in [("--state-dir", "state"), ("--runtime-dir", "run")] {
            command.arg(option).arg(folder.path().join(name));
        }
        let program = Program::start(command);
        for _ in sensors {
            broker.log().wait_for(&format!("Sending SUBACK to {HOUSE}"));
        }
        Self { _folder: folder, program, watcher }
    }

    /// Says a value until an entry has it.
    fn publishes(&mut self, broker: &Broker, topic: &str, value: &str, cell: &str) {
        let until = Instant::now() + SOON;
        loop {
            broker.tell(topic, value);
            if self.watcher.hear(cell, Duration::from_secs(5)).is_some() {
                return;
            }
            assert!(Instant::now() < until, "no entry has {cell}: {}", self.program.said());
        }
    }
}

/// A message in a topic that the test's users may use.
fn topic(name: &str) -> String {
    format!("channels/house/{name}")
}

#[test]
fn topics_of_a_broker_are_sensors_over_every_transport() {
    let mut broker = Broker::start();
    for (place, transport) in TRANSPORTS.into_iter().enumerate() {
        let keys = format!("topic = \"{}\"\nqos = 1", topic("power"));
        let mut house = House::start(&mut broker, transport, &[("meter", &keys)]);
        house.publishes(&broker, &topic("power"), &format!("12.{place}5"), &format!("field1=12.{place}5"));
    }
}

#[test]
fn a_broker_that_goes_away_is_a_fault_and_heals_when_it_is_back() {
    let mut broker = Broker::start();
    let keys = format!("topic = \"{}\"", topic("power"));
    let mut house = House::start(&mut broker, Transport::Tcp, &[("meter", &keys)]);
    house.publishes(&broker, &topic("power"), "31.25", "field1=31.25");
    broker.kill();
    house.program.wait_for("broker localhost:");
    broker.revive();
    broker.log().wait_for(&format!("Sending SUBACK to {HOUSE}"));
    house.watcher = broker.watch();
    house.publishes(&broker, &topic("power"), "32.25", "field1=32.25");
}

#[test]
fn kept_binary_and_huge_messages_stop_nothing() {
    let mut broker = Broker::start();
    broker.keep_many(&topic("flood"), 1000);
    broker.keep(&topic("kept"), "77.5");
    broker.tell_file(&topic("huge"), &vec![b'1'; 1_000_000], true);
    broker.tell_file(&topic("binary"), &[0xff, 0, 1, 0xfe], true);
    let all = format!("topic = \"{}/#\"\nretained = true\nmatch = '^v(?<value>[0-9.]+)$'", topic("flood"));
    let kept = format!("topic = \"{}\"\nmax_age = \"2s\"", topic("kept"));
    let huge = format!("topic = \"{}\"\nqos = 1", topic("huge"));
    let binary = format!("topic = \"{}\"\nretained = true", topic("binary"));
    let sensors = [("all", &all[..]), ("kept", &kept), ("huge", &huge), ("binary", &binary)];
    let mut house = House::start(&mut broker, Transport::Tcp, &sensors);
    // The order in which the sensors fail is the broker's.
    let until = Instant::now() + SOON;
    while !["of unknown age", "is not a text", "is too long"].iter().all(|words| house.program.said().contains(words)) {
        assert!(Instant::now() < until, "{}", house.program.said());
        std::thread::sleep(Duration::from_millis(50));
    }
    house.publishes(&broker, &topic("flood/x"), "v51.5", "field1=51.5");
    house.publishes(&broker, &topic("huge"), "52.5", "field3=52.5");
    house.publishes(&broker, &topic("binary"), "53.5", "field4=53.5");
    let connections = broker.log().said().matches(&format!("as {HOUSE} ")).count();
    assert_eq!(connections, 1, "one connection, which lasts: {}", broker.log().said());
}
