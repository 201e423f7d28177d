//! What holds for every part of the table, and what was said by real ones.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::row::{Check, Input, Step, crc8, length};
use super::*;
use crate::hal::sim::{I2cPart, SpiPart};
use crate::hal::{I2cError, ManualClock};
use crate::sensor::{Kind, Measured, Sensor};

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

/// What is read of a measurement, with its checksums.
fn wire(row: &Row, data: &[u8]) -> Vec<u8> {
    let (mut wire, mut rest) = (Vec::new(), data);
    for step in row.read {
        let (piece, others) = rest.split_at(length(&[*step], &row.defaults()));
        match step {
            Step::Read(_, Check::Crc8(block, start)) => {
                for piece in piece.chunks(usize::from(*block)) {
                    wire.extend_from_slice(piece);
                    wire.push(crc8(*start, piece));
                }
            }
            _ => wire.extend_from_slice(piece),
        }
        rest = others;
    }
    wire
}

#[test]
fn every_flipped_bit_is_seen_where_there_is_a_checksum() {
    let mut count = 0;
    for row in ROWS.iter().filter(|row| row.read.iter().any(|step| matches!(step, Step::Read(_, Check::Crc8(..))))) {
        let mut data = vec![0; row.data_length()];
        let values: Vec<f64> = row.quantities.iter().map(|quantity| quantity.typical.1).collect();
        (row.encode)(&values, &row.defaults(), &mut data);
        let wire = wire(row, &data);
        // The part's preparation is not looked at here, and may take long.
        for bit in 0..wire.len() * 8 {
            let mut wire = wire.clone();
            wire[bit / 8] ^= 1 << (bit % 8);
            let sim = Sim::default();
            let mut part = sim::Part::typical(row, row.defaults(), sim.hal().clock);
            part.recording = Some(wire);
            let Wire::I2c(addresses) = row.wire else { panic!("{} is on I2C", row.tag) };
            sim.i2c("i2c-1", addresses[0], Box::new(part));
            let registers = Registers::open(&sim.hal(), &BusName::default(), addresses[0]).expect("every bus is there");
            let mut part = Part::prepared(row, row.defaults(), Port::I2c(registers));
            let measured = measure(&mut part);
            assert!(matches!(measured, Err(Fault::Checksum(_))), "{} bit {bit}: {measured:?}", row.tag);
            count += 1;
            if row.read.iter().any(|step| matches!(step, Step::Wait(10..))) && bit > 8 {
                break;
            }
        }
    }
    assert!(count > 200);
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(parts in proptest::array::uniform4(0.0..=1.0_f64), pick in 0..1000_usize) {
        for row in ROWS {
            let mut options = row.defaults();
            for (option, choice) in options.iter_mut().zip(row.options) {
                match choice.allowed {
                    Allowed::Numbers(all) => *option = all[pick % all.len()],
                    Allowed::Words(all) => *option = f64::from(u8::try_from(pick % all.len()).expect("few")),
                    Allowed::Range(..) => {}
                }
            }
            let mut values = Vec::new();
            for (part, quantity) in parts.iter().zip(row.quantities) {
                let (least, most) = quantity.range(&options);
                values.push(least + (most - least) * part);
            }
            let encoded = |values: &[f64]| {
                let mut data = vec![0; length(row.read, &options)];
                (row.encode)(values, &options, &mut data);
                data
            };
            let data = encoded(&values);
            let decoded = (row.decode)(&Input { data: &data, memory: row.memory, options: &options });
            for (index, quantity) in row.quantities.iter().enumerate().filter(|(_, quantity)| !quantity.is_derived) {
                // At the end of the scale.
                let (least, most) = quantity.range(&options);
                let ends = [least, most].map(|end| {
                    let mut values = values.clone();
                    values[index] = end;
                    encoded(&values)
                });
                if ends.contains(&data) {
                    continue;
                }
                let value = decoded.as_ref().map(|decoded| decoded[index].clone());
                let step = quantity.step * (quantity.factor)(&options);
                prop_assert!(
                    matches!(value, Ok(Ok(value)) if (value - values[index]).abs() <= step),
                    "{} {}: {:?} for {} with {:?}", row.tag, quantity.name, value, values[index], options
                );
            }
        }
    }
}

#[test]
fn every_part_is_a_kind_of_the_map_with_its_quantities() {
    for row in ROWS {
        let kind = Kind::deserialize(row.tag, json!({})).expect("a kind").expect("no key is needed");
        assert_eq!(kind.tag(), row.tag);
        assert!(Kind::TAGS.contains(&row.tag));
        let quantities = kind.device().quantities();
        assert_eq!(quantities.len(), row.quantities.len());
        assert!(quantities.iter().all(|it| !it.unit.is_empty() && it.resolution.is_some()), "{}", row.tag);
        assert_eq!(kind.device().resources().len(), 1);
    }
    assert!(Kind::TAGS.is_sorted());
    let tags: BTreeSet<_> = Kind::TAGS.iter().collect();
    assert_eq!(tags.len(), Kind::TAGS.len(), "a tag stands for two kinds");
}

#[test]
fn every_part_stands_in_the_reference_and_in_the_default_map() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).expect("a file of the repository");
    let (reference, map) = (read("docs/map.md"), read("config/gatepost.toml"));
    for row in ROWS {
        assert!(reference.contains(&format!("### `{}`\n\n{}", row.tag, row.about)), "{} in docs/map.md", row.tag);
        assert!(map.contains(&format!("use = \"{}\"", row.tag)), "{} in config/gatepost.toml", row.tag);
    }
}

#[test]
fn keys_that_are_none_and_values_that_cannot_be_are_told() {
    let of = |tag: &str, keys: Value| Settings::deserialize(row(tag).expect("a part"), keys);
    let unknown = of("sht3x", json!({ "gain": 1 })).expect_err("no such key").to_string();
    assert_eq!(unknown, "unknown field `gain`, expected one of `bus`, `address`");
    let unknown = of("aht20", json!({ "address": 0x38 })).expect_err("it has one address").to_string();
    assert_eq!(unknown, "unknown field `address`, expected `bus`");
    let told = |tag: &str, keys: Value| {
        let faults = of(tag, keys).expect("known keys").faults();
        let [(key, words)] = &faults[..] else { panic!("{faults:?}") };
        format!("{key}: {words}")
    };
    assert_eq!(
        told("sht3x", json!({ "address": 45 })),
        "address: 45 is 0x2d written in hexadecimal\ndid you mean 0x45?"
    );
    assert_eq!(told("mcp3008", json!({ "bus": "0" })), "bus: an SPI bus is called spi and its number\nwrite \"spi0\"");
    assert_eq!(told("ina219", json!({ "shunt": 0 })), "shunt: `shunt` is from 0.00001 to 100");
    assert_eq!(
        told("ads1115", json!({ "full_scale": 5 })),
        "full_scale: `full_scale` is one of 6.144, 4.096, 2.048, 1.024, 0.512, 0.256"
    );
    assert!(told("ads1115", json!({ "input": "4" })).starts_with("input: `input` is one of \"0\", \"1\""));
}

#[test]
fn part_that_measures_by_itself_waits_for_its_first_measurement_and_once_only() {
    let stage = Stage::typical(row("scd30").expect("a part"));
    let mut sensor = stage.open().expect("it is well");
    assert_eq!(sensor.begin(), Ok(Some(Duration::from_millis(2500))));
    assert!(has_value(&sensor.measure()));
    assert_eq!(sensor.begin(), Ok(None));
}
