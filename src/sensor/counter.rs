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

mod tally;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;

use self::tally::Tally;
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
    /// The pin, by its BCM number, up to 53; with `chip` the line number on that chip.
    #[cfg_attr(feature = "docs", schemars(extend("examples" = [27]), transform = crate::hal::without_maximum))]
    pub pin: u8,
    /// Another GPIO chip, such as an expander, by its label. If two chips have the same label, write the place of one
    /// (`"i2c-1:0x20"`). `gatepost scan` lists them. Without this key: the header's.
    #[serde(default)]
    #[cfg_attr(feature = "docs", schemars(with = "Option<String>", extend("examples" = ["mcp23017"])))]
    pub chip: Option<ChipName>,
    /// The built-in resistor. A contact to ground needs `"up"`.
    #[serde(default)]
    pub bias: Bias,
    /// The change of the voltage that counts as a pulse.
    #[serde(default = "falling")]
    pub edge: Edge,
    /// Shorter changes are ignored, since contacts bounce for some milliseconds.
    #[serde(default, deserialize_with = "crate::time::duration")]
    #[cfg_attr(feature = "docs", schemars(schema_with = "super::input::debounce_schema", extend("default" = crate::time::shown(Duration::default()))))]
    pub debounce: Duration,
    /// The interval for polling the level, for a chip that reports no changes, such as an expander without an interrupt
    /// wire. Shorter pulses may be missed. Without this key the kernel reports each change.
    #[serde(default, deserialize_with = "super::input::poll")]
    #[cfg_attr(feature = "docs", schemars(schema_with = "super::input::poll_schema", transform = super::input::without_default))]
    pub poll: Option<Duration>,
    /// After a counted pulse, further pulses are ignored for this long. Unlike with `debounce`, the pulse itself may be
    /// short.
    #[serde(default, deserialize_with = "crate::time::duration")]
    #[cfg_attr(feature = "docs", schemars(schema_with = "super::input::debounce_schema", extend("default" = crate::time::shown(Duration::default()))))]
    pub ignore_after: Duration,
    /// The value of one pulse, such as 0.2794 mm of rain or 0.001 kWh; not 0.
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

    fn proof(&self) -> crate::sensor::Proof {
        crate::sensor::Proof::Kernel
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
