//! aedes, a broker for Node.js, with the WebSockets of `ws`.

use std::process::Command;

use crate::checks;
use crate::fetched::fetched;
use crate::gateway::Gateway;
use crate::program::Program;
use crate::room::{Make, Room, USERS};

/// The broker: aedes is a library, and this is what a house with it writes.
const SCRIPT: &str = include_str!("aedes.mjs");

struct Aedes;

impl Make for Aedes {
    fn path(&self) -> &'static str {
        "/house/mqtt"
    }

    fn start(&self, room: &Room) -> Program {
        room.write("aedes.mjs", SCRIPT);
        let users: Vec<_> = USERS.iter().map(|(name, password)| format!(r#""{name}":"{password}""#)).collect();
        room.write("users.json", &format!("{{{}}}", users.join(",")));
        let mut command = Command::new("node");
        command.arg(room.path("aedes.mjs")).arg(fetched("npm/node_modules")).arg(room.path("")).arg(self.path());
        let mut broker = room.start(&command);
        broker.wait_for("aedes listens");
        broker
    }
}

checks::rows!(Aedes);

#[test]
#[ignore = "it takes a broker of another maker: `just brokers`"]
fn the_path_of_thingspeak_is_told_to_be_another_one() {
    let room = Room::new();
    let _broker = Aedes.start(&room);
    let gateway = Gateway::with(&room, "host = \"localhost\"\n", "");
    let told = gateway.run().wait_for("link down: ");
    assert!(told.contains("HTTP 400 to /mqtt") && told.contains("`path` in [broker]"), "{told}");
}
