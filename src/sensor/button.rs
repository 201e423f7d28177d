//! A push button: how often it was pressed shortly, long, or twice in a row.
//!
//! A press counts when it ends, since only then it is known how long it was. Each short one counts as `press` at once, whether or
//! not another follows: nobody waits for a second press that does not come. The second of two counts as `double` besides.
//!
//! Edges that are not there heal themselves: a release whose push was not seen ends nothing.

use std::time::Duration;

use serde::Deserialize;

use super::input::{line_faults, swallowed, watched};
use super::{Bus, Device, Measured, ReadingSender, Sensor, Source};
use crate::entry::Reduce;
use crate::hal::sim::Sim;
use crate::hal::{Active, Bias, ChipName, Edge, EdgeEvent, Hal, InputConfig, InputLine, LineId};
use crate::reading::{Fault, Quantity};
use crate::time::Mono;

/// The keys of `use = "button"`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The pin, by its BCM number, up to 53; with `chip` the line number on that chip.
    #[cfg_attr(feature = "docs", schemars(extend("examples" = [6]), transform = crate::hal::without_maximum))]
    pub pin: u8,
    /// Another GPIO chip, such as an expander, by its label. If two chips have the same label, write the place of one
    /// (`"i2c-1:0x20"`). `gatepost scan` lists them. Without this key: the header's.
    #[serde(default)]
    #[cfg_attr(feature = "docs", schemars(with = "Option<String>", extend("examples" = ["mcp23017"])))]
    pub chip: Option<ChipName>,
    /// The built-in resistor. A button to 3.3 V needs `"down"`.
    #[serde(default = "up")]
    pub bias: Bias,
    /// The voltage while it is pressed.
    #[serde(default = "low")]
    pub active: Active,
    /// Shorter changes are ignored, since contacts bounce for some milliseconds.
    #[serde(default = "debounce", deserialize_with = "crate::time::duration")]
    #[cfg_attr(feature = "docs", schemars(schema_with = "super::input::debounce_schema", extend("default" = crate::time::shown(debounce()))))]
    pub debounce: Duration,
    /// The interval for polling the level, for a chip that reports no changes, such as an expander without an interrupt
    /// wire. Shorter pulses may be missed. Without this key the kernel reports each change.
    #[serde(default, deserialize_with = "super::input::poll")]
    #[cfg_attr(feature = "docs", schemars(schema_with = "super::input::poll_schema", transform = super::input::without_default))]
    pub poll: Option<Duration>,
    /// A press of at least this long is a long one.
    #[serde(default = "long", deserialize_with = "crate::time::duration")]
    #[cfg_attr(feature = "docs", schemars(schema_with = "crate::time::duration_schema", extend("default" = crate::time::shown(long()))))]
    pub long: Duration,
    /// Two short presses are a double one if the second begins within this time after the end of the first.
    #[serde(default = "double", deserialize_with = "crate::time::duration")]
    #[cfg_attr(feature = "docs", schemars(schema_with = "crate::time::duration_schema", extend("default" = crate::time::shown(double()))))]
    pub double: Duration,
}

const fn up() -> Bias {
    Bias::Up
}

const fn low() -> Active {
    Active::Low
}

const fn debounce() -> Duration {
    Duration::from_millis(20)
}

const fn long() -> Duration {
    Duration::from_secs(1)
}

const fn double() -> Duration {
    Duration::from_millis(400)
}

/// The places in [`Device::quantities`].
const PRESS: usize = 0;
const LONG: usize = 1;
const DOUBLE: usize = 2;

impl Settings {
    const fn line(&self) -> LineId {
        LineId { chip: self.chip, number: self.pin }
    }
}

impl Device for Settings {
    /// `press`: short presses. `long`: long ones. `double`: pairs of short ones. Each is 1 when it happens.
    fn quantities(&self) -> Vec<Quantity> {
        ["press", "long", "double"].map(|name| Quantity::new(name, "").reduced_by(Reduce::Sum).counting(1.0)).to_vec()
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
        let mut faults = line_faults(self.line(), self.debounce, self.poll);
        if self.long <= self.debounce {
            faults.push(("long", "is not longer than `debounce`: no press would be a short one".to_owned()));
        }
        faults
    }

    fn open(&self, hal: &Hal, sender: ReadingSender) -> Result<Source, Fault> {
        let mut presses = Presses::new(self.long, self.double);
        let sink = Box::new(move |edge: EdgeEvent| {
            for quantity in presses.edge(edge.at, edge.level.is_on()) {
                sender.put(quantity, edge.at, Ok(1.0));
            }
        });
        let (line, bias, active, debounce) = (self.line(), self.bias, self.active, self.debounce);
        let config = InputConfig { line, bias, active, edge: Edge::Both, debounce };
        Ok(Source::Polled(Box::new(Button { line: watched(hal, &config, self.poll, sink)? })))
    }

    /// Nothing to put: the simulated board has every pin, and whoever watches pushes the buttons.
    fn simulate(&self, _sim: &Sim) {}
}

struct Button {
    line: Box<dyn InputLine>,
}

impl Sensor for Button {
    /// Presses come by themselves. The read says that there were no others, unless the line is gone.
    fn measure(&mut self) -> Result<Measured, Fault> {
        self.line.level()?;
        Ok(vec![Ok(0.0); 3])
    }
}

/// What pushes and releases make. Pure.
#[derive(Debug)]
struct Presses {
    long: Duration,
    double: Duration,
    pushed: Option<Mono>,
    /// When a short press ended that has no partner yet.
    single: Option<Mono>,
}

impl Presses {
    const fn new(long: Duration, double: Duration) -> Self {
        Self { long, double, pushed: None, single: None }
    }

    /// Takes a change; the quantities that happened by it.
    fn edge(&mut self, at: Mono, on: bool) -> Vec<usize> {
        if on {
            self.pushed = Some(at);
            return Vec::new();
        }
        let Some(pushed) = self.pushed.take() else { return Vec::new() };
        if at.since(pushed) >= self.long {
            self.single = None;
            return vec![LONG];
        }
        let is_second = self.single.take().is_some_and(|ended| pushed.since(ended) <= self.double);
        if is_second {
            return vec![PRESS, DOUBLE];
        }
        self.single = Some(at);
        vec![PRESS]
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::channel;

    use super::*;
    use crate::hal::{Clock, ManualClock};

    fn settings(json: &str) -> Settings {
        serde_json::from_str(json).expect("good keys")
    }

    /// What happens at these pushes and releases, in milliseconds.
    fn happens(edges: &[(u64, bool)]) -> Vec<(u64, usize)> {
        let mut presses = Presses::new(long(), double());
        let at = |millis| Mono::new(Duration::from_millis(millis));
        let mut happened = Vec::new();
        for (millis, on) in edges {
            happened.extend(presses.edge(at(*millis), *on).into_iter().map(|quantity| (*millis, quantity)));
        }
        happened
    }

    #[test]
    fn short_and_long_presses_count_when_they_end() {
        assert_eq!(happens(&[(0, true), (999, false)]), [(999, PRESS)]);
        assert_eq!(happens(&[(0, true), (1000, false)]), [(1000, LONG)]);
    }

    #[test]
    fn second_short_press_in_time_is_a_double_one_and_a_third_begins_anew() {
        let two = [(0, true), (100, false), (500, true), (600, false)];
        assert_eq!(happens(&two), [(100, PRESS), (600, PRESS), (600, DOUBLE)]);
        let late = [(0, true), (100, false), (501, true), (600, false)];
        assert_eq!(happens(&late), [(100, PRESS), (600, PRESS)]);
        let three = [(0, true), (100, false), (200, true), (300, false), (400, true), (500, false)];
        assert_eq!(happens(&three), [(100, PRESS), (300, PRESS), (300, DOUBLE), (500, PRESS)]);
    }

    #[test]
    fn long_press_is_no_part_of_a_double_one() {
        let edges = [(0, true), (100, false), (200, true), (1300, false), (1400, true), (1500, false)];
        assert_eq!(happens(&edges), [(100, PRESS), (1300, LONG), (1500, PRESS)]);
    }

    #[test]
    fn release_without_a_push_is_nothing_and_a_push_seen_twice_is_the_last() {
        assert_eq!(happens(&[(5, false), (10, false)]), []);
        assert_eq!(happens(&[(0, true), (2000, true), (2100, false)]), [(2100, PRESS)]);
    }

    #[test]
    fn press_is_told_at_once_and_a_read_adds_none() {
        let clock = Arc::new(ManualClock::default());
        let sim = Sim::with_clock(None, Arc::clone(&clock) as Arc<dyn Clock>).expect("no folder");
        let (tell, told) = channel();
        let sender = ReadingSender::new(move |quantity, _, value| tell.send((quantity, value)).unwrap_or_default());
        let bell = settings(r#"{ "pin": 5, "debounce": "0s" }"#);
        let Ok(Source::Polled(mut sensor)) = bell.open(&sim.hal(), sender) else { panic!("it is polled") };
        sim.set_pin(LineId::header(5), false);
        clock.advance(Duration::from_secs(2));
        sim.set_pin(LineId::header(5), true);
        assert_eq!(told.try_recv(), Ok((LONG, Ok(1.0))));
        assert!(told.try_recv().is_err());
        assert_eq!(sensor.measure(), Ok(vec![Ok(0.0); 3]));
    }

    #[test]
    fn long_press_must_outlast_the_bouncing() {
        let faults = settings(r#"{ "pin": 5, "long": "20ms" }"#).faults();
        assert_eq!(faults.iter().map(|(key, _)| *key).collect::<Vec<_>>(), ["long"]);
        assert_eq!(settings(r#"{ "pin": 5, "long": "21ms" }"#).faults(), []);
    }
}
