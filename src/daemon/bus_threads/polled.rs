//! One sensor of a bus thread: opened, read, and its values or its fault handed on.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use super::pace::{Change, Pace};
use crate::config;
use crate::daemon::alarm::panic_message;
use crate::daemon::heartbeat::Heartbeat;
use crate::daemon::pipeline::PipelineHandle;
use crate::entry::Reduce;
use crate::hal::Hal;
use crate::pipeline::schedule::Schedule;
use crate::reading::{Fault, SensorId};
use crate::sensor::{Measured, Sensor, Source};
use crate::time::{Mono, Now};

/// A sensor that is asked.
pub(super) struct Polled {
    pub(super) id: SensorId,
    settings: config::Sensor,
    schedule: Schedule,
    sensor: Option<Box<dyn Sensor>>,
    heartbeat: Heartbeat,
    pace: Pace,
}

/// What a read gave, before anybody was told of it.
pub(super) struct Outcome {
    began: Now,
    ended: Now,
    measured: Result<Measured, Fault>,
}

impl Outcome {
    /// How long it took.
    pub(super) fn took(&self) -> Duration {
        self.ended.mono.since(self.began.mono)
    }
}

impl Polled {
    /// A sensor that is due at once.
    pub(super) fn new(id: SensorId, settings: config::Sensor, heartbeat: Heartbeat) -> Self {
        let schedule = Schedule::new(settings.every);
        Self { id, settings, schedule, sensor: None, heartbeat, pace: Pace::new() }
    }

    pub(super) fn due(&self) -> Mono {
        self.schedule.next()
    }

    pub(super) const fn every(&self) -> Duration {
        self.settings.every
    }

    pub(super) const fn timeout(&self) -> Duration {
        self.settings.timeout
    }

    pub(super) const fn is_slow(&self) -> bool {
        self.pace.is_slow()
    }

    /// Reads it, and opens it where it is not. May block for ever.
    pub(super) fn read(&mut self, hal: &Hal, pipeline: &PipelineHandle) -> Outcome {
        let began = hal.clock.now();
        self.heartbeat.due(began.mono + self.settings.timeout);
        let measured = catch_unwind(AssertUnwindSafe(|| self.measure(hal, pipeline))).unwrap_or_else(|panic| {
            if pipeline.is_poisoned() {
                // Not the driver's own.
                resume_unwind(panic);
            }
            Err(Fault::Panicked(panic_message(&*panic)))
        });
        if measured.is_err() {
            self.sensor = None;
        }
        self.heartbeat.rest();
        Outcome { began, ended: hal.clock.now(), measured }
    }

    /// Hands on what a read gave. One that took longer than the time-out is a fault, though its answer came in the end;
    /// `was_told` says that it was called one while it lasted. `is_slow` says that it kept others waiting, or would have.
    pub(super) fn finish(
        &mut self,
        outcome: Outcome,
        was_told: bool,
        is_slow: bool,
        pipeline: &PipelineHandle,
    ) -> Option<Change> {
        let (took, timeout) = (outcome.took(), self.settings.timeout);
        let Outcome { began, ended, measured } = outcome;
        let is_late = was_told || took > timeout;
        self.schedule.done(began, measured.is_ok() && !is_late);
        let late = Fault::Late { took, timeout };
        self.put(pipeline, ended, &measured, is_late.then_some(&late));
        self.pace.read(is_slow)
    }

    /// It could not be read at all.
    pub(super) fn not_read(&mut self, now: Now, pipeline: &PipelineHandle, fault: &Fault) {
        self.schedule.done(now, false);
        pipeline.fail(now, self.id, fault);
    }

    /// Hands on what came since the last read.
    pub(super) fn say_last(&mut self, hal: &Hal, pipeline: &PipelineHandle) {
        let Some(sensor) = &mut self.sensor else { return };
        let Ok(Some(measured)) = catch_unwind(AssertUnwindSafe(|| sensor.last())) else { return };
        let now = hal.clock.now();
        pipeline.read(now, self.id, |quantity| measured.get(quantity).filter(|value| value.is_ok()).cloned());
    }

    fn measure(&mut self, hal: &Hal, pipeline: &PipelineHandle) -> Result<Measured, Fault> {
        if self.sensor.is_none() {
            let source = self.settings.kind.device().open(hal, pipeline.sender(self.id, hal))?;
            self.sensor = match source {
                Source::Polled(sensor) => Some(sensor),
                Source::Stream(..) => {
                    return Err(Fault::Unsupported(
                        "a stream where a polled device was asked for, which is a defect of gatepost".to_owned(),
                    ));
                }
            };
        }
        self.sensor.as_mut().expect("opened above").measure()
    }

    /// Puts the quantities that the map asks for.
    fn put(&self, pipeline: &PipelineHandle, now: Now, measured: &Result<Measured, Fault>, late: Option<&Fault>) {
        // What is summed has happened, however late it is told, and would be lost.
        let counts = |quantity: usize| {
            let quantities = self.settings.kind.device().quantities();
            quantities.get(quantity).is_some_and(|it| it.reduce == Reduce::Sum)
        };
        let missing = || Err(Fault::Unsupported("the driver does not measure this quantity".to_owned()));
        pipeline.read(now, self.id, |quantity| {
            Some(match (measured, late) {
                (Err(fault), _) => Err(fault.clone()),
                (Ok(_), Some(late)) if !counts(quantity) => Err(late.clone()),
                (Ok(values), _) => values.get(quantity).cloned().unwrap_or_else(missing),
            })
        });
    }
}
