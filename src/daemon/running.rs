//! The running daemon: all of its parts, started, changed by a new map, and stopped.
//!
//! A new map is checked by the time it comes here. Only what it changes is touched: sensors, outputs and sessions that stay as
//! they are go on with all they know; the spool, totals and open slots always do. What begins comes behind what ends, since it
//! may want the same pin, port or login.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::{JoinHandle, spawn_blocking, yield_now};
use tokio::time::timeout;

use crate::config::Settings;
use crate::config::registry::SensorRegistry;
use crate::daemon::alarm::{Alarm, caught, locked};
use crate::daemon::bus_threads::BusThreads;
use crate::daemon::changes::Changes;
use crate::daemon::disk::{self, Folders, Store};
use crate::daemon::end_reason;
use crate::daemon::event::{Event, Observer};
use crate::daemon::guard::Guard;
use crate::daemon::heartbeat::HeartbeatMonitor;
use crate::daemon::house_brokers::HouseBrokers;
use crate::daemon::new_entries::NewEntries;
use crate::daemon::outputs::{self, Inputs, Memory, Outputs};
use crate::daemon::pipeline::PipelineHandle;
use crate::daemon::routes;
use crate::daemon::server::Server;
use crate::daemon::slot_task::SlotTask;
use crate::daemon::streams::Streams;
use crate::daemon::tracker::StatusHandle;
use crate::daemon::uplinks::{Common, Uplinks};
use crate::daemon::watchdog::Watchdog;
use crate::hal::{GpioBackend, Hal};
use crate::output::levels::Levels;
use crate::output::{self, Settings as OutputSettings};
use crate::pipeline::Pipeline;
use crate::state::StateHandle;
use crate::uplink::session::Tuning;

/// Messages for the outputs that may wait: a person presses a button a few times, the service allows one update a second.
const DELIVERIES: usize = 32;
/// How long the outputs may take to reach their stop level, or to take a new map.
pub(super) const OUTPUTS_PATIENCE: Duration = Duration::from_secs(2);
/// How long the disk may take at the stop: systemd waits 90 s before it kills.
const CARD_PATIENCE: Duration = Duration::from_secs(20);
/// How long a bus thread is waited for at the stop.
const BUS_THREAD_PATIENCE: Duration = Duration::from_millis(200);
/// How long the drivers of sensors that end may take to let go of their pins.
const BUS_THREADS_PATIENCE: Duration = Duration::from_secs(2);
/// A new map is taken by then, with every patience used up.
const RELOAD_WITHIN: Duration = Duration::from_secs(30);

/// What a daemon is made of.
pub(super) struct Parts {
    pub(super) settings: Settings,
    pub(super) hal: Hal,
    pub(super) folders: Option<Folders>,
    pub(super) socket: Option<PathBuf>,
    pub(super) tracker: StatusHandle,
    /// It tells the tracker too.
    pub(super) observer: Observer,
    pub(super) tuning: Tuning,
    /// Dropped when the outputs' task has ended, however it did.
    pub(super) ending: mpsc::Sender<()>,
}

/// All parts of a daemon.
pub(super) struct Running {
    settings: Settings,
    /// The back end that was taken at the start.
    gpio: GpioBackend,
    hal: Hal,
    observer: Observer,
    guard: Arc<Guard>,
    alarm: Alarm,
    state: StateHandle,
    registry: SensorRegistry,
    outputs: OutputsTask,
    uplinks: Uplinks,
    watching: JoinHandle<()>,
    streams: Streams,
    house_brokers: HouseBrokers,
    bus_threads: Arc<BusThreads>,
    slot_task: Arc<SlotTask>,
    closing: JoinHandle<()>,
    tracker: StatusHandle,
    serving: JoinHandle<()>,
    heartbeats: HeartbeatMonitor,
    /// Why it could not start.
    start_error: Option<String>,
}

struct OutputsTask {
    task: JoinHandle<()>,
    reloads: mpsc::Sender<outputs::Reload>,
    stop: watch::Sender<bool>,
}

impl Running {
    /// Starts all parts. One that could not says so in [`Running::died`].
    pub(super) async fn start(parts: Parts) -> Self {
        let Parts { settings, hal, folders, socket, tracker, observer, tuning, ending } = parts;
        let observer = &observer;
        let (alarm, heartbeats) = (Alarm::default(), HeartbeatMonitor::default());
        let mut registry = SensorRegistry::new();
        let sensors = registry.update(&settings.sensors).added;
        observer(&Event::Map(&settings, &registry.ids()));
        let state = disk::state_handle(&settings, &hal, folders.as_ref()).await;
        let pipeline = Pipeline::new(&settings.pipeline(), &registry.ids(), hal.clock.now().mono);
        let pipeline = PipelineHandle::new(pipeline, Arc::clone(observer)).with_totals(state.clone());
        let pipeline = pipeline.with_alarm(alarm.clone());

        let guard = Guard::new(folders.clone(), !hal.is_simulated, alarm.clone(), Arc::clone(observer));
        let guard = Arc::new(guard);
        guard.levels().keep(settings.gpio, &settings.outputs);
        let (deliver, inbound) = mpsc::channel(DELIVERIES);
        let report = Arc::new(Notify::new());
        let outputs = {
            let memory = Memory { state: state.clone(), boot: hal.clock.boot().0 };
            let outputs = Outputs::open(settings.outputs.clone(), memory, &hal, &pipeline, observer);
            let ((reload, reloads), stop) = (mpsc::channel(1), watch::Sender::new(false));
            let (report, heartbeat) = (Arc::clone(&report), heartbeats.watch("the outputs' task"));
            let inputs = Inputs { inbound, reloads, report, stop: stop.subscribe(), heartbeat };
            let run = async move {
                let _ending = ending;
                outputs.run(inputs).await;
            };
            OutputsTask { task: tokio::spawn(run), reloads: reload, stop }
        };

        // After the outputs: a disk may take its time, and pins do not wait for it.
        let store = Store::open(&settings, &hal, folders, state.clone(), observer).await;
        store.restore(&pipeline, &hal, observer);
        report.notify_one();
        let (spool, new_entries) = (store.spool(), NewEntries::default());
        let (asked, told) = (tracker.clone(), Arc::clone(observer));
        let server = Server { socket, tracker: asked, spool: Arc::clone(&spool), observer: told, look: guard.door() };
        let serving = tokio::spawn(server.run());
        let network = watch::Sender::new(());
        let watching = tokio::spawn(routes::watch(network.clone(), Arc::clone(observer)));
        let mut uplinks = Uplinks::new(Common {
            spool: Arc::clone(&spool),
            new_entries: new_entries.clone(),
            network,
            clock: Arc::clone(&hal.clock),
            inbound: deliver,
            observer: Arc::clone(observer),
            tuning,
            heartbeats: heartbeats.clone(),
        });
        uplinks.take(&settings).await;

        let mut streams = Streams::new(&hal, &pipeline, &heartbeats);
        streams.add(&sensors);
        let house_brokers = HouseBrokers::serving(&sensors, &hal, &pipeline, &heartbeats);
        let bus_threads = Arc::new(BusThreads::new(&hal, &pipeline, &heartbeats));
        let (disk, started) = match store.start(&hal, &new_entries, observer, &heartbeats, &alarm) {
            Ok(disk) => (Some(disk), bus_threads.add(&sensors)),
            Err(error) => (None, Err(error)),
        };
        let slot_task = Arc::new(SlotTask {
            pipeline: pipeline.clone(),
            spool,
            disk,
            new_entries,
            report,
            guard: Arc::clone(&guard),
            hal: hal.clone(),
            trust: settings.clock.into(),
            steps: Mutex::default(),
            started: hal.clock.now().mono,
            observer: Arc::clone(observer),
        });
        slot_task.begin();
        let closing =
            tokio::spawn(Arc::clone(&slot_task).run(Arc::clone(&bus_threads), Watchdog::new(heartbeats.clone())));
        let start_error = started.err().map(|error| format!("a thread cannot be started: {error}"));
        if start_error.is_none() {
            observer(&Event::Started);
        }
        let observer = Arc::clone(observer);
        Self {
            gpio: settings.gpio,
            settings,
            hal,
            observer,
            guard,
            alarm,
            state,
            registry,
            outputs,
            uplinks,
            watching,
            streams,
            house_brokers,
            bus_threads,
            slot_task,
            closing,
            tracker,
            serving,
            heartbeats,
            start_error,
        }
    }

    /// Ready when a part has ended by itself: says which and why.
    pub(super) async fn died(&mut self) -> String {
        if let Some(why) = self.start_error.take() {
            return why;
        }
        tokio::select! {
            ended = &mut self.outputs.task => end_reason("the outputs' task", ended),
            ended = &mut self.closing => end_reason("the slots' task", ended),
            ended = &mut self.serving => end_reason("the server of the status", ended),
            why = self.uplinks.died() => why,
            ended = &mut self.watching => end_reason("the watcher of routes", ended),
            why = self.streams.died() => why,
            why = self.house_brokers.died() => why,
            () = self.bus_threads.died() => "a bus thread panicked".to_owned(),
            why = self.alarm.rung() => why,
        }
    }

    /// Takes a new map.
    pub(super) async fn reload(&mut self, settings: Settings) -> Changes {
        let before = std::mem::replace(&mut self.settings, settings);
        let settings = &self.settings;
        let diff = self.registry.update(&settings.sensors);
        (self.observer)(&Event::Map(settings, &self.registry.ids()));
        let heartbeat = self.heartbeats.watch("the taking of the new map");
        heartbeat.due(self.hal.clock.now().mono + RELOAD_WITHIN);

        // What ends. A driver that is slow to let go is not waited for.
        let (bus_threads, gone) = (Arc::clone(&self.bus_threads), diff.removed.clone());
        let _ = timeout(BUS_THREADS_PATIENCE, spawn_blocking(move || bus_threads.remove(&gone))).await;
        self.streams.remove(&diff.removed).await;
        self.house_brokers.remove(&diff.removed).await;

        // What goes on, with other words. The past of outputs that leave is still to be kept.
        self.state.adopt(before.kept().into_iter().chain(settings.kept()).collect());
        locked(&self.slot_task.spool).adopt(&disk::backlogs(settings), settings.spool);
        self.slot_task.trust(settings.clock);
        self.slot_task.reload(settings, &self.registry.ids());

        // What begins.
        let both: Vec<output::Settings> = settings.outputs.iter().chain(&before.outputs).cloned().collect();
        self.guard.levels().keep(self.gpio, &both);
        let (taken, done) = oneshot::channel();
        if self.outputs.reloads.send((settings.outputs.clone(), taken)).await.is_ok() {
            let _ = timeout(OUTPUTS_PATIENCE, done).await;
        }
        self.guard.levels().keep(self.gpio, &settings.outputs);
        self.state.adopt(settings.kept());
        // A slot that was closed had the levels; the next one begins with them.
        self.slot_task.report.notify_one();
        let sessions = self.uplinks.take(settings).await;
        self.streams.add(&diff.added);
        self.house_brokers.add(&diff.added);
        if let Err(error) = self.bus_threads.add(&diff.added) {
            self.start_error = Some(format!("a thread cannot be started: {error}"));
        }
        let gpio = (self.gpio != settings.gpio).then_some(settings.gpio);
        Changes { sessions, gpio, ..Changes::between(&before, settings) }
    }

    /// Stops all parts in order. A part that panics keeps no other from being stopped: returns what it said.
    pub(super) async fn stop(self) -> Result<(), String> {
        let observer = &self.observer;
        let mut steps = vec![caught(async { observer(&Event::Stopping) }).await];
        // Outputs first: whatever else goes wrong from here on, the pins are safe.
        let outputs = self.outputs.stop(&self.hal, self.gpio, &self.settings.outputs, &self.guard);
        steps.push(caught(outputs).await.and_then(|stopped| stopped));
        self.closing.abort();
        self.watching.abort();
        let (bus_threads, programs) = (self.bus_threads, self.hal.programs);
        let _ = spawn_blocking(move || bus_threads.stop(BUS_THREAD_PATIENCE)).await;
        // Behind the threads, so that nobody reads a killed program's fault into the last entry.
        programs.stop();
        steps.push(caught(self.streams.stop()).await);
        steps.push(caught(self.house_brokers.stop()).await);
        let slot_task = &self.slot_task;
        steps.push(caught(async { slot_task.close_all() }).await);
        steps.push(caught(self.uplinks.stop()).await);
        let writing = Arc::clone(slot_task);
        let kept = spawn_blocking(move || writing.keep(CARD_PATIENCE)).await;
        let (settings, tracker) = (&self.settings, &self.tracker);
        steps.push(caught(async { slot_task.report_shutdown(settings, kept.ok().flatten(), tracker.tally()) }).await);
        self.serving.abort();
        while !self.serving.is_finished() {
            yield_now().await;
        }
        // Also of the threads that nobody waits for.
        steps.push(self.alarm.why().map_or(Ok(()), Err));
        steps.into_iter().collect()
    }
}

impl OutputsTask {
    /// Puts the outputs to their stop levels, by their task or without it. Says what kept it from doing so.
    async fn stop(self, hal: &Hal, gpio: GpioBackend, outputs: &[OutputSettings], guard: &Guard) -> Result<(), String> {
        self.stop.send_replace(true);
        // One that has ended before has died, and left its pins as they were; why was told.
        let has_died = self.task.is_finished();
        let ended = if has_died { Ok(Ok(())) } else { timeout(OUTPUTS_PATIENCE, self.task).await };
        let ended = match ended {
            Ok(Ok(())) => Ok(()),
            Ok(panicked) => Err(end_reason("the outputs' task", panicked)),
            // It has the pins.
            Err(_) => return Err("the outputs' task hangs".to_owned()),
        };
        let is_done = !has_died && ended.is_ok();
        if is_done || put_to_stop_levels(hal, gpio, outputs).await {
            guard.levels().remove();
        }
        ended
    }
}

/// Puts outputs to their stop levels whose task has died. Returns whether all of them are.
pub(super) async fn put_to_stop_levels(hal: &Hal, gpio: GpioBackend, outputs: &[OutputSettings]) -> bool {
    let (levels, hal) = (Levels::of(gpio, outputs), hal.clone());
    let drive = move || {
        let driven = levels.drive(&*hal.gpio, &*hal.pwm);
        for (level, done) in &driven {
            if let Err(error) = done {
                log::error!(output = level.name.as_str(), reason:% = error; "output {} stays as it is: {error}", level.name);
            }
        }
        driven.iter().all(|(_, done)| done.is_ok())
    };
    spawn_blocking(drive).await.unwrap_or(false)
}
