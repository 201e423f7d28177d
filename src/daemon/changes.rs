//! What a new map has changed, for the log and for whoever watches.

use std::fmt;

use crate::config::{Channel, Route, Sensor, Settings};
use crate::hal::GpioBackend;

/// So many names are listed.
const LISTED: usize = 12;

/// What a new map has changed, each with its name: `sensor air`, `channel house`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// What is new.
    pub added: Vec<String>,
    /// What was there before and is not as it was.
    pub changed: Vec<String>,
    /// What is gone.
    pub removed: Vec<String>,
    /// MQTT devices that connect again; the others keep their connection.
    pub sessions: Vec<String>,
    /// The map names another GPIO back end, which is taken at the next start only: the lines in use belong to this one.
    pub gpio: Option<GpioBackend>,
}

impl Changes {
    /// Compares two maps.
    pub(super) fn between(before: &Settings, after: &Settings) -> Self {
        let mut changes = Self::default();
        changes.list(
            "device",
            (&before.devices, &after.devices),
            |device| &device.name,
            |one, other| one.credentials == other.credentials,
        );
        // Its share of the license's year moves with every other channel.
        let is_same = |one: &Channel, other: &Channel| {
            let own = |it: &Channel| (it.id, it.every, it.confirm, it.license, it.backlog, it.status);
            own(one) == own(other) && before.devices[one.device].name == after.devices[other.device].name
        };
        changes.list("channel", (&before.channels, &after.channels), |channel| &channel.name, is_same);
        let is_same = |one: &Sensor, other: &Sensor| {
            let plain = |sensor: &Sensor| {
                let routes = sensor.routes.iter().map(|route| Route { channel: 0, ..route.clone() });
                // What others make of it is their own affair.
                Sensor { routes: routes.collect(), inputs: Vec::new(), ..sensor.clone() }
            };
            let channels = |map: &Settings, sensor: &Sensor| -> Vec<_> {
                sensor.routes.iter().map(|route| map.channels[route.channel].id).collect()
            };
            plain(one) == plain(other) && channels(before, one) == channels(after, other)
        };
        changes.list("sensor", (&before.sensors, &after.sensors), |sensor| &sensor.name, is_same);
        changes.list("output", (&before.outputs, &after.outputs), |output| &output.name, PartialEq::eq);
        let sections = [
            ("[broker]", before.broker != after.broker),
            ("[spool]", before.spool != after.spool),
            ("[metrics]", before.metrics != after.metrics),
            ("clock", before.clock != after.clock),
        ];
        changes.changed.extend(sections.iter().filter(|(_, differs)| *differs).map(|(name, _)| (*name).to_owned()));
        changes
    }

    fn list<T>(
        &mut self,
        what: &str,
        (before, after): (&[T], &[T]),
        name: impl Fn(&T) -> &String,
        is_same: impl Fn(&T, &T) -> bool,
    ) {
        let words = |it: &T| format!("{what} {}", name(it));
        for it in after {
            match before.iter().find(|known| name(known) == name(it)) {
                None => self.added.push(words(it)),
                Some(known) if !is_same(known, it) => self.changed.push(words(it)),
                Some(_) => {}
            }
        }
        let is_gone = |it: &&T| !after.iter().any(|known| name(known) == name(it));
        self.removed.extend(before.iter().filter(is_gone).map(words));
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        let lists = [
            ("added", &self.added),
            ("changed", &self.changed),
            ("removed", &self.removed),
            ("reconnected", &self.sessions),
        ];
        for (how, names) in lists.iter().filter(|(_, names)| !names.is_empty()) {
            let more = match names.len().saturating_sub(LISTED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            parts.push(format!("{how} {}{more}", names[..names.len().min(LISTED)].join(", ")));
        }
        if let Some(gpio) = self.gpio {
            parts.push(format!("gpio = \"{gpio}\" is used from the next start on"));
        }
        if parts.is_empty() {
            return f.write_str("no changes");
        }
        f.write_str(&parts.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::fixture;

    const DOOR: &str = "[[sensor]]\nname = \"door\"\nuse = \"input\"\npin = 22\nto.level = \"house.field2\"\n";
    const LOFT: &str = "[channel.aloft]\nid = 77\nevery = \"1m\"\n";

    fn told(before: &str, after: &str) -> String {
        Changes::between(&fixture::settings(before), &fixture::settings(after)).to_string()
    }

    #[test]
    fn each_change_is_listed_by_its_name() {
        assert_eq!(told(DOOR, DOOR), "no changes");
        assert_eq!(told("", DOOR), "added sensor door");
        assert_eq!(told(DOOR, ""), "removed sensor door");
        assert_eq!(told(DOOR, &DOOR.replace("22", "23")), "changed sensor door");
        assert_eq!(told(DOOR, &DOOR.replace("field2", "field3")), "changed sensor door");
        assert_eq!(told(LOFT, &LOFT.replace("1m", "2m")), "changed channel aloft");
        assert_eq!(told("[spool]\ngroup_entries = 3\n", ""), "changed [spool]");
    }

    #[test]
    fn what_only_moves_in_the_map_is_no_change() {
        assert_eq!(told(DOOR, &[LOFT, DOOR].concat()), "added channel aloft");
    }

    #[test]
    fn long_lists_are_cut() {
        let many = Changes { added: (0..20).map(|number| format!("sensor {number}")).collect(), ..Changes::default() };
        assert!(many.to_string().ends_with("sensor 11 and 8 more"), "{many}");
    }
}
