//! Pulses on simulated lines and on a virtual clock.

use super::*;
use crate::hal::{EdgeSink, Gpio, HalError, Level, ManualClock, OutputLine};

fn settings(json: &str) -> Settings {
    serde_json::from_str(json).expect("good keys")
}

fn open(settings: &Settings, hal: &Hal) -> Box<dyn Sensor> {
    match settings.open(hal, ReadingSender::new(|_, _, _| ())) {
        Ok(Source::Polled(sensor)) => sensor,
        _ => panic!("it is polled"),
    }
}

fn first_three(sensor: &mut Box<dyn Sensor>) -> Vec<Result<f64, Fault>> {
    sensor.measure().expect("a read").into_iter().take(RATE + 1).collect()
}

const FREQUENCY: usize = 3;
const MISSED: usize = 4;

/// A pulse at this time in milliseconds.
fn pulse(tally: &mut Tally, millis: u64) {
    tally.edge(EdgeEvent { at: at_millis(millis), ..edge(0) });
}

fn at_millis(millis: u64) -> Mono {
    Mono::new(Duration::from_millis(millis))
}

#[test]
fn frequency_comes_from_the_times_of_the_pulses() {
    let mut tally = Tally::new(at_millis(0), 0);
    let mut read = |millis, pulses: &[u64]| {
        for at in pulses {
            pulse(&mut tally, *at);
        }
        tally.read(at_millis(millis), 0.1).swap_remove(FREQUENCY)
    };
    assert_eq!(read(1000, &[500]), Ok(1.0), "the very first: by the read");
    assert_eq!(read(2000, &[1300, 1700]), Ok(2.0 / 1.2), "from the last one of the read before");
    assert_eq!(read(9000, &[]), Ok(0.0));
    assert_eq!(read(10_000, &[9100, 9200, 9300]), Ok(2.0 / 0.2), "not over the pause");
    assert_eq!(read(11_000, &[]), Ok(0.0));
    assert_eq!(read(20_000, &[19_300]), Ok(0.1), "a single one has the pause's");
    assert!(read(20_000, &[19_300]).is_err());
}

#[test]
fn pulses_soon_after_a_counted_one_are_not_counted_however_short_it_is() {
    let mut tally = Tally::new(at_millis(0), 0).ignoring_after(Duration::from_millis(200));
    // A hundred pulses of 120 ms, each with its bouncing; one every half second.
    for start in (0..100).map(|pulse| pulse * 500) {
        for after in [0, 1, 3, 120, 122] {
            pulse(&mut tally, start + after);
        }
    }
    assert_eq!(tally.read(at_millis(60_000), 1.0)[..TOTAL], [Ok(100.0)]);
    pulse(&mut tally, 60_000);
    tally.edge(EdgeEvent { at: at_millis(60_010), ..edge(5) });
    pulse(&mut tally, 60_200);
    let values = tally.read(at_millis(61_000), 1.0);
    assert_eq!((&values[0], &values[MISSED]), (&Ok(2.0), &Ok(5.0)), "what was lost may have bounced");
}

#[test]
fn check_says_which_pulses_each_kind_of_debouncing_swallows() {
    let swallows = |json| settings(json).swallows().unwrap_or_default();
    assert_eq!(swallows(r#"{ "pin": 27 }"#), "");
    assert_eq!(swallows(r#"{ "pin": 27, "debounce": "200ms" }"#), "shorter than 200ms");
    let both = r#"{ "pin": 27, "debounce": "2ms", "ignore_after": "200ms" }"#;
    assert_eq!(swallows(both), "shorter than 2ms or within 200ms of the one before");
    let warnings = settings(r#"{ "pin": 27, "debounce": "200ms" }"#).warnings();
    assert!(warnings[0].1.starts_with("pulses shorter than 200ms are not counted\n"), "{warnings:?}");
    assert_eq!(settings(r#"{ "pin": 27, "debounce": "20ms" }"#).warnings(), []);
    let faults = settings(r#"{ "pin": 27, "ignore_after": "2m" }"#).faults();
    assert_eq!(faults.iter().map(|(key, _)| *key).collect::<Vec<_>>(), ["ignore_after"]);
}

fn edge(lost: u32) -> EdgeEvent {
    EdgeEvent { at: Mono::default(), level: Level::Off, lost }
}

/// Millimetres of rain per tip of a common gauge (0.2794 mm: 0.011 inch, Davis and its relatives).
const RAIN: &str = r#"{ "pin": 27, "bias": "up", "scale": 0.2794 }"#;

#[test]
fn tips_become_a_sum_a_total_and_a_rate_and_no_tip_is_zero() {
    let clock = Arc::new(ManualClock::default());
    let sim = Sim::with_clock(None, Arc::clone(&clock) as Arc<dyn Clock>).expect("no folder");
    let mut sensor = open(&settings(RAIN), &sim.hal());
    for _ in 0..3 {
        sim.set_pin(LineId::header(27), false);
        sim.set_pin(LineId::header(27), true);
    }
    clock.advance(Duration::from_secs(30));
    let three = 3.0 * 0.2794;
    assert_eq!(first_three(&mut sensor), [Ok(three), Ok(three), Ok(three / 0.5)]);
    clock.advance(Duration::from_secs(30));
    assert_eq!(first_three(&mut sensor), [Ok(0.0), Ok(three), Ok(0.0)]);
}

#[test]
fn debounced_contact_counts_once_and_a_new_opening_from_zero_where_nothing_is_kept() {
    let clock = Arc::new(ManualClock::default());
    let sim = Sim::with_clock(None, Arc::clone(&clock) as Arc<dyn Clock>).expect("no folder");
    let gauge = settings(r#"{ "pin": 27, "bias": "up", "debounce": "20ms" }"#);
    let mut sensor = open(&gauge, &sim.hal());
    for high in [false, true, false, true, false] {
        sim.set_pin(LineId::header(27), high);
        clock.advance(Duration::from_millis(2));
    }
    clock.advance(Duration::from_millis(20));
    assert_eq!(sensor.measure().map(|values| values[0].clone()), Ok(Ok(1.0)));
    drop(sensor);
    let mut sensor = open(&gauge, &sim.hal());
    clock.advance(Duration::from_secs(60));
    assert_eq!(first_three(&mut sensor), [Ok(0.0), Ok(0.0), Ok(0.0)]);
}

/// What the state store would keep, over openings.
#[derive(Default)]
struct Kept(Mutex<(u64, usize)>);

impl Total for Kept {
    fn kept(&self) -> u64 {
        self.0.lock().expect("no panic").0
    }

    fn keep(&self, _: Mono, total: u64) {
        let mut kept = self.0.lock().expect("no panic");
        *kept = (total, kept.1 + 1);
    }
}

#[test]
fn total_goes_on_over_an_opening_and_no_pulse_is_summed_twice() {
    let clock = Arc::new(ManualClock::default());
    let sim = Sim::with_clock(None, Arc::clone(&clock) as Arc<dyn Clock>).expect("no folder");
    let kept = Arc::new(Kept::default());
    let open = || {
        let sender = ReadingSender::new(|_, _, _| ()).keeping(Some(Arc::clone(&kept) as Arc<dyn Total>));
        match settings(RAIN).open(&sim.hal(), sender) {
            Ok(Source::Polled(sensor)) => sensor,
            _ => panic!("it is polled"),
        }
    };
    let tip = || [false, true].map(|high| sim.set_pin(LineId::header(27), high));
    let mut sensor = open();
    tip();
    tip();
    clock.advance(Duration::from_secs(10));
    assert!(sensor.measure().is_ok());
    tip();
    // Killed: the third tip was never read.
    drop(sensor);
    let mut sensor = open();
    tip();
    clock.advance(Duration::from_secs(10));
    let values = sensor.measure().expect("a read");
    assert_eq!(values[..RATE], [Ok(0.2794), Ok(3.0 * 0.2794)], "the first two and the fourth");
    // Stopped: what was not read is.
    tip();
    assert_eq!(sensor.last().map(|values| values[TOTAL].clone()), Some(Ok(4.0 * 0.2794)));
    assert_eq!(kept.kept(), 4);
}

#[test]
fn hostile_total_neither_panics_nor_becomes_infinite() {
    let mut tally = Tally::new(Mono::default(), u64::MAX);
    tally.edge(edge(9));
    let values = tally.read(Mono::new(Duration::from_secs(60)), 1.0);
    assert!(values[..=RATE].iter().all(|value| value.as_ref().is_ok_and(|value| value.is_finite())), "{values:?}");
}

#[test]
fn pulses_that_nobody_has_read_are_handed_over_at_the_stop_and_only_once() {
    let clock = Arc::new(ManualClock::default());
    let sim = Sim::with_clock(None, Arc::clone(&clock) as Arc<dyn Clock>).expect("no folder");
    let mut sensor = open(&settings(RAIN), &sim.hal());
    let tip = || [false, true].map(|high| sim.set_pin(LineId::header(27), high));
    tip();
    clock.advance(Duration::from_secs(10));
    assert!(sensor.measure().is_ok());
    assert_eq!(sensor.last(), None, "all is told");
    tip();
    tip();
    clock.advance(Duration::from_millis(1));
    let rest = sensor.last().expect("two tips");
    assert_eq!(rest[..RATE], [Ok(2.0 * 0.2794), Ok(3.0 * 0.2794)]);
    assert!(rest[RATE].is_err(), "two tips in a millisecond are no rate");
    assert_eq!(sensor.last(), None);
}

#[test]
fn lost_pulses_happened_and_are_told_once_a_spell() {
    let mut tally = Tally::new(Mono::default(), 0);
    let at = |seconds| Mono::new(Duration::from_secs(seconds));
    assert_eq!([edge(0), edge(5), edge(2)].map(|edge| tally.edge(edge)), [None, Some(5), None]);
    let values = tally.read(at(60), 1.0);
    assert_eq!(values[..=RATE], [Ok(10.0), Ok(10.0), Ok(10.0)]);
    assert_eq!(values[MISSED], Ok(7.0));
    assert_eq!(tally.edge(edge(1)), None, "the spell goes on");
    tally.read(at(120), 1.0);
    tally.edge(edge(0));
    tally.read(at(180), 1.0);
    assert_eq!(tally.edge(edge(1)), Some(1), "a new spell");
}

#[test]
fn no_value_is_ever_infinite() {
    let mut tally = Tally::new(Mono::default(), 0);
    tally.edge(edge(9));
    let values = tally.read(Mono::default(), f64::MAX);
    assert!(values[..=RATE].iter().all(Result::is_err), "{values:?}");
    tally.edge(edge(9));
    let values = tally.read(Mono::new(Duration::from_nanos(1)), 1e300);
    assert_eq!(values[..=RATE].iter().map(Result::is_ok).collect::<Vec<_>>(), [true, true, false]);
}

/// A line whose chip has been unplugged.
struct Dead;

impl InputLine for Dead {
    fn level(&mut self) -> Result<Level, HalError> {
        Err(HalError::Io { what: "GPIO27".to_owned(), error: "No such device".to_owned() })
    }
}

struct OnePulseThenDead;

impl Gpio for OnePulseThenDead {
    fn name(&self) -> &'static str {
        "dead"
    }

    fn input(&self, _: &InputConfig, sink: Option<EdgeSink>) -> Result<Box<dyn InputLine>, HalError> {
        let mut sink = sink.expect("a counter listens");
        sink(edge(0));
        Ok(Box::new(Dead))
    }

    fn output(&self, _: LineId, _: Active, _: Level) -> Result<Box<dyn OutputLine>, HalError> {
        Err(HalError::Unsupported("inputs only".to_owned()))
    }
}

#[test]
fn pulses_of_a_line_that_failed_are_handed_over_before_the_fault() {
    let hal = Hal { gpio: Arc::new(OnePulseThenDead), ..Sim::default().hal() };
    let mut sensor = open(&settings(RAIN), &hal);
    assert_eq!(sensor.measure().map(|values| values[0].clone()), Ok(Ok(0.2794)));
    assert_eq!(sensor.measure(), Err(Fault::Bus("GPIO27: No such device".to_owned())));
}

#[test]
fn scale_must_be_a_number_that_counts() {
    let with = |scale| Settings { scale, ..settings(RAIN) }.faults();
    for scale in [0.0, -0.0, f64::NAN, f64::INFINITY] {
        assert_eq!(with(scale).first().map(|(key, _)| *key), Some("scale"), "{scale}");
    }
    assert_eq!(with(-1.0), []);
    assert_eq!(settings(RAIN).edge, Edge::Falling);
}
