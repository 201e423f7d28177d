use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::hal::sim::{I2cPart, Sim, SpiPart};
use crate::hal::{I2cError, ManualClock};
use crate::reading::Fault;
use crate::sensor::{Kind, Measured, ReadingSender, Sensor, Source};

type Log = Arc<Mutex<Vec<String>>>;

/// Says the same whatever it is asked, and notes what that was.
struct Says(Vec<u8>, Log);

impl I2cPart for Says {
    fn write(&mut self, bytes: &[u8]) -> Result<(), I2cError> {
        self.1.lock().expect("no panic").push(format!("w {bytes:02x?}"));
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), I2cError> {
        self.1.lock().expect("no panic").push(format!("r {}", buffer.len()));
        for (byte, said) in buffer.iter_mut().zip(&self.0) {
            *byte = *said;
        }
        Ok(())
    }
}

impl SpiPart for Says {
    fn exchange(&mut self, bytes: &mut [u8]) {
        self.1.lock().expect("no panic").push(format!("x {bytes:02x?}"));
        let from = bytes.len() - self.0.len().min(bytes.len());
        for (byte, said) in bytes[from..].iter_mut().zip(&self.0) {
            *byte = *said;
        }
    }
}

fn open(tag: &str, keys: &Value, sim: &Sim) -> Result<Box<dyn Sensor>, Fault> {
    let kind = Kind::deserialize(tag, keys).expect("a kind").expect("good keys");
    assert_eq!(kind.device().faults(), [], "{keys}");
    match kind.device().open(&sim.hal(), ReadingSender::new(|_, _, _| {}))? {
        Source::Polled(sensor) => Ok(sensor),
        Source::Stream(..) => panic!("a register is polled"),
    }
}

/// What a part on I2C that says these bytes measures, and what it was told.
fn i2c(keys: &Value, said: &[u8]) -> (Result<Measured, Fault>, Vec<String>) {
    let (sim, log) = (Sim::default(), Log::default());
    sim.i2c("i2c-1", 0x48, Box::new(Says(said.to_vec(), Arc::clone(&log))));
    let mut all = json!({ "address": 0x48 });
    for (key, value) in keys.as_object().expect("keys") {
        all[key] = value.clone();
    }
    let measured = open("i2c_register", &all, &sim).and_then(|mut sensor| sensor.measure_at_once());
    let told = log.lock().expect("no panic").clone();
    (measured, told)
}

/// The parts of these numbers have kinds of their own, by which they can be compared: TMP102 and LM75 (groeck/module-tests), MCP9808.
#[test]
fn number_of_a_register_becomes_a_value() {
    for (keys, said, value) in [
        (json!({ "register": 0, "signed": true, "shift": 4, "scale": 0.0625 }), &[0xe7_u8, 0x00][..], -25.0),
        (json!({ "register": 0, "signed": true, "shift": 7, "scale": 0.5 }), &[0x1c, 0x7f], 28.0),
        (json!({ "register": 5, "signed": true, "mask": 0x1fff, "scale": 0.0625 }), &[0xff, 0x60], -10.0),
        (json!({ "register": 0, "order": "little" }), &[0x34, 0x12], f64::from(0x1234)),
        (json!({ "bytes": 1, "offset": -40 }), &[0x41], 25.0),
        (json!({ "bytes": 3, "register": 1 }), &[0x01, 0x02, 0x03], f64::from(0x01_0203)),
        (json!({ "bytes": 4, "register": 1, "signed": true }), &[0xff, 0xff, 0xff, 0xfe], -2.0),
        (json!({ "bytes": 4, "register": 1 }), &[0xff, 0xff, 0xff, 0xfe], 4_294_967_294.0),
        (json!({ "bytes": 1, "register": 1, "mask": 0x30, "shift": 4 }), &[0xef], 2.0),
        (json!({ "register": 0 }), &[0, 0], 0.0),
    ] {
        assert_eq!(i2c(&keys, said).0, Ok(vec![Ok(value)]), "{keys}");
    }
    let ones = i2c(&json!({ "register": 0 }), &[0xff, 0xff]).0;
    assert!(matches!(ones, Err(Fault::Absent(_))), "{ones:?}");
}

#[test]
fn part_is_asked_who_it_is_told_to_start_and_read() {
    let keys =
        json!({ "register": 0xf7, "write": [0xf4, 0x25], "delay": "1ms", "id": { "register": 0xd0, "value": 0x60 } });
    let (measured, told) = i2c(&keys, &[0x60, 0x01]);
    assert_eq!(measured, Ok(vec![Ok(f64::from(0x6001))]));
    assert_eq!(told, ["w [d0]", "r 1", "w [f4, 25]", "w [f7]", "r 2"]);
    let other = i2c(&keys, &[0x58, 0x01]).0.expect_err("another part").to_string();
    assert!(other.ends_with("the part at 0x48 on i2c-1 is another one: register 0xd0 is 0x58, not 0x60"), "{other}");
    let sim = Sim::default();
    let absent = open("i2c_register", &json!({ "address": 0x48 }), &sim).and_then(|mut sensor| sensor.measure());
    assert!(matches!(absent, Err(Fault::Absent(_))), "{absent:?}");
}

#[test]
fn part_on_spi_is_sent_its_register_and_says_its_number_behind_it() {
    let (sim, log) = (Sim::default(), Log::default());
    sim.spi(0, 1, Box::new(Says(vec![0x80, 0x01], Arc::clone(&log))));
    let keys = json!({ "chip_select": 1, "send": [0x81], "write": [0x20], "signed": true });
    let measured = open("spi_register", &keys, &sim).and_then(|mut sensor| sensor.measure_at_once());
    assert_eq!(measured, Ok(vec![Ok(-32_767.0)]));
    assert_eq!(*log.lock().expect("no panic"), ["x [20]", "x [81, 00, 00]"]);
}

#[test]
fn simulated_parts_measure_and_change() {
    for (tag, keys) in [
        (
            "i2c_register",
            json!({ "address": 0x48, "register": 2, "id": { "register": 1, "value": 7 }, "order": "little" }),
        ),
        ("i2c_register", json!({ "address": 0x48, "write": [1], "signed": true })),
        ("spi_register", json!({ "send": [0x80], "bytes": 3 })),
    ] {
        let clock = Arc::new(ManualClock::default());
        let sim = Sim::with_clock(None, clock.clone()).expect("no folder is needed");
        Kind::deserialize(tag, &keys).expect("a kind").expect("good keys").device().simulate(&sim);
        let mut sensor = open(tag, &keys, &sim).expect("it is there");
        let first = sensor.measure_at_once();
        clock.advance(std::time::Duration::from_secs(120));
        let second = sensor.measure_at_once();
        assert!(first.is_ok() && second.is_ok() && first != second, "{keys}: {first:?}, {second:?}");
    }
}

#[test]
fn keys_that_cannot_be_are_told() {
    let told = |tag: &str, keys: Value| {
        let faults = Kind::deserialize(tag, keys).expect("a kind").expect("known keys").device().faults();
        faults.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
    };
    assert_eq!(told("i2c_register", json!({ "address": 0x80 })), ["address"]);
    assert_eq!(told("i2c_register", json!({ "address": 0x48, "bytes": 5 })), ["bytes"]);
    assert_eq!(told("i2c_register", json!({ "address": 0x48, "bytes": 1, "mask": 0x100 })), ["mask"]);
    assert_eq!(told("i2c_register", json!({ "address": 0x48, "bytes": 1, "shift": 8 })), ["shift"]);
    assert_eq!(told("i2c_register", json!({ "address": 0x48, "scale": 0 })), ["scale"]);
    assert_eq!(told("i2c_register", json!({ "address": 0x48, "bytes": 4, "shift": 16 })), ["shift"]);
    assert_eq!(told("i2c_register", json!({ "address": 0x48, "delay": "5ms" })), ["delay"]);
    assert_eq!(told("spi_register", json!({ "bus": "0", "mode": 4, "clock": 1 })), ["bus", "mode", "clock"]);
}
