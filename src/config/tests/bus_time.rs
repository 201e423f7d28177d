//! The time of the 1-Wire bus.

use super::*;

/// This many thermometers with these keys, eight to a channel.
fn thermometers(count: usize, keys: &str) -> String {
    let channels = (0..count.div_ceil(8)).map(|at| format!("\n[channel.c{at}]\nid = {}\n{keys}\n", 10 + at));
    let sensors = (0..count).map(|at| {
        let (channel, field) = (at / 8, at % 8 + 1);
        format!(
            "\n[[sensor]]\nname = \"t{at}\"\nuse = \"ds18b20\"\nid = \"28-{at:012x}\"\n{keys}\nto.temperature = \"c{channel}.field{field}\"\n"
        )
    });
    channels.chain(sensors).collect()
}

fn found(count: usize, keys: &str) -> Vec<String> {
    let map = thermometers(count, keys);
    assert_eq!(faults_with(&map), Vec::<String>::new());
    warnings_with(&map).into_iter().filter(|warning| warning.contains("1-Wire")).collect()
}

#[test]
fn more_reads_than_the_1_wire_bus_has_time_for_are_warned_about() {
    let message = |count, percent, together| {
        format!(
            "reads of {count} sensors would take {percent} % of the 1-Wire bus's time, at 830ms a read: some slots may stay empty; where the kernel converts for all at once (therm_bulk_read), {together} %"
        )
    };
    assert_eq!(found(24, "every = \"20s\""), [message(24, 100, 9)]);
    assert_eq!(found(24, "every = \"23s\""), Vec::<String>::new());
    // Without `every` a sensor is read every 10s.
    assert_eq!(found(11, ""), [message(11, 92, 13)]);
    assert_eq!(found(10, ""), Vec::<String>::new());
}

#[test]
fn what_is_proposed_for_a_full_1_wire_bus_is_enough() {
    let map = format!("{SMALL}{}", thermometers(24, "every = \"20s\""));
    let folder = folder();
    let shown = parse(&map, &folder.path().join("map.toml")).expect("a good map").render_warnings();
    assert!(shown.contains("write `every = \"23s\"` or more for each"), "{shown}");
}
