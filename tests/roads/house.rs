//! A sandbox on the ports of ThingSpeak, and a daemon and a doctor that go to it, all in networks of the test's own.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::program::{Program, gatepost};

/// What a shell needs for the commands that make networks.
pub(crate) const SBIN: &str = "PATH=$PATH:/usr/sbin:/sbin\n";

/// The devices that the sandbox makes: for two daemons, and for the doctor.
pub(crate) const GATEPOST: &str = "gatepost";
pub(crate) const REMOTE: &str = "remote";
const DOCTOR: &str = "doctor";
const DEVICES: [&str; 3] = [GATEPOST, REMOTE, DOCTOR];

/// The map but for `[broker]`.
const MAP: &str = r#"
[device.house]
credentials = "sandbox/{device}_credentials.txt"

[channel.house]
id = 1
license = "paid"
every = "2s"

[[sensor]]
name = "tank"
use = "file"
path = "tank"
every = "1s"
to.value = "house.field1"
"#;

/// A folder with what the programs need.
pub(crate) struct House {
    folder: TempDir,
    /// More sensors of the map.
    pub(crate) sensors: String,
}

impl House {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // A program may have a user of its own, as Squid does.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("one's own folder");
        fs::write(folder.path().join("tank"), "21.5\n").expect("a file");
        fs::write(folder.path().join("long"), "1e250\n").expect("a file");
        Self { folder, sensors: String::new() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Lines of a shell that give a mount namespace an /etc/hosts of its own.
    pub(crate) fn names(&self, names: &str) -> String {
        let path = self.path("hosts");
        fs::write(&path, format!("127.0.0.1 localhost\n{names}")).expect("a file");
        format!("mount --bind {} /etc/hosts\n", path.display())
    }

    /// A sandbox on this address. Its certificate holds for the names too; those of one house share authority and devices.
    pub(crate) fn sandbox(&self, enter: impl Fn(&Command) -> Command, address: &str, names: &[&str]) -> Program {
        let mut command = gatepost();
        command.args(["sandbox", "serve", "--channel", "1:paid", "--bind", address, "--dir"]).arg(self.path("sandbox"));
        command.args(["--tcp=1883", "--tls=8883", "--ws=80", "--wss=443"]);
        command.args(DEVICES.iter().flat_map(|device| ["--device".to_owned(), format!("{device}=1")]));
        command.args(names.iter().flat_map(|name| ["--name", name]));
        let mut sandbox = Program::start(enter(&command));
        sandbox.wait_for("Log, until");
        sandbox
    }

    /// The daemon, with these lines in `[broker]` and every entry in its log.
    pub(crate) fn daemon(&self, broker: &str) -> Command {
        self.daemon_as(GATEPOST, broker)
    }

    /// The same as one of the sandbox's two devices.
    pub(crate) fn daemon_as(&self, device: &str, broker: &str) -> Command {
        let mut command = gatepost();
        command.args(["run", "--verbose", "--config"]).arg(self.map(device, broker));
        self.with_directories(command, device)
    }

    /// The doctor with the same map. Device and directories are its own, so that it logs in beside a daemon.
    pub(crate) fn doctor(&self, broker: &str) -> Command {
        let mut command = gatepost();
        command.arg("doctor").arg(self.map(DOCTOR, broker));
        self.with_directories(command, DOCTOR)
    }

    fn with_directories(&self, mut command: Command, name: &str) -> Command {
        let folder = |kind: &str| self.path(&format!("{name}-{kind}"));
        for (option, kind) in [("--runtime-dir", "runtime"), ("--state-dir", "state")] {
            fs::create_dir_all(folder(kind)).expect("a folder");
            command.arg(option).arg(folder(kind));
        }
        command
    }

    fn map(&self, device: &str, broker: &str) -> PathBuf {
        let path = self.path(&format!("{device}.toml"));
        // The clock of the machine that runs the tests may be set by somebody outside of it.
        let head = "version = 1\nclock = \"system\"\n[broker]\nca_file = \"sandbox/ca.pem\"\n";
        let map = MAP.replace("{device}", device);
        fs::write(&path, format!("{head}{broker}\n{map}{}", self.sensors)).expect("a file");
        path
    }
}

/// Runs a doctor to its end. Returns what it said.
pub(crate) fn said_by(doctor: Command) -> String {
    let mut doctor = Program::start(doctor);
    doctor.wait_for_end();
    doctor.said()
}
