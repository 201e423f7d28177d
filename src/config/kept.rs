//! What of a map outlives the daemon: the totals that are published, the past of every output, and what is remembered of every
//! channel that is published to.

use super::{Route, Sensor, Settings};
use crate::output::rules::Past;
use crate::pipeline::filter::Step;
use crate::pipeline::total_name;
use crate::spool;
use crate::state::{self, Key};

impl Settings {
    /// The names under which something is kept. A total that goes nowhere is not: nobody would see it, and the disk need not
    /// carry it.
    pub fn kept(&self) -> Vec<Key> {
        let totals = self.sensors.iter().filter(|sensor| sensor.keeps_total());
        let totals = totals.map(|sensor| Key::Counter(sensor.name.clone()));
        let integrals = self.sensors.iter().flat_map(|sensor| {
            let sums = |route: &&Route| route.filter.iter().any(|step| matches!(step, Step::Integrate(_)));
            let name = |route: &Route| total_name(&sensor.name, self.channels[route.channel].id, route.column);
            sensor.routes.iter().filter(sums).map(move |route| Key::Integral(name(route)))
        });
        let outputs = self.outputs.iter().map(|output| Key::Output(output.name.clone()));
        let channels =
            self.channels.iter().filter(|channel| self.feeds(channel)).map(|channel| Key::Channel(channel.id));
        totals.chain(integrals).chain(outputs).chain(channels).collect()
    }

    /// Whether something is kept that changes while all is well. What is remembered of channels does not by itself.
    pub fn keeps_totals(&self) -> bool {
        self.kept().iter().any(|key| !matches!(key, Key::Channel(_)))
    }

    /// The most that one write of them takes, in bytes; 0 where nothing is kept. See [`state::bytes_per_day`].
    pub fn kept_size(&self) -> usize {
        state::page_size(self.kept().into_iter().map(|key| {
            let value = match key {
                Key::Counter(_) | Key::Integral(_) => state::LONGEST_TOTAL,
                Key::Output(_) => Past::LONGEST,
                Key::Channel(_) => spool::MEMORY,
            };
            (key, value)
        }))
    }
}

impl Sensor {
    /// Whether its total goes somewhere, and outlives the daemon.
    pub fn keeps_total(&self) -> bool {
        let total = self.kind.device().total();
        total.is_some_and(|total| {
            self.routes.iter().any(|route| route.quantity == total) || self.inputs.contains(&total)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::fixture;

    fn settings(routes: &str) -> Settings {
        fixture::settings(&format!(
            r#"
[channel.switches]
id = 9
[[sensor]]
name = "rain"
use = "counter"
pin = 27
{routes}
[[output]]
name = "pump"
pin = 17
from = "switches.field1"
"#
        ))
    }

    #[test]
    fn total_is_kept_where_it_goes_somewhere_and_outputs_always() {
        let pump = Key::Output("pump".to_owned());
        let house = Key::Channel(crate::entry::ChannelId(7));
        assert_eq!(settings("to.sum = \"house.field1\"").kept(), [pump.clone(), house.clone()]);
        let both = settings("to.sum = \"house.field1\"\nto.total = \"house.field2\"");
        assert_eq!(both.kept(), [Key::Counter("rain".to_owned()), pump, house]);
        let litres = settings("to.rate = { field = \"house.field3\", integrate = \"min\" }").kept();
        assert_eq!(litres[0], Key::Integral("rain in 7.field3".to_owned()));
        assert!(both.kept_size() > settings("to.sum = \"house.field1\"").kept_size());
    }
}
