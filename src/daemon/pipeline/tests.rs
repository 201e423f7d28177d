//! The journal of the open slots, behind the handle as the daemon uses it.

use std::io::ErrorKind;
use std::sync::Mutex;

use super::*;
use crate::config::fixture;
use crate::daemon::event::Event;
use crate::entry::{Column, UntimedEntry};
use crate::hal::ManualClock;
use crate::reading::SensorId;
use crate::store::storage::faulty::Faulty;
use crate::store::storage::{Folder, Storage};
use crate::time::Utc;

const AIR: &str = r#"
every = "20s"

[[sensor]]
name = "air"
use = "file"
path = "/simulated/air"
to.value = "house.field1"
"#;

fn now(seconds: u64) -> Now {
    let mono = Mono::new(Duration::from_secs(seconds));
    Now { mono, utc: Utc::from_seconds(1_795_334_400) + mono.since_boot() }
}

fn handle(observer: Observer) -> PipelineHandle {
    PipelineHandle::new(Pipeline::new(&fixture::settings(AIR).pipeline(), &[SensorId(0)], Mono::default()), observer)
}

/// A daemon's pipeline with its journal in a folder.
struct Daemon {
    handle: PipelineHandle,
    clock: Arc<ManualClock>,
    /// Whether each event about the journal was a fault.
    faults: Arc<Mutex<Vec<bool>>>,
}

impl Daemon {
    /// One whose spool has had the entries up to `last_end`.
    fn new(disk: impl Storage + 'static, last_end: Option<Mono>) -> Self {
        let faults = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&faults);
        let observer = move |event: &Event<'_>| {
            if let Event::Slots { error } = event {
                seen.lock().expect("no holder panics").push(error.is_some());
            }
        };
        let clock = Arc::new(ManualClock::new(now(10)));
        let daemon = Self { handle: handle(Arc::new(observer)), clock, faults };
        let journal = Journal::new(Arc::new(disk), FILE);
        let clock = Arc::clone(&daemon.clock) as Arc<dyn Clock>;
        daemon.handle.restore_from(journal, clock, |_| last_end).expect("readable");
        daemon
    }

    fn put(&self, second: u64, value: f64) {
        let now = now(second);
        self.clock.advance(now.mono.since(self.clock.now().mono));
        self.handle.put(now, SensorId(0), 0, now.mono, Ok(value));
        self.handle.save();
    }

    fn close_all(&self) -> Vec<(f64, u32)> {
        let mut all = Vec::new();
        self.handle.close_all(now(30), |entries| all.extend(sums(&entries)));
        all
    }
}

fn sums(entries: &[UntimedEntry]) -> Vec<(f64, u32)> {
    let cell = |entry: &UntimedEntry| entry.cells[Column::Field(1).index()].expect("a value");
    entries.iter().map(|entry| (cell(entry).value, cell(entry).readings())).collect()
}

/// What the next process would make of a disk.
fn left(disk: &Faulty, last_end: Option<Mono>) -> Vec<(f64, u32)> {
    Daemon::new(disk.after_kill(), last_end).close_all()
}

#[test]
fn reading_is_in_the_journal_when_it_was_saved_and_the_same_state_is_not_written_again() {
    let disk = Faulty::default();
    let daemon = Daemon::new(disk.clone(), None);
    daemon.put(11, 20.0);
    daemon.put(12, 30.0);
    assert_eq!(left(&disk, None), [(25.0, 2)]);
    let cost = disk.cost();
    daemon.handle.save();
    assert_eq!(disk.cost(), cost);
    assert!(daemon.faults.lock().expect("no holder panics").is_empty());
}

#[test]
fn slot_is_in_the_journal_until_the_spool_has_its_entry() {
    let disk = Faulty::default();
    let daemon = Daemon::new(disk.clone(), None);
    daemon.put(11, 20.0);
    let mut taken = Vec::new();
    daemon.handle.close_due(now(25), |entries| {
        taken = entries;
        assert_eq!(left(&disk, None), [(20.0, 1)], "killed before the push");
        assert_eq!(left(&disk, Some(taken[0].end)), [], "killed after it");
    });
    assert_eq!(sums(&taken), [(20.0, 1)]);
    assert_eq!(left(&disk, None), [], "it left");
    daemon.put(26, 1.0);
    assert_eq!(left(&disk, Some(taken[0].end)), [(1.0, 1)]);
}

#[test]
fn folder_that_cannot_be_written_is_reported_once_and_measuring_goes_on_until_it_can() {
    let disk = Faulty::default();
    let daemon = Daemon::new(disk.clone(), None);
    daemon.put(11, 20.0);
    disk.break_with(Some(ErrorKind::StorageFull));
    daemon.put(12, 30.0);
    daemon.put(13, 40.0);
    assert_eq!(left(&disk, None), [(20.0, 1)], "what was written before is whole");
    disk.break_with(None);
    daemon.put(19, 30.0);
    assert_eq!(*daemon.faults.lock().expect("no holder panics"), [true, false]);
    assert_eq!(left(&disk, None), [(30.0, 4)]);
}

#[test]
fn journal_that_somebody_removed_is_whole_again_with_the_next_reading() {
    let disk = Faulty::default();
    let daemon = Daemon::new(disk.clone(), None);
    daemon.put(11, 20.0);
    daemon.put(12, 30.0);
    disk.remove(FILE).expect("it is there");
    daemon.put(13, 40.0);
    daemon.put(14, 50.0);
    assert_eq!(left(&disk, None), [(35.0, 4)]);
}

#[test]
fn kill_within_a_write_leaves_the_state_before_it() {
    let parent = tempfile::tempdir().expect("a folder");
    let folder = Folder::new(parent.path().join("run"));
    let before = Daemon::new(folder.clone(), None);
    before.put(11, 20.0);
    std::fs::write(folder.path().join("slots.new"), b"gp\x10").expect("as a rewriting leaves it that is cut off");
    let whole = folder.read(FILE).expect("there").len() as u64;
    folder.append(FILE, whole, b"gp\x10").expect("as an addition leaves it");
    let after = Daemon::new(folder.clone(), None);
    after.put(12, 30.0);
    assert_eq!(Daemon::new(folder, None).close_all(), [(25.0, 2)]);
}

#[test]
fn journal_that_cannot_be_read_is_an_error_and_what_the_spool_has_counts_all_the_same() {
    let parent = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(parent.path().join(FILE)).expect("a folder where the file should be");
    let handle = handle(Arc::new(|_: &Event<'_>| {}));
    let journal = Journal::new(Arc::new(Folder::new(parent.path())), FILE);
    let clock = Arc::new(ManualClock::new(now(10)));
    handle.restore_from(journal, clock, |_| Some(now(9).mono)).expect_err("a folder is no file");
    handle.put(now(11), SensorId(0), 0, now(11).mono, Ok(20.0));
    handle.close_due(now(25), |_| panic!("20 is too soon after 9"));
}

#[test]
fn total_of_an_integral_goes_on_in_the_next_process_and_over_a_reload() {
    let map = AIR.replace("\"house.field1\"", "{ field = \"house.field1\", integrate = \"h\" }");
    let settings = fixture::settings(&map);
    let folder = Faulty::default();
    let start = || {
        let state = StateHandle::open(now(10).mono, settings.kept(), Some(Arc::new(folder.clone())), None);
        let pipeline = Pipeline::new(&settings.pipeline(), &[SensorId(0)], now(10).mono);
        PipelineHandle::new(pipeline, Arc::new(|_: &Event<'_>| {})).with_totals(state)
    };
    let run = |handle: &PipelineHandle, seconds: [u64; 2]| {
        for second in seconds {
            handle.put(now(second), SensorId(0), 0, now(second).mono, Ok(3600.0));
        }
        let mut last = None;
        handle.close_all(now(seconds[1]), |entries| last = sums(&entries).pop());
        last.map(|(value, _)| value)
    };
    assert_eq!(run(&start(), [11, 21]), Some(10.0));
    let second = start();
    assert_eq!(run(&second, [31, 36]), Some(15.0), "the time in between is not known");
    // Another chain, for the same sensor and column.
    let scaled = map.replace("integrate", "valid = { min = 0 }, integrate");
    second.reload(now(37), &fixture::settings(&scaled), &[SensorId(0)], |_| {});
    assert_eq!(run(&second, [38, 39]), Some(16.0));
}
