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
}

#[derive(Debug)]
pub(super) struct Quantity {
    /// Its place among the part's.
    pub(super) index: usize,
    /// Where its values go: places of routes.
    pub(super) routes: Vec<usize>,
    fault: Option<Fault>,
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
        }
    }

    /// Adds a route of a quantity.
    pub(super) fn add_route(&mut self, quantity: usize, route: usize) {
        match self.quantities.binary_search_by_key(&quantity, |known| known.index) {
            Ok(place) => self.quantities[place].routes.push(route),
            Err(place) => self.quantities.insert(place, Quantity { index: quantity, routes: vec![route], fault: None }),
        }
    }

    /// The place of a quantity that the map asks for.
    pub(super) fn place_of(&self, quantity: usize) -> Option<usize> {
        self.quantities.binary_search_by_key(&quantity, |known| known.index).ok()
    }

    /// Takes what was heard of a quantity. Returns its place, if the map asks for it.
    pub(super) fn hear(&mut self, at: Mono, quantity: usize, fault: Option<&Fault>) -> Option<usize> {
        self.heard = at;
        let place = self.place_of(quantity)?;
        self.quantities[place].fault = fault.cloned();
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
                self.quantities[place].fault = quantity.fault;
            }
        }
    }
}

impl Sensors {
    pub(super) fn new(states: impl IntoIterator<Item = (SensorId, SensorState)>) -> Self {
        let by_id: BTreeMap<SensorId, SensorState> = states.into_iter().collect();
        let silences = by_id.iter().map(|(id, state)| (state.heard + state.silence, *id)).collect();
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
