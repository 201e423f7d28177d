//! The gate between those who measure and the runtime: readings go in from any thread, and the runtime is woken only
//! when a slot has to be closed earlier than it thought.

use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;

use crate::daemon::event::{Event, Observer};
use crate::daemon::intake::Intake;
use crate::hal::Hal;
use crate::ledger::Keeper;
use crate::reading::{Fault, Reading, SensorId};
use crate::sensor::Outlet;
use crate::time::{Mono, Now};

/// A shared [`Intake`]. Cheap to clone.
#[derive(Clone)]
pub(super) struct Gate {
    intake: Arc<Mutex<Intake>>,
    sooner: Arc<Notify>,
    keeper: Keeper,
    observer: Observer,
}

impl Gate {
    pub(super) fn new(intake: Intake, observer: Observer) -> Self {
        let keeper = Keeper::default();
        Self { intake: Arc::new(Mutex::new(intake)), sooner: Arc::new(Notify::new()), keeper, observer }
    }

    /// Lets the totals of the map's counters go on where they were, and keeps them, from now on.
    pub(super) fn with_totals(self, keeper: Keeper) -> Self {
        Self { keeper, ..self }
    }

    /// The intake. It is never held across a wait or a call that can block.
    pub(super) fn intake(&self) -> MutexGuard<'_, Intake> {
        self.intake.lock().expect("the intake's core does not panic")
    }

    /// Rung when the next close moved forward.
    pub(super) fn sooner(&self) -> &Notify {
        &self.sooner
    }

    /// Takes a value of a sensor's quantity.
    pub(super) fn put(&self, now: Now, sensor: SensorId, quantity: usize, at: Mono, value: Result<f64, Fault>) {
        let reading = Reading { sensor, quantity, at, value };
        let put = self.intake().put(now, &reading);
        (self.observer)(&Event::Reading(&reading));
        for edge in &put.edges {
            (self.observer)(&Event::Sensor(edge));
        }
        if put.wake {
            self.sooner.notify_one();
        }
    }

    /// An outlet through which a device puts values that come by themselves, and its total.
    pub(super) fn outlet(&self, sensor: SensorId, hal: &Hal) -> Outlet {
        let gate = self.clone();
        let clock = Arc::clone(&hal.clock);
        let name = self.intake().name(sensor).to_owned();
        let total = self.keeper.total(&name);
        Outlet::new(move |quantity, at, value| gate.put(clock.now(), sensor, quantity, at, value)).keeping(total)
    }
}
