//! The bus threads: one for each bus, which reads its sensors in turn.
//!
//! A bus thread's worker waits for the first of its sensors to be due, and for the stop. A read may block as long as the kernel lets
//! it. Only sensors of the same bus thread wait for it, on a bus for its time-out, elsewhere for a second at most: then another
//! thread takes over the others. A sensor that was slow once, and shares no bus, is read by a thread of its own from then on,
//! until its reads are quick again (`pace`). What does not answer within its time-out is a fault at that moment: an timer
//! wakes the slots' task for it, which calls [`BusThreads::look`].
//!
//! A panic in a driver is caught here, becomes a fault, and the driver is opened anew.

mod pace;
mod polled;
mod queue;
mod read_timer;
mod threads;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::Notify;

use crate::config;
use crate::daemon::heartbeat::HeartbeatMonitor;
use crate::daemon::pipeline::PipelineHandle;
use crate::hal::Hal;
use crate::reading::SensorId;
use crate::sensor::Bus;
use crate::time::Now;

use polled::Polled;
use read_timer::ReadTimer;
use threads::{BusThread, Common};

/// The running bus threads.
pub(super) struct BusThreads {
    common: Common,
    heartbeats: HeartbeatMonitor,
    running: Mutex<BTreeMap<Bus, Arc<BusThread>>>,
}

impl BusThreads {
    /// No bus threads yet.
    pub(super) fn new(hal: &Hal, pipeline: &PipelineHandle, heartbeats: &HeartbeatMonitor) -> Self {
        let timer = Arc::new(ReadTimer::new(Arc::clone(&hal.clock)));
        let common = Common { hal: hal.clone(), pipeline: pipeline.clone(), timer, died: Arc::new(Notify::new()) };
        Self { common, heartbeats: heartbeats.clone(), running: Mutex::default() }
    }

    /// Reads these sensors too, from now on, but for those that are not asked. A bus that has none yet gets its thread.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(super) fn add(&self, sensors: &[(SensorId, config::Sensor)]) -> std::io::Result<()> {
        let mut bus_threads: BTreeMap<Bus, Vec<Polled>> = BTreeMap::new();
        for (id, settings) in sensors {
            let bus = settings.kind.device().bus();
            if !matches!(bus, Bus::Serial | Bus::Broker | Bus::Computed) {
                let heartbeat = self.heartbeats.watch(format!("sensor {}", settings.name));
                bus_threads.entry(bus).or_default().push(Polled::new(*id, settings.clone(), heartbeat));
            }
        }
        let mut running = self.running();
        for (bus, sensors) in bus_threads {
            if let Some(threads) = running.get(&bus) {
                threads.add(sensors);
                continue;
            }
            let threads = Arc::new(BusThread::new(&bus, running.len(), &self.common));
            threads.add(sensors);
            threads.begin()?;
            running.insert(bus, threads);
        }
        Ok(())
    }

    /// Reads these sensors no more, and takes their last words. May block: a driver gives its pins back. One that is just being
    /// read ends with that read.
    pub(super) fn remove(&self, gone: &[SensorId]) {
        self.all().iter().for_each(|threads| threads.remove(gone));
    }

    /// Waits until a read lasts too long, and looks after it. Safe to cancel.
    pub(super) async fn look_when_due(&self) {
        self.common.timer.expired().await;
        self.look(self.common.hal.clock.now());
    }

    /// Looks after reads that last: those that are over their time-out become faults, and a new thread takes over the sensors
    /// behind one that lasts too long. Each sensor can hang one thread at most, since it is out of the queue until its read
    /// returns.
    pub(super) fn look(&self, now: Now) {
        self.all().iter().for_each(|threads| threads.look(now));
    }

    /// Ready when a thread panicked outside a driver, which is a defect that nothing here can mend.
    pub(super) async fn died(&self) {
        self.common.died.notified().await;
    }

    /// Ends the bus threads, each with the last words of its sensors. One that hangs in the kernel is left behind: the process ends
    /// without it.
    pub(super) fn stop(&self, patience: Duration) {
        let bus_threads = self.all();
        bus_threads.iter().for_each(BusThread::stop);
        let mut waited = Duration::ZERO;
        let step = Duration::from_millis(5);
        while waited < patience && bus_threads.iter().any(|threads| threads.queue().threads > 0) {
            thread::sleep(step);
            waited += step;
        }
    }

    /// The bus threads there are. What is done with them is not done under the lock: the slots' task wants it too, and a driver may take
    /// its time.
    fn all(&self) -> Vec<Arc<BusThread>> {
        self.running().values().cloned().collect()
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<Bus, Arc<BusThread>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
