//! From a measurement to an entry that waits: routes, filters and open slots.
//!
//! ```text
//! reading ─▶ sensors (how is it?) ─▶ route ─▶ filter ─▶ slot's sums ─▶ entry without a time ─▶ spool
//! ```
//!
//! [`Pipeline`] is pure and shared: whoever measured puts readings here (a bus thread, an edge's thread, a stream), so that a
//! reading costs no wake-up of the runtime. [`Pipeline::next_close`] says when somebody has to come for the entries.
//!
//! # Cost
//! A reading touches its sensor, its routes and their channels' slots. Deadlines are ordered, so that a close touches the channels
//! that are due. Nothing that happens per reading or per slot grows with the map, but for the depth of two ordered indexes.
//!
//! # Nothing lost, nothing twice
//! What a kill would cost is saved as it changes ([`saved`]). A slot's entries go to the spool in one piece, at once; only
//! then its sums are saved as gone. There is no write that changes both, and none is needed: where the spool has a later entry of a
//! channel than the saved state knows of, the slot of that state was closed and its entries were taken.

mod derived;
pub mod filter;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
pub mod saved;
pub mod schedule;
mod sensors;
pub mod slots;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use crate::entry::{ChannelId, Column, Reduce, UntimedEntry};
use crate::reading::{Fault, Reading, SensorId};
use crate::thingspeak::update;
use crate::time::{BootId, Mono, Now};

use derived::Derived;
use filter::{Chain, Step};
use sensors::{SensorState, Sensors};
use slots::{Publish, Slots};

pub use derived::FormulaConfig;
pub use sensors::HealthChange;

/// What the pipeline has to know of a map.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The channels, in the map's order.
    pub channels: Vec<slots::Channel>,
    /// The sensors, in the map's order.
    pub sensors: Vec<SensorConfig>,
    /// Where outputs report their level.
    pub reports: Vec<(ChannelId, Column)>,
}

/// A sensor as the pipeline sees it.
#[derive(Clone, Debug, Default)]
pub struct SensorConfig {
    /// The map's name for it.
    pub name: String,
    /// Longest time between two signs of life.
    pub silence: Duration,
    /// Where its quantities go.
    pub routes: Vec<RouteConfig>,
    /// Its quantities that formulas are made of.
    pub inputs: Vec<usize>,
    /// What is reckoned for it, where it is not measured.
    pub formulas: Vec<FormulaConfig>,
}

/// The way of a sensor's quantity into a column.
#[derive(Clone, Debug)]
pub struct RouteConfig {
    /// Index into the sensor's quantities.
    pub quantity: usize,
    /// What happens to each reading before it is summed.
    pub filter: Vec<Step>,
    /// Where it goes.
    pub slot: slots::Route,
}

/// Filters and open slots of all channels, and how the sensors are.
///
/// ```
/// use std::time::Duration;
/// use gatepost::entry::{ChannelId, Column, Reduce};
/// use gatepost::pipeline::{Config, Pipeline, Put, RouteConfig, SensorConfig, slots};
/// use gatepost::reading::{Reading, SensorId};
/// use gatepost::time::{Mono, Now, Utc};
///
/// let every = Duration::from_secs(20);
/// let slot = slots::Route {
///     channel: 0,
///     column: Column::Field(1),
///     reduce: Reduce::Mean,
///     publish: slots::Publish::default(),
///     decimals: None,
/// };
/// let config = Config {
///     channels: vec![slots::Channel::new(ChannelId(1_234_567), every, every, slots::StatusText::default())],
///     sensors: vec![SensorConfig {
///         name: "air".to_owned(),
///         silence: 3 * every,
///         routes: vec![RouteConfig { quantity: 0, filter: Vec::new(), slot }],
///         ..SensorConfig::default()
///     }],
///     reports: Vec::new(),
/// };
/// let air = SensorId(0);
/// let at = |second: u64| Now { mono: Mono::new(Duration::from_secs(second)), utc: Utc::from_seconds(second as i64) };
/// let mut pipeline = Pipeline::new(&config, &[air], at(0).mono);
///
/// for (second, value) in [(41, 20.0), (51, 22.0)] {
///     let reading = Reading { sensor: air, quantity: 0, at: at(second).mono, value: Ok(value) };
///     pipeline.put(at(second), &reading, &mut Put::default());
/// }
/// let mut entries = Vec::new();
/// pipeline.close_due(at(66), |closed| entries.extend(closed));
/// assert_eq!(entries[0].end, at(60).mono, "the slot's end, on the grid");
/// assert_eq!(entries[0].cells[0].as_ref().map(|cell| cell.value), Some(21.0));
/// ```
#[derive(Debug)]
pub struct Pipeline {
    slots: Slots,
    /// In the order of the slots' routes.
    routes: Vec<Route>,
    sensors: Sensors,
    derived: Derived,
    /// The routes of outputs that report their level, by where it goes.
    reports: BTreeMap<(ChannelId, Column), usize>,
    shortest_slot: Duration,
}

/// A way of values: of a sensor's quantity, or of an output's level, which has neither source nor filter.
#[derive(Debug)]
struct Route {
    source: Option<(SensorId, usize)>,
    steps: Vec<Step>,
    chain: Chain,
    /// The filter refused the last value.
    is_refused: bool,
    slot: slots::Route,
    /// What its integral's total is kept as.
    total: Option<String>,
}

/// What putting readings led to.
#[derive(Debug, Default)]
pub struct Put {
    /// The next close moved forward: whoever waits for it must look again.
    pub wakes: bool,
    /// For the log.
    pub changes: Vec<HealthChange>,
    /// Totals that are to outlive the process, by the name that [`total_name`] gives them.
    pub totals: Vec<(String, f64)>,
}

/// What the total of a sensor in a column is kept as.
pub fn total_name(sensor: &str, channel: ChannelId, column: Column) -> String {
    format!("{sensor} in {channel}.{column}")
}

impl Pipeline {
    /// The pipeline of a map, whose sensors have these numbers, from `start` on.
    pub fn new(config: &Config, ids: &[SensorId], start: Mono) -> Self {
        let channels = &config.channels;
        let mut routes = Vec::new();
        let mut states = Vec::with_capacity(ids.len());
        for (&id, sensor) in ids.iter().zip(&config.sensors) {
            let mut state = SensorState::new(sensor, start);
            for RouteConfig { quantity, filter, slot } in &sensor.routes {
                state.add_route(*quantity, routes.len());
                let mut route = Route::new(Some((id, *quantity)), filter.clone(), slot.clone());
                route.chain = route.chain.bridging(sensor.silence);
                let name = || total_name(&sensor.name, channels[slot.channel].id, slot.column);
                route.total = route.chain.total().map(|_| name());
                routes.push(route);
            }
            sensor.inputs.iter().for_each(|quantity| state.want(*quantity));
            states.push((id, state));
        }
        let mut reports = BTreeMap::new();
        for &(id, column) in &config.reports {
            let Some(channel) = channels.iter().position(|known| known.id == id) else { continue };
            reports.entry((id, column)).or_insert(routes.len());
            let (reduce, publish) = (Reduce::Last, Publish::OnChange);
            let slot = slots::Route { channel, column, reduce, publish, decimals: None };
            routes.push(Route::new(None, Vec::new(), slot));
        }
        let formulas = ids.iter().zip(&config.sensors);
        let formulas = formulas.flat_map(|(id, sensor)| sensor.formulas.iter().map(|formula| (*id, formula)));
        let derived = Derived::new(ids, formulas);
        let of_slots: Vec<slots::Route> = routes.iter().map(|route| route.slot.clone()).collect();
        Self {
            slots: Slots::new(channels, &of_slots),
            routes,
            sensors: Sensors::new(states),
            derived,
            reports,
            shortest_slot: channels.iter().map(|channel| channel.every).min().unwrap_or(Duration::from_secs(60)),
        }
    }

    /// The map's name for a sensor; none for one that a new map no longer has.
    pub fn name(&self, sensor: SensorId) -> Option<&str> {
        self.sensors.get(sensor).map(|state| state.name.as_str())
    }

    /// The quantities of a sensor that the map asks for.
    pub fn routed(&self, sensor: SensorId) -> impl Iterator<Item = usize> {
        self.sensors.get(sensor).into_iter().flat_map(|state| state.quantities.iter().map(|quantity| quantity.index))
    }

    /// Whether the map asks for a quantity of a sensor.
    pub fn is_routed(&self, sensor: SensorId, quantity: usize) -> bool {
        self.sensors.get(sensor).is_some_and(|state| state.place_of(quantity).is_some())
    }

    /// The length of the shortest slot; a minute where there is none.
    pub const fn shortest_slot(&self) -> Duration {
        self.shortest_slot
    }

    /// Takes a reading. One of a sensor or a quantity that a new map no longer has is dropped.
    pub fn put(&mut self, now: Now, reading: &Reading, put: &mut Put) {
        let Reading { sensor: id, quantity, at, value } = reading;
        let Some(sensor) = self.sensors.get_mut(*id) else { return };
        let Some(place) = sensor.hear(*at, *quantity, value) else { return };
        self.derived.heard(*id, *quantity);
        let mut trouble = value.as_ref().err().cloned();
        for &index in &sensor.quantities[place].routes {
            let route = &mut self.routes[index];
            let filtered = route.filter(*at, value);
            let is_refused = filtered.is_err() && value.is_ok();
            match (std::mem::replace(&mut route.is_refused, is_refused), is_refused) {
                (false, true) => sensor.refused += 1,
                (true, false) => sensor.refused -= 1,
                _ => {}
            }
            match filtered {
                Ok(passed) => {
                    if let (Some(name), Some(total)) = (&route.total, route.chain.total()) {
                        put.totals.push((name.clone(), total));
                    }
                    self.slots.recovered(index);
                    put.wakes |= passed.is_some_and(|value| self.slots.value(now, index, *at, value));
                }
                Err(fault) => {
                    let words = format!("{}: {fault}", sensor.name);
                    put.wakes |= self.slots.trouble(now, index, *at, &words);
                    trouble = trouble.or(Some(fault));
                }
            }
        }
        put.changes.extend(sensor.change(*id, trouble));
    }

    /// Computes what came of the readings since it was last called: to be called behind those that were measured together. Gives
    /// the readings that were computed; they were taken already.
    pub fn derive(&mut self, now: Now, put: &mut Put) -> Vec<Reading> {
        let mut readings = Vec::new();
        while let Some(reading) = self.derived.next(now.mono, &self.sensors) {
            self.put(now, &reading, put);
            readings.push(reading);
        }
        readings
    }

    /// Lets totals that have not begun go on from what was kept under their names.
    pub fn resume(&mut self, kept: impl Fn(&str) -> Option<f64>) {
        for route in &mut self.routes {
            if let Some(total) = route.total.as_deref().and_then(&kept) {
                route.chain.resume(total);
            }
        }
    }

    /// Takes the level that an output has now, for where it reports it. Returns whether the next close moved forward.
    pub fn level(&mut self, now: Now, to: (ChannelId, Column), value: f64) -> bool {
        let Some(&route) = self.reports.get(&to) else { return false };
        // Trouble of a sensor that had the column before the map was changed, if the state was restored.
        self.slots.recovered(route);
        self.slots.value(now, route, now.mono, value)
    }

    /// When somebody has to come for entries.
    pub fn next_close(&self) -> Option<Mono> {
        self.slots.next_close()
    }

    /// Closes the slots that have ended. `take` gets their entries, channel by channel, oldest first. Returns what is to be told of
    /// sensors that went silent.
    pub fn close_due(&mut self, now: Now, take: impl FnMut(Vec<UntimedEntry>)) -> Vec<HealthChange> {
        let changes = self.find_silent(now);
        self.slots.close_due(now, take);
        changes
    }

    /// Closes all slots, ended or not, as [`Pipeline::close_due`] does.
    pub fn close_all(&mut self, now: Now, take: impl FnMut(Vec<UntimedEntry>)) {
        self.slots.close_now(now, |_| true, take);
    }

    /// Takes a new map, whose sensors have these numbers. What it leaves as it is goes on: open slots, filters, faults that
    /// are known. The slots of channels that it changes in any way are closed at once, as they are, so that nothing that was
    /// measured is lost or ends in another column; `take` gets their entries.
    pub fn reload(&mut self, now: Now, config: &Config, ids: &[SensorId], take: impl FnMut(Vec<UntimedEntry>)) {
        let mut new = Self::new(config, ids, now.mono);
        let changed: BTreeSet<ChannelId> = {
            let (before, after) = (self.ways(), new.ways());
            before.iter().filter(|(id, way)| after.get(id) != Some(way)).map(|(id, _)| *id).collect()
        };
        self.slots.close_now(now, |id| changed.contains(&id), take);
        let boot = BootId::default();
        new.restore(now, boot, &self.state(boot), |_| None);
        let mut known: HashMap<(SensorId, usize), Vec<Route>> = HashMap::new();
        for route in std::mem::take(&mut self.routes) {
            if let Some(source) = route.source {
                known.entry(source).or_default().push(route);
            }
        }
        new.sensors.learn(std::mem::take(&mut self.sensors));
        for route in &mut new.routes {
            let Some(source) = route.source else { continue };
            let Some(same) = known.get_mut(&source) else { continue };
            let Some(place) = same.iter().position(|known| known.steps == route.steps) else { continue };
            let same = same.swap_remove(place);
            let longest = new.sensors.get(source.0).map_or(Duration::MAX, |sensor| sensor.silence);
            (route.chain, route.is_refused) = (same.chain.bridging(longest), same.is_refused);
            if let (true, Some(sensor)) = (route.is_refused, new.sensors.get_mut(source.0)) {
                sensor.refused += 1;
            }
        }
        *self = new;
    }

    /// What makes each channel's entries: itself, and the ways of all values into it.
    fn ways(&self) -> BTreeMap<ChannelId, Way<'_>> {
        let way = |slot: &'_ slots::ChannelSlot| (slot.channel.id, (slot.channel.clone(), Vec::new()));
        let mut ways: BTreeMap<ChannelId, Way<'_>> = self.slots.channels.iter().map(way).collect();
        for route in &self.routes {
            let channel = self.slots.channels[route.slot.channel].channel.id;
            // The channel's place may be another one.
            let slot = slots::Route { channel: 0, ..route.slot.clone() };
            let (_, routes) = ways.get_mut(&channel).expect("every route leads to a channel");
            routes.push((route.source, &route.steps, slot));
        }
        ways
    }

    fn find_silent(&mut self, now: Now) -> Vec<HealthChange> {
        let mut changes = Vec::new();
        while let Some((id, fault)) = self.sensors.next_silent(now.mono) {
            let Some(sensor) = self.sensors.get_mut(id) else { continue };
            let words = format!("{}: {fault}", sensor.name);
            sensor.quantities.iter().for_each(|quantity| self.derived.heard(id, quantity.index));
            for &route in sensor.quantities.iter().flat_map(|quantity| &quantity.routes) {
                self.slots.trouble(now, route, now.mono, &words);
            }
            changes.extend(sensor.change(id, Some(fault)));
        }
        let mut put = Put::default();
        self.derive(now, &mut put);
        changes.extend(put.changes);
        changes
    }
}

/// A channel, and for each of its routes where the values come from and how they are treated.
type Way<'a> = (slots::Channel, Vec<(Option<(SensorId, usize)>, &'a [Step], slots::Route)>);

impl Route {
    fn new(source: Option<(SensorId, usize)>, steps: Vec<Step>, slot: slots::Route) -> Self {
        let chain = Chain::new(&steps);
        Self { source, steps, chain, is_refused: false, slot, total: None }
    }

    /// What passes of a value: nothing where the filter holds it back.
    fn filter(&mut self, at: Mono, value: &Result<f64, Fault>) -> Result<Option<f64>, Fault> {
        match value {
            Ok(value) => self.chain.value(at, *value)?.map(publishable).transpose(),
            Err(fault) => {
                self.chain.fault();
                Err(fault.clone())
            }
        }
    }
}

/// A value that the service takes.
fn publishable(value: f64) -> Result<f64, Fault> {
    let refused =
        |needs| Fault::OutOfRange(format!("value needs {needs} characters, the service takes {}", update::MAX_VALUE));
    update::fits(value).map(|()| value).map_err(refused)
}

#[cfg(test)]
mod tests;
