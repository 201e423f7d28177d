//! The sensors: what they said last, or what is wrong.

use super::{Since, seconds};
use crate::config;
use crate::daemon::event::Slow;
use crate::daemon::messages;
use crate::entry::{self, Decimals};
use crate::pipeline::filter::{self, Step};
use crate::reading::{self, Fault, Reading, SensorId};
use crate::status;
use crate::time::Mono;

/// One sensor.
#[derive(Debug)]
pub(super) struct Sensor {
    pub(super) id: SensorId,
    pub(super) name: String,
    kind: &'static str,
    fault: Option<Since>,
    /// Its reads take long.
    pub(super) slow: Option<Slow>,
    quantities: Vec<Quantity>,
}

/// A quantity that the map asks for.
#[derive(Debug)]
struct Quantity {
    /// Its place among those of the device.
    place: usize,
    name: String,
    unit: &'static str,
    decimals: Option<Decimals>,
    last: Option<(f64, Mono)>,
    values: u64,
    faults: u64,
}

impl Sensor {
    pub(super) fn new(id: SensorId, sensor: &config::Sensor) -> Self {
        let quantities = sensor.kind.device().quantities();
        let asked_for =
            |place: &usize| sensor.inputs.contains(place) || sensor.routes.iter().any(|route| route.quantity == *place);
        let quantity = |(place, it): (usize, reading::Quantity)| Quantity {
            place,
            decimals: decimals(&it, sensor.routes.iter().filter(|route| route.quantity == place)),
            name: it.name.into_owned(),
            unit: it.unit,
            last: None,
            values: 0,
            faults: 0,
        };
        Self {
            id,
            name: sensor.name.clone(),
            kind: sensor.kind.tag(),
            fault: None,
            slow: None,
            quantities: quantities
                .into_iter()
                .enumerate()
                .filter(|(place, _)| asked_for(place))
                .map(quantity)
                .collect(),
        }
    }

    /// Whether it is the same sensor in another map.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let what = |it: &Self| it.quantities.iter().map(|one| one.place).collect::<Vec<_>>();
        self.id == other.id && what(self) == what(other)
    }

    pub(super) fn reading(&mut self, now: Mono, reading: &Reading) {
        let Some(quantity) = self.quantities.iter_mut().find(|it| it.place == reading.quantity) else { return };
        match &reading.value {
            Ok(value) => {
                quantity.values += 1;
                quantity.last = Some((*value, now));
            }
            Err(fault) => {
                quantity.faults += 1;
                if let Some(known) = &mut self.fault {
                    known.words = fault.to_string();
                }
            }
        }
    }

    pub(super) fn down(&mut self, now: Mono, fault: &Fault) {
        self.fault = Some(Since::new(now, fault));
    }

    pub(super) fn up(&mut self) {
        self.fault = None;
    }

    pub(super) const fn is_down(&self) -> bool {
        self.fault.is_some()
    }

    /// That it fails, in words.
    pub(super) fn trouble(&self) -> Option<String> {
        self.fault.as_ref().map(|fault| messages::no_reading(&self.name, &fault.words).text)
    }

    /// That it is slow, in words.
    pub(super) fn remark(&self) -> Option<String> {
        self.slow.map(|slow| format!("sensor {}: slow: {slow}", self.name))
    }

    pub(super) fn report(&self, now: Mono) -> status::Sensor {
        let quantity = |it: &Quantity| {
            let text = it.last.and_then(|(value, _)| entry::text(value, it.decimals));
            status::Quantity {
                name: it.name.clone(),
                unit: it.unit.to_owned(),
                value: text.as_ref().and_then(|text| text.parse().ok()),
                text,
                age_s: it.last.map(|(_, at)| seconds(now.since(at))),
                values: it.values,
                faults: it.faults,
            }
        };
        status::Sensor {
            name: self.name.clone(),
            kind: self.kind.to_owned(),
            fault: self.fault.as_ref().map(|fault| fault.report(now)),
            slow_read_s: self.slow.map(|slow| seconds(slow.took)),
            quantities: self.quantities.iter().map(quantity).collect(),
        }
    }
}

/// The digits of a reading: those of the routes that publish it as it was read, in the finest of them; otherwise those that the part
/// is good for.
fn decimals<'a>(quantity: &reading::Quantity, routes: impl Iterator<Item = &'a config::Route>) -> Option<Decimals> {
    let as_read = routes.filter(|route| !route.filter.iter().any(Step::computes));
    let finest = as_read.filter_map(|route| route.decimals(quantity)).max_by_key(|decimals| decimals.digits());
    finest.or_else(|| filter::decimals(&[], quantity.resolution, quantity.reduce))
}
