//! What is wrong with the account: credentials, login, rights, echoes.

use thingspeak_sandbox::{Options, RefusedBy, Rights, SubscribeRefusal, Switches};

use crate::HOUSE;
use crate::house::House;

#[tokio::test]
async fn credentials_that_everybody_may_read_are_told_with_what_to_do() {
    let house = House::new().await;
    house.set_mode("mqtt_credentials.txt", 0o644);
    let said = house.doctor(&[]).await;
    assert_eq!(said.code, Some(1), "a fault of the file and not of the map");
    said.line("ok", "map", "map.toml is valid");
    let line = said.line("WRONG", "credentials", "other users of this machine may read or change");
    assert!(line.contains("chmod o="), "{line}");
    said.line("ok", "CONNACK", "pi is logged in");
}

#[tokio::test]
async fn credentials_that_are_missing_are_told_and_the_way_is_gone_all_the_same() {
    let house = House::new().await;
    house.remove("mqtt_credentials.txt");
    let said = house.doctor(&["--publish"]).await;
    assert_eq!(said.code, Some(1));
    said.line("ok", "map", "map.toml is valid");
    let line = said.line("WRONG", "credentials", "mqtt_credentials.txt");
    assert!(line.contains("download it again from the MQTT device"), "{line}");
    said.line("ok", "sensors", "tank: value 21.50");
    said.line("ok", "WebSocket", "answered 101");
    for step in ["CONNACK", "SUBACK", "publish"] {
        said.line("skipped", step, "its credentials are not usable");
    }
    assert!(house.sandbox.connects().is_empty());
}

#[tokio::test]
async fn a_wrong_password_is_told_with_the_code_of_its_refusal() {
    for (refusal, words) in [
        (RefusedBy::Connack5, "(CONNACK 5)"),
        (RefusedBy::Connack4, "(CONNACK 4)"),
        (RefusedBy::Close, "closed the connection without answering the login: the credentials may be wrong"),
    ] {
        let house = House::switched(Switches { refusal, ..Switches::default() }).await;
        house.sandbox.set_password(&house.device.credentials.client_id, "another");
        let said = house.doctor(&["--publish"]).await;
        assert_eq!(said.code, Some(1));
        let line = said.line("WRONG", "CONNACK", words);
        assert!(refusal == RefusedBy::Close || line.contains("If the password was reset on the web page"), "{line}");
        said.line("skipped", "SUBACK", "pi is not logged in");
        said.line("skipped", "publish", "pi is not logged in");
    }
}

#[tokio::test]
async fn a_subscription_that_is_refused_is_a_fault_where_the_map_needs_it_and_else_a_warning() {
    for (subscribe_refusal, words) in [
        (SubscribeRefusal::Code80, "channels/7/subscribe is refused (0x80)"),
        (SubscribeRefusal::Silence, "channels/7/subscribe is not answered"),
        (SubscribeRefusal::Disconnect, "channels/7/subscribe ends the connection"),
    ] {
        let switches = Switches { subscribe_refusal, ..Switches::default() };
        let options = Options { switches, ..Options::default() };
        let mut house = House::with(options, Rights::PUBLISH).await;
        let said = house.doctor(&[]).await;
        let line = said.line("warning", "SUBACK", words);
        assert!(
            said.code == Some(0)
                && line.contains("is 7 one of this device's channels? If so, tick \"Allow Subscribe\" for channel 7"),
            "{said:?}"
        );
        house.channel = "confirm = \"stored\"".to_owned();
        let said = house.doctor(&[]).await;
        said.line("WRONG", "SUBACK", words);
        assert_eq!(said.code, Some(1));
    }
}

#[tokio::test]
async fn an_entry_that_does_not_come_back_is_told_with_where_to_look() {
    let house = House::switched(Switches { no_echo: true, ..Switches::default() }).await;
    let said = house.doctor(&["--publish", "--channel", "house"]).await;
    assert_eq!(said.code, Some(1));
    let line = said.line("WRONG", "publish", "house: the broker read it, but no echo arrived");
    assert!(line.contains("tick \"Allow Publish\" for channel 7") && line.contains("confirm = \"received\""), "{line}");
    assert_eq!(house.sandbox.rows(HOUSE).len(), 1);
}

#[tokio::test]
async fn somebody_else_who_writes_all_the_time_is_told_and_not_a_missing_right() {
    let house = House::new().await;
    let sandbox = std::sync::Arc::clone(&house.sandbox);
    let other = tokio::spawn(async move {
        loop {
            // The interval is a second: one that comes within it is dropped, and the next one taken.
            let _ = sandbox.publish(HOUSE, &[("field1", "1")]);
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    });
    let said = house.doctor(&["--publish"]).await;
    other.abort();
    let line = said.line("WRONG", "publish", "house: no echo arrived, and another program writes to the channel");
    assert!(line.contains("within 1 s of another one") && !line.contains("Allow Publish"), "{line}");
}

#[tokio::test]
async fn without_the_right_to_subscribe_it_is_said_that_storing_cannot_be_seen() {
    let house = House::with(Options::default(), Rights::PUBLISH).await;
    let said = house.doctor(&["--publish"]).await;
    said.line("warning", "publish", "cannot see whether it was stored");
    assert_eq!(said.code, Some(0));
}
