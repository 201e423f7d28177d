//! Whatever panics, wherever it does: the outputs reach their stop levels, and the daemon ends with the reason.

use std::io;
use std::sync::Mutex;
use std::time::Duration;

use super::*;
use crate::config::{self, fixture};
use crate::hal::LineId;
use crate::hal::sim::Sim;
use crate::store::storage::Storage;
use crate::store::storage::faulty::Faulty;

/// Nobody listens where its broker is.
const MAP: &str = r#"
license = "paid"
every = "1s"
[broker]
host = "localhost"
port = 1
transport = "tcp"
allow_plaintext = true
[channel.switches]
id = 9
[[sensor]]
name = "machine"
use = "system"
every = "1s"
to.uptime = "house.field1"
[[sensor]]
name = "rain"
use = "counter"
pin = 22
every = "1s"
to.total = "house.field2"
[[output]]
name = "pump"
pin = 17
from = "switches.field1"
start = "on"
[[output]]
name = "vent"
pin = 23
from = "switches.field2"
start = "on"
report = "house.field3"
stop = "on"
"#;

/// A deadline that only a defect reaches.
const SOON: Duration = Duration::from_secs(60);

/// What panics.
type Trap = Arc<Mutex<Option<&'static str>>>;

/// Panics once, or each time, where it is set.
fn step_on(trap: &Trap, place: &str) {
    let set = *trap.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    assert!(set != Some(place), "on purpose: {place}");
}

/// A folder whose changes panic when told to.
struct Panicky {
    disk: Faulty,
    name: &'static str,
    trap: Trap,
}

impl Panicky {
    fn step(&self, call: &str, file: &str) {
        step_on(&self.trap, &format!("{} {call} {file}", self.name));
    }
}

impl Storage for Panicky {
    fn list(&self) -> io::Result<Vec<String>> {
        self.step("list", "");
        self.disk.list()
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.step("read", name);
        self.disk.read(name)
    }

    fn append(&self, name: &str, whole: u64, bytes: &[u8]) -> io::Result<()> {
        self.step("append", name);
        self.disk.append(name, whole, bytes)
    }

    fn extend(&self, name: &str, whole: u64, bytes: &[u8]) -> io::Result<()> {
        self.step("extend", "");
        self.disk.extend(name, whole, bytes)
    }

    fn replace(&self, name: &str, bytes: &[u8], durable: bool) -> io::Result<()> {
        self.step("replace", name);
        self.disk.replace(name, bytes, durable)
    }

    fn truncate(&self, name: &str, length: u64) -> io::Result<()> {
        self.disk.truncate(name, length)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }
}

/// What an event is called here.
fn place(event: &Event<'_>) -> &'static str {
    match event {
        Event::Map(..) => "map",
        Event::Started => "started",
        Event::Reading(_) => "reading",
        Event::Closed { .. } => "closed",
        Event::Driven { .. } => "driven",
        Event::Found(_) => "found",
        Event::Uplink(..) => "uplink",
        Event::Reloading => "reloading",
        Event::Reloaded(_) => "reloaded",
        Event::Stopping => "stopping",
        Event::Stopped { .. } => "stopped",
        _ => "something else",
    }
}

/// Runs a daemon in which this panics: from the beginning, or once it runs. Returns why it ended, and its pins.
async fn run_into(
    trap_at: &'static str,
    from_the_beginning: bool,
    stops: bool,
) -> (Result<(), DaemonError>, [Option<bool>; 2]) {
    let trap: Trap = Arc::new(Mutex::new(from_the_beginning.then_some(trap_at)));
    let settings = fixture::settings(MAP);
    let sim = Sim::new(None).expect("no folder");
    for sensor in &settings.sensors {
        sensor.kind.device().simulate(&sim);
    }
    let folder = |name| Arc::new(Panicky { disk: Faulty::default(), name, trap: Arc::clone(&trap) });
    let file = tempfile::tempdir().expect("a folder");
    let path = file.path().join("map.toml");
    std::fs::write(&path, fixture::map(MAP)).expect("written");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("one's own file");
    }
    let bell = Arc::new(Notify::new());
    let (seen, heard) = (Arc::clone(&trap), Arc::new(Notify::new()));
    let running = Arc::clone(&heard);
    let daemon = Daemon {
        settings,
        hal: sim.hal(),
        folders: Some(Folders { runtime: folder("runtime"), state: folder("state"), was_used: false }),
        socket: None,
        observer: Arc::new(move |event| {
            step_on(&seen, place(event));
            if let Event::Closed { .. } = event {
                running.notify_one();
            }
        }),
        tuning: Tuning::default(),
        reload: Some(Reload { read: Arc::new(move || config::load(&path)), bell: Arc::clone(&bell) }),
    };
    let stop = async {
        if !from_the_beginning {
            heard.notified().await;
            *trap.lock().expect("nobody panics under it") = Some(trap_at);
            bell.notify_one();
        }
        if !stops {
            std::future::pending::<()>().await;
        }
    };
    let ended = timeout(SOON, daemon.run(stop)).await.unwrap_or_else(|_| panic!("{trap_at}: it does not end"));
    (ended, [17, 23].map(|pin| sim.pin(LineId::header(pin))))
}

#[tokio::test]
async fn daemon_stops_in_order_and_its_outputs_are_safe_whatever_panics() {
    let at_the_start = [
        "map",
        "driven",
        "found",
        "started",
        "uplink",
        "runtime read state",
        "runtime read spool.log",
        "state list ",
        "runtime read slots",
    ];
    let running = ["reading", "closed", "reloading", "reloaded", "runtime append spool.log", "runtime replace slots"];
    let at_the_stop = [
        "stopping",
        "driven",
        "stopped",
        "runtime replace state",
        "runtime append spool.log",
        "state extend ",
        "state replace state",
    ];
    let start = at_the_start.map(|place| (place, true, false));
    let run = running.map(|place| (place, false, false));
    let stop = at_the_stop.map(|place| (place, false, true));
    let cases = start.into_iter().chain(run).chain(stop).map(|(place, begins, stops)| async move {
        let (ended, pins) = run_into(place, begins, stops).await;
        (place, ended, pins)
    });
    let mut all = tokio::task::JoinSet::new();
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            for case in cases {
                all.spawn_local(case);
            }
            while let Some(done) = all.join_next().await {
                let (place, ended, pins) = done.expect("the daemon catches what panics");
                assert!(matches!(pins, [Some(false), Some(true)]), "{place}: {pins:?}");
                assert!(ended.is_err(), "{place}: it ends as if all were well");
            }
        })
        .await;
}
