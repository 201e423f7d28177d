//! Kills at every point of a script, against the same script without them.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Value(usize, f64),
    Trouble(usize),
    Recovered(usize),
    Close,
    Stop,
}

/// A daemon that is killed at some of its moments, with what outlives it: the journal and the spool.
pub(super) struct Killed {
    pub(super) slots: Slots,
    pub(super) journal: Vec<u8>,
    /// The journal is another process's until it is written as a whole.
    is_stale: bool,
    spool: Vec<UntimedEntry>,
    kills: BTreeSet<usize>,
    /// How many moments there were.
    moment: usize,
}

impl Killed {
    pub(super) fn at(kills: BTreeSet<usize>) -> Self {
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
    pub(super) fn step(&mut self, now: Now, step: Step) -> bool {
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

pub(super) fn script() -> Vec<(f64, Step)> {
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
}
