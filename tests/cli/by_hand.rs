//! A daemon that was started by hand: who finds it, and its terminal.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::program::{Program, SOON, gatepost, tool};

const MAP: &str = r#"
version = 1
[device.pi]
credentials = "mqtt_credentials.txt"
[channel.room]
id = 1234567
every = "2s"
license = "paid"
[[sensor]]
name = "air"
use = "bme280"
every = "1s"
to.temperature = "room.field1"
"#;

fn until<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let deadline = Instant::now() + SOON;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn simulated_run_is_found_by_status_metrics_and_outputs() {
    let folder = tempfile::tempdir().expect("a folder");
    let map = folder.path().join("map.toml");
    fs::write(&map, MAP).expect("a file");
    let ask = |arguments: &[&str]| {
        let mut command = gatepost();
        command.args(arguments).env("XDG_RUNTIME_DIR", folder.path());
        let mut program = Program::start(command);
        (program.wait_for_end().code(), program.said())
    };
    let mut command = gatepost();
    command.args(["run", "--simulate", "--sandbox", "--config"]).arg(&map).env("XDG_RUNTIME_DIR", folder.path());
    let mut daemon = Program::start(command);
    daemon.wait_for("stored as 1 after");

    let (code, said) = ask(&["status"]);
    assert!(code == Some(0) && said.contains("SIMULATED") && said.contains("temperature"), "{said}");
    assert!(ask(&["metrics"]).1.contains("gatepost_simulated 1"));
    let (code, said) = ask(&["outputs"]);
    assert!(code == Some(0) && said.contains("the running daemon is simulated"), "{said}");

    assert!(daemon.end_by(Signal::SIGTERM).0.success());
    assert_eq!(ask(&["status"]).0, Some(3));
    assert!(!folder.path().join("gatepost-by-hand").exists(), "nothing is left behind");
}

/// The process that another one has started.
fn child_of(parent: u32) -> Option<Pid> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok().map(Pid::from_raw)
}

#[test]
fn hang_up_reloads_until_the_terminal_is_closed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (map, log) = (folder.path().join("map.toml"), folder.path().join("log"));
    fs::write(&map, MAP).expect("a file");
    let said = |words: &str| fs::read_to_string(&log).is_ok_and(|log| log.contains(words)).then_some(());
    let line = format!(
        "exec {} run --simulate --sandbox --config {} 2>{}",
        env!("CARGO_BIN_EXE_gatepost"),
        map.display(),
        log.display()
    );
    let mut command = tool("script", "bsdutils");
    command.args(["-qec", &line, "/dev/null"]).env("XDG_RUNTIME_DIR", folder.path());
    let terminal = Program::start(command);
    until("it runs", || said("running"));
    let daemon = child_of(terminal.id()).expect("script has started it");
    kill(daemon, Signal::SIGHUP).expect("it runs");
    until("it reloads", || said("map reloaded: no changes"));

    terminal.signal(Signal::SIGKILL);
    until("it says why it stops", || said("the terminal was closed"));
    until("it ends", || (!Path::new(&format!("/proc/{daemon}")).exists()).then_some(()));
    assert!(said("stopped: ").is_some(), "in order");
}
