//! BusThreads on the simulated machine, with files that hang and drivers that panic.

use std::io;
use std::path::Path;
use std::sync::mpsc;
use std::time::Instant;

use super::threads::ONE_GO;
use super::*;
use crate::config::{self, Settings, fixture};
use crate::daemon::event::{Event, Slow};
use crate::hal::sim::Sim;
use crate::hal::{Clock, LineId, ManualClock, SystemClock};
use crate::pipeline::Pipeline;
use crate::reading::Fault;
use crate::store::journal::Journal;
use crate::store::record::Records;
use crate::store::storage::Storage as _;
use crate::store::storage::faulty::Faulty;
use crate::time::Mono;

/// What a busy machine may take.
const PATIENCE: Duration = Duration::from_secs(60);

const MAP: &str = r#"
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

/// Sensors that became slow, and those that are quick again.
type Paces = mpsc::Receiver<(String, Option<Slow>)>;

fn start(sim: &Sim) -> (BusThreads, Readings) {
    let (map, pipeline, readings) = pipeline(sim);
    (bus_threads(sim, &pipeline, map.sensors), readings)
}

fn bus_threads(sim: &Sim, pipeline: &PipelineHandle, sensors: Vec<config::Sensor>) -> BusThreads {
    let bus_threads = BusThreads::new(&sim.hal(), pipeline, &HeartbeatMonitor::default());
    let sensors: Vec<_> = [SICK, WELL].into_iter().zip(sensors).collect();
    bus_threads.add(&sensors).expect("threads");
    bus_threads
}

fn pipeline(sim: &Sim) -> (Settings, PipelineHandle, Readings) {
    let (settings, pipeline, readings, _) = pipeline_of(sim, MAP);
    (settings, pipeline, readings)
}

fn pipeline_of(sim: &Sim, map: &str) -> (Settings, PipelineHandle, Readings, Paces) {
    sim.file(Path::new("/simulated/well"), |_| Ok("21".to_owned()));
    let settings = fixture::settings(map);
    let ((sender, readings), (pace, paces)) = (mpsc::channel(), mpsc::channel());
    let pipeline = PipelineHandle::new(
        Pipeline::new(&settings.pipeline(), &[SICK, WELL], Mono::default()),
        Arc::new(move |event| {
            // The test may have seen enough.
            match event {
                Event::Reading(reading) => drop(sender.send((reading.sensor, reading.value.clone()))),
                Event::Slow { name, slow } => drop(pace.send(((*name).to_owned(), *slow))),
                _ => {}
            }
        }),
    );
    (settings, pipeline, readings, paces)
}

/// Does what the slots' task does for bus threads, until it is dropped.
struct SlotsTask(Option<(tokio::sync::oneshot::Sender<()>, thread::JoinHandle<()>)>);

impl SlotsTask {
    fn over(bus_threads: &Arc<BusThreads>) -> Self {
        let bus_threads = Arc::clone(bus_threads);
        let (end, mut ended) = tokio::sync::oneshot::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                loop {
                    tokio::select! {
                        () = bus_threads.look_when_due() => {}
                        _ = &mut ended => return,
                    }
                }
            });
        });
        Self(Some((end, thread)))
    }
}

impl Drop for SlotsTask {
    fn drop(&mut self) {
        let Some((end, thread)) = self.0.take() else { return };
        drop(end);
        thread.join().expect("it ends");
    }
}

/// A file that answers only when it is let.
fn gated_file(sim: &Sim, path: &str) -> (mpsc::Sender<()>, mpsc::Receiver<()>) {
    let ((release, hang), (begin, begins)) = (mpsc::channel(), mpsc::channel());
    let hang = Mutex::new(hang);
    sim.file(Path::new(path), move |_| {
        let _ = begin.send(());
        let _ = hang.lock().unwrap_or_else(PoisonError::into_inner).recv();
        Ok("7".to_owned())
    });
    (release, begins)
}

fn wait_for(readings: &Readings, wanted: impl Fn(SensorId, &Result<f64, Fault>) -> bool) {
    loop {
        let (sensor, value) = readings.recv_timeout(PATIENCE).expect("a reading in time");
        if wanted(sensor, &value) {
            return;
        }
    }
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "never: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_driver_that_panics_becomes_a_fault_and_the_others_go_on() {
    let sim = Sim::new(None).expect("no folder");
    sim.file(Path::new("/simulated/sick"), |_| panic!("index out of bounds"));
    let (bus_threads, readings) = start(&sim);
    wait_for(&readings, |sensor, value| {
        sensor == SICK && *value == Err(Fault::Panicked("index out of bounds".to_owned()))
    });
    wait_for(&readings, |sensor, value| sensor == WELL && *value == Ok(21.0));
    wait_for(&readings, |sensor, value| sensor == SICK && matches!(value, Err(Fault::Panicked(_))));
    bus_threads.stop(PATIENCE);
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
    let (bus_threads, readings) = start(&sim);
    // Long after every time-out: at the latest now the sick one hangs, and the others with it.
    let hours_later = Mono::new(sim.hal().clock.now().mono.since_boot() + Duration::from_secs(3600));
    let hangs = |threads: &Arc<BusThread>| threads.queue().in_the_way().is_some();
    until("the sick sensor's read is seen hanging", || bus_threads.all().iter().any(hangs));
    bus_threads.look(Now { mono: hours_later, ..sim.hal().clock.now() });
    for _ in 0..3 {
        wait_for(&readings, |sensor, value| sensor == WELL && value.is_ok());
    }
    drop(release);
    wait_for(&readings, |sensor, value| sensor == SICK && value.is_err());
    wait_for(&readings, |sensor, value| sensor == SICK && value.is_err());
    bus_threads.stop(PATIENCE);
}

/// Reads both sensors once, on a clock that stands still but for what a read of the sick one takes. Returns how many times the
/// open slots were written.
fn writes_of_one_go(takes: Duration) -> usize {
    let clock = Arc::new(ManualClock::default());
    let sim = Sim::with_clock(None, Arc::clone(&clock) as Arc<dyn Clock>).expect("no folder");
    sim.file(Path::new("/simulated/sick"), move |_| {
        clock.advance(takes);
        Ok("1".to_owned())
    });
    let (map, pipeline, readings) = pipeline(&sim);
    let disk = Faulty::default();
    let journal = Journal::new(Arc::new(disk.clone()), "slots");
    pipeline.restore_from(journal, Arc::new(SystemClock), |_| None).expect("it is not there");
    let sensors: Vec<config::Sensor> =
        map.sensors.into_iter().map(|sensor| config::Sensor { every: Duration::from_secs(3600), ..sensor }).collect();
    let bus_threads = bus_threads(&sim, &pipeline, sensors);
    wait_for(&readings, |sensor, _| sensor == SICK);
    wait_for(&readings, |sensor, _| sensor == WELL);
    bus_threads.stop(PATIENCE);
    let (_, syncs) = disk.cost();
    assert_eq!(syncs, 0);
    // The boot, and the channel once a write.
    Records::new(&disk.read("slots").expect("written")).count() - 1
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
    let (map, pipeline, readings) = pipeline(&sim);
    let [sick, well] = <[config::Sensor; 2]>::try_from(map.sensors).expect("two sensors");
    let bus_threads = bus_threads(&sim, &pipeline, vec![sick.clone()]);
    wait_for(&readings, |sensor, value| sensor == SICK && value.is_ok());
    bus_threads.add(&[(WELL, well)]).expect("threads");
    wait_for(&readings, |sensor, _| sensor == WELL);
    bus_threads.remove(&[SICK]);
    // The one that was being read may still say so.
    let mut last_of_it = 0;
    for _ in 0..40 {
        let (sensor, _) = readings.recv_timeout(PATIENCE).expect("the other goes on");
        last_of_it = if sensor == SICK { 0 } else { last_of_it + 1 };
    }
    assert!(last_of_it > 20, "it is read no more");
    bus_threads.stop(PATIENCE);
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
    let (map, pipeline, readings) = pipeline(&sim);
    let heartbeats = HeartbeatMonitor::default();
    let bus_threads = BusThreads::new(&sim.hal(), &pipeline, &heartbeats);
    bus_threads.add(&[(SICK, map.sensors[0].clone())]).expect("threads");
    begins.recv_timeout(PATIENCE).expect("it is being read");
    bus_threads.remove(&[SICK]);
    drop(release);
    wait_for(&readings, |sensor, value| sensor == SICK && value.is_ok());
    assert!(begins.recv_timeout(Duration::from_millis(300)).is_err(), "it is not read again");
    bus_threads.stop(PATIENCE);
}

#[test]
fn a_sensor_that_hangs_at_the_start_is_a_fault_after_its_time_out_and_its_neighbour_is_read() {
    // Of files, and of parts on a bus.
    let files = MAP.to_owned();
    let part = |id: &str| format!("use = \"ds18b20\"\nid = \"{id}\"");
    let bus = MAP
        .replace("use = \"file\"\npath = \"/simulated/sick\"", &part("28-000000000001"))
        .replace("use = \"file\"\npath = \"/simulated/well\"", &part("28-000000000002"))
        .replace("to.value", "to.temperature");
    let folder = "/sys/bus/w1/devices";
    let places =
        [(files, "/simulated/sick".to_owned(), 21.0), (bus, format!("{folder}/28-000000000001/temperature"), 0.021)];
    for (map, sick, value) in places {
        let sim = Sim::new(None).expect("no folder");
        let (release, begins) = gated_file(&sim, &sick);
        sim.file(Path::new(&format!("{folder}/28-000000000002/temperature")), |_| Ok("21".to_owned()));
        let (map, pipeline, readings, _) = pipeline_of(&sim, &map);
        let bus_threads = Arc::new(bus_threads(&sim, &pipeline, map.sensors));
        begins.recv_timeout(PATIENCE).expect("it is the first to be read");
        let slots_task = SlotsTask::over(&bus_threads);
        let no_answer = Err(Fault::NoAnswer(Duration::from_millis(100)));
        let (mut is_reported, mut is_read) = (false, false);
        while !(is_reported && is_read) {
            let (sensor, reading) = readings.recv_timeout(PATIENCE).expect("a reading in time");
            is_reported |= sensor == SICK && reading == no_answer;
            is_read |= sensor == WELL && reading == Ok(value);
        }
        wait_for(&readings, |sensor, reading| {
            assert!(sensor == WELL || *reading != no_answer, "reported once");
            sensor == WELL && *reading == Ok(value)
        });
        // It comes back, and is read as before.
        drop(release);
        wait_for(&readings, |sensor, reading| sensor == SICK && reading.is_ok());
        drop(slots_task);
        bus_threads.stop(PATIENCE);
    }
}

#[test]
fn a_slow_file_delays_nobody_after_its_first_slow_read_and_is_reported_until_it_is_quick_again() {
    let sim = Sim::new(None).expect("no folder");
    let (release, begins) = gated_file(&sim, "/simulated/sick");
    let (map, pipeline, readings, paces) = pipeline_of(&sim, &MAP.replace("\"100ms\"", "\"1h\""));
    let bus_threads = Arc::new(bus_threads(&sim, &pipeline, map.sensors));
    let slots_task = SlotsTask::over(&bus_threads);
    begins.recv_timeout(PATIENCE).expect("it is being read");
    let began = Instant::now();
    // The neighbour is not kept until the time-out, which is an hour.
    wait_for(&readings, |sensor, reading| sensor == WELL && reading.is_ok());
    thread::sleep(Duration::from_millis(300).saturating_sub(began.elapsed()));
    assert!(paces.try_recv().is_err(), "nobody knows how slow it is");
    release.send(()).expect("it waits");
    let (name, slow) = paces.recv_timeout(PATIENCE).expect("it is reported");
    let slow = slow.expect("slow");
    assert_eq!((name.as_str(), slow.delays_bus), ("sick", false));
    assert!(slow.took >= Duration::from_millis(200), "{slow:?}");
    wait_for(&readings, |sensor, reading| sensor == SICK && *reading == Ok(7.0));

    // From now on nobody waits for it, whoever looks.
    drop(slots_task);
    begins.recv_timeout(PATIENCE).expect("it is read again");
    while readings.try_recv().is_ok() {}
    for _ in 0..20 {
        let (sensor, reading) = readings.recv_timeout(PATIENCE).expect("the neighbour goes on");
        assert_eq!((sensor, reading), (WELL, Ok(21.0)));
    }
    until("there is one thread for each", || bus_threads.all()[0].queue().threads == 2);

    // It answers at once, until it is believed.
    release.send(()).expect("it waits");
    let quick_again = loop {
        begins.recv_timeout(PATIENCE).expect("it is read again and again");
        release.send(()).expect("it waits");
        if let Ok(report) = paces.try_recv() {
            break report;
        }
    };
    assert_eq!(quick_again, ("sick".to_owned(), None), "reported once, and its end");
    drop(release);
    bus_threads.stop(PATIENCE);
    assert_eq!(bus_threads.all()[0].queue().threads, 0);
}

/// What is read of a sensor on a clock that goes on by this much with each read.
fn read_that_takes(map: &str, takes: Duration) -> Vec<(SensorId, Result<f64, Fault>)> {
    let clock = Arc::new(ManualClock::default());
    let sim = Sim::with_clock(None, Arc::clone(&clock) as Arc<dyn Clock>).expect("no folder");
    sim.file(Path::new("/simulated/sick"), move |_| {
        clock.advance(takes);
        Ok("7".to_owned())
    });
    let (map, pipeline, readings, _) = pipeline_of(&sim, map);
    let bus_threads = bus_threads(&sim, &pipeline, map.sensors);
    let seen = std::iter::from_fn(|| readings.recv_timeout(PATIENCE).ok());
    let first = seen.take_while(|(sensor, _)| *sensor == SICK).collect();
    bus_threads.stop(PATIENCE);
    first
}

#[test]
fn an_answer_after_the_time_out_is_a_fault_that_says_what_to_do() {
    let every = MAP.replace("every = \"50ms\"", "every = \"1h\"");
    let timeout = Duration::from_millis(100);
    assert_eq!(read_that_takes(&every, timeout), [(SICK, Ok(7.0))], "in time");
    let took = Duration::from_secs(12);
    assert_eq!(read_that_takes(&every, took), [(SICK, Err(Fault::Late { took, timeout }))]);
}

#[test]
fn pulses_that_are_read_late_have_happened_all_the_same() {
    let map = MAP
        .replace("use = \"file\"\npath = \"/simulated/sick\"", "use = \"counter\"\npin = 27")
        .replace("to.value = \"house.field1\"", "to.sum = \"house.field1\"\nto.total = \"house.field3\"");
    let sim = Sim::new(None).expect("no folder");
    let (map, pipeline, readings, _) = pipeline_of(&sim, &map);
    let heartbeat = HeartbeatMonitor::default().watch("sensor sick");
    let mut counter = Polled::new(SICK, map.sensors[0].clone(), heartbeat);
    let outcome = counter.read(&sim.hal(), &pipeline);
    counter.finish(outcome, true, false, &pipeline);
    let read: Vec<_> = readings.try_iter().collect();
    assert!(matches!(&read[..], [(SICK, Ok(0.0)), (SICK, Err(Fault::Late { .. }))]), "{read:?}");
}

#[test]
fn a_stop_takes_the_last_words_of_sensors_behind_one_that_hangs() {
    let map = MAP
        .replace("use = \"file\"\npath = \"/simulated/sick\"", "use = \"system\"")
        .replace("to.value = \"house.field1\"", "to.load1 = \"house.field1\"")
        .replace("use = \"file\"\npath = \"/simulated/well\"", "use = \"counter\"\npin = 27\nbias = \"up\"")
        .replace("to.value = \"house.field2\"", "to.sum = \"house.field2\"")
        .replace("\"100ms\"", "\"1h\"");
    let sim = Sim::new(None).expect("no folder");
    let (map, pipeline, readings, _) = pipeline_of(&sim, &map);
    let (release, begins) = gated_file(&sim, "/proc/loadavg");
    release.send(()).expect("the first read is to pass");
    let every = Duration::from_secs(3600);
    let [system, counter] = <[config::Sensor; 2]>::try_from(map.sensors).expect("two sensors");
    // The counter is read once, and then waits.
    let bus_threads = bus_threads(&sim, &pipeline, vec![system, config::Sensor { every, ..counter }]);
    wait_for(&readings, |sensor, reading| sensor == WELL && reading.is_ok());
    begins.recv_timeout(PATIENCE).expect("the first read");
    begins.recv_timeout(PATIENCE).expect("the second one, which hangs");
    for high in [false, true] {
        sim.set_pin(LineId::header(27), high);
    }
    bus_threads.stop(Duration::from_millis(50));
    wait_for(&readings, |sensor, reading| sensor == WELL && *reading == Ok(1.0));
    drop(release);
    bus_threads.stop(PATIENCE);
}

/// A simulated part that notes when a measurement begins and when it is collected.
struct Noted {
    part: crate::sensor::bme280::sim::Part,
    address: u8,
    notes: mpsc::Sender<(&'static str, u8)>,
}

impl crate::hal::sim::I2cPart for Noted {
    fn write(&mut self, bytes: &[u8]) -> Result<(), crate::hal::I2cError> {
        match bytes {
            [0xf2, ..] => drop(self.notes.send(("begins", self.address))),
            [0xf7] => drop(self.notes.send(("is collected", self.address))),
            _ => {}
        }
        self.part.write(bytes)
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), crate::hal::I2cError> {
        self.part.read(buffer)
    }
}

#[test]
fn others_of_the_bus_begin_while_a_part_measures() {
    let sim = Sim::default();
    let (notes, order) = mpsc::channel();
    for address in [0x76, 0x77] {
        let part = crate::sensor::bme280::sim::Part::indoors(sim.hal().clock);
        sim.i2c("i2c-1", address, Box::new(Noted { part, address, notes: notes.clone() }));
    }
    let (_, pipeline, readings) = pipeline(&sim);
    let map = MAP.replace("\"50ms\"", "\"5s\"").replace("\"100ms\"", "\"60s\"").replace("to.value", "to.temperature");
    let map = map.replace("use = \"file\"\npath = \"/simulated/sick\"", "use = \"bme280\"\naddress = 0x76");
    let map = map.replace("use = \"file\"\npath = \"/simulated/well\"", "use = \"bme280\"\naddress = 0x77");
    let map = fixture::settings(&map);
    let bus_threads = bus_threads(&sim, &pipeline, map.sensors);
    let order: Vec<_> = (0..4).map(|_| order.recv_timeout(PATIENCE).expect("it is measured")).collect();
    assert_eq!(order, [("begins", 0x76), ("begins", 0x77), ("is collected", 0x76), ("is collected", 0x77)]);
    for sensor in [SICK, WELL] {
        let (id, value) = readings.recv_timeout(PATIENCE).expect("a reading");
        assert_eq!((id, value.is_ok()), (sensor, true), "{value:?}");
    }
    bus_threads.stop(PATIENCE);
}
