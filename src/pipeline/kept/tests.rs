//! The file of the open slots, behind the gate as the daemon uses it.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use super::*;
use crate::config;
use crate::daemon::event::Event;
use crate::entry::{Column, UntimedEntry};
use crate::pipeline::gate::Gate;
use crate::reading::SensorId;
use crate::store::storage::Folder;
use crate::store::storage::faulty::Faulty;
use crate::time::{BootId, Utc};

const MAP: &str = r#"
version = 1

[device.d]
client_id = "c"
username = "c"
password = "p"

[channel.house]
id = 7
every = "20s"

[[sensor]]
name = "air"
use = "file"
path = "/simulated/air"
to.value = "house.field1"
"#;

const BOOT: BootId = BootId(42);
const HOUSE: ChannelId = ChannelId(7);

fn now(seconds: u64) -> Now {
    let mono = Mono::new(Duration::from_secs(seconds));
    Now { mono, utc: Utc::from_seconds(1_795_334_400) + mono.since_boot() }
}

fn intake() -> Intake {
    let folder = tempfile::tempdir().expect("a folder");
    let checked = config::parse(MAP, &folder.path().join("map.toml")).unwrap_or_else(|faults| panic!("{faults}"));
    Intake::new(&checked.settings, &[SensorId(0)], Mono::default())
}

/// A gate that keeps its slots in a folder, and whether each edge it told was a fault.
fn gate(disk: impl Storage + 'static, last_end: Option<Mono>) -> (Gate, Arc<Mutex<Vec<bool>>>) {
    let slots = Slots::new(Arc::new(disk), BOOT);
    let mut intake = intake();
    slots.restore(&mut intake, now(10), |_| last_end).expect("readable");
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let observer = move |event: &Event<'_>| {
        if let Event::Slots { error } = event {
            tell.lock().expect("no holder panics").push(error.is_some());
        }
    };
    let gate = Gate::new(intake, Arc::new(observer));
    gate.keep_in(slots);
    (gate, told)
}

fn put(gate: &Gate, second: u64, value: f64) {
    gate.put(now(second), SensorId(0), 0, now(second).mono, Ok(value));
    gate.keep();
}

fn sums(drafts: &[UntimedEntry]) -> Vec<(f64, u32)> {
    let cell = |draft: &UntimedEntry| draft.cells[Column::Field(1).index()].expect("a value");
    drafts.iter().map(|draft| (cell(draft).value, cell(draft).readings())).collect()
}

/// What the next process would make of a disk.
fn left(disk: &Faulty, last_end: Option<Mono>) -> Vec<(f64, u32)> {
    sums(&gate(disk.after_kill(), last_end).0.close_all(now(30)))
}

#[test]
fn reading_is_in_the_file_when_it_was_kept_and_the_same_state_is_not_written_again() {
    let disk = Faulty::default();
    let (gate, told) = gate(disk.clone(), None);
    put(&gate, 11, 20.0);
    put(&gate, 12, 30.0);
    assert_eq!(left(&disk, None), [(25.0, 2)]);
    let cost = disk.cost();
    gate.keep();
    assert_eq!(disk.cost(), cost);
    assert!(told.lock().expect("no holder panics").is_empty());
}

#[test]
fn draft_is_in_the_file_from_its_close_until_the_spool_has_it() {
    let disk = Faulty::default();
    let (gate, _) = gate(disk.clone(), None);
    put(&gate, 11, 20.0);
    let drafts = gate.close_due(now(25), &mut Vec::new());
    assert_eq!(sums(&drafts), [(20.0, 1)]);
    put(&gate, 26, 1.0);
    assert_eq!(left(&disk, None), [(20.0, 1), (1.0, 1)], "killed before the push");
    assert_eq!(left(&disk, Some(drafts[0].end)), [(1.0, 1)], "killed after it");
    gate.taken(&BTreeMap::from([(HOUSE, drafts[0].end)]));
    assert_eq!(left(&disk, None), [(1.0, 1)], "forgotten");
}

#[test]
fn folder_that_cannot_be_written_is_told_once_and_measuring_goes_on_until_it_can() {
    let disk = Faulty::default();
    let (gate, told) = gate(disk.clone(), None);
    put(&gate, 11, 20.0);
    disk.break_with(Some(ErrorKind::StorageFull));
    put(&gate, 12, 30.0);
    put(&gate, 13, 40.0);
    assert_eq!(left(&disk, None), [(20.0, 1)], "the old state is whole");
    disk.break_with(None);
    put(&gate, 14, 30.0);
    assert_eq!(*told.lock().expect("no holder panics"), [true, false]);
    assert_eq!(left(&disk, None), [(30.0, 4)]);
}

#[test]
fn kill_within_a_write_leaves_the_state_before_it() {
    let parent = tempfile::tempdir().expect("a folder");
    let folder = Folder::new(parent.path().join("run"));
    let (before, _) = gate(folder.clone(), None);
    put(&before, 11, 20.0);
    std::fs::write(folder.path().join("slots.new"), b"gp\x10").expect("as a write leaves it that is cut off");
    let (after, _) = gate(folder.clone(), None);
    put(&after, 12, 30.0);
    let (last, _) = gate(folder, None);
    assert_eq!(sums(&last.close_all(now(30))), [(25.0, 2)]);
}

#[test]
fn file_that_cannot_be_read_is_an_error_and_what_the_spool_has_counts_all_the_same() {
    let parent = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(parent.path().join(NAME)).expect("a folder where the file should be");
    let slots = Slots::new(Arc::new(Folder::new(parent.path())), BOOT);
    let mut intake = intake();
    slots.restore(&mut intake, now(10), |_| Some(now(9).mono)).expect_err("a folder is no file");
    let gate = Gate::new(intake, Arc::new(|_: &Event<'_>| {}));
    put(&gate, 11, 20.0);
    assert!(gate.close_due(now(25), &mut Vec::new()).is_empty(), "20 is too soon after 9");
}
