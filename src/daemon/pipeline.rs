//! The pipeline as the daemon's threads share it: readings go in from any thread, and the runtime is woken only when a slot
//! has to be closed earlier than it thought.
//!
//! Whoever has put what it measured calls [`PipelineHandle::save`] before it sleeps again: the wake-up is there already. What
//! changed since is then added to the journal `slots` in the runtime directory, so that a kill costs no more than the readings in
//! flight ([`crate::pipeline::saved`] says what stands there).

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;

use crate::config::Settings;
use crate::daemon::alarm::Alarm;
use crate::daemon::event::{Event, Observer, Slow};
use crate::entry::{ChannelId, Column, UntimedEntry};
use crate::hal::{Clock, Hal};
use crate::pipeline::saved::Restored;
use crate::pipeline::{HealthChange, Pipeline, Put};
use crate::reading::{Fault, Reading, SensorId};
use crate::sensor::ReadingSender;
use crate::state::StateHandle;
use crate::store::journal::Journal;
use crate::time::{BootId, Mono, Now};

/// The journal's name.
pub(super) const FILE: &str = "slots";

/// A shared [`Pipeline`]. Cheap to clone.
#[derive(Clone)]
pub(super) struct PipelineHandle {
    shared: Arc<Mutex<Shared>>,
    sooner: Arc<Notify>,
    totals: StateHandle,
    observer: Observer,
    alarm: Alarm,
}

struct Shared {
    pipeline: Pipeline,
    saving: Option<Saving>,
}

/// Where what a kill would cost is saved.
struct Saving {
    journal: Journal,
    /// The boot that it means something in.
    boot: BootId,
    clock: Arc<dyn Clock>,
}

impl PipelineHandle {
    pub(super) fn new(pipeline: Pipeline, observer: Observer) -> Self {
        Self {
            shared: Arc::new(Mutex::new(Shared { pipeline, saving: None })),
            sooner: Arc::new(Notify::new()),
            totals: StateHandle::default(),
            observer,
            alarm: Alarm::default(),
        }
    }

    /// Lets the totals of the map's counters and integrals go on where they were, and keeps them, from now on.
    pub(super) fn with_totals(self, totals: StateHandle) -> Self {
        self.shared().pipeline.resume(|name| totals.integral(name));
        Self { totals, ..self }
    }

    /// Lets this alarm know of panics on the threads that put values in.
    pub(super) fn with_alarm(self, alarm: Alarm) -> Self {
        Self { alarm, ..self }
    }

    /// Whether somebody panicked in here: that is no driver's fault.
    pub(super) fn is_poisoned(&self) -> bool {
        self.shared.is_poisoned() || self.totals.is_poisoned()
    }

    /// Notified when the next close moved forward.
    pub(super) fn sooner(&self) -> &Notify {
        &self.sooner
    }

    /// When somebody has to come for entries.
    pub(super) fn next_close(&self) -> Option<Mono> {
        self.shared().pipeline.next_close()
    }

    /// The length of the shortest slot.
    pub(super) fn shortest_slot(&self) -> Duration {
        self.shared().pipeline.shortest_slot()
    }

    /// Whether the map asks for a quantity of a sensor.
    pub(super) fn is_routed(&self, sensor: SensorId, quantity: usize) -> bool {
        self.shared().pipeline.is_routed(sensor, quantity)
    }

    /// Takes a value of a sensor's quantity. It is safe from a kill with the next [`PipelineHandle::save`].
    pub(super) fn put(&self, now: Now, sensor: SensorId, quantity: usize, at: Mono, value: Result<f64, Fault>) {
        self.put_all(now, |_| vec![Reading { sensor, quantity, at, value }]);
    }

    /// Takes what `value` says of each quantity of a sensor that the map asks for; nothing where it says nothing.
    pub(super) fn read(&self, now: Now, sensor: SensorId, value: impl Fn(usize) -> Option<Result<f64, Fault>>) {
        let reading = |quantity| Some(Reading { sensor, quantity, at: now.mono, value: value(quantity)? });
        self.put_all(now, |pipeline| pipeline.routed(sensor).filter_map(reading).collect());
    }

    /// Takes a fault of every quantity that the map asks for.
    pub(super) fn fail(&self, now: Now, sensor: SensorId, fault: &Fault) {
        self.read(now, sensor, |_| Some(Err(fault.clone())));
    }

    /// Takes the level that an output has now, for where it reports it.
    pub(super) fn level(&self, now: Now, to: (ChannelId, Column), value: f64) {
        let wakes = self.shared().pipeline.level(now, to, value);
        if wakes {
            self.sooner.notify_one();
        }
    }

    /// Tells of a sensor whose reads take long, or no longer do.
    pub(super) fn slow(&self, sensor: SensorId, slow: Option<Slow>) {
        let Some(name) = self.name(sensor) else { return };
        (self.observer)(&Event::Slow { name: &name, slow });
    }

    /// Closes the slots that have ended: `take` gets their entries, channel by channel. They are the spool's before it is saved that
    /// they left, whatever happens in between.
    pub(super) fn close_due(&self, now: Now, take: impl FnMut(Vec<UntimedEntry>)) {
        let changes = self.shared().pipeline.close_due(now, take);
        self.save();
        self.report(&changes);
    }

    /// Closes all slots, as [`PipelineHandle::close_due`] does.
    pub(super) fn close_all(&self, now: Now, take: impl FnMut(Vec<UntimedEntry>)) {
        self.shared().pipeline.close_all(now, take);
        self.save();
    }

    /// Takes a new map, whose sensors have these numbers; see [`Pipeline::reload`].
    pub(super) fn reload(&self, now: Now, settings: &Settings, ids: &[SensorId], take: impl FnMut(Vec<UntimedEntry>)) {
        let mut shared = self.shared();
        shared.pipeline.reload(now, &settings.pipeline(), ids, take);
        shared.pipeline.resume(|name| self.totals.integral(name));
        drop(shared);
        // What is said there of channels that are gone would count again if they came back.
        self.save_anew();
        self.sooner.notify_one();
    }

    /// Takes what the process before this one had open, and saves what changes in the same journal from now on, through every
    /// clone. `last_end` is the end of the last entry of a channel that the spool has, of this boot; it holds also where there is no
    /// journal.
    ///
    /// # Errors
    /// When the journal is there and cannot be read; the pipeline is then without it.
    pub(super) fn restore_from(
        &self,
        journal: Journal,
        clock: Arc<dyn Clock>,
        last_end: impl Fn(ChannelId) -> Option<Mono>,
    ) -> io::Result<Restored> {
        let (bytes, failed) = match journal.read() {
            Ok(bytes) => (bytes, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        let boot = clock.boot();
        let mut shared = self.shared();
        let restored = shared.pipeline.restore(clock.now(), boot, &bytes, last_end);
        shared.saving = Some(Saving { journal, boot, clock });
        failed.map_or(Ok(restored), Err)
    }

    /// Saves what changed.
    pub(super) fn save(&self) {
        let _watched = self.alarm.watch("who saves the open slots");
        let news = self.shared().save();
        if let Some(news) = news {
            (self.observer)(&Event::Slots { error: news.as_ref().err() });
        }
    }

    /// Saves all of it: somebody has removed the journal.
    pub(super) fn save_anew(&self) {
        if let Some(saving) = &mut self.shared().saving {
            saving.journal.invalidate();
        }
        self.save();
    }

    /// An sender through which a device puts values that come by themselves, each on a wake-up of its own, and its total.
    pub(super) fn sender(&self, sensor: SensorId, hal: &Hal) -> ReadingSender {
        let handle = self.clone();
        let clock = Arc::clone(&hal.clock);
        let total = self.name(sensor).and_then(|name| self.totals.total(&name));
        ReadingSender::new(move |quantity, at, value| {
            handle.put(clock.now(), sensor, quantity, at, value);
            handle.save();
        })
        .keeping(total)
    }

    /// It is never held across a wait; only the journal and the spool's log are written under it, in memory.
    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.alarm.lock(&self.shared, "the pipeline")
    }

    fn name(&self, sensor: SensorId) -> Option<String> {
        self.shared().pipeline.name(sensor).map(str::to_owned)
    }

    fn put_all(&self, now: Now, readings: impl FnOnce(&Pipeline) -> Vec<Reading>) {
        let _watched = self.alarm.watch("who takes the readings");
        let mut put = Put::default();
        let readings = {
            let mut shared = self.shared();
            let mut readings = readings(&shared.pipeline);
            for reading in &readings {
                shared.pipeline.put(now, reading, &mut put);
            }
            readings.extend(shared.pipeline.derive(now, &mut put));
            readings
        };
        for (name, total) in put.totals {
            self.totals.keep_integral(now.mono, name, total);
        }
        for reading in &readings {
            (self.observer)(&Event::Reading(reading));
        }
        self.report(&put.changes);
        if put.wakes {
            self.sooner.notify_one();
        }
    }

    /// Tells of sensors that went silent or came back.
    fn report(&self, changes: &[HealthChange]) {
        for edge in changes {
            let (HealthChange::Down(sensor, _) | HealthChange::Up(sensor)) = edge;
            let Some(name) = self.name(*sensor) else { continue };
            (self.observer)(&Event::Sensor { name: &name, edge });
        }
    }
}

impl Shared {
    /// Saves what changed. Returns that it cannot be saved from now on, or that it can again.
    fn save(&mut self) -> Option<io::Result<()>> {
        let Saving { journal, boot, clock } = self.saving.as_mut()?;
        let mut written = None;
        if !journal.is_stale() {
            let changes = self.pipeline.changes();
            if !changes.is_empty() {
                written = Some(journal.append(&changes));
            }
        }
        let now = clock.now().mono;
        if journal.wants_rewrite(now) {
            written = Some(journal.rewrite(now, &self.pipeline.state(*boot)));
        }
        journal.news(written?)
    }
}

#[cfg(test)]
mod tests;
