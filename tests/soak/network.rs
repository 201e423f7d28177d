//! The networks: one for everything outside, where the brokers are, and one for each daemon, with a cable between the two.
//!
//! ```text
//! daemon ── 10.77.n.2 ══ cable ══ 10.77.n.1 ── 10.78.n.1, 10.78.n.2: broker
//! ```
//!
//! Everything is in namespaces of the kernel's, which end with the processes that keep them: nothing of this machine is
//! changed. The mounts are shared by all of them.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::namespace::{Namespace, Own};
use crate::program::{Program, tool};

/// Root's commands are not on everybody's PATH.
const PATH: &str = "PATH=$PATH:/usr/sbin:/sbin";

/// Everything outside.
pub(crate) struct Outside {
    space: Namespace,
}

/// A daemon's network.
pub(crate) struct Network {
    outside: Arc<Outside>,
    space: Namespace,
    number: u8,
}

/// Where a daemon is to find its broker.
pub(crate) fn host(name: &str) -> String {
    format!("{name}.soak.test")
}

/// The broker's addresses for the daemon with this number.
pub(crate) fn addresses(number: u8) -> [Ipv4Addr; 2] {
    [1, 2].map(|last| Ipv4Addr::new(10, 78, number, last))
}

impl Outside {
    /// One in which these lines are all that is known of names.
    pub(crate) fn make(folder: &Path, hosts: &str) -> Self {
        for (name, package) in
            [("ip", "iproute2"), ("nft", "nftables"), ("nsenter", "util-linux"), ("getent", "libc-bin")]
        {
            tool(name, package);
        }
        let file = folder.join("hosts");
        fs::write(&file, hosts).expect("a file");
        let setup = format!("{PATH}; ip link set lo up; mount --bind {} /etc/hosts", file.display());
        Self { space: Namespace::new(&[Own::Network, Own::Mounts], &setup) }
    }

    /// Moves this thread into it: where it listens and connects to from now on is there.
    pub(crate) fn enter(&self) {
        let link = File::open(format!("/proc/{}/ns/net", self.space.pid())).expect("the namespace is there");
        move_into_link_name_space(link.as_fd(), Some(LinkNameSpaceType::Network)).expect("root may");
    }

    /// Mounts a memory of so many KiB at this place for the daemons. Returns where this process finds it.
    pub(crate) fn mount_memory(&self, place: &Path, kibibytes: u32) -> PathBuf {
        self.sh(&format!("mount -t tmpfs -o size={kibibytes}k tmpfs {}", place.display()));
        let root = Path::new("/proc").join(self.space.pid().to_string()).join("root");
        root.join(place.strip_prefix("/").expect("an absolute path"))
    }

    /// A network for the daemon with this number, and its cable.
    pub(crate) fn plug(self: &Arc<Self>, number: u8) -> Network {
        let space = self.space.within(Own::Network, &format!("{PATH}; ip link set lo up"));
        let [one, two] = addresses(number);
        self.sh(&format!(
            "ip link add cable{number} type veth peer name eth0 netns {pid}\n\
             ip address add 10.77.{number}.1/24 dev cable{number}\n\
             ip address add {one}/32 dev lo\nip address add {two}/32 dev lo\n\
             ip link set cable{number} up",
            pid = space.pid()
        ));
        let network = Network { outside: Arc::clone(self), space, number };
        network.sh(&format!("ip address add 10.77.{number}.2/24 dev eth0; ip link set eth0 up"));
        network.set_route(true);
        network.sh("nft add table inet soak\n\
             nft 'add chain inet soak in { type filter hook input priority 0; }'\n\
             nft 'add set inet soak dead { type ipv4_addr; }'\n\
             nft add rule inet soak in ip saddr @dead drop\n\
             nft 'add chain inet soak out { type filter hook output priority 0; }'\n\
             nft add rule inet soak out ip daddr @dead counter drop");
        network
    }

    fn sh(&self, lines: &str) {
        self.space.sh(&format!("{PATH}\n{lines}"));
    }
}

impl Network {
    /// The same command in it.
    pub(crate) fn enter(&self, command: &Command) -> Command {
        self.space.enter(command)
    }

    /// The daemon's number.
    pub(crate) fn number(&self) -> u8 {
        self.number
    }

    /// Takes the way out, or brings it back.
    pub(crate) fn set_route(&self, there: bool) {
        let verb = if there { "add" } else { "delete" };
        self.sh(&format!("ip route {verb} default via 10.77.{}.1", self.number));
    }

    /// Takes the daemon's link down, with its routes, or brings both back.
    pub(crate) fn set_link(&self, up: bool) {
        self.sh(&format!("ip link set eth0 {}", if up { "up" } else { "down" }));
        if up {
            self.set_route(true);
        }
    }

    /// Pulls the cable at the other end, or puts it in.
    pub(crate) fn set_carrier(&self, there: bool) {
        self.outside.sh(&format!("ip link set cable{} {}", self.number, if there { "up" } else { "down" }));
    }

    /// Lets nothing through to this address nor from it, or everything again: nobody is told.
    pub(crate) fn set_dead(&self, address: Ipv4Addr, dead: bool) {
        let verb = if dead { "add" } else { "delete" };
        self.sh(&format!("nft {verb} element inet soak dead '{{ {address} }}'"));
    }

    /// How many packets to dead addresses did not get through so far.
    pub(crate) fn dropped(&self) -> u64 {
        let said = self.output(tool("nft", "nftables").args(["list", "chain", "inet", "soak", "out"]));
        let packets = said.split_once("counter packets ").and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
        packets.unwrap_or_else(|| panic!("nft counts: {said}"))
    }

    /// The addresses of a name as a program here gets them.
    pub(crate) fn resolve(&self, host: &str) -> Vec<Ipv4Addr> {
        let said = self.output(tool("getent", "libc-bin").args(["ahostsv4", host]));
        let streams = said.lines().filter(|line| line.contains("STREAM"));
        streams.filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect()
    }

    fn sh(&self, lines: &str) {
        self.space.sh(&format!("{PATH}\n{lines}"));
    }

    /// What a command in it says.
    fn output(&self, command: &Command) -> String {
        let mut program = Program::start(self.enter(command));
        program.wait_for_end();
        program.said()
    }
}
