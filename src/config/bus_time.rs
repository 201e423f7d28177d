//! Whether the 1-Wire bus has the time for all reads that a map asks of it.
//!
//! The parts on it are read one after the other, and each read holds the bus for a whole conversion, unless the kernel lets all convert
//! at once (`hal::OneWire`). Whether it does, the map does not know.

use std::collections::BTreeMap;
use std::time::Duration;

use toml::Spanned;

use super::diagnostic::Findings;
use super::drafts::Drafts;
use super::sensors;
use crate::sensor::Bus;

/// One read: a conversion with twelve bits takes up to 750 ms (DS18B20's data sheet, table 2). The rest is for the commands, the
/// memory's nine bytes and the kernel's wait between them.
const READ: Duration = Duration::from_millis(830);

/// One read where the part has converted together with the others: the commands and the memory's nine bytes.
const ASKED: Duration = Duration::from_millis(40);

/// How much of the time reads may take, in percent. The kernel repeats a read with a wrong checksum, and 0 °C is read twice.
const MOST: u128 = 90;

/// Warns at the last of the sensors on the bus where their reads take more time than there is. The map has no faults.
pub(super) fn check(drafts: &Drafts, findings: &mut Findings) {
    let is_one_wire =
        |sensor: &&sensors::Draft| sensor.kind.as_ref().is_some_and(|kind| kind.device().bus() == Bus::OneWire);
    let sensors: Vec<_> = drafts.sensors.iter().filter(is_one_wire).collect();
    let load =
        |sensor: &&sensors::Draft| READ.as_millis() * 10_000 / sensor.interval(&drafts.channels).as_millis().max(1);
    let percent = sensors.iter().map(load).sum::<u128>().div_ceil(100);
    let Some(last) = sensors.last().filter(|_| percent > MOST) else { return };
    let together = together(&sensors, drafts);
    let unless = if together <= MOST {
        format!("; where the kernel converts for all at once (therm_bulk_read), {together} %")
    } else {
        String::new()
    };
    let count = sensors.len();
    let (subject, each) = if count == 1 { ("1 sensor".to_owned(), "it") } else { (format!("{count} sensors"), "each") };
    let all = READ.as_millis() * u128::try_from(count).expect("a count of sensors");
    let enough = (all * 100).div_ceil(MOST * 1000);
    findings.warning(
        &last.every.as_ref().map_or_else(|| last.name.span(), Spanned::span),
        format!(
            "reads of {subject} would take {percent} % of the 1-Wire bus's time, at {}ms a read: some slots may stay empty{unless}",
            READ.as_millis()
        ),
        format!("write `every = \"{enough}s\"` or more for {each}, and make the slots of the channels at least as long"),
    );
}

/// The share of the time, in percent, where sensors that are read at the same times convert together.
fn together(sensors: &[&sensors::Draft], drafts: &Drafts) -> u128 {
    let mut rounds: BTreeMap<u128, u128> = BTreeMap::new();
    for sensor in sensors {
        *rounds.entry(sensor.interval(&drafts.channels).as_millis().max(1)).or_default() += 1;
    }
    let load = |(interval, count): (u128, u128)| {
        (READ + ASKED * u32::try_from(count).unwrap_or(u32::MAX)).as_millis() * 10_000 / interval
    };
    rounds.into_iter().map(load).sum::<u128>().div_ceil(100)
}
