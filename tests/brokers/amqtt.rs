//! amqtt, a broker in Python.

use std::fmt::Write as _;
use std::process::Command;

use crate::checks;
use crate::fetched::fetched;
use crate::program::Program;
use crate::room::{Make, Room, USERS};

/// Makes lines of amqtt's password file out of those of the file that it is given.
const HASH: &str = "
import sys
from pwdlib import PasswordHash
for line in open(sys.argv[1]):
    name, password = line.rstrip('\\n').split(':', 1)
    print(name + ':' + PasswordHash.recommended().hash(password))
";

struct Amqtt;

impl Make for Amqtt {
    /// It looks at none.
    fn path(&self) -> &'static str {
        "/"
    }

    fn start(&self, room: &Room) -> Program {
        let lines = USERS.map(|(name, password)| format!("{name}:{password}\n")).concat();
        room.write("users", &lines);
        let mut command = Command::new(fetched("venv/bin/python"));
        command.args(["-c", HASH]).arg(room.path("users"));
        let mut hashes = room.start(&command);
        assert!(hashes.wait_for_end().success(), "{}", hashes.said());
        room.write("passwords", &(hashes.said() + "\n"));

        let folder = room.path("");
        let mut text = "listeners:\n".to_owned();
        for (name, kind, port, is_encrypted) in [
            ("default", "tcp", 1883, false),
            ("tls", "tcp", 8883, true),
            ("ws", "ws", 80, false),
            ("wss", "ws", 443, true),
        ] {
            write!(text, "  {name}:\n    type: {kind}\n    bind: 127.0.0.1:{port}\n")
                .expect("a String takes everything");
            if is_encrypted {
                let folder = folder.display();
                write!(text, "    ssl: on\n    certfile: {folder}leaf.pem\n    keyfile: {folder}leaf_key.pem\n")
                    .expect("a String takes everything");
            }
        }
        write!(
            text,
            "plugins:\n  amqtt.plugins.authentication.FileAuthPlugin:\n    password_file: {}\n",
            room.path("passwords").display()
        )
        .expect("a String takes everything");
        room.write("amqtt.yaml", &text);
        let mut command = Command::new(fetched("venv/bin/amqtt"));
        command.arg("-d").arg("-c").arg(room.path("amqtt.yaml"));
        let mut broker = room.start(&command);
        broker.wait_for("Broker started");
        broker
    }
}

checks::rows!(Amqtt);
