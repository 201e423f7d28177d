//! RabbitMQ with its plugins for MQTT and for MQTT over WebSockets.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::checks;
use crate::gateway::Gateway;
use crate::program::Program;
use crate::room::{ADDRESSES, GATEWAY, Make, Room, USERS};

/// A node starts its plugins one after the other, and waits for others in between.
const STARTED: Duration = Duration::from_secs(180);

/// One node.
struct RabbitMq;

impl Make for RabbitMq {
    fn path(&self) -> &'static str {
        "/ws"
    }

    fn start(&self, room: &Room) -> Program {
        Node { number: 1, of: 1, rights: Rights::default() }.start(room)
    }
}

checks::rows!(RabbitMq);

#[test]
#[ignore = "it takes a broker of another maker: `just brokers`"]
fn the_path_of_thingspeak_is_told_to_be_another_one() {
    let room = Room::new();
    let _broker = RabbitMq.start(&room);
    let gateway = Gateway::with(&room, "host = \"localhost\"\n", "");
    let told = gateway.run().wait_for("link down: ");
    assert!(told.contains("404") && told.contains("another WebSocket path (`path` in [broker])"), "{told}");
}

/// What the gateway may do, as regular expressions of routing keys: topics with dots in place of slashes.
pub(crate) struct Rights {
    pub(crate) write: &'static str,
    pub(crate) read: &'static str,
}

impl Default for Rights {
    fn default() -> Self {
        Self { write: "^channels\\.[0-9]+\\.publish", read: "^channels\\.[0-9]+\\.subscribe" }
    }
}

/// A node by itself or of a cluster.
pub(crate) struct Node {
    pub(crate) number: usize,
    /// How many there are.
    pub(crate) of: usize,
    pub(crate) rights: Rights,
}

impl Node {
    /// Starts it, in its own process, and waits until it listens.
    pub(crate) fn start(&self, room: &Room) -> Program {
        // What nodes find each other by. One that a node starts by itself would outlive it.
        let mut epmd = Command::new("epmd");
        epmd.arg("-d");
        room.start_once(&epmd, "epmd running");
        let mut node = room.start(&self.command(room));
        node.hear("Server startup complete", STARTED).unwrap_or_else(|| panic!("no start: {}", node.said()));
        node
    }

    fn command(&self, room: &Room) -> Command {
        let name = format!("r{}", self.number);
        let home = room.path(&name);
        fs::create_dir_all(&home).expect("a folder");
        let write = |file: &str, text: &str| room.write(&format!("{name}/{file}"), text);
        write("rabbitmq.conf", &self.configuration(room));
        write("plugins", "[rabbitmq_mqtt,rabbitmq_web_mqtt].");
        write("definitions.json", &self.definitions());
        // What nodes of a cluster know each other by.
        write(".erlang.cookie", "a-cookie-of-this-test");
        fs::set_permissions(home.join(".erlang.cookie"), fs::Permissions::from_mode(0o400)).expect("one's own file");
        // The package's wrapper would become another user.
        let mut command = Command::new("/usr/lib/rabbitmq/bin/rabbitmq-server");
        let path = |file: &str| home.join(file);
        let paths: [(&str, PathBuf); 5] = [
            ("HOME", home.clone()),
            ("RABBITMQ_CONFIG_FILE", path("rabbitmq.conf")),
            ("RABBITMQ_MNESIA_BASE", path("mnesia")),
            ("RABBITMQ_LOG_BASE", path("log")),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", path("plugins")),
        ];
        command.envs(paths);
        command.env("RABBITMQ_NODENAME", format!("{name}@localhost"));
        command.env("RABBITMQ_DIST_PORT", (25_671 + self.number).to_string());
        command.env("RABBITMQ_CONF_ENV_FILE", "/dev/null");
        // So that the shell becomes the node, in place of watching over it.
        command.env("RUNNING_UNDER_SYSTEMD", "true");
        command
    }

    fn configuration(&self, room: &Room) -> String {
        let (address, folder) = (ADDRESSES[self.number - 1], room.path(""));
        let folder = folder.display();
        let files = |prefix: &str| {
            format!(
                "{prefix}.cacertfile = {folder}ca.pem\n{prefix}.certfile = {folder}leaf.pem\n\
                 {prefix}.keyfile = {folder}leaf_key.pem\n"
            )
        };
        let mut text = format!(
            "listeners.tcp = none\nload_definitions = {folder}r{}/definitions.json\nmqtt.allow_anonymous = false\n\
             mqtt.listeners.tcp.default = {address}:1883\nmqtt.listeners.ssl.default = {address}:8883\n{}\
             web_mqtt.tcp.ip = {address}\nweb_mqtt.tcp.port = 80\n\
             web_mqtt.ssl.ip = {address}\nweb_mqtt.ssl.port = 443\n{}\
             log.console = true\nlog.console.level = info\nlog.file = false\nnet_ticktime = 10\n",
            self.number,
            files("ssl_options"),
            files("web_mqtt.ssl"),
        );
        if self.of > 1 {
            text += "cluster_formation.peer_discovery_backend = classic_config\n";
            text.extend(
                (1..=self.of)
                    .map(|number| format!("cluster_formation.classic_config.nodes.{number} = r{number}@localhost\n")),
            );
        }
        text
    }

    /// Users and what they may do.
    fn definitions(&self) -> String {
        let users: Vec<_> = USERS
            .iter()
            .map(|(name, password)| format!(r#"{{"name":"{name}","password":"{password}","tags":""}}"#))
            .collect();
        let permissions: Vec<_> = USERS
            .iter()
            .map(|(name, _)| format!(r#"{{"user":"{name}","vhost":"/","configure":".*","write":".*","read":".*"}}"#))
            .collect();
        let quoted = |pattern: &str| pattern.replace('\\', "\\\\");
        format!(
            r#"{{"vhosts":[{{"name":"/"}}],"users":[{}],"permissions":[{}],"topic_permissions":[{{"user":"{GATEWAY}","vhost":"/","exchange":"amq.topic","write":"{}","read":"{}"}}]}}"#,
            users.join(","),
            permissions.join(","),
            quoted(self.rights.write),
            quoted(self.rights.read),
        )
    }
}
