//! The board as drivers and people meet it together.

use std::fs;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use super::*;
use crate::hal::{Active, Bias, ClockState, Edge, EdgeEvent, HalError, InputConfig, Level, ManualClock};

/// Longer than any machine needs that is not broken.
const PATIENCE: Duration = Duration::from_secs(30);

const DOOR: InputConfig = InputConfig {
    line: LineId::header(22),
    bias: Bias::Up,
    active: Active::Low,
    edge: Edge::Both,
    debounce: Duration::ZERO,
};

struct Bench {
    sim: Sim,
    clock: Arc<ManualClock>,
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Arc::new(ManualClock::default());
        let sim = Sim::with_clock(Some(folder.path().join("pins")), Arc::clone(&clock) as Arc<dyn Clock>);
        Self { sim: sim.expect("the folder can be made"), clock, folder }
    }

    fn file(&self, pin: u8) -> PathBuf {
        self.folder.path().join("pins").join(LineId::header(pin).file_name())
    }

    fn after(&self, millis: u64) {
        self.clock.advance(Duration::from_millis(millis));
        self.sim.look_at_pins();
    }
}

fn open(sim: &Sim, config: InputConfig) -> (Box<dyn crate::hal::InputLine>, Receiver<EdgeEvent>) {
    let (tell, told) = channel();
    let sink = Box::new(move |event| tell.send(event).unwrap_or_default());
    (sim.hal().gpio.input(&config, Some(sink)).expect("free"), told)
}

fn levels(told: &Receiver<EdgeEvent>) -> Vec<Level> {
    told.try_iter().map(|event| event.level).collect()
}

fn content(path: &Path) -> String {
    fs::read_to_string(path).expect("the file is there")
}

#[test]
fn line_of_another_chip_has_a_level_and_a_file_of_its_own() {
    let bench = Bench::new();
    let line = LineId { chip: Some("i2c-1:0x20".parse().expect("a name")), number: 200 };
    let gpio = bench.sim.hal().gpio;
    let header = gpio.output(LineId::header(17), Active::High, Level::Off).expect("free");
    let expander = gpio.output(line, Active::High, Level::On).expect("free");
    assert_eq!((bench.sim.pin(line), bench.sim.pin(LineId::header(17))), (Some(true), Some(false)));
    assert!(bench.folder.path().join("pins").join("i2c-1_0x20-200").exists());
    let again = gpio.output(line, Active::High, Level::On).err();
    assert_eq!(again, Some(HalError::Busy { what: "line 200 of i2c-1:0x20".to_owned() }));
    drop((header, expander));
}

#[test]
fn writing_a_pin_s_file_pushes_the_button() {
    let bench = Bench::new();
    let (mut line, told) = open(&bench.sim, DOOR);
    assert_eq!(content(&bench.file(22)), "1\n", "pulled up");
    assert_eq!(line.level(), Ok(Level::Off));
    fs::write(bench.file(22), "0\n").expect("written");
    let event = told.recv_timeout(PATIENCE).expect("the thread looks at the file by itself");
    assert_eq!(event.level, Level::On);
    assert_eq!(line.level(), Ok(Level::On));
    assert_eq!(bench.sim.pin(LineId::header(22)), Some(false));
}

#[test]
fn bouncing_button_ends_in_the_right_state_with_one_event() {
    let bench = Bench::new();
    let (mut line, told) = open(&bench.sim, InputConfig { debounce: Duration::from_millis(20), ..DOOR });
    for high in [false, true, false, true, false] {
        bench.sim.set_pin(LineId::header(22), high);
        bench.after(5);
    }
    assert_eq!(line.level(), Ok(Level::Off), "nothing has held for 20 ms");
    bench.after(20);
    assert_eq!(line.level(), Ok(Level::On));
    let events: Vec<EdgeEvent> = told.try_iter().collect();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].at, Mono::new(Duration::from_millis(45)));
}

#[test]
fn debouncing_ends_by_itself_on_a_board_without_files() {
    let sim = Sim::default();
    let (_line, told) = open(&sim, InputConfig { debounce: Duration::from_millis(5), ..DOOR });
    sim.set_pin(LineId::header(22), false);
    assert_eq!(told.recv_timeout(PATIENCE).expect("in 5 ms").level, Level::On);
}

#[test]
fn only_the_edges_asked_for_are_told() {
    for (edge, expected) in [
        (Edge::Falling, vec![Level::On, Level::On]),
        (Edge::Rising, vec![Level::Off, Level::Off]),
        (Edge::Both, vec![Level::On, Level::Off, Level::On, Level::Off]),
    ] {
        let bench = Bench::new();
        let (_line, told) = open(&bench.sim, InputConfig { edge, ..DOOR });
        for high in [false, true, true, false, true] {
            bench.sim.set_pin(LineId::header(22), high);
        }
        assert_eq!(levels(&told), expected, "{edge:?}");
    }
}

#[test]
fn output_writes_its_file_at_once_and_keeps_its_level_when_dropped() {
    let bench = Bench::new();
    let mut pump = bench.sim.hal().gpio.output(LineId::header(17), Active::Low, Level::Off).expect("free");
    assert_eq!(content(&bench.file(17)), "1\n");
    pump.set(Level::On).expect("set");
    assert_eq!(content(&bench.file(17)), "0\n");
    bench.sim.set_pin(LineId::header(17), true);
    assert_eq!(bench.sim.pin(LineId::header(17)), Some(false), "the output wins");
    drop(pump);
    assert_eq!(content(&bench.file(17)), "0\n");
    assert_eq!(bench.sim.pin(LineId::header(17)), Some(false));
}

#[test]
fn line_is_held_by_one_at_a_time() {
    let bench = Bench::new();
    let gpio = bench.sim.hal().gpio;
    let (line, _told) = open(&bench.sim, DOOR);
    assert_eq!(gpio.input(&DOOR, None).err(), Some(HalError::Busy { what: "GPIO22".to_owned() }));
    assert!(gpio.output(LineId::header(22), Active::High, Level::Off).is_err());
    drop(line);
    assert!(gpio.output(LineId::header(22), Active::High, Level::Off).is_ok());
    assert!(matches!(gpio.output(LineId::header(54), Active::High, Level::Off), Err(HalError::NoSuchLine { .. })));
}

#[test]
fn rubbish_in_a_pin_s_file_changes_nothing() {
    let bench = Bench::new();
    let (mut line, told) = open(&bench.sim, DOOR);
    for rubbish in [&b""[..], b"\xff\xfe\xfd", b"2", b"00000000000000000000000000000000000000", b"{}"] {
        fs::write(bench.file(22), rubbish).expect("written");
        bench.after(50);
        assert_eq!(line.level(), Ok(Level::Off), "{rubbish:?}");
    }
    fs::remove_file(bench.file(22)).expect("removed");
    bench.after(50);
    assert_eq!(levels(&told), []);
    fs::write(bench.file(22), "low").expect("written");
    assert_eq!(line.level(), Ok(Level::On));
}

#[test]
fn level_that_was_there_before_the_line_is_taken_is_kept() {
    let bench = Bench::new();
    fs::write(bench.file(22), "0").expect("written");
    let (mut line, told) = open(&bench.sim, DOOR);
    assert_eq!(line.level(), Ok(Level::On));
    assert_eq!(levels(&told), [], "what is there already is no edge");
    drop(line);
    let sim = Sim::default();
    sim.set_pin(LineId::header(22), false);
    assert_eq!(open(&sim, DOOR).0.level(), Ok(Level::On));
}

#[test]
fn watching_thread_ends_with_the_last_input() {
    let sim = Sim::default();
    let (line, _told) = open(&sim, DOOR);
    let lines = Arc::downgrade(&sim.lines);
    drop((sim, line));
    let start = Instant::now();
    while lines.strong_count() > 0 {
        assert!(start.elapsed() < PATIENCE, "the thread still holds the board");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn simulated_machine_knows_the_time_until_its_file_says_otherwise() {
    let folder = tempfile::tempdir().expect("a folder");
    let hal = Sim::new(Some(folder.path().to_owned())).expect("there").hal();
    assert_eq!(hal.clock.state(), ClockState::Synchronised, "whatever this machine's own clock is");
    fs::write(folder.path().join("clock"), "unsynchronised\n").expect("written");
    assert_eq!(hal.clock.state(), ClockState::Unsynchronised);
    fs::remove_file(folder.path().join("clock")).expect("there");
    assert_eq!(hal.clock.state(), ClockState::Synchronised);
    assert_eq!(Sim::default().hal().clock.state(), ClockState::Synchronised, "without a folder too");
}

#[test]
fn clock_of_a_test_says_itself_whether_it_can_be_believed() {
    let bench = Bench::new();
    bench.clock.set_state(ClockState::Unsynchronised);
    assert_eq!(bench.sim.hal().clock.state(), ClockState::Unsynchronised);
    fs::write(bench.folder.path().join("pins/clock"), "synchronised").expect("written");
    assert_eq!(bench.sim.hal().clock.state(), ClockState::Synchronised);
}
