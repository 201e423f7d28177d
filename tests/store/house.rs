//! A daemon's map and directories.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::map;
use crate::program::{Program, SOON, gatepost};

/// Nobody listens where its broker is.
fn map() -> String {
    let disk = "[spool]\nwrite_after = \"1s\"\ngroup_every = \"1s\"\n\
                [device.pi]\nclient_id = \"c\"\nusername = \"c\"\npassword = \"p\"\n";
    let rain =
        "\n[[sensor]]\nname = \"rain\"\nuse = \"counter\"\npin = 22\nevery = \"1s\"\nto.total = \"house.field2\"\n";
    let tank = map::file_sensor("tank", "tank", "house.field1");
    [&map::broker("localhost", 1), disk, map::HOUSE, "every = \"1s\"\n", &tank, rain].concat()
}

pub(crate) struct House(TempDir);

impl House {
    pub(crate) fn new() -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let house = Self(tempfile::tempdir().expect("a folder"));
        let map = house.path("map.toml");
        fs::write(&map, self::map()).expect("a file");
        fs::set_permissions(&map, fs::Permissions::from_mode(0o600)).expect("one's own file");
        fs::write(house.path("tank"), "1\n").expect("a file");
        house
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn runtime(&self) -> PathBuf {
        self.path("run")
    }

    pub(crate) fn disk(&self) -> PathBuf {
        self.path("state/spool")
    }

    /// The daemon in these directories.
    pub(crate) fn command_in(&self, runtime: &Path, state: &Path) -> Command {
        let mut command = gatepost();
        command.args(["run", "--verbose", "--simulate", "--config"]).arg(self.path("map.toml"));
        command.arg("--runtime-dir").arg(runtime).arg("--state-dir").arg(state);
        command
    }

    pub(crate) fn command(&self) -> Command {
        self.command_in(&self.runtime(), &self.path("state"))
    }

    /// A daemon that measures.
    pub(crate) fn start(&self) -> Program {
        let mut program = Program::start(self.command());
        program.wait_for("running");
        program.wait_for(" made");
        program
    }

    /// `gatepost spool …` in these directories.
    pub(crate) fn spool(&self, arguments: &[&str], runtime: &Path) -> Output {
        let mut command = gatepost();
        command.arg("spool").args(arguments).arg("--config").arg(self.path("map.toml"));
        command.arg("--runtime-dir").arg(runtime).arg("--state-dir").arg(self.path("state"));
        command.output().expect("it runs")
    }

    /// What the daemon answers on its socket.
    pub(crate) fn ask(&self) -> std::io::Result<String> {
        let mut stream = UnixStream::connect(self.runtime().join("gatepost.sock"))?;
        stream.set_read_timeout(Some(SOON))?;
        stream.write_all(b"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}

/// Looks again and again until it is so.
pub(crate) fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + SOON * 2;
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
