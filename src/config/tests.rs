//! Rules of the map, one a test. How faults are shown is in `tests/maps`.

use std::path::PathBuf;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::spool::Durability;

/// The smallest map that measures something.
const SMALL: &str = r#"
version = 1
[device.garden]
credentials = "garden.txt"
[channel.house]
id = 1
[[sensor]]
name = "gps"
use = "nmea"
port = "/dev/serial0"
to.latitude = "house.lat"
"#;

/// A folder with the credential files that the maps here speak of.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, mode) in [("garden", 0o640), ("cellar", 0o600), ("open", 0o644)] {
        let path = folder.path().join(format!("{name}.txt"));
        let text = format!("username = {name}\nclientId = {name}\npassword = sesame");
        std::fs::write(&path, text).expect("a file");
        set_mode(&path, mode);
    }
    std::fs::write(folder.path().join("password"), "sesame").expect("a file");
    set_mode(&folder.path().join("password"), 0o600);
    folder
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("one's own file");
}

#[cfg(not(unix))]
fn set_mode(_path: &Path, _mode: u32) {}

fn parse_small(change: impl Fn(&str) -> String) -> Result<Checked, LoadError> {
    let folder = folder();
    parse(&change(SMALL), &folder.path().join("map.toml"))
}

/// The messages of a map, without their places.
fn messages(text: &str, severity: &str) -> Vec<String> {
    let folder = folder();
    let shown = match parse(text, &folder.path().join("map.toml")) {
        Ok(checked) => checked.render_warnings(),
        Err(LoadError::Faults(shown)) => shown,
        Err(other) => panic!("{other}"),
    };
    assert!(!shown.contains("sesame"), "a secret is shown: {shown}");
    let mark = format!(": {severity}: ");
    let folder = format!("{}/", folder.path().display());
    shown.lines().filter_map(|line| Some(line.split_once(&mark)?.1.replace(&folder, ""))).collect()
}

fn faults_with(addition: &str) -> Vec<String> {
    messages(&format!("{SMALL}{addition}"), "fault")
}

fn faults_where(from: &str, to: &str) -> Vec<String> {
    assert!(SMALL.contains(from), "{from}");
    messages(&SMALL.replace(from, to), "fault")
}

fn warnings_with(addition: &str) -> Vec<String> {
    messages(&format!("{SMALL}{addition}"), "warning")
}

/// An output of this name with some more lines.
fn output(name: &str, lines: &str) -> String {
    format!("\n[[output]]\nname = \"{name}\"\n{lines}\n[channel.switches{name}]\nid = {}\n", 100 + name.len())
}

#[test]
fn the_smallest_map_is_good_and_has_the_documented_defaults() {
    let checked = parse_small(str::to_owned).expect("a good map");
    let settings = checked.settings;
    assert!(checked.warnings.is_empty(), "{:?}", checked.warnings);
    assert_eq!(settings.broker.hosts, ["mqtt3.thingspeak.com"]);
    assert_eq!((settings.broker.port, settings.broker.renew), (443, Duration::from_secs(3000)));
    let channel = &settings.channels[0];
    assert_eq!((channel.name.as_str(), channel.id, channel.device), ("house", ChannelId(1), 0));
    assert_eq!((channel.every, channel.license), (Duration::from_secs(20), License::Free));
    assert_eq!(channel.backlog, Backlog::default());
    let route = &settings.sensors[0].routes[0];
    assert_eq!((route.column, route.reduce, route.publish), (Column::Latitude, Reduce::Last, Publish::Slot));
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_are_read() {
    assert!(parse_small(|map| format!("\u{feff}{}", map.replace('\n', "\r\n"))).is_ok());
}

#[test]
fn channels_keep_the_order_of_the_map() {
    let map = format!("{SMALL}\nto.longitude = \"attic.long\"\n[channel.cellar]\nid = 9\n[channel.attic]\nid = 8\n");
    let folder = folder();
    let settings = parse(&map, &folder.path().join("map.toml")).expect("a good map").settings;
    let names: Vec<_> = settings.channels.iter().map(|channel| channel.name.as_str()).collect();
    assert_eq!(names, ["house", "cellar", "attic"]);
    assert_eq!(settings.sensors[0].routes[1].channel, 2);
}

#[test]
fn the_version_is_required_and_is_one() {
    assert_eq!(faults_where("version = 1", ""), ["a map says its version"]);
    assert_eq!(faults_where("version = 1", "version = 2"), ["this gatepost reads maps of version 1, not 2"]);
}

#[test]
fn a_plaintext_transport_has_to_be_allowed() {
    let told = "`tcp` sends the password and every reading in the clear";
    assert_eq!(faults_with("\n[broker]\ntransport = \"tcp\""), [told]);
    assert_eq!(faults_with("\n[broker]\ntransport = \"tcp\"\nallow_plaintext = false"), [told]);
    assert!(faults_with("\n[broker]\ntransport = \"tcp\"\nallow_plaintext = true").is_empty());
}

#[test]
fn a_session_is_renewed_before_the_idle_limit() {
    for wrong in ["60m", "9s"] {
        let told = faults_with(&format!("\n[broker]\nrenew = \"{wrong}\""));
        assert_eq!(told, ["a session is renewed after at least 10s and before the broker's idle limit of 60m"]);
    }
    assert!(faults_with("\n[broker]\nrenew = \"10s\"").is_empty());
}

#[test]
fn plaintext_that_is_allowed_without_need_is_warned_about() {
    let told = warnings_with("\n[broker]\nallow_plaintext = true");
    assert_eq!(told, ["`wss` is encrypted: `allow_plaintext` does nothing"]);
    assert!(warnings_with("\n[broker]\nallow_plaintext = false").is_empty());
}

#[test]
fn a_host_is_a_host_alone() {
    let told = |host: &str| faults_with(&format!("\n[broker]\nhost = \"{host}\""));
    for host in ["broker.example", "192.0.2.1", "2001:db8::1", "[2001:db8::1]"] {
        assert!(told(host).is_empty(), "{host}");
    }
    for host in ["broker.example:8883", "[2001:db8::1]:8883", "broker.example:"] {
        assert_eq!(told(host), ["a port does not belong to the host, but into `port`"], "{host}");
    }
    for host in ["wss://broker.example", "broker.example/mqtt"] {
        assert_eq!(told(host), ["`host` is a name, not an address with a scheme or path"], "{host}");
    }
}

#[test]
fn several_hosts_are_a_list_and_not_a_text() {
    let help = |host: &str| {
        let folder = folder();
        let map = format!("{SMALL}\n[broker]\nhost = \"{host}\"");
        let report = parse(&map, &folder.path().join("map.toml")).expect_err("a fault").to_string();
        assert!(report.contains("these are several hosts, and `host` is one"), "{report}");
        report
    };
    for host in ["a.test,b.test", "a.test b.test", "a.test; b.test"] {
        assert!(help(host).contains("write `hosts = [\"a.test\", \"b.test\"]` in place of `host`"), "{host}");
    }
    assert!(faults_with("\n[broker]\nhosts = [\"a.test\", \"2001:db8::1\"]").is_empty());
    assert_eq!(faults_with("\n[broker]\nhosts = []"), ["`hosts` is empty"]);
    assert_eq!(faults_with("\n[broker]\nhosts = [\"a\", \"a\"]"), ["`a` is there twice"]);
    assert_eq!(faults_with("\n[broker]\nhost = \"a\"\nhosts = [\"b\"]"), ["`host` and `hosts` say the same"]);
    assert_eq!(
        faults_with("\n[broker]\nhosts = [\"a:1883\"]"),
        ["a port does not belong to the host, but into `port`"]
    );
    for wrong in ["a_b!", "a\\tb", "", "@a"] {
        assert_eq!(faults_with(&format!("\n[broker]\nhost = \"{wrong}\"")).len(), 1, "{wrong}");
    }
    assert_eq!(faults_with("\n[broker]\nhost = \"bröker.example\""), ["a host name has no such letters"]);
}

#[test]
fn a_path_is_that_of_a_websocket() {
    let told = |path: &str| faults_with(&format!("\n[broker]\npath = \"{path}\""));
    for path in ["/", "/ws", "/mqtt?x=1"] {
        assert!(told(path).is_empty(), "{path}");
    }
    assert_eq!(told("ws"), ["a path begins with `/`"]);
    assert_eq!(told("/a b"), ["a path has neither blanks nor `#`"]);
    let told = warnings_with("\n[broker]\ntransport = \"tls\"\npath = \"/ws\"");
    assert_eq!(told, ["`tls` has no WebSocket: `path` does nothing"]);
}

#[test]
fn a_proxy_is_an_address_with_its_password_elsewhere() {
    let told = |lines: &str| faults_with(&format!("\n[broker]\n{lines}"));
    for fine in ["http://proxy.example:3128", "proxy.example:3128", "none", "http://[fd00::1]:3128/"] {
        assert!(told(&format!("proxy = \"{fine}\"")).is_empty(), "{fine}");
    }
    assert!(told("proxy = \"http://p:1\"\nproxy_credentials = \"garden.txt\"").is_empty());
    assert_eq!(told("proxy = \"http://p\""), ["the proxy's port is missing"]);
    assert_eq!(told("proxy = \"https://p:1\""), ["a proxy is asked over plain HTTP: `https` cannot be used"]);
    assert_eq!(told("proxy = \"http://me:sesame@p:1\""), ["a user name or password does not belong into the map"]);
    assert_eq!(told("proxy = \"http://p:1\"\nproxy_credentials = \"x\""), ["there is no file x"]);
    assert_eq!(told("proxy = \"none\"\nproxy_credentials = \"garden.txt\""), ["there is no proxy to log in to"]);
    assert_eq!(told("proxy_credentials = \"garden.txt\"").len(), 1);
}

#[test]
fn a_ca_file_is_there_and_holds_a_certificate() {
    assert_eq!(faults_with("\n[broker]\nca_file = \"ca.pem\""), ["there is no file ca.pem"]);
    let told = faults_with("\n[broker]\nca_file = \"garden.txt\"");
    assert_eq!(told, ["garden.txt holds no certificate in PEM form"]);
    let folder = folder();
    std::fs::write(folder.path().join("ca.pem"), "-----BEGIN CERTIFICATE-----\n").expect("a file");
    let map = format!("{SMALL}\n[broker]\nca_file = \"ca.pem\"");
    assert!(parse(&map, &folder.path().join("map.toml")).is_ok());
}

#[test]
fn credentials_must_be_there() {
    let away = faults_where("garden.txt", "away.txt");
    assert_eq!(away, ["there is no file away.txt"]);
    assert_eq!(faults_where("credentials = \"garden.txt\"", ""), ["a device needs its credentials"]);
    let names = "client_id = \"a\"\nusername = \"b\"";
    assert_eq!(faults_where("credentials = \"garden.txt\"", names), ["a device with a `client_id` needs its password"]);
    let file = format!("{names}\npassword_file = \"password\"");
    assert!(faults_where("credentials = \"garden.txt\"", &file).is_empty());
}

#[test]
fn credentials_that_cannot_be_logged_in_with_are_faults_with_their_line() {
    let folder = folder();
    let path = folder.path().join("garden.txt");
    let told = |text: &str| {
        std::fs::write(&path, text).expect("a file");
        match parse(SMALL, &folder.path().join("map.toml")) {
            Ok(checked) => checked.render_warnings(),
            Err(error) => error.to_string(),
        }
    };
    let shown = told("username = a\nclientId = <the same>\npassword = 'sesame'");
    let fault =
        "garden.txt, line 2 (clientId): this is a placeholder and not a value\n  4 | credentials = \"garden.txt\"\n";
    assert!(shown.contains(fault) && shown.contains("\n  help: replace it"), "{shown}");
    assert!(!shown.contains("the same") && !shown.contains("sesame"), "{shown}");
    assert_eq!(told("username = 'a'\nclientId = \"a\"\npassword = `sesame`"), "");
    let shown = told("username = a\nclientId = a\npassword = AB12CD34EF56GH78");
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
        let told = where_written(&format!("client_id = \"a\"\npassword = \"{password}\""));
        assert_eq!(told, Vec::from_iter(fault), "{password}");
    }
}

#[cfg(unix)]
#[test]
fn a_secret_that_others_may_read_is_a_fault() {
    let told = faults_where("garden.txt", "open.txt");
    assert!(told.len() == 1 && told[0].starts_with("other users of this machine may read"), "{told:?}");

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
    let told = faults_where("credentials", "client_id = \"a\"\ncredentials");
    assert_eq!(told, ["`credentials` already says where to find this"]);
}

#[test]
fn two_devices_do_not_share_a_client_id() {
    let told = faults_with("\n[device.second]\ncredentials = \"garden.txt\"");
    assert!(
        told.contains(&"two devices with the same client id push each other off the broker".to_owned()),
        "{told:?}"
    );
}

#[test]
fn with_two_devices_a_channel_says_which() {
    let told = faults_with("\n[device.second]\ncredentials = \"cellar.txt\"");
    assert_eq!(told, ["with several devices a channel says which one serves it"]);
    let told = faults_where("id = 1\n", "id = 1\ndevice = \"gardn\"\n");
    assert_eq!(told, ["there is no device `gardn`"]);
}

#[test]
fn a_channel_is_in_the_map_once() {
    assert_eq!(faults_with("\n[channel.other]\nid = 1"), ["channel 1 is in this map twice"]);
    assert_eq!(faults_where("id = 1\n", ""), ["a channel needs its number"]);
    assert_eq!(faults_where("id = 1\n", "id = 0\n"), ["a channel's number is not 0"]);
    assert_eq!(faults_where("id = 1\n", "id = 12345678901\n"), ["this is longer than any channel's number"]);
    let told = faults_where("id = 1\n", "id = 99999999999999999999\n");
    assert_eq!(told, ["`id`: expected a whole number, not negative, found a number that does not fit"]);
}

#[test]
fn a_device_serves_ten_channels() {
    let more =
        |count: u32| (0..count).map(|n| format!("\n[channel.c{n}]\nid = {}", n + 10)).collect::<Vec<_>>().concat();
    assert!(faults_with(&more(9)).is_empty());
    assert_eq!(faults_with(&more(10)), ["device `garden` serves 11 channels, and ThingSpeak lets it 10"]);
}

#[test]
fn a_field_has_one_value() {
    let told = faults_with("to.longitude = \"house.lat\"");
    assert_eq!(told, ["`house.lat` gets two values: from `gps` and from `gps`"]);
    let report = output("lamp", "pin = 17\nfrom = \"switcheslamp.field1\"\nreport = \"house.lat\"");
    assert_eq!(faults_with(&report), ["`house.lat` gets two values: from `gps` and from `lamp`"]);
}

#[test]
fn a_place_is_a_column_of_a_known_channel() {
    assert_eq!(faults_where("house.lat", "hose.lat"), ["there is no channel `hose`"]);
    assert_eq!(faults_where("house.lat", "house.field9"), ["a channel has no column `field9`"]);
    assert_eq!(faults_where("house.lat", "house.field0"), ["a channel has no column `field0`"]);
    assert_eq!(faults_where("house.lat", "house"), ["`house` names no column of a channel"]);
    assert_eq!(faults_where("\"house.lat\"", "3"), ["this names no column of a channel"]);
}

#[test]
fn a_quantity_may_go_to_several_places() {
    let map = SMALL.replace("\"house.lat\"", "[\"house.lat\", { field = \"house.field1\", reduce = \"last\" }]");
    let folder = folder();
    let settings = parse(&map, &folder.path().join("map.toml")).expect("a good map").settings;
    let columns: Vec<_> = settings.sensors[0].routes.iter().map(|route| route.column).collect();
    assert_eq!(columns, [Column::Latitude, Column::Field(1)]);
}

#[test]
fn only_fields_are_published_by_themselves() {
    let route = "{ field = \"house.lat\", publish = \"field\" }";
    assert_eq!(faults_where("\"house.lat\"", route), ["`lat` has no topic of its own"]);
}

#[test]
fn a_slot_is_not_shorter_than_the_license_allows() {
    let slot = |every: &str| SMALL.replace("id = 1\n", &format!("id = 1\nevery = \"{every}\"\n"));
    let told = messages(&slot("14s"), "fault");
    assert_eq!(told, ["the license takes one update every 15s, so the slot is at least 15s"]);
    let told = messages(&slot("15s"), "warning");
    assert_eq!(told[0], "updates will be lost: what is delayed by a second arrives less than 15s before the next");
    assert!(messages(&slot("16s"), "warning").is_empty());
    for odd in ["0s", "16500ms"] {
        assert_eq!(messages(&slot(odd), "fault"), ["a slot is a whole number of seconds, as ThingSpeak's times are"]);
    }
}

#[test]
fn slots_that_leave_no_time_for_a_backlog_are_told_about() {
    let told = "no time is left to catch up: what waits after an outage is never sent, and dropped in the end";
    for (every, license, drains) in
        [("15s", "free", false), ("16s", "free", true), ("1s", "paid", false), ("2s", "paid", true)]
    {
        let keys = format!("id = 1\nevery = \"{every}\"\nlicense = \"{license}\"\n");
        let map = SMALL.replace("id = 1\n", &keys);
        assert_eq!(messages(&map, "warning").contains(&told.to_owned()), !drains, "{every} {license}");
        let checked = parse_small(|_| map.clone()).expect("a good map");
        assert_eq!(checked.settings.channels[0].backlog.drains, drains, "{every} {license}");
        let help = checked.warnings.iter().filter_map(|warning| warning.help.as_ref());
        let help = help.into_iter().any(|help| help.contains("set `thin`"));
        assert_eq!(help, !drains, "{every} {license}");
    }
}

#[test]
fn card_is_treated_as_the_map_says() {
    assert_eq!(parse_small(str::to_owned).expect("a good map").settings.spool, Policy::default());
    let keys = "durability = \"grouped\"\nwrite_after = \"5m\"\ngroup_every = \"10m\"\ngroup_entries = 100\n";
    let spool = parse_small(|map| format!("{map}\n[spool]\n{keys}")).expect("a good map").settings.spool;
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
    let durability = Durability::Grouped;
    assert_eq!(spool, Policy { durability, write_after: minutes(5), group_every: minutes(10), group_entries: 100 });
    for (key, fault) in [
        ("write_after = \"25h\"", "`write_after` is a day at most"),
        ("group_every = \"2d\"", "`group_every` is a day at most"),
        ("group_entries = 0", "a group has 1 to 512 entries"),
        ("group_entries = 513", "a group has 1 to 512 entries"),
    ] {
        assert_eq!(faults_with(&format!("\n[spool]\n{key}")), [fault], "{key}");
    }
    for odd in ["durability = \"sometimes\"", "write_after = 60", "group_entries = -1", "group = 3"] {
        assert_eq!(faults_with(&format!("\n[spool]\n{odd}")).len(), 1, "{odd}");
    }
    assert_eq!(faults_with("\n[[spool]]\nwrite_after = \"1m\"").len(), 1);
}

#[test]
fn waiting_before_a_write_means_nothing_where_entries_are_written_at_once() {
    let always = "\n[spool]\ndurability = \"always\"\n";
    let told = "with `durability = \"always\"` every entry is written at once: `write_after` does nothing";
    assert_eq!(warnings_with(&format!("{always}write_after = \"1m\"")), [told]);
    // Acknowledgements are still written in groups.
    assert!(warnings_with(&format!("{always}group_every = \"1m\"\ngroup_entries = 8")).is_empty());
}

#[test]
fn a_field_published_by_itself_counts_as_an_update() {
    let map = format!("{SMALL}to.longitude = {{ field = \"house.field1\", publish = \"field\" }}");
    let told = messages(&map, "fault");
    assert_eq!(told.len(), 1);
    assert!(told[0].starts_with("the license takes one update every 15s, so the slot is at least 30s"), "{told:?}");
}

#[test]
fn a_year_of_all_channels_fits_the_license() {
    let second = "to.longitude = \"attic.long\"\n[channel.attic]\nid = 2";
    // 31,536,000 s a year at two updates every 20 s.
    assert_eq!(
        warnings_with(second),
        ["3153600 updates a year are more than the license's 3000000: it is used up after 347 days"]
    );
    assert!(warnings_with(&format!("{second}\nevery = \"25s\"")).is_empty());
    assert!(warnings_with(&format!("{second}\nlicense = \"paid\"")).is_empty());
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
    let told = subscribing(&four, &format!("{fill}{}{}", lamp(2, ""), lamp(3, "")));
    assert!(told[0].contains("device `d` needs 4 of 3 subscriptions"), "{told:?}");
    assert!(told[1].contains("`confirm = \"received\"` for one of `a`, `b`, `c`"), "{told:?}");
    let told = subscribing(&four, &format!("{fill}{}{}", lamp(2, "feed = \"field\""), lamp(3, "feed = \"field\"")));
    assert!(told[0].contains("needs 5 of 3") && told[1].contains("for 2 of `a`, `b`, `c`"), "{told:?}");

    let received = [("a", "confirm = \"received\""), ("b", ""), ("c", ""), ("switches", "")];
    assert!(subscribing(&received, &format!("{fill}{}", lamp(2, ""))).is_empty());
    let paid = four.map(|(name, _)| (name, "license = \"paid\""));
    assert!(subscribing(&paid, &format!("{fill}{}", lamp(2, ""))).is_empty(), "its limit is not known");
    // One subscription serves commands and acknowledgements.
    let shared = [("a", ""), ("b", ""), ("switches", "")];
    assert!(subscribing(&shared, &format!("{}{}", fed(&["a", "b", "switches"]), lamp(2, ""))).is_empty());
    let fields: String = (2..6).map(|pin| lamp(pin, "feed = \"field\"")).collect();
    let told = subscribing(&[("switches", "")], &fields);
    assert!(told[0].contains("needs 4 of 3") && told[1].contains("leave out `feed = \"field\"`"), "{told:?}");
}

#[test]
fn commands_on_a_channel_we_publish_to_are_warned_about() {
    let told = warnings_with("\n[[output]]\nname = \"lamp\"\npin = 17\nfrom = \"house.field1\"");
    assert_eq!(told.len(), 1);
    assert!(told[0].starts_with("commands may be lost: `gps` publishes to `house` too"), "{told:?}");
    assert!(warnings_with(&output("lamp", "pin = 17\nfrom = \"switcheslamp.field1\"")).is_empty());
}

#[test]
fn what_is_not_used_is_warned_about() {
    let told = warnings_with("\n[channel.attic]\nid = 2");
    assert_eq!(told, ["nothing is published to channel `attic`, and no output listens to it"]);
    let map = format!(
        "{}\n[device.second]\ncredentials = \"cellar.txt\"",
        SMALL.replace("id = 1", "id = 1\ndevice = \"garden\"")
    );
    assert_eq!(messages(&map, "warning"), ["device `second` serves no channel"]);
    let told = warnings_with("\n[[sensor]]\nname = \"spare\"\nuse = \"nmea\"\nport = \"/dev/ttyUSB0\"");
    assert_eq!(told, ["what sensor `spare` measures goes nowhere"]);
    assert_eq!(messages("version = 1", "warning"), ["this map measures nothing and switches nothing"]);
}

#[test]
fn names_are_given_once() {
    let told = faults_with("\n[[sensor]]\nname = \"gps\"\nuse = \"nmea\"\nport = \"/dev/ttyUSB0\"");
    assert_eq!(told, ["two sensors are called `gps`"]);
    assert_eq!(faults_where("name = \"gps\"", ""), ["every sensor needs a name"]);
    assert_eq!(faults_where("\"gps\"", "\"a\\nb\""), ["a name is one line of up to 64 printable characters"]);
}

#[test]
fn one_pin_has_one_user() {
    let both =
        output("a", "pin = 17\nfrom = \"switchesa.field1\"") + &output("bb", "pin = 17\nfrom = \"switchesbb.field1\"");
    assert_eq!(faults_with(&both), ["GPIO17 is taken by output `a` and by output `bb`"]);
    let sensor = "\n[[sensor]]\nname = \"door\"\nuse = \"input\"\npin = 17\nto.level = \"house.field1\"";
    let both = format!("{sensor}{}", output("a", "pin = 17\nfrom = \"switchesa.field1\""));
    assert_eq!(faults_with(&both), ["GPIO17 is taken by sensor `door` and by output `a`"]);
    let beyond = output("a", "pin = 54\nfrom = \"switchesa.field1\"");
    assert_eq!(faults_with(&beyond), ["pins are GPIO0 to GPIO53, by their BCM numbers"]);
    let pwm =
        output("a", "pwm = 0\nfrom = \"switchesa.field1\"") + &output("bb", "pwm = 0\nfrom = \"switchesbb.field1\"");
    assert_eq!(faults_with(&pwm), ["PWM channel 0 is taken by output `a` and by output `bb`"]);
}

#[test]
fn one_port_and_one_address_have_one_user() {
    let gps = "\n[[sensor]]\nname = \"b\"\nuse = \"nmea\"\nport = \"/dev/serial0\"\nto.longitude = \"house.long\"";
    assert_eq!(faults_with(gps), ["/dev/serial0 is taken by sensor `gps` and by sensor `b`"]);
    assert!(faults_with(&gps.replace("serial0", "ttyUSB0")).is_empty());
    let air = |name: &str, field: u8| {
        format!("\n[[sensor]]\nname = \"{name}\"\nuse = \"bme280\"\nto.humidity = \"house.field{field}\"\n")
    };
    let told = faults_with(&(air("a", 1) + &air("b", 2)));
    assert_eq!(told, ["address 0x76 on i2c-1 is taken by sensor `a` and by sensor `b`"]);
    assert!(faults_with(&(air("a", 1) + &air("b", 2) + "address = 0x77")).is_empty());
}

#[test]
fn a_pin_that_a_bus_usually_has_is_warned_about() {
    let on = |pin: u8, more: &str| {
        warnings_with(&format!("{more}{}", output("a", &format!("pin = {pin}\nfrom = \"switchesa.field1\""))))
    };
    assert_eq!(on(14, ""), ["GPIO14 is usually a pin of /dev/serial0, which sensor `gps` uses"]);
    assert!(on(2, "").is_empty());
    let air = "\n[[sensor]]\nname = \"air\"\nuse = \"bme280\"\nto.humidity = \"house.field1\"\n";
    assert_eq!(on(3, air), ["GPIO3 is usually a pin of i2c-1, which sensor `air` uses"]);
    let tank = "\n[[sensor]]\nname = \"tank\"\nuse = \"ds18b20\"\nid = \"28-0417b1fb82ff\"\nto.temperature = \"house.field1\"\n";
    assert_eq!(on(4, tank), ["GPIO4 is usually a pin of the 1-Wire bus, which sensor `tank` uses"]);
    let fan = output("fan", "pwm = 1\nfrom = \"switchesfan.field1\"");
    assert_eq!(on(19, &fan), ["GPIO19 is usually a pin of PWM channel 1, which output `fan` uses"]);
}

#[test]
fn a_sensor_is_read_neither_too_often_nor_too_seldom() {
    let sensor =
        |keys: &str| format!("\n[[sensor]]\nname = \"load\"\nuse = \"system\"\n{keys}\nto.load1 = \"house.field1\"");
    let told = faults_with(&sensor("every = \"49ms\""));
    assert_eq!(told, ["a sensor is read at most every 50ms: more often only warms the machine"]);
    let told = faults_with(&sensor("timeout = \"99ms\""));
    assert_eq!(told, ["a timeout is at least 100ms, so that a moment's load does not make a sensor look dead"]);
    assert_eq!(faults_with(&sensor("every = \"367d\"")), ["`every`: a duration of the map is at most 366 days"]);
    assert!(faults_with(&sensor("every = \"50ms\"\ntimeout = \"100ms\"")).is_empty());
    let told = warnings_with(&sensor("every = \"21s\""));
    assert_eq!(told, ["this is longer than a slot of `house` (20s): some of its entries stay empty"]);
    assert!(warnings_with(&sensor("every = \"20s\"")).is_empty());
}

#[test]
fn an_output_has_one_target_and_levels_that_fit_it() {
    let told = |lines: &str| faults_with(&output("a", &format!("from = \"switchesa.field1\"\n{lines}")));
    assert_eq!(told(""), ["this output drives nothing"]);
    assert_eq!(told("pin = 4\npwm = 0"), ["an output drives a `pin` or a `pwm` channel, not both"]);
    assert_eq!(told("pin = 4\nfrequency = \"1kHz\""), ["`frequency` belongs to `pwm`"]);
    assert_eq!(told("pwm = 0\nactive = \"low\""), ["`active` belongs to `pin`"]);
    assert_eq!(told("pwm = 4"), ["hardware PWM has the channels 0 to 3"]);
    assert!(told("pwm = 3").is_empty());
    assert_eq!(told("pin = 4\nstart = 50"), ["a pin is \"on\" or \"off\"; percent need `pwm`"]);
    assert_eq!(told("pwm = 0\nstop = 101"), ["`stop`: percent go from 0 to 100"]);
    assert!(told("pwm = 1\nfrequency = \"25kHz\"\nstart = 12.5\nstop = \"off\"").is_empty());
    assert_eq!(told("pin = 4\nmax_on = \"0s\""), ["`max_on` must be longer than nothing"]);
    assert_eq!(told("pin = 4\nlink_loss = { after = \"1m\" }"), ["missing key `set`"]);
}

#[test]
fn commands_come_from_a_field() {
    assert_eq!(faults_with(&output("a", "pin = 4\nfrom = \"switchesa.lat\"")), ["`lat` carries no commands"]);
    assert_eq!(faults_with(&output("a", "pin = 4")), ["nobody commands this output"]);
    let told = faults_with(&output("a", "pin = 4\nfrom = \"switchesa.field1\"\nfeed = \"field\"\naccept_age = \"1m\""));
    assert_eq!(told, ["a field feed carries no time: how old a command is cannot be known"]);
}

#[test]
fn a_limit_that_a_repeated_value_begins_anew_is_warned_about() {
    let lines = "pin = 5\nfrom = \"switchesa.field1\"\nmax_on = \"30m\"";
    assert!(warnings_with(&output("a", lines)).is_empty());
    let told = warnings_with(&output("a", &format!("{lines}\nfeed = \"field\"")));
    assert_eq!(told, ["with `feed = \"field\"` this limit can begin anew without a command"]);
}

#[test]
fn an_interlock_names_another_output() {
    let told = |lines: &str| {
        faults_with(
            &(output("a", &format!("pin = 4\nfrom = \"switchesa.field1\"\n{lines}"))
                + &output("bb", "pin = 5\nfrom = \"switchesbb.field1\"\nstart = \"on\"")),
        )
    };
    assert_eq!(told("interlock = [\"b\"]"), ["there is no output `b`"]);
    assert_eq!(told("interlock = [\"a\"]"), ["an output cannot exclude itself"]);
    assert_eq!(
        told("interlock = [\"bb\"]\nstart = \"on\""),
        ["both start on, and yet may not be on together: `a`, `bb`"]
    );
    assert!(told("interlock = [\"bb\"]").is_empty());
    let both = |key: &str| {
        let lines = |name: &str| format!("pin = {}\nfrom = \"switches{name}.field1\"\n{key}\n", 4 + name.len());
        faults_with(&(output("a", &(lines("a") + "interlock = [\"bb\"]")) + &output("bb", &lines("bb"))))
    };
    assert_eq!(both("stop = \"on\""), ["both stop on, and yet may not be on together: `a`, `bb`"]);
    assert_eq!(
        both("link_loss = { after = \"1m\", set = \"on\" }"),
        ["both go on when the link is lost, and yet may not be on together: `a`, `bb`"]
    );
}

#[test]
fn filters_that_make_no_sense_are_refused() {
    let told = |keys: &str| faults_where("\"house.lat\"", &format!("{{ field = \"house.lat\", {keys} }}"));
    assert_eq!(told("calibrate = [[1, 2]]"), ["`calibrate` needs two points or more; for one use `offset`"]);
    assert_eq!(told("calibrate = [[1, 2], [1.0, 3]]"), ["two points of `calibrate` have the same measured value"]);
    assert_eq!(told("calibrate = [[1, 2], [3]]"), ["a point of `calibrate` is a pair: [measured, true]"]);
    for median in [1, 4, 101] {
        assert_eq!(told(&format!("median = {median}")), ["`median` takes an odd number of values, from 3 to 99"]);
    }
    assert_eq!(told("valid = { min = 2, max = 1 }"), ["no value is valid: `min` is not below `max`"]);
    assert_eq!(told("valid = {}"), ["`valid` has a `min`, a `max` or both"]);
    assert_eq!(told("heartbeat = \"1m\""), ["`heartbeat` belongs to `change`"]);
    assert_eq!(told("scale = 0"), ["`scale = 0` makes every value 0"]);
    assert_eq!(told("offset = nan"), ["`offset`: this is not a finite number"]);
    assert_eq!(told("filter = [{}]"), ["this filter step does nothing"]);
    assert_eq!(
        told("filter = [{ scale = 2, round = 1 }]"),
        ["a filter step does one thing, so that their order is plain"]
    );
}

#[test]
fn steps_of_a_filter_keep_their_order_and_short_forms_follow() {
    let route = "{ field = \"house.lat\", filter = [{ round = 1 }, { scale = 2 }], offset = 3, reject = [85, -127] }";
    let settings = parse_small(|map| map.replace("\"house.lat\"", route)).expect("a good map").settings;
    let steps = [Step::Round(1), Step::Scale(2.0), Step::Reject(vec![85.0, -127.0]), Step::Offset(3.0)];
    assert_eq!(settings.sensors[0].routes[0].filter, steps);
}

#[test]
fn a_level_is_what_it_was_in_the_end() {
    let small = "use = \"nmea\"\nport = \"/dev/serial0\"\nto.latitude = \"house.lat\"";
    let input = "use = \"input\"\npin = 22\nto.level = { field = \"house.field1\", publish = \"on_change\" }";
    let settings = parse_small(|text| text.replace(small, input)).expect("a good map").settings;
    let route = &settings.sensors[0].routes[0];
    assert_eq!((route.reduce, route.publish), (Reduce::Last, Publish::OnChange));
}

#[test]
fn pulses_add_up_over_the_slot_unless_the_map_says_otherwise() {
    let map = "use = \"counter\"\npin = 27\nto.sum = [\"house.field1\", { field = \"house.field2\", reduce = \"max\" }]\n\
               to.total = \"house.field3\"\nto.rate = \"house.field4\"";
    let small = "use = \"nmea\"\nport = \"/dev/serial0\"\nto.latitude = \"house.lat\"";
    let settings = parse_small(|text| text.replace(small, map)).expect("a good map").settings;
    let mut reduces: Vec<_> =
        settings.sensors[0].routes.iter().map(|route| (route.column.index(), route.reduce)).collect();
    reduces.sort_by_key(|(column, _)| *column);
    assert_eq!(reduces, [(0, Reduce::Sum), (1, Reduce::Max), (2, Reduce::Last), (3, Reduce::Mean)]);
}

#[test]
fn a_misspelt_key_is_not_told_as_missing_too() {
    for (key, typo) in [("version", "verson"), ("id", "idd"), ("name", "nmae"), ("use", "sue"), ("port", "prt")] {
        let told = faults_where(&format!("{key} = "), &format!("{typo} = "));
        assert_eq!(told, [format!("unknown key `{typo}`")]);
    }
}

#[test]
fn relative_paths_start_in_the_map_s_folder() {
    let small = "use = \"nmea\"\nport = \"/dev/serial0\"\nto.latitude = \"house.lat\"";
    let level = |path: &str| format!("use = \"file\"\npath = \"{path}\"\nto.value = \"house.field1\"");
    let map = SMALL.replace(small, &level("rain/level"));
    let folder = folder();
    let path_in =
        |map: &str| match &parse(map, &folder.path().join("map.toml")).expect("a good map").settings.sensors[0].kind {
            Kind::File(file) => file.path.clone(),
            other => panic!("{other:?}"),
        };
    assert_eq!(path_in(&map), folder.path().join("rain/level"));
    assert_eq!(path_in(&map.replace("rain/level", "/run/level")), Path::new("/run/level"));
}

#[test]
fn a_header_without_a_name_is_told_how_to_be_written() {
    let told = messages("version = 1\n[device]\ncredentials = \"garden.txt\"", "fault");
    assert_eq!(told, ["every device has a name in its header"]);
    for header in ["[channel]", "[[channel]]"] {
        let told = faults_where("[channel.house]", header);
        assert!(told.contains(&"every channel has a name in its header".to_owned()), "{told:?}");
    }
    let told = faults_where("[channel.house]", "[channel.\"a\\nb\"]");
    assert!(told.contains(&"a name is one line of up to 64 printable characters".to_owned()), "{told:?}");
}

#[test]
fn a_number_in_quotes_is_told_how_to_be_written() {
    let map = format!("{SMALL}{}", output("a", "pin = \"GPIO17\"\nfrom = \"switchesa.field1\""));
    let folder = folder();
    let shown = parse(&map, &folder.path().join("map.toml")).expect_err("a text").to_string();
    assert!(shown.contains("expected a whole number from 0 to 255, found a text"), "{shown}");
    assert!(shown.contains("help: write 17, without quotes"), "{shown}");
}

#[test]
fn a_key_of_the_serial_line_that_was_wrong_is_not_told_as_missing_too() {
    let line = |keys: &str| {
        let text = format!("\n[[sensor]]\nname = \"b\"\nuse = \"serial_line\"\nport = \"/dev/ttyUSB0\"\n{keys}\n");
        faults_with(&text)
    };
    let exactly_one = "exactly one of `match`, `csv` and `json` says where the numbers stand";
    assert_eq!(line(""), [exactly_one]);
    assert_eq!(line("json = { t = \"/t\" }\nmatch = \"(?<t>.)\""), [exactly_one]);
    let told = line("csv = { separator = \", \", columns = { t = 1 } }");
    assert_eq!(told, ["`csv`: expected one character, found a text"]);
    assert_eq!(line("match = \"(\"").len(), 1);
}

#[test]
fn keys_about_entries_do_nothing_where_none_is_published() {
    let keys = "confirm = \"stored\"\nstatus = \"health\"\nbacklog = { keep = \"1d\" }\nevery = \"30s\"\n";
    let told = warnings_with(&(output("a", "pin = 5\nfrom = \"switchesa.field1\"") + keys));
    assert_eq!(
        told,
        ["confirm", "status", "backlog", "every"]
            .map(|key| format!("channel `switchesa` carries commands only: `{key}` does nothing"))
    );
}

#[test]
fn a_single_bracket_is_told() {
    let told = messages("version = 1\n[sensor]\nname = \"a\"\nuse = \"nmea\"\nport = \"x\"", "fault");
    assert_eq!(told, ["there may be several: write `[[sensor]]`"]);
}

#[test]
fn a_file_that_is_no_map_is_refused_in_words() {
    let folder = folder();
    let path = folder.path().join("map.toml");
    assert!(matches!(load(&path), Err(LoadError::Unreadable { .. })));
    std::fs::write(&path, b"version = 1\nname = \"\xff\"").expect("a file");
    assert!(load(&path).expect_err("no text").to_string().contains(":2:9: fault: this is not UTF-8"));
    std::fs::write(&path, vec![b'#'; 2 << 20]).expect("a file");
    assert!(matches!(load(&path), Err(LoadError::Unreadable { .. })));
}

#[cfg(target_os = "linux")]
#[test]
fn a_pipe_in_the_place_of_a_file_is_refused_and_not_waited_for() {
    let folder = folder();
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("coreutils");
    assert!(made.success());
    assert!(matches!(load(&pipe), Err(LoadError::Unreadable { .. })));
    for map in [SMALL.replace("garden.txt", "pipe"), format!("{SMALL}\n[broker]\nca_file = \"pipe\"")] {
        let shown = parse(&map, &folder.path().join("map.toml")).expect_err("a pipe").to_string();
        assert!(shown.contains("no regular file"), "{shown}");
    }
}

#[test]
fn a_map_of_a_megabyte_is_told_about_before_anyone_gets_impatient() {
    for piece in ["=\n", "x", "= ", "a=1\n", "password =\n#\n#\n", "[[sensor]]\n", "[channel.a]\n", "[", "\"\n", "{a="]
    {
        let started = std::time::Instant::now();
        parse_anything(&piece.repeat((1 << 20) / piece.len()));
        // Quadratic in any part it would be minutes, if not hours.
        assert!(started.elapsed() < Duration::from_secs(60), "{piece}: {:?}", started.elapsed());
    }
}

fn parse_anything(text: &str) {
    let _ = parse(text, &PathBuf::from("nowhere/map.toml"));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        parse_anything(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn pieces_of_maps_never_panic(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "version = 1\n", "[", "]", "[[sensor]]\n", "[[output]]\n", "[channel.a]\n", "[device.b]\n", "[broker]\n", "=",
                "\"", "'''", "\n", "\r\n", "use = \"nmea\"\n", "to.latitude = ", "\"a.field1\"\n", "{", "}", ",", "password", "every",
                "20s", "id = 1\n", "field", ".", "filter = [", "é温", "\u{0}", "#", "name = 'x'\n", "pin = 17\n", "0x", "-1", "nan",
                "credentials = \"x\"\n", "backlog", "link_loss", "interlock = ['x']\n", "from = 'a.field1'\n",
            ]),
            0..40,
        ),
    ) {
        parse_anything(&pieces.concat());
    }

    #[test]
    fn a_map_cut_off_or_overwritten_anywhere_never_panics(at in 0..SMALL.len(), byte in 32u8..127) {
        parse_anything(&SMALL[..at]);
        let mut text = SMALL.as_bytes().to_vec();
        text[at] = byte;
        parse_anything(&String::from_utf8_lossy(&text));
    }
}

#[test]
fn clock_must_be_synchronised_unless_the_map_trusts_it_as_it_is() {
    let trust = |line: &str| {
        let checked = parse_small(|map| map.replace("version = 1", &format!("version = 1\n{line}")));
        checked.expect("a good map").settings.clock
    };
    assert_eq!(trust(""), ClockTrust::Synchronised);
    assert_eq!(trust("clock = \"synchronised\""), ClockTrust::Synchronised);
    assert_eq!(trust("clock = \"system\""), ClockTrust::System);
}

#[test]
fn clock_of_another_word_is_a_fault_with_a_suggestion() {
    let shown = |line: &str| match parse_small(|map| map.replace("version = 1", &format!("version = 1\n{line}"))) {
        Err(LoadError::Faults(shown)) => shown,
        other => panic!("{other:?}"),
    };
    let words = shown("clock = \"synchronized\"");
    assert!(words.contains("fault: `clock`: `synchronized` is not possible here"), "{words}");
    assert!(words.contains("did you mean `synchronised`?"), "{words}");
    assert!(shown("clok = \"system\"").contains("did you mean `clock`?"));
    assert!(shown("clock = true").contains("fault"));
}

#[test]
fn channels_share_their_licenses_year_as_the_map_plans_to_use_it() {
    let map = SMALL.replace(
        "id = 1\n",
        "id = 1\nevery = \"20s\"\n[channel.cellar]\nid = 2\nevery = \"1m\"\n[channel.spare]\nid = 3\n",
    );
    let map = map.replace("\"house.lat\"", "[\"house.lat\", \"cellar.lat\"]");
    let folder = folder();
    let settings = parse(&map, &folder.path().join("map.toml")).expect("a good map").settings;
    let share = |name: &str| {
        let channel = settings.channels.iter().find(|channel| channel.name == name).expect("it is in the map");
        channel.messages_a_year
    };
    assert_eq!([share("house"), share("cellar"), share("spare")], [2_250_000, 750_000, 0]);
}
