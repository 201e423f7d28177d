//! Where a broker and the gateway are alone with each other.

use std::cell::OnceCell;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::certificates::Certificates;
use crate::fetched::overlay;
use crate::namespace::{Namespace, Own};
use crate::program::{Program, SOON, tool};

/// Client id and user name of the gateway, in the form of ThingSpeak's.
pub(crate) const GATEWAY: &str = "GyE6JTcAMiEJNBgYBzcwLxo";
/// Its password: 24 characters of base64, those that need care included.
pub(crate) const PASSWORD: &str = "q+7Jx/0Lb2TzN9u+V4mR/w8K";
/// Who hears publishes, who writes feeds, and their password.
pub(crate) const WATCHER: &str = "watcher";
pub(crate) const SERVICE: &str = "service";
pub(crate) const SERVICE_PASSWORD: &str = "not-for-the-command-line";
/// All users and their passwords.
pub(crate) const USERS: [(&str, &str); 3] =
    [(GATEWAY, PASSWORD), (WATCHER, SERVICE_PASSWORD), (SERVICE, SERVICE_PASSWORD)];

/// Where brokers listen: one by itself at the first.
pub(crate) const ADDRESSES: [&str; 3] = ["127.0.0.1", "127.0.0.2", "127.0.0.3"];
/// A name that has all of these addresses.
pub(crate) const CLUSTER: &str = "cluster.test";

/// What a watcher is to hear first.
const MARK: &str = "can-you-hear-me";

/// A make of broker.
pub(crate) trait Make {
    /// Where its WebSocket is.
    fn path(&self) -> &'static str;

    /// Starts it on the ports of ThingSpeak, and waits until it listens. What an earlier one has left in the room is used again.
    fn start(&self, room: &Room) -> Program;
}

/// A namespace with the fetched programs in it, and a folder.
pub(crate) struct Room {
    /// A program that several nodes need, once one of them was started.
    shared: OnceCell<Program>,
    folder: TempDir,
    own: Namespace,
}

impl Room {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let names = ADDRESSES.map(|address| format!("{address} {CLUSTER}\n")).concat();
        let hosts = folder.path().join("hosts");
        fs::write(&hosts, format!("127.0.0.1 localhost\n{names}")).expect("a file");
        let setup = format!(
            "PATH=$PATH:/usr/sbin:/sbin\n{}mount --bind {} /etc/hosts\nip link set lo up\n",
            overlay(),
            hosts.display()
        );
        let room = Self { shared: OnceCell::new(), folder, own: Namespace::new(&[Own::Mounts, Own::Network], &setup) };
        let names: Vec<_> = ["localhost", CLUSTER].into_iter().chain(ADDRESSES).collect();
        let Certificates { ca, leaf, leaf_key } = Certificates::of("a test's authority", &names);
        for (name, text) in [("ca.pem", ca), ("leaf.pem", leaf), ("leaf_key.pem", leaf_key)] {
            room.write(name, &text);
        }
        room
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file in one piece, as only its owner may read it: somebody may be reading right now.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let beside = self.path("beside");
        fs::write(&beside, text).expect("a file");
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o600)).expect("one's own file");
        fs::rename(&beside, self.path(name)).expect("the same folder");
    }

    /// Starts a program in here.
    pub(crate) fn start(&self, command: &Command) -> Program {
        Program::start(self.own.enter(command))
    }

    /// Starts what nodes share, where it does not run yet, and waits until it says this. It ends with the room.
    pub(crate) fn start_once(&self, command: &Command, ready: &str) {
        self.shared.get_or_init(|| {
            let mut program = self.start(command);
            program.wait_for(ready);
            program
        });
    }

    /// A `mosquitto_sub` that says topic and payload of every publish that reaches the broker at this address.
    pub(crate) fn watch(&self, address: &str) -> Program {
        let mut command = tool("mosquitto_sub", "mosquitto-clients");
        command.env("XDG_CONFIG_HOME", self.options_of(WATCHER, "mosquitto_sub", address));
        command.args(["-v", "-t", "channels/+/publish"]);
        let mut watcher = self.start(&command);
        let until = Instant::now() + SOON;
        // It does not say when it has subscribed.
        while watcher.hear(MARK, Duration::from_millis(500)).is_none() {
            assert!(Instant::now() < until, "no watcher: {}", watcher.said());
            self.tell_at(address, "channels/0/publish", MARK);
        }
        watcher
    }

    /// Writes to a topic as the service does, with `mosquitto_pub`. It has reached the broker when this returns.
    pub(crate) fn tell(&self, topic: &str, payload: &str) {
        self.tell_at(ADDRESSES[0], topic, payload);
    }

    fn tell_at(&self, address: &str, topic: &str, payload: &str) {
        let mut command = tool("mosquitto_pub", "mosquitto-clients");
        command.env("XDG_CONFIG_HOME", self.options_of(SERVICE, "mosquitto_pub", address));
        command.args(["-q", "1", "-t", topic, "-m", payload]);
        let mut program = self.start(&command);
        assert!(program.wait_for_end().success(), "mosquitto_pub: {}", program.said());
    }

    /// The folder of a client's options, so that no command line has a password.
    fn options_of(&self, user: &str, client: &str, address: &str) -> PathBuf {
        fs::create_dir_all(self.path(user)).expect("a folder");
        let options = format!("-h {address}\n-p 1883\n-i {user}\n-u {user}\n-P {SERVICE_PASSWORD}\n");
        self.write(&format!("{user}/{client}"), &options);
        self.path(user)
    }
}
