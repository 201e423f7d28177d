//! What keeps the gateway out: each is told once, in words that say what to do, and heals without a restart.

use gatepost::net::Transport;
use nix::sys::signal::Signal;

use crate::broker::{AUTHORITY, Broker, GATEWAY, PASSWORD};
use crate::certificates::Certificates;
use crate::gateway::Gateway;
use crate::program::Program;

/// Lines of its log that tell of a link that is down.
fn complaints(program: &Program) -> Vec<String> {
    program.said().lines().filter(|line| line.contains("link down: ")).map(str::to_owned).collect()
}

#[test]
fn a_wrong_password_is_told_once_and_heals_with_a_new_credentials_file() {
    let mut broker = Broker::start();
    let gateway = Gateway::of(&broker, Transport::Wss);
    gateway.give_password("an0ther/Pass+wordOfBefore");
    let mut program = gateway.run();
    let refused = program.wait_for("link down: the broker refused the login");
    assert!(refused.contains("ERROR") && refused.contains("replace the credentials file"), "{refused}");
    // A second try, ten seconds later, and still one line.
    for _ in 0..2 {
        broker.log().wait_for("Sending CONNACK to ::ffff:127.0.0.1 (0, 5)");
    }
    assert_eq!(complaints(&program).len(), 1, "once is enough");
    gateway.give_password(PASSWORD);
    program.wait_for("link up again after");
    program.wait_for("acknowledged by ping");
    let said = program.said();
    assert!(!said.contains("an0ther") && !said.contains(PASSWORD), "no secret in the log");
}

#[test]
fn an_unknown_authority_is_not_trusted_until_it_is_the_ca_file() {
    let broker = Broker::start();
    // The second has the right name and another key, as has a CA that was made anew.
    for (transport, stranger) in [(Transport::Tls, "a stranger"), (Transport::Wss, AUTHORITY)] {
        let gateway = Gateway::of(&broker, transport);
        gateway.give_ca(&Certificates::of(stranger, &["localhost"]).ca);
        let mut program = gateway.run_quietly();
        let told = program.wait_for("link down: ");
        assert!(told.contains("not signed by a CA that this machine trusts") && told.contains("ca_file"), "{told}");
        gateway.give_ca(broker.ca());
        program.wait_for("link up again after");
        assert_eq!(complaints(&program).len(), 1);
    }
}

#[test]
fn a_certificate_for_another_name_is_not_trusted() {
    let mut broker = Broker::start_as("broker.example");
    for transport in [Transport::Tls, Transport::Wss] {
        let gateway = Gateway::of(&broker, transport);
        let mut program = gateway.run_quietly();
        let told = program.wait_for("link down: ");
        assert!(told.contains("the certificate is not for localhost"), "{told}");
        let (status, _) = program.end_by(Signal::SIGTERM);
        assert!(status.success(), "{status}");
    }
    broker.kill();
    assert!(!broker.log().said().contains(GATEWAY), "nobody was told who we are");
}

#[test]
fn a_port_of_another_transport_is_told_in_words() {
    let broker = Broker::start();
    let wrong = [
        (Transport::Tcp, Transport::Ws),
        (Transport::Tcp, Transport::Tls),
        (Transport::Tls, Transport::Tcp),
        (Transport::Tls, Transport::Wss),
        (Transport::Ws, Transport::Tcp),
        (Transport::Ws, Transport::Wss),
        (Transport::Wss, Transport::Tls),
        (Transport::Wss, Transport::Ws),
    ];
    let started = wrong.map(|(transport, at)| (transport, at, Gateway::at(&broker, transport, broker.port(at))));
    let mut programs: Vec<_> =
        started.iter().map(|(transport, at, gateway)| (transport, at, gateway.run_quietly())).collect();
    for (transport, at, program) in &mut programs {
        let told = program.wait_for("link down: ");
        println!("{transport} at the port for {at}: {told}");
        assert!(told.contains("port"), "{transport} at the port for {at}: {told}");
    }
}

#[test]
fn no_log_level_shows_the_password() {
    let broker = Broker::start();
    for transport in [Transport::Tcp, Transport::Wss] {
        let gateway = Gateway::of(&broker, transport);
        let mut program = gateway.run_with(&[("RUST_LOG", "trace")]);
        program.wait_for("acknowledged by ping");
        program.end_by(Signal::SIGTERM);
        let said = program.said();
        // As bytes in hexadecimal, too: that is how libraries show packets.
        let packet = format!("{:02x?}", PASSWORD.as_bytes()).replace(", ", "");
        assert!(
            !said.contains(PASSWORD) && !said.to_lowercase().contains(packet.trim_matches(['[', ']'])),
            "{transport}"
        );
    }
}
