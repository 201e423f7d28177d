//! What the map says to the pipeline.

use std::time::Duration;

use super::{Channel, Route, Sensor, Settings};
use crate::pipeline::{self, RouteConfig, SensorConfig, slots};

impl Settings {
    /// What the pipeline has to know of the map.
    pub fn pipeline(&self) -> pipeline::Config {
        pipeline::Config {
            channels: self.channels.iter().map(channel).collect(),
            sensors: self.sensors.iter().map(sensor).collect(),
            reports: self.outputs.iter().filter_map(|output| output.report).collect(),
        }
    }
}

fn channel(Channel { id, every, license, status, .. }: &Channel) -> slots::Channel {
    slots::Channel::new(*id, *every, license.interval(), *status)
}

fn sensor(Sensor { name, kind, every, timeout, routes }: &Sensor) -> SensorConfig {
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
    SensorConfig { name: name.clone(), silence: silence(*every, *timeout), routes: routes.iter().map(route).collect() }
}

/// Longest time between two signs of life. Behind the others of its bus a read may come late without being stuck.
fn silence(every: Duration, timeout: Duration) -> Duration {
    every.saturating_mul(3).saturating_add(timeout)
}
