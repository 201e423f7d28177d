//! `gatepost sandbox` as a program: what a person starts, reads and stops.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const GATEPOST: &str = env!("CARGO_BIN_EXE_gatepost");

/// A sandbox of its own process, on free ports.
struct Program {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Program {
    /// Starts it and reads to the line that says that it serves; returns what was said so far.
    fn start(dir: &Path) -> (Self, String) {
        let mut child = Command::new(GATEPOST)
            .args(["sandbox", "--tcp=0", "--tls=0", "--ws=0", "--wss=0", "--dir"])
            .arg(dir)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let mut program = Self { child, lines };
        let welcome = program.read_to("Log, until");
        (program, welcome)
    }

    fn read_to(&mut self, end: &str) -> String {
        let mut text = String::new();
        for line in &mut self.lines {
            let line = line.expect("text");
            text += &line;
            text.push('\n');
            if line.contains(end) {
                return text;
            }
        }
        panic!("it ended without saying {end:?}:\n{text}");
    }

    /// Presses Ctrl-C and waits for its end.
    fn interrupt(mut self) -> std::process::ExitStatus {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"));
        kill(pid, Signal::SIGINT).expect("it is there");
        self.child.wait().expect("it ends")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // A test that failed must not leave it running; one that has ended by itself cannot be killed any more.
        let _ = self.child.kill();
    }
}

fn publish(dir: &Path, pair: &str) -> (Output, String) {
    publish_to(dir, 3, pair)
}

fn publish_to(dir: &Path, channel: u64, pair: &str) -> (Output, String) {
    let output = Command::new(GATEPOST)
        .args(["sandbox", "publish", &format!("--channel={channel}"), "--dir"])
        .arg(dir)
        .arg(pair)
        .output()
        .expect("it runs");
    let said = [&output.stdout[..], &output.stderr].concat();
    (output, String::from_utf8(said).expect("text"))
}

#[test]
fn a_person_starts_it_publishes_to_it_and_stops_it() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (mut program, welcome) = Program::start(dir.path());
    let credentials = std::fs::read_to_string(dir.path().join("remote_credentials.txt")).expect("written");
    let password = credentials.rsplit("password = ").next().expect("the last line");
    assert!(!welcome.contains(password), "secrets stay in their files:\n{welcome}");
    assert!(welcome.contains("/mqtt") && welcome.contains("transport = \"wss\""), "{welcome}");

    let (output, said) = publish(dir.path(), "field1=on");
    assert!(output.status.success() && said == "channel 3: stored as entry 1\n", "{said}");
    assert!(program.read_to("channel 3 stored entry 1").contains("field1=on"));
    let (output, said) = publish(dir.path(), "field1=off");
    assert!(!output.status.success() && said.contains("not stored"), "{said}");
    assert!(program.read_to("dropped an update").contains("too early"));
    let (output, said) = publish_to(dir.path(), 7, "field1=1");
    assert!(output.status.code() == Some(1) && said.contains("no channel 7: the sandbox has 1, 2, 3"), "{said}");
    let (output, said) = publish(dir.path(), "field9=1");
    assert!(!output.status.success() && said.contains("field1 to field8"), "{said}");
    assert!(program.interrupt().success());

    let (output, said) = publish(dir.path(), "field1=on");
    assert!(!output.status.success() && said.contains("is the sandbox running?"), "{said}");

    let (program, _) = Program::start(dir.path());
    let again = std::fs::read_to_string(dir.path().join("remote_credentials.txt")).expect("written");
    assert_eq!(credentials, again, "a restart keeps what its clients were given");
    assert!(program.interrupt().success());
}
