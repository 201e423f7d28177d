//! gatepost with a map of its own.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::program::{Program, SOON, gatepost};
use crate::room::{GATEWAY, Make, PASSWORD, Room};

/// How often a pin's file is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Channel 1 has entries.
const MAP: &str = r#"
[device.garden]
credentials = "mqtt_credentials.txt"

[channel.greenhouse]
id = 1
license = "paid"
every = "2s"
confirm = "received"

[[sensor]]
name = "tank"
use = "file"
path = "tank"
every = "1s"
to.value = "greenhouse.field1"
"#;

/// Channel 3 takes commands, for one output from the channel's feed and for another from the field's.
const OUTPUTS: &str = r#"
[channel.switches]
id = 3
license = "paid"

[[output]]
name = "lamp"
pin = 17
from = "switches.field1"

[[output]]
name = "fan"
pin = 23
from = "switches.field1"
feed = "field"
"#;

/// A map and what belongs to it, in a room.
pub(crate) struct Gateway<'a> {
    room: &'a Room,
}

impl<'a> Gateway<'a> {
    /// One that reaches the broker over a WebSocket and TLS, by the right password and the right authority.
    pub(crate) fn of(room: &'a Room, make: &dyn Make) -> Self {
        Self::with(room, &format!("host = \"localhost\"\npath = \"{}\"\n", make.path()), "")
    }

    /// One with these lines in `[broker]`, and with more sections.
    pub(crate) fn with(room: &'a Room, broker: &str, more: &str) -> Self {
        // The clock of the machine that runs the tests may be set by somebody outside of it.
        let head = "version = 1\nclock = \"system\"\n[broker]\nca_file = \"ca.pem\"\n";
        room.write("gatepost.toml", &format!("{head}{broker}\n{MAP}{more}"));
        room.write("tank", "21.5\n");
        for name in ["runtime", "state"] {
            fs::create_dir_all(room.path(name)).expect("a folder");
        }
        let gateway = Self { room };
        gateway.give_password(PASSWORD);
        gateway
    }

    /// The same with outputs on simulated pins.
    pub(crate) fn with_outputs(room: &'a Room, make: &dyn Make) -> Self {
        Self::with(room, &format!("host = \"localhost\"\npath = \"{}\"\n", make.path()), OUTPUTS)
    }

    /// Replaces the credentials, in the form that ThingSpeak offers for download.
    pub(crate) fn give_password(&self, password: &str) {
        let text = format!("username = {GATEWAY}\nclientId = {GATEWAY}\npassword = {password}");
        self.room.write("mqtt_credentials.txt", &text);
    }

    /// Starts it, with every entry in its log.
    pub(crate) fn run(&self) -> Program {
        self.room.start(&self.command())
    }

    /// Starts it on simulated hardware.
    pub(crate) fn simulate(&self) -> Program {
        let mut command = self.command();
        command.args(["--simulate", "--publish-simulated"]).arg("--pins").arg(self.room.path("pins"));
        self.room.start(&command)
    }

    fn command(&self) -> Command {
        let mut command = gatepost();
        command.args(["run", "--verbose", "--config"]).arg(self.room.path("gatepost.toml"));
        self.with_directories(command)
    }

    /// What the doctor says.
    pub(crate) fn doctor(&self) -> String {
        let mut command = gatepost();
        command.arg("doctor").arg(self.room.path("gatepost.toml"));
        let mut doctor = self.room.start(&self.with_directories(command));
        doctor.wait_for_end();
        doctor.said()
    }

    fn with_directories(&self, mut command: Command) -> Command {
        command.arg("--runtime-dir").arg(self.room.path("runtime"));
        command.arg("--state-dir").arg(self.room.path("state"));
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
    fn pin(&self, pin: &str) -> String {
        fs::read_to_string(self.room.path("pins").join(pin)).unwrap_or_default().trim().to_owned()
    }
}
