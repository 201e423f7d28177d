//! The level of a pin: a door contact, a button, a float switch.
//!
//! A change is told at once, with the time the kernel saw it. The level is also read now and then, so that the last word is
//! right even if an edge was missed.

mod times;

use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use self::times::Times;
use super::{Bus, Device, Measured, ReadingSender, Sensor, Source};
use crate::entry::Reduce;
use crate::hal::sim::Sim;
use crate::hal::{
    Active, Bias, ChipName, Clock, Edge, EdgeEvent, EdgeSink, Hal, HalError, InputConfig, InputLine, Level, LineId,
    OWN_CHIP, polled_input,
};
use crate::reading::{Fault, Quantity};

/// A contact bounces for milliseconds. Whoever asks for more than this has mistaken the unit, and the kernel counts in
/// microseconds that end soon after an hour.
pub(super) const LONGEST_DEBOUNCE: Duration = Duration::from_secs(60);

/// The place of the level in [`Device::quantities`].
const LEVEL: usize = 0;

/// A thousand looks a second are a tenth of a Zero's time; a button is pushed for less than a second.
const POLL: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(1);

/// The keys of `use = "input"`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The pin, by its BCM number, up to 53; with `chip` the line number on that chip.
    #[cfg_attr(feature = "docs", schemars(extend("examples" = [22]), transform = crate::hal::without_maximum))]
    pub pin: u8,
    /// Another GPIO chip, such as an expander, by its label. If two chips have the same label, write the place of one
    /// (`"i2c-1:0x20"`). `gatepost scan` lists them. Without this key: the header's.
    #[serde(default)]
    #[cfg_attr(feature = "docs", schemars(with = "Option<String>", extend("examples" = ["mcp23017"])))]
    pub chip: Option<ChipName>,
    /// The built-in resistor. A contact to ground needs `"up"`.
    #[serde(default)]
    pub bias: Bias,
    /// The voltage that means 1: a contact to ground is `"low"` when it is closed.
    #[serde(default)]
    pub active: Active,
    /// Shorter changes are ignored, since contacts bounce for some milliseconds.
    #[serde(default, deserialize_with = "crate::time::duration")]
    #[cfg_attr(feature = "docs", schemars(schema_with = "debounce_schema", extend("default" = crate::time::shown(Duration::default()))))]
    pub debounce: Duration,
    /// The interval for polling the level, for a chip that reports no changes, such as an expander without an interrupt
    /// wire. Shorter pulses may be missed. Without this key the kernel reports each change.
    #[serde(default, deserialize_with = "poll")]
    #[cfg_attr(feature = "docs", schemars(schema_with = "poll_schema", transform = without_default))]
    pub poll: Option<Duration>,
}

impl Settings {
    const fn line(&self) -> LineId {
        LineId { chip: self.chip, number: self.pin }
    }
}

impl Device for Settings {
    /// `level`: 0 or 1. `share`: of the time on since the last read, from 0 to 1. `since_change`: since the last change, or since
    /// the line is watched.
    fn quantities(&self) -> Vec<Quantity> {
        vec![
            // A mean of it is the share of the time that the level was 1, of which hundredths matter.
            Quantity::new("level", "").reduced_by(Reduce::Last).resolving(0.01),
            Quantity::new("share", "").resolving(0.001),
            Quantity::new("since_change", "s").reduced_by(Reduce::Last).resolving(0.1),
        ]
    }

    fn proof(&self) -> crate::sensor::Proof {
        crate::sensor::Proof::Kernel
    }

    fn bus(&self) -> Bus {
        Bus::Kernel
    }

    fn lines(&self) -> Vec<LineId> {
        vec![self.line()]
    }

    fn swallows(&self) -> Option<String> {
        swallowed(self.debounce, self.poll)
    }

    fn faults(&self) -> Vec<(&'static str, String)> {
        line_faults(self.line(), self.debounce, self.poll)
    }

    fn open(&self, hal: &Hal, sender: ReadingSender) -> Result<Source, Fault> {
        let Self { pin: _, chip: _, bias, active, debounce, poll } = *self;
        let config = InputConfig { line: self.line(), bias, active, edge: Edge::Both, debounce };
        let times = Arc::new(Mutex::new(Times::new(hal.clock.now().mono)));
        let seen = Arc::clone(&times);
        let sink = Box::new(move |edge: EdgeEvent| {
            locked(&seen).level(edge.at, edge.level.is_on());
            sender.put(LEVEL, edge.at, Ok(number(edge.level)));
        });
        let mut line = watched(hal, &config, poll, sink)?;
        let level = line.level()?;
        locked(&times).begin(level.is_on());
        Ok(Source::Polled(Box::new(Input { line, clock: Arc::clone(&hal.clock), times })))
    }

    /// Nothing to put: the simulated board has every pin, and whoever watches pushes the buttons.
    fn simulate(&self, _sim: &Sim) {}
}

/// The schema of `debounce`, which says its range too.
#[cfg(feature = "docs")]
pub(super) fn debounce_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let mut schema = crate::time::duration_schema(generator);
    schema.insert("x-range".to_owned(), format!("up to {}", crate::time::shown(LONGEST_DEBOUNCE)).into());
    schema
}

/// What is wrong with the keys that every device on an input line has.
pub(super) fn line_faults(line: LineId, debounce: Duration, poll: Option<Duration>) -> Vec<(&'static str, String)> {
    let mut faults = Vec::new();
    if let Some(reason) = line.fault() {
        faults.push(("pin", reason));
    }
    if let Some(reason) = line.chip.filter(ChipName::is_of_board).map(|_| OWN_CHIP) {
        faults.push(("chip", reason.to_owned()));
    }
    if debounce > LONGEST_DEBOUNCE {
        faults.push(("debounce", format!("is longer than {} s", LONGEST_DEBOUNCE.as_secs())));
    }
    if poll.is_some_and(|poll| !POLL.contains(&poll)) {
        faults.push(("poll", "is from 1ms to 1s".to_owned()));
    }
    faults
}

/// Requests a line whose edges go to `sink`: from the kernel, or looked for every `poll`.
pub(super) fn watched(
    hal: &Hal,
    config: &InputConfig,
    poll: Option<Duration>,
    sink: EdgeSink,
) -> Result<Box<dyn InputLine>, HalError> {
    match poll {
        Some(period) => polled_input(hal.gpio.as_ref(), &hal.clock, config, period, sink),
        None => hal.gpio.input(config, Some(sink)),
    }
}

/// Which pulses are not noticed.
pub(super) fn swallowed(debounce: Duration, poll: Option<Duration>) -> Option<String> {
    let shortest = debounce.max(poll.unwrap_or_default());
    (!shortest.is_zero()).then(|| format!("shorter than {}", humantime::format_duration(shortest)))
}

/// Reads `poll`.
pub(super) fn poll<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    crate::time::duration(deserializer).map(Some)
}

/// Leaves out a default that no map can write.
#[cfg(feature = "docs")]
pub(super) fn without_default(schema: &mut schemars::Schema) {
    schema.remove("default");
}

/// The schema of `poll`.
#[cfg(feature = "docs")]
pub(super) fn poll_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let mut schema = crate::time::duration_schema(generator);
    schema.insert("x-range".to_owned(), "1ms to 1s".into());
    schema.insert("examples".to_owned(), vec![crate::time::shown(Duration::from_millis(20))].into());
    schema
}

fn number(level: Level) -> f64 {
    f64::from(u8::from(level.is_on()))
}

struct Input {
    line: Box<dyn InputLine>,
    clock: Arc<dyn Clock>,
    times: Arc<Mutex<Times>>,
}

impl Sensor for Input {
    fn measure(&mut self) -> Result<Measured, Fault> {
        // Not while the times are locked: a line may report an edge as it is read.
        let level = self.line.level()?;
        let now = self.clock.now().mono;
        let mut times = locked(&self.times);
        times.level(now, level.is_on());
        let share = times.share(now);
        Ok(vec![Ok(number(level)), Ok(share), Ok(now.since(times.changed).as_secs_f64())])
    }
}

fn locked(times: &Mutex<Times>) -> MutexGuard<'_, Times> {
    times.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::hal::ManualClock;
    use crate::time::Mono;

    fn settings(json: &str) -> Result<Settings, serde_json::Error> {
        serde_json::from_str(json)
    }

    fn level(sensor: &mut Box<dyn Sensor>) -> Result<f64, Fault> {
        sensor.measure()?.swap_remove(LEVEL)
    }

    #[test]
    fn share_of_the_time_on_and_the_time_since_the_change_come_from_the_edges() {
        let clock = Arc::new(ManualClock::default());
        let sim = Sim::with_clock(None, Arc::clone(&clock) as Arc<dyn Clock>).expect("no folder");
        let pump = settings(r#"{ "pin": 22 }"#).expect("good keys");
        let opened = pump.open(&sim.hal(), ReadingSender::new(|_, _, _| ()));
        let Ok(Source::Polled(mut sensor)) = opened else { panic!("it is polled") };
        let after = |seconds, high| {
            clock.advance(Duration::from_secs(seconds));
            sim.set_pin(pump.line(), high);
        };
        after(2, true);
        after(1, false);
        after(2, true);
        clock.advance(Duration::from_secs(5));
        assert_eq!(sensor.measure(), Ok(vec![Ok(1.0), Ok(0.6), Ok(5.0)]));
        clock.advance(Duration::from_secs(10));
        assert_eq!(sensor.measure(), Ok(vec![Ok(1.0), Ok(1.0), Ok(15.0)]));
        after(5, false);
        clock.advance(Duration::from_secs(5));
        assert_eq!(sensor.measure(), Ok(vec![Ok(0.0), Ok(0.5), Ok(5.0)]));
        assert_eq!(sensor.measure(), Ok(vec![Ok(0.0), Ok(0.0), Ok(5.0)]), "no time has passed");
    }

    #[test]
    fn plan_says_which_pulses_are_not_noticed() {
        let swallows = |json| settings(json).expect("good keys").swallows();
        assert_eq!(swallows(r#"{ "pin": 22 }"#), None);
        assert_eq!(swallows(r#"{ "pin": 22, "debounce": "20ms" }"#).as_deref(), Some("shorter than 20ms"));
        let polled = r#"{ "pin": 22, "debounce": "5ms", "poll": "50ms" }"#;
        assert_eq!(swallows(polled).as_deref(), Some("shorter than 50ms"));
    }

    #[test]
    fn change_is_told_at_once_and_the_poll_agrees() {
        let door = settings(r#"{ "pin": 22, "bias": "up", "active": "low" }"#).expect("good keys");
        let sim = Sim::default();
        door.simulate(&sim);
        let (tell, told) = channel();
        let sender =
            ReadingSender::new(move |quantity, at, value| tell.send((quantity, at, value)).unwrap_or_default());
        let Ok(Source::Polled(mut sensor)) = door.open(&sim.hal(), sender) else { panic!("it is polled") };
        assert_eq!(level(&mut sensor), Ok(0.0));
        sim.set_pin(LineId::header(22), false);
        let (quantity, at, value) = told.try_recv().expect("without a poll");
        assert_eq!((quantity, value), (0, Ok(1.0)));
        assert!(at > Mono::default());
        assert_eq!(level(&mut sensor), Ok(1.0));
    }

    #[test]
    fn polled_line_tells_of_a_change_between_two_reads() {
        let door = settings(r#"{ "pin": 3, "chip": "mcp23017", "active": "low", "bias": "up", "poll": "1ms" }"#);
        let door = door.expect("good keys");
        let sim = Sim::default();
        let (tell, told) = channel();
        let sender = ReadingSender::new(move |quantity, _, value| tell.send((quantity, value)).unwrap_or_default());
        let opened = door.open(&sim.hal(), sender);
        assert!(matches!(opened, Ok(Source::Polled(_))));
        sim.set_pin(door.line(), false);
        assert_eq!(told.recv_timeout(Duration::from_secs(60)), Ok((0, Ok(1.0))));
    }

    #[test]
    fn pin_in_use_is_a_fault_that_can_heal() {
        let door = settings(r#"{ "pin": 22 }"#).expect("good keys");
        let sim = Sim::default();
        let holder = sim.hal().gpio.output(LineId::header(22), Active::High, Level::Off).expect("free");
        let open = || door.open(&sim.hal(), ReadingSender::new(|_, _, _| ())).err();
        assert_eq!(open(), Some(Fault::Bus("GPIO22 is in use by another program".to_owned())));
        drop(holder);
        assert_eq!(open(), None);
    }

    #[test]
    fn keys_are_strict() {
        assert!(settings(r#"{ "pin": 22, "pull": "up" }"#).is_err());
        assert!(settings(r#"{ "pin": -1 }"#).is_err());
        let error = settings(r#"{ "pin": 22, "debounce": 20 }"#).expect_err("no unit");
        assert!(error.to_string().contains("needs its unit"), "{error}");
        let faults = settings(r#"{ "pin": 99, "debounce": "2h" }"#).expect("well formed").faults();
        assert_eq!(faults.iter().map(|(key, _)| *key).collect::<Vec<_>>(), ["pin", "debounce"]);
        let faults = settings(r#"{ "pin": 99, "chip": "pinctrl-rp1", "poll": "2s" }"#).expect("well formed").faults();
        assert_eq!(faults.iter().map(|(key, _)| *key).collect::<Vec<_>>(), ["chip", "poll"]);
        assert_eq!(settings(r#"{ "pin": 53, "debounce": "1m" }"#).expect("good keys").faults(), []);
    }
}
