//! The bus threads: one a lane, each reads its sensors in turn.
//!
//! A lane waits for the first of its sensors to be due, and for the stop. A read may block as long as the kernel lets it:
//! only sensors of the same lane wait for it, and when it takes longer than its time-out a second thread takes over the
//! others ([`Lanes::rescue`]). A panic in a driver is caught here, becomes a fault, and the driver is opened anew.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::Notify;

use crate::config;
use crate::daemon::gate::Gate;
use crate::daemon::liveness::{Liveness, Pulse};
use crate::daemon::supervise::Schedule;
use crate::hal::Hal;
use crate::reading::{Fault, SensorId};
use crate::sensor::{Lane, Measured, Sensor, Source};
use crate::time::{Mono, Now};

/// Sensors that are due within this time of each other are read in one go: the grid point that they share is reckoned
/// from a reading of the clocks for each, which differ by a little.
const TOGETHER: Duration = Duration::from_millis(1);

/// How long a lane reads on before the open slots are kept: sensors that answer at once cost one write together, slow ones
/// one each.
const ONE_GO: Duration = Duration::from_millis(100);

/// The running lanes.
pub(super) struct Lanes {
    stop: Arc<Stop>,
    hal: Hal,
    gate: Gate,
    liveness: Liveness,
    running: Mutex<Running>,
}

#[derive(Default)]
struct Running {
    lanes: BTreeMap<Lane, Arc<Shared>>,
    threads: Vec<thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Stop {
    state: Mutex<StopState>,
    bell: Condvar,
    /// Rung when a thread of a lane panicked outside a driver.
    died: Notify,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct StopState {
    stopped: bool,
    /// Counts the calls to look at the queue again.
    calls: u32,
}

/// What the threads of one lane share: its present one, and those that hang in a read.
struct Shared {
    name: String,
    queue: Mutex<Queue>,
    hal: Hal,
    gate: Gate,
    stop: Arc<Stop>,
}

#[derive(Default)]
struct Queue {
    /// The sensors nobody is reading.
    sensors: Vec<Polled>,
    /// Those that are being read, each by a thread of its own where reads hang.
    in_flight: BTreeSet<SensorId>,
    /// Sensors that were taken away while they were read: they end with that read.
    gone: BTreeSet<SensorId>,
    /// The thread that serves the queue; one with an older number ends when its read returns.
    worker: u32,
    /// The latest moment at which the present read is still in time.
    in_time_until: Option<Mono>,
}

struct Polled {
    id: SensorId,
    settings: config::Sensor,
    schedule: Schedule,
    sensor: Option<Box<dyn Sensor>>,
    pulse: Pulse,
}

impl Lanes {
    /// No lanes yet.
    pub(super) fn new(hal: &Hal, gate: &Gate, liveness: &Liveness) -> Self {
        let (hal, gate, liveness) = (hal.clone(), gate.clone(), liveness.clone());
        Self { stop: Arc::default(), hal, gate, liveness, running: Mutex::default() }
    }

    /// Reads these sensors too, from now on, but for those that are not asked. A lane that has none yet gets its thread.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(super) fn add(&self, sensors: &[(SensorId, config::Sensor)]) -> std::io::Result<()> {
        let mut queues: BTreeMap<Lane, Vec<Polled>> = BTreeMap::new();
        for (id, settings) in sensors {
            let lane = settings.kind.device().lane();
            if lane != Lane::Serial {
                let pulse = self.liveness.watch(format!("sensor {}", settings.name));
                let (settings, schedule) = (settings.clone(), Schedule::new(settings.every));
                queues.entry(lane).or_default().push(Polled { id: *id, settings, schedule, sensor: None, pulse });
            }
        }
        let mut running = self.running();
        for (lane, sensors) in queues {
            if let Some(shared) = running.lanes.get(&lane) {
                shared.queue().sensors.extend(sensors);
                continue;
            }
            let shared = Arc::new(Shared {
                name: name(&lane),
                queue: Mutex::new(Queue { sensors, ..Queue::default() }),
                hal: self.hal.clone(),
                gate: self.gate.clone(),
                stop: Arc::clone(&self.stop),
            });
            let thread = shared.start(0)?;
            running.threads.push(thread);
            running.lanes.insert(lane, shared);
        }
        drop(running);
        self.stop.look_again();
        Ok(())
    }

    /// Reads these sensors no more, and takes their last words. May block: a driver gives its pins back. One that is just being
    /// read ends with that read.
    pub(super) fn remove(&self, gone: &[SensorId]) {
        // Not under the lock: the closer wants it too, and a driver may take its time.
        let lanes: Vec<Arc<Shared>> = self.running().lanes.values().cloned().collect();
        for lane in lanes {
            let ended: Vec<Polled> = {
                let mut queue = lane.queue();
                let (ended, stay) = queue.sensors.drain(..).partition(|polled: &Polled| gone.contains(&polled.id));
                queue.sensors = stay;
                let in_flight: Vec<SensorId> = gone.iter().copied().filter(|id| queue.in_flight.contains(id)).collect();
                queue.gone.extend(in_flight);
                ended
            };
            for mut polled in ended {
                polled.say_last(&self.hal, &self.gate);
            }
        }
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the sensors behind a read that hangs to a new thread. Each sensor can hang one thread at most, since it is
    /// out of the queue until its read returns.
    pub(super) fn rescue(&self, now: Mono) {
        let mut running = self.running();
        let lanes: Vec<Arc<Shared>> = running.lanes.values().cloned().collect();
        for lane in lanes {
            let worker = {
                let mut queue = lane.queue();
                if queue.sensors.is_empty() || queue.in_time_until.is_none_or(|until| now < until) {
                    continue;
                }
                queue.worker += 1;
                queue.in_time_until = None;
                queue.worker
            };
            match lane.start(worker) {
                Ok(thread) => running.threads.push(thread),
                Err(error) => log::error!("sensors wait behind one that hangs, and no thread can be had: {error}"),
            }
        }
    }

    /// Ready when a thread panicked outside a driver, which is a defect that nothing here can mend.
    pub(super) async fn died(&self) {
        self.stop.died.notified().await;
    }

    /// Ends the lanes, each with the last word of its sensors. One that hangs in the kernel is left behind: the process ends
    /// without it.
    pub(super) fn stop(&self, patience: Duration) {
        self.stop.change(|state| state.stopped = true);
        let threads = std::mem::take(&mut self.running().threads);
        let mut waited = Duration::ZERO;
        let step = Duration::from_millis(5);
        while waited < patience && threads.iter().any(|thread| !thread.is_finished()) {
            thread::sleep(step);
            waited += step;
        }
    }
}

/// A thread's name has at most 15 bytes.
fn name(lane: &Lane) -> String {
    match lane {
        Lane::Kernel => "kernel".to_owned(),
        Lane::Files => "files".to_owned(),
        Lane::OneWire => "one-wire".to_owned(),
        Lane::I2c(bus) => bus.chars().take(15).collect(),
        Lane::Serial => "serial".to_owned(),
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(self: &Arc<Self>, worker: u32) -> std::io::Result<thread::JoinHandle<()>> {
        let shared = Arc::clone(self);
        thread::Builder::new().name(self.name.clone()).spawn(move || {
            if catch_unwind(AssertUnwindSafe(|| shared.run(worker))).is_err() {
                shared.stop.died.notify_one();
            }
        })
    }

    fn run(&self, worker: u32) {
        if worker > 0 {
            // The read that hangs may have come in the midst of a go.
            self.gate.keep();
        }
        // When the first of the reads began that are not kept yet.
        let mut began = None;
        loop {
            let seen = self.stop.state();
            if seen.stopped {
                return self.last_words(worker);
            }
            let now = self.hal.clock.now().mono;
            if began.is_some_and(|began| now.since(began) >= ONE_GO) {
                began = None;
                self.gate.keep();
            }
            let next = {
                let mut queue = self.queue();
                if queue.worker != worker {
                    return;
                }
                queue.take_due(now)
            };
            if !matches!(next, Next::Due(_)) && began.take().is_some() {
                self.gate.keep();
            }
            let wait = match next {
                Next::Due(mut polled) => {
                    began.get_or_insert(now);
                    polled.read(&self.hal, &self.gate);
                    let mut queue = self.queue();
                    queue.in_flight.remove(&polled.id);
                    if queue.gone.remove(&polled.id) {
                        drop(queue);
                        // Its last words have no place any more, but it has pins to give back.
                        drop(polled);
                        queue = self.queue();
                    } else {
                        queue.sensors.push(*polled);
                    }
                    if queue.worker != worker {
                        // The thread that took over sleeps until another sensor is due.
                        drop(queue);
                        self.gate.keep();
                        return self.stop.look_again();
                    }
                    queue.in_time_until = None;
                    continue;
                }
                Next::At(at) => at.since(self.hal.clock.now().mono),
                Next::Nothing => Duration::MAX,
            };
            self.stop.wait(seen, wait);
        }
    }

    /// What came since the last reads belongs to the slot that the stop will close.
    fn last_words(&self, worker: u32) {
        let sensors = {
            let mut queue = self.queue();
            if queue.worker == worker { std::mem::take(&mut queue.sensors) } else { Vec::new() }
        };
        for mut polled in sensors {
            polled.say_last(&self.hal, &self.gate);
        }
        self.gate.keep();
    }
}

enum Next {
    Due(Box<Polled>),
    At(Mono),
    /// The lane's only sensor hangs in another thread.
    Nothing,
}

impl Queue {
    fn take_due(&mut self, now: Mono) -> Next {
        let first = (0..self.sensors.len()).min_by_key(|&index| self.sensors[index].schedule.next());
        let Some(index) = first else { return Next::Nothing };
        let due = self.sensors[index].schedule.next();
        if due > now + TOGETHER {
            return Next::At(due);
        }
        let polled = self.sensors.swap_remove(index);
        self.in_flight.insert(polled.id);
        self.in_time_until = Some(now + polled.settings.timeout);
        Next::Due(Box::new(polled))
    }
}

impl Polled {
    fn read(&mut self, hal: &Hal, gate: &Gate) {
        let began = hal.clock.now();
        self.pulse.due(began.mono + self.settings.timeout);
        let measured = catch_unwind(AssertUnwindSafe(|| self.measure(hal, gate))).unwrap_or_else(|panic| {
            if gate.is_poisoned() {
                // Not the driver's own.
                resume_unwind(panic);
            }
            Err(Fault::Panicked(words(&*panic)))
        });
        let now = hal.clock.now();
        if measured.is_err() {
            self.sensor = None;
        }
        self.pulse.rest();
        self.schedule.done(began, measured.is_ok());
        self.put(gate, now, &measured);
    }

    fn say_last(&mut self, hal: &Hal, gate: &Gate) {
        let Some(sensor) = &mut self.sensor else { return };
        let Ok(Some(measured)) = catch_unwind(AssertUnwindSafe(|| sensor.last())) else { return };
        let now = hal.clock.now();
        let routed = gate.intake().routed(self.id);
        for quantity in routed {
            if let Some(Ok(value)) = measured.get(quantity) {
                gate.put(now, self.id, quantity, now.mono, Ok(*value));
            }
        }
    }

    fn measure(&mut self, hal: &Hal, gate: &Gate) -> Result<Measured, Fault> {
        if self.sensor.is_none() {
            let source = self.settings.kind.device().open(hal, gate.outlet(self.id, hal))?;
            self.sensor = match source {
                Source::Polled(sensor) => Some(sensor),
                Source::Stream(..) => {
                    return Err(Fault::Unsupported(
                        "a stream on a polled lane, which is a defect of gatepost".to_owned(),
                    ));
                }
            };
        }
        self.sensor.as_mut().expect("opened above").measure()
    }

    /// Puts the quantities that the map asks for.
    fn put(&self, gate: &Gate, now: Now, measured: &Result<Measured, Fault>) {
        let at: Mono = now.mono;
        let routed = gate.intake().routed(self.id);
        for quantity in routed {
            let value = match measured {
                Ok(values) => values
                    .get(quantity)
                    .cloned()
                    .unwrap_or_else(|| Err(Fault::Unsupported("the driver does not measure this quantity".to_owned()))),
                Err(fault) => Err(fault.clone()),
            };
            gate.put(now, self.id, quantity, at, value);
        }
    }
}

impl Stop {
    fn state(&self) -> StopState {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes every thread, to look at its queue.
    fn look_again(&self) {
        self.change(|state| state.calls = state.calls.wrapping_add(1));
    }

    fn change(&self, change: impl FnOnce(&mut StopState)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.bell.notify_all();
    }

    /// Waits until the time is over or the state is no longer `seen`.
    fn wait(&self, seen: StopState, at_most: Duration) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.bell.wait_timeout_while(state, at_most, |state| *state == seen));
    }
}

/// What a panic said.
pub(super) fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("panic without words").to_owned()
}

#[cfg(test)]
mod tests;
