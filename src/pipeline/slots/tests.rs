//! Slots on a virtual clock. Time 0 of the boot clock is 08:00:00 UTC unless a test says otherwise.

use proptest::prelude::*;

use super::*;
use crate::time::Utc;

const EIGHT: i64 = 1_795_334_400;

fn at(seconds: f64) -> Mono {
    Mono::new(Duration::from_secs_f64(seconds))
}

fn now(seconds: f64) -> Now {
    let mono = at(seconds);
    Now { mono, utc: Utc::from_seconds(EIGHT) + mono.since_boot() }
}

fn channel() -> Channel {
    Channel {
        id: ChannelId(7),
        every: Duration::from_secs(20),
        interval: Duration::from_secs(15),
        status: StatusText::Health,
        spread: Duration::ZERO,
    }
}

fn route(field: u8, reduce: Reduce, publish: Publish) -> Route {
    Route { channel: 0, column: Column::Field(field), reduce, publish, decimals: None }
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

fn value(entry: &UntimedEntry, field: u8) -> Option<f64> {
    entry.cells[Column::Field(field).index()].map(|cell| cell.value)
}

#[test]
fn a_slot_ends_on_the_wall_clocks_grid_and_its_entry_ends_with_it() {
    let mut slots = Slots::new(&[channel()], &[route(1, Reduce::Mean, Publish::Slot)]);
    assert!(slots.value(now(5.0), 0, at(5.0), 1.0), "the first value opens a slot");
    assert!(!slots.value(now(15.0), 0, at(15.0), 3.0));
    assert_eq!(slots.next_close(), Some(at(20.0)));
    assert!(close_due(&mut slots, now(19.9)).is_empty());

    let entries = close_due(&mut slots, now(20.4));
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].end, at(20.0));
    assert_eq!(value(&entries[0], 1), Some(2.0));
    assert_eq!(entries[0].cells[0].expect("field1").readings(), 2);
}

#[test]
fn every_reduce_gives_its_own_value() {
    use Reduce::{Count, Direction, First, Last, Max, Mean, Min, Sum};
    let reduces = [Mean, Min, Max, Last, First, Sum, Count, Direction];
    let routes: Vec<Route> = (1..).zip(reduces).map(|(field, reduce)| route(field, reduce, Publish::Slot)).collect();
    let mut slots = Slots::new(&[channel()], &routes);
    for (second, sample) in [(1.0, 4.0), (2.0, -2.0), (3.0, 7.0), (4.0, 3.0)] {
        for index in 0..routes.len() {
            slots.value(now(second), index, at(second), sample);
        }
    }
    let entry = close_due(&mut slots, now(20.0)).remove(0);
    let got: Vec<f64> = (1..=8).filter_map(|field| value(&entry, field)).collect();
    assert_eq!(got[..7], [3.0, -2.0, 7.0, 3.0, 4.0, 12.0, 4.0]);
    assert!((got[7] - 3.0).abs() < 0.01, "directions that are close have nearly their mean: {}", got[7]);
}

/// The text that is published of a slot with these readings.
fn published(reduce: Reduce, samples: &[f64]) -> Option<String> {
    let mut slots = Slots::new(&[channel()], &[route(1, reduce, Publish::Slot)]);
    for (second, sample) in (1_u8..).zip(samples) {
        let second = f64::from(second) / 100.0;
        slots.value(now(second), 0, at(second), *sample);
    }
    close_due(&mut slots, now(20.0)).first()?.cells[0]?.text()
}

/// weewx, issue 798: a mean of degrees turned north winds into south winds.
#[test]
fn wind_of_350_and_10_degrees_in_one_slot_comes_from_north() {
    assert_eq!(published(Reduce::Mean, &[350.0, 10.0]).as_deref(), Some("180"));
    for (samples, direction) in [
        (&[350.0, 10.0][..], "0"),
        (&[10.0, 350.0], "0"),
        (&[360.0, 0.0], "0"),
        (&[359.0, 359.0, 1.0, 1.0], "0"),
        (&[340.0, 350.0], "345"),
        (&[337.5], "337.5"),
        (&[0.0, 90.0], "45"),
        (&[170.0, 190.0], "180"),
        (&[-10.0, -20.0], "345"),
    ] {
        assert_eq!(published(Reduce::Direction, samples).as_deref(), Some(direction), "{samples:?}");
    }
}

#[test]
fn directions_that_cancel_out_are_left_out() {
    assert_eq!(published(Reduce::Direction, &[90.0, 270.0]), None);
    assert_eq!(published(Reduce::Direction, &[0.0, 180.0]), None);
}

#[test]
fn a_direction_is_never_rounded_to_360() {
    for decimals in [Decimals::Exactly(0), Decimals::UpTo(1)] {
        let route = Route { decimals: Some(decimals), ..route(1, Reduce::Direction, Publish::Slot) };
        let mut slots = Slots::new(&[channel()], &[route]);
        slots.value(now(1.0), 0, at(1.0), 359.97);
        assert_eq!(close_due(&mut slots, now(20.0))[0].cells[0].and_then(|cell| cell.text()).as_deref(), Some("0"));
    }
}

#[test]
fn means_and_sums_of_decimals_are_the_decimals_that_they_are_on_paper() {
    for (reduce, samples, text) in [
        (Reduce::Mean, &[67.01, 67.01][..], "67.01"),
        (Reduce::Mean, &[67.01; 150], "67.01"),
        (Reduce::Mean, &[0.1, 0.2], "0.15"),
        (Reduce::Mean, &[0.1, 0.2, -0.3], "0"),
        (Reduce::Mean, &[-0.1, 0.1], "0"),
        (Reduce::Mean, &[1e15, 1e15 + 2.0], "1000000000000001"),
        (Reduce::Mean, &[1e-9, 2e-9], "0.0000000015"),
        (Reduce::Sum, &[0.1, 0.2], "0.3"),
        (Reduce::Sum, &[0.2794; 10], "2.794"),
        (Reduce::Sum, &[0.1; 200], "20"),
        (Reduce::Last, &[0.1 + 0.2], "0.3"),
        (Reduce::Min, &[-0.0, 1.0], "0"),
        (Reduce::Count, &[0.1; 7], "7"),
    ] {
        assert_eq!(published(reduce, samples).as_deref(), Some(text), "{reduce:?} of {samples:?}");
    }
}

proptest! {
    /// Readings with up to nine digits, of which as many are taken as make a mean with a few digits more.
    #[test]
    fn mean_of_decimals_has_no_binary_noise(
        readings in prop::collection::vec(-999_999_999..=999_999_999_i64, 8),
        times in prop::sample::select(vec![1, 2, 5, 10, 25]),
        digits in 0..=9_u32,
    ) {
        let written = |number: i128, digits: u32| {
            let unit = 10_i128.pow(digits);
            let (sign, number) = (if number < 0 { "-" } else { "" }, number.abs());
            let text = format!("{sign}{}.{:02$}", number / unit, number % unit, digits as usize);
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        };
        let samples: Vec<f64> =
            readings.iter().map(|one| written((*one).into(), digits.max(1)).parse().expect("a number")).collect();
        let sum: i128 = readings.iter().map(|one| i128::from(*one)).sum();
        let mean = published(Reduce::Mean, &samples.repeat(times));
        // An eighth has three digits.
        prop_assert_eq!(mean, Some(written(sum * 125, digits.max(1) + 3)));
        let total = i128::try_from(times).expect("small") * sum;
        prop_assert_eq!(published(Reduce::Sum, &samples.repeat(times)), Some(written(total, digits.max(1))));
    }
}

#[test]
fn a_reading_belongs_to_the_slot_in_which_it_was_taken_however_late_the_slot_is_closed() {
    let mut slots = Slots::new(&[channel()], &[route(1, Reduce::Last, Publish::Slot)]);
    slots.value(now(19.0), 0, at(19.0), 1.0);
    slots.value(now(20.0), 0, at(20.0), 2.0);
    slots.value(now(21.0), 0, at(21.0), 3.0);

    let first = close_due(&mut slots, now(23.0));
    assert_eq!(first.len(), 1);
    assert_eq!((first[0].end, value(&first[0], 1)), (at(20.0), Some(1.0)));
    let second = close_due(&mut slots, now(43.0));
    assert_eq!((second[0].end, value(&second[0], 1)), (at(40.0), Some(3.0)));
}

#[test]
fn a_missing_value_is_left_out_and_a_silent_slot_makes_no_entry() {
    let mut slots =
        Slots::new(&[channel()], &[route(1, Reduce::Mean, Publish::Slot), route(2, Reduce::Mean, Publish::Slot)]);
    slots.value(now(1.0), 0, at(1.0), 5.0);
    let entry = close_due(&mut slots, now(20.0)).remove(0);
    assert_eq!(value(&entry, 2), None);
    assert!(close_due(&mut slots, now(40.0)).is_empty());
    assert_eq!(slots.next_close(), None);
}

#[test]
fn a_change_closes_the_slot_at_once_and_then_no_sooner_than_the_license_allows() {
    let mut slots = Slots::new(&[channel()], &[route(1, Reduce::Last, Publish::OnChange)]);
    slots.value(now(1.0), 0, at(1.0), 0.0);
    assert_eq!(slots.next_close(), Some(at(20.0)), "the first value is no change");
    assert!(slots.value(now(3.0), 0, at(3.0), 1.0));
    let first = close_due(&mut slots, now(3.0));
    assert_eq!((first[0].end, value(&first[0], 1)), (at(3.0), Some(1.0)));

    slots.value(now(5.0), 0, at(5.0), 0.0);
    assert_eq!(slots.next_close(), Some(at(18.0)), "15 s after the close before");
    assert_eq!(value(&close_due(&mut slots, now(18.0))[0], 1), Some(0.0));

    slots.value(now(25.0), 0, at(25.0), 0.0);
    assert_eq!(slots.next_close(), Some(at(40.0)), "the same value again is no change");
}

#[test]
fn the_slot_after_an_early_close_is_stretched_to_the_next_boundary_the_license_allows() {
    let mut slots = Slots::new(&[channel()], &[route(1, Reduce::Last, Publish::OnChange)]);
    slots.value(now(11.0), 0, at(11.0), 0.0);
    slots.value(now(12.0), 0, at(12.0), 1.0);
    assert_eq!(close_due(&mut slots, now(12.0)).len(), 1);
    slots.value(now(13.0), 0, at(13.0), 1.0);
    assert_eq!(slots.next_close(), Some(at(40.0)), "20 would be 8 s after the early close");
}

#[test]
fn a_wall_clock_that_jumps_back_moves_the_grid_and_no_entry() {
    let mut slots = Slots::new(&[channel()], &[route(1, Reduce::Last, Publish::Slot)]);
    slots.value(now(1.0), 0, at(1.0), 1.0);
    let first = close_due(&mut slots, now(20.0)).remove(0);
    let back = |seconds| Now { mono: at(seconds), utc: Utc::from_seconds(EIGHT - 3607) + at(seconds).since_boot() };
    slots.value(back(21.0), 0, at(21.0), 2.0);
    assert_eq!(slots.next_close(), Some(at(47.0)), "on the new grid, and 15 s after the close before");
    let second = close_due(&mut slots, back(47.0)).remove(0);
    assert_eq!((first.end, second.end), (at(20.0), at(47.0)));
}

#[test]
fn a_jump_forward_in_a_slot_neither_loses_nor_prolongs_it() {
    let mut slots = Slots::new(&[channel()], &[route(1, Reduce::Last, Publish::Slot)]);
    slots.value(now(1.0), 0, at(1.0), 1.0);
    let ahead = |seconds| Now { mono: at(seconds), utc: Utc::from_seconds(EIGHT + 86_407) + at(seconds).since_boot() };
    let entry = close_due(&mut slots, ahead(20.0)).remove(0);
    assert_eq!(entry.end, at(20.0));
    slots.value(ahead(21.0), 0, at(21.0), 1.0);
    assert_eq!(slots.next_close(), Some(at(53.0)), "on the new grid, and 15 s after the close before");
}

#[test]
fn a_value_published_by_field_is_an_entry_of_its_own_with_a_second_of_its_own() {
    let mut slots =
        Slots::new(&[channel()], &[route(1, Reduce::Last, Publish::Slot), route(2, Reduce::Last, Publish::Field)]);
    slots.value(now(1.0), 0, at(1.0), 1.0);
    slots.value(now(1.0), 1, at(1.0), 2.0);
    let entries = close_due(&mut slots, now(20.0));
    assert_eq!(entries.iter().map(|entry| entry.form).collect::<Vec<_>>(), [Form::Feed, Form::Field]);
    assert_eq!(value(&entries[0], 2), None);
    assert_eq!(value(&entries[1], 2), Some(2.0));
    assert_eq!((entries[0].end, entries[1].end), (at(20.0), at(21.0)));
}

#[test]
fn trouble_is_told_in_every_slot_until_it_is_over_and_only_where_the_channel_wants_it() {
    let silent = Channel { status: StatusText::Off, ..channel() };
    let other = Route { channel: 1, ..route(1, Reduce::Mean, Publish::Slot) };
    let mut slots = Slots::new(
        &[channel(), silent],
        &[route(1, Reduce::Mean, Publish::Slot), route(2, Reduce::Mean, Publish::Slot), other],
    );
    slots.trouble(now(1.0), 0, at(1.0), "tank: no answer");
    slots.trouble(now(2.0), 0, at(2.0), "tank: no answer");
    slots.trouble(now(2.0), 1, at(2.0), "dust: silent for 30 s");
    assert!(!slots.trouble(now(2.0), 2, at(2.0), "tank: no answer"));
    slots.recovered(1);
    // The first reading of the next slot ends this one: what lasts must be in both.
    slots.value(now(21.0), 1, at(21.0), 5.0);
    let entries = close_due(&mut slots, now(21.0));
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].status.as_deref(), Some("tank: no answer; dust: silent for 30 s"));
    assert_eq!(close_due(&mut slots, now(40.0))[0].status.as_deref(), Some("tank: no answer"));
    slots.recovered(0);
    slots.value(now(41.0), 1, at(41.0), 5.0);
    assert_eq!(close_due(&mut slots, now(60.0))[0].status, None);
}

#[test]
fn an_early_close_does_not_overtake_an_entry_that_waits_for_its_spread() {
    let paid = Channel { interval: Duration::from_secs(1), spread: Duration::from_secs(4), ..channel() };
    let mut slots = Slots::new(&[paid], &[route(1, Reduce::Last, Publish::OnChange)]);
    slots.value(now(19.0), 0, at(19.0), 0.0);
    slots.value(now(21.5), 0, at(21.5), 1.0);
    let ends: Vec<Mono> = close_due(&mut slots, now(21.5)).iter().map(|entry| entry.end).collect();
    assert_eq!(ends, [at(20.0), at(21.5)]);
    assert_eq!(slots.next_close(), None);
}

#[test]
fn stop_closes_open_slots_with_the_time_of_the_stop() {
    let mut slots = Slots::new(&[channel()], &[route(1, Reduce::Mean, Publish::Slot)]);
    slots.value(now(1.0), 0, at(1.0), 4.0);
    let entry = close_all(&mut slots, now(6.2)).remove(0);
    assert_eq!((entry.end, value(&entry, 1)), (at(6.2), Some(4.0)));
}

#[test]
fn the_spread_delays_the_close_of_a_slot_but_not_its_stamp_nor_a_change() {
    let spread = Channel { spread: Duration::from_secs(3), ..channel() };
    let mut slots = Slots::new(&[spread], &[route(1, Reduce::Last, Publish::OnChange)]);
    slots.value(now(1.0), 0, at(1.0), 0.0);
    slots.value(now(1.5), 0, at(1.5), 1.0);
    assert_eq!(close_due(&mut slots, now(1.5)).len(), 1, "a change goes out at once");
    slots.value(now(17.0), 0, at(17.0), 1.0);
    assert_eq!(slots.next_close(), Some(at(23.0)));
    assert!(!slots.value(now(20.5), 0, at(20.5), 1.0), "the next slot's readings neither wake anybody");
    assert_eq!(slots.next_close(), Some(at(23.0)), "nor hand out the slot before its time");
    assert!(close_due(&mut slots, now(22.9)).is_empty());
    assert_eq!(close_due(&mut slots, now(23.0))[0].end, at(20.0));
    assert_eq!(slots.next_close(), Some(at(43.0)));
}

#[test]
fn the_next_slots_first_value_does_not_undo_the_spread() {
    let spread = Channel { spread: Duration::from_secs(3), ..channel() };
    let mut slots = Slots::new(&[spread], &[route(1, Reduce::Last, Publish::Slot)]);
    slots.value(now(19.0), 0, at(19.0), 1.0);
    assert!(!slots.value(now(20.0), 0, at(20.0), 2.0), "nobody need wake up for it");
    assert_eq!(slots.next_close(), Some(at(23.0)));
    assert!(close_due(&mut slots, now(20.0)).is_empty());
    let entries = close_due(&mut slots, now(23.0));
    assert_eq!(entries.iter().map(|entry| (entry.end, value(entry, 1))).collect::<Vec<_>>(), [(at(20.0), Some(1.0))]);
}

#[test]
fn a_status_text_is_cut_to_what_the_service_takes() {
    let mut slots = Slots::new(&[channel()], &[route(1, Reduce::Mean, Publish::Slot)]);
    for second in 0..19_u32 {
        let at = at(f64::from(second));
        slots.trouble(now(f64::from(second)), 0, at, &format!("öfen: {second}.25 °C is not within -20 to 60"));
    }
    let status = close_due(&mut slots, now(20.0)).remove(0).status.expect("there is trouble");
    assert!((250..=255).contains(&status.len()), "{status}");
}
