//! The daemon: wires the rooms together, and takes them apart in the right order.
//!
//! One runtime thread holds a task per MQTT device, one for the outputs, one per serial sensor, and the closer, which
//! turns ended slots into waiting entries. Everything that may block has a thread of its own ([`lanes`]).
//!
//! Start: outputs at their start level, uplinks, sensors. Stop: outputs at their stop level, sensors, open slots, uplinks
//! drained to a deadline. See ARCHITECTURE.md for what each task waits on.

pub mod event;
mod gate;
pub mod intake;
pub mod journal;
mod lanes;
mod outputs;
mod streams;
mod supervise;
pub mod systemd;

use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::config::{self, Settings};
use crate::daemon::event::{Event, Observer};
use crate::daemon::gate::Gate;
use crate::daemon::intake::Intake;
use crate::daemon::lanes::Lanes;
use crate::daemon::outputs::{Outputs, Stops};
use crate::daemon::streams::Listener;
use crate::hal::Hal;
use crate::output::CommandFeed;
use crate::reading::SensorId;
use crate::sensor::Lane;
use crate::spool::{MemorySpool, Spool};
use crate::thingspeak::topic::Topic;
use crate::uplink::session::{ChannelSettings, Session, Tuning};
use crate::uplink::task::Uplink;
use crate::uplink::{self, Confirm};

/// Messages for the outputs that may wait: a person presses a button a few times, the service allows one update a second.
const DELIVERIES: usize = 32;
/// How long the uplinks may drain at the stop.
const DRAIN: Duration = Duration::from_millis(900);
/// Sensors that all hang open no slot: they are looked after this often in any case.
const LOOK_AROUND: Duration = Duration::from_secs(60);
/// How long a bus thread is waited for at the stop.
const LANE_PATIENCE: Duration = Duration::from_millis(200);

/// What the daemon is started with.
pub struct Daemon {
    /// What it does.
    pub settings: Settings,
    /// What it does it with.
    pub hal: Hal,
    /// Who watches.
    pub observer: Observer,
    /// The sessions' times.
    pub tuning: Tuning,
}

/// Why the daemon could not start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The system gives no more threads.
    #[error("a thread could not be started: {0}")]
    Thread(#[from] std::io::Error),
    /// A task panicked: a half-dead daemon is worse than a restarted one.
    #[error("a task of the daemon ended unexpectedly: {0}")]
    Task(String),
}

impl Daemon {
    /// Runs until `stop` is ready, then stops in order.
    ///
    /// # Errors
    /// When it cannot start, or when a task died.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), DaemonError> {
        let Self { settings, hal, observer, tuning } = self;
        let gate = Gate::new(Intake::new(&settings, hal.clock.now().mono), Arc::clone(&observer));
        let backlogs = settings.channels.iter().map(|channel| (channel.id, channel.backlog));
        let spool: Arc<Mutex<dyn Spool>> = Arc::new(Mutex::new(MemorySpool::new(backlogs)));
        let stops = Stops { outputs: watch::Sender::new(false), sessions: watch::Sender::new(None) };
        let mut sessions = JoinSet::new();
        let mut tasks = JoinSet::new();

        let (deliver, deliveries) = mpsc::channel(DELIVERIES);
        let outputs = Outputs::open(settings.outputs.clone(), &hal, &gate, &observer);
        let mut obeying = tokio::spawn(outputs.run(deliveries, stops.outputs.subscribe()));

        let mut bells = Vec::new();
        for (index, device) in settings.devices.iter().enumerate() {
            let Some(session) = session(&settings, index, tuning) else { continue };
            let pushed = Arc::new(Notify::new());
            bells.push(Arc::clone(&pushed));
            let observer = Arc::clone(&observer);
            let uplink = Uplink {
                broker: settings.broker.clone(),
                credentials: device.credentials.clone(),
                session,
                spool: Arc::clone(&spool),
                pushed,
                clock: Arc::clone(&hal.clock),
                stop: stops.sessions.subscribe(),
                deliveries: deliver.clone(),
                notices: Box::new(move |_, notice| observer(&Event::Uplink(index, &notice))),
            };
            sessions.spawn(uplink.run());
        }
        drop(deliver);

        let closer = Closer { gate: gate.clone(), spool, bells, hal: hal.clone(), observer: Arc::clone(&observer) };
        for (index, sensor) in settings.sensors.iter().enumerate() {
            if sensor.kind.device().lane() == Lane::Serial {
                let id = SensorId(u16::try_from(index).expect("a map has fewer than 65,536 sensors"));
                let (settings, hal, gate) = (sensor.clone(), hal.clone(), gate.clone());
                let stop = stops.sessions.subscribe();
                tasks.spawn(Listener { id, settings, hal, gate, stop }.run());
            }
        }
        let lanes = Lanes::start(&settings.sensors, &hal, &gate)?;
        observer(&Event::Started);

        let died = tokio::select! {
            () = stop => None,
            () = closer.run(&lanes) => None,
            done = &mut obeying => Some(format!("{done:?}")),
            Some(Err(died)) = tasks.join_next() => Some(died.to_string()),
            Some(done) = sessions.join_next() => Some(format!("{done:?}")),
        };
        observer(&Event::Stopping);

        // Outputs first: whatever else goes wrong from here on, the pins are safe.
        let _ = stops.outputs.send(true);
        if died.is_none() {
            let _ = obeying.await;
        }
        lanes.stop(LANE_PATIENCE);
        closer.close_all();
        let until = hal.clock.now().mono + DRAIN;
        let _ = stops.sessions.send(Some(until));
        // The session ends by itself at its deadline; the rest is for saying goodbye to a broker that does not answer.
        let drained = async { while sessions.join_next().await.is_some() {} };
        let _ = timeout(DRAIN * 2, drained).await;
        observer(&Event::Stopped(closer.waiting(&settings)));
        died.map_or(Ok(()), |died| Err(DaemonError::Task(died)))
    }
}

/// The session of a device; none for one that neither publishes nor listens.
fn session(settings: &Settings, device: usize, tuning: Tuning) -> Option<Session> {
    let served = |channel: &&config::Channel| channel.device == device;
    let publishes = |channel: &config::Channel| {
        let index = settings.channels.iter().position(|known| known.id == channel.id);
        settings.sensors.iter().any(|sensor| sensor.routes.iter().any(|route| Some(route.channel) == index))
            || settings.outputs.iter().any(|output| output.report.is_some_and(|(id, _)| id == channel.id))
    };
    let channels: Vec<ChannelSettings> = settings
        .channels
        .iter()
        .filter(served)
        .filter(|channel| publishes(channel))
        .map(|channel| ChannelSettings {
            id: channel.id,
            interval: channel.license.interval(),
            confirm: channel.confirm,
        })
        .collect();
    let mine = |output: &&crate::output::Settings| {
        settings.channels.iter().filter(served).any(|channel| channel.id == output.from.channel)
    };
    let mut commands: Vec<Topic> = Vec::new();
    for output in settings.outputs.iter().filter(mine) {
        let topic = match output.from.feed {
            CommandFeed::Channel => Topic::Subscribe(output.from.channel),
            CommandFeed::Field => Topic::SubscribeField(output.from.channel, output.from.field),
        };
        if !commands.contains(&topic) {
            commands.push(topic);
        }
    }
    if channels.is_empty() && commands.is_empty() {
        return None;
    }
    let seed = seed(channels.first().map(|channel| (channel.id, channel.confirm)), device);
    let renew = settings.broker.renew;
    Some(Session::new(uplink::session::Settings { channels, commands, renew, tuning }, seed))
}

/// Jitter of one's own: a thousand Pis that lose the broker together must not come back together.
fn seed(channel: Option<(crate::entry::ChannelId, Confirm)>, device: usize) -> u64 {
    let mut hasher = DefaultHasher::new();
    (channel.map(|(id, _)| id), device, std::process::id()).hash(&mut hasher);
    fastrand::u64(..) ^ hasher.finish()
}

/// Turns ended slots into waiting entries, and looks after hanging lanes while it is awake. Waits on the next close and on
/// changes that move it forward.
struct Closer {
    gate: Gate,
    spool: Arc<Mutex<dyn Spool>>,
    bells: Vec<Arc<Notify>>,
    hal: Hal,
    observer: Observer,
}

impl Closer {
    async fn run(&self, lanes: &Lanes) {
        loop {
            let next = self.gate.intake().next_close();
            let wait = next.map_or(LOOK_AROUND, |next| next.since(self.hal.clock.now().mono).min(LOOK_AROUND));
            let due = sleep(wait);
            tokio::select! {
                () = due => {
                    self.close_due();
                    lanes.rescue(self.hal.clock.now().mono);
                }
                () = self.gate.sooner().notified() => {}
            }
        }
    }

    fn close_due(&self) {
        let now = self.hal.clock.now();
        let mut edges = Vec::new();
        let entries = self.gate.intake().close_due(now, &mut edges);
        for edge in &edges {
            (self.observer)(&Event::Sensor(edge));
        }
        self.push(entries);
    }

    fn close_all(&self) {
        let entries = self.gate.intake().close_all(self.hal.clock.now());
        self.push(entries);
    }

    fn waiting(&self, settings: &Settings) -> usize {
        let spool = self.spool.lock().expect("no holder of the spool panics");
        settings.channels.iter().map(|channel| spool.waiting(channel.id)).sum()
    }

    fn push(&self, entries: Vec<crate::entry::Entry>) {
        if entries.is_empty() {
            return;
        }
        let mut dropped = 0;
        for entry in &entries {
            (self.observer)(&Event::Closed(entry));
        }
        {
            let mut spool = self.spool.lock().expect("no holder of the spool panics");
            for entry in entries {
                dropped += spool.push(entry);
            }
            dropped += spool.expire(self.hal.clock.now().utc);
        }
        if dropped > 0 {
            (self.observer)(&Event::Dropped(dropped));
        }
        for bell in &self.bells {
            bell.notify_one();
        }
    }
}

/// The quantities of a sensor that the map asks for, each once.
fn routed(sensor: &config::Sensor) -> Vec<usize> {
    let mut quantities: Vec<usize> = sensor.routes.iter().map(|route| route.quantity).collect();
    quantities.sort_unstable();
    quantities.dedup();
    quantities
}
