//! The daemon: wires the rooms together, and takes them apart in the right order.
//!
//! One runtime thread holds a task per MQTT device, one for the outputs, one per serial sensor, and the closer, which
//! turns ended slots into waiting entries. Everything that may block has a thread of its own (`lanes`).
//!
//! Start: outputs at their start level, uplinks, sensors. Stop: outputs at their stop level, sensors, open slots, uplinks
//! drained to a deadline. See ARCHITECTURE.md for what each task waits on.

pub mod board;
mod closer;
mod disk;
pub mod event;
mod gate;
pub mod intake;
pub mod journal;
mod lanes;
mod outputs;
mod server;
pub mod slots;
mod streams;
mod supervise;
pub mod systemd;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;

use crate::config::{self, Settings};
use crate::daemon::board::Noticeboard;
use crate::daemon::closer::Closer;
use crate::daemon::disk::Store;
use crate::daemon::event::{Event, Observer};
use crate::daemon::gate::Gate;
use crate::daemon::intake::Intake;
use crate::daemon::lanes::Lanes;
use crate::daemon::outputs::{Memory, Outputs, Stops};
use crate::daemon::server::Server;
use crate::daemon::streams::Listener;
use crate::hal::Hal;
use crate::reading::SensorId;
use crate::sensor::Lane;
use crate::thingspeak::topic::Topic;
use crate::uplink;
use crate::uplink::session::{ChannelSettings, Session, Tuning};
use crate::uplink::task::Uplink;

pub use crate::daemon::disk::Folders;

/// Messages for the outputs that may wait: a person presses a button a few times, the service allows one update a second.
const DELIVERIES: usize = 32;
/// How long the outputs may take to reach their stop level.
const OUTPUTS_PATIENCE: Duration = Duration::from_secs(2);
/// How long the uplinks may drain at the stop.
const DRAIN: Duration = Duration::from_millis(900);
/// How long the card may take at the stop: systemd waits 90 s before it kills.
const CARD_PATIENCE: Duration = Duration::from_secs(20);
/// How long a bus thread is waited for at the stop.
const LANE_PATIENCE: Duration = Duration::from_millis(200);

/// What the daemon is started with.
pub struct Daemon {
    /// What it does.
    pub settings: Settings,
    /// What it does it with.
    pub hal: Hal,
    /// Where entries wait; without folders in memory, and lost at the end.
    pub folders: Option<Folders>,
    /// The socket on which to tell how things stand; none where nobody is to ask.
    pub socket: Option<PathBuf>,
    /// Who watches.
    pub observer: Observer,
    /// The sessions' times.
    pub tuning: Tuning,
}

/// Why the daemon ended though nobody asked it to: the outputs are at their stop level, and it should be started again.
#[derive(Debug, thiserror::Error)]
#[error("the daemon cannot go on: {0}")]
pub struct DaemonError(String);

impl Daemon {
    /// Runs until `stop` is ready, then stops in order.
    ///
    /// # Errors
    /// When it cannot start, or when a task died; the outputs are at their stop level then too.
    ///
    /// # Panics
    /// For a map with 65,536 sensors.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), DaemonError> {
        let Self { settings, hal, folders, socket, observer, tuning } = self;
        let board = Noticeboard::new(Arc::clone(&hal.clock));
        let observer = board.beside(observer);
        observer(&Event::Map(&settings));
        let keeper = disk::keeper(&settings, &hal, folders.as_ref()).await;
        let intake = Intake::new(&settings, hal.clock.now().mono);
        let gate = Gate::new(intake, Arc::clone(&observer)).with_totals(keeper.clone());
        let stops = Stops { outputs: watch::Sender::new(false), sessions: watch::Sender::new(None) };
        let mut sessions = JoinSet::new();
        let mut tasks = JoinSet::new();

        let (deliver, deliveries) = mpsc::channel(DELIVERIES);
        let report = Arc::new(Notify::new());
        let memory = Memory { keeper: keeper.clone(), boot: hal.clock.boot().0 };
        let outputs = Outputs::open(settings.outputs.clone(), memory, &hal, &gate, &observer);
        let mut obeying = tokio::spawn(outputs.run(deliveries, Arc::clone(&report), stops.outputs.subscribe()));

        // After the outputs: a card may take its time, and pins do not wait for it.
        let store = Store::open(&settings, &hal, folders, keeper, &observer).await;
        store.restore(&gate, &hal, &observer);
        report.notify_one();
        let spool = store.spool();

        let (asked, told) = (board.clone(), Arc::clone(&observer));
        tasks.spawn(Server { socket, board: asked, spool: Arc::clone(&spool), observer: told }.run());

        let mut bells = Vec::new();
        for (index, device) in settings.devices.iter().enumerate() {
            let Some(session) = session(&settings, index, tuning) else { continue };
            let pushed = Arc::new(Notify::new());
            bells.push(Arc::clone(&pushed));
            let (observer, name) = (Arc::clone(&observer), device.name.clone());
            let uplink = Uplink {
                broker: settings.broker.clone(),
                credentials: device.credentials.clone(),
                session,
                spool: Arc::clone(&spool),
                pushed,
                clock: Arc::clone(&hal.clock),
                stop: stops.sessions.subscribe(),
                deliveries: deliver.clone(),
                notices: Box::new(move |notice| observer(&Event::Uplink(&name, &notice))),
            };
            sessions.spawn(uplink.run());
        }
        drop(deliver);

        for (index, sensor) in settings.sensors.iter().enumerate() {
            if sensor.kind.device().lane() == Lane::Serial {
                let id = SensorId(u16::try_from(index).expect("a map has fewer than 65,536 sensors"));
                let (settings, hal, gate) = (sensor.clone(), hal.clone(), gate.clone());
                let stop = stops.sessions.subscribe();
                tasks.spawn(Listener { id, settings, hal, gate, stop }.run());
            }
        }
        let (disk, lanes) = match store.start(&hal, &bells, &observer) {
            Ok(disk) => (disk, Lanes::start(&settings.sensors, &hal, &gate).map(Arc::new)),
            Err(error) => (None, Err(error)),
        };
        let (trust, started) = (settings.clock, hal.clock.now().mono);
        let closer =
            Closer { gate: gate.clone(), spool, disk, bells, report, hal: hal.clone(), trust, started, observer };
        let closer = Arc::new(closer);
        closer.begin();
        if let Ok(lanes) = &lanes {
            tasks.spawn(Arc::clone(&closer).run(Arc::clone(lanes)));
            (closer.observer)(&Event::Started);
        }

        // Nothing here ends by itself: what does has failed, and a half-dead daemon is worse than a restarted one.
        let (failed, mut outputs_live) = match &lanes {
            Err(error) => (Some(format!("a thread cannot be started: {error}")), true),
            Ok(lanes) => tokio::select! {
                () = stop => (None, true),
                died = &mut obeying => (Some(words("the outputs' task", died)), false),
                Some(died) = tasks.join_next() => (Some(words("a task", died)), true),
                Some(died) = sessions.join_next() => (Some(words("a session", died)), true),
                () = lanes.died() => (Some("a bus thread panicked".to_owned()), true),
            },
        };
        (closer.observer)(&Event::Stopping);

        // Outputs first: whatever else goes wrong from here on, the pins are safe.
        let _ = stops.outputs.send(true);
        if std::mem::take(&mut outputs_live) {
            let _ = timeout(OUTPUTS_PATIENCE, obeying).await;
        }
        if let Ok(lanes) = lanes {
            let _ = tokio::task::spawn_blocking(move || lanes.stop(LANE_PATIENCE)).await;
        }
        closer.close_all();
        let until = hal.clock.now().mono + DRAIN;
        let _ = stops.sessions.send(Some(until));
        // The session ends by itself at its deadline; the rest is for saying goodbye to a broker that does not answer.
        let drained = async { while sessions.join_next().await.is_some() {} };
        let _ = timeout(DRAIN * 2, drained).await;
        let writing = Arc::clone(&closer);
        let kept = tokio::task::spawn_blocking(move || writing.keep(CARD_PATIENCE)).await;
        closer.say_goodbye(&settings, kept.ok().flatten(), board.tally());
        tasks.shutdown().await;
        failed.map_or(Ok(()), |failed| Err(DaemonError(failed)))
    }
}

/// Why a task that never ends has ended.
fn words(who: &str, ended: Result<(), JoinError>) -> String {
    match ended {
        Ok(()) => format!("{who} ended"),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => format!("{who} panicked: {}", lanes::words(&*panic)),
            Err(_) => format!("{who} was cancelled"),
        },
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
            slot: channel.every,
            confirm: channel.confirm,
            messages_a_year: settings.messages_a_year(channel),
        })
        .collect();
    let mine = |output: &&crate::output::Settings| {
        settings.channels.iter().filter(served).any(|channel| channel.id == output.from.channel)
    };
    let mut commands: Vec<Topic> = Vec::new();
    for output in settings.outputs.iter().filter(mine) {
        let topic = output.from.topic();
        if !commands.contains(&topic) {
            commands.push(topic);
        }
    }
    if channels.is_empty() && commands.is_empty() {
        return None;
    }
    // Jitter of one's own: a thousand Pis that lose the broker together must not come back together.
    let seed = fastrand::u64(..);
    let renew = settings.broker.renew;
    Some(Session::new(uplink::session::Settings { channels, commands, renew, tuning }, seed))
}

/// The quantities of a sensor that the map asks for, each once.
fn routed(sensor: &config::Sensor) -> Vec<usize> {
    let mut quantities: Vec<usize> = sensor.routes.iter().map(|route| route.quantity).collect();
    quantities.sort_unstable();
    quantities.dedup();
    quantities
}
