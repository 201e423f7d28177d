//! CONNECT: who is let in, and how the others are told.

use rumqttc::mqttbytes::Protocol;
use rumqttc::mqttbytes::v4::{ConnAck, ConnectReturnCode, LastWill, PubAck};

use super::*;
use crate::record::{Closing, Refusal};
use crate::service::SetupError;
use crate::switches::{RefusedBy, SecondConnection, StoredSessions, Wills};

fn connack(id: ConnectionId, code: ConnectReturnCode) -> Action {
    Action::Send(id, Packet::ConnAck(ConnAck::new(code, false)))
}

/// What a CONNECT is answered with, and why it was refused.
fn refused(switches: Switches, connect: Connect) -> (ConnectionId, Vec<Action>, Refusal) {
    let mut bench = Bench::new(switches);
    let id = bench.open();
    let actions = bench.packet(id, Packet::Connect(connect));
    assert!(!bench.is_online(id));
    let why = bench.service.journal().since(Mark::default()).find_map(|record| match record.what {
        What::Refused { why, .. } => Some(why),
        _ => None,
    });
    (id, actions, why.expect("a refusal is recorded"))
}

#[test]
fn a_device_with_its_own_credentials_is_let_in() {
    let mut bench = Bench::new(Switches::default());
    let (id, actions) = bench.connect_as("writer");
    assert_eq!(actions, [connack(id, ConnectReturnCode::Success)]);
    assert_eq!(bench.service.connected(), ["writer"]);
    let seen = &bench.service.journal().connects()[0];
    assert!(seen.clean_session && !seen.will && seen.has_password);
    assert_eq!((seen.username.as_str(), seen.keep_alive), ("writer", 60));
}

#[test]
fn wrong_credentials_are_told_apart_in_the_record_and_not_on_the_wire() {
    let mut password = good_connect("writer");
    password.set_login("writer", "wrong");
    let mut username = good_connect("writer");
    username.set_login("reader", PASSWORD);
    let nothing = Connect { login: None, ..good_connect("writer") };
    for (connect, reason) in [
        (password, Refusal::WrongPassword),
        (username, Refusal::WrongUsername),
        (nothing, Refusal::WrongPassword),
        (good_connect("stranger"), Refusal::UnknownClientId),
    ] {
        let (id, actions, why) = refused(Switches::default(), connect);
        assert_eq!(why, reason);
        assert_eq!(actions, [connack(id, ConnectReturnCode::NotAuthorized), Action::Close(id)]);
    }
}

#[test]
fn refusal_by_connack_4() {
    let switches = Switches { refusal: RefusedBy::Connack4, ..Switches::default() };
    let (id, actions, _) = refused(switches, good_connect("stranger"));
    assert_eq!(actions, [connack(id, ConnectReturnCode::BadUserNamePassword), Action::Close(id)]);
}

#[test]
fn refusal_by_closing() {
    let switches = Switches { refusal: RefusedBy::Close, ..Switches::default() };
    let (id, actions, _) = refused(switches, good_connect("stranger"));
    assert_eq!(actions, [Action::Close(id)]);
}

#[test]
fn refusal_by_silence_ignores_whatever_comes_and_ends_at_the_idle_limit() {
    let mut bench = Bench::new(Switches { refusal: RefusedBy::Silence, ..Switches::default() });
    let (id, actions) = bench.connect_as("stranger");
    assert!(actions.is_empty());
    assert!(bench.packet(id, Packet::PingReq).is_empty());
    bench.seconds_later(3599);
    assert!(bench.tick().is_empty());
    bench.seconds_later(1);
    assert_eq!(bench.tick(), [Action::Close(id)]);
}

#[test]
fn a_will_a_stored_session_an_empty_client_id_and_mqtt_5_are_refused_whatever_the_credentials() {
    let will = LastWill::new("channels/1/publish", "status=gone", QoS::AtMostOnce, false);
    for (connect, code, reason) in [
        (Connect { last_will: Some(will), ..good_connect("writer") }, ConnectReturnCode::NotAuthorized, Refusal::Will),
        (
            Connect { clean_session: false, ..good_connect("writer") },
            ConnectReturnCode::NotAuthorized,
            Refusal::StoredSession,
        ),
        (good_connect(""), ConnectReturnCode::BadClientId, Refusal::EmptyClientId),
        (
            Connect { protocol: Protocol::V5, ..good_connect("writer") },
            ConnectReturnCode::RefusedProtocolVersion,
            Refusal::ProtocolVersion,
        ),
    ] {
        // The switch is about credentials: it changes nothing here.
        let switches = Switches { refusal: RefusedBy::Silence, ..Switches::default() };
        let (id, actions, why) = refused(switches, connect);
        assert_eq!(why, reason);
        assert_eq!(actions, [connack(id, code), Action::Close(id)]);
    }
}

#[test]
fn a_second_connection_takes_over_from_the_first() {
    let mut bench = Bench::new(Switches::default());
    let old = bench.online("writer");
    let (new, actions) = bench.connect_as("writer");
    assert_eq!(actions, [Action::Close(old), connack(new, ConnectReturnCode::Success)]);
    assert!(bench.is_online(new) && !bench.is_online(old));
    assert!(bench.publish(old, "channels/1/publish", "field1=1").is_empty(), "the old one is heard no more");
    assert!(bench.rows(FREE).is_empty());
}

#[test]
fn a_second_connection_can_be_refused_until_the_first_is_gone() {
    let switches = Switches { second_connection: SecondConnection::RefuseNew, ..Switches::default() };
    let mut bench = Bench::new(switches);
    let old = bench.online("writer");
    let (new, actions) = bench.connect_as("writer");
    assert_eq!(actions, [connack(new, ConnectReturnCode::NotAuthorized), Action::Close(new)]);
    assert!(bench.is_online(old));
    assert_eq!(bench.packet(old, Packet::Disconnect), [Action::Close(old)]);
    bench.online("writer");
}

#[test]
fn connect_must_come_first_and_only_once() {
    let mut bench = Bench::new(Switches::default());
    let early = bench.open();
    assert_eq!(bench.packet(early, Packet::PingReq), [Action::Close(early)]);
    let twice = bench.online("writer");
    assert_eq!(bench.packet(twice, Packet::Connect(good_connect("writer"))), [Action::Close(twice)]);
    assert!(matches!(bench.last_record(), What::Closed { why: Closing::Violation(_), .. }));
}

#[test]
fn packets_that_only_a_broker_or_a_client_of_higher_qos_sends_end_the_connection() {
    for packet in [Packet::PingResp, Packet::PubAck(PubAck::new(1))] {
        let mut bench = Bench::new(Switches::default());
        let id = bench.online("writer");
        assert_eq!(bench.packet(id, packet), [Action::Close(id)]);
    }
}

#[test]
fn a_changed_password_ends_the_connection_and_the_old_one_opens_no_other() {
    let mut bench = Bench::new(Switches::default());
    let id = bench.online("writer");
    assert_eq!(bench.service.set_password(bench.now, "writer", "another"), Some(vec![Action::Close(id)]));
    assert_eq!(bench.last_record(), What::Closed { client: "writer".to_owned(), why: Closing::PasswordChanged });
    let (id, _) = bench.connect_as("writer");
    assert!(!bench.is_online(id));
    let mut connect = good_connect("writer");
    connect.set_login("writer", "another");
    let id = bench.open();
    bench.packet(id, Packet::Connect(connect));
    assert!(bench.is_online(id));
    assert_eq!(bench.service.set_password(bench.now, "stranger", "another"), None);
}

#[test]
fn a_kicked_client_may_come_back() {
    let mut bench = Bench::new(Switches::default());
    let id = bench.online("writer");
    assert_eq!(bench.service.kick(bench.now, "writer"), [Action::Close(id)]);
    assert!(bench.service.kick(bench.now, "writer").is_empty());
    bench.online("writer");
}

#[test]
fn channels_and_devices_must_fit_together() {
    let service = |channels: &[u64], devices| {
        let channels = channels.iter().map(|&id| Channel::new(id)).collect();
        Service::new(channels, devices, Switches::default()).map(|_| ()).expect_err("they do not fit together")
    };
    assert_eq!(service(&[1, 1], vec![]), SetupError::ChannelTwice(1));
    let twins = vec![Device::new("a", "b"), Device::new("a", "c")];
    assert_eq!(service(&[1], twins), SetupError::ClientIdTwice("a".to_owned()));
    let lost = vec![Device::new("a", "b").with(2, Rights::ALL)];
    assert_eq!(service(&[1], lost), SetupError::NoSuchChannel { client: "a".to_owned(), channel: 2 });
    let greedy = (1..=11).fold(Device::new("a", "b"), |device, id| device.with(id, Rights::ALL));
    let channels: Vec<u64> = (1..=11).collect();
    assert_eq!(service(&channels, vec![greedy]), SetupError::TooManyChannels("a".to_owned()));

    let channels = (1..=11).map(Channel::new).collect();
    let ten = (1..=10).fold(Device::new("a", "b"), |device, id| device.with(id, Rights::ALL));
    let mut service = Service::new(channels, vec![ten], Switches::default()).expect("they fit together");
    assert!(service.set_rights("a", 10, Rights::PUBLISH));
    assert!(!service.set_rights("a", 11, Rights::PUBLISH), "ten is the limit later on, too");
}

#[test]
fn no_record_and_no_dump_holds_a_password() {
    let mut bench = Bench::new(Switches::default());
    bench.online("writer");
    bench.connect_as("stranger");
    bench.service.set_password(bench.now, "writer", "another-secret").expect("a known device");
    let everything = format!("{:?}", bench.service);
    assert!(!everything.contains(PASSWORD) && !everything.contains("another-secret"));
    for record in bench.service.journal().since(Mark::default()) {
        assert!(!record.to_string().contains(PASSWORD));
    }
}

#[test]
fn a_last_will_can_be_ignored() {
    let will = LastWill::new("channels/1/publish", "field1=0", QoS::AtMostOnce, false);
    let connect = || Connect { last_will: Some(will.clone()), ..good_connect("writer") };
    assert_eq!(refused(Switches::default(), connect()).2, Refusal::Will);

    let mut bench = Bench::new(Switches { will: Wills::Ignore, ..Switches::default() });
    let id = bench.open();
    assert_eq!(bench.packet(id, Packet::Connect(connect())), [connack(id, ConnectReturnCode::Success)]);
    assert!(bench.service.event(bench.now, id, Event::Gone).is_empty());
    assert!(bench.rows(FREE).is_empty(), "a will that is not carried out");
}

#[test]
fn a_stored_session_can_be_taken_for_a_clean_one() {
    let connect = || Connect { clean_session: false, ..good_connect("writer") };
    assert_eq!(refused(Switches::default(), connect()).2, Refusal::StoredSession);

    let mut bench = Bench::new(Switches { stored_session: StoredSessions::Clean, ..Switches::default() });
    let let_in = |bench: &mut Bench| {
        let id = bench.open();
        // Session present is 0 both times.
        assert_eq!(bench.packet(id, Packet::Connect(connect())), [connack(id, ConnectReturnCode::Success)]);
        id
    };
    let id = let_in(&mut bench);
    bench.subscribe(id, "channels/1/subscribe");
    assert!(bench.service.event(bench.now, id, Event::Gone).is_empty());
    let (row, _) = bench.service.publish(bench.now, FREE, &[("field1", "1")]);
    assert!(row.is_ok());
    let id = let_in(&mut bench);
    bench.seconds_later(15);
    assert_eq!(messages(&bench.publish(id, "channels/1/publish", "field1=2")), [], "its subscription is gone");
}
