//! What is known of how things stand: an observer that keeps of each event what somebody may ask for later.
//!
//! [`StatusTracker`] is pure: [`StatusTracker::event`] takes what happened, [`StatusTracker::report`] makes a [`Report`] of it as of the asking, together
//! with what only the spool knows ([`Asked`]). Nothing here has a timer: ages are computed when somebody asks. A reading costs a
//! lock, a look-up and a store, and an entry not much more, however large the map is.
//!
//! Everything goes by the map's names. When the map changes, what is gone vanishes, and what is as before keeps its numbers.

mod channels;
mod drain;
mod links;
mod outputs;
mod report;
mod sensors;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::config::Settings;
use crate::daemon::event::{Event, Observer, Waiting};
use crate::daemon::systemd;
use crate::entry::ChannelId;
use crate::hal::Clock;
use crate::pipeline::HealthChange;
use crate::reading::SensorId;
use crate::spool::{self, Spool, SpoolEvent, Status};
use crate::status::{Report, Trouble};
use crate::time::{ClockStep, Mono, Now};
use crate::uplink::session::{SessionEvent, Tally};

use channels::Channel;
use links::DeviceLink;
use outputs::Output;
use sensors::Sensor;

/// What is known.
#[derive(Debug, Default)]
pub struct StatusTracker {
    started: Mono,
    /// The hardware is simulated: what is published was not measured.
    is_simulated: bool,
    phase: Phase,
    links: Vec<DeviceLink>,
    channels: Vec<Channel>,
    sensors: Vec<Sensor>,
    outputs: Vec<Output>,
    places: Places,
    /// The places of sensors that are down.
    down: BTreeSet<usize>,
    disk: Disk,
    /// The clock is waited for so long that a person was told.
    clock_is_late: bool,
    /// How often the clock was set by more than some slots, and the last time.
    clock_steps: u64,
    clock_step: Option<(Mono, ClockStep)>,
    /// Where the map says that metrics are served.
    listen: Option<SocketAddr>,
    /// Where nobody can ask, and why.
    listen_errors: BTreeMap<String, Since>,
    tally: Tally,
    /// The new map was refused, and the old one goes on.
    refuses_map: bool,
    /// Who does not come back, and since when.
    stuck: BTreeMap<String, Mono>,
    /// The last line that [`StatusTracker::event_summarised`] returned.
    told: String,
}

/// Where in the lists something is.
#[derive(Debug, Default)]
struct Places {
    sensors: HashMap<SensorId, usize>,
    channels: HashMap<ChannelId, usize>,
    links: HashMap<String, usize>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Starting,
    Running,
    Stopping,
}

/// The spool's directories, as far as it tells of them.
#[derive(Debug, Default)]
struct Disk {
    exists: bool,
    runtime: Option<Since>,
    state: Option<Since>,
    groups: u64,
    written: u64,
}

/// Something in words that began at a time.
#[derive(Clone, Debug)]
struct Since {
    at: Mono,
    words: String,
}

/// What is asked of the spool when somebody asks how things stand.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// The wall clock is believed.
    pub is_synchronised: bool,
    /// What happened in the spool.
    pub counts: spool::Counts,
    /// How each channel's entries stand, and whether they come back.
    pub channels: BTreeMap<ChannelId, (Status, bool)>,
}

impl Asked {
    /// Asks a spool for these channels.
    pub fn of(spool: &Spool, channels: &[ChannelId]) -> Self {
        let status = |id: &ChannelId| (*id, (spool.status(*id), spool.echoes(*id)));
        Self {
            is_synchronised: spool.is_synchronised(),
            counts: spool.counts(),
            channels: channels.iter().map(status).collect(),
        }
    }
}

impl StatusTracker {
    /// The tracker of a daemon that starts.
    pub fn new(started: Mono, is_simulated: bool) -> Self {
        Self { started, is_simulated, ..Self::default() }
    }

    /// Takes what happened.
    pub fn event(&mut self, now: Mono, event: &Event<'_>) {
        match event {
            Event::Map(settings, ids) => self.learn(now, settings, ids),
            Event::Started => self.phase = Phase::Running,
            Event::Stopping => self.phase = Phase::Stopping,
            Event::Reading(reading) => {
                if let Some(&place) = self.places.sensors.get(&reading.sensor) {
                    self.sensors[place].reading(now, reading);
                }
            }
            Event::Sensor { edge, .. } => {
                let (HealthChange::Down(id, _) | HealthChange::Up(id)) = edge;
                let Some(&place) = self.places.sensors.get(id) else { return };
                match edge {
                    HealthChange::Down(_, fault) => {
                        self.sensors[place].down(now, fault);
                        self.down.insert(place);
                    }
                    HealthChange::Up(_) => {
                        self.sensors[place].up();
                        self.down.remove(&place);
                    }
                }
            }
            Event::Slow { name, slow } => {
                if let Some(sensor) = self.sensors.iter_mut().find(|sensor| sensor.name == *name) {
                    sensor.slow = *slow;
                }
            }
            Event::Closed { entry, created_at, waiting } => {
                if let Some(channel) = self.channel(entry.channel) {
                    channel.made(now, *created_at, *waiting);
                }
            }
            Event::Dropped { channel, count, aged } => {
                if let Some(channel) = self.channel(*channel) {
                    channel.dropped(*count, *aged);
                }
            }
            Event::Uplink(device, notice) => self.uplink(now, device, notice),
            Event::Driven { output, drive, reason, limit } => {
                if let Some(output) = self.output(output) {
                    output.driven(now, *drive, *reason, *limit);
                }
            }
            Event::Refused { output, refusal } => {
                if let Some(output) = self.output(output) {
                    output.refused(now, refusal.to_string());
                }
            }
            Event::InvalidCommand { output, words } => {
                if let Some(output) = self.output(output) {
                    output.refused(now, words.clone());
                }
            }
            Event::Output { output, error } => {
                if let Some(output) = self.output(output) {
                    output.fault = error.map(|error| Since::new(now, error));
                }
            }
            Event::Found(_) => self.disk.exists = true,
            Event::Spool(event) => self.disk.event(now, event),
            Event::ClockStep(step) => {
                self.clock_steps += 1;
                self.clock_step = Some((now, *step));
            }
            Event::Clock(waiting) => self.clock_is_late = *waiting == Waiting::Lasts,
            Event::Served { at, error } => match error {
                Some(error) => {
                    self.listen_errors.insert((*at).to_owned(), Since::new(now, error));
                }
                None => {
                    self.listen_errors.remove(*at);
                }
            },
            Event::MapRefused(_) => self.refuses_map = true,
            Event::Reloaded(_) => self.refuses_map = false,
            Event::Stuck(stuck) => {
                self.stuck.insert(stuck.who.clone(), now - stuck.overdue);
            }
            Event::Unstuck(who) => {
                self.stuck.remove(*who);
            }
            Event::Stays { output, drive, reason, limit } => {
                if let Some(output) = self.output(output) {
                    output.stays(now, *drive, *reason, *limit);
                }
            }
            Event::Waits { output, wait } => {
                if let Some(output) = self.output(output) {
                    output.wait = *wait;
                }
            }
            Event::Reloading
            | Event::Regained { .. }
            | Event::Routes { .. }
            | Event::Slots { .. }
            | Event::Restored(_)
            | Event::Stopped { .. } => {}
        }
    }

    fn uplink(&mut self, now: Mono, device: &str, notice: &SessionEvent) {
        self.tally.count(notice);
        if let Some(&place) = self.places.links.get(device) {
            self.links[place].notice(now, notice);
        }
        if let SessionEvent::Up { .. } | SessionEvent::Down { .. } = notice {
            let is_up = matches!(notice, SessionEvent::Up { .. });
            let channels = self.channels.iter_mut().filter(|channel| channel.is_of(device));
            channels.for_each(|channel| channel.link_changed(is_up));
        }
        let heard = match notice {
            SessionEvent::NotSubscribed { topic, why, .. } => Some((*topic, Some(*why))),
            SessionEvent::Subscribed(topic) => Some((*topic, None)),
            _ => None,
        };
        if let Some((topic, unheard)) = heard {
            self.channels.iter_mut().for_each(|channel| channel.subscribed(topic, unheard));
            self.outputs.iter_mut().for_each(|output| output.subscribed(topic, unheard));
        }
        if let Some(channel) = notice.channel().and_then(|id| self.channel(id)) {
            channel.notice(now, notice);
        }
    }

    /// As [`StatusTracker::event`]; returns how things stand in one line, where that has changed.
    pub fn event_summarised(&mut self, now: Mono, event: &Event<'_>) -> Option<String> {
        self.event(now, event);
        if !may_change_summary(event) {
            return None;
        }
        let summary = self.summary();
        let before = std::mem::replace(&mut self.told, summary);
        (before != self.told).then(|| self.told.clone())
    }

    /// The channels that the spool is to be asked for.
    pub fn channel_ids(&self) -> Vec<ChannelId> {
        self.channels.iter().map(|channel| channel.id).collect()
    }

    /// What the sessions did, of all channels that there ever were.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Takes a map: what is gone vanishes, what is as before keeps its numbers.
    fn learn(&mut self, now: Mono, settings: &Settings, ids: &[SensorId]) {
        let listened = std::mem::replace(&mut self.listen, settings.metrics.listen);
        if let Some(before) = listened.filter(|_| listened != self.listen) {
            self.listen_errors.remove(&metrics_url(before));
        }
        let mut links = known(&mut self.links, |link| link.name.clone());
        let devices = settings.devices.iter().enumerate();
        self.links = devices
            .map(|(place, device)| {
                let mut link = links.remove(&device.name).unwrap_or_else(|| DeviceLink::new(now, &device.name));
                link.set(settings.is_used(place), settings.broker.renew);
                link
            })
            .collect();
        let mut channels = known(&mut self.channels, |channel| channel.id);
        let published = settings.channels.iter().filter(|channel| settings.planned_a_year(channel) > 0);
        self.channels = published
            .map(|channel| {
                let mut known = channels.remove(&channel.id).unwrap_or_else(|| Channel::new(channel.id));
                known.set(settings, channel);
                known
            })
            .collect();
        let mut sensors = known(&mut self.sensors, |sensor| sensor.id);
        let mut sensor = |(id, sensor): (&SensorId, _)| {
            let new = Sensor::new(*id, sensor);
            sensors.remove(id).filter(|known| known.is_like(&new)).unwrap_or(new)
        };
        self.sensors = ids.iter().zip(&settings.sensors).map(&mut sensor).collect();
        let mut outputs = known(&mut self.outputs, |output| output.name.clone());
        let mut output = |output: &crate::output::Settings| {
            let new = Output::new(&output.name, output.from.topic());
            outputs.remove(&output.name).filter(|known| known.is_like(&new)).unwrap_or(new)
        };
        self.outputs = settings.outputs.iter().map(&mut output).collect();
        self.places = Places {
            sensors: places(self.sensors.iter().map(|sensor| sensor.id)),
            channels: places(self.channels.iter().map(|channel| channel.id)),
            links: places(self.links.iter().map(|link| link.name.clone())),
        };
        let is_down = |(_, sensor): &(usize, &Sensor)| sensor.is_down();
        self.down = self.sensors.iter().enumerate().filter(is_down).map(|(place, _)| place).collect();
    }

    fn channel(&mut self, id: ChannelId) -> Option<&mut Channel> {
        self.places.channels.get(&id).map(|place| &mut self.channels[*place])
    }

    fn output(&mut self, name: &str) -> Option<&mut Output> {
        self.outputs.iter_mut().find(|output| output.name == name)
    }
}

/// Empties a list, to find what was in it.
fn known<K: Hash + Eq, T>(list: &mut Vec<T>, key: impl Fn(&T) -> K) -> HashMap<K, T> {
    list.drain(..).map(|it| (key(&it), it)).collect()
}

/// Where in a list each of its keys is.
fn places<K: Hash + Eq>(keys: impl Iterator<Item = K>) -> HashMap<K, usize> {
    keys.enumerate().map(|(place, key)| (key, place)).collect()
}

/// Whether an event can change how things stand in one line ([`StatusTracker::summary`]): the others are many.
const fn may_change_summary(event: &Event<'_>) -> bool {
    matches!(
        event,
        Event::Map(..)
            | Event::Started
            | Event::Stopping
            | Event::Sensor { .. }
            | Event::MapRefused(_)
            | Event::Reloaded(_)
            | Event::Uplink(
                _,
                SessionEvent::Up { .. }
                    | SessionEvent::Down { .. }
                    | SessionEvent::StillDown { .. }
                    | SessionEvent::Renewed { .. }
            )
    )
}

impl Disk {
    fn event(&mut self, now: Mono, event: &SpoolEvent) {
        match event {
            SpoolEvent::Written { entries, .. } => {
                self.groups += 1;
                self.written += *entries as u64;
            }
            SpoolEvent::Runtime(why) => self.runtime = why.as_ref().map(|why| Since::new(now, why)),
            SpoolEvent::State(why) => self.state = why.as_ref().map(|why| Since::new(now, why)),
            SpoolEvent::Unreadable { .. } => {}
        }
    }
}

impl Since {
    fn new(at: Mono, words: &(impl ToString + ?Sized)) -> Self {
        Self { at, words: words.to_string() }
    }

    fn report(&self, now: Mono) -> Trouble {
        Trouble { words: self.words.clone(), since_s: seconds(now.since(self.at)) }
    }
}

/// How people write where metrics are served.
pub(super) fn metrics_url(address: SocketAddr) -> String {
    format!("http://{address}/metrics")
}

/// Seconds, to the millisecond.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}

/// The tracker of a running daemon, which all of its threads write to. Cheap to clone.
#[derive(Clone)]
pub(super) struct StatusHandle {
    tracker: Arc<Mutex<StatusTracker>>,
    clock: Arc<dyn Clock>,
    /// Where the map says that metrics are served.
    listen: watch::Sender<Option<SocketAddr>>,
}

impl StatusHandle {
    pub(super) fn new(clock: Arc<dyn Clock>, is_simulated: bool) -> Self {
        let tracker = StatusTracker::new(clock.now().mono, is_simulated);
        Self { tracker: Arc::new(Mutex::new(tracker)), clock, listen: watch::Sender::new(None) }
    }

    /// An observer that tells the tracker, and then this one.
    pub(super) fn beside(&self, observer: Observer) -> Observer {
        let own = self.clone();
        Arc::new(move |event| {
            let now = match event {
                // It has a time of its own, and there are many.
                Event::Reading(reading) => reading.at,
                _ => own.clock.now().mono,
            };
            let summary = own.lock().event_summarised(now, event);
            if let Some(summary) = summary {
                systemd::report_status(&summary);
            }
            if let Event::Map(settings, _) = event {
                own.listen.send_replace(settings.metrics.listen);
            }
            observer(event);
        })
    }

    /// Where metrics are to be served, now and whenever the map changes.
    pub(super) fn listen(&self) -> watch::Receiver<Option<SocketAddr>> {
        self.listen.subscribe()
    }

    /// What the sessions did.
    pub(super) fn tally(&self) -> Tally {
        self.lock().tally()
    }

    /// How things stand now. The two locks are never held together.
    pub(super) fn report(&self, spool: &Mutex<Spool>) -> Report {
        let channels = self.lock().channel_ids();
        let asked = Asked::of(&super::alarm::locked(spool), &channels);
        let now: Now = self.clock.now();
        self.lock().report(now, &asked)
    }

    fn lock(&self) -> MutexGuard<'_, StatusTracker> {
        // It holds numbers and words: what a panic left of them is still worth showing until the process ends.
        self.tracker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
