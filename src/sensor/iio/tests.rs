//! Trees of files as the kernel's ABI document and its drivers have them.

use std::io;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::hal::ManualClock;

fn settings(keys: serde_json::Value, to: &[&str]) -> Settings {
    let mut settings: Settings = serde_json::from_value(keys).expect("its keys");
    settings.want(&to.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    settings
}

fn open(settings: &Settings, sim: &Sim) -> Box<dyn super::super::Sensor> {
    match settings.open(&sim.hal(), ReadingSender::new(|_, _, _| {})) {
        Ok(Source::Polled(sensor)) => sensor,
        _ => panic!("it is polled"),
    }
}

fn measure(sim: &Sim, keys: serde_json::Value, to: &[&str]) -> Result<super::super::Measured, Fault> {
    open(&settings(keys, to), sim).measure()
}

/// A machine with no files but those that are put there.
fn machine() -> Sim {
    Sim::below("/nonexistent/machine".into())
}

/// Puts a chip at a number, in place of the one that had it.
fn put(sim: &Sim, number: u8, device: &str, files: &[(&str, &'static str)]) {
    let folder = Path::new("/sys/bus/iio/devices").join(format!("iio:device{number}"));
    sim.remove_folder(&folder);
    sim.link(&folder, &Path::new("/sys/devices/platform/soc").join(device).join(format!("iio:device{number}")));
    for (name, text) in files {
        sim.file(&folder.join(name), |_| Ok((*text).to_owned()));
    }
}

/// As the kernel's drivers of these chips write them.
const BME280: &[(&str, &str)] = &[
    ("name", "bme280\n"),
    ("in_temp_input", "21430\n"),
    ("in_humidityrelative_input", "45612\n"),
    ("in_pressure_input", "101.325000000\n"),
];
const COLD_BME280: &[(&str, &str)] = &[("name", "bme280\n"), ("in_temp_input", "-5120\n")];
const ADS1015: &[(&str, &str)] = &[
    ("name", "ads1015\n"),
    ("in_voltage0_raw", "1100\n"),
    ("in_voltage0_scale", "3.000000000\n"),
    ("in_voltage1_raw", "-20\n"),
    ("in_voltage0-voltage1_raw", "50\n"),
    ("in_voltage0-voltage1_scale", "0.125000000\n"),
    ("in_voltage_scale", "2.000000000\n"),
];

#[test]
fn channels_come_in_usual_units() {
    let sim = machine();
    put(&sim, 0, "i2c-1/1-0076", BME280);
    let all = ["temperature", "humidity", "pressure"];
    assert_eq!(measure(&sim, json!({ "chip": "bme280" }), &all), Ok(vec![Ok(21.43), Ok(45.612), Ok(1013.25)]));
    let settings = settings(json!({ "chip": "bme280" }), &all);
    let units: Vec<_> = settings.quantities().iter().map(|quantity| quantity.unit).collect();
    assert_eq!(units, ["°C", "%", "hPa"]);
    // As the drivers of a BH1750, an SCD4x and a SPS30 do.
    put(
        &sim,
        1,
        "i2c-1/1-0023",
        &[("name", "bh1750\n"), ("in_illuminance_raw", "300\n"), ("in_illuminance_scale", "0.833333\n")],
    );
    assert_eq!(measure(&sim, json!({ "chip": "bh1750" }), &["illuminance"]), Ok(vec![Ok(249.9999)]));
    put(
        &sim,
        2,
        "i2c-1/1-0062",
        &[("name", "scd4x\n"), ("in_concentration_co2_raw", "812\n"), ("in_concentration_co2_scale", "0.000100000\n")],
    );
    assert_eq!(measure(&sim, json!({ "chip": "scd4x" }), &["concentration_co2"]), Ok(vec![Ok(812.0)]));
}

#[test]
fn raw_numbers_are_shifted_and_then_scaled() {
    let sim = machine();
    put(&sim, 0, "i2c-1/1-0048", ADS1015);
    let all = ["voltage0", "voltage1", "voltage0-voltage1"];
    assert_eq!(measure(&sim, json!({ "chip": "ads1015" }), &all), Ok(vec![Ok(3.3), Ok(-0.04), Ok(0.00625)]));
    // As the HDC100x driver's temperature: -40 °C at 0, and 165/65536 °C a step.
    put(
        &sim,
        1,
        "i2c-1/1-0040",
        &[
            ("name", "hdc100x\n"),
            ("in_temp_raw", "24000\n"),
            ("in_temp_offset", "-15887.515151\n"),
            ("in_temp_scale", "2.517700195\n"),
        ],
    );
    let degrees =
        measure(&sim, json!({ "chip": "hdc100x" }), &["temperature"]).expect("there").swap_remove(0).expect("a number");
    assert!((degrees - 20.4248).abs() < 0.001, "{degrees}");
}

#[test]
fn channel_that_the_chip_lacks_is_a_fault_that_lists_what_it_has() {
    let sim = machine();
    put(&sim, 0, "i2c-1/1-0076", BME280);
    let mut values = measure(&sim, json!({ "chip": "bme280" }), &["temperature", "illuminance"]).expect("one is there");
    let fault = values.pop().expect("two").expect_err("it has no light");
    let words = "not possible here: bme280 at i2c-1:0x76 has no illuminance; it has humidity, pressure, temperature";
    assert_eq!(fault.to_string(), words);
    let alone = measure(&sim, json!({ "chip": "bme280" }), &["illuminance"]);
    assert_eq!(alone, Err(fault), "nothing is measured");
}

#[test]
fn two_chips_that_change_places_between_two_reads_keep_their_values() {
    let sim = machine();
    put(&sim, 0, "i2c-1/1-0076", BME280);
    put(&sim, 1, "i2c-1/1-0077", COLD_BME280);
    let mut warm = open(&settings(json!({ "chip": "bme280", "at": "i2c-1:0x76" }), &["temperature"]), &sim);
    let mut cold = open(&settings(json!({ "chip": "bme280", "at": "1-0077" }), &["temperature"]), &sim);
    for _ in 0..2 {
        assert_eq!(warm.measure(), Ok(vec![Ok(21.43)]));
        assert_eq!(cold.measure(), Ok(vec![Ok(-5.12)]));
        put(&sim, 1, "i2c-1/1-0076", BME280);
        put(&sim, 0, "i2c-1/1-0077", COLD_BME280);
    }
    // Another chip altogether has the number.
    put(&sim, 0, "i2c-1/1-0048", ADS1015);
    assert_eq!(warm.measure(), Ok(vec![Ok(21.43)]));
    let fault = cold.measure().expect_err("it is gone").to_string();
    assert_eq!(
        fault,
        "no answer: the kernel shows no IIO device bme280 at 1-0077, but ads1015 at i2c-1:0x48, bme280 at i2c-1:0x76"
    );
    put(&sim, 7, "i2c-1/1-0077", COLD_BME280);
    assert_eq!(cold.measure(), Ok(vec![Ok(-5.12)]), "it is found where it came back");
}

#[test]
fn one_of_two_is_not_guessed() {
    let sim = machine();
    put(&sim, 0, "i2c-1/1-0076", BME280);
    put(&sim, 1, "i2c-1/1-0077", COLD_BME280);
    let fault = measure(&sim, json!({ "chip": "bme280" }), &["temperature"]).expect_err("which?").to_string();
    let words = "not possible here: 2 IIO devices are called bme280: add at = \"i2c-1:0x76\" or at = \"i2c-1:0x77\"";
    assert_eq!(fault, words);
    sim.file(Path::new("/sys/bus/iio/devices/iio:device1/label"), |_| Ok("outdoor\n".to_owned()));
    let labelled = measure(&sim, json!({ "chip": "bme280", "label": "outdoor" }), &["temperature"]);
    assert_eq!(labelled, Ok(vec![Ok(-5.12)]));
    let none = measure(&machine(), json!({ "chip": "bme280" }), &["temperature"]).expect_err("none").to_string();
    assert!(none.ends_with("is its dtoverlay line in config.txt?"), "{none}");
}

/// A file that fails so often before it says something.
fn failing(sim: &Sim, path: &str, error: i32, times: usize) {
    let left = std::sync::atomic::AtomicUsize::new(times);
    sim.file(Path::new(path), move |_| {
        let fails =
            left.fetch_update(std::sync::atomic::Ordering::Relaxed, std::sync::atomic::Ordering::Relaxed, |left| {
                left.checked_sub(1)
            });
        if fails.is_ok() { Err(io::Error::from_raw_os_error(error)) } else { Ok("21430\n".to_owned()) }
    });
}

#[cfg(target_os = "linux")]
#[test]
fn read_that_fails_in_passing_is_repeated() {
    const EIO: i32 = 5;
    const ETIMEDOUT: i32 = 110;
    const EINVAL: i32 = 22;
    let file = "/sys/bus/iio/devices/iio:device0/in_temp_input";
    for (error, times, is_read) in [(EIO, 2, true), (ETIMEDOUT, 2, true), (EIO, 3, false), (EINVAL, 1, false)] {
        let sim = machine();
        put(&sim, 0, "i2c-1/1-0076", BME280);
        failing(&sim, file, error, times);
        let measured = measure(&sim, json!({ "chip": "bme280" }), &["temperature"]);
        assert_eq!(measured.is_ok(), is_read, "error {error}, {times} times: {measured:?}");
    }
}

#[test]
fn names_that_no_channel_can_have_are_not_measured() {
    let settings =
        settings(json!({ "chip": "bme280" }), &["temprature", "temperature/../x", "voltage0", "temperature_object"]);
    let names: Vec<_> = settings.quantities().into_iter().map(|quantity| quantity.name).collect();
    assert_eq!(names, ["voltage0", "temperature_object"]);
    assert!(settings.choice().contains(&Cow::Borrowed("temperature")));
}

#[test]
fn keys_that_cannot_name_a_chip_are_faults() {
    let faults = settings(json!({ "chip": " ", "at": "../x", "label": "" }), &[]).faults();
    assert_eq!(faults.iter().map(|fault| fault.0).collect::<Vec<_>>(), ["chip", "at", "label"]);
}

#[test]
fn simulated_chips_are_read_by_the_same_driver() {
    let clock = std::sync::Arc::new(ManualClock::default());
    let sim = Sim::with_clock(None, clock.clone()).expect("no folder");
    let all = ["temperature", "humidity", "pressure", "voltage0"];
    let both = ["i2c-1:0x76", "i2c-1:0x77"].map(|at| settings(json!({ "chip": "simulated", "at": at }), &all));
    for settings in &both {
        settings.simulate(&sim);
        settings.simulate(&sim);
    }
    for settings in &both {
        let before = open(settings, &sim).measure().expect("there");
        assert!(before.iter().all(Result::is_ok), "{before:?}");
        clock.advance(Duration::from_secs(70));
        assert_ne!(open(settings, &sim).measure(), Ok(before));
    }
}
