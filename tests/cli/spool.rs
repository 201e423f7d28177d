//! What it shows of the entries that wait, writes of them, and drops.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use gatepost::entry::{Cell, Cells, ChannelId, Column, Decimals, Form, Reduce, UntimedEntry};
use gatepost::spool::{Backlog, Durability, Policy, Spool};
use gatepost::store::storage::Folder;
use gatepost::time::{BootId, Mono, Now, Utc};
use tempfile::TempDir;

/// 2026-11-22T08:00:00Z.
const EIGHT: i64 = 1_795_334_400;

const MAP: &str = r#"
version = 1
[device.d]
client_id = "c"
username = "c"
password = "p"
[channel.house]
id = 7
[channel.cellar]
id = 8
[[sensor]]
name = "gps"
use = "nmea"
port = "/dev/serial0"
to.latitude = "house.lat"
to.longitude = "cellar.long"
"#;

/// The directories of a daemon that has stopped.
struct Stopped(TempDir);

impl Stopped {
    /// One that left entries at 08:00:20 and so on of these channels.
    fn with(channels: &[u64], entries: u32) -> Self {
        let stopped = Self(tempfile::tempdir().expect("a folder"));
        let map = stopped.path("map.toml");
        fs::write(&map, MAP).expect("a file");
        fs::set_permissions(&map, fs::Permissions::from_mode(0o600)).expect("one's own file");
        let mut spool = stopped.spool();
        spool.synchronised(at(0));
        for second in (1..=entries).map(|place| place * 20) {
            for channel in channels {
                spool.push(at(second), vec![draft(*channel, second)]);
            }
        }
        stopped
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn spool(&self) -> Spool {
        let fast = Arc::new(Folder::new(self.path("run")));
        let channels = [(ChannelId(7), Backlog::default()), (ChannelId(8), Backlog::default())];
        let policy = Policy { durability: Durability::Always, ..Policy::default() };
        let disk = Folder::new(self.path("state/spool"));
        Spool::open(channels, policy, (BootId(1), at(0)), fast, &disk, Box::new(|| {})).0
    }

    /// Puts what waits on the disk.
    fn write(&self) {
        let (mut spool, disk) = (self.spool(), Folder::new(self.path("state/spool")));
        while let Some(job) = spool.job(at(100_000)) {
            let outcome = job.perform(&disk);
            spool.done(at(100_000), outcome);
        }
    }

    /// Exit code, standard output and standard error of `gatepost spool …`.
    fn ask(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gatepost"));
        command.arg("spool").args(arguments).arg("--config").arg(self.path("map.toml"));
        command.arg("--runtime-dir").arg(self.path("run")).arg("--state-dir").arg(self.path("state"));
        let output = command.stdin(Stdio::null()).output().expect("the binary runs");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        (output.status.code(), text(output.stdout), text(output.stderr))
    }
}

fn at(second: u32) -> Now {
    let since = Duration::from_secs(second.into());
    Now { mono: Mono::new(since), utc: Utc::from_seconds(EIGHT) + since }
}

fn draft(channel: u64, second: u32) -> UntimedEntry {
    let mut cells = Cells::default();
    let cell = Cell::new(f64::from(second) / 8.0, 4, Reduce::Mean);
    cells[Column::Field(1).index()] = Some(cell);
    cells[Column::Latitude.index()] = Some(Cell { value: 48.5, decimals: Some(Decimals::Exactly(4)), ..cell });
    let status = (second == 40).then(|| "air: no answer, tank: \"85\"".to_owned());
    UntimedEntry { channel: ChannelId(channel), end: at(second).mono, cells, status, form: Form::Feed }
}

#[test]
fn list_tells_of_each_channel_by_its_name_what_waits() {
    let stopped = Stopped::with(&[7, 9], 3);
    let (code, out, err) = stopped.ask(&["list"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let lines: Vec<_> = out.lines().collect();
    let times = "from 2026-11-22T08:00:20Z to 2026-11-22T08:01:00Z";
    assert!(lines[0].starts_with("house (7): 3 entries wait (") && lines[0].ends_with(times), "{out}");
    assert!(lines[1].starts_with("channel 9: 3 entries wait (") && lines[1].ends_with(times), "{out}");
    stopped.write();
    assert_eq!(stopped.ask(&["list"]).1, out, "it does not matter which directory has them");
}

#[test]
fn list_shows_each_entry_with_the_values_that_will_be_published() {
    let stopped = Stopped::with(&[7], 2);
    let (_, out, _) = stopped.ask(&["list", "--entries"]);
    let expected = "house (7)  2026-11-22T08:00:20Z  waits     field1=2.5  lat=48.5000\n\
                    house (7)  2026-11-22T08:00:40Z  waits     field1=5  lat=48.5000  status=air: no answer, tank: \"85\"\n";
    assert_eq!(out, expected);
    let (_, out, _) = stopped.ask(&["list", "--entries", "--json"]);
    let first: serde_json::Value = serde_json::from_str(out.lines().next().expect("two")).expect("JSON");
    assert_eq!((&first["name"], &first["created_at"]), (&"house".into(), &"2026-11-22T08:00:20Z".into()));
    assert_eq!(first["values"]["lat"], "48.5000");
}

#[test]
fn list_gives_programs_the_same_in_json() {
    let stopped = Stopped::with(&[7, 8], 2);
    let (_, out, _) = stopped.ask(&["list", "--json", "--channel", "cellar"]);
    let told: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    let channel = &told["channels"][0];
    assert_eq!((&channel["id"], &channel["waiting"], &channel["unconfirmed"]), (&8.into(), &2.into(), &0.into()));
    assert_eq!(channel["newest"], "2026-11-22T08:00:40Z");
    assert!(told["channels"][1].is_null() && told["unreadable"].as_array().is_some_and(Vec::is_empty));
}

#[test]
fn empty_spool_and_damaged_files_are_told_in_words() {
    let stopped = Stopped::with(&[], 0);
    let (code, out, _) = stopped.ask(&["list"]);
    assert!(code == Some(0) && out.starts_with("no waiting entries in "), "{out}");
    let stopped = Stopped::with(&[7], 20);
    stopped.write();
    fs::write(stopped.path("run/spool.log"), b"").expect("cut");
    let segment =
        fs::read_dir(stopped.path("state/spool")).expect("a folder").next().expect("one").expect("a file").path();
    let mut bytes = fs::read(&segment).expect("read");
    bytes[100] ^= 1;
    fs::write(&segment, bytes).expect("written");
    fs::write(segment.with_extension("log.bad"), b"x").expect("written");
    let (code, out, _) = stopped.ask(&["list"]);
    assert_eq!(code, Some(0));
    assert!(
        out.contains("19 entries wait") && out.contains(" is damaged: ") && out.contains(".log.bad: a copy"),
        "{out}"
    );
}

#[test]
fn export_is_what_the_import_page_takes() {
    let stopped = Stopped::with(&[7], 2);
    let expected = "created_at,field1,field2,field3,field4,field5,field6,field7,field8,latitude,longitude,elevation,status\r\n\
                    2026-11-22T08:00:20Z,2.5,,,,,,,,48.5000,,,\r\n\
                    2026-11-22T08:00:40Z,5,,,,,,,,48.5000,,,\"air: no answer, tank: \"\"85\"\"\"\r\n";
    let (code, out, err) = stopped.ask(&["export"]);
    assert_eq!((code, out.as_str()), (Some(0), expected));
    assert!(err.starts_with("wrote 2 entries of house (7)\n"), "{err}");
    let file = stopped.path("house.csv").display().to_string();
    assert_eq!(stopped.ask(&["export", "--channel", "house", "--output", &file]).0, Some(0));
    assert_eq!(fs::read_to_string(&file).expect("it was made"), expected);
    let (code, _, err) = stopped.ask(&["export", "--output", &file]);
    assert!(code == Some(1) && err.contains("house.csv"), "what is there is not overwritten: {err}");
    let (code, out, err) = stopped.ask(&["export", "--unconfirmed"]);
    assert!(code == Some(0) && out.is_empty() && err.starts_with("no waiting entries"), "{out}{err}");
}

#[test]
fn export_of_several_channels_asks_which() {
    let stopped = Stopped::with(&[7, 8], 1);
    let (code, out, err) = stopped.ask(&["export"]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("--channel 7 for house (7), --channel 8 for cellar (8)"), "{err}");
    let (code, _, err) = stopped.ask(&["export", "--channel", "attic"]);
    assert!(code == Some(1) && err.contains("no channel `attic`"), "{err}");
}

#[test]
fn drop_takes_one_channel_and_tells_how_many() {
    let stopped = Stopped::with(&[7, 8], 5);
    let (code, _, err) = stopped.ask(&["drop", "--channel", "house"]);
    assert!(code == Some(1) && err.contains("--yes"), "{err}");
    let (code, out, _) = stopped.ask(&["drop", "--channel", "house", "--yes"]);
    assert_eq!((code, out.as_str()), (Some(0), "dropped 5 entries of house (7)\n"));
    let (_, out, _) = stopped.ask(&["list"]);
    assert!(out.starts_with("cellar (8): 5 entries wait") && out.lines().count() == 1, "{out}");
    assert_eq!(stopped.spool().waiting(ChannelId(7)), 0);
    let (code, out, _) = stopped.ask(&["drop", "--channel", "7"]);
    assert_eq!((code, out.as_str()), (Some(0), "house (7) has no entry to drop\n"));
}

#[test]
fn drop_refuses_while_a_daemon_has_the_directory() {
    let stopped = Stopped::with(&[7], 1);
    Folder::new(stopped.path("run")).lock().expect("nobody has it");
    let (code, _, err) = stopped.ask(&["drop", "--channel", "7", "--yes"]);
    assert!(code == Some(1) && err.contains("stop it first: kill "), "{err}");
    assert_eq!(stopped.ask(&["list"]).0, Some(0), "to look is allowed");
    let (_, _, err) = stopped.ask(&["export", "--channel", "7", "--output", "-"]);
    let run = stopped.path("run");
    assert!(err.contains(&format!("spool drop --channel 7 --runtime-dir {}", run.display())), "{err}");
}
