//! What the map says to the pipeline.

use std::time::Duration;

use super::{Channel, Route, Sensor, Settings, formulas};
use crate::pipeline::{self, FormulaConfig, RouteConfig, SensorConfig, slots};

impl Settings {
    /// What the pipeline has to know of the map.
    pub fn pipeline(&self) -> pipeline::Config {
        let sensors = &self.sensors;
        let formulas: Vec<_> = sensors.iter().map(|sensor| formulas::of_pipeline(sensor, sensors)).collect();
        let mut known = vec![None; sensors.len()];
        let silences: Vec<_> = (0..sensors.len()).map(|place| silence(place, sensors, &formulas, &mut known)).collect();
        let all = sensors.iter().zip(formulas).zip(silences);
        pipeline::Config {
            channels: self.channels.iter().map(channel).collect(),
            sensors: all.map(|((one, formulas), silence)| sensor(one, formulas, silence)).collect(),
            reports: self.outputs.iter().filter_map(|output| output.report).collect(),
        }
    }
}

fn channel(Channel { id, every, license, status, .. }: &Channel) -> slots::Channel {
    slots::Channel::new(*id, *every, license.interval(), *status)
}

fn sensor(sensor: &Sensor, formulas: Vec<FormulaConfig>, silence: Duration) -> SensorConfig {
    let Sensor { name, kind, routes, inputs, .. } = sensor;
    let quantities = kind.device().quantities();
    let route = |route: &Route| {
        let decimals = quantities.get(route.quantity).and_then(|quantity| route.decimals(quantity));
        let Route { quantity, channel, column, reduce, publish, ref filter } = *route;
        RouteConfig {
            quantity,
            filter: filter.clone(),
            slot: slots::Route { channel, column, reduce, publish, decimals },
        }
    };
    SensorConfig {
        name: name.clone(),
        silence,
        routes: routes.iter().map(route).collect(),
        inputs: inputs.clone(),
        formulas,
    }
}

/// Longest time between two signs of life. Behind the others of its bus a read may come late without being stuck. A formula may be
/// as silent as its inputs.
fn silence(
    place: usize,
    sensors: &[Sensor],
    formulas: &[Vec<FormulaConfig>],
    known: &mut [Option<Duration>],
) -> Duration {
    if let Some(silence) = known[place] {
        return silence;
    }
    let Sensor { every, timeout, .. } = sensors[place];
    let own = every.saturating_mul(3).saturating_add(timeout);
    // Two sensors may each have a formula over the other one's.
    known[place] = Some(if formulas[place].is_empty() { own } else { Duration::ZERO });
    let inputs = formulas[place].iter().flat_map(|formula| &formula.inputs);
    let longest = inputs.map(|(input, _)| silence(*input, sensors, formulas, known)).max();
    let silence = longest.filter(|longest| !longest.is_zero()).unwrap_or(own);
    known[place] = Some(silence);
    silence
}
