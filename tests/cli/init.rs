//! The first map, by flags and on a terminal.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Output, Stdio};
use std::thread::JoinHandle;
use std::time::Instant;

use nix::pty::openpty;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::program::{SOON, gatepost};

const PASSWORD: &str = "sesame+open/0123456789ab";

/// What `gatepost scan --json` says on a Pi with a BME280, a DS18B20 and a free serial port.
const FOUND: &str = r#"{ "board": "Raspberry Pi 4 Model B Rev 1.4", "gpio": [],
    "i2c": [{ "name": "i2c-1", "adapter": null, "fault": null,
              "parts": [{ "address": 118, "answer": { "identified": "BME280" } }] }],
    "one_wire": [{ "id": "28-0417b1fb82ff", "temperature": 21.4, "fault": null }],
    "serial": [{ "name": "/dev/serial0", "node": "/dev/ttyAMA0", "console": false, "usable": true }],
    "cpu_temperature": true, "missing": [] }"#;

/// A folder with the downloaded credentials, as a browser leaves them.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let credentials = format!("username = A0\nclientId = A0\npassword = {PASSWORD}");
        fs::write(folder.path().join("mqtt_credentials.txt"), credentials).expect("written");
        fs::write(folder.path().join("found.json"), FOUND).expect("written");
        let desk = Self(folder);
        desk.set_mode("mqtt_credentials.txt", 0o644);
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn set_mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).expect("one's own");
    }

    fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.path(name)).expect("there").permissions().mode() & 0o777
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).expect("there");
        let mut names: Vec<_> = entries.map(|one| one.expect("one").file_name().into_string().expect("text")).collect();
        names.sort();
        names
    }

    /// Exit code and everything that it says to these flags, without a terminal.
    fn init(&self, flags: &[&str]) -> (Option<i32>, String) {
        let mut command = gatepost();
        command.args(["init", "--found", "found.json", "--output", "map.toml"]).args(flags);
        let output = command.current_dir(self.0.path()).stdin(Stdio::null()).output().expect("the binary runs");
        said(&output)
    }

    fn check(&self) -> (Option<i32>, String) {
        said(&gatepost().arg("check").arg(self.path("map.toml")).output().expect("the binary runs"))
    }
}

fn said(output: &Output) -> (Option<i32>, String) {
    let text = [output.stdout.as_slice(), &output.stderr].concat();
    (output.status.code(), String::from_utf8(text).expect("UTF-8"))
}

const FLAGS: [&str; 4] = ["--credentials", "mqtt_credentials.txt", "--channel", "room=1234567"];

#[test]
fn flags_alone_make_a_map_that_passes_the_check() {
    let desk = Desk::new();
    let (code, told) = desk.init(&[&FLAGS[..], &["--command-channel", "switches=1234569"]].concat());
    assert_eq!(code, Some(0), "{told}");
    for words in [
        "Field 1: air temperature (°C)",
        "Field 4: probe temperature (°C)",
        "Field 5: pi cpu temperature (°C)",
        "1234567 (room): allow publish, allow subscribe",
        "1234569 (switches), for commands: allow subscribe",
        "Outputs: uncomment the lines at the end of the map and set the pin.",
        "gatepost check map.toml",
    ] {
        assert!(told.contains(words), "no {words:?} in\n{told}");
    }
    assert!(!told.contains(PASSWORD));
    assert_eq!(desk.mode("mqtt_credentials.txt"), 0o640, "readable by other users now");
    assert_eq!(desk.names(), ["found.json", "map.toml", "mqtt_credentials.txt"]);
    let (code, checked) = desk.check();
    assert!(code == Some(0) && checked.contains("the map is valid") && !checked.contains("warning"), "{checked}");
}

#[test]
fn map_that_is_there_is_kept_and_with_force_beside_the_new_one() {
    let desk = Desk::new();
    let old = "version = 1\n[device.mine]\n";
    fs::write(desk.path("map.toml"), old).expect("written");
    let (code, told) = desk.init(&FLAGS);
    assert!(code == Some(1) && told.contains("already exists"), "{told}");
    assert_eq!(fs::read_to_string(desk.path("map.toml")).expect("there"), old);
    let (code, told) = desk.init(&[&FLAGS[..], &["--force"]].concat());
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(fs::read_to_string(desk.path("map.toml.bak")).expect("kept"), old);
    assert_eq!(desk.check().0, Some(0));
}

#[test]
fn map_of_the_package_makes_room_without_force() {
    let desk = Desk::new();
    fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/config/gatepost.toml"), desk.path("map.toml")).expect("copied");
    let (code, told) = desk.init(&FLAGS);
    assert_eq!(code, Some(0), "{told}");
    assert!(desk.path("map.toml.bak").exists(), "its explanations stay at hand");
}

#[test]
fn what_is_missing_or_wrong_is_one_line_and_nothing_is_written() {
    let desk = Desk::new();
    fs::write(desk.path("half.txt"), format!("username = A0\npassword = {PASSWORD}")).expect("written");
    let before = desk.names();
    let twice = [&FLAGS[..], &["--channel", "room=2"]].concat();
    let nothing = [&FLAGS[..], &["--skip", "air", "--skip", "probe", "--skip", "pi"]].concat();
    let unknown = [&FLAGS[..], &["--skip", "rain"]].concat();
    for (flags, words) in [
        (&[][..], "--credentials FILE"),
        (&FLAGS[..2], "--channel room=1234567"),
        (
            &["--credentials", "nowhere.txt", "--channel", "room=1"][..],
            "there is no file nowhere.txt: download it on ThingSpeak",
        ),
        (&["--credentials", "half.txt", "--channel", "room=1"][..], "holds no clientId"),
        (&twice[..], "two channels are named room"),
        (&nothing[..], "no sensor is left"),
        (&unknown[..], "the sensors are air, probe, pi"),
    ] {
        let (code, told) = desk.init(flags);
        assert!(code == Some(1) && told.lines().count() == 1 && told.contains(words), "{flags:?}: {told}");
        assert!(!told.contains(PASSWORD));
    }
    let (code, told) = desk.init(&["--credentials", "mqtt_credentials.txt", "--channel", "room"]);
    assert!(code == Some(2) && told.contains("write NAME=ID, such as room=1234567"), "{told}");
    let (code, told) = desk.init(&["--credentials", "mqtt_credentials.txt", "--channel", "room=ABCDEFGHIJKLMNOP"]);
    assert!(code == Some(2) && told.contains("Channel ID"), "{told}");
    assert_eq!((desk.names(), desk.mode("mqtt_credentials.txt")), (before, 0o644));
}

/// `gatepost init` on a terminal.
struct Terminal {
    child: Child,
    master: File,
    heard: std::sync::mpsc::Receiver<Vec<u8>>,
    reader: Option<JoinHandle<()>>,
    text: String,
    mark: usize,
}

impl Terminal {
    fn open(desk: &Desk) -> Self {
        let pty = openpty(None, None).expect("a pseudo terminal");
        let end = || Stdio::from(pty.slave.try_clone().expect("a copy"));
        let mut command = gatepost();
        command.args(["init", "--found", "found.json", "--output", "map.toml"]).current_dir(desk.0.path());
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().expect("it starts");
        drop((command, pty.slave));
        let master = File::from(pty.master);
        let mut ear = master.try_clone().expect("a copy");
        let (tell, heard) = std::sync::mpsc::channel();
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // A terminal whose last program has gone is an error on Linux.
            while let Ok(read @ 1..) = ear.read(&mut bytes) {
                if tell.send(bytes[..read].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { child, master, heard, reader: Some(reader), text: String::new(), mark: 0 }
    }

    /// Waits for a question and answers it.
    fn answer(&mut self, question: &str, answer: &str) {
        let until = Instant::now() + SOON;
        loop {
            if let Some(at) = self.text[self.mark..].find(question) {
                self.mark += at + question.len();
                break;
            }
            let more = self.heard.recv_timeout(until.saturating_duration_since(Instant::now()));
            let more = more.unwrap_or_else(|_| panic!("it did not ask {question:?}:\n{}", self.text));
            self.text.push_str(&String::from_utf8_lossy(&more));
        }
        self.master.write_all(answer.as_bytes()).expect("it listens");
    }

    /// Its exit code, once everything is said.
    fn end(&mut self) -> Option<i32> {
        let status = self.child.wait().expect("a child of ours");
        self.reader.take().expect("once").join().expect("no panic");
        while let Ok(more) = self.heard.try_recv() {
            self.text.push_str(&String::from_utf8_lossy(&more));
        }
        status.code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // One that has ended by itself cannot be killed any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn questions_on_a_terminal_end_in_a_map() {
    let desk = Desk::new();
    let mut terminal = Terminal::open(&desk);
    terminal.answer("The downloaded file [mqtt_credentials.txt]: ", "\n");
    terminal.answer("Channel ID: ", "my room\n");
    terminal.answer("Channel ID: ", "1234567\n");
    terminal.answer("A name for it in the map [room]: ", "\n");
    terminal.answer("Another one, or Enter for none: ", "\n");
    terminal.answer("free or paid [free]: ", "\n");
    terminal.answer("temperature, humidity, pressure? [yes]: ", "y\n");
    terminal.answer("probe (DS18B20", "no\n");
    terminal.answer("pi (this machine itself)", "\n");
    terminal.answer("Its Channel ID, or Enter for none: ", "\n");
    terminal.answer("Write it? [yes]: ", "\n");
    assert_eq!(terminal.end(), Some(0), "{}", terminal.text);
    assert!(
        terminal.text.contains("is not a channel's number") && !terminal.text.contains(PASSWORD),
        "{}",
        terminal.text
    );
    let map = fs::read_to_string(desk.path("map.toml")).expect("written");
    assert!(map.contains("id = 1234567") && map.contains("bme280") && !map.contains("ds18b20"), "{map}");
    assert_eq!(desk.check().0, Some(0));
}

#[test]
fn who_stops_at_a_question_leaves_nothing_behind() {
    let desk = Desk::new();
    let before = desk.names();
    // The terminal's end of file, at a question and at the last one.
    let mut terminal = Terminal::open(&desk);
    terminal.answer("The downloaded file", "\u{4}");
    assert_eq!(terminal.end(), Some(1));
    assert!(terminal.text.contains("stopped: nothing was written"), "{}", terminal.text);
    let mut terminal = Terminal::open(&desk);
    terminal.answer("The downloaded file", "\n");
    terminal.answer("Channel ID: ", "1234567\n");
    terminal.answer("A name", "\n");
    terminal.answer("Another one", "\n");
    terminal.answer("free or paid", "\n");
    for _ in 0..3 {
        terminal.answer("? [yes]: ", "\n");
    }
    terminal.answer("Enter for none: ", "\n");
    terminal.answer("Write it?", "no\n");
    assert_eq!(terminal.end(), Some(1));
    // What Ctrl-C sends.
    let mut terminal = Terminal::open(&desk);
    terminal.answer("The downloaded file", "\n");
    terminal.answer("Channel ID: ", "");
    kill(Pid::from_raw(i32::try_from(terminal.child.id()).expect("a process id")), Signal::SIGINT)
        .expect("it is there");
    assert_eq!(terminal.end(), None, "the signal ended it");
    assert_eq!((desk.names(), desk.mode("mqtt_credentials.txt")), (before, 0o644));
}

#[test]
fn scan_says_what_there_is_and_init_can_read_it() {
    let desk = Desk::new();
    let (code, page) = said(&gatepost().arg("scan").output().expect("the binary runs"));
    assert!(code == Some(0) && page.starts_with("Board\n") && page.contains("gatepost init"), "{page}");
    let output = gatepost().args(["scan", "--json"]).output().expect("the binary runs");
    fs::write(desk.path("found.json"), &output.stdout).expect("written");
    let (code, told) = desk.init(&FLAGS);
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(desk.check().0, Some(0));
}
