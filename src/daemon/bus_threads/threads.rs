//! What reads the sensors of one bus: the worker thread, those whose reads last, and those of slow sensors.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::Notify;

use super::pace::Change;
use super::polled::Polled;
use super::queue::{Back, Next, Queue};
use super::read_timer::ReadTimer;
use crate::daemon::event::Slow;
use crate::daemon::pipeline::PipelineHandle;
use crate::hal::Hal;
use crate::reading::{Fault, SensorId};
use crate::sensor::Bus;
use crate::time::Now;

/// How long a bus thread reads on before the open slots are kept: sensors that answer at once cost one write together, slow ones
/// one each.
pub(super) const ONE_GO: Duration = Duration::from_millis(100);

/// When the system had no thread left, one is asked for again after this.
const NEXT_TRY: Duration = Duration::from_secs(10);

/// What all bus threads share.
#[derive(Clone)]
pub(super) struct Common {
    pub(super) hal: Hal,
    pub(super) pipeline: PipelineHandle,
    pub(super) timer: Arc<ReadTimer>,
    /// Notified when a bus thread panicked outside a driver.
    pub(super) died: Arc<Notify>,
}

/// A bus thread.
pub(super) struct BusThread {
    name: String,
    /// Its number for the timer.
    number: usize,
    is_bus: bool,
    queue: Mutex<Queue>,
    /// Wakes the worker, to look at the queue again.
    wake: Condvar,
    common: Common,
}

impl BusThread {
    /// The bus thread of this number, without a thread.
    pub(super) fn new(bus: &Bus, number: usize, common: &Common) -> Self {
        Self {
            name: name(bus),
            number,
            is_bus: bus.is_bus(),
            queue: Mutex::new(Queue::new(bus.is_bus())),
            wake: Condvar::new(),
            common: common.clone(),
        }
    }

    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads these too, from now on.
    pub(super) fn add(&self, sensors: Vec<Polled>) {
        let mut queue = self.queue();
        for polled in sensors {
            queue.add(Box::new(polled));
        }
        // A read that nobody waited behind may be in the way now.
        self.set_timer(&queue);
        self.wake.notify_one();
    }

    /// Starts the first worker.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(super) fn begin(self: &Arc<Self>) -> io::Result<()> {
        self.start(|threads| threads.work(0))
    }

    /// Reads these no more, and takes their last words.
    pub(super) fn remove(&self, gone: &[SensorId]) {
        let ended = self.queue().remove(gone);
        for mut polled in ended {
            polled.say_last(&self.common.hal, &self.common.pipeline);
        }
    }

    /// Looks after reads that last: tells of those that have become a fault, and replaces a worker that others wait for.
    pub(super) fn look(self: &Arc<Self>, now: Now) {
        let (overdue, lasting) = {
            let mut queue = self.queue();
            let found = (queue.overdue(now.mono), queue.lasting(now.mono));
            self.set_timer(&queue);
            found
        };
        for (id, timeout) in &overdue {
            self.common.pipeline.fail(now, *id, &Fault::NoAnswer(*timeout));
        }
        if !overdue.is_empty() {
            self.common.pipeline.save();
        }
        let Some(id) = lasting else { return };
        if let Err(error) = self.replace(id) {
            log::error!("sensors wait behind one that does not answer, and no thread can be had: {error}");
            let mut queue = self.queue();
            queue.replace_at(id, Some(now.mono + NEXT_TRY));
            self.set_timer(&queue);
        }
    }

    /// Ends the bus thread, with the last words of its sensors; those behind a read that hangs have theirs said by a new worker.
    pub(super) fn stop(self: &Arc<Self>) {
        let in_the_way = {
            let mut queue = self.queue();
            queue.is_stopped = true;
            self.wake.notify_all();
            queue.in_the_way()
        };
        if let Some(id) = in_the_way {
            // Without a thread the one that reads says them, if it comes back.
            let _ = self.replace(id);
        }
    }

    /// Starts a worker in place of the one with this read, unless that has ended by then.
    fn replace(self: &Arc<Self>, id: SensorId) -> io::Result<()> {
        self.start(move |threads| {
            let worker = threads.queue().replace(id);
            if let Some(worker) = worker {
                // The read that lasts may have come in the midst of a go.
                threads.common.pipeline.save();
                threads.work(worker);
            }
        })
    }

    fn start(self: &Arc<Self>, work: impl FnOnce(&Arc<Self>) + Send + 'static) -> io::Result<()> {
        self.queue().threads += 1;
        let threads = Arc::clone(self);
        let started = thread::Builder::new().name(self.name.clone()).spawn(move || {
            if catch_unwind(AssertUnwindSafe(|| work(&threads))).is_err() {
                threads.common.died.notify_one();
            }
            threads.queue().threads -= 1;
        });
        if started.is_err() {
            self.queue().threads -= 1;
        }
        started.map(drop)
    }

    fn work(self: &Arc<Self>, worker: u32) {
        let Common { hal, pipeline, .. } = &self.common;
        // When the first of the reads began that are not kept yet.
        let mut began = None;
        loop {
            let now = hal.clock.now().mono;
            if began.is_some_and(|began| now.since(began) >= ONE_GO) {
                began = None;
                pipeline.save();
            }
            let mut queue = self.queue();
            if !queue.is_served_by(worker) {
                self.set_timer(&queue);
                drop(queue);
                return pipeline.save();
            }
            if queue.is_stopped {
                let rest = queue.take_all();
                drop(queue);
                for mut polled in rest {
                    polled.say_last(hal, pipeline);
                }
                return pipeline.save();
            }
            let until = match queue.next(now) {
                Next::Read(polled) => {
                    self.set_timer(&queue);
                    drop(queue);
                    began.get_or_insert(now);
                    self.read(polled, Some(worker));
                    continue;
                }
                Next::Aside(id) => {
                    self.set_timer(&queue);
                    drop(queue);
                    self.read_aside(id);
                    continue;
                }
                Next::At(at) => Some(at),
                Next::Nothing => None,
            };
            if began.take().is_some() {
                drop(queue);
                pipeline.save();
                continue;
            }
            self.set_timer(&queue);
            let wait = until.map_or(Duration::MAX, |at| at.since(hal.clock.now().mono));
            drop(self.wake.wait_timeout(queue, wait));
        }
    }

    /// Reads a sensor that is slow by a thread of its own.
    fn read_aside(self: &Arc<Self>, id: SensorId) {
        let started = self.start(move |threads| {
            let polled = threads.queue().take_aside(id);
            if let Some(polled) = polled {
                threads.read(polled, None);
                threads.common.pipeline.save();
                threads.set_timer(&threads.queue());
            }
        });
        let Err(error) = started else { return };
        let polled = self.queue().take_aside(id);
        if let Some(mut polled) = polled {
            let fault = Fault::Bus(format!("no thread to read it on: {error}"));
            polled.not_read(self.common.hal.clock.now(), &self.common.pipeline, &fault);
            self.give_back(polled, None);
        }
    }

    /// Reads a sensor, as this worker or by a thread of its own.
    fn read(&self, mut polled: Box<Polled>, worker: Option<u32>) {
        let Common { hal, pipeline, .. } = &self.common;
        let outcome = polled.read(hal, pipeline);
        let took = outcome.took;
        let (was_told, is_slow) = {
            let mut queue = self.queue();
            (queue.answered(polled.id), queue.is_slow(took, polled.timeout()))
        };
        match polled.finish(outcome, was_told, is_slow, pipeline) {
            Some(Change::Slow) => pipeline.slow(polled.id, Some(Slow { took, delays_bus: self.is_bus })),
            Some(Change::QuickAgain) => pipeline.slow(polled.id, None),
            None => {}
        }
        self.give_back(polled, worker);
    }

    fn give_back(&self, polled: Box<Polled>, worker: Option<u32>) {
        let back = {
            let mut queue = self.queue();
            let back = queue.give_back(polled);
            // Another thread may be the worker by now, and sleep until another sensor is due. The worker itself looks next.
            if worker.is_none_or(|worker| !queue.is_served_by(worker)) {
                self.wake.notify_one();
            }
            back
        };
        match back {
            Back::Waits => {}
            // Its last words have no place any more, but it has pins to give back.
            Back::Gone(polled) => drop(polled),
            Back::Stopped(mut polled) => polled.say_last(&self.common.hal, &self.common.pipeline),
        }
    }

    fn set_timer(&self, queue: &Queue) {
        self.common.timer.set(self.number, queue.look_at());
    }
}

/// A thread's name has at most 15 bytes.
fn name(bus: &Bus) -> String {
    match bus {
        Bus::Kernel => "kernel".to_owned(),
        Bus::Drivers => "drivers".to_owned(),
        Bus::Files => "files".to_owned(),
        Bus::Programs => "programs".to_owned(),
        Bus::OneWire => "one-wire".to_owned(),
        Bus::I2c(bus) => bus.chars().take(15).collect(),
        Bus::Spi(bus) => format!("spi{bus}"),
        Bus::Serial => "serial".to_owned(),
        Bus::Broker => "broker".to_owned(),
        Bus::Computed => "computed".to_owned(),
    }
}
