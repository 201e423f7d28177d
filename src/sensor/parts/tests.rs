//! What holds for every part of the table, and what was said by real ones.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::row::{Check, Step};
use super::*;
use crate::hal::sim::{I2cPart, SpiPart};
use crate::hal::{I2cError, ManualClock};
use crate::sensor::{Measured, Sensor};

mod arithmetic;
mod map;
mod transactions;
mod vectors;

/// What is done to a part, or to its bus.
#[derive(Clone, Debug, Default, PartialEq)]
enum Mood {
    #[default]
    Well,
    /// Every byte that is read is this one.
    Stuck(u8),
    /// Bytes that no part would say, the same each time.
    Garbage(u64),
    /// Nobody acknowledges from the transfer with this number on.
    Unplugged(usize),
    /// Its identity is another one.
    Another,
}

/// A part, what is done to it, and what it was told.
struct Watched {
    part: sim::Part,
    mood: Arc<Mutex<Mood>>,
    log: Arc<Mutex<Vec<String>>>,
    /// The register of the identity was named last.
    is_asked_who: bool,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl Watched {
    fn spoil(&self, bytes: &mut [u8]) {
        match &*self.mood.lock().expect("no panic") {
            Mood::Stuck(byte) => bytes.fill(*byte),
            Mood::Garbage(seed) => {
                let mut random = fastrand::Rng::with_seed(*seed + bytes.len() as u64);
                for byte in bytes {
                    *byte = random.u8(1..255);
                }
            }
            Mood::Another if self.is_asked_who => {
                for byte in bytes {
                    *byte ^= 0x35;
                }
            }
            _ => {}
        }
    }

    fn note(&self, what: String) -> Result<(), I2cError> {
        let mut log = self.log.lock().expect("no panic");
        log.push(what);
        match &*self.mood.lock().expect("no panic") {
            Mood::Unplugged(from) if log.len() > *from => Err(I2cError::NoDevice),
            _ => Ok(()),
        }
    }
}

impl I2cPart for Watched {
    fn write(&mut self, bytes: &[u8]) -> Result<(), I2cError> {
        self.note(format!("w {}", hex(bytes)))?;
        let identity = self.part.row().identity.as_ref();
        self.is_asked_who = identity.is_some_and(|(identity, _)| bytes == [identity.register]);
        self.part.write(bytes)
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), I2cError> {
        self.note(format!("r {}", buffer.len()))?;
        self.part.read(buffer)?;
        self.spoil(buffer);
        Ok(())
    }
}

impl SpiPart for Watched {
    fn exchange(&mut self, bytes: &mut [u8]) {
        let _ = self.note(format!("x {}", hex(bytes)));
        self.part.exchange(bytes);
        self.spoil(bytes);
    }
}

/// A part on a bus.
struct Stage {
    sim: Sim,
    settings: Settings,
    mood: Arc<Mutex<Mood>>,
    log: Arc<Mutex<Vec<String>>>,
}

impl Stage {
    fn new(row: &'static Row, keys: &Value, recording: Option<Vec<u8>>) -> Self {
        let sim = Sim::default();
        let settings = Settings::deserialize(row, keys).expect("good keys");
        assert_eq!(settings.faults(), [], "{}", row.tag);
        let mut part = sim::Part::typical(row, settings.options, sim.hal().clock);
        part.recording = recording;
        let (mood, log) = (Arc::default(), Arc::default());
        let watched = Watched { part, mood: Arc::clone(&mood), log: Arc::clone(&log), is_asked_who: false };
        match &settings.place {
            Place::I2c(bus, address) => bus.simulate(&sim, *address, watched),
            Place::Spi { .. } => sim.spi(0, 0, Box::new(watched)),
        }
        Self { sim, settings, mood, log }
    }

    fn typical(row: &'static Row) -> Self {
        Self::new(row, &json!({}), None)
    }

    fn open(&self) -> Result<Box<dyn Sensor>, Fault> {
        open(&self.settings, &self.sim)
    }

    fn become_(&self, mood: Mood) {
        *self.mood.lock().expect("no panic") = mood;
    }

    fn told(&self) -> Vec<String> {
        std::mem::take(&mut *self.log.lock().expect("no panic"))
    }
}

fn open(settings: &Settings, sim: &Sim) -> Result<Box<dyn Sensor>, Fault> {
    match settings.open(&sim.hal(), ReadingSender::new(|_, _, _| {}))? {
        Source::Polled(sensor) => Ok(sensor),
        Source::Stream(..) => panic!("a part is polled"),
    }
}

/// A measurement without the wait: the simulated part has measured as soon as it has said once that it has not.
fn measure(sensor: &mut dyn Sensor) -> Result<Measured, Fault> {
    sensor.begin()?;
    sensor.measure()
}

fn has_value(measured: &Result<Measured, Fault>) -> bool {
    measured.iter().flatten().any(Result::is_ok)
}

fn is_i2c(row: &Row) -> bool {
    matches!(row.wire, Wire::I2c(_))
}

#[test]
fn simulated_part_measures_what_is_typical_and_changes() {
    for row in ROWS {
        let clock = Arc::new(ManualClock::default());
        let sim = Sim::with_clock(None, clock.clone()).expect("no folder is needed");
        let settings = Settings::deserialize(row, json!({})).expect("no key is needed");
        settings.simulate(&sim);
        let mut sensor = open(&settings, &sim).unwrap_or_else(|fault| panic!("{}: {fault}", row.tag));
        let mut seen = BTreeSet::new();
        for _ in 0..4 {
            let measured = measure(sensor.as_mut()).unwrap_or_else(|fault| panic!("{}: {fault}", row.tag));
            assert_eq!(measured.len(), row.quantities.len(), "{}", row.tag);
            for (value, quantity) in measured.iter().zip(row.quantities) {
                let value = value.as_ref().unwrap_or_else(|fault| panic!("{}: {fault}", row.tag));
                let factor = (quantity.factor)(&settings.options);
                let (least, most) = (quantity.typical.0 - quantity.step, quantity.typical.1 + quantity.step);
                assert!((least * factor..=most * factor).contains(value), "{} {}: {value}", row.tag, quantity.name);
            }
            seen.insert(format!("{measured:?}"));
            clock.advance(Duration::from_secs(37));
        }
        assert!(seen.len() > 1, "{} stands still", row.tag);
    }
}

#[test]
fn nobody_at_its_place_is_absent() {
    for row in ROWS {
        let settings = Settings::deserialize(row, json!({})).expect("no key is needed");
        let measured = open(&settings, &Sim::default()).and_then(|mut sensor| measure(sensor.as_mut()));
        let zeros_count = !is_i2c(row) && matches!(row.uniform, row::Uniform::ZerosCount);
        assert!(
            matches!(measured, Err(Fault::Absent(_))) || zeros_count && measured == Ok(vec![Ok(0.0)]),
            "{}: {measured:?}",
            row.tag
        );
    }
}

#[test]
fn part_that_is_unplugged_at_any_step_gives_a_fault_and_measures_again_later() {
    for row in ROWS.iter().filter(|row| is_i2c(row)) {
        let stage = Stage::typical(row);
        let well = stage.open().and_then(|mut sensor| measure(sensor.as_mut()));
        assert!(has_value(&well), "{}: {well:?}", row.tag);
        let steps = stage.told().len();
        // A part that is opened with a long wait is looked at from behind it.
        let first = if row.open.iter().any(|step| matches!(step, Step::Wait(100..))) { steps - 4 } else { 0 };
        for step in first..steps {
            let stage = Stage::typical(row);
            stage.become_(Mood::Unplugged(step));
            let measured = stage.open().and_then(|mut sensor| measure(sensor.as_mut()));
            assert!(matches!(measured, Err(Fault::Absent(_))), "{} at step {step}: {measured:?}", row.tag);
            stage.become_(Mood::Well);
            let again = stage.open().and_then(|mut sensor| measure(sensor.as_mut()));
            assert!(has_value(&again), "{}: {again:?}", row.tag);
        }
    }
}

#[test]
fn stuck_data_line_is_no_value() {
    for row in ROWS {
        for byte in [0, 0xff] {
            let stage = Stage::typical(row);
            let mut sensor = stage.open().expect("it is well");
            stage.become_(Mood::Stuck(byte));
            let measured = measure(sensor.as_mut());
            let is_zero = byte == 0 && matches!(row.uniform, row::Uniform::ZerosCount) && measured == Ok(vec![Ok(0.0)]);
            assert!(is_zero || !has_value(&measured), "{} stuck at {byte:02x}: {measured:?}", row.tag);
        }
    }
}

#[test]
fn garbage_is_a_fault_or_within_what_the_part_can_measure() {
    for row in ROWS {
        let has_sums = row.read.iter().any(|step| matches!(step, Step::Read(_, Check::Crc8(..))));
        let stage = Stage::typical(row);
        let mut sensor = stage.open().expect("it is well");
        for seed in 0..3 {
            stage.become_(Mood::Garbage(seed));
            let measured = measure(sensor.as_mut());
            assert!(!(has_sums && has_value(&measured)), "{}: {measured:?}", row.tag);
            for (value, quantity) in measured.iter().flatten().zip(row.quantities) {
                let (least, most) = quantity.range(&stage.settings.options);
                assert!(
                    value.as_ref().is_ok_and(|value| (least..=most).contains(value)) || value.is_err(),
                    "{}",
                    row.tag
                );
            }
        }
    }
}

#[test]
fn another_part_at_the_address_is_refused() {
    let mut count = 0;
    for row in ROWS.iter().filter(|row| row.identity.is_some()) {
        let stage = Stage::typical(row);
        let mut sensor = stage.open().expect("it is well");
        assert!(has_value(&measure(sensor.as_mut())), "{}", row.tag);
        stage.become_(Mood::Another);
        let fault = stage.open().err();
        assert!(matches!(&fault, Some(Fault::Unsupported(why)) if why.contains(row.name)), "{}: {fault:?}", row.tag);
        count += 1;
    }
    assert!(count > 3);
}

#[test]
fn another_part_that_we_know_is_named() {
    let sim = Sim::default();
    let settings = Settings::deserialize(row("ina226").expect("a part"), json!({})).expect("no key is needed");
    Settings::deserialize(row("hdc1080").expect("a part"), json!({})).expect("no key is needed").simulate(&sim);
    let fault = open(&settings, &sim).err().map(|fault| fault.to_string()).unwrap_or_default();
    assert!(fault.ends_with("0x40 on i2c-1 is a HDC1080 (id 0x1050): write use = \"hdc1080\""), "{fault}");
}

#[test]
fn part_that_measures_by_itself_waits_for_its_first_measurement_and_once_only() {
    let stage = Stage::typical(row("scd30").expect("a part"));
    let mut sensor = stage.open().expect("it is well");
    assert_eq!(sensor.begin(), Ok(Some(Duration::from_millis(2500))));
    assert!(has_value(&sensor.measure()));
    assert_eq!(sensor.begin(), Ok(None));
}
