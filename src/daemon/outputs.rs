//! The task of the outputs: field updates in, levels out.
//!
//! It waits on inbound, the rules' deadline, the call to report, new maps, and the stop. The rules decide, also when a
//! driver that failed is tried again; a driver is opened at the level the rules say, so that a pin is never at another one.
//! What the rules have to know after a restart is kept: before an output goes on and after it went off, so that a crash
//! between the two can only make it seem to be on for longer than it was. What else changes, such as the newest entry heard, is
//! kept within a second, so that a flood of commands is no flood of writes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::sleep;

use crate::daemon::event::{Event, Observer, Wait};
use crate::daemon::heartbeat::Heartbeat;
use crate::daemon::pipeline::PipelineHandle;
use crate::hal::Hal;
use crate::output::actuator::Driver;
use crate::output::command::Command;
use crate::output::rules::{self, Action, Past, Rules, Switch};
use crate::output::{Drive, Settings};
use crate::state::{Key, StateHandle};
use crate::thingspeak::topic::Topic;
use crate::time::Mono;
use crate::uplink::session::Inbound;

/// What is no switch is kept this often at most.
const KEEP_EVERY: Duration = Duration::from_secs(1);

/// The outputs of a new map, and whom to tell that they are taken.
pub(super) type Reload = (Vec<Settings>, oneshot::Sender<()>);

/// What the task of the outputs listens to.
pub(super) struct Inputs {
    /// Field updates, and word of the links.
    pub(super) inbound: mpsc::Receiver<Inbound>,
    /// New maps.
    pub(super) reloads: mpsc::Receiver<Reload>,
    /// Rung when levels are to be reported for a slot.
    pub(super) report: Arc<Notify>,
    /// Set at the stop.
    pub(super) stop: watch::Receiver<bool>,
    /// Its sign of life.
    pub(super) heartbeat: Heartbeat,
}

/// All outputs of the map.
pub(super) struct Outputs {
    settings: Vec<Settings>,
    rules: Rules,
    drivers: Vec<Pin>,
    memory: Memory,
    /// When everything was kept last.
    kept: Option<Mono>,
    /// Something has changed since.
    is_unkept: bool,
    /// The switches that were kept last, by their outputs' names.
    switches: BTreeMap<String, Option<Switch>>,
    hal: Hal,
    pipeline: PipelineHandle,
    observer: Observer,
}

/// Where the outputs' past is kept.
pub(super) struct Memory {
    /// The state store.
    pub(super) state: StateHandle,
    /// Which boot this is: a switch time of another one means nothing.
    pub(super) boot: u128,
}

#[derive(Default)]
struct Pin {
    driver: Option<Box<dyn Driver>>,
    /// The failure was told.
    told: bool,
}

impl Outputs {
    /// Opens every output at its start level. One that cannot be had is tried again.
    pub(super) fn open(
        settings: Vec<Settings>,
        memory: Memory,
        hal: &Hal,
        pipeline: &PipelineHandle,
        observer: &Observer,
    ) -> Self {
        let drivers = settings.iter().map(|_| Pin::default()).collect();
        let mut rules = Rules::new(&settings);
        for (output, its) in settings.iter().enumerate() {
            rules.remember(output, past(&memory.state, memory.boot, its));
        }
        let mut outputs = Self {
            rules,
            settings,
            drivers,
            memory,
            kept: None,
            is_unkept: false,
            switches: BTreeMap::new(),
            hal: hal.clone(),
            pipeline: pipeline.clone(),
            observer: Arc::clone(observer),
        };
        outputs.event(rules::Event::Start);
        outputs
    }

    /// Obeys until the stop, then drives every output to its stop level.
    pub(super) async fn run(mut self, inputs: Inputs) {
        let Inputs { mut inbound, mut reloads, report, mut stop, heartbeat } = inputs;
        loop {
            let deadline = self.deadline();
            match deadline {
                Some(deadline) => heartbeat.due(deadline),
                None => heartbeat.rest(),
            }
            let due = async {
                match deadline {
                    Some(deadline) => sleep(deadline.since(self.hal.clock.now().mono)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(inbound) = inbound.recv() => self.deliver(&inbound),
                () = due => self.event(rules::Event::Tick),
                () = report.notified() => self.report_all(),
                Some((settings, taken)) = reloads.recv() => {
                    self.reload(settings);
                    // Whoever asked may have given up waiting.
                    let _ = taken.send(());
                }
                _ = stop.changed() => break,
            }
        }
        self.event(rules::Event::Stop);
        self.keep_all();
    }

    /// When [`rules::Event::Tick`] is wanted.
    fn deadline(&self) -> Option<Mono> {
        let keeping = self.kept.filter(|_| self.is_unkept).map(|kept| kept + KEEP_EVERY);
        [self.rules.deadline(), keeping].into_iter().flatten().min()
    }

    fn deliver(&mut self, inbound: &Inbound) {
        match inbound {
            Inbound::Heard(topic) => self.event(rules::Event::LinkUp { topic: *topic }),
            Inbound::Unheard(topic) => self.event(rules::Event::LinkDown { topic: *topic }),
            Inbound::Garbled(channel, garbled) => {
                for output in 0..self.settings.len() {
                    if self.settings[output].from.topic() == Topic::Subscribe(*channel) {
                        (self.observer)(&Event::InvalidCommand {
                            output: &self.settings[output].name,
                            words: garbled.to_string(),
                        });
                    }
                }
            }
            Inbound::Feed { message, retained } => {
                for output in 0..self.settings.len() {
                    let Settings { from, target, .. } = &self.settings[output];
                    if from.topic() == Topic::Subscribe(message.channel) {
                        let command = Command::from_feed(message, from.field, target);
                        self.command(output, command, *retained);
                    }
                }
            }
            Inbound::Field { channel, field, payload, retained } => {
                for output in 0..self.settings.len() {
                    let Settings { from, target, .. } = &self.settings[output];
                    if from.topic() == Topic::SubscribeField(*channel, *field) {
                        let command = Command::from_field(payload, target);
                        self.command(output, command, *retained);
                    }
                }
            }
        }
    }

    fn command(
        &mut self,
        output: usize,
        command: Result<Option<Command>, crate::output::command::Refused>,
        retained: bool,
    ) {
        match command {
            Ok(Some(command)) if retained => self.event(rules::Event::Retained { output, command }),
            Ok(Some(command)) => self.event(rules::Event::Command { output, command }),
            Ok(None) => {}
            Err(refused) => {
                (self.observer)(&Event::InvalidCommand {
                    output: &self.settings[output].name,
                    words: refused.to_string(),
                });
            }
        }
    }

    /// Takes the outputs of a new map. One that drives what an old one did keeps its driver, so that its pin does not move.
    fn reload(&mut self, settings: Vec<Settings>) {
        self.keep_all();
        let same = |new: &Settings| self.settings.iter().position(|old| old.target == new.target);
        let before: Vec<Option<usize>> = settings.iter().map(same).collect();
        let gone: Vec<usize> = (0..self.settings.len()).filter(|place| !before.contains(&Some(*place))).collect();
        let actions = self.rules.leave(self.hal.clock.now().mono, &gone);
        self.perform(actions);
        let mut drivers: Vec<Option<Pin>> = std::mem::take(&mut self.drivers).into_iter().map(Some).collect();
        let kept = |old: &Option<usize>| old.and_then(|old| drivers[old].take());
        self.drivers = before.iter().map(kept).map(Option::unwrap_or_default).collect();
        drop(drivers);
        self.settings = settings;
        let Memory { state, boot } = &self.memory;
        let past = |its: &Settings| past(state, *boot, its);
        let actions = self.rules.reload(self.hal.clock.now().mono, &self.settings, &before, past);
        for output in (0..self.settings.len()).filter(|output| before[*output].is_some()) {
            let (drive, reason, limit) =
                (self.rules.drive(output), self.rules.reason(output), self.rules.limit(output));
            (self.observer)(&Event::Stays { output: &self.settings[output].name, drive, reason, limit });
            if let Some((drive, until)) = self.rules.next(output) {
                self.waits(output, Some((drive, until)));
            }
        }
        self.perform(actions);
        self.keep_all();
    }

    fn event(&mut self, event: rules::Event) {
        let actions = self.rules.event(self.hal.clock.now(), event);
        self.is_unkept |= !actions.is_empty() || matches!(event, rules::Event::Command { .. });
        self.perform(actions);
        let now = self.hal.clock.now().mono;
        if self.is_unkept && self.kept.is_none_or(|kept| kept + KEEP_EVERY <= now) {
            self.keep_all();
        }
    }

    fn perform(&mut self, actions: Vec<Action>) {
        let mut failed = Vec::new();
        for action in &actions {
            if let Action::Set { output, drive, .. } = action
                && drive.is_on()
            {
                self.keep_switch(*output);
            }
        }
        let mut driven = Vec::new();
        for action in actions {
            match action {
                // Behind an output that could not be driven nothing goes on: the two may be interlocked.
                Action::Set { output, drive, .. } if drive.is_on() && !failed.is_empty() => failed.push(output),
                Action::Set { output, drive, reason } => match self.drive(output, drive) {
                    Ok(real) => {
                        let limit = self.rules.limit(output);
                        (self.observer)(&Event::Driven { output: &self.settings[output].name, drive, reason, limit });
                        self.report(output, real);
                        driven.push(output);
                    }
                    Err(()) => failed.push(output),
                },
                Action::Wait { output, drive, until } => self.waits(output, Some((drive, until))),
                Action::Stay { output } => self.waits(output, None),
                Action::Refuse { output, reason } => {
                    (self.observer)(&Event::Refused { output: &self.settings[output].name, refusal: &reason });
                }
            }
        }
        for output in driven {
            self.keep_switch(output);
        }
        for output in failed {
            self.event(rules::Event::Failed { output });
            self.keep(output);
        }
    }

    fn waits(&self, output: usize, next: Option<(Drive, Mono)>) {
        let now = self.hal.clock.now().mono;
        let wait = next.map(|(drive, until)| Wait { drive, left: until.since(now), until });
        (self.observer)(&Event::Waits { output: &self.settings[output].name, wait });
    }

    /// Keeps every output's past and the level that its channel is told, as far as they have changed.
    fn keep_all(&mut self) {
        self.pipeline.save();
        for output in 0..self.settings.len() {
            self.keep(output);
        }
        (self.kept, self.is_unkept) = (Some(self.hal.clock.now().mono), false);
    }

    /// Keeps an output's past where it went on or off since it was kept. What it only heard meanwhile is kept with all others: a
    /// lamp that is dimmed all the time is no reason to write all the time.
    fn keep_switch(&mut self, output: usize) {
        let its = &self.settings[output];
        if self.switches.get(&its.name) != Some(&self.rules.past(output).switch) {
            self.keep(output);
        }
    }

    /// Keeps an output's past, if it has changed.
    fn keep(&mut self, output: usize) {
        let its = &self.settings[output];
        self.switches.insert(its.name.clone(), self.rules.past(output).switch);
        let past = self.rules.past(output).to_bytes(self.memory.boot, its.from);
        self.memory.state.set(self.hal.clock.now().mono, &Key::Output(its.name.clone()), past);
    }

    /// Opens the output if need be and drives it. Returns what it really is. A failure is told once.
    fn drive(&mut self, output: usize, drive: Drive) -> Result<Drive, ()> {
        let pin = &mut self.drivers[output];
        let driven = if let Some(driver) = &mut pin.driver {
            driver.set(drive)
        } else {
            let opened = self.settings[output].target.open(drive, self.hal.gpio.as_ref(), self.hal.pwm.as_ref());
            opened.map(|driver| pin.driver = Some(driver))
        };
        match driven.and_then(|()| pin.driver.as_mut().map_or(Ok(drive), |driver| driver.drive())) {
            Ok(real) => {
                if std::mem::take(&mut pin.told) {
                    (self.observer)(&Event::Output { output: &self.settings[output].name, error: None });
                }
                Ok(real)
            }
            Err(error) => {
                pin.driver = None;
                if !std::mem::replace(&mut pin.told, true) {
                    (self.observer)(&Event::Output { output: &self.settings[output].name, error: Some(&error) });
                }
                Err(())
            }
        }
    }

    /// Says for each slot what the outputs really do, not what they were told.
    fn report_all(&mut self) {
        for output in 0..self.settings.len() {
            if self.settings[output].report.is_some()
                && let Some(driver) = &mut self.drivers[output].driver
                && let Ok(real) = driver.drive()
            {
                self.report(output, real);
            }
        }
        self.pipeline.save();
    }

    fn report(&self, output: usize, drive: Drive) {
        let Some(to) = self.settings[output].report else { return };
        self.pipeline.level(self.hal.clock.now(), to, self.settings[output].target.report(drive));
    }
}

/// What is known of an output from before.
fn past(state: &StateHandle, boot: u128, its: &Settings) -> Past {
    let kept = state.get(&Key::Output(its.name.clone()));
    kept.map(|kept| Past::from_bytes(&kept, boot, its.from)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
