//! `gatepost sandbox` from what it prints: the map's lines, and the commands of other clients.

use std::fs;
use std::path::Path;

use nix::sys::signal::Signal;

use crate::program::{Program, gatepost};
use crate::{password_in, typed};

/// What a person adds to the printed lines: a sensor and an output.
const REST: &str = r#"
[[sensor]]
name = "machine"
use = "system"
to.uptime = "channel1.field1"

[[output]]
name = "lamp"
pin = 17
from = "channel3.field1"
"#;

fn sandbox(folder: &Path) -> Program {
    let mut command = gatepost();
    command.args(["sandbox", "serve", "--tcp=0", "--tls=0", "--ws=0", "--wss=0", "--dir"]).arg(folder);
    // Entries of the map's 20 s would make the test wait.
    command.args(["--channel=1:paid", "--channel=2:paid", "--channel=3:paid"]);
    let mut program = Program::start(command);
    program.wait_for("Log, until Ctrl-C:");
    program
}

#[test]
fn its_lines_make_a_map_and_its_commands_reach_that_map() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sandbox = sandbox(&folder.path().join("sandbox"));
    let welcome = sandbox.said();
    let printed = |words: &str| {
        let line = welcome.lines().find(|line| line.starts_with("  ") && line.contains(words));
        line.unwrap_or_else(|| panic!("no line with {words:?} in\n{welcome}")).to_owned()
    };

    let lines = welcome.lines().skip_while(|line| !line.contains("For a sensor map:")).skip(1);
    let lines: Vec<&str> = lines.take_while(|line| line.starts_with("  ") || line.is_empty()).collect();
    // What waits for 20 s is no good test.
    let map = format!("version = 1\n{}\n{REST}", lines.join("\n")).replace("\"20s\"", "\"2s\"\nlicense = \"paid\"");
    let path = folder.path().join("map.toml");
    fs::write(&path, map).expect("a file");
    let mut command = gatepost();
    command.args(["run", "--simulate", "--verbose", "--config"]).arg(&path);
    let mut daemon = Program::start(command);
    daemon.wait_for("link up");
    sandbox.wait_for("channel 1 stored entry 1");
    daemon.wait_for("stored as 1");

    let mut published = Program::start(typed(&printed("sandbox publish")));
    assert!(published.wait_for_end().success(), "{}", published.said());
    published.wait_for("channel 3: stored as entry 1");
    daemon.wait_for("output lamp: on (");

    let mut inputs = Program::start(typed(&format!("exec {}", printed("mosquitto_sub").replace("XDG", "env XDG"))));
    sandbox.wait_for("channels/3/subscribe");
    inputs.end_by(Signal::SIGTERM);
    let said =
        [sandbox.said(), sandbox.command_line(), daemon.said(), daemon.command_line(), published.said()].concat();
    for device in ["gatepost", "remote"] {
        let password = password_in(&folder.path().join("sandbox").join(format!("{device}_credentials.txt")));
        assert!(!said.contains(&password), "the password of {device} was told");
    }
    assert!(daemon.end_by(Signal::SIGTERM).0.success());
    assert!(sandbox.end_by(Signal::SIGINT).0.success());
}

/// A map for the service, whose credentials are not there.
const OF_THE_SERVICE: &str = r#"
version = 1
[device.pi]
credentials = "mqtt_credentials.txt"
[channel.room]
id = 1234567
every = "2s"
license = "paid"
[channel.switches]
id = 1234569
[[sensor]]
name = "air"
use = "bme280"
every = "1s"
to.temperature = "room.field1"
[[output]]
name = "lamp"
pin = 17
from = "switches.field1"
"#;

#[test]
fn map_for_the_service_runs_unchanged_against_a_look_alike_of_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, temporary) = (folder.path().join("map.toml"), folder.path().join("tmp"));
    fs::create_dir(&temporary).expect("made");
    fs::write(&path, OF_THE_SERVICE).expect("a file");
    let mut command = gatepost();
    command.args(["run", "--simulate", "--sandbox", "--verbose", "--config"]).arg(&path).env("TMPDIR", &temporary);
    let mut daemon = Program::start(command);
    daemon.wait_for("SIMULATED");
    daemon.wait_for("stored as 1");

    let said = daemon.said();
    let printed = said.lines().find_map(|line| Some(&line[line.find("gatepost sandbox publish")?..]));
    let printed = printed.unwrap_or_else(|| panic!("no command is told:\n{said}")).replace("NUMBER", "1234569");
    let mut published = Program::start(typed(&printed));
    assert!(published.wait_for_end().success(), "{}", published.said());
    daemon.wait_for("output lamp: on (");

    let more =
        "[channel.more]\nid = 1234570\n[[sensor]]\nname = \"pi\"\nuse = \"system\"\nto.load1 = \"more.field1\"\n";
    fs::write(&path, format!("{OF_THE_SERVICE}{more}")).expect("a file");
    daemon.signal(Signal::SIGHUP);
    daemon.wait_for("the look-alike was started without the channel more of the new map");

    assert!(daemon.end_by(Signal::SIGTERM).0.success());
    assert_eq!(fs::read_dir(&temporary).expect("there").count(), 0, "nothing is left behind");
}
