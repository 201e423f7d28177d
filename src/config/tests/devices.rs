//! MQTT devices and what they log in with.

use super::*;

#[test]
fn credentials_must_be_there() {
    let away = faults_where("garden.txt", "away.txt");
    assert_eq!(away, ["there is no file away.txt"]);
    assert_eq!(faults_where("credentials = \"garden.txt\"", ""), ["a device needs credentials"]);
    let names = "client_id = \"a\"\nusername = \"b\"";
    assert_eq!(faults_where("credentials = \"garden.txt\"", names), ["a device with a `client_id` needs a password"]);
    let file = format!("{names}\npassword_file = \"password\"");
    assert!(faults_where("credentials = \"garden.txt\"", &file).is_empty());
}

#[test]
fn credentials_that_cannot_be_logged_in_with_are_faults_with_their_line() {
    let folder = folder();
    let path = folder.path().join("garden.txt");
    let found = |text: &str| {
        std::fs::write(&path, text).expect("a file");
        match parse(SMALL, &folder.path().join("map.toml")) {
            Ok(checked) => checked.render_warnings(),
            Err(error) => error.to_string(),
        }
    };
    let shown = found("username = a\nclientId = <the same>\npassword = 'sesame'");
    let fault =
        "garden.txt, line 2 (clientId): this is a placeholder and not a value\n  4 | credentials = \"garden.txt\"\n";
    assert!(shown.contains(fault) && shown.contains("\n  help: replace it"), "{shown}");
    assert!(!shown.contains("the same") && !shown.contains("sesame"), "{shown}");
    assert_eq!(found("username = 'a'\nclientId = \"a\"\npassword = `sesame`"), "");
    let shown = found("username = a\nclientId = a\npassword = AB12CD34EF56GH78");
    assert!(
        shown.contains("warning: the password has 16 capitals and digits, as ThingSpeak's API keys have"),
        "{shown}"
    );
}

#[test]
fn placeholders_and_quotes_in_the_values_of_the_map_are_faults() {
    let where_written = |keys: &str| faults_where("credentials = \"garden.txt\"", keys);
    let file = "password_file = \"password\"";
    assert_eq!(
        where_written(&format!("client_id = \"<your client id>\"\nusername = \"'a'\"\n{file}")),
        ["`client_id`: this is a placeholder and not a value", "`username`: the value is in two pairs of quotes",]
    );
    assert_eq!(where_written(&format!("client_id = \"\"\n{file}")), ["`client_id`: there is no value"]);
    for (password, fault) in [
        ("changeme", Some("`password`: this is a placeholder and not a value")),
        ("“a”", Some("`password`: the value is in typographic quotes, which word processors and web pages make")),
        ("correct horse", None),
    ] {
        let found = where_written(&format!("client_id = \"a\"\npassword = \"{password}\""));
        assert_eq!(found, Vec::from_iter(fault), "{password}");
    }
}

#[cfg(unix)]
#[test]
fn a_secret_that_others_may_read_is_a_fault() {
    let found = faults_where("garden.txt", "open.txt");
    assert!(found.len() == 1 && found[0].starts_with("other users of this machine may read"), "{found:?}");

    let folder = folder();
    let path = folder.path().join("map.toml");
    let map = SMALL.replace("credentials = \"garden.txt\"", "client_id = \"a\"\npassword = \"sesame\"");
    std::fs::write(&path, &map).expect("a file");
    set_mode(&path, 0o640);
    let shown = load(&path).expect_err("others may read it").to_string();
    assert!(shown.contains("this map holds a password") && !shown.contains("sesame"), "{shown}");
    set_mode(&path, 0o600);
    assert!(load(&path).is_ok());
}

#[test]
fn one_way_to_credentials_is_enough() {
    let found = faults_where("credentials", "client_id = \"a\"\ncredentials");
    assert_eq!(found, ["`credentials` already gives this"]);
}

#[test]
fn two_devices_do_not_share_a_client_id() {
    let found = faults_with("\n[device.second]\ncredentials = \"garden.txt\"");
    assert!(found.contains(&"two devices with the same client id disconnect each other".to_owned()), "{found:?}");
}

#[test]
fn with_two_devices_a_channel_says_which() {
    let found = faults_with("\n[device.second]\ncredentials = \"cellar.txt\"");
    assert_eq!(found, ["with several devices, a channel needs `device`"]);
    let found = faults_where("id = 1\n", "id = 1\ndevice = \"gardn\"\n");
    assert_eq!(found, ["there is no device `gardn`"]);
}

#[test]
fn a_device_serves_ten_channels() {
    let more =
        |count: u32| (0..count).map(|n| format!("\n[channel.c{n}]\nid = {}", n + 10)).collect::<Vec<_>>().concat();
    assert!(faults_with(&more(9)).is_empty());
    assert_eq!(faults_with(&more(10)), ["device `garden` serves 11 channels, but ThingSpeak allows 10"]);
}

/// A map of one device with these channels, each fed or commanding something as its lines say.
fn subscribing(channels: &[(&str, &str)], lines: &str) -> Vec<String> {
    let section =
        |(id, (name, keys)): (u64, &(&str, &str))| format!("[channel.{name}]\nid = {id}\nevery = \"5m\"\n{keys}\n");
    let channels = (1..).zip(channels).map(section).collect::<Vec<String>>().concat();
    let fed = "[[sensor]]\nname = \"gps\"\nuse = \"nmea\"\nport = \"/dev/serial0\"\n";
    let folder = folder();
    let map = format!("version = 1\n[device.d]\ncredentials = \"garden.txt\"\n{channels}{fed}{lines}");
    let checked = parse(&map, &folder.path().join("map.toml")).unwrap_or_else(|faults| panic!("{faults}"));
    let shown = checked.render_warnings();
    let about = |line: &&str| line.contains("subscription");
    shown.lines().filter(about).map(str::to_owned).collect()
}

#[test]
fn subscriptions_are_counted_by_device_and_the_way_out_is_named() {
    let fed = |names: &[&str]| {
        let places: Vec<_> = names.iter().map(|name| format!("\"{name}.lat\"")).collect();
        format!("to.latitude = [{}]\n", places.join(", "))
    };
    let lamp = |pin: u8, more: &str| {
        format!("[[output]]\nname = \"lamp{pin}\"\npin = {pin}\nfrom = \"switches.field{pin}\"\n{more}\n")
    };
    let three = [("a", ""), ("b", ""), ("c", "")];
    let four = [("a", ""), ("b", ""), ("c", ""), ("switches", "")];
    let fill = fed(&["a", "b", "c"]);
    assert!(subscribing(&three, &fill).is_empty(), "three fit");
    let found = subscribing(&four, &format!("{fill}{}{}", lamp(2, ""), lamp(3, "")));
    assert!(found[0].contains("device `d` needs 4 of 3 subscriptions"), "{found:?}");
    assert!(found[1].contains("`confirm = \"received\"` for one of `a`, `b`, `c`"), "{found:?}");
    let found = subscribing(&four, &format!("{fill}{}{}", lamp(2, "feed = \"field\""), lamp(3, "feed = \"field\"")));
    assert!(found[0].contains("needs 5 of 3") && found[1].contains("for 2 of `a`, `b`, `c`"), "{found:?}");

    let received = [("a", "confirm = \"received\""), ("b", ""), ("c", ""), ("switches", "")];
    assert!(subscribing(&received, &format!("{fill}{}", lamp(2, ""))).is_empty());
    let paid = four.map(|(name, _)| (name, "license = \"paid\""));
    assert!(subscribing(&paid, &format!("{fill}{}", lamp(2, ""))).is_empty(), "its limit is not known");
    // One subscription serves commands and acknowledgements.
    let shared = [("a", ""), ("b", ""), ("switches", "")];
    assert!(subscribing(&shared, &format!("{}{}", fed(&["a", "b", "switches"]), lamp(2, ""))).is_empty());
    let fields: String = (2..6).map(|pin| lamp(pin, "feed = \"field\"")).collect();
    let found = subscribing(&[("switches", "")], &fields);
    assert!(found[0].contains("needs 4 of 3") && found[1].contains("leave out `feed = \"field\"`"), "{found:?}");
}
