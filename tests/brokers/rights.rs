//! RabbitMQ closes the connection on what a user may not do, as MQTT 3.1.1 allows (section 3.3.5): whatever else the device does
//! has to go on.

use crate::books::{self, WAITS};
use crate::gateway::Gateway;
use crate::program::Program;
use crate::rabbitmq::{Node, Rights};
use crate::room::{ADDRESSES, Room};

/// A second channel with entries.
const CELLAR: &str = r#"
[channel.cellar]
id = 2
license = "paid"
every = "2s"
confirm = "received"

[[sensor]]
name = "cask"
use = "file"
path = "tank"
every = "1s"
to.value = "cellar.field1"
"#;

/// Two channels with commands.
const SWITCHES: &str = r#"
[channel.switches]
id = 3
license = "paid"

[[output]]
name = "lamp"
pin = 17
from = "switches.field1"

[channel.valves]
id = 4
license = "paid"

[[output]]
name = "valve"
pin = 23
from = "valves.field1"
feed = "field"
"#;

fn start(room: &Room, rights: Rights) -> Program {
    Node { number: 1, of: 1, rights }.start(room)
}

const BROKER: &str = "host = \"localhost\"\npath = \"/ws\"\n";

#[test]
#[ignore = "it takes a broker of another maker: `just brokers`"]
fn a_channel_that_may_not_be_written_to_does_not_keep_the_other_one_waiting() {
    let room = Room::new();
    let _broker = start(&room, Rights { write: "^channels\\.1\\.publish$", ..Rights::default() });
    let watcher = room.watch(ADDRESSES[0]);
    let mut program = Gateway::with(&room, BROKER, CELLAR).run();
    let told = program.wait_for("\"allow publish\" is not ticked");
    assert!(told.contains("channel cellar"), "{told}");
    let enough = books::made(&program).len() + 20;
    while books::made(&program).len() < enough {
        program.wait_for(WAITS);
    }
    books::close(&program, &[&watcher], |at| books::sent_again(&program, at));
    let cut = program.said().matches("link down").count();
    println!("the connection was closed {cut} times");
}

#[test]
#[ignore = "it takes a broker of another maker: `just brokers`"]
fn a_feed_that_may_not_be_read_keeps_neither_entries_nor_other_commands() {
    let room = Room::new();
    let _broker = start(&room, Rights { read: "^channels\\.(1|4)\\.subscribe", ..Rights::default() });
    let watcher = room.watch(ADDRESSES[0]);
    let gateway = Gateway::with(&room, BROKER, SWITCHES);
    let mut program = gateway.simulate();
    let told = program.wait_for("\"allow subscribe\"");
    assert!(told.contains("channels/3/subscribe"), "{told}");
    // A command that comes while the connection is made again is missed.
    program.wait_for("link up");
    for level in ["1", "0"] {
        room.tell("channels/4/subscribe/fields/field1", level);
        gateway.wait_for_pin("GPIO23", level);
    }
    for _ in 0..5 {
        program.wait_for(WAITS);
    }
    books::close(&program, &[&watcher], |at| books::sent_again(&program, at));
}
