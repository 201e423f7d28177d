//! The seconds of a channel that were given to entries: none of them is given again.
//!
//! A channel whose slots are all there takes an arithmetic series of seconds, which is one [`Run`] however long it is. What
//! breaks the series (a slot that was left out, an early close, a step of the clock) begins another one. The oldest runs are
//! forgotten beyond [`MOST`], so that memory is bounded; a clock that steps back so far may lead to a second that the service
//! then refuses, and the entry is given another one (`uplink::session`).
//!
//! Entries that were pushed before the time was known share one answer, the beginning of their boot. Their seconds are known
//! as a *span* from the first to the last: no other entry gets a second in it, and only their own may have it.

use std::collections::VecDeque;
use std::time::Duration;

use minicbor::decode::{self, Decoder};
use minicbor::encode::{self, Encoder, Write};
use minicbor::{CborLen, Decode, Encode};

use crate::time::{CLOCK, Mono, Now, Utc};

/// The resolution of an entry's time.
pub(super) const SECOND: Duration = Duration::from_secs(1);
/// Runs that are kept in memory: without a gap they last for ever, and with a gap at each slot for 512 slots.
const MOST: usize = 512;
/// The newest runs are looked at for one that goes on.
const OPEN: usize = 8;
/// Two seconds that lie further apart are no series.
const LONGEST_STEP: i64 = 86_400;
/// A free second is looked for one by one so often; then the first one behind the runs that were met is taken. Runs that interlock for so long
/// are rubbish with a good checksum.
const PATIENCE: usize = 100_000;

/// Seconds in equal steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, CborLen)]
struct Run {
    #[n(0)]
    first: i64,
    #[n(1)]
    step: i64,
    #[n(2)]
    count: i64,
}

impl Run {
    const fn last(&self) -> i64 {
        self.first + self.step * (self.count - 1)
    }

    const fn has(&self, second: i64) -> bool {
        let since = second.wrapping_sub(self.first);
        since >= 0 && second <= self.last() && since % self.step == 0
    }

    /// The greatest of its seconds that is not after this one.
    const fn last_until(&self, second: i64) -> Option<i64> {
        if second < self.first {
            return None;
        }
        if second >= self.last() { Some(self.last()) } else { Some(second - (second - self.first) % self.step) }
    }
}

/// The seconds that a channel has given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(super) struct Taken {
    /// Those of single entries, in the order of giving.
    #[cbor(n(1), decode_with = "decode_runs")]
    entries: VecDeque<Run>,
    /// Those of boots whose entries had no time at first.
    #[cbor(n(0), decode_with = "decode_runs")]
    spans: VecDeque<Run>,
    /// Some were forgotten, since they were too many. It is not written: whoever reads has what was kept.
    #[cbor(skip)]
    forgot: bool,
}

impl Taken {
    /// Whether a second was given, to an entry or to a boot.
    #[cfg(test)]
    pub(super) fn has(&self, at: Utc) -> bool {
        self.has_entry(at) || self.spans.iter().any(|run| run.has(at.seconds()))
    }

    /// Whether it was given to a single entry.
    pub(super) fn has_entry(&self, at: Utc) -> bool {
        self.entries.iter().any(|run| run.has(at.seconds()))
    }

    /// Gives a second to an entry. One that was given already is no news.
    pub(super) fn give(&mut self, at: Utc) {
        let second = at.seconds();
        if self.has_entry(at) {
            return;
        }
        let goes_on = |run: &&mut Run| run.count > 1 && second == run.last() + run.step;
        if let Some(run) = self.entries.iter_mut().rev().take(OPEN).find(goes_on) {
            run.count += 1;
            return;
        }
        match self.entries.back_mut() {
            Some(single) if single.count == 1 && (1..=LONGEST_STEP).contains(&(second - single.first)) => {
                (single.step, single.count) = (second - single.first, 2);
            }
            _ => self.forgot |= push(&mut self.entries, Run { first: second, step: 1, count: 1 }),
        }
    }

    /// Whether some were forgotten, since they were too many.
    pub(super) const fn has_forgotten(&self) -> bool {
        self.forgot
    }

    /// Gives a draft that ended at `end` a second: that end by the wall clock, or the next one that is free.
    pub(super) fn give_end(&mut self, now: Now, end: Mono) -> Utc {
        let own = Utc::from_seconds((now.utc_at(end) + SECOND / 2).seconds());
        let at = self.free_from(own, &|_| false);
        self.give(at);
        at
    }

    /// Gives a boot the seconds from the first to the last of its entries.
    pub(super) fn give_span(&mut self, first: Utc, last: Utc) {
        let run = Run { first: first.seconds(), step: 1, count: (last.seconds() - first.seconds()).max(0) + 1 };
        if !is_within(&run, &self.spans) {
            self.forgot |= push(&mut self.spans, run);
        }
    }

    /// The first second from this one on that was not given, and that is not `taken` by somebody else's row.
    pub(super) fn free_from(&self, at: Utc, taken: &dyn Fn(Utc) -> bool) -> Utc {
        let mut second = at.seconds();
        let mut met = second;
        for _ in 0..PATIENCE {
            let run = self.entries.iter().chain(&self.spans).find(|run| run.has(second));
            met = met.max(run.map_or(second, Run::last));
            match run {
                // Nothing is free between the seconds of such a run.
                Some(run) if run.step == 1 => second = run.last() + 1,
                Some(_) => second += 1,
                None if taken(Utc::from_seconds(second)) => second += 1,
                None => return Utc::from_seconds(second),
            }
        }
        Utc::from_seconds(met + 1)
    }

    /// Where a span that would begin at `first` can begin, so that it holds no second that was given.
    pub(super) fn room_for(&self, first: Utc, length: Duration) -> Utc {
        let length = i64::try_from(length.as_secs()).unwrap_or(i64::MAX);
        let mut from = first.seconds();
        let meets =
            |run: &&Run, from: i64| run.last_until(from.saturating_add(length)).is_some_and(|last| last >= from);
        // Each step goes behind a run for good.
        while let Some(run) = self.entries.iter().chain(&self.spans).find(|run| meets(run, from)) {
            from = run.last() + 1;
        }
        Utc::from_seconds(from)
    }

    /// The latest second that was given and is not after this one.
    pub(super) fn latest_until(&self, at: Utc) -> Option<Utc> {
        let runs = self.entries.iter().chain(&self.spans);
        runs.filter_map(|run| run.last_until(at.seconds())).max().map(Utc::from_seconds)
    }

    /// Takes in what another record of the same channel knows, the older of the two.
    pub(super) fn learn(&mut self, older: &Self) {
        for (mine, theirs) in [(&mut self.entries, &older.entries), (&mut self.spans, &older.spans)] {
            for run in theirs.iter().rev().filter(|run| !is_within(run, mine)).copied().collect::<Vec<_>>() {
                if mine.len() < MOST {
                    mine.push_front(run);
                } else {
                    self.forgot = true;
                }
            }
        }
    }

    /// The newest of them, which are written in at most so many bytes.
    pub(super) fn newest(&self, most: usize) -> Self {
        let mut newest = Self { forgot: self.forgot, ..Self::default() };
        let mut room = most.saturating_sub(1);
        // Spans are few: a boot without a clock makes one.
        for (runs, chosen) in [(&self.spans, &mut newest.spans), (&self.entries, &mut newest.entries)] {
            room = room.saturating_sub(LONGEST_COUNT);
            for run in runs.iter().rev() {
                let Some(left) = room.checked_sub(minicbor::len(run)) else { break };
                room = left;
                chosen.push_front(*run);
            }
            newest.forgot |= chosen.len() < runs.len();
        }
        newest
    }
}

/// What the number of runs takes at most, in bytes.
const LONGEST_COUNT: usize = 3;

/// Writes the newest runs in `MOST` bytes, for `#[cbor(encode_with = "…")]`.
pub(super) fn encode_newest<const MOST: usize, C, W: Write>(
    taken: &Taken,
    to: &mut Encoder<W>,
    context: &mut C,
) -> Result<(), encode::Error<W::Error>> {
    taken.newest(MOST).encode(to, context)
}

/// Reads runs, and leaves out those that lie beyond the times that are kept, as those of a clock that is centuries ahead.
fn decode_runs<C>(from: &mut Decoder<'_>, context: &mut C) -> Result<VecDeque<Run>, decode::Error> {
    let at = from.position();
    let mut runs = VecDeque::new();
    for (index, run) in from.array_iter_with::<_, Run>(context)?.enumerate() {
        let run = run?;
        let last = run.count.checked_sub(1).and_then(|steps| run.step.checked_mul(steps)?.checked_add(run.first));
        match last {
            Some(last) if index < MOST => {
                let is_run = run.step >= 1 && run.count >= 1 && CLOCK.contains(&run.first) && CLOCK.contains(&last);
                runs.extend(is_run.then_some(run));
            }
            _ => return Err(decode::Error::message("these are not seconds").at(at)),
        }
    }
    Ok(runs)
}

/// Adds the newest run. Returns whether the oldest had to go for it.
fn push(runs: &mut VecDeque<Run>, run: Run) -> bool {
    let is_full = runs.len() >= MOST;
    if is_full {
        runs.pop_front();
    }
    runs.push_back(run);
    is_full
}

/// Whether another run has all of its seconds.
fn is_within(run: &Run, others: &VecDeque<Run>) -> bool {
    let has_it = |other: &Run| {
        let step_fits = run.count == 1 || run.step % other.step == 0;
        other.has(run.first) && other.has(run.last()) && step_fits
    };
    others.iter().any(has_it)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::store::codec;

    fn at(second: i64) -> Utc {
        Utc::from_seconds(second)
    }

    fn nobody(_: Utc) -> bool {
        false
    }

    fn copied(taken: &Taken, most: usize) -> Taken {
        let bytes = codec::encode(&taken.newest(most));
        assert!(bytes.len() <= most, "{} bytes of {most}", bytes.len());
        codec::decode(&bytes).expect("it was written like that")
    }

    #[test]
    fn a_year_of_slots_is_one_run_and_a_slot_that_was_left_out_begins_another() {
        let mut taken = Taken::default();
        (0..1_500_000).for_each(|slot| taken.give(at(slot * 20)));
        assert_eq!(taken.entries.len(), 1);
        (1_500_001..1_500_010).for_each(|slot| taken.give(at(slot * 20)));
        assert_eq!(taken.entries.len(), 2);
        assert!(taken.has(at(20)) && !taken.has(at(21)) && !taken.has(at(1_500_000 * 20)));
    }

    #[test]
    fn an_entry_that_was_moved_by_a_second_does_not_break_the_series() {
        let mut taken = Taken::default();
        for slot in 0..100 {
            taken.give(at(slot * 20));
            if slot == 50 {
                taken.give(at(slot * 20 + 1));
            }
        }
        assert_eq!(taken.entries.len(), 2);
    }

    #[test]
    fn a_second_that_was_given_is_passed_over_and_those_between_are_free() {
        let mut taken = Taken::default();
        (0..10).for_each(|slot| taken.give(at(slot * 2)));
        assert_eq!(taken.free_from(at(4), &nobody), at(5));
        assert_eq!(taken.free_from(at(4), &|at| at.seconds() == 5), at(7));
        (0..10).for_each(|slot| taken.give(at(slot * 2 + 1)));
        assert_eq!(taken.free_from(at(4), &nobody), at(20));
        assert_eq!(taken.free_from(at(-3), &nobody), at(-3));
    }

    #[test]
    fn a_boots_seconds_are_for_its_own_entries_alone() {
        let mut taken = Taken::default();
        taken.give_span(at(100), at(160));
        assert!(taken.has(at(130)) && !taken.has_entry(at(130)));
        assert_eq!(taken.free_from(at(130), &nobody), at(161));
        assert_eq!(taken.latest_until(at(1000)), Some(at(160)));
        assert_eq!(taken.latest_until(at(120)), Some(at(120)));
        assert_eq!(taken.latest_until(at(99)), None);
    }

    #[test]
    fn a_span_finds_room_behind_what_it_would_meet() {
        let mut taken = Taken::default();
        (0..10).for_each(|slot| taken.give(at(slot * 20)));
        taken.give_span(at(200), at(260));
        let room = |first, length| taken.room_for(at(first), Duration::from_secs(length)).seconds();
        assert_eq!(room(1, 18), 1, "between two slots");
        assert_eq!(room(1, 19), 261, "it would meet the slot at 20, and behind the slots the span");
        assert_eq!(room(-50, 40), -50);
    }

    #[test]
    fn memory_and_record_are_bounded_and_the_newest_stay() {
        let mut taken = Taken::default();
        // Gaps that grow by one are no series.
        let mut second = 0;
        for gap in 1..3000 {
            second += gap;
            taken.give(at(second));
        }
        assert!(taken.entries.len() <= MOST);
        assert!(taken.has(at(second)));
        for most in [8, 64, 256, 8000] {
            let copy = copied(&taken, most);
            assert_eq!(copy.has(at(second)), most >= 16, "{most}");
        }
        assert!(taken.has_forgotten());
        assert_eq!(copied(&taken, 8000).entries, taken.entries);
    }

    #[test]
    fn what_an_older_record_knows_is_added_once() {
        let (mut old, mut new) = (Taken::default(), Taken::default());
        (0..5).for_each(|slot| old.give(at(slot * 20)));
        (3..9).for_each(|slot| new.give(at(slot * 20)));
        new.learn(&old);
        new.learn(&old);
        assert_eq!(new.entries.len(), 2);
        assert!((0..9).all(|slot| new.has(at(slot * 20))));
        let before = new.clone();
        new.learn(&before);
        assert_eq!(new, before);
    }

    proptest! {
        #[test]
        fn what_was_given_is_taken_and_nothing_else(seconds in prop::collection::vec(0_i64..400, 0..300)) {
            let mut taken = Taken::default();
            let mut model = BTreeSet::new();
            for second in seconds {
                let given = taken.free_from(at(second), &nobody);
                let free = (second..1000).find(|second| !model.contains(second)).expect("there is always one");
                prop_assert_eq!(given, at(free));
                taken.give(given);
                model.insert(free);
            }
            for copy in [copied(&taken, 8000), taken] {
                for second in -1..800 {
                    prop_assert_eq!(copy.has(at(second)), model.contains(&second), "{}", second);
                }
            }
        }

        #[test]
        fn any_bytes_are_read_without_a_panic_and_leave_a_record_that_works(
            bytes in prop::collection::vec(any::<u8>(), 0..200), second in -10_i64..10,
        ) {
            if let Ok(mut taken) = codec::decode::<Taken>(&bytes) {
                taken.give(at(second));
                prop_assert!(taken.has(at(second)));
                let free = taken.free_from(at(second), &nobody);
                prop_assert!(!taken.has(free));
                prop_assert!(taken.latest_until(free).is_some());
            }
        }
    }
}
