//! A service manager's end of the line, and a daemon that was started by it.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::program::{Program, SOON, gatepost};

/// The broker is away in all of these tests: a port that nobody listens on.
const ABOVE: &str = r#"
version = 1

[broker]
host = "127.0.0.1"
port = 9
transport = "tcp"
allow_plaintext = true

[device.pi]
client_id = "c"
username = "c"
password_file = "password"

[channel.house]
id = 1
every = "20s"
"#;

/// The folder that everything of a daemon is in, and the manager's socket.
pub(crate) struct Manager {
    folder: TempDir,
    socket: UnixDatagram,
}

impl Manager {
    pub(crate) fn new(map: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = UnixDatagram::bind(folder.path().join("notify")).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a time-out");
        let manager = Self { folder, socket };
        fs::write(manager.path("password"), "0123456789abcdef").expect("written");
        private(&manager.path("password"));
        manager.write_map(map);
        manager
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write_map(&self, map: &str) {
        fs::write(self.path("map.toml"), format!("{ABOVE}{map}")).expect("written");
    }

    /// `gatepost run` as the unit calls it, with what the manager sets.
    pub(crate) fn daemon(&self) -> Command {
        self.managed(gatepost())
    }

    /// The same with another program in front, such as strace.
    pub(crate) fn managed(&self, mut command: Command) -> Command {
        command.args(["run", "--config"]).arg(self.path("map.toml"));
        command.env("NOTIFY_SOCKET", self.path("notify"));
        command.env("RUNTIME_DIRECTORY", self.path("run")).env("STATE_DIRECTORY", self.path("state"));
        command
    }

    /// Starts it and waits until it is ready.
    pub(crate) fn start(&self, command: Command) -> Program {
        let program = Program::start(command);
        self.wait_for("READY=1");
        program
    }

    /// Waits for a message with this line, and returns it.
    pub(crate) fn wait_for(&self, line: &str) -> String {
        let until = Instant::now() + SOON;
        while Instant::now() < until {
            if let Some(message) = self.hear().filter(|message| message.lines().any(|said| said.starts_with(line))) {
                return message;
            }
        }
        panic!("the manager was not told {line:?}");
    }

    /// The next message, if one comes soon.
    pub(crate) fn hear(&self) -> Option<String> {
        let mut message = [0; 4096];
        let length = self.socket.recv(&mut message).ok()?;
        Some(String::from_utf8_lossy(&message[..length]).into_owned())
    }
}

/// As the daemon demands it of secrets.
pub(crate) fn private(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("made private");
}
