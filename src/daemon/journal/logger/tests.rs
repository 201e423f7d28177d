//! The lines that reach the log's place, on a clock of the test's own.

use log::kv::Value;

use super::*;
use crate::hal::ManualClock;

/// A place that writes down what comes, with the output it is about.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<String>>>);

impl Paper {
    fn lines(&self) -> Vec<String> {
        self.0.lock().expect("no panic while writing").clone()
    }

    fn bytes(&self) -> usize {
        self.lines().iter().map(String::len).sum()
    }
}

impl Log for Paper {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Debug
    }

    fn log(&self, record: &Record<'_>) {
        let output = record.key_values().get("output".into()).unwrap_or(Value::null());
        let text = format!("{} {} {output} {}", record.level(), record.target(), record.args());
        self.0.lock().expect("no panic while writing").push(text);
    }

    fn flush(&self) {}
}

struct Desk {
    log: Bounded,
    paper: Paper,
    clock: Arc<ManualClock>,
}

impl Desk {
    fn new() -> Self {
        let (paper, clock) = (Paper::default(), Arc::new(ManualClock::default()));
        let log = Bounded::new(Box::new(paper.clone()), Arc::clone(&clock) as Arc<dyn Clock>);
        Self { log, paper, clock }
    }

    fn write(&self, level: Level, line: u32, output: &str, text: &str) {
        let fields = [("output", output), ("reason", text)];
        let module = Some("gatepost::daemon::journal");
        self.log.log(
            &Record::builder()
                .level(level)
                .target("gatepost::daemon::journal")
                .module_path_static(module)
                .line(Some(line))
                .key_values(&fields)
                .args(format_args!("output {output}: {text}"))
                .build(),
        );
    }

    fn after(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

#[test]
fn flood_of_rubbish_is_some_lines_with_the_last_words_and_the_number_of_the_rest() {
    let desk = Desk::new();
    for number in 0..100_000 {
        desk.write(Level::Warn, 10, "pump", &format!("\"rubbish {number}\" is no command"));
    }
    assert_eq!(desk.paper.lines().len(), 20);
    assert_eq!(
        desk.paper.lines()[19],
        "WARN gatepost::daemon::journal pump output pump: \"rubbish 19\" is no command (more like this is counted, and told later)"
    );
    desk.after(59);
    desk.log.look();
    assert_eq!(desk.paper.lines().len(), 20);
    desk.after(1);
    desk.log.look();
    assert_eq!(
        desk.paper.lines()[20..],
        [
            "WARN gatepost::daemon::journal pump 99980 more like this within 1m, the last: output pump: \"rubbish 99999\" is no command"
        ]
    );
    assert!(desk.paper.bytes() < 3000, "{} bytes", desk.paper.bytes());
}

#[test]
fn what_was_counted_is_told_when_the_log_ends() {
    let desk = Desk::new();
    for _ in 0..25 {
        desk.write(Level::Info, 10, "pump", "on");
    }
    desk.after(1);
    desk.log.flush();
    assert!(desk.paper.lines()[20].contains("5 more like this within 1s, the last"), "{:?}", desk.paper.lines());
    desk.log.flush();
    assert_eq!(desk.paper.lines().len(), 21);
}

#[test]
fn other_outputs_and_other_kinds_of_lines_are_told_meanwhile() {
    let desk = Desk::new();
    for _ in 0..1000 {
        desk.write(Level::Info, 10, "pump", "on");
    }
    desk.write(Level::Info, 10, "heater", "on");
    desk.write(Level::Info, 11, "pump", "cannot be driven");
    assert_eq!(desk.paper.lines().len(), 22);
}

#[test]
fn another_line_tells_what_is_due() {
    let desk = Desk::new();
    for _ in 0..30 {
        desk.write(Level::Info, 10, "pump", "on");
    }
    desk.after(61);
    desk.write(Level::Info, 12, "heater", "on");
    let lines = desk.paper.lines();
    assert!(lines[20].contains("10 more like this") && lines[21].contains("heater"), "{lines:?}");
}

#[test]
fn debug_lines_are_all_there() {
    let desk = Desk::new();
    for _ in 0..100 {
        desk.write(Level::Debug, 10, "pump", "an entry");
    }
    assert_eq!(desk.paper.lines().len(), 100);
}

#[test]
fn what_is_kept_of_a_line_is_short() {
    let desk = Desk::new();
    for _ in 0..21 {
        desk.write(Level::Warn, 10, &"ö".repeat(1000), "on");
    }
    desk.log.flush();
    let last = desk.paper.lines().pop().expect("a line");
    assert!(last.len() < 2 * LONGEST + 100, "{}", last.len());
}
