//! A Mosquitto of the test's own, on free ports of the loopback, with the four transports, passwords and rights of
//! ThingSpeak's broker; and its clients, which play the service: they hear what is published and write the feeds.
//!
//! Unlike the service it does not tell an entry to the subscribers of its channel, so that entries are freed as
//! received.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::iter;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use gatepost::net::Transport;
use gatepost::net::mqttbytes::QoS;
use gatepost::net::mqttbytes::v4::{Connect, Login, Packet, Publish};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::certificates::Certificates;
use crate::program::{Program, SOON, tool};

pub(crate) const TRANSPORTS: [Transport; 4] = [Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss];
/// Client id and user name of the gateway, in the form of ThingSpeak's.
pub(crate) const GATEWAY: &str = "GyE6JTcAMiEJNBgYBzcwLxo";
/// Its password: 24 characters of base64, those that need care included.
pub(crate) const PASSWORD: &str = "q+7Jx/0Lb2TzN9u+V4mR/w8K";
/// Who signed its certificate.
pub(crate) const AUTHORITY: &str = "a test's authority";
/// Who writes feeds, who hears publishes, and their password.
const SERVICE: &str = "service";
const WATCHER: &str = "watcher";
/// Who reads topics as sensors.
pub(crate) const HOUSE: &str = "house";
pub(crate) const SERVICE_PASSWORD: &str = "not-for-the-command-line";

/// A running Mosquitto.
pub(crate) struct Broker {
    folder: TempDir,
    ports: [u16; 4],
    certificates: Certificates,
    program: Program,
}

impl Broker {
    /// One whose certificate is made for `localhost`.
    pub(crate) fn start() -> Self {
        Self::start_as("localhost")
    }

    /// One whose certificate is made for this name.
    pub(crate) fn start_as(name: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let certificates = Certificates::of(AUTHORITY, &[name]);
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("a file");
        write("ca.pem", &certificates.ca);
        write("leaf.pem", &certificates.leaf);
        write("leaf_key.pem", &certificates.leaf_key);
        write_passwords(folder.path());
        write(
            "rights",
            &format!(
                "user {GATEWAY}\ntopic write channels/+/publish\ntopic write channels/+/publish/fields/+\n\
                 topic read channels/+/subscribe\ntopic read channels/+/subscribe/fields/+\n\
                 user {WATCHER}\ntopic read channels/#\nuser {HOUSE}\ntopic read channels/#\n\
                 user {SERVICE}\ntopic write channels/#\n"
            ),
        );
        // Somebody else may take a free port before Mosquitto does.
        let until = Instant::now() + SOON;
        let (ports, program) = loop {
            let ports = free_ports();
            write("mosquitto.conf", &configuration(folder.path(), ports));
            if let Some(program) = run(folder.path()) {
                break (ports, program);
            }
            assert!(Instant::now() < until, "Mosquitto does not start on free ports");
        };
        write_options(folder.path(), ports[0]);
        Self { folder, ports, certificates, program }
    }

    pub(crate) fn port(&self, transport: Transport) -> u16 {
        let place = TRANSPORTS.iter().position(|known| *known == transport);
        self.ports[place.expect("all are listed")]
    }

    /// The authority's certificate.
    pub(crate) fn ca(&self) -> &str {
        &self.certificates.ca
    }

    /// Its log, on the highest level.
    pub(crate) fn log(&mut self) -> &mut Program {
        &mut self.program
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) {
        self.program.end_by(Signal::SIGKILL);
    }

    /// Starts it again, on the same ports.
    pub(crate) fn revive(&mut self) {
        let until = Instant::now() + SOON;
        self.program = loop {
            match run(self.folder.path()) {
                Some(program) => break program,
                None => assert!(Instant::now() < until, "Mosquitto's ports were taken by somebody else"),
            }
            thread::sleep(Duration::from_millis(100));
        };
    }

    /// A `mosquitto_sub` that says topic and payload of every publish.
    pub(crate) fn watch(&mut self) -> Program {
        let mut command = tool("mosquitto_sub", "mosquitto-clients");
        command.env("XDG_CONFIG_HOME", self.options_of(WATCHER)).args(["-v", "-t", "channels/+/publish"]);
        command.args(["-t", "channels/+/publish/fields/+"]);
        let program = Program::start(command);
        self.program.wait_for(&format!("Sending SUBACK to {WATCHER}"));
        program
    }

    /// Writes to a topic as the service does, with `mosquitto_pub`. It has reached the broker when this returns.
    pub(crate) fn tell(&self, topic: &str, payload: &str) {
        self.publish(SERVICE, topic, payload, &[]);
    }

    /// As [`Broker::tell`], with RETAIN: the broker keeps it and sends it to each new subscriber.
    pub(crate) fn keep(&self, topic: &str, payload: &str) {
        self.publish(SERVICE, topic, payload, &["-r"]);
    }

    /// Keeps a message on each of the topics `topic/0`, `topic/1` and so on, over one connection. All have reached the broker when this
    /// returns.
    pub(crate) fn keep_many(&self, topic: &str, count: u32) {
        let mut packets = BytesMut::new();
        let mut connect = Connect::new(SERVICE);
        connect.login = Some(Login::new(SERVICE, SERVICE_PASSWORD));
        let kept = (0..count).map(|number| {
            let mut publish = Publish::new(format!("{topic}/{number}"), QoS::AtMostOnce, number.to_string());
            publish.retain = true;
            Packet::Publish(publish)
        });
        for packet in [Packet::Connect(connect)].into_iter().chain(kept).chain([Packet::PingReq]) {
            packet.write(&mut packets, 1 << 20).expect("short packets");
        }
        let mut line = TcpStream::connect(("127.0.0.1", self.port(Transport::Tcp))).expect("it listens");
        line.set_read_timeout(Some(SOON)).expect("a deadline");
        line.write_all(&packets).expect("a line");
        let mut answers = [0; 6];
        line.read_exact(&mut answers).expect("CONNACK and PINGRESP");
        assert_eq!(answers, [0x20, 2, 0, 0, 0xd0, 0]);
    }

    /// Writes bytes to a topic, perhaps with RETAIN.
    pub(crate) fn tell_file(&self, topic: &str, bytes: &[u8], is_kept: bool) {
        let path = self.folder.path().join("payload");
        fs::write(&path, bytes).expect("a file");
        let mut command = tool("mosquitto_pub", "mosquitto-clients");
        command.env("XDG_CONFIG_HOME", self.options_of(SERVICE)).args(["-q", "1", "-t", topic, "-f"]).arg(&path);
        command.args(is_kept.then_some("-r"));
        let mut program = Program::start(command);
        assert!(program.wait_for_end().success(), "mosquitto_pub: {}", program.said());
    }

    /// Logs in with the gateway's client id, for a moment: the gateway's own connection is closed for it.
    pub(crate) fn take_over(&self) {
        self.publish(GATEWAY, "channels/1/publish", "status=taken over", &[]);
    }

    fn publish(&self, user: &str, topic: &str, payload: &str, options: &[&str]) {
        let mut command = tool("mosquitto_pub", "mosquitto-clients");
        command
            .env("XDG_CONFIG_HOME", self.options_of(user))
            .args(["-q", "1", "-t", topic, "-m", payload])
            .args(options);
        let mut program = Program::start(command);
        assert!(program.wait_for_end().success(), "mosquitto_pub: {}", program.said());
    }

    fn options_of(&self, user: &str) -> PathBuf {
        self.folder.path().join(user)
    }
}

/// Four ports that nobody uses now. They lie below those that the kernel hands out: while the broker is away, no other
/// program is given one of them.
fn free_ports() -> [u16; 4] {
    let listeners = [(); 4].map(|()| {
        let mut tries = iter::repeat_with(|| TcpListener::bind(("127.0.0.1", fastrand::u16(20_000..32_000))));
        tries.find_map(Result::ok).expect("some are free")
    });
    listeners.map(|listener| listener.local_addr().expect("it is bound").port())
}

fn configuration(folder: &Path, ports: [u16; 4]) -> String {
    let folder = folder.display();
    // Started by root it would become the user mosquitto, who may not read the test's folder; others stay who they are.
    let mut text = format!(
        "user root\nallow_anonymous false\npassword_file {folder}/passwords\nacl_file {folder}/rights\n\
         persistence false\nsys_interval 0\nlog_dest stderr\nlog_type all\n"
    );
    for (transport, port) in TRANSPORTS.iter().zip(ports) {
        writeln!(text, "listener {port} 127.0.0.1\nuse_username_as_clientid true").expect("a String takes everything");
        if matches!(transport, Transport::Ws | Transport::Wss) {
            text += "protocol websockets\n";
        }
        if transport.is_encrypted() {
            write!(text, "certfile {folder}/leaf.pem\nkeyfile {folder}/leaf_key.pem\n")
                .expect("a String takes everything");
        }
    }
    text
}

/// Starts it and waits until it listens; `None` when it ends instead.
fn run(folder: &Path) -> Option<Program> {
    let mut command = tool("mosquitto", "mosquitto");
    command.arg("-c").arg(folder.join("mosquitto.conf"));
    let mut program = Program::start(command);
    program.hear(" running", SOON).map(|_| program)
}

/// The passwords, written in the clear and then hashed in place: no command line sees them.
fn write_passwords(folder: &Path) {
    let path = folder.join("passwords");
    let text = format!(
        "{GATEWAY}:{PASSWORD}\n{SERVICE}:{SERVICE_PASSWORD}\n{WATCHER}:{SERVICE_PASSWORD}\n{HOUSE}:{SERVICE_PASSWORD}\n"
    );
    fs::write(&path, text).expect("a file");
    let mut command = tool("mosquitto_passwd", "mosquitto");
    command.arg("-U").arg(&path);
    let mut program = Program::start(command);
    assert!(program.wait_for_end().success(), "mosquitto_passwd: {}", program.said());
}

/// The clients' options, read from files for the same reason.
fn write_options(folder: &Path, port: u16) {
    for (user, client, password) in [
        (SERVICE, "mosquitto_pub", SERVICE_PASSWORD),
        (WATCHER, "mosquitto_sub", SERVICE_PASSWORD),
        (GATEWAY, "mosquitto_pub", PASSWORD),
    ] {
        fs::create_dir(folder.join(user)).expect("a folder");
        let options = format!("-h 127.0.0.1\n-p {port}\n-i {user}\n-u {user}\n-P {password}\n");
        fs::write(folder.join(user).join(client), options).expect("a file");
    }
}
