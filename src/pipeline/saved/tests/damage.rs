//! Journals that were cut, flipped, or written by another version.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::kills::{Killed, Step, script};
use super::*;

/// A journal with a few changes in it, and where each of its records ends.
fn journal() -> (Vec<u8>, Vec<usize>) {
    let mut killed = Killed::at(BTreeSet::new());
    for (seconds, step) in &script()[..21] {
        killed.step(now(*seconds), *step);
    }
    let mut records = Records::new(&killed.journal);
    let mut ends = Vec::new();
    while records.next().is_some() {
        ends.push(records.end());
    }
    (killed.journal, ends)
}

/// What is taken of a journal, and what is said of it.
fn taken(journal: &[u8]) -> (Restored, Vec<u8>) {
    let mut slots = empty();
    let restored = slots.restore(now(41.0), BOOT, journal, |_| None);
    (restored, slots.state(BOOT))
}

#[test]
fn journal_that_is_cut_off_at_any_byte_is_the_one_before_its_last_change() {
    let (journal, ends) = journal();
    for cut in ends[0]..=journal.len() {
        let whole = ends.iter().rfind(|end| **end <= cut).expect("one record");
        assert_eq!(taken(&journal[..cut]), (Restored::State, taken(&journal[..*whole]).1), "cut at {cut}");
    }
    for cut in 1..ends[0] {
        assert_eq!(taken(&journal[..cut]), (Restored::Damaged, empty().state(BOOT)), "no boot: cut at {cut}");
    }
}

#[test]
fn record_that_rotted_costs_its_own_change_and_is_reported() {
    let (journal, ends) = journal();
    for bit in 0..journal.len() * 8 {
        let mut flipped = journal.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let place = ends.iter().position(|end| bit / 8 < *end).expect("it is in a record");
        let begin = if place == 0 { 0 } else { ends[place - 1] };
        let without = [&journal[..begin], &journal[ends[place]..]].concat();
        let (restored, state) = taken(&flipped);
        assert_eq!(state, taken(&without).1, "bit {bit}");
        // A length of the last record that points behind the end looks like a write that was cut off.
        let is_last_length = place + 1 == ends.len() && (begin + 2..begin + 4).contains(&(bit / 8));
        assert!(restored == Restored::Damaged || is_last_length, "bit {bit}");
    }
}

#[test]
fn state_of_another_version_of_the_format_is_not_taken_and_reported() {
    let mut slots = empty();
    slots.value(now(1.0), 0, at(1.0), 1.0);
    let state = slots.state(BOOT);
    let mut records: Vec<Vec<u8>> = Records::new(&state).map(<[u8]>::to_vec).collect();
    records[0] = codec::encode(&Saved::Boot(VERSION + 1, BOOT));
    let bytes = framed(&records);
    let mut restored = empty();
    assert_eq!(restored.restore(now(2.0), BOOT, &bytes, |_| None), Restored::Damaged);
    assert_eq!(restored.next_close(), None);
}

#[test]
fn record_of_a_later_versions_kind_is_passed_over_and_so_is_a_field_that_it_added() {
    #[derive(minicbor::Encode)]
    #[cbor(flat)]
    enum Later {
        #[n(2)]
        Channel(#[n(0)] SavedChannel, #[n(1)] &'static str),
        #[n(3)]
        Other(#[n(0)] u8),
    }
    let mut slots = empty();
    slots.value(now(1.0), 0, at(1.0), 1.0);
    let state = slots.state(BOOT);
    let mut records: Vec<Vec<u8>> = Records::new(&state).map(<[u8]>::to_vec).collect();
    let Ok(Saved::Channel(house)) = codec::decode(&records[1]) else { panic!("a channel") };
    records[1] = codec::encode(&Later::Channel(house, "a field that was added"));
    records.push(codec::encode(&Later::Other(7)));
    let mut restored = empty();
    assert_eq!(restored.restore(now(2.0), BOOT, &framed(&records), |_| None), Restored::State);
    assert_eq!(restored.state(BOOT), state);
}

#[test]
fn time_that_cannot_be_dates_nothing_that_follows() {
    let mut killed = Killed::at(BTreeSet::new());
    killed.step(now(1.0), Step::Value(0, 20.0));
    killed.step(now(1.0), Step::Value(1, 0.0));
    killed.step(now(5.0), Step::Value(1, 1.0));
    let entries = close_due(&mut killed.slots, now(5.0));
    let ended = entries.into_iter().map(|entry| (at(5.0), UntimedEntry { end: at(1e9), ..entry }));
    killed.slots.channels[0].ended = ended.collect();
    killed.slots.channels[0].last_entry = Some(at(1e9));
    let bytes = killed.slots.state(BOOT);
    let mut slots = empty();
    assert_eq!(slots.restore(now(6.0), BOOT, &bytes, |_| None), Restored::State);
    slots.value(now(30.0), 0, at(30.0), 21.0);
    let ends: Vec<Mono> = close_all(&mut slots, now(40.0)).iter().map(|entry| entry.end).collect();
    assert_eq!(ends, [at(6.0 + 35.0 + 11.0), at(6.0 + 35.0 + 12.0)]);
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut framed = Vec::new();
        record::append(&mut framed, &bytes);
        for bytes in [bytes, framed] {
            empty().restore(now(9.0), BOOT, &bytes, |_| None);
        }
    }

    #[test]
    fn any_change_of_a_state_with_a_right_checksum_leaves_slots_that_work(
        changes in prop::collection::vec((0..400_usize, any::<u8>()), 1..6),
    ) {
        let (journal, _) = journal();
        let mut records: Vec<Vec<u8>> = Records::new(&journal).map(<[u8]>::to_vec).collect();
        let length: usize = records.iter().map(Vec::len).sum();
        for (place, byte) in changes {
            let mut place = place % length;
            let record = records.iter_mut().find(|record| {
                let is_here = place < record.len();
                place -= if is_here { 0 } else { record.len() };
                is_here
            });
            record.expect("it is in one of them")[place] = byte;
        }
        let bytes = framed(&records);
        let mut slots = empty();
        let restored = slots.restore(now(41.0), BOOT, &bytes, |_| None);
        let found = read(&bytes);
        match found.boot {
            // Nothing of it is taken.
            None => prop_assert_eq!((restored, slots.state(BOOT)), (Restored::Damaged, empty().state(BOOT))),
            Some(boot) if boot != BOOT => {
                prop_assert_eq!((restored, slots.state(BOOT)), (Restored::OtherBoot, empty().state(BOOT)));
            }
            Some(_) => {
                prop_assert_eq!(restored, if found.is_damaged { Restored::Damaged } else { Restored::State });
                assert_restored(&mut slots, &found);
            }
        }
        // It works: what comes now is in the entries, with what was restored, and their ends grow from where they can be.
        let mut entries = Vec::new();
        for second in [41.0, 42.0, 60.0, 80.0] {
            for route in 0..7 {
                slots.value(now(second), route, at(second), second);
            }
            entries.extend(close_due(&mut slots, now(second)));
        }
        entries.extend(close_all(&mut slots, now(90.0)));
        for id in [HOUSE, GATE] {
            let fresh: Vec<&UntimedEntry> = entries.iter().filter(|entry| entry.channel == id).collect();
            prop_assert!(!fresh.is_empty(), "a channel is silent");
            prop_assert!(fresh.iter().all(|entry| entry.end <= at(90.0 + 35.0 + 2.0 * 11.0)), "{:?}", fresh);
            let cells = || fresh.iter().flat_map(|entry| entry.cells.iter().flatten());
            prop_assert!(cells().all(|cell| cell.value.is_finite() && cell.weight > 0.0));
            prop_assert!(cells().any(|cell| cell.weight >= 1.0), "what came now is there");
        }
    }
}

/// The slots hold what was saved of each channel and route of the map, or the part of it that the rules leave: a time that
/// cannot be is moved, the words of a channel without a status column go, and so does what the map no longer has.
fn assert_restored(slots: &mut Slots, saved: &Read) {
    let kept = read(&slots.state(BOOT)).channels;
    let sums_of = |route: &SavedRoute| {
        let sums = route.sums.filter(Sums::is_sound);
        (sums.map(|sums| codec::encode(&sums)), route.last.or(sums.as_ref().map(Sums::last)).map(f64::to_bits))
    };
    for slot in &slots.channels {
        let kept = &kept[&slot.channel.id];
        let latest = at(41.0) + slot.channel.every + slot.channel.interval;
        let ahead = latest + Duration::from_secs(Column::COUNT as u64);
        let Some(last) = saved.channels.get(&slot.channel.id) else {
            assert!(kept.end.is_none() && kept.ended.is_empty() && kept.trouble.is_empty(), "out of nothing");
            continue;
        };
        assert_eq!((kept.end, kept.early), (last.end.map(|end| end.min(latest)), last.early));
        assert_eq!(kept.last_end, last.last_end.map(|end| end.min(at(41.0))));
        assert_eq!(kept.last_entry, last.last_entry.map(|end| end.min(ahead)));
        assert!(kept.trouble == last.trouble || (slot.channel.status == StatusText::Off && kept.trouble.is_empty()));
        let ended = last.ended.iter().map(|entry| UntimedEntry { end: entry.end.min(ahead), ..entry.clone() });
        assert_eq!(kept.ended, ended.collect::<Vec<_>>(), "each once, in their order");
        for route in &kept.routes {
            let same = |other: &&SavedRoute| other.column == route.column && other.form == route.form;
            let expected = last.routes.iter().rfind(same).map(|source| (sums_of(source), source.standing.clone()));
            let (sums, standing) = expected.unwrap_or_default();
            assert_eq!(sums_of(route), sums, "{:?}", route.column);
            assert!(route.standing == standing || route.standing.is_none(), "{:?}", route.standing);
        }
    }
}
