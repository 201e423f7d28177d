//! One reading of each polled sensor, through the driver that the daemon uses.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::Conclusion;
use crate::config::{Sensor, Settings};
use crate::hal::{Hal, HalError};
use crate::reading::Fault;
use crate::sensor::{Bus, Measured, ReadingSender, Resource, Source};

const STEP: &str = "sensors";

/// A line for each sensor. What a running daemon holds is left alone, and what a laptop `lacks` is not looked for.
pub fn examine(
    settings: &Settings,
    hal: &Hal,
    daemon_runs: bool,
    lacks: impl Fn(&Resource) -> bool,
) -> Vec<Conclusion> {
    settings.sensors.iter().map(|sensor| line(sensor, hal, daemon_runs, &lacks)).collect()
}

fn line(sensor: &Sensor, hal: &Hal, daemon_runs: bool, lacks: impl Fn(&Resource) -> bool) -> Conclusion {
    let name = &sensor.name;
    if sensor.kind.device().bus() == Bus::Computed {
        return Conclusion::skipped(STEP, format!("{name} is reckoned from other sensors, by the daemon alone"));
    }
    let resources = sensor.kind.device().resources();
    if resources.iter().any(lacks) {
        return Conclusion::skipped(
            STEP,
            format!("{name}: its bus, pin or port is missing, and this machine is not a Raspberry Pi"),
        );
    }
    let is_held = |resource: &Resource| !matches!(resource, Resource::OneWire(_));
    if daemon_runs && resources.iter().any(is_held) {
        return Conclusion::skipped(
            STEP,
            format!("{name}: in use by the running daemon; `gatepost status` shows its readings"),
        );
    }
    match read(sensor, hal) {
        Ok(None) => Conclusion::skipped(STEP, format!("{name} sends by itself; only the daemon listens to it")),
        Ok(Some(values)) => answered(sensor, &values),
        Err(fault) => Conclusion::wrong(STEP, format!("{name}: {fault}"), advice(&fault, &resources)),
    }
}

fn answered(sensor: &Sensor, values: &Measured) -> Conclusion {
    let quantities = sensor.kind.device().quantities();
    let routed: Vec<usize> = sensor.routes.iter().map(|route| route.quantity).collect();
    let mut told = Vec::new();
    let mut missing = None;
    for (index, (quantity, value)) in quantities.iter().zip(values).enumerate() {
        match value {
            Ok(value) => {
                let value = format!("{} {:.2} {}", quantity.name, value, quantity.unit);
                told.push(value.trim_end().to_owned());
            }
            Err(fault) if routed.contains(&index) => {
                missing.get_or_insert_with(|| format!("{}: {fault}", quantity.name));
            }
            Err(_) => {}
        }
    }
    let found = format!("{}: {}", sensor.name, told.join(", "));
    match missing {
        None => Conclusion::ok(STEP, found),
        Some(why) if told.is_empty() => Conclusion::wrong(STEP, format!("{}: {why}", sensor.name), ""),
        Some(why) => Conclusion::warning(STEP, found, why),
    }
}

/// One reading, or none of a stream. A read that hangs keeps its thread, as in the daemon.
fn read(sensor: &Sensor, hal: &Hal) -> Result<Option<Measured>, Fault> {
    if sensor.kind.device().bus() == Bus::Broker {
        return Ok(None);
    }
    let (answer, answered) = mpsc::sync_channel(1);
    let (kind, hal) = (sensor.kind.clone(), hal.clone());
    let reading = move || {
        let sender = ReadingSender::new(|_, _, _| {});
        let measured = match kind.device().open(&hal, sender) {
            Ok(Source::Polled(mut sensor)) => sensor.measure_at_once().map(Some),
            Ok(Source::Stream(..)) => Ok(None),
            Err(fault) => Err(fault),
        };
        // Nobody listens any more where it took too long.
        let _ = answer.send(measured);
    };
    let started = thread::Builder::new().name("doctor-sensor".to_owned()).spawn(reading);
    started.map_err(|error| Fault::Bus(format!("no thread to read it on: {error}")))?;
    let within = sensor.timeout + Duration::from_secs(1);
    match answered.recv_timeout(within) {
        Ok(measured) => measured,
        Err(mpsc::RecvTimeoutError::Timeout) => Err(Fault::NoAnswer(sensor.timeout)),
        Err(mpsc::RecvTimeoutError::Disconnected) => Err(Fault::Panicked("see the lines above".to_owned())),
    }
}

fn advice(fault: &Fault, resources: &[Resource]) -> String {
    let busy = HalError::Busy { what: String::new() }.to_string();
    match (fault, resources.first()) {
        (Fault::Absent(_), Some(Resource::I2c { bus, .. })) => {
            format!("check wiring, address and power; `gatepost scan` shows what answers on {bus}")
        }
        (Fault::Absent(_), Some(Resource::Spi { .. })) => {
            "check wiring, chip select and power; MISO and MOSI are often swapped".to_owned()
        }
        (Fault::Absent(_), Some(Resource::OneWire(_))) => {
            "check the wiring and the resistor between data and 3.3 V; `gatepost scan` shows what answers on the bus"
                .to_owned()
        }
        (Fault::Absent(_), _) => "check that it exists, and its name in the map".to_owned(),
        (Fault::Checksum(_), _) => "check the cable's length and the pull-up resistors".to_owned(),
        (Fault::Bus(words), _) if words.contains(busy.trim()) => {
            "stop the other program, or use another pin; `gpioinfo` (package gpiod) shows which program uses the pin"
                .to_owned()
        }
        (Fault::Unsupported(_), _) => {
            "on a Raspberry Pi change the map; on another machine try the map with `gatepost run --simulate`".to_owned()
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::fixture;
    use crate::doctor::Verdict;
    use crate::hal::sim::Sim;

    const SENSORS: &str = "[[sensor]]\nname = \"air\"\nuse = \"bme280\"\nto.temperature = \"house.field1\"\n\
         [[sensor]]\nname = \"rain\"\nuse = \"file\"\npath = \"/run/rain/level\"\nto.value = \"house.field2\"\n\
         [[sensor]]\nname = \"gps\"\nuse = \"nmea\"\nto.latitude = \"house.lat\"\n";

    #[test]
    fn each_polled_sensor_is_read_once_and_tells_its_values_or_its_fault() {
        let (settings, sim) = (fixture::settings(SENSORS), Sim::default());
        settings.sensors.iter().for_each(|sensor| sensor.kind.device().simulate(&sim));
        let lines = examine(&settings, &sim.hal(), false, |_| false);
        assert_eq!(lines[0].verdict, Verdict::Ok);
        assert!(lines[0].found.starts_with("air: temperature ") && lines[0].found.contains("hPa"), "{}", lines[0]);
        assert_eq!(lines[2].verdict, Verdict::Skipped, "a stream is not asked");
        sim.unplug_i2c("i2c-1", 0x76);
        sim.break_file(Path::new("/run/rain/level"), std::io::ErrorKind::NotFound);
        let lines = examine(&settings, &sim.hal(), false, |_| false);
        assert_eq!((lines[0].verdict, lines[1].verdict), (Verdict::Wrong, Verdict::Wrong));
        assert!(
            lines[0].to_string().contains("no answer")
                && lines[0].advice.contains("`gatepost scan` shows what answers on i2c-1"),
            "{}",
            lines[0]
        );
        assert!(lines[1].found.contains("/run/rain/level does not exist"), "{}", lines[1]);
    }

    #[test]
    fn what_a_running_daemon_holds_is_left_alone() {
        let (settings, sim) = (fixture::settings(SENSORS), Sim::default());
        let lines = examine(&settings, &sim.hal(), true, |_| false);
        assert!(lines[0].found.contains("in use by the running daemon"), "{}", lines[0]);
        assert_eq!(lines[1].verdict, Verdict::Wrong, "a file is everybody's, and not there");
    }

    #[test]
    fn what_a_laptop_has_not_got_is_no_fault() {
        let (settings, sim) = (fixture::settings(SENSORS), Sim::default());
        let lines = examine(&settings, &sim.hal(), false, |resource| matches!(resource, Resource::I2c { .. }));
        assert!(lines[0].verdict == Verdict::Skipped && lines[0].found.contains("not a Raspberry Pi"), "{}", lines[0]);
        assert_eq!(lines[1].verdict, Verdict::Wrong, "a file that is missing is missing everywhere");
    }
}
