use std::time::Duration;

use super::*;
use crate::config::fixture;
use crate::pipeline::{HealthChange, Pipeline, Put};
use crate::time::{Now, Utc};

const MAP: &str = r#"
every = "20s"

[[sensor]]
name = "air"
use = "bme280"
every = "5s"
timeout = "5s"
to.temperature = "house.field1"

[[sensor]]
name = "spread"
use = "formula"
value = "air.temperature - dew.value"
to.value = "house.field2"

[[sensor]]
name = "dew"
use = "formula"
value = "dew_point(air.temperature, air.humidity)"
to.value = "house.field3"
"#;

const AIR: SensorId = SensorId(0);
const SPREAD: SensorId = SensorId(1);
const DEW: SensorId = SensorId(2);

fn now(second: u64) -> Now {
    let mono = Mono::new(Duration::from_secs(second));
    Now { mono, utc: Utc::from_seconds(1_795_334_400) + mono.since_boot() }
}

fn pipeline() -> Pipeline {
    Pipeline::new(&fixture::settings(MAP).pipeline(), &[AIR, SPREAD, DEW], Mono::default())
}

/// What is computed of temperature and humidity that came together.
fn air(pipeline: &mut Pipeline, second: u64, values: [Result<f64, Fault>; 2]) -> (Vec<Reading>, Vec<HealthChange>) {
    let (now, mut put) = (now(second), Put::default());
    for (quantity, value) in values.into_iter().enumerate() {
        pipeline.put(now, &Reading { sensor: AIR, quantity, at: now.mono, value }, &mut put);
    }
    let readings = pipeline.derive(now, &mut put);
    (readings, put.changes)
}

fn absent() -> Fault {
    Fault::Absent("nothing on the bus".to_owned())
}

#[test]
fn formulas_are_computed_once_when_their_inputs_have_come_each_behind_what_it_is_made_of() {
    let mut pipeline = pipeline();
    assert!(pipeline.routed(AIR).eq([0, 1]), "the humidity is asked for though it goes nowhere");
    let (readings, changes) = air(&mut pipeline, 10, [Ok(25.0), Ok(50.0)]);
    let names: Vec<_> = readings.iter().map(|reading| (reading.sensor, reading.at)).collect();
    assert_eq!(names, [(DEW, now(10).mono), (SPREAD, now(10).mono)]);
    let values: Vec<f64> = readings.iter().map(|reading| *reading.value.as_ref().unwrap()).collect();
    assert!((values[0] - 13.85).abs() < 0.01 && (values[0] + values[1] - 25.0).abs() < 1e-9, "{values:?}");
    assert_eq!(changes, []);
    let mut entries = Vec::new();
    pipeline.close_due(now(30), |closed| entries.extend(closed));
    assert!((entries[0].cells[2].unwrap().value - 13.85).abs() < 0.01);
    assert_eq!(pipeline.derive(now(31), &mut Put::default()), [], "nothing came");
}

#[test]
fn before_all_inputs_have_come_there_is_neither_value_nor_fault() {
    let mut pipeline = pipeline();
    let (now, mut put) = (now(10), Put::default());
    pipeline.put(now, &Reading { sensor: AIR, quantity: 0, at: now.mono, value: Ok(25.0) }, &mut put);
    assert_eq!(pipeline.derive(now, &mut put), []);
    assert_eq!(put.changes, []);
}

#[test]
fn a_missing_input_makes_a_missing_value_with_the_reason() {
    let mut pipeline = pipeline();
    air(&mut pipeline, 10, [Ok(25.0), Ok(50.0)]);
    let (readings, changes) = air(&mut pipeline, 15, [Err(absent()), Err(absent())]);
    let why = Fault::Input("air.temperature: no answer: nothing on the bus".to_owned());
    assert_eq!(readings[0].value, Err(why.clone()));
    assert!(changes.contains(&HealthChange::Down(DEW, why)), "{changes:?}");
    let (readings, changes) = air(&mut pipeline, 20, [Ok(25.0), Ok(50.0)]);
    assert!(readings.iter().all(|reading| reading.value.is_ok()));
    assert!(changes.contains(&HealthChange::Up(DEW)) && changes.contains(&HealthChange::Up(SPREAD)), "{changes:?}");
}

#[test]
fn an_input_that_went_silent_makes_no_value_of_what_is_old() {
    let mut pipeline = pipeline();
    air(&mut pipeline, 10, [Ok(25.0), Ok(50.0)]);
    // Three intervals and the time-out: 20 s.
    let (later, mut put) = (now(31), Put::default());
    pipeline.put(later, &Reading { sensor: AIR, quantity: 0, at: later.mono, value: Ok(26.0) }, &mut put);
    let readings = pipeline.derive(later, &mut put);
    assert_eq!(readings[0].value, Err(Fault::Input("air.humidity: silent for 21 s".to_owned())));
    let mut pipeline = self::pipeline();
    air(&mut pipeline, 10, [Ok(25.0), Ok(50.0)]);
    let changes = pipeline.close_due(now(40), |_| {});
    let down: Vec<_> = changes.iter().map(|(HealthChange::Down(id, _) | HealthChange::Up(id))| *id).collect();
    assert_eq!(down, [AIR, DEW, SPREAD], "nothing came, and that is heard of too: {changes:?}");
}

#[test]
fn what_has_no_value_is_a_fault_of_the_formula_alone() {
    let mut pipeline = pipeline();
    let (readings, _) = air(&mut pipeline, 10, [Ok(25.0), Ok(-3.0)]);
    assert_eq!(readings[0].value, Err(Fault::OutOfRange("dew_point(25, -3) has no value".to_owned())));
    let why = "dew.value: out of range: dew_point(25, -3) has no value";
    assert_eq!(readings[1].value, Err(Fault::Input(why.to_owned())));
}

#[test]
fn a_formula_is_bound_to_the_sensor_that_a_new_map_puts_in_the_place_of_its_input() {
    let mut pipeline = pipeline();
    air(&mut pipeline, 10, [Ok(25.0), Ok(50.0)]);
    let settings = fixture::settings(&MAP.replace("use = \"bme280\"", "use = \"bme280\"\nbus = \"i2c-3\""));
    let other = SensorId(3);
    pipeline.reload(now(11), &settings.pipeline(), &[other, SPREAD, DEW], |_| {});
    let (later, mut put) = (now(12), Put::default());
    for (quantity, value) in [30.0, 40.0].into_iter().enumerate() {
        pipeline.put(later, &Reading { sensor: other, quantity, at: later.mono, value: Ok(value) }, &mut put);
    }
    let readings = pipeline.derive(later, &mut put);
    assert!((readings[0].value.as_ref().unwrap() - 14.94).abs() < 0.05, "{readings:?}");
}

#[test]
fn over_a_reload_that_leaves_the_inputs_their_values_hold() {
    let mut pipeline = pipeline();
    air(&mut pipeline, 10, [Ok(25.0), Ok(50.0)]);
    pipeline.reload(now(11), &fixture::settings(MAP).pipeline(), &[AIR, SPREAD, DEW], |_| {});
    let (later, mut put) = (now(12), Put::default());
    pipeline.put(later, &Reading { sensor: AIR, quantity: 0, at: later.mono, value: Ok(20.0) }, &mut put);
    assert!((pipeline.derive(later, &mut put)[0].value.as_ref().unwrap() - 9.26).abs() < 0.05);
}
