//! Which sensor has which number: the place in the first map, and over every reload the same for a sensor that stays as it
//! is. Numbers are not given twice, so that what a sensor of an old map still says is nobody else's.

use super::Sensor;
use crate::reading::SensorId;

/// The sensors of the map that holds, with their numbers.
#[derive(Debug)]
pub(crate) struct SensorRegistry {
    sensors: Vec<(SensorId, Sensor)>,
    next: u32,
}

/// What a new map changes.
#[derive(Debug, Default)]
pub(crate) struct Diff {
    /// The sensors that are no longer there, or not as they were.
    pub(crate) removed: Vec<SensorId>,
    /// Those that are new, or not as they were.
    pub(crate) added: Vec<(SensorId, Sensor)>,
}

impl SensorRegistry {
    /// No sensors.
    pub(crate) const fn new() -> Self {
        Self { sensors: Vec::new(), next: 0 }
    }

    /// Takes the sensors of a new map.
    pub(crate) fn update(&mut self, sensors: &[Sensor]) -> Diff {
        let mut before = std::mem::take(&mut self.sensors);
        let mut diff = Diff::default();
        for sensor in sensors {
            let stays = before.iter().position(|(_, known)| is_same(known, sensor));
            let id = if let Some(place) = stays {
                before.remove(place).0
            } else {
                let id = SensorId(self.next);
                self.next += 1;
                diff.added.push((id, sensor.clone()));
                id
            };
            self.sensors.push((id, sensor.clone()));
        }
        diff.removed = before.into_iter().map(|(id, _)| id).collect();
        diff
    }

    /// The numbers, in the map's order.
    pub(crate) fn ids(&self) -> Vec<SensorId> {
        self.sensors.iter().map(|(id, _)| *id).collect()
    }
}

/// Whether a sensor can go on as it is. Where its values go is not its own affair.
fn is_same(one: &Sensor, other: &Sensor) -> bool {
    let Sensor { name, kind, every, timeout, routes: _, inputs: _ } = one;
    (name, kind, every, timeout) == (&other.name, &other.kind, &other.every, &other.timeout)
        && one.keeps_total() == other.keeps_total()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::fixture;

    fn sensors(text: &str) -> Vec<Sensor> {
        fixture::settings(text).sensors
    }

    const TANK: &str =
        "[[sensor]]\nname = \"tank\"\nuse = \"ds18b20\"\nid = \"28-0417b1fb82ff\"\nto.temperature = \"house.field1\"\n";
    const DOOR: &str = "[[sensor]]\nname = \"door\"\nuse = \"input\"\npin = 22\nto.level = \"house.field2\"\n";

    fn numbers(diff: &Diff) -> (Vec<u32>, Vec<u32>) {
        let come = diff.added.iter().map(|(id, _)| id.0).collect();
        (diff.removed.iter().map(|id| id.0).collect(), come)
    }

    #[test]
    fn sensor_that_stays_keeps_its_number_and_no_number_is_given_twice() {
        let mut registry = SensorRegistry::new();
        assert_eq!(numbers(&registry.update(&sensors(&format!("{TANK}{DOOR}")))), (vec![], vec![0, 1]));
        // Another order, and another field, change no sensor.
        let moved = format!("{DOOR}{}", TANK.replace("field1", "field3"));
        assert_eq!(numbers(&registry.update(&sensors(&moved))), (vec![], vec![]));
        assert_eq!(registry.ids(), [SensorId(1), SensorId(0)]);
        let other_pin = DOOR.replace("22", "23");
        assert_eq!(numbers(&registry.update(&sensors(&other_pin))), (vec![1, 0], vec![2]));
        assert_eq!(numbers(&registry.update(&sensors(TANK))), (vec![2], vec![3]), "a number is not given twice");
    }
}
