//! gatepost with a map of its own, on simulated hardware.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use gatepost::net::Transport;
use tempfile::TempDir;

use crate::broker::{Broker, GATEWAY, PASSWORD};
use crate::program::{Program, SOON, gatepost};

/// How often a pin's file is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Channel 1 has the tank and the time since boot in each entry, channel 2 a field by itself, channel 3 takes commands.
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

[channel.switches]
id = 3
license = "paid"

[[sensor]]
name = "tank"
use = "file"
path = "{folder}/tank"
every = "1s"
to.value = "greenhouse.field1"

[[sensor]]
name = "machine"
use = "system"
every = "1s"
to.uptime = { field = "greenhouse.field2", reduce = "last" }
to.memory_used = { field = "cellar.field3", publish = "field", round = 1 }

[[output]]
name = "lamp"
pin = 17
from = "switches.field1"

[[output]]
name = "fan"
pin = 23
active = "low"
from = "switches.field1"
feed = "field"

[[output]]
name = "valve"
pin = 24
active = "low"
from = "switches.field3"
stop = "on"
"#;

/// A folder with a map and what belongs to it.
pub(crate) struct Gateway {
    folder: TempDir,
}

impl Gateway {
    /// One that reaches this broker over this transport, with the right credentials and the right authority.
    pub(crate) fn of(broker: &Broker, transport: Transport) -> Self {
        Self::at(broker, transport, broker.port(transport))
    }

    /// One that reaches this broker at this port.
    pub(crate) fn at(broker: &Broker, transport: Transport, port: u16) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let map = MAP
            .replace("{port}", &port.to_string())
            .replace("{transport}", &transport.to_string())
            .replace("{folder}", &folder.path().display().to_string());
        let gateway = Self { folder };
        gateway.write("gatepost.toml", &map);
        gateway.write("tank", "21.5\n");
        gateway.give_ca(broker.ca());
        gateway.give_password(PASSWORD);
        gateway
    }

    /// Replaces the authority that it trusts.
    pub(crate) fn give_ca(&self, pem: &str) {
        self.write("ca.pem", pem);
    }

    /// Replaces the credentials, in the form that ThingSpeak offers for download.
    pub(crate) fn give_password(&self, password: &str) {
        self.write(
            "mqtt_credentials.txt",
            &format!("username = {GATEWAY}\nclientId = {GATEWAY}\npassword = {password}"),
        );
    }

    /// Starts it, with every entry in its log.
    pub(crate) fn run(&self) -> Program {
        let mut command = self.command();
        command.arg("--verbose");
        Program::start(command)
    }

    /// Starts it without options, as the service manager does.
    pub(crate) fn run_quietly(&self) -> Program {
        Program::start(self.command())
    }

    /// Starts it with these in its environment.
    pub(crate) fn run_with(&self, environment: &[(&str, &str)]) -> Program {
        let mut command = self.command();
        command.envs(environment.iter().copied());
        Program::start(command)
    }

    fn command(&self) -> Command {
        let mut command = gatepost();
        command.arg("run").arg("--config").arg(self.path("gatepost.toml"));
        command.arg("--simulate").arg("--pins").arg(self.path("pins"));
        command
    }

    /// Waits until a pin has this voltage: 1 is 3.3 V.
    pub(crate) fn wait_for_pin(&self, pin: &str, level: &str) {
        let until = Instant::now() + SOON;
        while self.pin(pin) != level {
            assert!(Instant::now() < until, "{pin} is never at {level}");
            thread::sleep(LOOK_EVERY);
        }
    }

    /// The voltage of a pin; empty while nobody holds it.
    pub(crate) fn pin(&self, pin: &str) -> String {
        fs::read_to_string(self.path("pins").join(pin)).unwrap_or_default().trim().to_owned()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file in one piece, as only its owner may read it: the daemon may be reading right now.
    fn write(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let beside = self.path("beside");
        fs::write(&beside, text).expect("a file");
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o600)).expect("one's own file");
        fs::rename(&beside, self.path(name)).expect("the same folder");
    }
}
