//! The faults: each with what it needs around the daemon, and how it is played once. A play ends its fault, waits until
//! the daemon has shown that it is well, and counts itself.

mod clock;
mod disk;
mod flood;
mod kill;
mod link;
mod login;
mod loss;
mod network;

use thingspeak_sandbox::Transport;

use crate::lane::Lane;

/// One kind of fault.
pub(crate) struct Fault {
    /// What the table and `--only` call it.
    pub(crate) name: &'static str,
    pub(crate) plan: Plan,
    /// Plays it once.
    pub(crate) play: fn(&mut Lane),
}

/// What a fault needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) transport: Transport,
    /// The daemon's wall clock can be set.
    pub(crate) own_clock: bool,
    /// The state directory is a memory of so many KiB.
    pub(crate) disk: Option<u32>,
    /// The oldest command that is obeyed.
    pub(crate) accept_age: &'static str,
    /// The name of the broker has two addresses.
    pub(crate) two_addresses: bool,
}

const PLAN: Plan =
    Plan { transport: Transport::Wss, own_clock: false, disk: None, accept_age: "2m", two_addresses: false };

/// All of them, in the order of the table.
pub(crate) const FAULTS: [Fault; 11] = [
    Fault { name: "kill", plan: PLAN, play: kill::play },
    Fault { name: "cut", plan: PLAN, play: link::cut },
    Fault { name: "freeze", plan: PLAN, play: link::freeze },
    Fault { name: "loss", plan: PLAN, play: loss::play },
    Fault { name: "refuse", plan: PLAN, play: login::refuse },
    Fault { name: "session", plan: PLAN, play: login::old_session },
    Fault { name: "clock", plan: Plan { own_clock: true, accept_age: "12h", ..PLAN }, play: clock::play },
    Fault { name: "disk", plan: Plan { disk: Some(64), ..PLAN }, play: disk::play },
    Fault { name: "flood", plan: Plan { transport: Transport::Ws, ..PLAN }, play: flood::play },
    Fault { name: "address", plan: Plan { two_addresses: true, ..PLAN }, play: network::dead_address },
    Fault { name: "network", plan: PLAN, play: network::gone },
];
