//! The sensors of a bus thread: who is read next, which reads go on, and which of them last too long. Pure.
//!
//! One thread serves the queue, the worker. It is replaced while its read lasts and others wait: on a bus after the read's
//! time-out, since two parts cannot be read there at once anyway; elsewhere as soon as the read is slow. A sensor that was
//! slow and shares no bus is read by a thread of its own, which ends with that read. So there is never more than one
//! thread a sensor besides the worker.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::polled::Polled;
use crate::reading::SensorId;
use crate::time::Mono;

/// Sensors that are due within this time of each other are read in one go: the grid point that they share is reckoned
/// from a reading of the clocks for each, which differ by a little.
const TOGETHER: Duration = Duration::from_millis(1);

/// A read that takes so long is slow, wherever it is.
const SLOW: Duration = Duration::from_secs(1);
/// One that keeps a neighbour from being read in time is slow too, but none that takes less than a busy machine may.
const BUSY: Duration = Duration::from_millis(200);
/// On a bus reads may take longer: a DS18B20 that is asked twice takes 1.7 s.
const SLOW_ON_A_BUS: Duration = Duration::from_secs(2);

/// What is known of a bus thread's sensors.
pub(super) struct Queue {
    /// Those that nobody reads, by the time at which they are due.
    waiting: BTreeMap<(Mono, SensorId), Box<Polled>>,
    /// Those for a thread of their own that has not begun.
    aside: BTreeMap<SensorId, Box<Polled>>,
    /// Reads that go on.
    reads: BTreeMap<SensorId, Read>,
    /// Sensors that were taken away while they were read: they end with that read.
    gone: BTreeSet<SensorId>,
    /// The thread that serves the queue; one with an older number ends when its read returns.
    worker: u32,
    /// They hang on one bus, and wait for each other.
    is_bus: bool,
    /// The shortest `every` of those that wait or have waited.
    shortest: Duration,
    /// The bus thread ends.
    pub(super) is_stopped: bool,
    /// BusThread that have not ended.
    pub(super) threads: usize,
}

/// A read that goes on.
struct Read {
    timeout: Duration,
    /// When it is a fault; none once that was told, or the answer is there.
    overdue_at: Option<Mono>,
    /// It was called a fault.
    is_told: bool,
    /// The worker whose read it is, and when another is to take its place; none where the sensor has a thread of its own.
    worker: Option<(u32, Option<Mono>)>,
}

/// What the worker does next.
pub(super) enum Next {
    /// It reads this one.
    Read(Box<Polled>),
    /// It starts a thread for this one, which takes it by [`Queue::take_aside`].
    Aside(SensorId),
    /// It sleeps until then.
    At(Mono),
    /// It sleeps: every sensor is being read by another thread, or there is none.
    Nothing,
}

/// What becomes of a sensor whose read has ended.
pub(super) enum Back {
    /// It waits for its next turn.
    Waits,
    /// It was taken away in the meantime.
    Gone(Box<Polled>),
    /// The bus thread has ended: its last words are asked for.
    Stopped(Box<Polled>),
}

impl Queue {
    /// The queue of a bus thread without sensors.
    pub(super) fn new(is_bus: bool) -> Self {
        Self {
            waiting: BTreeMap::new(),
            aside: BTreeMap::new(),
            reads: BTreeMap::new(),
            gone: BTreeSet::new(),
            worker: 0,
            is_bus,
            shortest: Duration::MAX,
            is_stopped: false,
            threads: 0,
        }
    }

    /// A sensor that waits for its turn.
    pub(super) fn add(&mut self, polled: Box<Polled>) {
        self.shortest = self.shortest.min(polled.every());
        self.waiting.insert((polled.due(), polled.id), polled);
    }

    /// Takes those sensors out that wait; one that is being read ends with that read.
    pub(super) fn remove(&mut self, gone: &[SensorId]) -> Vec<Polled> {
        let (ended, stay): (Vec<_>, Vec<_>) = self.take_all().into_iter().partition(|polled| gone.contains(&polled.id));
        self.shortest = Duration::MAX;
        for polled in stay {
            self.add(Box::new(polled));
        }
        self.gone.extend(gone.iter().filter(|id| self.reads.contains_key(id)));
        ended
    }

    /// Takes out all that wait.
    pub(super) fn take_all(&mut self) -> Vec<Polled> {
        std::mem::take(&mut self.waiting).into_values().map(|polled| *polled).collect()
    }

    /// Whether this thread is the worker.
    pub(super) const fn is_served_by(&self, worker: u32) -> bool {
        self.worker == worker
    }

    /// What the worker does next.
    pub(super) fn next(&mut self, now: Mono) -> Next {
        let Some(first) = self.waiting.first_entry() else { return Next::Nothing };
        let (due, id) = *first.key();
        if due > now + TOGETHER {
            return Next::At(due);
        }
        let polled = first.remove();
        let timeout = polled.timeout();
        let is_aside = polled.is_slow() && !self.is_bus;
        let lasting = if self.is_bus { timeout } else { self.shortest.clamp(BUSY, SLOW).min(timeout) };
        let read = Read {
            timeout,
            overdue_at: Some(now + timeout),
            is_told: false,
            worker: (!is_aside).then(|| (self.worker, Some(now + lasting))),
        };
        self.reads.insert(id, read);
        if is_aside {
            self.aside.insert(id, polled);
            return Next::Aside(id);
        }
        Next::Read(polled)
    }

    /// The sensor that was put aside for the thread that asks.
    pub(super) fn take_aside(&mut self, id: SensorId) -> Option<Box<Polled>> {
        self.aside.remove(&id)
    }

    /// An answer is there. Returns whether the read was called a fault while it lasted.
    pub(super) fn answered(&mut self, id: SensorId) -> bool {
        self.reads.get_mut(&id).is_some_and(|read| {
            read.overdue_at = None;
            read.is_told
        })
    }

    /// Whether a read that took so long, and was to end within its time-out, is slow for those that wait.
    pub(super) fn is_slow(&self, took: Duration, timeout: Duration) -> bool {
        if took > timeout {
            return true;
        }
        if self.is_bus {
            return took >= SLOW_ON_A_BUS;
        }
        let soonest = || self.waiting.values().map(|polled| polled.every()).min().unwrap_or(SLOW);
        took >= BUSY && took >= soonest().min(SLOW)
    }

    /// Takes a sensor whose read has ended.
    pub(super) fn give_back(&mut self, polled: Box<Polled>) -> Back {
        self.reads.remove(&polled.id);
        if self.gone.remove(&polled.id) {
            return Back::Gone(polled);
        }
        if self.is_stopped {
            return Back::Stopped(polled);
        }
        self.add(polled);
        Back::Waits
    }

    /// When somebody has to look here: a read becomes a fault then, or has kept others waiting for too long.
    pub(super) fn look_at(&self) -> Option<Mono> {
        let overdue = self.reads.values().filter_map(|read| read.overdue_at);
        let replaced = self.reads.values().filter_map(|read| self.replaces_at(read));
        overdue.chain(replaced).min()
    }

    /// The reads that have become a fault, each told once, with their time-outs.
    pub(super) fn overdue(&mut self, now: Mono) -> Vec<(SensorId, Duration)> {
        let late = self.reads.iter_mut().filter(|(_, read)| read.overdue_at.is_some_and(|at| now >= at));
        late.map(|(id, read)| {
            (read.overdue_at, read.is_told) = (None, true);
            (*id, read.timeout)
        })
        .collect()
    }

    /// The worker's read, where another thread is to take its place now. Said once.
    pub(super) fn lasting(&mut self, now: Mono) -> Option<SensorId> {
        let lasting = |read: &Read| self.replaces_at(read).is_some_and(|at| now >= at);
        let id = self.reads.iter().find(|(_, read)| lasting(read)).map(|(id, _)| *id)?;
        self.replace_at(id, None);
        Some(id)
    }

    /// The worker's read, where somebody waits behind it.
    pub(super) fn in_the_way(&self) -> Option<SensorId> {
        let is_workers = |read: &Read| read.worker.is_some_and(|(worker, _)| worker == self.worker);
        let read = self.reads.iter().find(|(_, read)| is_workers(read));
        read.map(|(id, _)| *id).filter(|_| !self.waiting.is_empty())
    }

    /// Says when another thread is to take the place of the one with this read.
    pub(super) fn replace_at(&mut self, id: SensorId, at: Option<Mono>) {
        if let Some((_, replaced_at)) = self.reads.get_mut(&id).and_then(|read| read.worker.as_mut()) {
            *replaced_at = at;
        }
    }

    /// Makes the thread that asks the worker, unless the read that it was started for has ended. Returns its number.
    pub(super) fn replace(&mut self, id: SensorId) -> Option<u32> {
        let (worker, _) = self.reads.get(&id)?.worker?;
        if worker != self.worker {
            return None;
        }
        self.worker += 1;
        Some(self.worker)
    }

    /// When the worker with this read is to be replaced: not while nobody waits.
    fn replaces_at(&self, read: &Read) -> Option<Mono> {
        let (worker, at) = read.worker?;
        at.filter(|_| worker == self.worker && !self.waiting.is_empty())
    }
}
