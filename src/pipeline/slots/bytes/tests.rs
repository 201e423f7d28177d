//! Kills at every point of a script, against the same script without them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::entry::Reduce;
use crate::pipeline::slots::{Channel, Route};
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

fn empty() -> Batch {
    let (channels, routes) = map();
    Batch::new(&channels, &routes)
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Value(usize, f64),
    Trouble(usize),
    Recovered(usize),
    Close,
    Stop,
}

/// A daemon that is killed at some of its moments, with what outlives it: the file and the spool.
struct Killed {
    batch: Batch,
    file: Vec<u8>,
    spool: Vec<UntimedEntry>,
    kills: BTreeSet<usize>,
    /// How many moments there were.
    moment: usize,
}

impl Killed {
    fn at(kills: BTreeSet<usize>) -> Self {
        Self { batch: empty(), file: Vec::new(), spool: Vec::new(), kills, moment: 0 }
    }

    fn last_end(&self, channel: ChannelId) -> Option<Mono> {
        self.spool.iter().rev().find(|draft| draft.channel == channel).map(|draft| draft.end)
    }

    /// A moment at which the daemon may be killed. Returns whether it was, and is started again.
    fn is_killed(&mut self, now: Now) -> bool {
        self.moment += 1;
        if !self.kills.contains(&(self.moment - 1)) {
            return false;
        }
        let mut batch = empty();
        let restored = batch.restore(now, BOOT, &self.file, |channel| self.last_end(channel));
        assert_eq!(restored, if self.file.is_empty() { Restored::Nothing } else { Restored::State });
        self.batch = batch;
        true
    }

    fn keep(&mut self) {
        self.file = self.batch.save(BOOT);
    }

    /// Returns whether the step got through; a reading that did not is lost.
    fn step(&mut self, now: Now, step: Step) -> bool {
        match step {
            Step::Value(route, value) => _ = self.batch.value(now, route, now.mono, value),
            Step::Trouble(route) => _ = self.batch.trouble(now, route, now.mono, "tank: no answer"),
            Step::Recovered(route) => self.batch.recovered(route),
            Step::Close | Step::Stop => return self.close(now, matches!(step, Step::Stop)),
        }
        if self.is_killed(now) {
            return false;
        }
        self.keep();
        self.is_killed(now);
        true
    }

    /// As the closer does it: the file, the spool, the file.
    fn close(&mut self, now: Now, all: bool) -> bool {
        let drafts = if all { self.batch.close_all(now) } else { self.batch.close_due(now) };
        if self.is_killed(now) {
            return self.close(now, all);
        }
        self.keep();
        if self.is_killed(now) {
            return self.close(now, all);
        }
        for draft in drafts {
            self.spool.push(draft);
            if self.is_killed(now) {
                return self.close(now, all);
            }
        }
        for channel in [HOUSE, GATE] {
            if let Some(last_end) = self.last_end(channel) {
                self.batch.taken(channel, last_end);
            }
        }
        if self.is_killed(now) {
            return self.close(now, all);
        }
        self.keep();
        assert!(self.batch.handed.is_empty(), "the spool has them all");
        self.is_killed(now);
        true
    }

    fn drafts(&self) -> BTreeMap<ChannelId, Vec<UntimedEntry>> {
        let mut drafts: BTreeMap<ChannelId, Vec<UntimedEntry>> = BTreeMap::new();
        for draft in &self.spool {
            drafts.entry(draft.channel).or_default().push(draft.clone());
        }
        for drafts in drafts.values() {
            assert!(drafts.windows(2).all(|pair| pair[0].end < pair[1].end), "twice, or out of order: {drafts:#?}");
        }
        drafts
    }
}

/// Runs a script with kills and compares it with the run without, in which the lost readings never were. Returns how many
/// moments it has, and how many readings were lost.
fn compare(script: &[(f64, Step)], kills: &[usize]) -> (usize, usize) {
    let mut killed = Killed::at(kills.iter().copied().collect());
    let mut whole = Killed::at(BTreeSet::new());
    let mut lost = 0;
    for (seconds, step) in script {
        if killed.step(now(*seconds), *step) {
            whole.step(now(*seconds), *step);
        } else {
            lost += 1;
        }
    }
    assert_eq!(killed.drafts(), whole.drafts(), "killed at {kills:?}");
    (killed.moment, lost)
}

fn script() -> Vec<(f64, Step)> {
    use Step::{Close, Recovered, Stop, Trouble, Value};
    let steps = [
        (1.0, Value(0, 20.5)),
        (1.0, Value(1, 0.0)),
        (2.0, Value(2, 3.0)),
        (2.5, Value(4, 1.0)),
        (3.0, Value(5, 1.0)),
        (4.0, Trouble(3)),
        (5.1, Close),
        (5.5, Value(6, 350.0)),
        (5.6, Value(6, 10.0)),
        (5.7, Value(6, 20.0)),
        (6.0, Value(0, 21.5)),
        // A change closes early, and carries the two fields with it.
        (7.0, Value(1, 1.0)),
        (7.0, Close),
        (7.2, Value(4, 2.0)),
        (7.3, Value(4, 5.0)),
        (7.4, Value(5, 0.0)),
        (8.0, Close),
        (8.5, Value(2, 4.0)),
        (9.0, Recovered(3)),
        (9.0, Value(3, -4.0)),
        (10.0, Value(1, 1.0)),
        // Past the end, before the spread: a draft that waits behind the open slot.
        (39.0, Value(0, 1.0)),
        (40.5, Value(0, 2.0)),
        (40.6, Value(2, 2.0)),
        (43.0, Close),
        (44.0, Value(1, 0.0)),
        (44.0, Close),
        (57.0, Value(0, 9.0)),
        (58.0, Stop),
    ];
    steps.to_vec()
}

#[test]
fn kill_at_any_point_costs_one_sample_at_most_and_sends_nothing_twice() {
    let (moments, lost) = compare(&script(), &[]);
    assert_eq!(lost, 0);
    let losses: usize =
        (0..moments).map(|moment| compare(&script(), &[moment]).1).inspect(|lost| assert!(*lost <= 1)).sum();
    let readings = script().iter().filter(|(_, step)| !matches!(step, Step::Close | Step::Stop)).count();
    assert_eq!(losses, readings, "each can be lost in one way: before it was written");
}

#[test]
fn two_kills_cost_no_more_than_each_by_itself() {
    let (moments, _) = compare(&script(), &[]);
    for first in 0..moments {
        for second in first + 1..(first + 8).min(moments) {
            compare(&script(), &[first, second]);
        }
    }
}

#[test]
fn slot_that_was_closed_behind_a_write_that_failed_does_not_come_again() {
    let mut killed = Killed::at(BTreeSet::new());
    killed.step(now(1.0), Step::Value(0, 20.0));
    killed.step(now(1.0), Step::Value(1, 0.0));
    let stale = killed.file.clone();
    killed.step(now(5.0), Step::Value(1, 1.0));
    killed.step(now(5.0), Step::Close);
    assert_eq!(killed.spool.iter().map(|draft| draft.end).collect::<Vec<_>>(), [at(5.0)]);
    let mut batch = empty();
    assert_eq!(batch.restore(now(6.0), BOOT, &stale, |channel| killed.last_end(channel)), Restored::State);
    assert_eq!(batch.next_close(), None, "though its end was to be 20");
    batch.value(now(6.0), 0, at(6.0), 21.0);
    assert_eq!(batch.channels[0].end, Some(at(20.0)), "15 s after the early close, as the license asks");
    assert!(!batch.value(now(7.0), 1, at(7.0), 0.0), "what is known of the last values is as old as the file");
}

#[test]
fn state_goes_to_what_the_map_says_now() {
    let mut batch = empty();
    batch.value(now(1.0), 0, at(1.0), 10.0);
    batch.value(now(2.0), 0, at(2.0), 30.0);
    batch.value(now(2.0), 1, at(2.0), 5.0);
    batch.value(now(3.0), 4, at(3.0), 7.0);
    batch.trouble(now(3.0), 2, at(3.0), "tank: no answer");
    let bytes = batch.save(BOOT);

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
    let mut batch = Batch::new(&channels, &routes);
    assert_eq!(batch.restore(now(4.0), BOOT, &bytes, |_| None), Restored::State);
    batch.value(now(4.5), 3, at(4.5), 1.0);
    let gate = batch.close_due(now(5.0)).remove(0);
    assert_eq!((gate.channel, gate.end, gate.form), (GATE, at(5.0), Form::Feed));
    assert_eq!(gate.cells[0].map(|cell| cell.value), Some(7.0));
    let house = batch.close_due(now(20.0)).remove(0);
    assert_eq!((house.channel, house.end), (HOUSE, at(20.0)), "the slot keeps its end");
    let columns: Vec<_> = house.cells.map(|cell| cell.map(|cell| cell.value)).into_iter().take(5).collect();
    assert_eq!(columns, [Some(30.0), None, None, None, Some(1.0)]);
    assert_eq!(house.status.as_deref(), Some("tank: no answer"));
    batch.value(now(21.0), 1, at(21.0), 1.0);
    assert_eq!(batch.next_close(), Some(at(35.0)), "30 was the last value before: a change");

    let mut without = Batch::new(&channels[..1], &routes[2..3]);
    assert_eq!(without.restore(now(4.0), BOOT, &bytes, |_| None), Restored::State);
    assert!(without.close_all(now(30.0)).is_empty(), "neither the channel nor the route is there");
}

#[test]
fn wind_across_north_survives_a_kill_in_the_middle_of_its_slot() {
    let mut batch = empty();
    for (second, degrees) in [(1.0, 350.0), (2.0, 10.0), (3.0, 20.0)] {
        batch.value(now(second), 6, at(second), degrees);
        let bytes = batch.save(BOOT);
        batch = empty();
        assert_eq!(batch.restore(now(second), BOOT, &bytes, |_| None), Restored::State);
    }
    let cell = batch.close_all(now(20.0))[0].cells[4].expect("the wind");
    // The direction of (sin 350° + sin 10° + sin 20°, cos 350° + cos 10° + cos 20°).
    assert!((cell.value - 6.704_95).abs() < 1e-4, "{cell:?}");
}

/// The state that a gatepost of version 0.1 wrote before there were directions.
fn as_of_old(state: &[u8], drafts: &[u8]) -> Vec<u8> {
    let mut old = vec![1];
    old.extend_from_slice(&state[1..]);
    old.truncate(old.len() - drafts.len());
    assert_eq!(&state[old.len()..], drafts);
    let mut bytes = Vec::new();
    record::append(&mut bytes, &old);
    bytes
}

fn state_of(batch: &Batch) -> Vec<u8> {
    Records::new(&batch.save(BOOT)).flatten().copied().collect()
}

#[test]
fn state_of_an_older_version_is_taken() {
    let channels = [channel(HOUSE, 20, 15, 3, StatusText::Off)];
    let mean = [route(0, 1, Reduce::Mean, Publish::Slot)];
    let mut batch = Batch::new(&channels, &mean);
    batch.value(now(1.0), 0, at(1.0), 20.0);
    batch.value(now(2.0), 0, at(2.0), 22.0);
    assert_eq!(state_of(&batch)[0], 1, "what an older version knows is written as it knows it");
    // An ended slot waits; an empty supplement is all that its draft has more.
    batch.value(now(21.0), 0, at(21.0), 30.0);
    let state = state_of(&batch);
    assert_eq!(state[0], 2);
    let old = as_of_old(&state, &[0, 0]);
    let mut restored = Batch::new(&channels, &mean);
    assert_eq!(restored.restore(now(22.0), BOOT, &old, |_| None), Restored::State);
    let drafts = restored.close_all(now(40.0));
    let values: Vec<_> = drafts.iter().map(|draft| draft.cells[0].map(|cell| cell.value)).collect();
    assert_eq!(values, [Some(21.0), Some(30.0)]);
}

#[test]
fn slot_that_was_opened_before_the_map_asked_for_a_direction_gives_one() {
    // The first, the last and what comes are known.
    for (before, after) in [(&[350.0][..], 10.0), (&[350.0, 10.0], 0.0), (&[340.0, 200.0, 0.0], 20.0)] {
        let channels = [channel(HOUSE, 20, 15, 3, StatusText::Off)];
        let mut batch = Batch::new(&channels, &[route(0, 1, Reduce::Mean, Publish::Slot)]);
        for degrees in before {
            batch.value(now(1.0), 0, at(1.0), *degrees);
        }
        let bytes = batch.save(BOOT);
        let mut batch = Batch::new(&channels, &[route(0, 1, Reduce::Direction, Publish::Slot)]);
        assert_eq!(batch.restore(now(2.0), BOOT, &bytes, |_| None), Restored::State);
        batch.value(now(3.0), 0, at(3.0), after);
        assert_eq!(batch.close_all(now(20.0))[0].cells[0].map(|cell| cell.value), Some(0.0));
    }
}

#[test]
fn state_of_another_boot_is_of_no_use_and_what_the_spool_has_counts_without_any() {
    let mut batch = empty();
    batch.value(now(1.0), 0, at(1.0), 1.0);
    let bytes = batch.save(BOOT);
    for (bytes, found) in [(&bytes[..], Restored::OtherBoot), (&[], Restored::Nothing), (&[0; 9], Restored::Damaged)] {
        let mut batch = empty();
        assert_eq!(batch.restore(now(12.0), BootId(BOOT.0 + 1), bytes, |_| Some(at(10.0))), found);
        assert_eq!(batch.next_close(), None);
        batch.value(now(12.0), 0, at(12.0), 1.0);
        assert_eq!(batch.channels[0].end, Some(at(40.0)), "20 would be 10 s after the last draft");
    }
}

#[test]
fn state_that_is_torn_or_flipped_is_not_taken() {
    let mut killed = Killed::at(BTreeSet::new());
    for (seconds, step) in &script()[..21] {
        killed.step(now(*seconds), *step);
    }
    let bytes = killed.batch.save(BOOT);
    let found = |bytes: &[u8]| empty().restore(now(41.0), BOOT, bytes, |_| None);
    assert_eq!(found(&bytes), Restored::State);
    for cut in 1..bytes.len() {
        assert_eq!(found(&bytes[..cut]), Restored::Damaged, "cut at {cut}");
    }
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(found(&flipped), Restored::Damaged, "bit {bit}");
    }
}

#[test]
fn state_longer_than_a_record_is_whole_or_nothing() {
    let mut batch = empty();
    let words = "x".repeat(5000);
    batch.trouble(now(1.0), 0, at(1.0), &words);
    let bytes = batch.save(BOOT);
    assert!(bytes.len() > record::size(record::LONGEST));
    let mut restored = empty();
    assert_eq!(restored.restore(now(2.0), BOOT, &bytes, |_| None), Restored::State);
    assert_eq!(restored.close_all(now(20.0))[0].status.as_deref(), Some(&words[..crate::entry::STATUS]));
    let first = &bytes[..record::size(record::LONGEST)];
    assert_eq!(empty().restore(now(2.0), BOOT, first, |_| None), Restored::Damaged);
}

#[test]
fn ten_sensors_in_two_channels_take_less_than_two_kilobytes() {
    let channels = [channel(HOUSE, 20, 15, 3, StatusText::Health), channel(GATE, 20, 15, 3, StatusText::Health)];
    let routes: Vec<Route> =
        [0, 1].iter().flat_map(|at| (1..=8).map(|field| route(*at, field, Reduce::Mean, Publish::Slot))).collect();
    let mut batch = Batch::new(&channels, &routes);
    // One ended slot waits for its spread, the next one is open, and one sensor has trouble.
    for second in [12.0, 17.0, 22.0, 22.5] {
        for index in 0..routes.len() {
            batch.value(now(second), index, at(second), 21.537);
        }
    }
    batch.trouble(now(22.5), 3, at(22.5), "tank: no answer: nothing at 28-0417b1fb82ff");
    let size = batch.save(BOOT).len();
    assert!((900..1400).contains(&size), "{size}");
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..7_usize, -1..2_i8).prop_map(|(route, value)| Step::Value(route, value.into())),
        1 => (0..6_usize).prop_map(Step::Trouble),
        1 => (0..6_usize).prop_map(Step::Recovered),
        3 => Just(Step::Close),
    ]
}

proptest! {
    #[test]
    fn any_kills_in_any_script_lose_no_more_than_what_was_in_flight(
        steps in prop::collection::vec((0..40_u32, any_step()), 1..80),
        kills in prop::collection::vec(0..200_usize, 0..12),
    ) {
        let mut tenths = 0;
        let mut script = Vec::new();
        for (after, step) in steps {
            tenths += after;
            script.push((f64::from(tenths) / 10.0, step));
        }
        script.push((f64::from(tenths) / 10.0 + 1.0, Step::Stop));
        compare(&script, &kills);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut framed = Vec::new();
        record::append(&mut framed, &bytes);
        for bytes in [bytes, framed] {
            empty().restore(now(9.0), BOOT, &bytes, |_| None);
        }
    }

    #[test]
    fn any_change_of_a_state_with_a_right_checksum_leaves_a_batch_that_works(
        changes in prop::collection::vec((0..400_usize, any::<u8>()), 1..6),
    ) {
        let mut killed = Killed::at(BTreeSet::new());
        for (seconds, step) in &script()[..21] {
            killed.step(now(*seconds), *step);
        }
        let mut state: Vec<u8> = Records::new(&killed.file).flatten().copied().collect();
        for (place, byte) in changes {
            let place = place % state.len();
            state[place] = byte;
        }
        let mut bytes = Vec::new();
        record::append(&mut bytes, &state);
        let mut batch = empty();
        let restored = batch.restore(now(41.0), BOOT, &bytes, |_| None);
        match read(&bytes) {
            // Nothing of it is taken.
            None => prop_assert_eq!((restored, batch.save(BOOT)), (Restored::Damaged, empty().save(BOOT))),
            Some((boot, _)) if boot != BOOT => {
                prop_assert_eq!((restored, batch.save(BOOT)), (Restored::OtherBoot, empty().save(BOOT)));
            }
            Some((_, saved)) => {
                prop_assert_eq!(restored, Restored::State);
                assert_restored(&batch, &saved);
            }
        }
        // It works: what comes now is in the drafts, with what was restored, and their ends grow from where they can be.
        let mut drafts = Vec::new();
        for second in [41.0, 42.0, 60.0, 80.0] {
            for route in 0..7 {
                batch.value(now(second), route, at(second), second);
            }
            drafts.extend(batch.close_due(now(second)));
        }
        drafts.extend(batch.close_all(now(90.0)));
        for id in [HOUSE, GATE] {
            let fresh: Vec<&UntimedEntry> = drafts.iter().filter(|draft| draft.channel == id).collect();
            prop_assert!(!fresh.is_empty(), "a channel is silent");
            prop_assert!(fresh.iter().all(|draft| draft.end <= at(90.0 + 35.0 + 2.0 * 11.0)), "{:?}", fresh);
            let cells = || fresh.iter().flat_map(|draft| draft.cells.iter().flatten());
            prop_assert!(cells().all(|cell| cell.value.is_finite() && cell.weight > 0.0));
            prop_assert!(cells().any(|cell| cell.weight >= 1.0), "what came now is there");
        }
    }
}

/// The batch holds what was saved of each channel and route of the map, or the part of it that the rules leave: a time that
/// cannot be is moved, the words of a channel without a status column go, and so does what the map no longer has.
fn assert_restored(batch: &Batch, saved: &[SavedChannel]) {
    let (_, kept) = read(&batch.save(BOOT)).expect("what was just saved");
    let sums_of = |route: &SavedRoute| {
        let mut to = Writer::new();
        if let Some(sums) = &route.sums {
            sums.write(&mut to);
        }
        (to.finish(), route.last.map(f64::to_bits))
    };
    for (slot, kept) in batch.channels.iter().zip(&kept) {
        let its: Vec<&SavedChannel> = saved.iter().filter(|channel| channel.id == kept.id).collect();
        let latest = at(41.0) + slot.channel.every + slot.channel.interval;
        let ahead = latest + Duration::from_secs(Column::COUNT as u64);
        let Some(last) = its.last() else {
            assert!(kept.end.is_none() && kept.drafts.is_empty() && kept.trouble.is_empty(), "out of nothing");
            continue;
        };
        assert_eq!((kept.end, kept.early), (last.end.map(|end| end.min(latest)), last.early));
        assert_eq!(kept.last_end, last.last_end.map(|end| end.min(at(41.0))));
        assert_eq!(kept.last_draft, last.last_draft.map(|end| end.min(ahead)));
        assert!(kept.trouble == last.trouble || (slot.channel.status == StatusText::Off && kept.trouble.is_empty()));
        let drafts = its.iter().flat_map(|channel| &channel.drafts);
        let drafts: Vec<UntimedEntry> =
            drafts.map(|draft| UntimedEntry { end: draft.end.min(ahead), ..draft.clone() }).collect();
        assert_eq!(kept.drafts, drafts, "each once, in their order");
        for route in &kept.routes {
            let same = |other: &&SavedRoute| other.column == route.column && other.form == route.form;
            let source = its.iter().flat_map(|channel| &channel.routes).rfind(same);
            let expected = source.map(|source| (sums_of(source), source.standing.clone()));
            let (sums, standing) = expected.unwrap_or_default();
            assert_eq!(sums_of(route), sums, "{:?}", route.column);
            assert!(route.standing == standing || route.standing.is_none(), "{:?}", route.standing);
        }
    }
}

#[test]
fn time_that_cannot_be_dates_nothing_that_follows() {
    let mut killed = Killed::at(BTreeSet::new());
    killed.step(now(1.0), Step::Value(0, 20.0));
    killed.step(now(1.0), Step::Value(1, 0.0));
    killed.step(now(5.0), Step::Value(1, 1.0));
    killed.batch.close_due(now(5.0));
    killed.batch.channels[0].last_draft = Some(at(1e9));
    killed.batch.handed[0].end = at(1e9);
    let bytes = killed.batch.save(BOOT);
    let mut batch = empty();
    assert_eq!(batch.restore(now(6.0), BOOT, &bytes, |_| None), Restored::State);
    batch.value(now(30.0), 0, at(30.0), 21.0);
    let ends: Vec<Mono> = batch.close_all(now(40.0)).iter().map(|draft| draft.end).collect();
    assert_eq!(ends, [at(6.0 + 35.0 + 11.0), at(6.0 + 35.0 + 12.0)]);
}
