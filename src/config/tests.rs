//! Rules of the map, one a test. How faults are shown is in `tests/maps`.

mod broker;
mod bus_time;
mod channels;
mod devices;
mod formulas;
mod outputs;
mod sensors;
mod spool;
mod text;
mod users;

use tempfile::TempDir;

use super::*;

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
fn clock_must_be_synchronised_unless_the_map_trusts_it_as_it_is() {
    let trust = |line: &str| {
        let checked = parse_small(|map| map.replace("version = 1", &format!("version = 1\n{line}")));
        checked.expect("a good map").settings.clock
    };
    assert_eq!(trust(""), ClockTrust::Synchronised);
    assert_eq!(trust("clock = \"synchronised\""), ClockTrust::Synchronised);
    assert_eq!(trust("clock = \"system\""), ClockTrust::System);
}
