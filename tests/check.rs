//! `gatepost check` as a person meets it: the maps in `tests/maps` with the very text that it prints, and the maps
//! that are shipped.
//!
//! `BLESS=1 cargo test --test check` writes the expected texts anew; read the difference before committing it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use gatepost::config;
use gatepost::hal::sim::Sim;
use gatepost::sensor::{Bus, ReadingSender, Source};
use tempfile::TempDir;

/// The crate's root.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A folder with the credentials that the maps speak of, as only their owner may read them.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["mqtt_credentials", "second", "exposed"] {
        let path = folder.path().join(format!("{name}.txt"));
        fs::write(&path, format!("username = {name}\nclientId = {name}\npassword = sesame")).expect("a file");
        set_mode(&path, if name == "exposed" { 0o644 } else { 0o640 });
    }
    folder
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("one's own file");
}

#[cfg(not(unix))]
fn set_mode(_path: &Path, _mode: u32) {}

/// The maps in a folder of the repository, sorted.
fn maps(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).expect("the folder is part of the repository");
    let mut maps: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    maps.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    maps.sort();
    assert!(!maps.is_empty(), "no map in {folder}");
    maps
}

/// Exit code, standard output and standard error of `gatepost check` on a copy of a map beside its credentials.
fn check(map: &Path) -> (Option<i32>, String, String) {
    check_with(&[], map)
}

/// The same, with options.
fn check_with(options: &[&str], map: &Path) -> (Option<i32>, String, String) {
    let folder = folder();
    let name = map.file_name().expect("a file");
    let copy = folder.path().join(name);
    fs::copy(map, &copy).expect("the map can be read");
    set_mode(&copy, 0o644);
    let output = Command::new(env!("CARGO_BIN_EXE_gatepost"))
        .arg("check")
        .args(options)
        .arg(name)
        .current_dir(folder.path())
        .env_remove("CREDENTIALS_DIRECTORY")
        .output()
        .expect("the binary runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// The same for a text.
fn check_text(text: &str) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("map.toml");
    fs::write(&path, text).expect("a file");
    check(&path)
}

#[test]
fn maps_are_told_about_in_these_words() {
    let mut differing = Vec::new();
    for map in maps("tests/maps") {
        // Elsewhere files have no modes, and paths other separators.
        if cfg!(not(unix)) && map.file_stem().is_some_and(|stem| stem == "secrets") {
            continue;
        }
        let (code, out, err) = check(&map);
        let told = format!("exit code {}\n{out}{err}", code.expect("no signal"));
        assert!(!told.contains("sesame"), "{} shows a secret", map.display());
        let expected = map.with_extension("txt");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&expected, &told).expect("the repository can be written");
        }
        let expected = fs::read_to_string(&expected).unwrap_or_default().replace("\r\n", "\n");
        if told != expected {
            differing.push(format!("{}\n--- told ---\n{told}\n--- expected ---\n{expected}", map.display()));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n\n"));
}

/// Exit code and everything that `check` says to a map whose file of credentials holds these bytes.
fn check_credentials(content: &[u8]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let map = "version = 1\n[device.pi]\ncredentials = \"mqtt.txt\"\n[channel.house]\nid = 7\n[[sensor]]\nname = \"gps\"\n\
               use = \"nmea\"\nport = \"/dev/serial0\"\nto.latitude = \"house.lat\"\n";
    fs::write(folder.path().join("map.toml"), map).expect("a file");
    fs::write(folder.path().join("mqtt.txt"), content).expect("a file");
    set_mode(&folder.path().join("mqtt.txt"), 0o600);
    let output = Command::new(env!("CARGO_BIN_EXE_gatepost"))
        .args(["check", "map.toml"])
        .current_dir(folder.path())
        .env_remove("CREDENTIALS_DIRECTORY")
        .output()
        .expect("the binary runs");
    let text = String::from_utf8([output.stdout, output.stderr].concat()).expect("UTF-8");
    (output.status.code(), text)
}

#[test]
fn credentials_are_taken_as_meant_or_refused_with_line_and_remedy() {
    let good = "username = A\nclientId = 'A'\npassword = \"sesame+open\" // shown once\n";
    let header = "/* #define SECRET_MQTT_PASSWORD \"old\" */\n#define SECRET_MQTT_USERNAME \"A\"\n#define SECRET_MQTT_CLIENT_ID \
                  \"A\"\n#define SECRET_MQTT_PASSWORD \"sesame+open\"\n";
    for text in [good, header, &good.replace('\n', "\r")] {
        let (code, told) = check_credentials(text.as_bytes());
        assert!(code == Some(0) && told.contains("the map is valid"), "{told}");
    }
    let utf16: Vec<u8> = format!("\u{feff}{good}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let two = format!("{good}\n{}", good.replace('A', "B"));
    for (content, place, remedy) in [
        (good.replace("\"sesame+open\"", "<your password>"), "line 3 (password): this is a placeholder", "replace it"),
        (good.replace('\'', "’"), "line 2 (clientId): the value is in typographic quotes", "write it without quotes"),
        (
            good.replace("'A'", "'A"),
            "line 2 (clientId): the value has a quote at one end only",
            "put quotes at both ends",
        ),
        (good.replace("'A'", ""), "line 2 (clientId): there is no value", "write it behind the name"),
        (
            format!("/*\n{good}*/"),
            " holds no username, no clientId and no password",
            "what is in a comment does not count",
        ),
        (two, "lines 1 and 5 (username): there are two different values", "two MQTT devices need two files"),
    ]
    .map(|(content, place, remedy)| (content.into_bytes(), place, remedy))
    .into_iter()
    .chain([(utf16, "line 1: the file is saved as UTF-16", "save it as UTF-8")])
    {
        let (code, told) = check_credentials(&content);
        let help = told.lines().find_map(|line| line.strip_prefix("  help: ")).unwrap_or_default();
        assert!(
            code == Some(78) && told.contains(place) && help.contains(remedy),
            "no {place:?} and {remedy:?} in\n{told}"
        );
        assert!(told.contains("map.toml:3:15: fault: mqtt.txt") && !told.contains("sesame"), "{told}");
    }
}

#[test]
fn a_quiet_check_prints_warnings_and_faults_and_no_plan() {
    let quietly = |map: &str| check_with(&["--quiet"], &root().join("tests/maps").join(map));
    assert_eq!(quietly("good.toml"), (Some(0), String::new(), String::new()));
    let (code, out, _) = quietly("warnings.toml");
    let (_, whole, _) = check(&root().join("tests/maps/warnings.toml"));
    assert_eq!(code, Some(0));
    assert!(out.contains(": warning: ") && out.trim_end().ends_with("warnings"), "{out}");
    assert!(whole.starts_with(out.trim_end()) && whole.len() > out.len(), "{out}");
    assert_eq!(quietly("twelve-faults.toml"), check(&root().join("tests/maps/twelve-faults.toml")));
}

#[test]
fn twelve_faults_are_told_in_one_run() {
    let (code, _, err) = check(&root().join("tests/maps/twelve-faults.toml"));
    assert_eq!(code, Some(78));
    assert_eq!(err.lines().filter(|line| line.contains(": fault: ")).count(), 12, "{err}");
    assert_eq!(err.lines().last(), Some("12 faults"));
}

#[test]
fn every_shipped_map_is_good() {
    for map in maps("config").into_iter().chain(maps("config/examples")) {
        let (code, out, err) = check(&map);
        assert_eq!(code, Some(0), "{}:\n{err}", map.display());
        assert!(out.ends_with("the map is valid\n"), "{}:\n{out}", map.display());
        let is_bare = map.ends_with("config/gatepost.toml");
        assert_eq!(out.contains(": warning: "), is_bare, "{}:\n{out}", map.display());
    }
}

#[test]
fn every_example_measures_on_simulated_hardware() {
    for path in maps("config/examples") {
        let map = config::load_without_credentials(&path).unwrap_or_else(|fault| panic!("{fault}")).settings;
        let sim = Sim::default();
        for sensor in &map.sensors {
            let (device, name) = (sensor.kind.device(), format!("{} of {}", sensor.name, path.display()));
            // Messages come from a broker, and formulas have no part.
            if matches!(device.bus(), Bus::Broker | Bus::Computed) {
                continue;
            }
            device.simulate(&sim);
            match device.open(&sim.hal(), ReadingSender::new(|_, _, _| {})) {
                Ok(Source::Polled(mut sensor)) => {
                    let measured = sensor.measure_at_once().unwrap_or_else(|fault| panic!("{name}: {fault}"));
                    assert_eq!(measured.len(), device.quantities().len(), "{name}");
                }
                Ok(Source::Stream(..)) => {}
                Err(fault) => panic!("{name}: {fault}"),
            }
        }
    }
}

#[test]
fn the_default_map_is_good_with_every_example_uncommented() {
    let text = fs::read_to_string(root().join("config/gatepost.toml")).expect("the map can be read");
    let other_ways = [
        "client_id",
        "username",
        "password",
        "ca_file",
        "hosts",
        "proxy",
        "csv",
        "json",
        "host = \"192",
        "tcp_port",
        "names = ",
        "path = \"/house\"",
    ];
    let lines = text.lines().map(|line| match line.strip_prefix("# ") {
        // Of several ways to say one thing the first, and no file that only its owner has.
        Some(key) if other_ways.iter().any(|one| key.starts_with(one)) => "",
        Some(key) => key,
        None => line,
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    let (code, out, err) = check_text(&text);
    assert_eq!(code, Some(0), "{err}");
    assert!(!out.contains(": warning: "), "{out}");
}

#[test]
fn every_map_of_the_pages_is_good() {
    let entries = fs::read_dir(root().join("docs")).expect("the folder is part of the repository");
    let pages = entries.map(|entry| entry.expect("an entry").path()).chain([root().join("README.md")]);
    let mut maps = 0;
    for page in pages.filter(|path| path.extension().is_some_and(|extension| extension == "md")) {
        let text = fs::read_to_string(&page).expect("a page");
        for block in toml_blocks(&text) {
            let is_part = ["[[output]]", "[[sensor]]"].iter().any(|header| block.starts_with(header));
            let map = match block {
                _ if block.lines().any(|line| line.trim() == "version = 1") => block.to_owned(),
                _ if is_part => completed(block),
                _ => continue,
            };
            let (code, _, err) = check_text(&map);
            assert_eq!(code, Some(0), "{}:\n{err}\nof\n{map}", page.display());
            maps += 1;
        }
    }
    assert!(maps >= 4, "only {maps} maps were found: are the blocks still marked as toml?");
}

/// What stands between the fences of a page's TOML.
fn toml_blocks(page: &str) -> impl Iterator<Item = &str> {
    page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap_or(rest))
}

/// A map around some sensors or outputs of a page: the channels that they name, and an output to be interlocked with.
fn completed(block: &str) -> String {
    let column = |text: &str| text.split_once(".field").map(|(channel, _)| channel.to_owned());
    let channels: BTreeSet<String> = block.split('"').filter_map(column).chain(["switches".to_owned()]).collect();
    let channels = (1..).zip(channels).map(|(id, channel)| format!("[channel.{channel}]\nid = {id}\n"));
    let channels: String = channels.collect();
    let heater = "[[output]]\nname = 'heater'\npin = 5\nfrom = 'switches.field8'\n";
    format!("version = 1\n[device.garden]\ncredentials = 'mqtt_credentials.txt'\n{channels}{heater}{block}")
}

#[test]
fn a_map_that_is_not_there_is_one_line() {
    let (code, err) = {
        let output = Command::new(env!("CARGO_BIN_EXE_gatepost")).args(["check", "nowhere.toml"]).output();
        let output = output.expect("the binary runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(code, Some(1));
    assert_eq!(err.lines().count(), 1, "{err}");
    assert!(err.contains("nowhere.toml"), "{err}");
}
