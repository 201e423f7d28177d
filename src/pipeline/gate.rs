//! The gate between those who measure and the runtime: readings go in from any thread, and the runtime is woken only
//! when a slot has to be closed earlier than it thought.
//!
//! Whoever has put what it measured calls [`Gate::keep`], before it sleeps again: the wake-up is there already.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use tokio::sync::Notify;

use crate::config::Settings;
use crate::daemon::alarm::Alarm;
use crate::daemon::event::{Event, Observer, Slow};
use crate::entry::{ChannelId, UntimedEntry};
use crate::hal::Hal;
use crate::ledger::Keeper;
use crate::pipeline::core::{Edge, Intake};
use crate::pipeline::kept::Slots;
use crate::reading::{Fault, Reading, SensorId};
use crate::sensor::Outlet;
use crate::time::{BootId, Mono, Now};

/// A shared [`Intake`]. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Gate {
    intake: Arc<Mutex<Intake>>,
    /// The file of the open slots, where there is one.
    slots: Arc<OnceLock<Mutex<Slots>>>,
    sooner: Arc<Notify>,
    keeper: Keeper,
    observer: Observer,
    alarm: Alarm,
}

impl Gate {
    pub(crate) fn new(intake: Intake, observer: Observer) -> Self {
        Self {
            intake: Arc::new(Mutex::new(intake)),
            slots: Arc::default(),
            sooner: Arc::new(Notify::new()),
            keeper: Keeper::default(),
            observer,
            alarm: Alarm::default(),
        }
    }

    /// Lets the totals of the map's counters go on where they were, and keeps them, from now on.
    pub(crate) fn with_totals(self, keeper: Keeper) -> Self {
        Self { keeper, ..self }
    }

    /// Lets this alarm know of panics on the threads that put values in.
    pub(crate) fn with_alarm(self, alarm: Alarm) -> Self {
        Self { alarm, ..self }
    }

    /// The intake. It is never held across a wait or a call that can block.
    pub(crate) fn intake(&self) -> MutexGuard<'_, Intake> {
        self.alarm.lock(&self.intake, "the intake")
    }

    /// Whether somebody panicked in here: that is no driver's fault.
    pub(crate) fn is_poisoned(&self) -> bool {
        self.intake.is_poisoned() || self.keeper.is_poisoned() || self.slots.get().is_some_and(Mutex::is_poisoned)
    }

    /// Rung when the next close moved forward.
    pub(crate) fn sooner(&self) -> &Notify {
        &self.sooner
    }

    /// Takes a value of a sensor's quantity. It is safe from a kill with the next [`Gate::keep`].
    pub(crate) fn put(&self, now: Now, sensor: SensorId, quantity: usize, at: Mono, value: Result<f64, Fault>) {
        let _watched = self.alarm.watch("who takes the readings");
        let reading = Reading { sensor, quantity, at, value };
        let put = self.intake().put(now, &reading);
        (self.observer)(&Event::Reading(&reading));
        self.tell(&put.edges);
        if put.wake {
            self.sooner.notify_one();
        }
    }

    /// Takes a fault of every quantity that the map asks for.
    pub(crate) fn fail(&self, now: Now, sensor: SensorId, fault: &Fault) {
        let routed = self.intake().routed(sensor);
        for quantity in routed {
            self.put(now, sensor, quantity, now.mono, Err(fault.clone()));
        }
    }

    /// Tells of a sensor whose reads take long, or no longer do.
    pub(crate) fn slow(&self, sensor: SensorId, slow: Option<Slow>) {
        let Some(name) = self.intake().name(sensor).map(str::to_owned) else { return };
        (self.observer)(&Event::Slow { name: &name, slow });
    }

    /// Tells of sensors that went silent or came back.
    pub(crate) fn tell(&self, edges: &[Edge]) {
        for edge in edges {
            let (Edge::Down(sensor, _) | Edge::Up(sensor)) = edge;
            let Some(name) = self.intake().name(*sensor).map(str::to_owned) else { continue };
            (self.observer)(&Event::Sensor { name: &name, edge });
        }
    }

    /// Writes the open slots, if they changed.
    pub(crate) fn keep(&self) {
        let Some(slots) = self.slots.get() else { return };
        let _watched = self.alarm.watch("who keeps the open slots");
        let edge = {
            // Held from the state to the file: otherwise the older of two states could be the one that stays.
            let mut slots = self.alarm.lock(slots, "the open slots' file");
            slots.keep(|boot| self.intake().save(boot))
        };
        if let Some(edge) = edge {
            (self.observer)(&Event::Slots { error: edge.as_ref().err() });
        }
    }

    /// Writes them whether they changed or not: somebody has removed the file.
    pub(crate) fn keep_anew(&self) {
        if let Some(slots) = self.slots.get() {
            self.alarm.lock(slots, "the open slots' file").forget();
        }
        self.keep();
    }

    /// An outlet through which a device puts values that come by themselves, each on a wake-up of its own, and its total.
    pub(crate) fn outlet(&self, sensor: SensorId, hal: &Hal) -> Outlet {
        let gate = self.clone();
        let clock = Arc::clone(&hal.clock);
        let name = self.intake().name(sensor).map(str::to_owned);
        let total = name.and_then(|name| self.keeper.total(&name));
        Outlet::new(move |quantity, at, value| {
            gate.put(clock.now(), sensor, quantity, at, value);
            gate.keep();
        })
        .keeping(total)
    }
}

impl Gate {
    /// Keeps open slots in a file from now on, through every clone of the gate.
    pub(crate) fn keep_in(&self, slots: Slots) {
        // There is one file; a second call would be a defect, and the first one stays.
        let _ = self.slots.set(Mutex::new(slots));
    }

    /// The drafts of the slots that have ended. They are in the file before they are in the spool: whatever happens in
    /// between, the next start finds them there, with the ends that they have now.
    pub(crate) fn close_due(&self, now: Now, edges: &mut Vec<Edge>) -> Vec<UntimedEntry> {
        let drafts = self.intake().close_due(now, edges);
        self.keep();
        drafts
    }

    /// The drafts of all slots, as [`Gate::close_due`] gives them.
    pub(crate) fn close_all(&self, now: Now) -> Vec<UntimedEntry> {
        let drafts = self.intake().close_all(now);
        self.keep();
        drafts
    }

    /// Takes a new map, whose sensors have these numbers; see [`Intake::reload`].
    pub(crate) fn reload(&self, now: Now, boot: BootId, settings: &Settings, ids: &[SensorId]) -> Vec<UntimedEntry> {
        let drafts = self.intake().reload(now, boot, settings, ids);
        self.keep();
        self.sooner.notify_one();
        drafts
    }

    /// The spool has the drafts up to these ends: the file forgets them.
    pub(crate) fn taken(&self, last_ends: &BTreeMap<ChannelId, Mono>) {
        {
            let mut intake = self.intake();
            for (channel, last_end) in last_ends {
                intake.taken(*channel, *last_end);
            }
        }
        self.keep();
    }
}
