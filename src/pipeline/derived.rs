//! Values that are reckoned from others when those come, in an order in which no value is reckoned before what it is made of.
//!
//! A value has no clock of its own. It is as new as the newest of its inputs, and missing where one of those that it needs is: because its
//! sensor has a fault, or said nothing for longer than it may. Before all have come for the first time there is none, and no fault
//! either.

use std::collections::{BTreeSet, HashMap};

use super::sensors::Sensors;
use crate::formula::Formula;
use crate::reading::{Fault, Reading, SensorId};
use crate::time::Mono;

/// A formula, and which quantity of its sensor it is.
#[derive(Clone, Debug)]
pub struct FormulaConfig {
    /// Index into the sensor's quantities.
    pub quantity: usize,
    /// What is reckoned.
    pub formula: Formula,
    /// For each of its inputs the index of the sensor in the map, and of its quantity.
    pub inputs: Vec<(usize, usize)>,
}

/// All values that are reckoned.
#[derive(Debug, Default)]
pub(super) struct Derived {
    /// Each behind those that it is made of.
    values: Vec<Value>,
    /// Which values a quantity is an input of.
    by_input: HashMap<(SensorId, usize), Vec<usize>>,
    /// Those with a new input.
    due: BTreeSet<usize>,
}

#[derive(Debug)]
struct Value {
    sensor: SensorId,
    quantity: usize,
    formula: Formula,
    inputs: Vec<(SensorId, usize)>,
}

enum Missing {
    NotYet,
    Why(Fault),
}

impl Derived {
    /// Those of a map's sensors, whose numbers are `ids`.
    pub(super) fn new<'a>(ids: &[SensorId], formulas: impl Iterator<Item = (SensorId, &'a FormulaConfig)>) -> Self {
        let mut waiting: Vec<Value> = formulas
            .map(|(sensor, config)| Value {
                sensor,
                quantity: config.quantity,
                formula: config.formula.clone(),
                inputs: config.inputs.iter().map(|(sensor, quantity)| (ids[*sensor], *quantity)).collect(),
            })
            .collect();
        let mut values: Vec<Value> = Vec::new();
        // A map with a circle is refused: each round finds some.
        while !waiting.is_empty() {
            let open: BTreeSet<_> = waiting.iter().map(|value| (value.sensor, value.quantity)).collect();
            let is_ready = |value: &Value| value.inputs.iter().all(|input| !open.contains(input));
            let (ready, left): (Vec<_>, Vec<_>) = waiting.into_iter().partition(is_ready);
            if ready.is_empty() {
                break;
            }
            values.extend(ready);
            waiting = left;
        }
        let mut by_input: HashMap<_, Vec<usize>> = HashMap::new();
        for (place, value) in values.iter().enumerate() {
            for input in &value.inputs {
                by_input.entry(*input).or_default().push(place);
            }
        }
        Self { values, by_input, due: BTreeSet::new() }
    }

    /// Something came of this quantity.
    pub(super) fn heard(&mut self, sensor: SensorId, quantity: usize) {
        if let Some(values) = self.by_input.get(&(sensor, quantity)) {
            self.due.extend(values);
        }
    }

    /// The next value that is due and that there is, or why there is none; `None` when there are no more.
    pub(super) fn next(&mut self, now: Mono, sensors: &Sensors) -> Option<Reading> {
        while let Some(place) = self.due.pop_first() {
            let reading = self.values[place].reading(now, sensors);
            if reading.is_some() {
                return reading;
            }
        }
        None
    }
}

impl Value {
    /// What is reckoned now; nothing before all inputs have come.
    fn reading(&self, now: Mono, sensors: &Sensors) -> Option<Reading> {
        let newest = self.inputs.iter().filter_map(|&(id, quantity)| sensors.get(id)?.last(quantity)).map(|(at, _)| at);
        let newest = newest.max().unwrap_or(now);
        let input = |place: usize| {
            let named = &self.formula.inputs()[place];
            let why = |fault: &dyn std::fmt::Display| {
                Missing::Why(Fault::Input(format!("{}.{}: {fault}", named.sensor, named.quantity)))
            };
            let (id, quantity) = self.inputs[place];
            let sensor = sensors.get(id).ok_or(Missing::NotYet)?;
            if let Some(fault) = sensor.fault(quantity) {
                return Err(why(fault));
            }
            let (at, last) = sensor.last(quantity).ok_or(Missing::NotYet)?;
            let age = now.since(at);
            if age > sensor.silence {
                return Err(why(&Fault::Silent(age)));
            }
            Ok(last)
        };
        let Self { sensor, quantity, .. } = *self;
        match self.formula.value(&input, &|why| Missing::Why(Fault::OutOfRange(why))) {
            Ok(reckoned) => Some(Reading { sensor, quantity, at: newest, value: Ok(reckoned) }),
            Err(Missing::Why(fault)) => Some(Reading { sensor, quantity, at: now, value: Err(fault) }),
            Err(Missing::NotYet) => None,
        }
    }
}

#[cfg(test)]
mod tests;
