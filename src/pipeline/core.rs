//! Where readings go: each one through its routes' filters into the open slots, and its trouble into words.
//!
//! Pure, and shared: whoever measured puts its readings here (a bus thread, an edge's thread, a stream), so that a
//! reading costs no wake-up of the runtime. [`Intake::next_close`] says when somebody has to come for the drafts.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::Settings;
use crate::entry::{ChannelId, Column, Reduce, UntimedEntry};
use crate::pipeline::filter::{Chain, Step};
use crate::pipeline::slots::{self, Batch, Restored};
use crate::reading::{Fault, Reading, SensorId};
use crate::thingspeak::update;
use crate::time::{BootId, Mono, Now};

/// Filters and open slots of all channels.
#[derive(Debug)]
pub struct Intake {
    batch: Batch,
    routes: Vec<Route>,
    sensors: BTreeMap<SensorId, SensorState>,
    /// The routes of outputs that report their level, by where it goes.
    reports: Vec<((ChannelId, Column), usize)>,
}

#[derive(Debug)]
struct Route {
    sensor: SensorId,
    quantity: usize,
    filter: Vec<Step>,
    chain: Chain,
    /// What the route's own filter refuses.
    refused: bool,
}

/// A channel, and for each of its routes where the values come from and how they are treated; none for an output's level.
type Ways = (slots::Channel, Vec<(Option<(SensorId, usize, Vec<Step>)>, slots::Route)>);

#[derive(Debug)]
struct SensorState {
    name: String,
    /// The fault of each quantity that the map asks for.
    quantities: BTreeMap<usize, Option<Fault>>,
    /// It was told that there is trouble.
    down: bool,
    /// When the sensor was last heard of, by a value or a fault; at first the start.
    heard: Mono,
    /// Longest time between two signs of life.
    silence: Duration,
}

/// An edge in a sensor's health, for the log.
#[derive(Clone, Debug, PartialEq)]
pub enum Edge {
    /// From now on it has nothing to say.
    Down(SensorId, Fault),
    /// It measures again.
    Up(SensorId),
}

/// What putting a reading led to.
#[derive(Debug, Default)]
pub struct Put {
    /// The next close moved forward: whoever waits for it must look again.
    pub wake: bool,
    /// For the log.
    pub edges: Vec<Edge>,
}

impl Intake {
    /// The intake of a map, whose sensors have these numbers, from `start` on.
    pub fn new(settings: &Settings, ids: &[SensorId], start: Mono) -> Self {
        let channels: Vec<slots::Channel> = settings.channels.iter().map(batch_channel).collect();
        let mut plan = Vec::new();
        let mut routes = Vec::new();
        for (&id, sensor) in ids.iter().zip(&settings.sensors) {
            let quantities = sensor.kind.device().quantities();
            for route in &sensor.routes {
                let chain = Chain::new(&route.filter);
                plan.push(slots::Route {
                    channel: route.channel,
                    column: route.column,
                    reduce: route.reduce,
                    publish: route.publish,
                    decimals: quantities.get(route.quantity).and_then(|quantity| route.decimals(quantity)),
                });
                let filter = route.filter.clone();
                routes.push(Route { sensor: id, quantity: route.quantity, filter, chain, refused: false });
            }
        }
        let mut reports = Vec::new();
        for (channel, column) in settings.outputs.iter().filter_map(|output| output.report) {
            let Some(place) = settings.channels.iter().position(|known| known.id == channel) else { continue };
            reports.push(((channel, column), plan.len()));
            plan.push(slots::Route {
                channel: place,
                column,
                reduce: Reduce::Last,
                publish: slots::Publish::OnChange,
                decimals: None,
            });
        }
        let state = |sensor: &crate::config::Sensor| SensorState {
            name: sensor.name.clone(),
            quantities: sensor.routes.iter().map(|route| (route.quantity, None)).collect(),
            down: false,
            heard: start,
            // Behind the others of its lane a read may come late without being stuck.
            silence: sensor.every.saturating_mul(3).saturating_add(sensor.timeout),
        };
        let sensors = ids.iter().copied().zip(settings.sensors.iter().map(state)).collect();
        Self { batch: Batch::new(&channels, &plan), routes, sensors, reports }
    }

    /// Takes a new map, whose sensors have these numbers. What it leaves as it is goes on: open slots, filters, faults that
    /// are known. The slots of channels that it changes in any way are closed at once, as they are, so that nothing that was
    /// measured is lost or ends in another column. Returns the drafts, which are remembered as those of [`Intake::close_due`]
    /// are; but for those of channels that are gone, which a kill before they are in the spool would lose.
    pub fn reload(&mut self, now: Now, boot: BootId, settings: &Settings, ids: &[SensorId]) -> Vec<UntimedEntry> {
        let mut new = Self::new(settings, ids, now.mono);
        let (before, after) = (self.ways(), new.ways());
        let mut drafts = self.batch.close_now(now, |id| before.get(&id) != after.get(&id));
        drafts.retain(|draft| !after.contains_key(&draft.channel));
        new.batch.restore(now, boot, &self.batch.save(boot), |_| None);
        drafts.extend(new.batch.close_due(now));
        for route in &mut new.routes {
            let is_same =
                |old: &Route| (old.sensor, old.quantity, &old.filter) == (route.sensor, route.quantity, &route.filter);
            if let Some(place) = self.routes.iter().position(is_same) {
                let Route { chain, refused, .. } = self.routes.swap_remove(place);
                (route.chain, route.refused) = (chain, refused);
            }
        }
        for (id, state) in &mut new.sensors {
            let Some(known) = self.sensors.remove(id) else { continue };
            (state.down, state.heard) = (known.down, known.heard);
            for (quantity, fault) in known.quantities {
                state.quantities.entry(quantity).and_modify(|it| *it = fault);
            }
        }
        *self = new;
        drafts
    }

    /// What makes each channel's entries: itself, and the ways of all values into it.
    fn ways(&self) -> BTreeMap<ChannelId, Ways> {
        let ways = self.batch.ways().map(|(channel, routes)| {
            let ways = routes.map(|(index, route)| {
                let source = self.routes.get(index).map(|from| (from.sensor, from.quantity, from.filter.clone()));
                // Its channel's place may be another one.
                (source, slots::Route { channel: 0, ..route.clone() })
            });
            (channel.id, (channel.clone(), ways.collect()))
        });
        ways.collect()
    }

    /// The map's name for a sensor; none for one that a new map no longer has.
    pub fn name(&self, sensor: SensorId) -> Option<&str> {
        self.sensors.get(&sensor).map(|state| state.name.as_str())
    }

    /// The quantities of a sensor that the map asks for.
    pub fn routed(&self, sensor: SensorId) -> Vec<usize> {
        self.sensors.get(&sensor).map(|state| state.quantities.keys().copied().collect()).unwrap_or_default()
    }

    /// Whether the map asks for a quantity of a sensor.
    pub fn is_routed(&self, sensor: SensorId, quantity: usize) -> bool {
        self.sensors.get(&sensor).is_some_and(|state| state.quantities.contains_key(&quantity))
    }

    /// Takes a reading. One of a sensor that a new map no longer has is dropped.
    pub fn put(&mut self, now: Now, reading: &Reading) -> Put {
        let mut put = Put::default();
        let Reading { sensor, quantity, at, value } = reading;
        let Some(state) = self.sensors.get_mut(sensor) else { return put };
        state.heard = *at;
        if let Some(known) = state.quantities.get_mut(quantity) {
            *known = value.as_ref().err().cloned();
        }
        let mut trouble = value.as_ref().err().cloned();
        for index in 0..self.routes.len() {
            if self.routes[index].sensor == *sensor && self.routes[index].quantity == *quantity {
                let (wake, refused) = self.route(now, index, *at, value);
                put.wake |= wake;
                trouble = trouble.or(refused);
            }
        }
        put.edges.extend(self.edge(*sensor, trouble));
        put
    }

    /// The open slots, and the drafts that the spool may not have yet, as bytes. What the filters remember is not among
    /// them: a median begins anew.
    pub fn save(&self, boot: BootId) -> Vec<u8> {
        self.batch.save(boot)
    }

    /// Takes what [`Intake::save`] gave to the process before this one; see [`Batch::restore`].
    pub fn restore(
        &mut self,
        now: Now,
        boot: BootId,
        bytes: &[u8],
        last_end: impl Fn(ChannelId) -> Option<Mono>,
    ) -> Restored {
        self.batch.restore(now, boot, bytes, last_end)
    }

    /// The spool has the drafts of a channel up to this end; see [`Batch::taken`].
    pub fn taken(&mut self, channel: ChannelId, last_end: Mono) {
        self.batch.taken(channel, last_end);
    }

    /// Takes the level that an output has now, for where it reports it.
    pub fn level(&mut self, now: Now, to: (ChannelId, Column), value: f64) -> bool {
        let route = self.reports.iter().find(|(known, _)| *known == to).map(|(_, route)| *route);
        route.is_some_and(|route| {
            // Trouble of a sensor that had the column before the map was changed, if the state was restored.
            self.batch.recovered(route);
            self.batch.value(now, route, now.mono, value)
        })
    }

    /// The length of the shortest slot; a minute where there is none.
    pub fn shortest_slot(&self) -> Duration {
        self.batch.ways().map(|(channel, _)| channel.every).min().unwrap_or(Duration::from_secs(60))
    }

    /// When somebody has to come for drafts.
    pub fn next_close(&self) -> Option<Mono> {
        self.batch.next_close()
    }

    /// The drafts of the slots that have ended.
    pub fn close_due(&mut self, now: Now, edges: &mut Vec<Edge>) -> Vec<UntimedEntry> {
        self.tell_silence(now, edges);
        self.batch.close_due(now)
    }

    /// The drafts of all slots, ended or not.
    pub fn close_all(&mut self, now: Now) -> Vec<UntimedEntry> {
        self.batch.close_all(now)
    }

    /// Sends a value down a route. Returns whether to wake the closer, and why the route's filter refused it.
    fn route(&mut self, now: Now, index: usize, at: Mono, value: &Result<f64, Fault>) -> (bool, Option<Fault>) {
        let route = &mut self.routes[index];
        let filtered = match value {
            Ok(value) => route.chain.value(at, *value),
            Err(fault) => {
                route.chain.fault();
                Err(fault.clone())
            }
        };
        let filtered = filtered.and_then(|passed| passed.map(publishable).transpose());
        route.refused = filtered.is_err() && value.is_ok();
        match filtered {
            Ok(passed) => {
                self.batch.recovered(index);
                (passed.is_some_and(|value| self.batch.value(now, index, at, value)), None)
            }
            Err(fault) => {
                let words = format!("{}: {fault}", self.sensors[&route.sensor].name);
                let wake = self.batch.trouble(now, index, at, &words);
                (wake, value.is_ok().then_some(fault))
            }
        }
    }

    /// One line when a sensor's trouble begins, whatever it is made of, and one when all of it is over.
    fn edge(&mut self, sensor: SensorId, trouble: Option<Fault>) -> Option<Edge> {
        let refused = self.routes.iter().any(|route| route.sensor == sensor && route.refused);
        let state = self.sensors.get_mut(&sensor)?;
        let down = refused || state.quantities.values().any(Option::is_some);
        let was_down = std::mem::replace(&mut state.down, down);
        match (was_down, down) {
            (false, true) => trouble.map(|fault| Edge::Down(sensor, fault)),
            (true, false) => Some(Edge::Up(sensor)),
            _ => None,
        }
    }

    /// Sensors that said nothing for too long, not even that they failed: their thread is stuck.
    fn tell_silence(&mut self, now: Now, edges: &mut Vec<Edge>) {
        let ids: Vec<SensorId> = self.sensors.keys().copied().collect();
        for id in ids {
            let state = self.sensors.get_mut(&id).expect("one of its keys");
            let quiet = now.mono.since(state.heard);
            if quiet <= state.silence || state.quantities.values().any(Option::is_some) {
                continue;
            }
            let fault = Fault::Silent(quiet);
            for known in state.quantities.values_mut() {
                *known = Some(fault.clone());
            }
            let words = format!("{}: {fault}", state.name);
            for route in (0..self.routes.len()).filter(|&route| self.routes[route].sensor == id) {
                self.batch.trouble(now, route, now.mono, &words);
            }
            edges.extend(self.edge(id, Some(fault)));
        }
    }
}

/// A value that the service takes.
fn publishable(value: f64) -> Result<f64, Fault> {
    let refused =
        |needs| Fault::OutOfRange(format!("value needs {needs} characters, the service takes {}", update::MAX_VALUE));
    update::fits(value).map(|()| value).map_err(refused)
}

fn batch_channel(channel: &crate::config::Channel) -> slots::Channel {
    slots::Channel {
        id: channel.id,
        every: channel.every,
        interval: channel.license.interval(),
        status: channel.status,
        spread: spread(channel.id, channel.every),
    }
}

/// A delay that is the channel's own and always the same: at most 4 s and a quarter of the slot.
fn spread(id: ChannelId, every: Duration) -> Duration {
    let most = (every / 4).min(Duration::from_secs(4));
    // Fibonacci hashing: neighbouring channel numbers land far apart.
    let hashed = id.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
    let millis = u64::try_from(most.as_millis()).unwrap_or(4000) * hashed / 65_536;
    Duration::from_millis(millis)
}

#[cfg(test)]
mod tests;
