//! What every make of broker is tried with.

use std::time::SystemTime;

use gatepost::time::Utc;
use nix::sys::signal::Signal;

use crate::books::{self, WAITS};
use crate::gateway::Gateway;
use crate::room::{ADDRESSES, Make, PASSWORD, Room};

/// One test of each check with this make of broker.
macro_rules! rows {
    ($make:ident) => {
        crate::checks::rows!(
            $make:
            entries_arrive_once_with_their_own_times,
            commands_are_obeyed_from_both_feeds,
            every_transport_carries_an_entry,
            a_wrong_password_is_told_and_heals,
            entries_of_a_restart_arrive_afterwards,
            a_renewed_session_loses_nothing,
            doctor_finds_nothing_wrong,
        );
    };
    ($make:ident: $($check:ident),+ $(,)?) => {
        $(
            #[test]
            #[ignore = "it takes a broker of another maker: `just brokers`"]
            fn $check() {
                crate::checks::$check(&$make);
            }
        )+
    };
}
pub(crate) use rows;

pub(crate) fn entries_arrive_once_with_their_own_times(make: &dyn Make) {
    let room = Room::new();
    let _broker = make.start(&room);
    let mut watcher = room.watch(ADDRESSES[0]);
    let gateway = Gateway::of(&room, make);
    let mut program = gateway.run();
    for _ in 0..10 {
        watcher.wait_for("channels/1/publish field1=21.5");
    }
    books::close(&program, &[&watcher], |_| false);
    assert!(!program.said().contains("link down"), "{}", program.said());
    let (status, _) = program.end_by(Signal::SIGTERM);
    assert!(status.success() && !program.said().contains(PASSWORD), "{status}");
}

pub(crate) fn commands_are_obeyed_from_both_feeds(make: &dyn Make) {
    let room = Room::new();
    let _broker = make.start(&room);
    let gateway = Gateway::with_outputs(&room, make);
    let mut program = gateway.simulate();
    program.wait_for("link up");
    for (pin, level) in [("GPIO17", "1"), ("GPIO17", "0")] {
        room.tell("channels/3/subscribe", &feed_message(level));
        gateway.wait_for_pin(pin, level);
        gateway.wait_for_pin("GPIO23", "0");
    }
    for level in ["1", "0"] {
        room.tell("channels/3/subscribe/fields/field1", level);
        gateway.wait_for_pin("GPIO23", level);
    }
}

/// What a subscriber of the channel feed receives from ThingSpeak when field 1 is set.
fn feed_message(value: &str) -> String {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    let now = Utc::from_millis(i64::try_from(since_1970.as_millis()).expect("before the year 292 million"));
    format!(
        r#"{{"channel_id":3,"created_at":"{now}","entry_id":{},"field1":"{value}","field2":null,"latitude":null,"longitude":null,"elevation":null,"status":null}}"#,
        now.millis()
    )
}

pub(crate) fn every_transport_carries_an_entry(make: &dyn Make) {
    let room = Room::new();
    let _broker = make.start(&room);
    let mut watcher = room.watch(ADDRESSES[0]);
    let path = format!("path = \"{}\"\n", make.path());
    let consent = "allow_plaintext = true\n";
    for (transport, lines) in
        [("tcp", consent.to_owned()), ("tls", String::new()), ("ws", path.clone() + consent), ("wss", path)]
    {
        let gateway = Gateway::with(&room, &format!("host = \"localhost\"\ntransport = \"{transport}\"\n{lines}"), "");
        let mut program = gateway.run();
        program.wait_for("link up");
        watcher.wait_for("channels/1/publish field1=21.5");
        assert!(!program.said().contains("link down"), "{transport}: {}", program.said());
        program.end_by(Signal::SIGTERM);
    }
}

pub(crate) fn a_wrong_password_is_told_and_heals(make: &dyn Make) {
    let room = Room::new();
    let _broker = make.start(&room);
    let gateway = Gateway::of(&room, make);
    gateway.give_password("an0ther/Pass+wordOfBefore");
    let mut program = gateway.run();
    let told = program.wait_for("link down: ");
    // RabbitMQ refuses by closing the WebSocket, for a reason.
    let refused = ["the broker refused the login", "(WebSocket code 1002, \"unauthenticated\")"];
    assert!(refused.iter().any(|words| told.contains(words)), "{told}");
    assert!(told.contains("password") && told.contains("replace the credentials file"), "{told}");
    gateway.give_password(PASSWORD);
    program.wait_for("link up again after");
    program.wait_for("acknowledged by ping");
    let said = program.said();
    assert!(!said.contains("an0ther") && !said.contains(PASSWORD), "no secret in the log");
}

pub(crate) fn entries_of_a_restart_arrive_afterwards(make: &dyn Make) {
    let room = Room::new();
    let mut broker = make.start(&room);
    let mut before = room.watch(ADDRESSES[0]);
    let gateway = Gateway::of(&room, make);
    let mut program = gateway.run();
    for _ in 0..3 {
        before.wait_for("channels/1/publish ");
    }
    broker.end_by(Signal::SIGKILL);
    // It would come back by itself, and take turns with its successor.
    before.end_by(Signal::SIGKILL);
    program.wait_for("link down");
    let unsure = books::unsure(&program);
    for _ in 0..4 {
        program.wait_for(WAITS);
    }
    // The watcher must miss nothing: until it listens, the gateway is kept from connecting.
    program.signal(Signal::SIGSTOP);
    let _broker = make.start(&room);
    let after = room.watch(ADDRESSES[0]);
    program.signal(Signal::SIGCONT);
    program.wait_for("link up again after");
    books::close(&program, &[&before, &after], |at| unsure.contains(&at));
}

pub(crate) fn a_renewed_session_loses_nothing(make: &dyn Make) {
    let room = Room::new();
    let _broker = make.start(&room);
    let watcher = room.watch(ADDRESSES[0]);
    let lines = format!("host = \"localhost\"\npath = \"{}\"\nrenew = \"10s\"\n", make.path());
    let gateway = Gateway::with(&room, &lines, "");
    let mut program = gateway.run();
    for _ in 0..2 {
        let renewed = program.wait_for("session renewed");
        println!("{renewed}");
    }
    program.wait_for("acknowledged by ping");
    books::close(&program, &[&watcher], |_| false);
    assert!(!program.said().contains("link down"), "{}", program.said());
}

pub(crate) fn doctor_finds_nothing_wrong(make: &dyn Make) {
    let room = Room::new();
    let _broker = make.start(&room);
    let said = Gateway::of(&room, make).doctor();
    for step in ["WebSocket", "CONNACK"] {
        let line = said.lines().find(|line| line.split_whitespace().take(2).eq(["ok", step]));
        assert!(line.is_some(), "{step}: {said}");
    }
    assert!(!said.contains("WRONG"), "{said}");
}
