//! Pulses on a pin: a rain gauge, a water or electricity meter, an anemometer.
//!
//! Every edge is counted by the kernel's events, whenever it comes; the poll only asks how many there were. Pulses that the
//! kernel had to drop events for are counted as well: it tells how many. (An edge that comes while the interrupt of the one
//! before is still being served is seen by nobody.) What was counted but not yet asked for is handed over before a line
//! that has failed is given up, and when the daemon stops.
//!
//! **The total** goes on over a new opening and a restart, where the sender keeps one ([`crate::sensor::Total`]). It is kept in
//! pulses, so that a corrected `scale` corrects all of it. It is kept with each read that found pulses, and
//! before the sum of that read is handed over. So a killed daemon loses the pulses since the last read, in the total as in
//! the sum, and no pulse is counted twice; if it is killed between the two, the sum lacks one read that the total has.
//! What comes while no daemon runs is counted by nobody, in neither of them.
//!
//! A pulse is counted with the read that follows it, at most one `every` late. So a pulse shortly before the end of a slot may
//! be found in the next one; none is lost or counted twice, and an `every` that is short beside the slot makes it rare.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;

use super::input::{LONGEST_DEBOUNCE, line_faults, swallowed, watched};
use super::{Bus, Device, Measured, ReadingSender, Sensor, Source, Total};
use crate::entry::Reduce;
use crate::hal::sim::Sim;
use crate::hal::{Active, Bias, ChipName, Clock, Edge, EdgeEvent, Hal, InputConfig, InputLine, LineId};
use crate::reading::{Fault, Quantity};
use crate::time::Mono;

/// The keys of `use = "counter"`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Which pin, by its BCM number, up to 53; with `chip` the number on that chip.
    #[cfg_attr(feature = "docs", schemars(extend("examples" = [27])))]
    pub pin: u8,
    /// Whose line it is: the label of another GPIO chip, such as an expander, or where it sits (`"i2c-1:0x20"`) where two have the
    /// same label. `gatepost scan` lists them. Left out, it is the header's.
    #[serde(default)]
    #[cfg_attr(feature = "docs", schemars(with = "Option<String>", extend("examples" = ["mcp23017"])))]
    pub chip: Option<ChipName>,
    /// The built-in resistor. A contact to ground wants `"up"`.
    #[serde(default)]
    pub bias: Bias,
    /// Which change of the voltage is a pulse.
    #[serde(default = "falling")]
    pub edge: Edge,
    /// Changes that hold for less are nothing: contacts bounce for some milliseconds.
    #[serde(default, deserialize_with = "crate::time::duration")]
    #[cfg_attr(feature = "docs", schemars(schema_with = "super::input::debounce_schema", extend("default" = crate::time::shown(Duration::default()))))]
    pub debounce: Duration,
    /// How often the level is looked at, for a line whose chip reports no changes, as an expander without its interrupt wire. What
    /// is shorter may be missed. Left out, the kernel reports each change.
    #[serde(default, deserialize_with = "super::input::poll")]
    #[cfg_attr(feature = "docs", schemars(schema_with = "super::input::poll_schema"))]
    pub poll: Option<Duration>,
    /// After a counted pulse others are not counted for this long, as libraries for buttons do it. The pulse itself may be as short
    /// as it likes, unlike with `debounce`.
    #[serde(default, deserialize_with = "crate::time::duration")]
    #[cfg_attr(feature = "docs", schemars(schema_with = "super::input::debounce_schema", extend("default" = crate::time::shown(Duration::default()))))]
    pub ignore_after: Duration,
    /// What one pulse stands for, such as 0.2794 mm of rain or 0.001 kWh; not 0.
    #[serde(default = "one")]
    pub scale: f64,
}

const fn falling() -> Edge {
    Edge::Falling
}

const fn one() -> f64 {
    1.0
}

/// Reed contacts give pulses of a tenth of a second: whoever waits for longer than they last counts none.
const LONG_DEBOUNCE: Duration = Duration::from_millis(50);

/// The place of the total in [`Device::quantities`].
const TOTAL: usize = 1;

/// The place of the rate in [`Device::quantities`].
const RATE: usize = 2;

impl Settings {
    const fn line(&self) -> LineId {
        LineId { chip: self.chip, number: self.pin }
    }
}

impl Device for Settings {
    /// `sum`: since the last read. `total`: since the sensor's name was first in the map. `rate`: per minute, over the time since the last
    /// read. All in the unit of `scale`. `frequency`: of the pulses themselves, by their times. `missed`: how many of the pulses since
    /// the last read are known only by their number.
    fn quantities(&self) -> Vec<Quantity> {
        vec![
            Quantity::new("sum", "").reduced_by(Reduce::Sum).counting(self.scale),
            Quantity::new("total", "").reduced_by(Reduce::Last).counting(self.scale),
            // A thousandth of a pulse a minute is less than two of them a day.
            Quantity::new("rate", "/min").resolving(self.scale.abs() / 1000.0),
            Quantity::new("frequency", "Hz").resolving(0.001),
            Quantity::new("missed", "").reduced_by(Reduce::Sum).counting(1.0),
        ]
    }

    fn total(&self) -> Option<usize> {
        Some(TOTAL)
    }

    fn bus(&self) -> Bus {
        Bus::Kernel
    }

    fn lines(&self) -> Vec<LineId> {
        vec![self.line()]
    }

    fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = line_faults(self.line(), self.debounce, self.poll);
        if self.ignore_after > LONGEST_DEBOUNCE {
            faults.push(("ignore_after", format!("is longer than {} s", LONGEST_DEBOUNCE.as_secs())));
        }
        if !self.scale.is_finite() || self.scale == 0.0 {
            faults.push(("scale", "must be a number other than 0".to_owned()));
        }
        faults
    }

    fn swallows(&self) -> Option<String> {
        let short = swallowed(self.debounce, self.poll);
        let soon = (!self.ignore_after.is_zero())
            .then(|| format!("within {} of the one before", humantime::format_duration(self.ignore_after)));
        match (short, soon) {
            (Some(short), Some(soon)) => Some(format!("{short} or {soon}")),
            (short, soon) => short.or(soon),
        }
    }

    fn warnings(&self) -> Vec<(&'static str, String)> {
        let mut warnings = Vec::new();
        if self.debounce >= LONG_DEBOUNCE {
            let debounce = humantime::format_duration(self.debounce);
            let reason = format!("pulses shorter than {debounce} are not counted");
            let help =
                format!("contacts bounce for 20ms at most; `ignore_after = \"{debounce}\"` counts short ones too");
            warnings.push(("debounce", format!("{reason}\n{help}")));
        }
        warnings
    }

    fn open(&self, hal: &Hal, sender: ReadingSender) -> Result<Source, Fault> {
        let Self { pin: _, chip: _, bias, edge, debounce, poll, ignore_after, scale } = *self;
        let kept = sender.total().map_or(0, |total| total.kept());
        let line_id = self.line();
        let tally = Arc::new(Mutex::new(Tally::new(hal.clock.now().mono, kept).ignoring_after(ignore_after)));
        let counted = Arc::clone(&tally);
        let sink = Box::new(move |edge: EdgeEvent| {
            if let Some(lost) = locked(&counted).edge(edge) {
                log::warn!(line:% = line_id, lost; "pulses come faster than they can be taken; `missed` has their number");
            }
        });
        // Edges are physical, so the active level means nothing here.
        let config = InputConfig { line: line_id, bias, active: Active::High, edge, debounce };
        let line = watched(hal, &config, poll, sink)?;
        let total = sender.total().cloned();
        Ok(Source::Polled(Box::new(Counter { line, clock: Arc::clone(&hal.clock), tally, scale, total })))
    }

    /// Nothing to put: the simulated board has every pin, and whoever watches gives the pulses.
    fn simulate(&self, _sim: &Sim) {}
}

struct Counter {
    line: Box<dyn InputLine>,
    clock: Arc<dyn Clock>,
    tally: Arc<Mutex<Tally>>,
    scale: f64,
    total: Option<Arc<dyn Total>>,
}

impl Sensor for Counter {
    fn measure(&mut self) -> Result<Measured, Fault> {
        // The level itself is of no interest, but a line that cannot be read no longer counts either.
        let alive = self.line.level();
        let now = self.clock.now().mono;
        let (values, total) = {
            let mut tally = locked(&self.tally);
            match alive {
                Err(error) if tally.unread == 0 => return Err(error.into()),
                _ => (tally.read(now, self.scale), tally.total),
            }
        };
        self.keep(now, total);
        Ok(values)
    }

    fn last(&mut self) -> Option<Measured> {
        let now = self.clock.now().mono;
        let (values, total) = {
            let mut tally = locked(&self.tally);
            if tally.unread == 0 {
                return None;
            }
            (tally.rest(now, self.scale), tally.total)
        };
        self.keep(now, total);
        Some(values)
    }
}

impl Counter {
    /// Not while the tally is locked: edges must not wait for it.
    fn keep(&self, now: Mono, total: u64) {
        if let Some(kept) = &self.total {
            kept.keep(now, total);
        }
    }
}

fn locked(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What has been counted. Pure.
#[derive(Debug)]
struct Tally {
    total: u64,
    unread: u64,
    read_at: Mono,
    /// Events were lost since the last read, or between the two reads before: a spell that has been told of.
    losing: bool,
    lost_since_read: u64,
    ignore_after: Duration,
    /// The first and the newest pulse that were seen since the last read.
    seen: Option<(Mono, Mono)>,
    /// The newest pulse before that, and whether it came since the read before.
    before: Option<(Mono, bool)>,
}

impl Tally {
    const fn new(now: Mono, total: u64) -> Self {
        let ignore_after = Duration::ZERO;
        Self {
            total,
            unread: 0,
            read_at: now,
            losing: false,
            lost_since_read: 0,
            ignore_after,
            seen: None,
            before: None,
        }
    }

    const fn ignoring_after(mut self, ignore_after: Duration) -> Self {
        self.ignore_after = ignore_after;
        self
    }

    /// Whether it comes too soon after the last one that counted.
    fn is_too_soon(&self, at: Mono) -> bool {
        let last = self.seen.map(|(_, newest)| newest).or(self.before.map(|(newest, _)| newest));
        last.is_some_and(|last| at.since(last) < self.ignore_after)
    }

    /// Counts an edge and those lost before it. How many were lost, where that begins a spell of losses.
    fn edge(&mut self, edge: EdgeEvent) -> Option<u32> {
        if !self.is_too_soon(edge.at) {
            self.seen = Some((self.seen.map_or(edge.at, |(first, _)| first), edge.at));
            // Those that were lost may have been too soon as well: where that matters only what was seen counts.
            let pulses = if self.ignore_after.is_zero() { 1 + u64::from(edge.lost) } else { 1 };
            self.total = self.total.saturating_add(pulses);
            self.unread += pulses;
        }
        if edge.lost == 0 {
            return None;
        }
        self.lost_since_read += u64::from(edge.lost);
        let told = std::mem::replace(&mut self.losing, true);
        (!told).then_some(edge.lost)
    }

    /// Pulses a second: from the newest one of the last read to the newest one of this, or within this where the last had none. A
    /// single one after a pause has the pause's frequency, and the very first that of the read.
    fn frequency(&self, now: Mono) -> Result<f64, Fault> {
        let Some((first, newest)) = self.seen else { return Ok(0.0) };
        let (pulses, time) = match self.before {
            Some((before, is_recent)) if is_recent || first == newest => (self.unread, newest.since(before)),
            _ if first == newest => (self.unread, now.since(self.read_at)),
            _ => (self.unread - 1, newest.since(first)),
        };
        if time.is_zero() {
            return Err(Fault::Garbled("no time has passed between two pulses".to_owned()));
        }
        Ok(scaled(pulses, 1.0) / time.as_secs_f64())
    }

    /// All quantities.
    fn read(&mut self, now: Mono, scale: f64) -> Measured {
        let minutes = now.since(self.read_at).as_secs_f64() / 60.0;
        let sum = scaled(self.unread, scale);
        let rate = if minutes > 0.0 {
            Ok(sum / minutes)
        } else {
            Err(Fault::Garbled("no time has passed since the last read".to_owned()))
        };
        let frequency = self.frequency(now);
        self.before = match (self.seen.take(), self.before) {
            (Some((_, newest)), _) => Some((newest, true)),
            (None, before) => before.map(|(newest, _)| (newest, false)),
        };
        self.unread = 0;
        self.read_at = now;
        let missed = std::mem::take(&mut self.lost_since_read);
        self.losing = missed > 0;
        vec![
            finite(sum),
            finite(scaled(self.total, scale)),
            rate.and_then(finite),
            frequency.and_then(finite),
            Ok(scaled(missed, 1.0)),
        ]
    }

    /// Sum and total of what was never read. A moment that the stop has cut short says nothing of the rate: one pulse in
    /// it would be a storm.
    fn rest(&mut self, now: Mono, scale: f64) -> Measured {
        let mut values = self.read(now, scale);
        values[RATE] = Err(Fault::Garbled("too short a time for a rate".to_owned()));
        values
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 pulses: at a kilohertz, 285 thousand years")]
fn scaled(pulses: u64, scale: f64) -> f64 {
    pulses as f64 * scale
}

/// A scale near the end of what a number can hold must not make an infinite value.
fn finite(value: f64) -> Result<f64, Fault> {
    if value.is_finite() { Ok(value) } else { Err(Fault::OutOfRange("the scaled count is too large".to_owned())) }
}

#[cfg(test)]
mod tests {
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
            pulses.iter().for_each(|at| pulse(&mut tally, *at));
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
            [0, 1, 3, 120, 122].iter().for_each(|after| pulse(&mut tally, start + after));
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
}
