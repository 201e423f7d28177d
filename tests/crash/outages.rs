//! The link is away, seems to be there, or does not let anybody in: what is measured meanwhile arrives afterwards.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use gatepost::net::Transport;
use gatepost::time::Utc;
use nix::sys::signal::Signal;
use thingspeak_sandbox::{Loss, Switches};

use crate::books::WAITS;
use crate::broker::{Broker, GATEWAY, PASSWORD};
use crate::house::{House, Plan};
use crate::namespace::{Namespace, Own};
use crate::program::{Program, SOON, gatepost};
use crate::service::{Service, Stored};

/// Seconds of a slot.
const SLOT: u64 = 2;

/// A login that was refused for a minute is tried again after three to four and a half more (`uplink::backoff`).
const REFUSED_WAITS: Duration = Duration::from_secs(270);

/// The daemon's own default: entries go to the disk after a minute.
pub(crate) fn plan() -> Plan {
    Plan { write_after: "60s", ..Plan::default() }
}

/// Lets so many seconds of readings come due.
fn measure_for(program: &mut Program, seconds: u64) {
    for _ in 0..seconds / SLOT {
        program.wait_for(WAITS);
    }
}

#[test]
fn what_is_measured_while_the_sandbox_is_away_for_30_s_arrives_afterwards() {
    sandbox_is_away(30);
}

#[test]
fn what_is_measured_while_the_sandbox_is_away_for_45_s_arrives_afterwards() {
    sandbox_is_away(45);
}

fn sandbox_is_away(seconds: u64) {
    let service = Service::start();
    let mut house = House::of(&service, &plan());
    let mut program = house.run();
    program.wait_for("stored as 2");
    service.kill();
    program.wait_for("link down");
    measure_for(&mut program, seconds);
    let before = service.rows().len();
    service.revive();
    program.wait_for("link up again after");
    let rows = || service.rows();
    let report = house.close(program, &rows);
    let times: Vec<Utc> = service.rows()[before..].iter().map(|row| row.created_at).collect();
    assert_order(&times);
    println!("the sandbox was away for {seconds} s: {report}");
}

/// The backlog comes oldest first, and what is live does not wait for it.
fn assert_order(arrived: &[Utc]) {
    let (mut live, mut backlog) = (Vec::new(), Vec::new());
    for at in arrived {
        let is_newest = live.last().is_none_or(|last| last < at);
        if is_newest { live.push(*at) } else { backlog.push(*at) }
    }
    assert!(backlog.is_sorted(), "the backlog comes oldest first: {arrived:?}");
    assert!(backlog.len() >= 5, "there was one: {arrived:?}");
    let last = arrived.iter().rposition(|at| backlog.contains(at)).expect("there is one");
    let meanwhile = arrived[..last].iter().filter(|at| live.contains(at)).count();
    assert!(meanwhile * 3 >= backlog.len(), "what is live came meanwhile: {arrived:?}");
}

/// Publishes that a watcher heard. Unlike the service Mosquitto tells an entry again that was sent again.
fn heard(watchers: &[Program]) -> Vec<Stored> {
    let mut rows: BTreeMap<Utc, Stored> = BTreeMap::new();
    for line in watchers.iter().flat_map(|watcher| watcher.said().lines().map(str::to_owned).collect::<Vec<_>>()) {
        let Some(update) = line.strip_prefix("channels/1/publish ") else { continue };
        let pairs: BTreeMap<&str, &str> = update.split('&').filter_map(|pair| pair.split_once('=')).collect();
        let at = Utc::parse(&pairs["created_at"].replace("%3A", ":")).unwrap_or_else(|| panic!("no time: {line}"));
        let row = Stored::new(at, |number| pairs.get(format!("field{number}").as_str())?.parse().ok());
        let known = rows.entry(at).or_insert_with(|| row.clone());
        assert_eq!(*known, row, "one time, one entry");
    }
    rows.into_values().collect()
}

#[test]
fn what_is_measured_while_mosquitto_is_away_for_30_s_arrives_afterwards() {
    mosquitto_is_away(30);
}

#[test]
fn what_is_measured_while_mosquitto_is_away_for_45_s_arrives_afterwards() {
    mosquitto_is_away(45);
}

fn mosquitto_is_away(seconds: u64) {
    let mut broker = Broker::start();
    let mut watchers = vec![broker.watch()];
    let credentials = format!("username = {GATEWAY}\nclientId = {GATEWAY}\npassword = {PASSWORD}");
    let mut house = House::at(broker.port(Transport::Tcp), &credentials, &plan());
    let mut program = house.run();
    watchers[0].wait_for("channels/1/publish ");
    watchers[0].wait_for("channels/1/publish ");
    broker.kill();
    // It would come back by itself, and take turns with its successor: the broker lets one of a name in.
    watchers[0].end_by(Signal::SIGKILL);
    program.wait_for("link down");
    measure_for(&mut program, seconds);
    // The watcher must miss nothing: until it listens, the daemon is kept from connecting.
    program.signal(Signal::SIGSTOP);
    broker.revive();
    watchers.push(broker.watch());
    program.signal(Signal::SIGCONT);
    program.wait_for("link up again after");
    let report = house.close(program, &|| heard(&watchers));
    println!("Mosquitto was away for {seconds} s: {report}");
}

#[test]
fn a_daemon_killed_in_the_outage_loses_nothing() {
    let service = Service::start();
    let mut house = House::of(&service, &plan());
    let mut program = house.run();
    program.wait_for("stored as 2");
    service.kill();
    for _ in 0..3 {
        measure_for(&mut program, 10);
        house.kill(program);
        program = house.run();
    }
    program.wait_for(WAITS);
    service.revive();
    println!("killed in the outage: {}", house.close(program, &|| service.rows()));
}

#[test]
fn a_daemon_killed_within_a_slot_keeps_its_readings() {
    let service = Service::start();
    let mut house = House::of(&service, &Plan { every: 20, ..plan() });
    let mut program = house.run();
    program.wait_for("stored as 1");
    let before = house.count_readings();
    while house.count_readings() < before + 10 {
        std::thread::sleep(Duration::from_millis(10));
    }
    house.kill(program);
    let mut program = house.run();
    program.wait_for("stored as 2");
    let rows = service.rows();
    // Ten at least were read before the kill, and half of the slot was left.
    assert!(rows[1].readings > 10, "{rows:?}");
    println!("killed within a slot: {}", house.close(program, &|| service.rows()));
}

/// The port of the sandbox in a network of its own.
pub(crate) const PORT: u16 = 18_830;

/// The rows that a sandbox of its own process has printed.
pub(crate) fn printed_rows(sandbox: &Program) -> Vec<Stored> {
    let said = sandbox.said();
    let rows = said.lines().filter_map(|line| {
        let (at, columns) = line.split_once("channel 1 stored entry ")?.1.split_once(" of ")?.1.split_once(" from ")?;
        let field = |number: u8| columns.split_once(&format!("field{number}="))?.1.split(' ').next()?.parse().ok();
        Some(Stored::new(Utc::parse(at)?, field))
    });
    rows.collect()
}

/// Packets vanish in both directions, as with a router that lost its mind: neither end sees an error.
#[test]
fn a_half_open_link_is_noticed_and_loses_nothing() {
    crate::program::tool("nft", "nftables");
    crate::program::tool("ip", "iproute2");
    let own = Namespace::new(&[Own::Network], "PATH=$PATH:/usr/sbin:/sbin; ip link set lo up");
    let mut house = House::at(PORT, "", &plan());
    let folder = house.path("sandbox");
    let mut sandbox = Program::start(own.enter(&serve(&folder)));
    sandbox.wait_for("Log, until");
    let credentials = std::fs::read_to_string(folder.join("gatepost_credentials.txt")).expect("it was written");
    house.give_credentials(&credentials);
    let mut program = house.run_as(own.enter(&house.command()));
    program.wait_for("stored as 3");
    own.sh(&format!(
        "PATH=$PATH:/usr/sbin:/sbin\nnft add table inet fault\n\
         nft 'add chain inet fault in {{ type filter hook input priority 0; }}'\n\
         nft add rule inet fault in tcp dport {PORT} drop\nnft add rule inet fault in tcp sport {PORT} drop"
    ));
    let down = program.wait_for("link down");
    assert!(down.contains("did not answer"), "{down}");
    measure_for(&mut program, 10);
    own.sh("PATH=$PATH:/usr/sbin:/sbin\nnft delete table inet fault");
    program.wait_for("link up again after");
    println!("a half-open link: {}", house.close(program, &|| printed_rows(&sandbox)));
}

pub(crate) fn serve(folder: &Path) -> std::process::Command {
    let mut command = gatepost();
    command.args(["sandbox", "serve", "--channel", "1:paid", "--tls=0", "--ws=0", "--wss=0"]);
    command.arg("--tcp").arg(PORT.to_string()).arg("--dir").arg(folder);
    command
}

#[test]
#[ignore = "a login that was refused for a minute is tried again after minutes: `just proof password`"]
fn a_wrong_password_for_a_minute_loses_nothing() {
    a_wrong_password_for(60);
}

#[test]
fn a_wrong_password_for_40_s_loses_nothing() {
    a_wrong_password_for(40);
}

fn a_wrong_password_for(seconds: u64) {
    let service = Service::start();
    let mut house = House::of(&service, &plan());
    let mut program = house.run();
    program.wait_for("stored as 2");
    // Somebody makes a new password at the service, which ends the session, and brings it to the gateway later.
    let renewed = "a-new-password-from-the-service";
    assert!(service.sandbox.set_password(&service.device.credentials.client_id, renewed));
    program.wait_for("refused the login");
    measure_for(&mut program, seconds);
    let client = &service.device.credentials.client_id;
    house.give_credentials(&format!("username = {client}\nclientId = {client}\npassword = {renewed}"));
    program.hear("link up again after", REFUSED_WAITS + SOON).expect("the login is tried again");
    println!("a wrong password for {seconds} s: {}", house.close(program, &|| service.rows()));
}

#[test]
fn nothing_is_lost_where_three_of_ten_updates_are_dropped() {
    let service = Service::start();
    let mut house = House::of(&service, &plan());
    let mut program = house.run();
    // Until a first echo was seen the daemon cannot know that there are any.
    program.wait_for("stored as 1");
    service.sandbox.set(Switches { loss: Some(Loss { lost: 3, of: 10 }), ..Switches::default() });
    measure_for(&mut program, 30);
    println!("3 of 10 dropped: {}", house.close(program, &|| service.rows()));
}
