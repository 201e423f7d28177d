//! A house with a daemon that is ill-treated: its map, its two directories, and its lives.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use gatepost::entry::Column;
use gatepost::spool::{State, survey};
use gatepost::store::storage::Folder;
use gatepost::time::Utc;
use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::books::{Books, WAITS, acknowledged, assert_no_loss};
use crate::program::{Program, gatepost};
use crate::service::{Service, Stored};
use crate::trap::Trap;

/// A backlog takes as long as the outage did, or longer, but one of its entries arrives in every slot that has room. Longest waits
/// the last one: for its echo, which may have to be missed five times (20 s each), behind whatever else is sent again.
const STANDS_STILL: Duration = Duration::from_secs(300);
/// How often rows are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// A reading every second, and most often two of them a slot: half of the license's slots are to spare.
const MAP: &str = r#"
version = 1

[broker]
host = "{host}"
port = {port}
transport = "tcp"
allow_plaintext = true

[spool]
write_after = "{write_after}"
group_every = "1s"

[device.house]
credentials = "credentials.txt"

[channel.house]
id = 1
license = "paid"
every = "{every}s"
status = "health"
backlog = { max_size = "{max_size}" }

[[sensor]]
name = "tank"
use = "file"
path = "{folder}/tank"
every = "1s"
to.value = { field = "house.field1", reduce = "count" }

[[sensor]]
name = "machine"
use = "system"
every = "1s"
to.uptime = { field = "house.field2", reduce = "last" }
"#;

/// What a scenario may choose.
pub(crate) struct Plan {
    /// An entry that is unconfirmed for so long goes to the disk.
    pub(crate) write_after: &'static str,
    pub(crate) max_size: &'static str,
    /// The broker's name or address.
    pub(crate) host: &'static str,
    /// The slot, in seconds.
    pub(crate) every: u32,
    /// Sensors that have nothing to say, so that entries have a long status text.
    pub(crate) broken: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self { write_after: "1s", max_size: "1MiB", host: "localhost", every: 2, broken: false }
    }
}

pub(crate) struct House {
    folder: TempDir,
    /// Where the directories are seen from here; a mount of a namespace's own is elsewhere than for the daemon.
    root: PathBuf,
    books: Books,
}

impl House {
    /// One that goes to this sandbox.
    pub(crate) fn of(service: &Service, plan: &Plan) -> Self {
        Self::at(service.port(), &service.device.credentials_text(), plan)
    }

    pub(crate) fn at(port: u16, credentials: &str, plan: &Plan) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut map = MAP
            .replace("{host}", plan.host)
            .replace("{port}", &port.to_string())
            .replace("{write_after}", plan.write_after)
            .replace("{max_size}", plan.max_size)
            .replace("{every}", &plan.every.to_string())
            .replace("{folder}", &folder.path().display().to_string());
        if plan.broken {
            map.extend((3..=8).map(|field| {
                format!(
                    "\n[[sensor]]\nname = \"broken{field}\"\nuse = \"file\"\npath = \"words\"\nevery = \"1s\"\n\
                     to.value = \"house.field{field}\"\n"
                )
            }));
        }
        fs::write(folder.path().join("words"), "no number\n").expect("a file");
        fs::write(folder.path().join("map.toml"), map).expect("a file");
        fs::write(folder.path().join("tank"), "1\n").expect("a file");
        let books = Books::begin(&folder.path().join("tank"), plan.every);
        let house = Self { folder, root: PathBuf::from("/"), books };
        house.give_credentials(credentials);
        for made in [house.runtime(), house.state()] {
            fs::create_dir(made).expect("a new folder");
        }
        house
    }

    /// The file as ThingSpeak offers it for download, for its owner only.
    pub(crate) fn give_credentials(&self, text: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.path("credentials.txt");
        fs::write(&path, text).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("one's own file");
    }

    /// The directories are those that this process sees: they are in a namespace of its own.
    pub(crate) fn seen_by(&mut self, pid: u32) {
        self.root = PathBuf::from(format!("/proc/{pid}/root"));
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn runtime(&self) -> PathBuf {
        self.path("runtime")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// The runtime directory's log.
    pub(crate) fn log(&self) -> PathBuf {
        self.runtime().join("spool.log")
    }

    /// A path of the daemon's as this process can open it.
    pub(crate) fn here(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").expect("an absolute path"))
    }

    fn disk(&self) -> PathBuf {
        self.state().join("spool")
    }

    /// The segments that are there, oldest first.
    pub(crate) fn segments(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.here(&self.disk())) else { return Vec::new() };
        let names = entries.map(|entry| entry.expect("it can be listed").file_name().into_string().expect("UTF-8"));
        // The channel, 16 digits, and the suffix.
        let mut segments: Vec<_> =
            names.filter(|name| name.starts_with("1-") && name.len() == "1-.log".len() + 16).collect();
        segments.sort();
        segments.into_iter().map(|name| self.disk().join(name)).collect()
    }

    /// The segments that may come: a segment is named by its first entry's number.
    pub(crate) fn segments_to_come(&self) -> Vec<PathBuf> {
        let there = self.segments();
        let some_more = self.books.acknowledged.len() + 64;
        let names = (1..=some_more).map(|key| self.disk().join(format!("1-{key:016x}.log")));
        names.filter(|path| !there.contains(path)).collect()
    }

    /// The daemon, with every entry in its log.
    pub(crate) fn command(&self) -> Command {
        let mut command = gatepost();
        command.args(["run", "--verbose", "--simulate", "--publish-simulated", "--config"]).arg(self.path("map.toml"));
        command.arg("--runtime-dir").arg(self.runtime()).arg("--state-dir").arg(self.state());
        command
    }

    pub(crate) fn run(&mut self) -> Program {
        self.run_as(self.command())
    }

    /// The daemon in a trap.
    pub(crate) fn run_in(&mut self, trap: &Trap) -> Program {
        self.run_as(trap.around(&self.command(), &self.path("seen")))
    }

    /// What strace saw of the last run in a trap.
    pub(crate) fn seen(&self) -> String {
        fs::read_to_string(self.path("seen")).unwrap_or_default()
    }

    /// A command that ends up as the daemon.
    pub(crate) fn run_as(&mut self, command: Command) -> Program {
        self.books.starts += 1;
        Program::start(command)
    }

    /// Kills it with -9.
    pub(crate) fn kill(&mut self, mut program: Program) {
        program.end_by(Signal::SIGKILL);
        self.was_killed(&program);
    }

    /// Enters a daemon into the books that was killed.
    pub(crate) fn was_killed(&mut self, program: &Program) {
        self.books.kills += 1;
        let waiting = self.waiting();
        self.books.acknowledged.extend(acknowledged(program));
        self.books.acknowledged.extend(waiting.iter().map(|entry| entry.created_at));
        assert_no_loss(program);
    }

    /// The entries that a log holds.
    pub(crate) fn waiting(&self) -> Vec<Stored> {
        let folder = |path: &Path| Folder::new(self.here(path));
        let mut listed = Vec::new();
        let found = survey(&folder(&self.runtime()), &folder(&self.disk()), |one| {
            listed.push(one);
            Ok::<_, Infallible>(())
        });
        let found = found.unwrap_or_else(|never| match never {});
        assert_eq!((found.bad, found.unreadable), (Vec::new(), Vec::new()), "the logs are whole");
        let waits = listed.into_iter().filter(|listed| listed.state == State::Waits);
        let stored = waits.map(|listed| {
            let value = |number| listed.entry.cells[Column::Field(number).index()].map(|cell| cell.value);
            Stored::new(listed.entry.created_at, value)
        });
        stored.collect()
    }

    /// Waits until every entry that was acknowledged so far is a row, whatever else is measured meanwhile.
    pub(crate) fn wait_until_stored(&self, program: &Program, rows: &dyn Fn() -> Vec<Stored>) {
        let wanted: BTreeSet<Utc> = self.books.acknowledged.iter().copied().chain(acknowledged(program)).collect();
        let (mut fewest, mut until) = (usize::MAX, Instant::now());
        loop {
            let stored: BTreeSet<Utc> = rows().iter().map(|row| row.created_at).collect();
            let missing: Vec<_> = wanted.difference(&stored).map(ToString::to_string).collect();
            if missing.is_empty() {
                return;
            }
            if missing.len() < fewest {
                (fewest, until) = (missing.len(), Instant::now() + STANDS_STILL);
            }
            assert!(
                Instant::now() < until,
                "{} of {} entries are not stored, and no further one was for minutes: {missing:?}",
                missing.len(),
                wanted.len()
            );
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Stops the daemon and holds the books against the rows. Returns a line for the proof.
    pub(crate) fn close(&mut self, mut program: Program, rows: &dyn Fn() -> Vec<Stored>) -> String {
        // A stop before the first entry might find a program that does not listen yet.
        program.wait_for(WAITS);
        self.wait_until_stored(&program, rows);
        let (status, _) = program.end_by(Signal::SIGTERM);
        assert!(status.success(), "it stops: {status}");
        assert_no_loss(&program);
        self.books.acknowledged.extend(acknowledged(&program));
        let waiting = self.waiting();
        self.books.audit(&rows(), waiting)
    }

    /// How many readings were made so far.
    pub(crate) fn count_readings(&mut self) -> u64 {
        self.books.count_readings()
    }
}
