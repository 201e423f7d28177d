//! One daemon with its map, its network and its service, to which one kind of fault happens again and again.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use tempfile::TempDir;
use thingspeak_sandbox::Transport;

use crate::Soak;
use crate::daemon::{Daemon, Usage};
use crate::faults::{Fault, Plan};
use crate::link::Link;
use crate::network::{self, Network};
use crate::program::tool;
use crate::readings::Readings;
use crate::report::Figures;
use crate::service::Service;

/// Slots, in seconds. Shorter ones leave so little of the license that the backlog of a soak takes longer than the soak.
const EVERY: (u32, u32) = (3, 5);
/// How often a fault is played at the least.
const TIMES: u32 = 10;
/// A daemon that ends by itself so often is not started again.
const ENDS: u32 = 5;
/// How often whatever is waited for is looked at.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(50);
/// What a daemon is given to settle before it is measured what it takes.
const SETTLES: Duration = Duration::from_secs(10);
/// Times between two faults, in seconds: the shortest, and the longest in a short run and in a long one.
const PAUSE: (u64, u64, u64) = (3, 8, 90);
/// So many faults in a run with pauses of mean length.
const FAULTS_IN_A_RUN: u64 = 30;

/// Three numbers of an entry: how many readings it holds, the first of them and the last.
const MAP: &str = r#"
version = 1

[broker]
host = "{host}"
port = {port}
transport = "{transport}"
{plaintext}

[spool]
write_after = "1s"
group_every = "1s"

[device.soak]
credentials = "credentials.txt"

[channel.house]
id = 1
license = "paid"
every = "{every}s"

[channel.switches]
id = 2
license = "paid"

[channel.bells]
id = 3
license = "paid"

[[sensor]]
name = "tank"
use = "file"
path = "tank"
every = "1s"
to.value = [
    { field = "house.field1", reduce = "count" },
    { field = "house.field2", reduce = "first" },
    { field = "house.field3", reduce = "last" },
]

[[output]]
name = "lamp"
pwm = 0
from = "switches.field1"
accept_age = "{accept_age}"

[[output]]
name = "bell"
pin = 17
from = "bells.field1"
"#;

/// A daemon, and all that is around it.
pub(crate) struct Lane {
    pub(crate) name: &'static str,
    program: PathBuf,
    /// What faults and the pauses between them are made of.
    pub(crate) chance: Rng,
    /// What commands are made of: how many there are depends on this machine, and the faults must not.
    pub(crate) command_chance: Rng,
    pub(crate) service: Service,
    pub(crate) network: Network,
    pub(crate) readings: Readings,
    pub(crate) figures: Figures,
    /// Seconds of a slot.
    pub(crate) every: u32,
    /// Where this process finds the state directory.
    pub(crate) state: PathBuf,
    pub(crate) link: Link,
    /// The last command's number.
    pub(crate) commands: u32,
    /// It makes no sense to go on.
    pub(crate) given_up: bool,
    daemon: Option<Daemon>,
    folder: TempDir,
    plan: Plan,
    began: Instant,
    ends: u32,
}

impl Lane {
    /// Everything but the daemon.
    fn prepare(fault: &Fault, number: u8, soak: &Soak) -> Self {
        let Soak { program, seed, outside, .. } = soak;
        // Each fault has chances of its own, so that it can be played alone.
        let mut chance = Rng::with_seed(seed.wrapping_mul(256).wrapping_add(number.into()));
        let folder = tempfile::Builder::new().prefix(&format!("soak-{}-", fault.name)).tempdir().expect("a folder");
        let network = outside.plug(number);
        let service = Service::start(outside, number, fault.name, fault.plan.transport);
        let every = chance.u32(EVERY.0..=EVERY.1);
        let path = |name: &str| folder.path().join(name);
        for made in ["run", "state"] {
            fs::create_dir(path(made)).expect("a new folder");
        }
        let state = match fault.plan.disk {
            Some(kibibytes) => outside.mount_memory(&path("state"), kibibytes),
            None => path("state"),
        };
        let plaintext =
            if fault.plan.transport == Transport::Wss { "ca_file = \"ca.pem\"" } else { "allow_plaintext = true" };
        let map = MAP
            .replace("{host}", &network::host(fault.name))
            .replace("{port}", &service.port.to_string())
            .replace("{transport}", &fault.plan.transport.to_string())
            .replace("{plaintext}", plaintext)
            .replace("{every}", &every.to_string())
            .replace("{accept_age}", fault.plan.accept_age);
        write(&path("map.toml"), &map);
        write(&path("ca.pem"), &service.sandbox.ca_pem());
        write(&path("credentials.txt"), &service.device.credentials_text());
        Self {
            name: fault.name,
            program: program.clone(),
            command_chance: chance.fork(),
            chance,
            service,
            network,
            readings: Readings::of(&path("tank")),
            figures: Figures::of(fault),
            every,
            state,
            link: Link::default(),
            commands: 0,
            given_up: false,
            daemon: None,
            folder,
            plan: fault.plan,
            began: Instant::now(),
            ends: 0,
        }
    }

    /// Plays a fault for so many minutes, and often enough. Returns what came out.
    pub(crate) fn run(fault: &Fault, number: u8, soak: &Soak) -> Figures {
        let mut lane = Self::prepare(fault, number, soak);
        let minutes = soak.minutes;
        let longest = (minutes * 60 * 2 / FAULTS_IN_A_RUN).clamp(PAUSE.1, PAUSE.2);
        lane.start();
        lane.comes_back();
        lane.live(SETTLES);
        lane.figures.begin = lane.usage();
        while !lane.given_up && (lane.figures.times < TIMES || lane.began.elapsed().as_secs() < minutes * 60) {
            let pause = lane.chance.u64(PAUSE.0..=longest);
            lane.live(Duration::from_secs(pause));
            (fault.play)(&mut lane);
        }
        lane.close();
        if lane.figures.has_failed() {
            let Self { figures, folder, .. } = lane;
            let kept = folder.keep();
            return figures.kept_in(&kept);
        }
        lane.figures
    }

    /// A file or directory of the daemon.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Says what is played.
    pub(crate) fn tell(&self, words: &str) {
        let Self { name, figures, began, .. } = self;
        println!("{:>5} s  {name:<8} {:>3}  {words}", began.elapsed().as_secs(), figures.times);
    }

    /// Notes what must not be.
    pub(crate) fn fails(&mut self, words: String) {
        self.tell(&format!("FAILED: {words}"));
        self.figures.failures.push(words);
    }

    /// Starts the daemon.
    pub(crate) fn start(&mut self) {
        // However the soak ends, it leaves no daemon behind.
        let mut command = tool("setpriv", "util-linux");
        command.args(["--pdeathsig", "KILL"]).arg(&self.program).args([
            "run",
            "--verbose",
            "--simulate",
            "--publish-simulated",
        ]);
        command.arg("--config").arg(self.path("map.toml")).arg("--pins").arg(self.path("pins"));
        command.arg("--runtime-dir").arg(self.path("run")).arg("--state-dir").arg(self.path("state"));
        if self.plan.own_clock {
            command.env("LD_PRELOAD", "/usr/$LIB/faketime/libfaketimeMT.so.1");
            command.env("FAKETIME_TIMESTAMP_FILE", self.path("clock"));
            // The time is looked up at each call, and only that of the wall clock is another one.
            command.envs([("FAKETIME_NO_CACHE", "1"), ("DONT_FAKE_MONOTONIC", "1"), ("NO_FAKE_STAT", "1")]);
            self.set_ahead(0);
        }
        self.readings.starts();
        self.daemon = Some(Daemon::start(self.network.enter(&command), &self.log()));
    }

    /// Kills the daemon with -9.
    pub(crate) fn kill(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill();
        }
        self.readings.was_killed();
        self.figures.restarts += 1;
    }

    /// Stops the daemon in order.
    pub(crate) fn stop(&mut self) {
        self.figures.restarts += 1;
        if let Some(Err(words)) = self.daemon.take().map(|mut daemon| daemon.stop()) {
            self.fails(words);
        }
    }

    /// Whether there is a daemon.
    pub(crate) fn runs(&self) -> bool {
        self.daemon.is_some()
    }

    /// What the daemon takes now.
    pub(crate) fn usage(&self) -> Usage {
        self.daemon.as_ref().map(Daemon::usage).unwrap_or_default()
    }

    /// Sets the daemon's wall clock this far ahead of the machine's, or behind it.
    pub(crate) fn set_ahead(&self, seconds: i64) {
        write(&self.path("clock"), &format!("{seconds:+}"));
    }

    /// Whether the daemon's clock is not this machine's.
    pub(crate) fn has_own_clock(&self) -> bool {
        self.plan.own_clock
    }

    /// The daemon's log.
    pub(crate) fn log(&self) -> PathBuf {
        self.path("log")
    }

    /// Lets this time pass. A daemon that ends by itself has failed, and is started again.
    pub(crate) fn wait(&mut self, span: Duration) {
        let until = Instant::now() + span;
        loop {
            if let Some(words) = self.daemon.as_mut().and_then(Daemon::ended) {
                self.ended_by_itself(&words);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.given_up {
                return;
            }
            thread::sleep(left.min(LOOK_EVERY));
        }
    }

    /// As [`wait`](Self::wait), for a time of chance.
    pub(crate) fn wait_between(&mut self, least: Duration, most: Duration) -> Duration {
        let span = least + most.saturating_sub(least).mul_f64(self.chance.f64());
        self.wait(span);
        span
    }

    fn ended_by_itself(&mut self, words: &str) {
        self.daemon = None;
        self.readings.was_killed();
        self.figures.restarts += 1;
        self.fails(format!("the daemon {words}; it said last: {}", last_line(&self.log())));
        self.ends += 1;
        if self.ends < ENDS {
            self.start();
        } else {
            self.given_up = true;
        }
    }
}

fn last_line(log: &Path) -> String {
    let said = fs::read(log).unwrap_or_default();
    String::from_utf8_lossy(&said).lines().last().unwrap_or("nothing").to_owned()
}

/// Writes a file in one piece, for its owner only: the daemon may be reading right now.
fn write(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let beside = path.with_extension("beside");
    fs::write(&beside, text).expect("a file");
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o600)).expect("one's own file");
    fs::rename(&beside, path).expect("the same folder");
}
