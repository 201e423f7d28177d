//! Lanes on the simulated machine, with files that hang and drivers that panic.

use std::io;
use std::path::Path;
use std::sync::mpsc;

use super::*;
use crate::config::{self, Settings};
use crate::daemon::event::Event;
use crate::daemon::intake::Intake;
use crate::daemon::slots::Slots;
use crate::hal::sim::Sim;
use crate::hal::{Clock, ManualClock};
use crate::spool::storage::Storage as _;
use crate::spool::storage::faulty::Faulty;
use crate::time::BootId;

/// What a busy machine may take.
const PATIENCE: Duration = Duration::from_secs(60);

const MAP: &str = r#"
version = 1

[device.d]
client_id = "c"
username = "c"
password = "p"

[channel.house]
id = 7
license = "paid"
every = "2s"

[[sensor]]
name = "sick"
use = "file"
path = "/simulated/sick"
every = "50ms"
timeout = "100ms"
to.value = "house.field1"

[[sensor]]
name = "well"
use = "file"
path = "/simulated/well"
every = "50ms"
timeout = "100ms"
to.value = "house.field2"
"#;

const SICK: SensorId = SensorId(0);
const WELL: SensorId = SensorId(1);

type Readings = mpsc::Receiver<(SensorId, Result<f64, Fault>)>;

fn start(sim: &Sim) -> (Lanes, Readings) {
    let (map, gate, readings) = gate(sim);
    (lanes(sim, &gate, map.sensors), readings)
}

fn lanes(sim: &Sim, gate: &Gate, sensors: Vec<config::Sensor>) -> Lanes {
    let lanes = Lanes::new(&sim.hal(), gate, &Liveness::default());
    let sensors: Vec<_> = [SICK, WELL].into_iter().zip(sensors).collect();
    lanes.add(&sensors).expect("threads");
    lanes
}

fn gate(sim: &Sim) -> (Settings, Gate, Readings) {
    sim.file(Path::new("/simulated/well"), |_| Ok("21".to_owned()));
    let folder = tempfile::tempdir().expect("a folder");
    let map = config::parse(MAP, &folder.path().join("map.toml")).unwrap_or_else(|faults| panic!("{faults}"));
    let (tell, readings) = mpsc::channel();
    let gate = Gate::new(
        Intake::new(&map.settings, &[SICK, WELL], Mono::default()),
        Arc::new(move |event| {
            if let Event::Reading(reading) = event {
                // The test may have seen enough.
                let _ = tell.send((reading.sensor, reading.value.clone()));
            }
        }),
    );
    (map.settings, gate, readings)
}

fn wait_for(readings: &Readings, wanted: impl Fn(SensorId, &Result<f64, Fault>) -> bool) {
    loop {
        let (sensor, value) = readings.recv_timeout(PATIENCE).expect("a reading in time");
        if wanted(sensor, &value) {
            return;
        }
    }
}

#[test]
fn a_driver_that_panics_becomes_a_fault_and_the_others_go_on() {
    let sim = Sim::new(None).expect("no folder");
    sim.file(Path::new("/simulated/sick"), |_| panic!("index out of bounds"));
    let (lanes, readings) = start(&sim);
    wait_for(&readings, |sensor, value| {
        sensor == SICK && *value == Err(Fault::Panicked("index out of bounds".to_owned()))
    });
    wait_for(&readings, |sensor, value| sensor == WELL && *value == Ok(21.0));
    wait_for(&readings, |sensor, value| sensor == SICK && matches!(value, Err(Fault::Panicked(_))));
    lanes.stop(PATIENCE);
}

#[test]
fn a_read_that_hangs_holds_up_the_others_only_until_the_rescue_and_comes_back_when_it_ends() {
    let sim = Sim::new(None).expect("no folder");
    let (release, hang) = mpsc::channel::<()>();
    let hang = Mutex::new(hang);
    sim.file(Path::new("/simulated/sick"), move |_| {
        // Hangs until the test lets go, and every time after that answers at once.
        let _ = hang.lock().unwrap_or_else(PoisonError::into_inner).recv();
        Err(io::Error::other("let go"))
    });
    let (lanes, readings) = start(&sim);
    // Long after every time-out: at the latest now the sick one hangs, and the others with it.
    let hours_later = Mono::new(sim.hal().clock.now().mono.since_boot() + Duration::from_secs(3600));
    let until = std::time::Instant::now() + PATIENCE;
    let hangs = |lane: &Arc<Shared>| lane.queue().in_time_until.is_some() && lane.queue().sensors.len() == 1;
    while !lanes.running().lanes.values().any(hangs) {
        assert!(std::time::Instant::now() < until, "the sick sensor's read was never seen hanging");
        thread::sleep(Duration::from_millis(1));
    }
    lanes.rescue(hours_later);
    for _ in 0..3 {
        wait_for(&readings, |sensor, value| sensor == WELL && value.is_ok());
    }
    drop(release);
    wait_for(&readings, |sensor, value| sensor == SICK && value.is_err());
    wait_for(&readings, |sensor, value| sensor == SICK && value.is_err());
    lanes.stop(PATIENCE);
}

/// Reads both sensors once, on a clock that stands still but for what a read of the sick one takes. Returns how many times the
/// open slots were written, by the bytes.
fn writes_of_one_go(takes: Duration) -> u64 {
    let clock = Arc::new(ManualClock::default());
    let sim = Sim::with_clock(None, Arc::clone(&clock) as Arc<dyn Clock>).expect("no folder");
    sim.file(Path::new("/simulated/sick"), move |_| {
        clock.advance(takes);
        Ok("1".to_owned())
    });
    let (map, gate, readings) = gate(&sim);
    let disk = Faulty::default();
    gate.keep_in(Slots::new(Arc::new(disk.clone()), BootId(7)));
    let sensors: Vec<config::Sensor> =
        map.sensors.into_iter().map(|sensor| config::Sensor { every: Duration::from_secs(3600), ..sensor }).collect();
    let lanes = lanes(&sim, &gate, sensors);
    wait_for(&readings, |sensor, _| sensor == SICK);
    wait_for(&readings, |sensor, _| sensor == WELL);
    lanes.stop(PATIENCE);
    let (written, syncs) = disk.cost();
    let longest = disk.read("slots").expect("written").len() as u64;
    assert_eq!(syncs, 0);
    // The first of two is shorter, since it lacks a value.
    written.div_ceil(longest)
}

#[test]
fn sensors_that_are_read_in_one_go_cost_one_write_and_slow_ones_one_each() {
    assert_eq!(writes_of_one_go(Duration::ZERO), 1);
    assert_eq!(writes_of_one_go(ONE_GO), 2);
}

#[test]
fn sensors_come_and_go_while_the_others_are_read() {
    let sim = Sim::new(None).expect("no folder");
    sim.file(Path::new("/simulated/sick"), |_| Ok("7".to_owned()));
    let (map, gate, readings) = gate(&sim);
    let [sick, well] = <[config::Sensor; 2]>::try_from(map.sensors).expect("two sensors");
    let lanes = lanes(&sim, &gate, vec![sick.clone()]);
    wait_for(&readings, |sensor, value| sensor == SICK && value.is_ok());
    lanes.add(&[(WELL, well)]).expect("threads");
    wait_for(&readings, |sensor, _| sensor == WELL);
    lanes.remove(&[SICK]);
    // The one that was being read may still say so.
    let mut last_of_it = 0;
    for _ in 0..40 {
        let (sensor, _) = readings.recv_timeout(PATIENCE).expect("the other goes on");
        last_of_it = if sensor == SICK { 0 } else { last_of_it + 1 };
    }
    assert!(last_of_it > 20, "it is read no more");
    lanes.stop(PATIENCE);
}

#[test]
fn a_sensor_that_hangs_and_is_gone_does_not_come_back_when_its_read_ends() {
    let sim = Sim::new(None).expect("no folder");
    let (release, hang) = mpsc::channel::<()>();
    let hang = Mutex::new(hang);
    let (began, begins) = mpsc::channel();
    sim.file(Path::new("/simulated/sick"), move |_| {
        let _ = began.send(());
        let _ = hang.lock().unwrap_or_else(PoisonError::into_inner).recv();
        Ok("7".to_owned())
    });
    let (map, gate, readings) = gate(&sim);
    let liveness = Liveness::default();
    let lanes = Lanes::new(&sim.hal(), &gate, &liveness);
    lanes.add(&[(SICK, map.sensors[0].clone())]).expect("threads");
    begins.recv_timeout(PATIENCE).expect("it is being read");
    lanes.remove(&[SICK]);
    drop(release);
    wait_for(&readings, |sensor, value| sensor == SICK && value.is_ok());
    assert!(begins.recv_timeout(Duration::from_millis(300)).is_err(), "it is not read again");
    lanes.stop(PATIENCE);
}
