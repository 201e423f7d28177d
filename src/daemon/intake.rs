//! Where readings go: each one through its routes' filters into the open slots, and its trouble into words.
//!
//! Pure, and shared: whoever measured puts its readings here (a bus thread, an edge's thread, a stream), so that a
//! reading costs no wake-up of the runtime. [`Intake::next_close`] says when somebody has to come for the entries.

use std::mem::{Discriminant, discriminant};
use std::time::Duration;

use crate::batch::{self, Batch};
use crate::config::Settings;
use crate::entry::{ChannelId, Entry, Form};
use crate::filter::Chain;
use crate::output;
use crate::reading::{Fault, Reading, SensorId};
use crate::time::{Mono, Now};

/// Filters and open slots of all channels.
#[derive(Debug)]
pub struct Intake {
    batch: Batch,
    routes: Vec<Route>,
    sensors: Vec<SensorState>,
    /// The levels that outputs report, put again into each slot: an output that does not change has a level too.
    held: Vec<Held>,
}

#[derive(Debug)]
struct Route {
    sensor: SensorId,
    quantity: usize,
    channel: usize,
    chain: Chain,
    /// What the route's own filter refuses.
    refused: Option<Discriminant<Fault>>,
}

#[derive(Debug)]
struct SensorState {
    name: String,
    quantities: Vec<Option<Fault>>,
    /// When the sensor was last heard of, by a value or a fault; at first the start.
    heard: Mono,
    /// Longest time between two signs of life.
    silence: Duration,
}

#[derive(Debug)]
struct Held {
    output: usize,
    route: usize,
    channel: ChannelId,
    value: Option<f64>,
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
    /// The intake of a map, from `start` on.
    pub fn new(settings: &Settings, start: Mono) -> Self {
        let channels: Vec<batch::Channel> = settings.channels.iter().map(batch_channel).collect();
        let mut plan = Vec::new();
        let mut routes = Vec::new();
        for (index, sensor) in settings.sensors.iter().enumerate() {
            let id = SensorId(u16::try_from(index).expect("a map has fewer than 65,536 sensors"));
            for route in &sensor.routes {
                let chain = Chain::new(&route.filter);
                plan.push(batch::Route {
                    channel: route.channel,
                    column: route.column,
                    reduce: route.reduce,
                    publish: route.publish,
                    decimals: chain.decimals(),
                });
                let (quantity, channel) = (route.quantity, route.channel);
                routes.push(Route { sensor: id, quantity, channel, chain, refused: None });
            }
        }
        let mut held = Vec::new();
        for (index, output) in settings.outputs.iter().enumerate() {
            let Some((channel, column)) = output.report else { continue };
            let Some(place) = settings.channels.iter().position(|known| known.id == channel) else { continue };
            held.push(Held { output: index, route: plan.len(), channel, value: None });
            plan.push(batch::Route {
                channel: place,
                column,
                reduce: crate::entry::Reduce::Last,
                publish: batch::Publish::OnChange,
                decimals: None,
            });
        }
        let state = |sensor: &crate::config::Sensor| SensorState {
            name: sensor.name.clone(),
            quantities: vec![None; sensor.kind.device().quantities().len()],
            heard: start,
            silence: sensor.every + sensor.timeout,
        };
        let sensors = settings.sensors.iter().map(state).collect();
        Self { batch: Batch::new(&channels, &plan), routes, sensors, held }
    }

    /// Takes a reading.
    pub fn put(&mut self, now: Now, reading: &Reading) -> Put {
        let mut put = Put::default();
        let Reading { sensor, quantity, at, value } = reading;
        let state = &mut self.sensors[usize::from(sensor.0)];
        state.heard = *at;
        let was_down = state.is_down();
        let known = &mut state.quantities[*quantity];
        let fault = value.as_ref().err();
        let changed = known.as_ref().map(discriminant) != fault.map(discriminant);
        *known = fault.cloned();
        if changed {
            match (fault, state.is_down()) {
                // One line for a sensor that is gone, not one for each of its quantities.
                (Some(fault), _) if !was_down => put.edges.push(Edge::Down(*sensor, fault.clone())),
                (None, false) => put.edges.push(Edge::Up(*sensor)),
                _ => {}
            }
        }
        for index in 0..self.routes.len() {
            if self.routes[index].sensor == *sensor && self.routes[index].quantity == *quantity {
                put.wake |= self.route(now, index, *at, value, &mut put.edges);
            }
        }
        // A sensor and its filter may have recovered with the same reading.
        put.edges.dedup();
        put
    }

    /// Takes the level an output has now.
    pub fn level(&mut self, now: Now, output: usize, drive: output::Drive) -> bool {
        let Some(held) = self.held.iter_mut().find(|held| held.output == output) else { return false };
        held.value = Some(drive.fraction());
        self.batch.value(now, held.route, now.mono, drive.fraction())
    }

    /// When somebody has to come for entries.
    pub fn next_close(&self) -> Option<Mono> {
        self.batch.next_close()
    }

    /// The entries of the slots that have ended.
    pub fn close_due(&mut self, now: Now, edges: &mut Vec<Edge>) -> Vec<Entry> {
        self.tell_silence(now, edges);
        self.tell_trouble();
        let entries = self.batch.close_due(now);
        let closed =
            |held: &&Held| entries.iter().any(|entry| entry.channel == held.channel && entry.form == Form::Feed);
        for held in self.held.iter().filter(closed) {
            if let Some(value) = held.value {
                self.batch.value(now, held.route, now.mono, value);
            }
        }
        entries
    }

    /// The entries of all slots, ended or not.
    pub fn close_all(&mut self, now: Now) -> Vec<Entry> {
        self.tell_trouble();
        self.batch.close_all(now)
    }

    fn route(&mut self, now: Now, index: usize, at: Mono, value: &Result<f64, Fault>, edges: &mut Vec<Edge>) -> bool {
        let route = &mut self.routes[index];
        let filtered = match value {
            Ok(value) => route.chain.value(at, *value),
            Err(fault) => {
                route.chain.fault();
                Err(fault.clone())
            }
        };
        let refused = match (&filtered, value) {
            (Err(fault), Ok(_)) => Some(discriminant(fault)),
            _ => None,
        };
        if route.refused != refused && value.is_ok() {
            route.refused = refused;
            edges.push(match &filtered {
                Err(fault) => Edge::Down(route.sensor, fault.clone()),
                Ok(_) => Edge::Up(route.sensor),
            });
        }
        match filtered {
            Ok(Some(value)) => self.batch.value(now, index, at, value),
            Ok(None) => false,
            Err(fault) => {
                let words = format!("{}: {fault}", self.sensors[usize::from(route.sensor.0)].name);
                self.batch.trouble(now, route.channel, at, &words)
            }
        }
    }

    /// Sensors that said nothing for too long, not even that they failed: their thread is stuck.
    fn tell_silence(&mut self, now: Now, edges: &mut Vec<Edge>) {
        for (index, state) in self.sensors.iter_mut().enumerate() {
            let quiet = now.mono.since(state.heard);
            if quiet > state.silence && !state.is_down() {
                let fault = Fault::Silent(quiet);
                state.quantities.fill(Some(fault.clone()));
                let id = SensorId(u16::try_from(index).expect("as many as at the start"));
                edges.push(Edge::Down(id, fault));
            }
        }
    }

    /// Trouble that lasts is told in every slot, also when the sensor's next try is far away.
    fn tell_trouble(&mut self) {
        for route in &self.routes {
            let state = &self.sensors[usize::from(route.sensor.0)];
            if let Some(fault) = &state.quantities[route.quantity] {
                self.batch.trouble_in_open_slot(route.channel, &format!("{}: {fault}", state.name));
            }
        }
    }
}

impl SensorState {
    fn is_down(&self) -> bool {
        self.quantities.iter().any(Option::is_some)
    }
}

fn batch_channel(channel: &crate::config::Channel) -> batch::Channel {
    batch::Channel {
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
