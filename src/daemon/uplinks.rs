//! The sessions of the map's MQTT devices, each in a task of its own: started, replaced by a new map, and drained at the stop.
//!
//! A session whose device, broker and channels stay as they are lives on over a reload. Another one is ended first and begun
//! anew, since a client ID allows one connection; what it had sent without an acknowledgement is offered to its successor.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, yield_now};
use tokio::time::{Instant, timeout_at};

use crate::config::{self, Settings};
use crate::daemon::alarm::locked;
use crate::daemon::end_reason;
use crate::daemon::event::{Event, Observer};
use crate::daemon::heartbeat::HeartbeatMonitor;
use crate::daemon::new_entries::NewEntries;
use crate::entry::ChannelId;
use crate::hal::Clock;
use crate::net::Broker;
use crate::spool::Spool;
use crate::thingspeak::credentials;
use crate::thingspeak::topic::Topic;
use crate::time::Mono;
use crate::uplink::Device;
use crate::uplink::network::Changes;
use crate::uplink::session::{self, ChannelSettings, Inbound, Session, SessionEvent, Tuning};
use crate::uplink::task::Uplink;

/// How long sessions may drain, at the stop or when they are replaced.
pub(super) const DRAIN: Duration = Duration::from_millis(900);

/// What every session works with.
pub(super) struct Common {
    pub(super) spool: Arc<Mutex<Spool>>,
    pub(super) new_entries: NewEntries,
    /// Rung when the machine got a link, an address or a route.
    pub(super) network: watch::Sender<()>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) inbound: mpsc::Sender<Inbound>,
    pub(super) observer: Observer,
    pub(super) tuning: Tuning,
    pub(super) heartbeats: HeartbeatMonitor,
}

/// The running sessions, by their devices' names.
pub(super) struct Uplinks {
    common: Common,
    running: BTreeMap<String, Running>,
    /// A session that was to be replaced had panicked.
    failed: Option<String>,
}

struct Running {
    wanted: Wanted,
    /// Its link is up.
    is_up: Arc<AtomicBool>,
    /// Set to the last moment at which it may go on.
    stop: watch::Sender<Option<Mono>>,
    /// Its channels as the map has them now.
    channels: watch::Sender<Vec<ChannelSettings>>,
    task: JoinHandle<()>,
}

/// All that makes a session what it is.
#[derive(Clone, Debug)]
struct Wanted {
    broker: Broker,
    credentials: credentials::Source,
    session: session::Settings,
}

impl Wanted {
    /// Whether a session that runs as `self` can go on as `other`: with other slots and shares of the license's year, which it adopts.
    fn is_same(&self, other: &Self) -> bool {
        let without_slots = |session: &session::Settings| {
            let channel = |channel: &ChannelSettings| ChannelSettings {
                messages_a_year: 0,
                slot: Duration::ZERO,
                ..channel.clone()
            };
            session::Settings { channels: session.channels.iter().map(channel).collect(), ..session.clone() }
        };
        (&self.broker, &self.credentials) == (&other.broker, &other.credentials)
            && without_slots(&self.session) == without_slots(&other.session)
    }
}

impl Uplinks {
    pub(super) const fn new(common: Common) -> Self {
        Self { common, running: BTreeMap::new(), failed: None }
    }

    /// Takes a map: ends sessions that it does not have or changes, and begins those that it has besides. One that is down is
    /// begun anew too, so that a mended login is tried at once. Returns the names of those that were begun.
    pub(super) async fn take(&mut self, settings: &Settings) -> Vec<String> {
        let wanted: BTreeMap<String, Wanted> = settings
            .devices
            .iter()
            .enumerate()
            .filter_map(|(place, device)| {
                Some((device.name.clone(), wanted(settings, place, device, self.common.tuning)?))
            })
            .collect();
        let stays = |name: &String, running: &Running| {
            let goes_on = wanted.get(name).is_some_and(|wanted| wanted.is_same(&running.wanted));
            goes_on && running.is_up.load(Ordering::Relaxed)
        };
        let (stay, go): (BTreeMap<_, _>, BTreeMap<_, _>) =
            std::mem::take(&mut self.running).into_iter().partition(|(name, running)| stays(name, running));
        self.running = stay;
        for (name, running) in &mut self.running {
            if let Some(wanted) = wanted.get(name) {
                running.wanted = wanted.clone();
                running.channels.send_if_modified(|channels| {
                    let before = std::mem::replace(channels, wanted.session.channels.clone());
                    before != *channels
                });
            }
        }
        for channel in self.end(go).await {
            locked(&self.common.spool).release_all(channel);
        }
        let mut begun = Vec::new();
        for (name, wanted) in wanted {
            if !self.running.contains_key(&name) {
                let running = self.begin(&name, wanted);
                self.running.insert(name.clone(), running);
                begun.push(name);
            }
        }
        begun
    }

    /// Ready when a session ended that nobody has asked to: says which.
    pub(super) async fn died(&mut self) -> String {
        if let Some(failed) = self.failed.take() {
            return failed;
        }
        let (name, why) = poll_fn(|context| {
            for (name, running) in &mut self.running {
                if let Poll::Ready(ended) = Pin::new(&mut running.task).poll(context) {
                    return Poll::Ready((name.clone(), end_reason(&format!("the session of {name}"), ended)));
                }
            }
            Poll::Pending
        })
        .await;
        self.running.remove(&name);
        why
    }

    /// Ends all sessions, drained as far as there is time.
    pub(super) async fn stop(mut self) {
        let all = std::mem::take(&mut self.running);
        self.end(all).await;
    }

    /// Ends sessions, drained as far as there is time; none of them is there any more afterwards. Returns their channels.
    async fn end(&mut self, mut sessions: BTreeMap<String, Running>) -> Vec<ChannelId> {
        let until = self.common.clock.now().mono + DRAIN;
        for running in sessions.values() {
            running.stop.send_replace(Some(until));
        }
        // A session ends by itself at its deadline; the rest is for saying goodbye to a broker that does not answer.
        let give_up = Instant::now() + DRAIN * 2;
        for running in sessions.values_mut() {
            if let Ok(Err(error)) = timeout_at(give_up, &mut running.task).await
                && error.is_panic()
            {
                self.failed = Some(end_reason("a session", Err(error)));
            }
            running.task.abort();
            while !running.task.is_finished() {
                yield_now().await;
            }
        }
        sessions.values().flat_map(|running| &running.wanted.session.channels).map(|channel| channel.id).collect()
    }

    fn begin(&self, name: &str, wanted: Wanted) -> Running {
        let (stop, channels) = (watch::Sender::new(None), watch::Sender::new(wanted.session.channels.clone()));
        let is_up = Arc::new(AtomicBool::new(false));
        let heartbeat = self.common.heartbeats.watch(format!("session of {name}"));
        let (observer, device, up) = (Arc::clone(&self.common.observer), name.to_owned(), Arc::clone(&is_up));
        let uplink = Uplink {
            broker: wanted.broker.clone(),
            credentials: wanted.credentials.clone(),
            // Jitter of one's own: a thousand Pis that lose the broker together must not come back together.
            session: Session::new(wanted.session.clone(), fastrand::u64(..)),
            spool: Arc::clone(&self.common.spool),
            new_entries: self.common.new_entries.session(wanted.session.channels.iter().map(|channel| channel.id)),
            network: Changes::new(self.common.network.subscribe()),
            clock: Arc::clone(&self.common.clock),
            stop: stop.subscribe(),
            channels: channels.subscribe(),
            inbound: self.common.inbound.clone(),
            notices: Box::new(move |notice| {
                match notice {
                    SessionEvent::Up { .. } => up.store(true, Ordering::Relaxed),
                    SessionEvent::Down { .. } => up.store(false, Ordering::Relaxed),
                    _ => {}
                }
                observer(&Event::Uplink(&device, &notice));
            }),
            alive: Box::new(move |until| match until {
                Some(until) => heartbeat.due(until),
                None => heartbeat.rest(),
            }),
        };
        Running { wanted, is_up, stop, channels, task: tokio::spawn(uplink.run()) }
    }
}

/// The session of a device; none for one that neither publishes nor listens.
fn wanted(settings: &Settings, place: usize, device: &Device, tuning: Tuning) -> Option<Wanted> {
    let served = |channel: &&config::Channel| channel.device == place;
    let mut channels: Vec<ChannelSettings> = settings
        .channels
        .iter()
        .filter(served)
        .filter(|channel| settings.feeds(channel))
        .map(|channel| ChannelSettings {
            id: channel.id,
            interval: channel.license.interval(),
            slot: channel.every,
            confirm: channel.confirm,
            messages_a_year: channel.messages_a_year,
        })
        .collect();
    let ours: BTreeSet<ChannelId> = settings.channels.iter().filter(served).map(|channel| channel.id).collect();
    let mut commands: Vec<Topic> = Vec::new();
    for output in settings.outputs.iter().filter(|output| ours.contains(&output.from.channel)) {
        let topic = output.from.topic();
        if !commands.contains(&topic) {
            commands.push(topic);
        }
    }
    if channels.is_empty() && commands.is_empty() {
        return None;
    }
    // Their order in the map means nothing.
    channels.sort_by_key(|channel| channel.id);
    commands.sort_unstable();
    let session = session::Settings { channels, commands, renew: settings.broker.renew, tuning };
    Some(Wanted { broker: settings.broker.clone(), credentials: device.credentials.clone(), session })
}
