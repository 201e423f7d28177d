//! Edges of a line whose chip reports none: the level is looked at again and again. An I2C expander has an interrupt output, but
//! many boards leave it unconnected.
//!
//! What is shorter than the time between two looks may be missed, and an edge's time is that of the look that found it. So polling is
//! never begun unless the map says so. [`PolledEdges`] decides and is pure; a thread looks.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::debounce::Debounce;
use super::{Active, Clock, Edge, EdgeEvent, EdgeSink, Gpio, HalError, InputConfig, InputLine, Level};
use crate::time::Mono;

/// Requests an input whose edges are found by looking at it every `period`. They go to `sink` until the line is dropped.
///
/// # Errors
/// As for [`Gpio::input`].
pub fn polled_input(
    gpio: &dyn Gpio,
    clock: &Arc<dyn Clock>,
    config: &InputConfig,
    period: Duration,
    sink: EdgeSink,
) -> Result<Box<dyn InputLine>, HalError> {
    // The resistor and the claim are the kernel's; debouncing needs the interrupt that there is none of.
    let bare = InputConfig { debounce: Duration::ZERO, edge: Edge::Both, active: Active::High, ..*config };
    let mut line = gpio.input(&bare, None)?;
    let high = line.level()?.is_on();
    let edges = PolledEdges::new(config, high);
    let shared =
        Arc::new(Shared { looked: Mutex::new(Looked { line, edges, sink, stop: false }), told: Condvar::new() });
    let (looking, clock) = (Arc::clone(&shared), Arc::clone(clock));
    let name = format!("poll-{}", config.line.file_name());
    let thread = thread::Builder::new().name(name).spawn({
        let clock = Arc::clone(&clock);
        move || look_every(period, &looking, clock.as_ref())
    });
    let thread = thread.map_err(|error| HalError::Io { what: config.line.to_string(), error: error.to_string() })?;
    Ok(Box::new(PolledLine { shared, clock, active: config.active, thread: Some(thread) }))
}

/// Which looks are edges.
#[derive(Debug)]
struct PolledEdges {
    debounce: Debounce,
    active: Active,
    edge: Edge,
}

impl PolledEdges {
    fn new(config: &InputConfig, high: bool) -> Self {
        Self { debounce: Debounce::new(config.debounce, high), active: config.active, edge: config.edge }
    }

    fn look(&mut self, now: Mono, high: bool) -> Option<EdgeEvent> {
        let changed = self.debounce.sample(now, high) && self.edge.reports(high);
        changed.then(|| EdgeEvent { at: now, level: self.active.level(high), lost: 0 })
    }
}

struct Shared {
    looked: Mutex<Looked>,
    told: Condvar,
}

struct Looked {
    line: Box<dyn InputLine>,
    edges: PolledEdges,
    sink: EdgeSink,
    stop: bool,
}

impl Looked {
    fn look(&mut self, now: Mono) -> Result<(), HalError> {
        let high = self.line.level()?.is_on();
        if let Some(edge) = self.edges.look(now, high) {
            (self.sink)(edge);
        }
        Ok(())
    }
}

fn locked(shared: &Shared) -> MutexGuard<'_, Looked> {
    shared.looked.lock().unwrap_or_else(PoisonError::into_inner)
}

fn look_every(period: Duration, shared: &Shared, clock: &dyn Clock) {
    let mut looked = locked(shared);
    while !looked.stop {
        // The next read of the sensor meets the same error and reports it.
        let _ = looked.look(clock.now().mono);
        looked = shared.told.wait_timeout(looked, period).unwrap_or_else(PoisonError::into_inner).0;
    }
}

struct PolledLine {
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    active: Active,
    thread: Option<JoinHandle<()>>,
}

impl InputLine for PolledLine {
    fn level(&mut self) -> Result<Level, HalError> {
        let mut looked = locked(&self.shared);
        looked.look(self.clock.now().mono)?;
        Ok(self.active.level(looked.edges.debounce.is_high()))
    }
}

impl Drop for PolledLine {
    /// Waits for the thread: the line is free for the next opener when both are gone.
    fn drop(&mut self) {
        locked(&self.shared).stop = true;
        self.shared.told.notify_all();
        if let Some(thread) = self.thread.take() {
            // A sink that panicked has been reported by its thread; there is nobody to tell here.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::hal::sim::Sim;
    use crate::hal::{Bias, LineId, ManualClock};

    fn config(debounce: u64) -> InputConfig {
        let line = LineId { chip: Some("mcp23017".parse().expect("a name")), number: 3 };
        let debounce = Duration::from_millis(debounce);
        InputConfig { line, bias: Bias::Up, active: Active::Low, edge: Edge::Both, debounce }
    }

    /// The edges at these looks, a look every 20 ms.
    fn edges(config: &InputConfig, looks: &[bool]) -> Vec<(usize, Level)> {
        let mut edges = PolledEdges::new(config, true);
        let at = |look: usize| Mono::new(Duration::from_millis(20) * u32::try_from(look).expect("few looks"));
        let look = |(look, high): (usize, &bool)| edges.look(at(look), *high).map(|edge| (look, edge.level));
        looks.iter().enumerate().filter_map(look).collect()
    }

    #[test]
    fn change_between_two_looks_is_an_edge_with_the_logical_level() {
        let looks = [true, false, false, true];
        assert_eq!(edges(&config(0), &looks), [(1, Level::On), (3, Level::Off)]);
        let falling = InputConfig { edge: Edge::Falling, ..config(0) };
        assert_eq!(edges(&falling, &looks), [(1, Level::On)]);
    }

    #[test]
    fn what_holds_for_less_than_the_debounce_is_no_edge() {
        assert_eq!(edges(&config(40), &[true, false, true, false, false, false]), [(5, Level::On)]);
    }

    #[test]
    fn edges_come_without_a_read_and_the_read_agrees() {
        let sim = Sim::with_clock(None, Arc::new(ManualClock::default())).expect("no folder");
        let hal = sim.hal();
        let (tell, told) = channel();
        let sink = Box::new(move |edge: EdgeEvent| tell.send(edge.level).unwrap_or_default());
        let config = config(0);
        let period = Duration::from_millis(1);
        let mut line = polled_input(hal.gpio.as_ref(), &hal.clock, &config, period, sink).expect("a free line");
        assert_eq!(line.level(), Ok(Level::Off), "pulled up, and low is on");
        sim.set_pin(config.line, false);
        assert_eq!(told.recv_timeout(Duration::from_secs(60)), Ok(Level::On));
        assert_eq!(line.level(), Ok(Level::On));
        drop(line);
        assert!(told.recv().is_err(), "nobody looks any more");
        assert!(hal.gpio.output(config.line, Active::High, Level::Off).is_ok(), "and the line is free");
    }
}
