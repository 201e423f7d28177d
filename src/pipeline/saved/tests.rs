//! What is saved of the open slots, and what a new start makes of it.

mod damage;
mod kills;

use std::time::Duration;

use super::*;
use crate::entry::Reduce;
use crate::pipeline::slots::{Channel, Publish, Route};
use crate::time::{BootId, Utc};

const BOOT: BootId = BootId(0x9a5c_0de0_1234_5678_9abc_def0_1122_3344);
const HOUSE: ChannelId = ChannelId(7);
const GATE: ChannelId = ChannelId(9);

fn now(seconds: f64) -> Now {
    let mono = Mono::new(Duration::from_secs_f64(seconds));
    Now { mono, utc: Utc::from_seconds(1_795_334_400) + mono.since_boot() }
}

fn at(seconds: f64) -> Mono {
    now(seconds).mono
}

fn channel(id: ChannelId, every: u64, interval: u64, spread: u64, status: StatusText) -> Channel {
    let [every, interval, spread] = [every, interval, spread].map(Duration::from_secs);
    Channel { id, every, interval, status, spread }
}

fn route(channel: usize, field: u8, reduce: Reduce, publish: Publish) -> Route {
    Route { channel, column: Column::Field(field), reduce, publish, decimals: None }
}

/// Two channels with every way of publishing, and a column that is published in two of them.
fn map() -> (Vec<Channel>, Vec<Route>) {
    let channels = vec![channel(HOUSE, 20, 15, 3, StatusText::Health), channel(GATE, 5, 1, 0, StatusText::Off)];
    let routes = vec![
        route(0, 1, Reduce::Mean, Publish::Slot),
        route(0, 2, Reduce::Last, Publish::OnChange),
        route(0, 3, Reduce::Max, Publish::Field),
        route(0, 4, Reduce::Min, Publish::Field),
        route(1, 1, Reduce::Sum, Publish::OnChange),
        route(1, 1, Reduce::Count, Publish::Field),
        route(0, 5, Reduce::Direction, Publish::Slot),
    ];
    (channels, routes)
}

fn empty() -> Slots {
    let (channels, routes) = map();
    Slots::new(&channels, &routes)
}

fn close_due(slots: &mut Slots, now: Now) -> Vec<UntimedEntry> {
    let mut due = Vec::new();
    slots.close_due(now, |entries| due.extend(entries));
    due
}

fn close_all(slots: &mut Slots, now: Now) -> Vec<UntimedEntry> {
    let mut all = Vec::new();
    slots.close_now(now, |_| true, |entries| all.extend(entries));
    all
}

#[test]
fn state_goes_to_what_the_map_says_now() {
    let mut slots = empty();
    slots.value(now(1.0), 0, at(1.0), 10.0);
    slots.value(now(2.0), 0, at(2.0), 30.0);
    slots.value(now(2.0), 1, at(2.0), 5.0);
    slots.value(now(3.0), 4, at(3.0), 7.0);
    slots.trouble(now(3.0), 2, at(3.0), "tank: no answer");
    let bytes = slots.state(BOOT);

    // The channels are swapped, the mean became a maximum that is published on change, field 2 and its route are gone, and
    // every slot has another length.
    let channels = [channel(GATE, 60, 1, 0, StatusText::Off), channel(HOUSE, 300, 15, 0, StatusText::Health)];
    let routes = [
        route(1, 3, Reduce::Max, Publish::Field),
        route(1, 1, Reduce::Max, Publish::OnChange),
        route(0, 1, Reduce::Mean, Publish::Field),
        route(1, 5, Reduce::Mean, Publish::Slot),
        route(0, 1, Reduce::Mean, Publish::Slot),
    ];
    let mut slots = Slots::new(&channels, &routes);
    assert_eq!(slots.restore(now(4.0), BOOT, &bytes, |_| None), Restored::State);
    slots.value(now(4.5), 3, at(4.5), 1.0);
    let gate = close_due(&mut slots, now(5.0)).remove(0);
    assert_eq!((gate.channel, gate.end, gate.form), (GATE, at(5.0), Form::Feed));
    assert_eq!(gate.cells[0].map(|cell| cell.value), Some(7.0));
    let house = close_due(&mut slots, now(20.0)).remove(0);
    assert_eq!((house.channel, house.end), (HOUSE, at(20.0)), "the slot keeps its end");
    let columns: Vec<_> = house.cells.map(|cell| cell.map(|cell| cell.value)).into_iter().take(5).collect();
    assert_eq!(columns, [Some(30.0), None, None, None, Some(1.0)]);
    assert_eq!(house.status.as_deref(), Some("tank: no answer"));
    slots.value(now(21.0), 1, at(21.0), 1.0);
    assert_eq!(slots.next_close(), Some(at(35.0)), "30 was the last value before: a change");

    let mut without = Slots::new(&channels[..1], &routes[2..3]);
    assert_eq!(without.restore(now(4.0), BOOT, &bytes, |_| None), Restored::State);
    assert!(close_all(&mut without, now(30.0)).is_empty(), "neither the channel nor the route is there");
}

#[test]
fn wind_across_north_survives_a_kill_in_the_middle_of_its_slot() {
    let mut slots = empty();
    for (second, degrees) in [(1.0, 350.0), (2.0, 10.0), (3.0, 20.0)] {
        slots.value(now(second), 6, at(second), degrees);
        let bytes = slots.state(BOOT);
        slots = empty();
        assert_eq!(slots.restore(now(second), BOOT, &bytes, |_| None), Restored::State);
    }
    let cell = close_all(&mut slots, now(20.0))[0].cells[4].expect("the wind");
    // The direction of (sin 350° + sin 10° + sin 20°, cos 350° + cos 10° + cos 20°).
    assert!((cell.value - 6.704_95).abs() < 1e-4, "{cell:?}");
}

#[test]
fn slot_that_was_opened_before_the_map_asked_for_a_direction_gives_one() {
    // The first, the last and what comes are known.
    for (before, after) in [(&[350.0][..], 10.0), (&[350.0, 10.0], 0.0), (&[340.0, 200.0, 0.0], 20.0)] {
        let channels = [channel(HOUSE, 20, 15, 3, StatusText::Off)];
        let mut slots = Slots::new(&channels, &[route(0, 1, Reduce::Mean, Publish::Slot)]);
        for degrees in before {
            slots.value(now(1.0), 0, at(1.0), *degrees);
        }
        let bytes = slots.state(BOOT);
        let mut slots = Slots::new(&channels, &[route(0, 1, Reduce::Direction, Publish::Slot)]);
        assert_eq!(slots.restore(now(2.0), BOOT, &bytes, |_| None), Restored::State);
        slots.value(now(3.0), 0, at(3.0), after);
        assert_eq!(close_all(&mut slots, now(20.0))[0].cells[0].map(|cell| cell.value), Some(0.0));
    }
}

#[test]
fn state_of_another_boot_is_of_no_use_and_what_the_spool_has_counts_without_any() {
    let mut slots = empty();
    slots.value(now(1.0), 0, at(1.0), 1.0);
    let bytes = slots.state(BOOT);
    for (bytes, found) in [(&bytes[..], Restored::OtherBoot), (&[], Restored::Nothing), (&[0; 9], Restored::Damaged)] {
        let mut slots = empty();
        assert_eq!(slots.restore(now(12.0), BootId(BOOT.0 + 1), bytes, |_| Some(at(10.0))), found);
        assert_eq!(slots.next_close(), None);
        slots.value(now(12.0), 0, at(12.0), 1.0);
        assert_eq!(slots.channels[0].end, Some(at(40.0)), "20 would be 10 s after the last entry");
    }
}

/// Payloads as records.
fn framed(payloads: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for payload in payloads {
        record::append(&mut bytes, payload);
    }
    bytes
}

#[test]
fn change_of_one_channel_costs_the_bytes_of_that_channel() {
    let channels: Vec<Channel> = (1..=600).map(|id| channel(ChannelId(id), 20, 15, 3, StatusText::Health)).collect();
    let routes: Vec<Route> =
        (0..600).flat_map(|at| (1..=8).map(move |field| route(at, field, Reduce::Mean, Publish::Slot))).collect();
    let mut slots = Slots::new(&channels, &routes);
    for second in [1.0, 2.0] {
        (0..routes.len()).for_each(|route| _ = slots.value(now(second), route, at(second), 21.5));
    }
    let whole = slots.state(BOOT).len();
    assert!(slots.changes().is_empty());
    slots.value(now(3.0), 80, at(3.0), 21.5);
    slots.value(now(3.0), 81, at(3.0), 21.5);
    let change = slots.changes();
    assert_eq!(Records::new(&change).count(), 1);
    assert!(change.len() < whole / 590, "{} of {whole}", change.len());
    assert!(slots.changes().is_empty());
}

#[test]
fn texts_that_do_not_fit_a_record_are_left_out_and_the_values_are_not() {
    let channels = [channel(HOUSE, 20, 15, 3, StatusText::Health)];
    let both = [Publish::Slot, Publish::Field];
    let routes: Vec<Route> = (1..=8)
        .flat_map(|field| both.map(|publish| route(0, field, Reduce::Mean, publish)))
        .chain(
            [Column::Latitude, Column::Longitude, Column::Elevation]
                .into_iter()
                .flat_map(|column| both.map(|publish| Route { column, ..route(0, 1, Reduce::Mean, publish) })),
        )
        .collect();
    let mut slots = Slots::new(&channels, &routes);
    for slot in 0..8 {
        // Slots that have ended and wait for their spread.
        for route in 0..routes.len() {
            let second = f64::from(slot) * 20.0 + 19.0;
            slots.value(now(second), route, at(second), 21.5 / 3.0);
            slots.trouble(now(second), route, at(second), &format!("{route:02}").repeat(400));
        }
    }
    let bytes = slots.state(BOOT);
    assert_eq!(Records::new(&bytes).count(), 2);
    let mut restored = Slots::new(&channels, &routes);
    assert_eq!(restored.restore(now(160.0), BOOT, &bytes, |_| None), Restored::State);
    assert_eq!(
        close_all(&mut restored, now(170.0)).iter().map(|entry| entry.cells).collect::<Vec<_>>(),
        close_all(&mut slots, now(170.0)).iter().map(|entry| entry.cells).collect::<Vec<_>>(),
    );
}

#[test]
fn ten_sensors_in_two_channels_take_less_than_two_kilobytes() {
    let channels = [channel(HOUSE, 20, 15, 3, StatusText::Health), channel(GATE, 20, 15, 3, StatusText::Health)];
    let routes: Vec<Route> =
        [0, 1].iter().flat_map(|at| (1..=8).map(|field| route(*at, field, Reduce::Mean, Publish::Slot))).collect();
    let mut slots = Slots::new(&channels, &routes);
    // A slot that has ended waits for its spread, the next one is open, and one sensor has trouble.
    for second in [12.0, 17.0, 22.0, 22.5] {
        for index in 0..routes.len() {
            slots.value(now(second), index, at(second), 21.537);
        }
    }
    slots.trouble(now(22.5), 3, at(22.5), "tank: no answer: nothing at 28-0417b1fb82ff");
    let size = slots.state(BOOT).len();
    assert!((900..1400).contains(&size), "{size}");
}
