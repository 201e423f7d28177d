//! The machine's own network is taken away until tries have become rare, and given back: the kernel reports it, and the next try
//! does not wait for its time.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::house::{House, Plan};
use crate::namespace::{Namespace, Own};
use crate::outages::{PORT, plan, printed_rows, serve};
use crate::program::{Program, gatepost};

/// Tries are rare when the next one is so far away.
const RARE: Duration = Duration::from_secs(25);
/// And until then the network is back for good, with some of it to spare for a busy machine.
const SOON_AFTER: Duration = Duration::from_secs(15);
/// So long it may take until tries are rare.
const RARE_WITHIN: Duration = Duration::from_secs(600);

/// The sandbox is on another machine, behind a router's address.
const BROKER: &str = "198.51.100.2";

#[test]
fn a_default_route_that_comes_back_is_tried_at_once_and_nothing_is_lost() {
    network_is_away("route", "ip route del default", "ip route add default via 192.0.2.2");
}

/// Its routes go with it and no message reports them; the default route is for the network's manager to give back.
#[test]
fn a_link_that_comes_back_is_tried_at_once_and_nothing_is_lost() {
    network_is_away("link", "ip link set near down", "ip link set near up\nip route add default via 192.0.2.2");
}

fn network_is_away(what: &str, take: &str, give: &str) {
    let path = "PATH=$PATH:/usr/sbin:/sbin";
    let near = Namespace::new(&[Own::Network], &format!("{path}\nip link set lo up"));
    let far = near.within(Own::Network, &format!("{path}\nip link set lo up\nip addr add {BROKER}/32 dev lo"));
    near.sh(&format!(
        "{path}\nip link add near type veth peer name far netns {}\nip addr add 192.0.2.1/24 dev near\nip link set near up",
        far.pid()
    ));
    far.sh(&format!("{path}\nip addr add 192.0.2.2/24 dev far\nip link set far up"));
    near.sh(&format!("{path}\nip route add default via 192.0.2.2"));

    // Slots with room for three entries of the backlog, so that it drains soon.
    let mut house = House::at(PORT, "", &Plan { host: BROKER, every: 4, ..plan() });
    let folder = house.path("sandbox");
    let mut serve = serve(&folder);
    serve.args(["--bind", BROKER]);
    let mut sandbox = Program::start(far.enter(&serve));
    sandbox.wait_for("Log, until");
    let credentials = std::fs::read_to_string(folder.join("gatepost_credentials.txt")).expect("it was written");
    house.give_credentials(&credentials);
    let mut program = house.run_as(near.enter(&house.command()));
    program.wait_for("stored as 2");
    near.sh(&format!("{path}\n{take}"));
    program.wait_for("link down");
    let until = Instant::now() + RARE_WITHIN;
    while next_try(&house) < RARE {
        assert!(Instant::now() < until, "tries become rare");
        std::thread::sleep(Duration::from_millis(200));
    }
    let given = Instant::now();
    near.sh(&format!("{path}\n{give}"));
    let up = program.hear("link up again after", SOON_AFTER.saturating_sub(given.elapsed()));
    assert!(up.is_some(), "the network is back and is not tried");
    let after = given.elapsed();
    println!(
        "the {what} was away, link up {after:.1?} after it was back: {}",
        house.close(program, &|| printed_rows(&sandbox))
    );
}

/// When the daemon tries again.
fn next_try(house: &House) -> Duration {
    let mut status = gatepost();
    status.args(["status", "--json", "--runtime-dir"]).arg(house.runtime());
    let answer = status.output().expect("it runs").stdout;
    let report: Value = serde_json::from_slice(&answer).expect("a report");
    Duration::from_secs_f64(report["devices"][0]["next_try_s"].as_f64().unwrap_or_default())
}
