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
    /// A measurement was begun, and is to be collected.
    begun: Option<Begun>,
    heartbeat: Heartbeat,
    pace: Pace,
}

/// A measurement that the part makes by itself.
#[derive(Clone, Copy)]
struct Begun {
    at: Now,
    ready: Mono,
}

/// What a read gave, before anybody was told of it.
pub(super) struct Outcome {
    /// When the measurement began, by which the next one is scheduled.
    began: Now,
    ended: Now,
    /// How long the bus was held.
    pub(super) took: Duration,
    /// `None`: the measurement has begun, and is to be collected later.
    measured: Option<Result<Measured, Fault>>,
}

/// How far a measurement has come.
enum Progress {
    /// The part measures by itself, for so long.
    Begun(Duration),
    Measured(Measured),
}

impl Polled {
    /// A sensor that is due at once.
    pub(super) fn new(id: SensorId, settings: config::Sensor, heartbeat: Heartbeat) -> Self {
        let schedule = Schedule::new(settings.every);
        Self { id, settings, schedule, sensor: None, begun: None, heartbeat, pace: Pace::new() }
    }

    pub(super) fn due(&self) -> Mono {
        self.begun.map_or_else(|| self.schedule.next(), |begun| begun.ready)
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

    /// Begins a measurement, or collects one that was begun; opens the sensor where it is not. May block for ever.
    pub(super) fn read(&mut self, hal: &Hal, pipeline: &PipelineHandle) -> Outcome {
        let started = hal.clock.now();
        self.heartbeat.due(started.mono + self.settings.timeout);
        let measured = catch_unwind(AssertUnwindSafe(|| self.measure(hal, pipeline))).unwrap_or_else(|panic| {
            if pipeline.is_poisoned() {
                // Not the driver's own.
                resume_unwind(panic);
            }
            Err(Fault::Panicked(panic_message(&*panic)))
        });
        self.heartbeat.rest();
        let ended = hal.clock.now();
        let took = ended.mono.since(started.mono);
        let began = self.begun.take().map_or(started, |begun| begun.at);
        let measured = match measured {
            Ok(Progress::Begun(wait)) => {
                self.begun = Some(Begun { at: began, ready: ended.mono + wait });
                None
            }
            Ok(Progress::Measured(measured)) => Some(Ok(measured)),
            Err(fault) => {
                self.sensor = None;
                Some(Err(fault))
            }
        };
        Outcome { began, ended, took, measured }
    }

    /// Hands on what a read gave; nothing where a measurement has only begun. One that took longer than the time-out is a fault, though
    /// its answer came in the end; `was_told` says that it was called one while it lasted. `is_slow` says that it kept others waiting, or would have.
    pub(super) fn finish(
        &mut self,
        outcome: Outcome,
        was_told: bool,
        is_slow: bool,
        pipeline: &PipelineHandle,
    ) -> Option<Change> {
        let Outcome { began, ended, took, measured } = outcome;
        let timeout = self.settings.timeout;
        let is_late = was_told || took > timeout;
        let measured = match measured {
            Some(measured) => measured,
            // What it would say is late already.
            None if is_late => {
                self.begun = None;
                Err(Fault::Late { took, timeout })
            }
            None => return self.pace.read(is_slow),
        };
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

    fn measure(&mut self, hal: &Hal, pipeline: &PipelineHandle) -> Result<Progress, Fault> {
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
        let sensor = self.sensor.as_mut().expect("opened above");
        if self.begun.is_none()
            && let Some(wait) = sensor.begin()?
        {
            return Ok(Progress::Begun(wait));
        }
        sensor.measure().map(Progress::Measured)
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
