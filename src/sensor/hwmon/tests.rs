//! Chips of real machines: nvme, coretemp, nct6779 and mt7996 by prometheus/node_exporter, collector/fixtures/sys.ttar, commit
//! a7dcc3a01545180d4f2087db70994cbc3abfed13; ina226 and lm75 by groeck/module-tests, scripts/ina2xx.sh and lm75.sh, commit
//! c17c09173d7b598534c67a39fea4d00e37e5cc4d.

use std::path::Path;

use serde_json::json;

use super::*;
use crate::sensor::{Measured, Sensor};

fn settings(keys: serde_json::Value, to: &[&str]) -> Settings {
    let mut settings: Settings = serde_json::from_value(keys).expect("its keys");
    settings.want(&to.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    settings
}

fn open(sim: &Sim, keys: serde_json::Value, to: &[&str]) -> Box<dyn Sensor> {
    match settings(keys, to).open(&sim.hal(), ReadingSender::new(|_, _, _| {})) {
        Ok(Source::Polled(sensor)) => sensor,
        _ => panic!("it is polled"),
    }
}

fn measure(sim: &Sim, keys: serde_json::Value, to: &[&str]) -> Result<Measured, Fault> {
    open(sim, keys, to).measure()
}

/// A machine with no files but those that are put there.
fn machine() -> Sim {
    Sim::below("/nonexistent/machine".into())
}

/// Puts a chip at a number, in place of the one that had it.
fn put(sim: &Sim, number: u8, device: &str, files: &[(&str, &'static str)]) {
    let folder = Path::new("/sys/class/hwmon").join(format!("hwmon{number}"));
    sim.remove_folder(&folder);
    sim.link(&folder, &Path::new("/sys/devices").join(device).join(format!("hwmon/hwmon{number}")));
    for (name, text) in files {
        sim.file(&folder.join(name), |_| Ok((*text).to_owned()));
    }
}

const NVME: &[(&str, &str)] = &[
    ("name", "nvme\n"),
    ("temp1_alarm", "0\n"),
    ("temp1_input", "43850\n"),
    ("temp1_label", "Composite\n"),
    ("temp1_min", "-150\n"),
    ("temp2_input", "43850\n"),
    ("temp2_label", "Sensor 1\n"),
    ("temp2_min", "-273150\n"),
    ("temp3_input", "45850\n"),
    ("temp3_label", "Sensor 2\n"),
    ("temp9_input", "43850\n"),
    ("temp9_label", "Sensor 8\n"),
];
const INA226: &[(&str, &str)] = &[
    ("name", "ina226\n"),
    ("curr1_input", "1248\n"),
    ("in0_input", "12\n"),
    ("in1_input", "3294\n"),
    ("power1_input", "4112500\n"),
    ("shunt_resistor", "10000\n"),
    ("update_interval", "35\n"),
];
const LM75: &[(&str, &str)] =
    &[("name", "lm75\n"), ("temp1_input", "28000\n"), ("temp1_max", "80000\n"), ("temp1_max_hyst", "75000\n")];
const COLD_LM75: &[(&str, &str)] = &[("name", "lm75\n"), ("temp1_input", "-7500\n")];

#[test]
fn channels_come_in_usual_units() {
    let sim = machine();
    put(&sim, 0, "platform/soc/i2c-1/1-0040", INA226);
    put(&sim, 1, "platform/soc/i2c-1/1-0048", LM75);
    let all = ["current", "voltage0", "voltage1", "power"];
    let values = measure(&sim, json!({ "chip": "ina226" }), &all);
    assert_eq!(values, Ok(vec![Ok(1.248), Ok(0.012), Ok(3.294), Ok(4.1125)]));
    assert_eq!(measure(&sim, json!({ "chip": "lm75" }), &["temperature"]), Ok(vec![Ok(28.0)]));
    put(&sim, 3, "platform/nct6775.656", &[("name", "nct6779\n"), ("fan2_input", "1098\n"), ("in0_input", "792\n")]);
    assert_eq!(measure(&sim, json!({ "chip": "nct6779" }), &["fan", "voltage0"]), Ok(vec![Ok(1098.0), Ok(0.792)]));
    let units: Vec<_> = settings(json!({ "chip": "ina226" }), &all).quantities().iter().map(|one| one.unit).collect();
    assert_eq!(units, ["A", "V", "V", "W"]);
}

#[test]
fn channel_is_chosen_by_its_number_or_its_label() {
    let sim = machine();
    put(&sim, 3, "pci0000:00/0000:01:00.0/nvme/nvme0", NVME);
    let degrees = |keys, name| measure(&sim, keys, &[name]);
    assert_eq!(degrees(json!({ "chip": "nvme" }), "temperature3"), Ok(vec![Ok(45.85)]));
    assert_eq!(degrees(json!({ "chip": "nvme", "label": "Sensor 2" }), "temperature"), Ok(vec![Ok(45.85)]));
    let fault = degrees(json!({ "chip": "nvme" }), "temperature").expect_err("which?").to_string();
    let all = "temperature1 (Composite), temperature2 (Sensor 1), temperature3 (Sensor 2), temperature9 (Sensor 8)";
    assert_eq!(fault, format!("not possible here: nvme at nvme0 has several: write the number of one, of {all}"));
    let fault = degrees(json!({ "chip": "nvme", "label": "Core 0" }), "temperature").expect_err("none").to_string();
    assert_eq!(fault, format!("not possible here: nvme at nvme0 has no temperature labelled \"Core 0\"; it has {all}"));
    let fault = degrees(json!({ "chip": "nvme" }), "fan1").expect_err("none").to_string();
    assert_eq!(fault, format!("not possible here: nvme at nvme0 has no fan1; it has {all}"));
}

#[test]
fn chips_that_change_numbers_between_two_reads_keep_their_values() {
    let sim = machine();
    put(&sim, 0, "i2c-1/1-0048", LM75);
    put(&sim, 1, "pci0000:00/0000:01:00.0/nvme/nvme0", NVME);
    let mut lm75 = open(&sim, json!({ "chip": "lm75" }), &["temperature1"]);
    let mut nvme = open(&sim, json!({ "chip": "nvme" }), &["temperature1"]);
    assert_eq!((lm75.measure(), nvme.measure()), (Ok(vec![Ok(28.0)]), Ok(vec![Ok(43.85)])));
    put(&sim, 1, "i2c-1/1-0048", LM75);
    put(&sim, 0, "pci0000:00/0000:01:00.0/nvme/nvme0", NVME);
    assert_eq!((lm75.measure(), nvme.measure()), (Ok(vec![Ok(28.0)]), Ok(vec![Ok(43.85)])));
    sim.remove_folder(Path::new("/sys/class/hwmon/hwmon1"));
    assert!(matches!(lm75.measure(), Err(Fault::Absent(_))), "the other chip's value is not published");
}

#[test]
fn two_of_a_name_are_told_by_their_places() {
    let sim = machine();
    put(&sim, 0, "i2c-1/1-0048", LM75);
    put(&sim, 1, "i2c-1/1-0049", COLD_LM75);
    let fault = measure(&sim, json!({ "chip": "lm75" }), &["temperature"]).expect_err("which?").to_string();
    assert!(
        fault.ends_with("2 hwmon chips are called lm75: add at = \"i2c-1:0x48\" or at = \"i2c-1:0x49\""),
        "{fault}"
    );
    let mut cold = open(&sim, json!({ "chip": "lm75", "at": "i2c-1:0x49" }), &["temperature"]);
    assert_eq!(cold.measure(), Ok(vec![Ok(-7.5)]));
    put(&sim, 0, "i2c-1/1-0049", COLD_LM75);
    put(&sim, 1, "i2c-1/1-0048", LM75);
    assert_eq!(cold.measure(), Ok(vec![Ok(-7.5)]));
}

#[test]
fn probe_that_the_chip_calls_broken_has_no_value() {
    let sim = machine();
    let files = [
        ("name", "max6581\n"),
        ("temp1_input", "127000\n"),
        ("temp1_fault", "1\n"),
        ("temp2_input", "21000\n"),
        ("temp2_fault", "0\n"),
    ];
    put(&sim, 0, "i2c-1/1-004d", &files);
    let values = measure(&sim, json!({ "chip": "max6581" }), &["temperature1", "temperature2"]).expect("one is good");
    assert!(matches!(values[0], Err(Fault::Garbled(_))), "{values:?}");
    assert_eq!(values[1], Ok(21.0));
}

#[test]
fn power_may_be_its_mean() {
    let sim = machine();
    put(&sim, 0, "acpi", &[("name", "power_meter\n"), ("power1_average", "7250000\n")]);
    assert_eq!(measure(&sim, json!({ "chip": "power_meter" }), &["power"]), Ok(vec![Ok(7.25)]));
}

#[test]
fn names_that_no_channel_can_have_are_not_measured() {
    let settings = settings(json!({ "chip": "lm75" }), &["temperature01", "temp1", "temperature1", "voltage_x", "fan"]);
    let names: Vec<_> = settings.quantities().into_iter().map(|quantity| quantity.name).collect();
    assert_eq!(names, ["temperature1", "fan"]);
}

#[test]
fn simulated_chips_are_read_by_the_same_driver() {
    let sim = machine();
    for (keys, to) in [
        (json!({ "chip": "ina226", "at": "i2c-1:0x40" }), &["voltage1", "current", "power"][..]),
        (json!({ "chip": "nvme", "label": "Composite" }), &["temperature"]),
        (json!({ "chip": "nvme", "label": "Sensor 1" }), &["temperature"]),
    ] {
        let settings = settings(keys.clone(), to);
        settings.simulate(&sim);
        settings.simulate(&sim);
        let values = measure(&sim, keys, to).expect("there");
        assert!(
            values.iter().all(|value| value.as_ref().is_ok_and(|value| (20.0..24.0).contains(value))),
            "{values:?}"
        );
    }
}
