//! The bus threads: one a lane, each reads its sensors in turn.
//!
//! A lane waits for the first of its sensors to be due, and for the stop. A read may block as long as the kernel lets it:
//! only sensors of the same bus wait for it. A panic in a driver is caught here, becomes a fault, and the driver is
//! opened anew.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::config;
use crate::daemon::gate::Gate;
use crate::daemon::routed;
use crate::daemon::supervise::Schedule;
use crate::hal::Hal;
use crate::reading::{Fault, SensorId};
use crate::sensor::{Lane, Measured, Sensor, Source};
use crate::time::{Mono, Now};

/// The running lanes.
pub(super) struct Lanes {
    stop: Arc<Stop>,
    threads: Vec<thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Stop {
    stopped: Mutex<bool>,
    bell: Condvar,
}

impl Lanes {
    /// Starts a thread for each lane that the map uses.
    pub(super) fn start(sensors: &[config::Sensor], hal: &Hal, gate: &Gate) -> std::io::Result<Self> {
        let mut lanes: BTreeMap<Lane, Vec<Polled>> = BTreeMap::new();
        for (index, settings) in sensors.iter().enumerate() {
            let lane = settings.kind.device().lane();
            if lane != Lane::Serial {
                let id = SensorId(u16::try_from(index).expect("a map has fewer than 65,536 sensors"));
                lanes.entry(lane).or_default().push(Polled {
                    id,
                    settings: settings.clone(),
                    schedule: Schedule::new(settings.every),
                    sensor: None,
                });
            }
        }
        let stop = Arc::new(Stop::default());
        let mut threads = Vec::new();
        for (lane, sensors) in lanes {
            let worker = Worker { sensors, hal: hal.clone(), gate: gate.clone(), stop: Arc::clone(&stop) };
            threads.push(thread::Builder::new().name(name(&lane)).spawn(move || worker.run())?);
        }
        Ok(Self { stop, threads })
    }

    /// Ends the lanes. One that hangs in the kernel is left behind: the process ends without it.
    pub(super) fn stop(self, patience: Duration) {
        *self.stop.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stop.bell.notify_all();
        let mut waited = Duration::ZERO;
        let step = Duration::from_millis(5);
        while waited < patience && self.threads.iter().any(|thread| !thread.is_finished()) {
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

struct Worker {
    sensors: Vec<Polled>,
    hal: Hal,
    gate: Gate,
    stop: Arc<Stop>,
}

struct Polled {
    id: SensorId,
    settings: config::Sensor,
    schedule: Schedule,
    sensor: Option<Box<dyn Sensor>>,
}

impl Worker {
    fn run(mut self) {
        loop {
            let now = self.hal.clock.now();
            for polled in self.sensors.iter_mut().filter(|polled| polled.schedule.next() <= now.mono) {
                polled.read(&self.hal, &self.gate);
                if self.stop.is_set() {
                    return;
                }
            }
            let Some(next) = self.sensors.iter().map(|polled| polled.schedule.next()).min() else { return };
            if self.stop.wait(next.since(self.hal.clock.now().mono)) {
                return;
            }
        }
    }
}

impl Polled {
    fn read(&mut self, hal: &Hal, gate: &Gate) {
        let began = hal.clock.now();
        let measured = catch_unwind(AssertUnwindSafe(|| self.measure(hal, gate)))
            .unwrap_or_else(|panic| Err(Fault::Panicked(words(&*panic))));
        let now = hal.clock.now();
        if measured.is_err() {
            self.sensor = None;
        }
        self.schedule.done(began, measured.is_ok());
        self.put(gate, now, measured);
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
    fn put(&self, gate: &Gate, now: Now, measured: Result<Measured, Fault>) {
        let at: Mono = now.mono;
        for quantity in routed(&self.settings) {
            let value = match &measured {
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
    fn is_set(&self) -> bool {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits; returns whether the stop came.
    fn wait(&self, at_most: Duration) -> bool {
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let (stopped, _) =
            self.bell.wait_timeout_while(stopped, at_most, |stopped| !*stopped).unwrap_or_else(PoisonError::into_inner);
        *stopped
    }
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("panic without words").to_owned()
}
