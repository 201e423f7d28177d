//! Kills at every point of a script, against the same script without them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

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

#[derive(Clone, Copy, Debug)]
enum Step {
    Value(usize, f64),
    Trouble(usize),
    Recovered(usize),
    Close,
    Stop,
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

/// A daemon that is killed at some of its moments, with what outlives it: the journal and the spool.
struct Killed {
    slots: Slots,
    journal: Vec<u8>,
    /// The journal is another process's until it is written as a whole.
    is_stale: bool,
    spool: Vec<UntimedEntry>,
    kills: BTreeSet<usize>,
    /// How many moments there were.
    moment: usize,
}

impl Killed {
    fn at(kills: BTreeSet<usize>) -> Self {
        Self { slots: empty(), journal: Vec::new(), is_stale: true, spool: Vec::new(), kills, moment: 0 }
    }

    fn last_end(&self, channel: ChannelId) -> Option<Mono> {
        self.spool.iter().rev().find(|entry| entry.channel == channel).map(|entry| entry.end)
    }

    /// A moment at which the daemon may be killed. Returns whether it was, and is started again.
    fn is_killed(&mut self, now: Now) -> bool {
        self.moment += 1;
        if !self.kills.contains(&(self.moment - 1)) {
            return false;
        }
        let mut slots = empty();
        let restored = slots.restore(now, BOOT, &self.journal, |channel| self.last_end(channel));
        assert_eq!(restored, if self.journal.is_empty() { Restored::Nothing } else { Restored::State });
        (self.slots, self.is_stale) = (slots, true);
        true
    }

    /// Saves what changed. Returns whether that got through: a write may be cut off in the middle.
    fn save(&mut self, now: Now) -> bool {
        if std::mem::take(&mut self.is_stale) {
            let whole = self.slots.state(BOOT);
            // The old one is there until the new one is whole.
            if self.is_killed(now) {
                return false;
            }
            self.journal = whole;
            return true;
        }
        let changes = self.slots.changes();
        let before = self.journal.len();
        self.journal.extend_from_slice(&changes[..changes.len() / 2]);
        if self.is_killed(now) {
            return false;
        }
        self.journal.truncate(before);
        self.journal.extend_from_slice(&changes);
        true
    }

    /// Returns whether the step got through; a reading that did not is lost.
    fn step(&mut self, now: Now, step: Step) -> bool {
        match step {
            Step::Value(route, value) => _ = self.slots.value(now, route, now.mono, value),
            Step::Trouble(route) => _ = self.slots.trouble(now, route, now.mono, "tank: no answer"),
            Step::Recovered(route) => self.slots.recovered(route),
            Step::Close | Step::Stop => return self.close(now, matches!(step, Step::Stop)),
        }
        if self.is_killed(now) || !self.save(now) {
            return false;
        }
        self.is_killed(now);
        true
    }

    /// As the daemon does it: the spool, a channel's entries in one piece, and then the journal.
    fn close(&mut self, now: Now, all: bool) -> bool {
        let mut closed = Vec::new();
        if all {
            self.slots.close_now(now, |_| true, |entries| closed.push(entries));
        } else {
            self.slots.close_due(now, |entries| closed.push(entries));
        }
        if self.is_killed(now) {
            return self.close(now, all);
        }
        for entries in closed {
            self.spool.extend(entries);
            if self.is_killed(now) {
                return self.close(now, all);
            }
        }
        if !self.save(now) {
            return self.close(now, all);
        }
        self.is_killed(now);
        true
    }

    fn entries(&self) -> BTreeMap<ChannelId, Vec<UntimedEntry>> {
        let mut channels: BTreeMap<ChannelId, Vec<UntimedEntry>> = BTreeMap::new();
        for entry in &self.spool {
            channels.entry(entry.channel).or_default().push(entry.clone());
        }
        for entries in channels.values() {
            assert!(entries.windows(2).all(|pair| pair[0].end < pair[1].end), "twice, or out of order: {entries:#?}");
        }
        channels
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
    assert_eq!(killed.entries(), whole.entries(), "killed at {kills:?}");
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
        // Past the end, before the spread: a entry that waits behind the open slot.
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
    assert_eq!(losses, 2 * readings, "each can be lost in two ways: before it was written, and while it was");
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
    let stale = killed.journal.clone();
    killed.step(now(5.0), Step::Value(1, 1.0));
    killed.step(now(5.0), Step::Close);
    assert_eq!(killed.spool.iter().map(|entry| entry.end).collect::<Vec<_>>(), [at(5.0)]);
    let mut slots = empty();
    assert_eq!(slots.restore(now(6.0), BOOT, &stale, |channel| killed.last_end(channel)), Restored::State);
    assert_eq!(slots.next_close(), None, "though its end was to be 20");
    slots.value(now(6.0), 0, at(6.0), 21.0);
    assert_eq!(slots.channels[0].end, Some(at(20.0)), "15 s after the early close, as the license asks");
    assert!(!slots.value(now(7.0), 1, at(7.0), 0.0), "what is known of the last values is as old as the file");
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
fn state_of_another_version_of_the_format_is_not_taken_and_told() {
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
fn record_that_rotted_costs_its_own_change_and_is_told() {
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
