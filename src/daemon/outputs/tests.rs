//! The outputs' task without its loop: inbound in, pins out, over a crash of the process.

use std::time::Duration;

use super::*;
use crate::config::fixture;
use crate::entry::ChannelId;
use crate::hal::sim::Sim;
use crate::hal::{Clock, LineId, ManualClock};
use crate::pipeline::Pipeline;
use crate::store::storage::faulty::Faulty;
use crate::thingspeak::feed::FeedMessage;

const MAP: &str = r#"
[channel.switches]
id = 9
[[output]]
name = "pump"
pin = 17
from = "switches.field1"
max_on = "30m"
min_off = "3m"
"#;

/// A machine whose daemon can be killed: its clock and its runtime directory stay.
struct Machine {
    clock: Arc<ManualClock>,
    runtime: Faulty,
}

impl Machine {
    fn new() -> Self {
        Self { clock: Arc::new(ManualClock::default()), runtime: Faulty::default() }
    }

    fn after(&self, minutes: u64) {
        self.clock.advance(Duration::from_secs(60 * minutes));
    }

    fn start(&self, boot: u128) -> (Outputs, Sim) {
        self.start_with(boot, MAP, &nobody())
    }

    fn start_with(&self, boot: u128, map: &str, observer: &Observer) -> (Outputs, Sim) {
        let sim = Sim::with_clock(None, Arc::clone(&self.clock) as Arc<dyn Clock>).expect("no folder");
        let hal = sim.hal();
        let settings = fixture::settings(map);
        let now = hal.clock.now().mono;
        let state = StateHandle::open(now, settings.kept(), Some(Arc::new(self.runtime.clone())), None);
        let pipeline = PipelineHandle::new(Pipeline::new(&settings.pipeline(), &[], now), Arc::clone(observer));
        let outputs = Outputs::open(settings.outputs, Memory { state, boot }, &hal, &pipeline, observer);
        (outputs, sim)
    }

    fn entry(&self, id: u64, value: u8) -> Inbound {
        let written = self.clock.now().utc;
        let text = format!(r#"{{"created_at":"{written}","entry_id":{id},"field1":"{value}"}}"#);
        let message = Box::new(FeedMessage::decode(ChannelId(9), text.as_bytes()).expect("a feed message"));
        Inbound::Feed { message, retained: false }
    }
}

fn nobody() -> Observer {
    Arc::new(|_| ())
}

fn is_on(sim: &Sim) -> bool {
    sim.pin(LineId::header(17)).expect("it is driven")
}

#[test]
fn crash_neither_repeats_a_command_nor_shortens_a_rest_nor_prolongs_max_on() {
    let machine = Machine::new();
    let (mut outputs, sim) = machine.start(1);
    machine.after(3);
    let on = machine.entry(5, 1);
    outputs.deliver(&on);
    assert!(is_on(&sim));
    machine.after(20);
    drop(outputs);

    let (mut outputs, sim) = machine.start(1);
    outputs.deliver(&on);
    assert!(!is_on(&sim), "it was obeyed before the crash");
    machine.after(2);
    outputs.deliver(&machine.entry(6, 1));
    assert!(!is_on(&sim), "it has to rest for three minutes");
    drop(outputs);

    let (mut outputs, sim) = machine.start(1);
    machine.after(1);
    outputs.deliver(&machine.entry(7, 1));
    assert!(is_on(&sim), "two minutes of its rest were before the second crash");
    let until = outputs.rules.deadline().expect("max_on");
    let left = until.since(machine.clock.now().mono);
    assert_eq!(left, Duration::from_secs(13 * 60), "20 of 30 minutes used, 3 made up for");
}

#[test]
fn another_boot_knows_the_entry_and_not_the_times() {
    let machine = Machine::new();
    let (mut outputs, sim) = machine.start(1);
    machine.after(3);
    let on = machine.entry(5, 1);
    outputs.deliver(&on);
    assert!(is_on(&sim));
    drop(outputs);
    let (mut outputs, sim) = machine.start(2);
    machine.after(3);
    outputs.deliver(&on);
    assert!(!is_on(&sim));
    outputs.deliver(&machine.entry(6, 1));
    assert!(is_on(&sim));
    let left = outputs.rules.deadline().expect("max_on").since(machine.clock.now().mono);
    assert_eq!(left, Duration::from_secs(30 * 60));
}

#[test]
fn past_is_written_when_it_changes_and_not_at_every_event() {
    let machine = Machine::new();
    let (mut outputs, _sim) = machine.start(1);
    machine.after(3);
    let (before, _) = machine.runtime.cost();
    outputs.deliver(&Inbound::Heard(Topic::Subscribe(ChannelId(9))));
    outputs.event(rules::Event::Tick);
    assert_eq!(machine.runtime.cost().0, before);
    outputs.deliver(&machine.entry(5, 1));
    assert!(machine.runtime.cost().0 > before);
}

fn settings(map: &str) -> Vec<Settings> {
    fixture::settings(map).outputs
}

#[test]
fn a_new_map_moves_no_pin_that_it_keeps_and_its_limits_count_from_before() {
    let machine = Machine::new();
    let (mut outputs, sim) = machine.start(1);
    machine.after(3);
    outputs.deliver(&machine.entry(5, 1));
    machine.after(10);
    let lamp = "[[output]]\nname = \"lamp\"\npin = 23\nfrom = \"switches.field2\"\nstart = \"on\"\n";
    let map = MAP.replace("max_on = \"30m\"", "max_on = \"15m\"").replace("[[output]]", &format!("{lamp}[[output]]"));
    outputs.reload(settings(&map));
    assert!(is_on(&sim));
    assert_eq!(sim.pin(LineId::header(23)), Some(true), "the new one is at its start level");
    let left = outputs.rules.deadline().expect("max_on").since(machine.clock.now().mono);
    assert_eq!(left, Duration::from_secs(5 * 60));
    outputs.deliver(&machine.entry(5, 1));
    outputs.deliver(&machine.entry(6, 0));
    assert!(!is_on(&sim), "it listens as before");
}

#[test]
fn the_rest_of_an_output_that_a_new_map_drops_is_not_forgotten() {
    let machine = Machine::new();
    let (mut outputs, sim) = machine.start(1);
    machine.after(10);
    outputs.deliver(&machine.entry(5, 1));
    assert!(is_on(&sim));
    machine.after(2);
    let state = outputs.memory.state.clone();
    let pump = Key::Output("pump".to_owned());
    state.adopt(vec![pump.clone(), Key::Output("fan".to_owned())]);
    outputs.reload(settings(&MAP.replace("\"pump\"", "\"fan\"").replace("pin = 17", "pin = 23")));
    assert!(!is_on(&sim));
    state.adopt(vec![pump]);
    outputs.reload(settings(&format!("{MAP}start = \"on\"\n")));
    assert!(!is_on(&sim), "off for no time at all, and min_off is three minutes");
    machine.after(3);
    outputs.event(rules::Event::Tick);
    assert!(is_on(&sim), "rested");
}

#[test]
fn an_output_that_a_new_map_drops_is_left_at_its_stop_level_and_its_pin_given_back() {
    let machine = Machine::new();
    let (mut outputs, sim) = machine.start(1);
    machine.after(3);
    outputs.deliver(&machine.entry(5, 1));
    assert!(is_on(&sim));
    let elsewhere = MAP.replace("pin = 17", "pin = 23");
    outputs.reload(settings(&elsewhere));
    assert_eq!((is_on(&sim), sim.pin(LineId::header(23))), (false, Some(false)));
    let line = sim.hal().gpio.output(LineId::header(17), crate::hal::Active::High, crate::hal::Level::Off);
    assert!(line.is_ok(), "nobody holds it");
}

/// A map without limits of its own: the defaults hold.
const PLAIN: &str = r#"
[channel.switches]
id = 9
[[output]]
name = "lamp"
pin = 17
from = "switches.field1"
"#;

/// Lets time pass as the task's loop would.
fn wait(machine: &Machine, outputs: &mut Outputs, time: Duration) {
    let until = machine.clock.now().mono + time;
    while let Some(due) = outputs.deadline().filter(|due| *due <= until) {
        machine.clock.advance(due.since(machine.clock.now().mono));
        outputs.event(rules::Event::Tick);
    }
    machine.clock.advance(until.since(machine.clock.now().mono));
}

#[test]
fn flood_of_commands_is_no_flood_of_switches_nor_of_writes_and_the_last_one_holds() {
    let machine = Machine::new();
    let switches = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let count = Arc::clone(&switches);
    let observer: Observer = Arc::new(move |event| {
        if let Event::Driven { .. } = event {
            count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    });
    let (mut outputs, sim) = machine.start_with(1, PLAIN, &observer);
    wait(&machine, &mut outputs, Duration::from_secs(60));
    let (before, _) = machine.runtime.cost();
    for id in 1..=3001 {
        outputs.deliver(&machine.entry(id, u8::from(id % 2 == 1)));
        wait(&machine, &mut outputs, Duration::from_millis(3));
    }
    wait(&machine, &mut outputs, Duration::from_secs(2));
    let switches = switches.load(std::sync::atomic::Ordering::Relaxed);
    assert!((10..=20).contains(&switches), "{switches} switches in nine seconds");
    let bytes = machine.runtime.cost().0 - before;
    // A page before a switch on and after each switch, and one a second for what was heard.
    assert!(bytes <= 100 * (2 * switches + 12), "{bytes} bytes");
    assert!(is_on(&sim), "the last command");
    assert_eq!(outputs.deadline(), None, "nothing is left to do");

    let (outputs, _sim) = machine.start(1);
    assert_eq!(outputs.rules.past(0).seen.map(|seen| seen.id), None, "another output");
    let (outputs, _sim) = machine.start_with(1, PLAIN, &nobody());
    assert_eq!(outputs.rules.past(0).seen.map(|seen| seen.id), Some(3001), "it knows the last entry it heard");
}

#[test]
fn command_that_waits_is_told_and_so_is_that_it_no_longer_does() {
    let machine = Machine::new();
    let waits = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = Arc::clone(&waits);
    let observer: Observer = Arc::new(move |event| {
        if let Event::Waits { wait, .. } = event {
            seen.lock().expect("no panic").push(wait.map(|wait| (wait.drive, wait.left.as_secs())));
        }
    });
    let (mut outputs, sim) = machine.start_with(1, MAP, &observer);
    machine.after(2);
    outputs.deliver(&machine.entry(1, 1));
    outputs.deliver(&machine.entry(2, 0));
    outputs.deliver(&machine.entry(3, 1));
    assert!(!is_on(&sim));
    wait(&machine, &mut outputs, Duration::from_secs(60));
    assert!(is_on(&sim), "its three minutes are over");
    assert_eq!(*waits.lock().expect("no panic"), [Some((Drive::ON, 60)), None, Some((Drive::ON, 60))]);
}

#[test]
fn what_a_broker_had_kept_of_either_feed_moves_no_pin() {
    let machine = Machine::new();
    let (mut outputs, sim) = machine.start(1);
    machine.after(3);
    let Inbound::Feed { message, .. } = machine.entry(5, 1) else { unreachable!("an entry is one of the feed") };
    outputs.deliver(&Inbound::Feed { message: message.clone(), retained: true });
    assert!(!is_on(&sim));
    outputs.deliver(&Inbound::Feed { message, retained: false });
    assert!(is_on(&sim));

    outputs.reload(field_feed(&outputs.settings));
    let payload = bytes::Bytes::from_static(b"0");
    let field = |retained| Inbound::Field { channel: ChannelId(9), field: 1, payload: payload.clone(), retained };
    outputs.deliver(&field(true));
    assert!(is_on(&sim));
    wait(&machine, &mut outputs, Duration::from_secs(1));
    assert!(is_on(&sim), "it does not wait either");
    outputs.deliver(&field(false));
    assert!(!is_on(&sim));
}

/// The same outputs, commanded by the bare values of their fields.
fn field_feed(settings: &[Settings]) -> Vec<Settings> {
    let mut settings = settings.to_vec();
    for output in &mut settings {
        output.from.feed = crate::output::CommandFeed::Field;
    }
    settings
}
