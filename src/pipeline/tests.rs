//! The pipeline on a virtual clock, as real maps make it.

use super::*;
use crate::config::fixture;
use crate::entry::Column;
use crate::time::Utc;

const MAP: &str = r#"
every = "20s"
status = "health"

[[sensor]]
name = "tank"
use = "ds18b20"
id = "28-0417b1fb82ff"
every = "5s"
timeout = "5s"
to.temperature = { field = "house.field1", valid = { min = -20, max = 60 } }

[[sensor]]
name = "air"
use = "bme280"
to.temperature = "house.field2"
to.humidity = "house.field3"

[channel.switches]
id = 9

[[output]]
name = "pump"
pin = 17
from = "switches.field1"
report = "house.field8"
"#;

const TANK: SensorId = SensorId(0);
const AIR: SensorId = SensorId(1);
const REPORT: (ChannelId, Column) = (ChannelId(7), Column::Field(8));

fn of(map: &str) -> Config {
    fixture::settings(map).pipeline()
}

fn pipeline() -> Pipeline {
    Pipeline::new(&of(MAP), &[TANK, AIR], Mono::default())
}

fn now(seconds: f64) -> Now {
    let mono = Mono::new(Duration::from_secs_f64(seconds));
    Now { mono, utc: Utc::from_seconds(1_795_334_400) + mono.since_boot() }
}

fn put(
    pipeline: &mut Pipeline,
    seconds: f64,
    sensor: SensorId,
    quantity: usize,
    value: Result<f64, Fault>,
) -> Vec<HealthChange> {
    let (now, mut put) = (now(seconds), Put::default());
    pipeline.put(now, &Reading { sensor, quantity, at: now.mono, value }, &mut put);
    put.changes
}

fn absent() -> Fault {
    Fault::Absent("nothing on the bus".to_owned())
}

fn close(pipeline: &mut Pipeline, seconds: f64) -> (Vec<UntimedEntry>, Vec<HealthChange>) {
    let mut entries = Vec::new();
    let changes = pipeline.close_due(now(seconds), |closed| entries.extend(closed));
    (entries, changes)
}

fn field(entry: &UntimedEntry, number: u8) -> Option<f64> {
    entry.cells[Column::Field(number).index()].map(|cell| cell.value)
}

#[test]
fn a_reading_goes_through_its_filter_into_its_field() {
    let mut pipeline = pipeline();
    put(&mut pipeline, 11.0, TANK, 0, Ok(20.0));
    put(&mut pipeline, 16.0, TANK, 0, Ok(22.0));
    put(&mut pipeline, 16.0, AIR, 1, Ok(50.0));
    let (entries, _) = close(&mut pipeline, 24.5);
    assert_eq!(entries.len(), 1);
    assert_eq!((field(&entries[0], 1), field(&entries[0], 3)), (Some(21.0), Some(50.0)));
    assert_eq!(entries[0].status, None);
}

#[test]
fn a_fault_is_told_once_and_so_is_its_end() {
    let mut pipeline = pipeline();
    assert_eq!(put(&mut pipeline, 1.0, TANK, 0, Err(absent())), [HealthChange::Down(TANK, absent())]);
    let other_words = Fault::Absent("still nothing".to_owned());
    assert_eq!(put(&mut pipeline, 2.0, TANK, 0, Err(other_words)), [], "the same trouble in other words");
    assert_eq!(put(&mut pipeline, 4.0, TANK, 0, Ok(1.0)), [HealthChange::Up(TANK)]);
    assert_eq!(put(&mut pipeline, 5.0, TANK, 0, Ok(1.0)), []);
}

#[test]
fn a_sensor_that_is_gone_is_one_line_and_not_one_for_each_quantity() {
    let mut pipeline = pipeline();
    assert_eq!(put(&mut pipeline, 1.0, AIR, 0, Err(absent())).len(), 1);
    assert_eq!(put(&mut pipeline, 1.0, AIR, 1, Err(absent())), []);
    assert_eq!(put(&mut pipeline, 2.0, AIR, 0, Ok(1.0)), [], "half of it is still missing");
    assert_eq!(put(&mut pipeline, 2.0, AIR, 1, Ok(1.0)), [HealthChange::Up(AIR)]);
}

#[test]
fn a_value_that_the_service_cannot_take_is_named_as_such() {
    let mut pipeline = pipeline();
    for (value, needs) in [(1e300, 301), (-1e300, 302), (f64::MAX, 309)] {
        let changes = put(&mut pipeline, 16.0, AIR, 0, Ok(value));
        let words = format!("value needs {needs} characters, the service takes 255");
        assert_eq!(changes, [HealthChange::Down(AIR, Fault::OutOfRange(words))], "{value:e}");
        assert_eq!(put(&mut pipeline, 17.0, AIR, 0, Ok(1e253)), [HealthChange::Up(AIR)]);
    }
    put(&mut pipeline, 16.0, TANK, 0, Ok(3.0));
    put(&mut pipeline, 16.0, AIR, 1, Ok(1e300));
    let (entries, _) = close(&mut pipeline, 24.5);
    assert_eq!((field(&entries[0], 1), field(&entries[0], 3)), (Some(3.0), None));
    let status = entries[0].status.as_deref().expect("told");
    assert!(status.starts_with("air: ") && status.contains("value needs 301 characters"), "{status}");
}

#[test]
fn a_value_that_the_filter_refuses_is_left_out_and_told_in_the_status() {
    let mut pipeline = pipeline();
    let changes = put(&mut pipeline, 16.0, TANK, 0, Ok(85.0));
    assert!(matches!(&changes[..], [HealthChange::Down(TANK, Fault::OutOfRange(_))]), "{changes:?}");
    put(&mut pipeline, 16.0, AIR, 0, Ok(3.0));
    let (entries, _) = close(&mut pipeline, 24.5);
    assert_eq!(field(&entries[0], 1), None);
    let status = entries[0].status.as_deref().expect("health");
    assert!(status.starts_with("tank: out of range"), "{status}");
    assert_eq!(put(&mut pipeline, 26.0, TANK, 0, Ok(20.0)), [HealthChange::Up(TANK)]);
}

#[test]
fn trouble_that_lasts_is_told_in_every_slot_though_the_sensor_is_tried_rarely() {
    let mut pipeline = pipeline();
    put(&mut pipeline, 1.0, TANK, 0, Err(absent()));
    for slot in 0..4_u8 {
        let second = f64::from(slot) * 20.0;
        put(&mut pipeline, second + 8.0, AIR, 0, Ok(1.0));
        let (entries, _) = close(&mut pipeline, second + 24.5);
        assert_eq!(entries[0].status.as_deref(), Some("tank: no answer: nothing on the bus"), "slot {slot}");
    }
}

#[test]
fn a_sensor_whose_thread_is_stuck_is_found_by_its_silence() {
    let mut pipeline = pipeline();
    put(&mut pipeline, 1.0, TANK, 0, Ok(20.0));
    put(&mut pipeline, 15.0, AIR, 0, Ok(1.0));
    let (_, changes) = close(&mut pipeline, 24.0);
    assert!(matches!(&changes[..], [HealthChange::Down(TANK, Fault::Silent(_))]), "{changes:?}");
    let (entries, _) = close(&mut pipeline, 44.5);
    assert_eq!(entries[0].status.as_deref(), Some("tank: silent for 23 s"));
}

#[test]
fn an_output_that_changes_closes_the_slot_early_and_one_that_does_not_waits_for_its_end() {
    let mut pipeline = pipeline();
    pipeline.level(now(2.0), REPORT, 0.0);
    assert!(pipeline.level(now(3.0), REPORT, 1.0), "a change closes the slot early");
    let (entries, _) = close(&mut pipeline, 3.0);
    assert_eq!(field(&entries[0], 8), Some(1.0));
    pipeline.level(now(3.0), REPORT, 1.0);
    let (entries, _) = close(&mut pipeline, 44.5);
    assert_eq!(field(&entries[0], 8), Some(1.0));
}

#[test]
fn the_spread_is_the_channels_own_and_below_a_quarter_of_the_slot() {
    let every = Duration::from_secs(20);
    let spread = |id| slots::Channel::new(ChannelId(id), every, every, slots::StatusText::default()).spread;
    let spreads: Vec<Duration> = (1..200).map(spread).collect();
    assert!(spreads.iter().all(|spread| *spread < Duration::from_secs(4)));
    assert_eq!(spread(7), spreads[6], "always the same");
    let early = spreads.iter().filter(|spread| **spread < Duration::from_secs(2)).count();
    assert!((80..120).contains(&early), "{early} of 199 in the first half");
}

/// Takes another map; both sensors stay what they are.
fn reload(pipeline: &mut Pipeline, seconds: f64, map: &str) -> Vec<UntimedEntry> {
    let mut entries = Vec::new();
    pipeline.reload(now(seconds), &of(map), &[TANK, AIR], |closed| entries.extend(closed));
    entries
}

#[test]
fn a_new_map_that_leaves_a_channel_as_it_is_leaves_its_open_slot_and_what_its_filters_know() {
    let map = MAP.replace("valid = { min = -20, max = 60 }", "median = 3");
    let mut pipeline = Pipeline::new(&of(&map), &[TANK, AIR], Mono::default());
    put(&mut pipeline, 1.0, TANK, 0, Ok(10.0));
    put(&mut pipeline, 2.0, TANK, 0, Ok(12.0));
    put(&mut pipeline, 2.0, AIR, 1, Err(absent()));
    // Another channel besides, and the channels in another order.
    let more = map.replace("[channel.switches]", "[channel.more]\nid = 5\n[channel.switches]");
    assert_eq!(reload(&mut pipeline, 3.0, &more), [], "nothing is closed");
    assert_eq!(put(&mut pipeline, 4.0, AIR, 1, Ok(40.0)), [HealthChange::Up(AIR)], "its fault was known");
    put(&mut pipeline, 5.0, TANK, 0, Ok(90.0));
    let (entries, _) = close(&mut pipeline, 30.0);
    // Medians: 10, then the lower of 10 and 12, then 12.
    let mean = field(&entries[0], 1).expect("a mean");
    assert!(entries.len() == 1 && (mean - 32.0 / 3.0).abs() < 1e-12, "{mean}");
}

#[test]
fn slots_of_channels_that_a_new_map_changes_are_closed_as_they_are() {
    let mut pipeline = pipeline();
    put(&mut pipeline, 1.0, TANK, 0, Ok(10.0));
    let moved = MAP.replace("field = \"house.field1\"", "field = \"house.field5\"");
    let closed = reload(&mut pipeline, 3.0, &moved);
    assert_eq!(closed.iter().map(|entry| field(entry, 1)).collect::<Vec<_>>(), [Some(10.0)]);
    put(&mut pipeline, 4.0, TANK, 0, Ok(11.0));
    let (entries, _) = close(&mut pipeline, 60.0);
    assert_eq!((field(&entries[0], 1), field(&entries[0], 5)), (None, Some(11.0)), "none of it in the old column");
    assert!(entries[0].end > closed[0].end);
}

#[test]
fn what_waits_for_its_moment_is_handed_out_when_its_channel_goes() {
    let mut pipeline = pipeline();
    put(&mut pipeline, 1.0, TANK, 0, Ok(10.0));
    let elsewhere = fixture::read(&fixture::map(MAP).replace("id = 7", "id = 8")).pipeline();
    let mut closed = Vec::new();
    pipeline.reload(now(3.0), &elsewhere, &[TANK, AIR], |entries| closed.extend(entries));
    assert_eq!(closed.iter().map(|entry| entry.channel).collect::<Vec<_>>(), [ChannelId(7)]);
    put(&mut pipeline, 4.0, TANK, 0, Ok(11.0));
    let (entries, _) = close(&mut pipeline, 60.0);
    assert_eq!(entries.iter().map(|entry| entry.channel).collect::<Vec<_>>(), [ChannelId(8)]);
}

#[test]
fn a_sensor_that_is_gone_has_nothing_to_say() {
    let mut pipeline = pipeline();
    let settings = of(&MAP.replace("name = \"tank\"", "name = \"barrel\""));
    let barrel = SensorId(2);
    pipeline.reload(now(1.0), &settings, &[barrel, AIR], |_| {});
    assert_eq!(put(&mut pipeline, 2.0, TANK, 0, Err(absent())), []);
    assert_eq!(put(&mut pipeline, 2.0, barrel, 0, Err(absent())), [HealthChange::Down(barrel, absent())]);
    assert_eq!((pipeline.name(TANK), pipeline.name(barrel)), (None, Some("barrel")));
}
