//! A house where all is well, and what is wrong with a map, a sensor or a daemon.

use std::fs;

use gatepost::store::storage::Folder;

use crate::HOUSE;
use crate::house::House;

#[tokio::test]
async fn where_all_is_well_every_step_says_what_it_found() {
    let house = House::new().await;
    let said = house.doctor(&["--publish"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    said.line("ok", "map", "map.toml is valid");
    said.line("ok", "sensors", "tank: value 21.50");
    said.line("ok", "directories", "runtime: ");
    said.line("ok", "credentials", "pi: ");
    said.line("ok", "DNS", "localhost is ");
    said.line("ok", "TCP", &format!(":{} answered after ", house.port));
    let tls = said.line(
        "ok",
        "TLS",
        "the certificate is for CN=ThingSpeak sandbox, issued by CN=ThingSpeak sandbox CA, valid from ",
    );
    assert!(tls.contains("ca.pem"), "{tls}");
    said.line("ok", "WebSocket", "localhost/mqtt answered 101 with the sub-protocol mqtt");
    said.line("ok", "CONNACK", "pi is logged in");
    said.line("ok", "SUBACK", "channels/7/subscribe is granted");
    said.line("ok", "publish", "house stored it as entry 1; its echo arrived after ");
    assert!(said.err.contains("one test entry goes to house after 1 s without updates"), "{said:?}");
    let rows = house.sandbox.rows(HOUSE);
    assert_eq!((rows.len(), rows[0].field(1)), (1, None), "a status text alone");
    assert!(!said.out.contains("WRONG") && !said.out.contains("skipped"), "{}", said.out);
}

#[tokio::test]
async fn the_same_lines_are_told_as_json() {
    let house = House::new().await;
    let said = house.doctor(&["--json"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    let lines: Vec<serde_json::Value> =
        said.out.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    let steps: Vec<_> = lines.iter().filter_map(|line| line["step"].as_str()).collect();
    assert!(steps.starts_with(&["map"]) && steps.ends_with(&["DNS", "TCP", "TLS", "WebSocket", "CONNACK", "SUBACK"]));
    assert!(lines.iter().all(|line| line["verdict"] != "wrong"), "{said:?}");
}

#[tokio::test]
async fn a_map_with_faults_is_told_in_the_words_of_check() {
    let mut house = House::new().await;
    house.channel = "evry = \"20s\"".to_owned();
    let said = house.doctor(&[]).await;
    assert_eq!(said.code, Some(78));
    said.line("WRONG", "map", "has faults");
    assert!(said.err.contains("evry") && said.err.contains("map.toml:"), "{said:?}");
    let said = house.doctor(&["--json"]).await;
    let line: serde_json::Value = serde_json::from_str(said.out.trim()).expect("one object");
    let found = line["found"].as_str().expect("text");
    assert!(found.contains("map.toml has faults:\n") && found.contains("evry"), "{found}");
    assert!(house.sandbox.connects().is_empty());
}

#[tokio::test]
async fn a_sensor_that_is_not_there_is_told_with_its_fault() {
    let house = House::new().await;
    house.remove("level.txt");
    let said = house.doctor(&[]).await;
    assert_eq!(said.code, Some(1));
    let line = said.line("WRONG", "sensors", "tank: no answer: ");
    assert!(line.contains("level.txt does not exist"), "{line}");
    said.line("ok", "SUBACK", "is granted");
}

#[tokio::test]
async fn a_daemon_that_runs_keeps_its_connection_unless_it_is_taken_over() {
    let house = House::new().await;
    Folder::new(house.path("run")).lock().expect("nobody has it");
    let said = house.doctor(&["--publish"]).await;
    assert_eq!(said.code, Some(0), "a running daemon is no fault: {said:?}");
    let line = said.line("ok", "daemon", &format!("gatepost is running (process {}", std::process::id()));
    let status = format!("`gatepost status --runtime-dir {}`", house.path("run").display());
    let stop = format!("`kill {}`", std::process::id());
    assert!(line.contains(&status) && line.contains(&stop), "started by hand, stopped by hand: {line}");
    said.line("ok", "TLS", "the certificate is for");
    for step in ["CONNACK", "SUBACK", "publish"] {
        said.line("skipped", step, "the running daemon holds the MQTT device's only connection");
    }
    assert!(house.sandbox.connects().is_empty(), "nobody logged in");

    let said = house.doctor(&["--take-over"]).await;
    said.line("warning", "daemon", "--take-over logs in anyway");
    said.line("ok", "CONNACK", "pi is logged in");
    let said = house.doctor(&["--probe", "--channel", "house", "--yes"]).await;
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains(&stop), "{said:?}");
    let said = house.doctor(&["--publish", "--take-over"]).await;
    assert!(said.code == Some(1) && said.err.contains("Stop the daemon first with") && said.out.is_empty(), "{said:?}");
}

#[tokio::test]
async fn a_channel_is_named_for_something_and_a_reader_that_has_seen_enough_is_no_fault() {
    let house = House::new().await;
    let said = house.doctor(&["--channel", "house"]).await;
    assert!(said.code == Some(2) && said.err.contains("--publish"), "{said:?}");
    house.write("map.toml", &house.map());
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_gatepost"));
    command.arg("doctor").arg(house.path("map.toml")).arg("--runtime-dir").arg(house.path("run"));
    command.arg("--state-dir").arg(house.path("state"));
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    command.stdin(std::process::Stdio::null()).stdout(writer);
    let said = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic").expect("it runs");
    assert_eq!((said.status.code(), String::from_utf8(said.stderr).as_deref()), (Some(0), Ok("")));
}

#[tokio::test]
async fn a_channel_that_the_map_does_not_have_is_told_with_those_it_has() {
    let house = House::new().await;
    let said = house.doctor(&["--publish", "--channel", "attic"]).await;
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("the map has no channel `attic`: its channels are house"), "{said:?}");
}

#[tokio::test]
async fn directories_that_cannot_be_used_are_told() {
    let house = House::new().await;
    fs::write(house.path("state"), b"a file where a folder should be").expect("written");
    let said = house.doctor(&[]).await;
    let line = said.line("WRONG", "directories", "state: ");
    assert!(line.contains("is not a directory"), "{line}");
}
