//! How the sensors are: which of their quantities have trouble, and which sensors say nothing at all.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::SensorConfig;
use crate::reading::{Fault, SensorId};
use crate::time::Mono;

/// A change in a sensor's health, for the log.
#[derive(Clone, Debug, PartialEq)]
pub enum HealthChange {
    /// From now on it has nothing to say.
    Down(SensorId, Fault),
    /// It measures again.
    Up(SensorId),
}

/// The sensors of a map, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Sensors {
    by_id: BTreeMap<SensorId, SensorState>,
    /// When each sensor has been silent for too long, unless it was heard of since.
    silences: BTreeSet<(Mono, SensorId)>,
}

#[derive(Debug)]
pub(super) struct SensorState {
    pub(super) name: String,
    /// The quantities that the map asks for, in their order.
    pub(super) quantities: Vec<Quantity>,
    /// Routes whose own filter refuses the value.
    pub(super) refused: usize,
    /// It was told that there is trouble.
    is_down: bool,
    /// When the sensor was last heard of, by a value or a fault; at first the start.
    heard: Mono,
    /// Longest time between two signs of life.
    pub(super) silence: Duration,
    /// It is computed when others come: how they are is how it is.
    is_computed: bool,
}

#[derive(Debug)]
pub(super) struct Quantity {
    /// Its place among the part's.
    pub(super) index: usize,
    /// Where its values go: places of routes.
    pub(super) routes: Vec<usize>,
    fault: Option<Fault>,
    /// The last value and its time.
    last: Option<(Mono, f64)>,
}

impl SensorState {
    /// The state of a sensor that was not heard of yet.
    pub(super) fn new(sensor: &SensorConfig, start: Mono) -> Self {
        Self {
            name: sensor.name.clone(),
            quantities: Vec::new(),
            refused: 0,
            is_down: false,
            heard: start,
            silence: sensor.silence,
            is_computed: !sensor.formulas.is_empty(),
        }
    }

    /// Adds a route of a quantity.
    pub(super) fn add_route(&mut self, quantity: usize, route: usize) {
        self.asked_for(quantity).routes.push(route);
    }

    /// Asks for a quantity that something is computed of.
    pub(super) fn want(&mut self, quantity: usize) {
        self.asked_for(quantity);
    }

    fn asked_for(&mut self, index: usize) -> &mut Quantity {
        let place = self.quantities.binary_search_by_key(&index, |known| known.index).unwrap_or_else(|place| {
            self.quantities.insert(place, Quantity { index, routes: Vec::new(), fault: None, last: None });
            place
        });
        &mut self.quantities[place]
    }

    /// Why there is no value of a quantity now.
    pub(super) fn fault(&self, quantity: usize) -> Option<&Fault> {
        self.quantities[self.place_of(quantity)?].fault.as_ref()
    }

    /// The last value of a quantity, and when it was measured.
    pub(super) fn last(&self, quantity: usize) -> Option<(Mono, f64)> {
        self.quantities[self.place_of(quantity)?].last
    }

    /// The place of a quantity that the map asks for.
    pub(super) fn place_of(&self, quantity: usize) -> Option<usize> {
        self.quantities.binary_search_by_key(&quantity, |known| known.index).ok()
    }

    /// Takes what was heard of a quantity. Returns its place, if the map asks for it.
    pub(super) fn hear(&mut self, at: Mono, quantity: usize, value: &Result<f64, Fault>) -> Option<usize> {
        self.heard = at;
        let place = self.place_of(quantity)?;
        let known = &mut self.quantities[place];
        match value {
            Ok(value) => (known.last, known.fault) = (Some((at, *value)), None),
            Err(fault) => known.fault = Some(fault.clone()),
        }
        Some(place)
    }

    /// One change when a sensor's trouble begins, whatever it is made of, and one when all of it is over.
    pub(super) fn change(&mut self, id: SensorId, trouble: Option<Fault>) -> Option<HealthChange> {
        let is_down = self.refused > 0 || self.has_fault();
        match (std::mem::replace(&mut self.is_down, is_down), is_down) {
            (false, true) => trouble.map(|fault| HealthChange::Down(id, fault)),
            (true, false) => Some(HealthChange::Up(id)),
            _ => None,
        }
    }

    fn has_fault(&self) -> bool {
        self.quantities.iter().any(|quantity| quantity.fault.is_some())
    }

    /// Takes over what is known of the same sensor, for the quantities that the map still asks for.
    fn learn(&mut self, known: Self) {
        (self.is_down, self.heard) = (known.is_down, known.heard);
        for quantity in known.quantities {
            if let Some(place) = self.place_of(quantity.index) {
                (self.quantities[place].fault, self.quantities[place].last) = (quantity.fault, quantity.last);
            }
        }
    }
}

impl Sensors {
    pub(super) fn new(states: impl IntoIterator<Item = (SensorId, SensorState)>) -> Self {
        let by_id: BTreeMap<SensorId, SensorState> = states.into_iter().collect();
        let measured = by_id.iter().filter(|(_, state)| !state.is_computed);
        let silences = measured.map(|(id, state)| (state.heard + state.silence, *id)).collect();
        Self { by_id, silences }
    }

    pub(super) fn get(&self, id: SensorId) -> Option<&SensorState> {
        self.by_id.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: SensorId) -> Option<&mut SensorState> {
        self.by_id.get_mut(&id)
    }

    /// Takes over what is known of the sensors that stay.
    pub(super) fn learn(&mut self, mut known: Self) {
        for (id, state) in &mut self.by_id {
            if let Some(known) = known.by_id.remove(id) {
                state.learn(known);
            }
        }
    }

    /// A sensor that said nothing for too long, not even that it failed, so that its thread is stuck: all of its quantities
    /// become this fault. To be asked until there is none.
    pub(super) fn next_silent(&mut self, now: Mono) -> Option<(SensorId, Fault)> {
        while let Some((_, id)) = self.silences.first().filter(|(at, _)| *at < now).copied() {
            self.silences.pop_first();
            let Some(state) = self.by_id.get_mut(&id) else { continue };
            let quiet = now.since(state.heard);
            let is_silent = quiet > state.silence && !state.has_fault();
            // One that has trouble, or was heard of since, is looked at again when it may be silent next.
            let again = if quiet > state.silence { now } else { state.heard } + state.silence;
            self.silences.insert((again, id));
            if is_silent {
                let fault = Fault::Silent(quiet);
                for quantity in &mut state.quantities {
                    quantity.fault = Some(fault.clone());
                }
                return Some((id, fault));
            }
        }
        None
    }
}
