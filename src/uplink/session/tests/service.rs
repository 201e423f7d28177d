//! A simulated ThingSpeak channel (docs/thingspeak.md, rates and quota): refuses what comes too early and what has the time of
//! a row that it has, without a word.

use std::collections::BTreeSet;

use crate::entry::Entry;

/// Milliseconds of the virtual clock.
pub(super) type Millis = u64;

/// The free license's interval.
const INTERVAL: Millis = 15_000;

/// One channel of the service.
#[derive(Debug, Default)]
pub(super) struct Service {
    /// The rows, in the order of their arrival: the second and the number of each.
    pub(super) rows: Vec<(i64, u64)>,
    /// Updates that were refused for their rate.
    pub(super) too_early: u64,
    /// Updates that were refused since their second was taken.
    pub(super) doubles: u64,
    seconds: BTreeSet<i64>,
    accepted_at: Option<Millis>,
}

impl Service {
    /// An update arrives. Returns its row's entry id.
    pub(super) fn update(&mut self, at: Millis, entry: &Entry) -> Option<u64> {
        if self.accepted_at.is_some_and(|last| at - last < INTERVAL) {
            self.too_early += 1;
            return None;
        }
        let second = entry.created_at.seconds();
        if !self.seconds.insert(second) {
            self.doubles += 1;
            return None;
        }
        self.accepted_at = Some(at);
        self.rows.push((second, number(entry)));
        Some(self.rows.len() as u64)
    }
}

/// The number in an entry's first field.
pub(super) fn number(entry: &Entry) -> u64 {
    let value = entry.cells[0].expect("field1").value;
    format!("{value}").parse().expect("a whole number")
}
