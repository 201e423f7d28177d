//! The devices that share a port: each hears what comes, and those that are asked have it in turn.
//!
//! Between two turns the line must be silent for a moment, and after a turn without an answer for as long as the answer
//! may still come: a late answer is nobody's, and never the next one's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Dialogue, Input, SerialDriver, Step, Stream};
use crate::reading::{Fault, SensorId};
use crate::sensor::{ReadingSender, Source};
use crate::time::Mono;

/// The silence between two turns. At 9600 bits a second it is the time of some twenty bytes.
const GAP: Duration = Duration::from_millis(20);
/// The longest wait for an answer that is late.
const LONGEST_GRACE: Duration = Duration::from_secs(2);
/// How long a line that is never silent keeps the next turn waiting.
const LONGEST_GAP: Duration = Duration::from_millis(500);
/// A device that does not answer is asked less often, by at most this factor, so that it costs the others little.
const SLOWEST: u32 = 4;

/// Opens a device's driver, once for each opening of the port.
type Open = Box<dyn Fn(ReadingSender) -> Result<Source, Fault> + Send>;

/// One device on the port.
pub struct Member {
    /// How often it is asked, if it is.
    pub every: Duration,
    /// How long it may be silent, or an answer may take.
    pub timeout: Duration,
    /// How many quantities it has.
    pub quantities: usize,
    /// Where its readings and faults go.
    pub sender: ReadingSender,
    /// Makes its driver.
    pub open: Open,
}

/// What a device has told of.
#[derive(Default)]
struct Heard {
    quantities: BTreeSet<usize>,
    a_value: bool,
}

enum Role {
    Closed,
    Listens { stream: Box<dyn Stream>, silent_at: Mono, quiet_at: Option<Mono> },
    Asked { dialogue: Box<dyn Dialogue>, due: Mono, misses: u32 },
}

struct Seat {
    member: Member,
    heard: Arc<Mutex<Heard>>,
    noting: ReadingSender,
    role: Role,
}

impl Seat {
    fn new(member: Member) -> Self {
        let heard = Arc::new(Mutex::new(Heard::default()));
        let (noted, sender) = (Arc::clone(&heard), member.sender.clone());
        let noting = ReadingSender::new(move |quantity, at, value| {
            let mut noted = lock(&noted);
            noted.quantities.insert(quantity);
            noted.a_value |= value.is_ok();
            drop(noted);
            sender.put(quantity, at, value);
        });
        Self { member, heard, noting, role: Role::Closed }
    }

    fn open(&mut self, now: Mono) {
        self.role = match (self.member.open)(self.noting.clone()) {
            Ok(Source::Stream(SerialDriver::Stream(mut stream))) => {
                stream.opened(now);
                Role::Listens { stream, silent_at: now + self.member.timeout, quiet_at: None }
            }
            Ok(Source::Stream(SerialDriver::Dialogue(dialogue))) => Role::Asked { dialogue, due: now, misses: 0 },
            Ok(Source::Polled(_)) => {
                let fault = Fault::Unsupported("a polled device on a serial port, a defect of gatepost".to_owned());
                return self.fail(now, &fault);
            }
            Err(fault) => return self.fail(now, &fault),
        };
    }

    /// A fault for each quantity that nothing was said of.
    fn fail(&self, now: Mono, fault: &Fault) {
        let told = std::mem::take(&mut lock(&self.heard).quantities);
        for quantity in (0..self.member.quantities).filter(|quantity| !told.contains(quantity)) {
            self.member.sender.put(quantity, now, Err(fault.clone()));
        }
    }
}

/// Whose the line is.
enum Line {
    Free,
    Turn {
        id: SensorId,
        call_at: Mono,
        end: Mono,
    },
    /// Nobody's until it was silent: from then on, or in the end at `latest`.
    Draining {
        until: Mono,
        latest: Mono,
    },
}

/// The devices of one port.
pub struct Sharers {
    seats: BTreeMap<SensorId, Seat>,
    line: Line,
    is_open: bool,
    output: Vec<Vec<u8>>,
}

impl Default for Sharers {
    fn default() -> Self {
        Self { seats: BTreeMap::new(), line: Line::Free, is_open: false, output: Vec::new() }
    }
}

impl Sharers {
    /// Adds a device. On an open port it begins at once.
    pub fn join(&mut self, now: Mono, id: SensorId, member: Member) {
        let mut seat = Seat::new(member);
        if self.is_open {
            seat.open(now);
        }
        self.seats.insert(id, seat);
    }

    /// Takes a device off. `true` when the last one has gone.
    pub fn leave(&mut self, now: Mono, id: SensorId) -> bool {
        self.seats.remove(&id);
        if matches!(self.line, Line::Turn { id: whose, .. } if whose == id) {
            self.drain(now, LONGEST_GRACE);
        }
        self.seats.is_empty()
    }

    /// The shortest time-out of all, which the opening of the port may take.
    pub fn shortest_timeout(&self) -> Duration {
        self.seats.values().map(|seat| seat.member.timeout).min().unwrap_or(LONGEST_GRACE)
    }

    /// The port was opened: every driver begins afresh.
    pub fn opened(&mut self, now: Mono) {
        self.is_open = true;
        self.line = Line::Free;
        self.output.clear();
        for seat in self.seats.values_mut() {
            *lock(&seat.heard) = Heard::default();
            seat.open(now);
        }
    }

    /// The port is not, or no more, to be had. Returns whether a value had come over it.
    pub fn closed(&mut self, now: Mono, fault: &Fault) -> bool {
        self.is_open = false;
        let mut a_value = false;
        for seat in self.seats.values_mut() {
            seat.role = Role::Closed;
            a_value |= std::mem::take(&mut *lock(&seat.heard)).a_value;
            seat.fail(now, fault);
        }
        a_value
    }

    /// Bytes came. Who only listens hears all of them, and whose turn it is too.
    pub fn bytes(&mut self, now: Mono, bytes: &[u8]) {
        for seat in self.seats.values_mut() {
            if let Role::Listens { stream, quiet_at, .. } = &mut seat.role {
                stream.bytes(now, bytes, &seat.noting);
                *quiet_at = stream.silence_after().map(|after| now + after);
            }
        }
        match &mut self.line {
            Line::Free => {}
            Line::Draining { until, .. } => *until = now + GAP,
            Line::Turn { id, .. } => {
                let id = *id;
                self.step(now, id, Input::Bytes(bytes));
            }
        }
    }

    /// What is to be done by the time: silence is noticed, and turns end and begin.
    pub fn time(&mut self, now: Mono) {
        for seat in self.seats.values_mut() {
            let Role::Listens { stream, silent_at, quiet_at } = &mut seat.role else { continue };
            if quiet_at.take_if(|at| *at <= now).is_some() {
                stream.silence(now, &seat.noting);
            }
            if *silent_at <= now {
                // A port may talk for ever without saying what it is asked for.
                *silent_at = now + seat.member.timeout;
                let fault = stream.complaint().unwrap_or(Fault::Silent(seat.member.timeout));
                seat.fail(now, &fault);
            }
        }
        match self.line {
            Line::Turn { id, end, .. } if end <= now => self.miss(now, id),
            Line::Turn { id, call_at, .. } if call_at <= now => self.step(now, id, Input::Time),
            Line::Draining { until, latest } if until.min(latest) <= now => self.line = Line::Free,
            _ => {}
        }
        if matches!(self.line, Line::Free) && self.is_open {
            self.begin(now);
        }
    }

    /// Whether nobody listens and nobody's answer is awaited: the port may be closed until [`Sharers::next_call`].
    pub fn is_resting(&self) -> bool {
        let listens = |seat: &Seat| matches!(seat.role, Role::Listens { .. });
        !matches!(self.line, Line::Turn { .. }) && !self.seats.values().any(listens)
    }

    /// The next bytes to send.
    pub fn output(&mut self) -> Option<Vec<u8>> {
        (!self.output.is_empty()).then(|| self.output.remove(0))
    }

    /// When [`Sharers::time`] wants to be called. `None`: nobody waits for anything.
    pub fn next_call(&self) -> Option<Mono> {
        let listening = self.seats.values().filter_map(|seat| match &seat.role {
            Role::Listens { silent_at, quiet_at, .. } => Some(quiet_at.map_or(*silent_at, |at| at.min(*silent_at))),
            _ => None,
        });
        let line = match self.line {
            Line::Free => self.next_turn().map(|(due, _)| due),
            Line::Turn { call_at, end, .. } => Some(call_at.min(end)),
            Line::Draining { until, latest } => Some(until.min(latest)),
        };
        listening.chain(line).min()
    }

    /// Who is due first, and when.
    fn next_turn(&self) -> Option<(Mono, SensorId)> {
        let due = |(id, seat): (&SensorId, &Seat)| match seat.role {
            Role::Asked { due, .. } => Some((due, *id)),
            _ => None,
        };
        self.seats.iter().filter_map(due).min()
    }

    fn begin(&mut self, now: Mono) {
        let Some((due, id)) = self.next_turn() else { return };
        if now < due {
            return;
        }
        let Some(seat) = self.seats.get_mut(&id) else { return };
        lock(&seat.heard).quantities.clear();
        let end = now + seat.member.timeout;
        if let Role::Asked { due, .. } = &mut seat.role {
            // The next turn keeps the rhythm, unless it was missed.
            *due = (*due + seat.member.every).max(now + seat.member.every / 2);
        }
        self.line = Line::Turn { id, call_at: end, end };
        self.step(now, id, Input::Turn);
    }

    fn step(&mut self, now: Mono, id: SensorId, input: Input<'_>) {
        let Some(Seat { noting, role: Role::Asked { dialogue, misses, .. }, .. }) = self.seats.get_mut(&id) else {
            return;
        };
        let next = dialogue.step(now, input, noting);
        match (next, &mut self.line) {
            (Step::Send(bytes, at), Line::Turn { call_at, .. }) => {
                self.output.push(bytes);
                *call_at = at;
            }
            (Step::Wait(at), Line::Turn { call_at, .. }) => *call_at = at,
            _ => {
                *misses = 0;
                self.drain(now, GAP);
            }
        }
    }

    /// The turn has timed out.
    fn miss(&mut self, now: Mono, id: SensorId) {
        let Some(seat) = self.seats.get_mut(&id) else { return };
        let timeout = seat.member.timeout;
        if let Role::Asked { dialogue, due, misses } = &mut seat.role {
            let fault = dialogue.complaint().unwrap_or(Fault::NoAnswer(timeout));
            *due = now + seat.member.every * (1 << *misses);
            *misses = (*misses + 1).min(SLOWEST.ilog2());
            seat.fail(now, &fault);
        }
        self.drain(now, timeout.min(LONGEST_GRACE));
    }

    fn drain(&mut self, now: Mono, silence: Duration) {
        self.output.clear();
        self.line = Line::Draining { until: now + silence, latest: now + silence + LONGEST_GAP };
    }
}

fn lock(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}
