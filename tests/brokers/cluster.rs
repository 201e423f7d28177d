//! Three nodes of RabbitMQ as one broker, and the node in use dies or freezes.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::books::{self, WAITS};
use crate::gateway::Gateway;
use crate::program::Program;
use crate::rabbitmq::{Node, Rights};
use crate::room::{ADDRESSES, CLUSTER, GATEWAY, Room};

/// Nodes that are left agree among themselves first that one is gone, and let nobody in meanwhile.
const AGREED: Duration = Duration::from_secs(180);

/// Starts the nodes, one after the other.
fn start(room: &Room) -> Vec<Program> {
    let node = |number| Node { number, of: ADDRESSES.len(), rights: Rights::default() }.start(room);
    (1..=ADDRESSES.len()).map(node).collect()
}

/// How the map names the nodes.
#[derive(Clone, Copy)]
enum Named {
    /// Each by its address.
    Hosts,
    /// By a name that has all addresses.
    OneName,
}

impl Named {
    fn lines(self) -> String {
        let broker = match self {
            Self::Hosts => format!("hosts = {ADDRESSES:?}\n"),
            Self::OneName => format!("host = \"{CLUSTER}\"\n"),
        };
        broker + "path = \"/ws\"\n"
    }
}

/// What happens to the first node, which is in use: all that is measured arrives once by another one.
fn goes_on_without_the_first_node(named: Named, signal: Signal) {
    let room = Room::new();
    let nodes = start(&room);
    let mut watcher = room.watch(ADDRESSES[2]);
    let gateway = Gateway::with(&room, &named.lines(), "");
    let mut program = gateway.run();
    for _ in 0..3 {
        watcher.wait_for("channels/1/publish ");
    }
    assert!(nodes[0].said().contains(GATEWAY), "it is the first node that is in use");
    nodes[0].signal(signal);
    let begun = Instant::now();
    program.wait_for("link down: ");
    let unsure = books::unsure(&program);
    let up = program.hear("link up again after", AGREED).unwrap_or_else(|| panic!("no link: {}", program.said()));
    println!("{} s after the {signal}: {up}", begun.elapsed().as_secs());
    for _ in 0..4 {
        program.wait_for(WAITS);
    }
    books::close(&program, &[&watcher], |at| unsure.contains(&at));
}

#[test]
#[ignore = "it takes a broker of another maker: `just brokers`"]
fn the_node_in_use_of_several_hosts_is_killed() {
    goes_on_without_the_first_node(Named::Hosts, Signal::SIGKILL);
}

#[test]
#[ignore = "it takes a broker of another maker: `just brokers`"]
fn the_node_in_use_of_several_hosts_freezes() {
    goes_on_without_the_first_node(Named::Hosts, Signal::SIGSTOP);
}

#[test]
#[ignore = "it takes a broker of another maker: `just brokers`"]
fn the_node_in_use_of_one_name_is_killed() {
    goes_on_without_the_first_node(Named::OneName, Signal::SIGKILL);
}

#[test]
#[ignore = "it takes a broker of another maker: `just brokers`"]
fn the_node_in_use_of_one_name_freezes() {
    goes_on_without_the_first_node(Named::OneName, Signal::SIGSTOP);
}
