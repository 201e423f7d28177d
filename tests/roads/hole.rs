//! An MTU hole: packets of the usual size vanish on the way, and nobody is told (RFC 2923, section 2.1).

use std::process::Command;

use nix::sys::signal::Signal;

use crate::house::{House, SBIN, said_by};
use crate::namespace::{Namespace, Own};
use crate::program::Program;

/// Where the broker is, two networks away.
const FAR: &str = "10.78.2.2";

/// This machine is `near`, and the router `mid` drops the messages that would tell of a link with small packets (ICMP,
/// fragmentation needed).
const NETWORK: &str = "
mount -t tmpfs tmpfs /run
ip netns add mid
ip netns add far
ip link add near type veth peer name left netns mid
ip link add far netns far type veth peer name right netns mid
ip address add 10.78.1.2/24 dev near
ip link set near up
ip route add default via 10.78.1.1
mid='nsenter --net=/run/netns/mid'
far='nsenter --net=/run/netns/far'
$mid ip address add 10.78.1.1/24 dev left
$mid ip address add 10.78.2.1/24 dev right
$mid ip link set left up
$mid ip link set right up
$mid sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
$mid nft add table inet hole
$mid nft 'add chain inet hole out { type filter hook output priority 0; }'
$mid nft add rule inet hole out meta l4proto icmp drop
$far ip address add 10.78.2.2/24 dev far
$far ip link set far up
$far ip route add default via 10.78.2.1
";

/// Networks in which the packets that leave the router by this link may have 600 bytes.
fn network(narrow: &str) -> Namespace {
    let narrow = format!("$mid ip link set {narrow} mtu 600\n");
    Namespace::new(&[Own::Mounts, Own::Network], &format!("{SBIN}{NETWORK}{narrow}"))
}

#[test]
fn tls_comes_through_an_mtu_hole_in_small_segments_and_the_hole_is_told() {
    let house = House::new();
    let own = network("left");
    let far = |command: &Command| own.enter_network("far", command);
    let mut sandbox = house.sandbox(far, FAR, &[]);
    let broker = format!("host = \"{FAR}\"");

    let mut daemon = Program::start(own.enter(&house.daemon(&broker)));
    let warned = daemon.wait_for("packets of the usual size");
    assert!(
        warned.contains("WARN") && warned.contains("small ones are used") && warned.contains("mtu 1400"),
        "{warned}"
    );
    daemon.wait_for("link up");
    sandbox.wait_for("channel 1 stored entry 2");
    assert!(!daemon.said().contains("link down"), "{}", daemon.said());
    daemon.end_by(Signal::SIGTERM);

    let said = said_by(own.enter(&house.doctor(&broker)));
    let tls = said.lines().find(|line| line.contains("TLS")).expect("a line");
    assert!(tls.starts_with("warning") && said.contains("(MTU)"), "{said}");
    assert!(said.contains("answered 101 with the sub-protocol mqtt"), "{said}");
}

/// The login and the subscription are small, and so is what comes back: it is the first entry that does not come through.
#[test]
fn a_connection_that_stands_still_at_a_large_entry_is_made_again_in_small_segments() {
    let mut house = House::new();
    let sensors = (2..=4).map(|field| {
        format!(
            "[[sensor]]\nname = \"long{field}\"\nuse = \"file\"\npath = \"long\"\nevery = \"1s\"\n\
             to.value = \"house.field{field}\"\n"
        )
    });
    house.sensors = sensors.collect::<Vec<_>>().concat();
    let own = network("right");
    let mut sandbox = house.sandbox(|command| own.enter_network("far", command), FAR, &[]);
    let broker = format!("host = \"{FAR}\"\ntransport = \"tcp\"\nallow_plaintext = true");

    let mut daemon = Program::start(own.enter(&house.daemon(&broker)));
    daemon.wait_for("link up");
    let down = daemon.wait_for("link down: ");
    assert!(down.contains("the broker did not answer"), "{down}");
    assert!(!sandbox.said().contains("stored entry"), "it has not come through: {}", sandbox.said());
    daemon.wait_for("link up again after");
    sandbox.wait_for("channel 1 stored entry 2");
    assert_eq!(daemon.said().matches("link down").count(), 1, "{}", daemon.said());
}
