//! The probe over real sockets: for every switch that it claims to find out, both positions.
//!
//! Times are the license's of a paid channel (a second), and seconds for the broker's answers. The rules themselves are
//! tested with the service's own times on a virtual clock (`uplink::probe::tests`).

use std::time::Duration;

use gatepost::entry::ChannelId;
use gatepost::hal::SystemClock;
use gatepost::uplink::probe::{
    self, Duplicate, Early, Echoes, Findings, Idle, Pushed, Refusal, Second, Suback, Window, WrongPassword,
};
use thingspeak_sandbox::{Duplicates, Options, RefusedBy, Rights, SecondConnection, SubscribeRefusal, Switches};

use crate::HOUSE;
use crate::house::House;

const SECOND: Duration = Duration::from_secs(1);

/// What the probe finds out about a sandbox with these switches.
async fn found(switches: Switches, idle: Option<Duration>) -> Findings {
    let house = House::switched(switches).await;
    let settings = house.map();
    house.write("map.toml", &settings);
    let settings = gatepost::config::load(&house.path("map.toml")).expect("a good map").settings;
    let plan = probe::Settings {
        answer_within: SECOND * 4,
        echo_within: SECOND * 6,
        idle,
        ping_every: SECOND / 4,
        ..probe::Settings::new(ChannelId(HOUSE), SECOND, false)
    };
    let credentials = settings.devices[0].credentials.read().expect("the sandbox's file");
    probe::run(&settings.broker, &credentials, plan, &SystemClock, |_| {}).await.expect("roots")
}

fn plain() -> Switches {
    Switches::default()
}

/// The other position of every switch.
fn turned() -> Switches {
    Switches {
        push_last_on_subscribe: true,
        refusal: RefusedBy::Connack4,
        subscribe_refusal: SubscribeRefusal::Disconnect,
        duplicate: Duplicates::Accept,
        dropped_restarts_window: true,
        echo_delay: SECOND / 5,
        second_connection: SecondConnection::RefuseNew,
        ..plain()
    }
}

#[tokio::test]
async fn every_switch_is_found_out_in_both_positions() {
    let (one, other) = tokio::join!(found(plain(), None), found(turned(), None));
    assert_eq!((one.early, other.early), (Some(Early::Vanishes), Some(Early::Vanishes)), "{one:?}\n{other:?}");
    assert_eq!((one.window, other.window), (Some(Window::Accepted), Some(Window::Dropped)), "{one:?}\n{other:?}");
    assert_eq!((one.duplicate, other.duplicate), (Some(Duplicate::Refused), Some(Duplicate::StoredTwice)));
    assert_eq!((one.pushed, other.pushed), (Some(Pushed::No), Some(Pushed::Yes)));
    assert_eq!((one.foreign, other.foreign), (Some(Suback::Code80), Some(Suback::Closed)));
    assert_eq!(one.second, Some(Second::KicksTheFirst));
    assert_eq!(other.second, Some(Second::Refused(Refusal::Code(4))));
    assert_eq!(
        (one.wrong, other.wrong),
        (Some(WrongPassword::Refused(Refusal::Code(5))), Some(WrongPassword::Refused(Refusal::Code(4))))
    );
    let (Some(Echoes::Came(fast, _)), Some(Echoes::Came(late, _))) = (one.echo, other.echo) else {
        panic!("echoes come")
    };
    assert!(fast > Duration::ZERO && late >= SECOND / 5, "{fast:?} {late:?}");
    assert_eq!((one.remarks.len(), other.remarks.len()), (0, 0));
}

#[tokio::test]
async fn silence_and_missing_echoes_are_found_out() {
    let closing = Switches { no_echo: true, refusal: RefusedBy::Close, ..plain() };
    let silent = Switches { refusal: RefusedBy::Silence, subscribe_refusal: SubscribeRefusal::Silence, ..plain() };
    let (closing, silent) = tokio::join!(found(closing, None), found(silent, None));
    assert_eq!(
        (closing.echo, closing.duplicate, closing.window),
        (Some(Echoes::None), None, None),
        "nothing is made up"
    );
    assert_eq!(closing.wrong, Some(WrongPassword::Refused(Refusal::Closed)));
    assert!(closing.suggestions()[0].starts_with("confirm = \"received\""));
    assert_eq!((silent.foreign, silent.wrong), (Some(Suback::Silence), Some(WrongPassword::Refused(Refusal::Silence))));
}

#[tokio::test]
async fn what_pings_do_for_a_session_is_found_out() {
    let idle_limit = SECOND * 3;
    let switches = |pings_count_as_activity| Switches { pings_count_as_activity, idle_limit, ..plain() };
    let (kept, cut) = tokio::join!(found(switches(true), Some(SECOND * 6)), found(switches(false), Some(SECOND * 6)));
    assert!(matches!(kept.idle, Some(Idle::KeptFor(time)) if time >= SECOND * 6), "{kept:?}");
    assert!(matches!(cut.idle, Some(Idle::CutAfter(time)) if time >= SECOND * 2 && time < SECOND * 6), "{cut:?}");
}

#[tokio::test]
async fn nothing_is_asked_of_the_service_without_consent() {
    let house = House::new().await;
    let said = house.doctor(&["--probe", "--channel", "house"]).await;
    assert_eq!(said.code, Some(1));
    assert!(said.out.contains("writes 6 to 13 entries to the channel house (7)"), "{said:?}");
    assert!(said.err.contains("pass --yes to agree") && house.sandbox.connects().is_empty(), "{said:?}");
}

#[tokio::test]
async fn the_report_and_the_map_s_lines_are_printed_without_anything_that_names_the_account() {
    let house = House::new().await;
    let said = house.doctor(&["--probe", "--channel", "house", "--yes"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    for words in [
        "echo of an update                        arrived after ",
        "second update with the same created_at   is refused: sending an entry again does not make a second row",
        "login with a wrong password              CONNACK 5",
        "channel                                  hidden (--report-ids shows it)",
        "confirm = \"stored\"",
    ] {
        assert!(said.out.contains(words), "no {words:?} in\n{}", said.out);
    }
    assert!(!said.out.contains(&house.device.credentials.client_id), "{}", said.out);
    assert!(house.sandbox.connected().is_empty(), "it says goodbye");
    assert!(house.sandbox.rows(HOUSE).iter().all(|row| row.field(1).is_none()));
}

#[tokio::test]
async fn a_service_that_lets_nobody_in_ends_the_probe_at_once() {
    let house = House::with(Options::default(), Rights::ALL).await;
    house.sandbox.set_password(&house.device.credentials.client_id, "another");
    let said = house.doctor(&["--probe", "--channel", "house", "--yes"]).await;
    assert_eq!((said.code, house.sandbox.connects().len()), (Some(1), 1));
    assert!(said.err.contains("the probe cannot log in: the broker refused the login"), "{said:?}");
}
