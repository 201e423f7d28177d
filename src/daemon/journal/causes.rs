//! How much a cause may write into the log. Pure: it takes `now`, and what it is told of lines.
//!
//! A cause is a kind of event and whom it is about, whatever the words. Its first [`BURST`] lines are told as they come, and one
//! more for each [`REFILL`] that goes by. What comes beyond is counted, and told as one line: after a minute at first, then after
//! two, four, eight, and every [`LONGEST`] for as long as it goes on. So a cause writes some four hundred lines a day at most,
//! and what happens rarely is told as it happens.
//!
//! What is kept is bounded: a number and the last line a cause, and [`MOST`] causes. The kinds share what is beyond.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::time::Mono;

/// Lines of a cause that are told at once: as many as somebody reads who tries an output by hand.
pub(super) const BURST: u32 = 20;
/// How long until one more is told.
pub(super) const REFILL: Duration = Duration::from_secs(300);
/// When the first of the others are told.
pub(super) const FIRST: Duration = Duration::from_secs(60);
/// When they are told at the latest, in a spell that lasts.
pub(super) const LONGEST: Duration = Duration::from_secs(960);
/// Causes that are told apart: a sensor, an output or a channel of a large map each. One takes a hundred bytes.
pub(super) const MOST: usize = 1024;

/// What a line is about, as numbers that do not grow with what a peer sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cause {
    /// Which kind of event.
    pub(super) kind: u64,
    /// Whom it is about.
    pub(super) subject: u64,
}

/// What becomes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is told.
    Tell,
    /// It is told, and the next ones are counted.
    TellLast,
    /// It is counted.
    Count,
}

/// Lines that were counted and not told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Counted<L> {
    /// How many.
    pub(super) lines: u64,
    /// Since the first of them.
    pub(super) within: Duration,
    /// The last of them.
    pub(super) last: L,
}

/// The causes of a log, with what is kept of each. `L` is what is kept of a line.
#[derive(Debug)]
pub(super) struct Causes<L> {
    spells: BTreeMap<Cause, Spell<L>>,
    /// When something is to be told.
    due: Option<Mono>,
}

#[derive(Debug)]
struct Spell<L> {
    /// When all of its lines may be told again.
    calm_at: Mono,
    counted: Option<(Mono, Counted<L>)>,
    /// How long what is counted waits.
    wait: Duration,
    /// When its last line came.
    last: Mono,
}

impl<L> Default for Causes<L> {
    fn default() -> Self {
        Self { spells: BTreeMap::new(), due: None }
    }
}

impl<L> Causes<L> {
    /// Takes a line; `keep` is called where it is counted.
    pub(super) fn line(&mut self, now: Mono, cause: Cause, keep: impl FnOnce() -> L) -> Verdict {
        let cause = self.cause(now, cause);
        let new = Spell { calm_at: now, counted: None, wait: FIRST, last: now };
        let spell = self.spells.entry(cause).or_insert(new);
        let verdict = spell.line(now, keep);
        if let (Verdict::Count, Some((since, _))) = (verdict, &spell.counted) {
            let due = *since + spell.wait;
            self.due = Some(self.due.map_or(due, |other| other.min(due)));
        }
        verdict
    }

    /// What was counted and is to be told now. Forgets causes that are calm.
    pub(super) fn due(&mut self, now: Mono) -> Vec<Counted<L>> {
        if self.due.is_none_or(|due| due > now) {
            return Vec::new();
        }
        self.take(now, |since, wait| since + wait <= now)
    }

    /// Everything that was counted: the log ends.
    pub(super) fn all(&mut self, now: Mono) -> Vec<Counted<L>> {
        self.take(now, |_, _| true)
    }

    fn take(&mut self, now: Mono, is_due: impl Fn(Mono, Duration) -> bool) -> Vec<Counted<L>> {
        let told = self.spells.values_mut().filter_map(|spell| spell.take(now, &is_due)).collect();
        self.due = self.spells.values().filter_map(Spell::due).min();
        self.spells.retain(|_, spell| !spell.is_calm(now));
        told
    }

    /// The cause under which a line counts: where there is no room for another one, its kind.
    fn cause(&mut self, now: Mono, cause: Cause) -> Cause {
        if self.spells.len() < MOST || self.spells.contains_key(&cause) {
            return cause;
        }
        self.spells.retain(|_, spell| !spell.is_calm(now));
        if self.spells.len() < MOST { cause } else { Cause { subject: 0, ..cause } }
    }
}

impl<L> Spell<L> {
    fn line(&mut self, now: Mono, keep: impl FnOnce() -> L) -> Verdict {
        let pause = now.since(std::mem::replace(&mut self.last, now));
        if let Some((_, counted)) = &mut self.counted {
            counted.lines += 1;
            counted.last = keep();
            return Verdict::Count;
        }
        if pause >= self.wait {
            self.wait = FIRST;
        }
        let calm_at = self.calm_at.max(now) + REFILL;
        let debt = calm_at.since(now);
        if debt > REFILL * BURST {
            self.counted = Some((now, Counted { lines: 1, within: Duration::ZERO, last: keep() }));
            return Verdict::Count;
        }
        self.calm_at = calm_at;
        if debt + REFILL > REFILL * BURST { Verdict::TellLast } else { Verdict::Tell }
    }

    fn take(&mut self, now: Mono, is_due: impl Fn(Mono, Duration) -> bool) -> Option<Counted<L>> {
        let (since, counted) = self.counted.take_if(|(since, _)| is_due(*since, self.wait))?;
        self.wait = (self.wait * 2).min(LONGEST);
        Some(Counted { within: now.since(since), ..counted })
    }

    fn due(&self) -> Option<Mono> {
        self.counted.as_ref().map(|(since, _)| *since + self.wait)
    }

    /// Whether forgetting it changes nothing.
    fn is_calm(&self, now: Mono) -> bool {
        self.counted.is_none() && self.calm_at <= now && now.since(self.last) >= self.wait
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CAUSE: Cause = Cause { kind: 1, subject: 7 };

    fn at(seconds: u64) -> Mono {
        Mono::new(Duration::from_secs(3600 + seconds))
    }

    /// So many lines at once, numbered from 1. How many were told.
    fn flood(causes: &mut Causes<u64>, now: Mono, lines: u64) -> u64 {
        let mut told = 0;
        for line in 1..=lines {
            told += u64::from(causes.line(now, CAUSE, || line) != Verdict::Count);
        }
        told
    }

    #[test]
    fn first_lines_are_told_and_the_others_counted_and_told_after_a_minute() {
        let mut causes = Causes::default();
        assert_eq!(flood(&mut causes, at(0), 432), 20);
        assert_eq!(causes.due(at(59)), []);
        let counted = Counted { lines: 412, within: Duration::from_secs(60), last: 432 };
        assert_eq!(causes.due(at(60)), [counted]);
        assert_eq!((causes.due(at(600)), causes.all(at(600))), (vec![], vec![]), "once");
    }

    #[test]
    fn last_line_that_is_told_says_so() {
        let mut causes = Causes::default();
        let verdicts: Vec<Verdict> = (0..21).map(|line| causes.line(at(line), CAUSE, || line)).collect();
        assert!(verdicts[..19].iter().all(|verdict| *verdict == Verdict::Tell), "{verdicts:?}");
        assert_eq!(verdicts[19..], [Verdict::TellLast, Verdict::Count]);
    }

    #[test]
    fn flood_that_lasts_is_told_ever_more_rarely_and_one_after_a_pause_soon_again() {
        let mut causes = Causes::default();
        flood(&mut causes, at(0), 20);
        let mut told = Vec::new();
        for second in 1..7200 {
            causes.line(at(second), CAUSE, || second);
            told.extend(causes.due(at(second)).into_iter().map(|counted| counted.within.as_secs()));
        }
        assert_eq!(told[..6], [60, 120, 240, 480, 960, 960]);
        causes.all(at(7200));
        flood(&mut causes, at(20_000), 1000);
        assert_eq!(causes.due(at(20_060)).len(), 1);
    }

    #[test]
    fn day_of_a_line_a_second_is_some_four_hundred_lines_of_log() {
        let mut causes = Causes::default();
        let (mut told, mut of_them) = (0_usize, 0_u64);
        for second in 0..86_400 {
            if causes.line(at(second), CAUSE, || second) != Verdict::Count {
                (told, of_them) = (told + 1, of_them + 1);
            }
            for counted in causes.due(at(second)) {
                (told, of_them) = (told + 1, of_them + counted.lines);
            }
        }
        of_them += causes.all(at(86_400)).iter().map(|counted| counted.lines).sum::<u64>();
        assert_eq!(of_them, 86_400);
        assert!(told <= 400, "{told}");
    }

    #[test]
    fn what_happens_every_five_minutes_is_told_each_time() {
        let mut causes = Causes::default();
        for time in 0..500 {
            assert_ne!(causes.line(at(time * 300), CAUSE, || ()), Verdict::Count);
        }
    }

    #[test]
    fn causes_do_not_take_each_others_lines_and_are_forgotten_when_they_are_calm() {
        let mut causes = Causes::default();
        flood(&mut causes, at(0), 1000);
        let other = Cause { subject: 8, ..CAUSE };
        assert_eq!(causes.line(at(0), other, || 0), Verdict::Tell);
        causes.all(at(1));
        assert_eq!(causes.spells.len(), 2);
        causes.all(at(301));
        assert_eq!(causes.spells.len(), 1, "the other is as new");
        causes.all(at(6001));
        assert!(causes.spells.is_empty());
    }

    #[test]
    fn subjects_without_end_share_the_room_of_their_kind() {
        let mut causes = Causes::default();
        let (subjects, mut told) = (100_000, 0);
        for subject in 0..subjects {
            told += u64::from(
                causes.line(at(0), Cause { kind: subject % 3, subject: subject + 1 }, || ()) != Verdict::Count,
            );
        }
        assert!(causes.spells.len() <= MOST + 3, "{}", causes.spells.len());
        assert_eq!(told, MOST as u64 + 3 * u64::from(BURST));
        let counted: u64 = causes.all(at(1)).iter().map(|counted| counted.lines).sum();
        assert_eq!(told + counted, subjects);
    }

    proptest! {
        #[test]
        fn every_line_is_told_or_counted_and_nothing_waits_for_longer_than_it_may(
            lines in prop::collection::vec((0..400_u64, 0..4_u64), 0..400),
        ) {
            let mut causes = Causes::default();
            let (mut now, mut told, total) = (0, 0, lines.len() as u64);
            for (wait, subject) in lines {
                now += wait;
                for counted in causes.due(at(now)) {
                    prop_assert!(counted.within <= LONGEST + Duration::from_secs(wait));
                    told += counted.lines;
                }
                let verdict = causes.line(at(now), Cause { kind: 1, subject }, || ());
                told += u64::from(verdict != Verdict::Count);
            }
            told += causes.all(at(now)).iter().map(|counted| counted.lines).sum::<u64>();
            prop_assert_eq!(told, total);
        }
    }
}
