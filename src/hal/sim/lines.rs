//! The simulated lines: who holds them, what level they have, and the thread that watches the inputs.
//!
//! The physical level is the truth; active-low and debouncing are applied on the way to the driver, as the kernel does. One thread
//! watches all inputs, and only while there are any: it looks at their files, and ends a debounce period that nobody
//! else would notice the end of. Sinks are called under the lock, so that edges arrive in order: a sink must not
//! use the simulation.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::folder::{Content, Folder, Terminal};
use super::locked;
use crate::hal::debounce::Debounce;
use crate::hal::{
    Active, Bias, Clock, Edge, EdgeEvent, EdgeSink, Gpio, HalError, InputConfig, InputLine, Level, LineId, OutputLine,
};
use crate::time::Mono;

/// Quick enough for a button pushed by a script, and cheap enough for a laptop's battery.
const WATCH_EVERY: Duration = Duration::from_millis(50);

/// Every line of the simulated board.
pub(super) struct Lines {
    clock: Arc<dyn Clock>,
    folder: Option<Arc<Folder>>,
    board: Mutex<Board>,
    /// Told when an input comes or goes, or begins to bounce.
    changed: Condvar,
}

#[derive(Default)]
struct Board {
    lines: BTreeMap<LineId, Line>,
    watched: bool,
}

struct Line {
    /// Whether it is at 3.3 V.
    high: bool,
    holder: Holder,
}

enum Holder {
    Nobody,
    Input(Input),
    Output,
}

struct Input {
    debounce: Debounce,
    active: Active,
    edge: Edge,
    sink: Option<EdgeSink>,
    /// The last content that was no level, so that it is logged once.
    rubbish: Option<String>,
}

impl Lines {
    pub(super) fn new(clock: Arc<dyn Clock>, folder: Option<Arc<Folder>>) -> Self {
        Self { clock, folder, board: Mutex::default(), changed: Condvar::new() }
    }

    /// Puts a voltage on a line from outside. An output wins against it.
    pub(super) fn set_pin(&self, pin: LineId, high: bool) {
        let mut board = locked(&self.board);
        let line = board.lines.entry(pin).or_insert(Line { high, holder: Holder::Nobody });
        if matches!(line.holder, Holder::Output) {
            return;
        }
        line.high = high;
        if let Some(folder) = &self.folder
            && let Err(error) = folder.write_level(pin, high)
        {
            log::warn!(pin:%, error:%; "pin file cannot be written");
        }
        line.look(pin, self.clock.now().mono, None);
        self.changed.notify_all();
    }

    /// The voltage on a line, if anybody has ever put one there.
    pub(super) fn pin(&self, pin: LineId) -> Option<bool> {
        let mut board = locked(&self.board);
        let line = board.lines.get_mut(&pin)?;
        line.look(pin, self.clock.now().mono, self.folder.as_deref());
        Some(line.high)
    }

    /// Looks at every input now instead of when the watching thread does.
    pub(super) fn look(&self) {
        locked(&self.board).look(self.clock.now().mono, self.folder.as_deref());
    }

    fn request_input(self: &Arc<Self>, config: &InputConfig, sink: Option<EdgeSink>) -> Result<SimInput, HalError> {
        let pin = config.line;
        let mut board = locked(&self.board);
        let known = board.free(pin)?;
        let left = self.folder.as_ref().map_or(Content::Nothing, |folder| folder.read(pin));
        let high = match left {
            Content::High(high) => high,
            Content::Nothing | Content::Invalid(_) => known.unwrap_or(config.bias == Bias::Up),
        };
        if let Some(folder) = &self.folder {
            folder
                .write_level(pin, high)
                .and_then(|()| folder.describe(Terminal::Line(pin), role_of_input(config)))
                .map_err(|error| unwritable(folder, pin, &error))?;
        }
        if !board.watched {
            let lines = Arc::clone(self);
            let thread = thread::Builder::new().name("sim-pins".to_owned()).spawn(move || lines.watch());
            thread.map_err(|error| HalError::Io { what: pin.to_string(), error: error.to_string() })?;
            board.watched = true;
        }
        let debounce = Debounce::new(config.debounce, high);
        let input = Input { debounce, active: config.active, edge: config.edge, sink, rubbish: None };
        board.lines.insert(pin, Line { high, holder: Holder::Input(input) });
        self.changed.notify_all();
        Ok(SimInput { lines: Arc::clone(self), pin })
    }

    fn request_output(self: &Arc<Self>, pin: LineId, active: Active, initial: Level) -> Result<SimOutput, HalError> {
        let mut board = locked(&self.board);
        board.free(pin)?;
        let high = active.is_high(initial);
        if let Some(folder) = &self.folder {
            folder
                .write_level(pin, high)
                .and_then(|()| folder.describe(Terminal::Line(pin), format!("output, {}", meaning(active))))
                .map_err(|error| unwritable(folder, pin, &error))?;
        }
        board.lines.insert(pin, Line { high, holder: Holder::Output });
        Ok(SimOutput { lines: Arc::clone(self), pin, active })
    }

    fn release(&self, pin: LineId) {
        if let Some(line) = locked(&self.board).lines.get_mut(&pin) {
            line.holder = Holder::Nobody;
        }
        self.changed.notify_all();
    }

    /// The watching thread: until no input is left.
    fn watch(&self) {
        let mut board = locked(&self.board);
        while board.lines.values().any(Line::is_input) {
            board.look(self.clock.now().mono, self.folder.as_deref());
            let pause = match (board.pending(), &self.folder) {
                (Some(period), _) => Some(period.clamp(Duration::from_millis(1), WATCH_EVERY)),
                (None, Some(_)) => Some(WATCH_EVERY),
                (None, None) => None,
            };
            board = match pause {
                Some(pause) => self.changed.wait_timeout(board, pause).unwrap_or_else(PoisonError::into_inner).0,
                None => self.changed.wait(board).unwrap_or_else(PoisonError::into_inner),
            };
        }
        board.watched = false;
    }
}

impl Board {
    /// The level of a line that may be requested, if it has one.
    fn free(&self, pin: LineId) -> Result<Option<bool>, HalError> {
        if pin.fault().is_some() {
            return Err(HalError::NoSuchLine { what: pin.to_string() });
        }
        match self.lines.get(&pin) {
            Some(Line { holder: Holder::Input(_) | Holder::Output, .. }) => {
                Err(HalError::Busy { what: pin.to_string() })
            }
            line => Ok(line.map(|line| line.high)),
        }
    }

    fn look(&mut self, now: Mono, folder: Option<&Folder>) {
        for (pin, line) in &mut self.lines {
            line.look(*pin, now, folder);
        }
    }

    /// The shortest debounce period that is running.
    fn pending(&self) -> Option<Duration> {
        self.lines.values().filter_map(|line| line.input()?.debounce.pending()).min()
    }
}

impl Line {
    fn is_input(&self) -> bool {
        self.input().is_some()
    }

    fn input(&self) -> Option<&Input> {
        match &self.holder {
            Holder::Input(input) => Some(input),
            Holder::Nobody | Holder::Output => None,
        }
    }

    /// Takes over what the input's file says, and reports an edge where that makes one.
    fn look(&mut self, pin: LineId, now: Mono, folder: Option<&Folder>) {
        let Holder::Input(input) = &mut self.holder else { return };
        match folder.map_or(Content::Nothing, |folder| folder.read(pin)) {
            Content::High(high) => {
                self.high = high;
                input.rubbish = None;
            }
            Content::Nothing => {}
            Content::Invalid(content) => {
                if input.rubbish.as_ref() != Some(&content) {
                    log::warn!(pin:%, content:?; "pin file holds neither 0 nor 1");
                    input.rubbish = Some(content);
                }
            }
        }
        if input.debounce.sample(now, self.high)
            && input.edge.reports(self.high)
            && let Some(sink) = &mut input.sink
        {
            sink(EdgeEvent { at: now, level: input.active.level(self.high), lost: 0 });
        }
    }
}

fn role_of_input(config: &InputConfig) -> String {
    let bias = match config.bias {
        Bias::None => "",
        Bias::Up => ", pulled up",
        Bias::Down => ", pulled down",
    };
    let meaning = match config.edge {
        Edge::Both => meaning(config.active),
        Edge::Rising => "each change from 0 to 1 is an event",
        Edge::Falling => "each change from 1 to 0 is an event",
    };
    format!("input{bias}, {meaning}")
}

const fn meaning(active: Active) -> &'static str {
    match active {
        Active::High => "1 means on",
        Active::Low => "0 means on",
    }
}

fn unwritable(folder: &Folder, pin: LineId, error: &std::io::Error) -> HalError {
    let what = folder.path_of(Terminal::Line(pin)).display().to_string();
    HalError::Io { what, error: error.to_string() }
}

/// The lines as the drivers see them.
pub(super) struct SimGpio(pub(super) Arc<Lines>);

impl Gpio for SimGpio {
    fn name(&self) -> &'static str {
        "sim"
    }

    fn input(&self, config: &InputConfig, sink: Option<EdgeSink>) -> Result<Box<dyn InputLine>, HalError> {
        Ok(Box::new(self.0.request_input(config, sink)?))
    }

    fn output(&self, pin: LineId, active: Active, initial: Level) -> Result<Box<dyn OutputLine>, HalError> {
        Ok(Box::new(self.0.request_output(pin, active, initial)?))
    }
}

struct SimInput {
    lines: Arc<Lines>,
    pin: LineId,
}

impl InputLine for SimInput {
    fn level(&mut self) -> Result<Level, HalError> {
        let mut board = locked(&self.lines.board);
        let line = board.lines.get_mut(&self.pin).expect("lines are never forgotten");
        line.look(self.pin, self.lines.clock.now().mono, self.lines.folder.as_deref());
        let input = line.input().expect("this input holds the line");
        Ok(input.active.level(input.debounce.is_high()))
    }
}

impl Drop for SimInput {
    fn drop(&mut self) {
        self.lines.release(self.pin);
    }
}

struct SimOutput {
    lines: Arc<Lines>,
    pin: LineId,
    active: Active,
}

impl OutputLine for SimOutput {
    fn set(&mut self, level: Level) -> Result<(), HalError> {
        let mut board = locked(&self.lines.board);
        let line = board.lines.get_mut(&self.pin).expect("lines are never forgotten");
        line.high = self.active.is_high(level);
        match &self.lines.folder {
            Some(folder) => {
                folder.write_level(self.pin, line.high).map_err(|error| unwritable(folder, self.pin, &error))
            }
            None => Ok(()),
        }
    }

    fn level(&mut self) -> Result<Level, HalError> {
        let board = locked(&self.lines.board);
        let line = board.lines.get(&self.pin).expect("lines are never forgotten");
        Ok(self.active.level(line.high))
    }
}

impl Drop for SimOutput {
    /// The level stays, as it does on a Pi driven through rppal.
    fn drop(&mut self) {
        self.lines.release(self.pin);
    }
}
