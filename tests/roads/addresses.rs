//! A name with several addresses, one of them dead or frozen.

use nix::sys::signal::Signal;

use crate::house::{GATEPOST, House, REMOTE, SBIN, said_by};
use crate::namespace::{Namespace, Own};
use crate::program::Program;

/// A name whose first address is of no use.
const NAME: &str = "cluster.test";
const FIRST: &str = "127.0.0.2";
const SECOND: &str = "127.0.0.3";

/// Where both addresses lead back to this machine, and nowhere else.
fn network(house: &House, more: &str) -> Namespace {
    let names = house.names(&format!("{FIRST} {NAME}\n{SECOND} {NAME}\n"));
    Namespace::new(&[Own::Mounts, Own::Network], &format!("{SBIN}{names}ip link set lo up\n{more}"))
}

#[test]
fn where_the_first_address_swallows_packets_the_second_is_taken_at_once() {
    let house = House::new();
    let drop = format!(
        "nft add table inet fault\nnft 'add chain inet fault in {{ type filter hook input priority 0; }}'\n\
         nft add rule inet fault in ip daddr {FIRST} drop"
    );
    let own = network(&house, &drop);
    let _second = house.sandbox(|command| own.enter(command), SECOND, &[NAME]);
    let broker = format!("host = \"{NAME}\"");

    let mut daemon = Program::start(own.enter(&house.daemon(&broker)));
    daemon.wait_for("link up");
    assert!(!daemon.said().contains("link down"), "the first attempt has come through: {}", daemon.said());
    daemon.end_by(Signal::SIGTERM);

    let said = said_by(own.enter(&house.doctor(&broker)));
    assert!(said.contains(&format!("{NAME} is {FIRST}, {SECOND}")), "the dead one stands first: {said}");
    let reached = said.lines().find(|line| line.contains("TCP")).expect("a line");
    // One that was waited for to its end would be told of.
    assert!(reached.contains(&format!("{SECOND}:443 answered")) && !reached.contains(FIRST), "{said}");
}

/// Its machine still takes connections, and the program never looks at them.
#[test]
fn where_the_first_address_is_frozen_the_next_try_begins_with_the_second() {
    let house = House::new();
    let own = network(&house, "");
    let first = house.sandbox(|command| own.enter(command), FIRST, &[NAME]);
    let _second = house.sandbox(|command| own.enter(command), SECOND, &[NAME]);
    first.signal(Signal::SIGSTOP);
    // The one says nothing to TLS, the other nothing to the login.
    let transports = [("wss", GATEPOST, ""), ("tcp", REMOTE, "allow_plaintext = true\n")];
    let daemons = transports.map(|(transport, device, consent)| {
        let broker = format!("host = \"{NAME}\"\ntransport = \"{transport}\"\n{consent}");
        Program::start(own.enter(&house.daemon_as(device, &broker)))
    });
    let mut doctor = Program::start(own.enter(&house.doctor(&format!("host = \"{NAME}\""))));
    doctor.wait_for("the next attempt uses another address");
    doctor.wait_for(&format!("{SECOND}:443 answered"));
    doctor.wait_for("answered 101 with the sub-protocol mqtt");
    for mut daemon in daemons {
        let told = daemon.wait_for("link down: ");
        assert!(told.contains("did not answer"), "{told}");
        daemon.wait_for("link up again after");
        assert_eq!(daemon.said().matches("link down").count(), 1, "it was the next try: {}", daemon.said());
    }
}
