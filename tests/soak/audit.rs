//! What must be true of a daemon's entries in the end: every reading that it made is in one row of the channel, and in one
//! only. Pure.
//!
//! The soak numbers the readings: the sensor's file holds the number of the next one, and each entry says how many readings
//! it has, and the first and the last of them. So an entry is known by what is in it, whatever time it carries.

use std::collections::BTreeSet;

/// A time that the sensor's file was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// The number that the file showed. Two have the same where this machine was too busy to write the next one between them.
    pub(crate) shown: u64,
    /// When, in milliseconds of UTC.
    pub(crate) at: i64,
    /// It need not be in an entry: it was the start's look for the file, or the last one before a kill (docs/outages.md: "at most one
    /// reading of each sensor").
    pub(crate) excused: bool,
}

/// What an entry says of the readings in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Held {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) count: u64,
}

/// Where the entries are.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    /// Rows of the channel.
    pub(crate) rows: Vec<Held>,
    /// On the list of `gatepost spool`, as unconfirmed.
    pub(crate) unconfirmed: Vec<Held>,
    /// On that list, as waiting.
    pub(crate) waiting: Vec<Held>,
}

/// What came out.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    /// Slots in which the daemon measured.
    pub(crate) due: usize,
    /// Rows.
    pub(crate) stored: usize,
    /// Entries that are no rows, and on the list as unconfirmed.
    pub(crate) unconfirmed: usize,
    /// Entries that are no rows, and still wait.
    pub(crate) waiting: usize,
    /// Slots with a reading that is nowhere.
    pub(crate) lost: usize,
    /// Entries that say they hold a reading that another one holds.
    pub(crate) twice: usize,
}

/// Where a reading is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Nowhere,
    Row,
    Unconfirmed,
    Waiting,
}

/// Looks for each reading in the entries. `readings` are in the order in which they were made; a slot has so many seconds.
pub(crate) fn audit(readings: &[Reading], entries: &Entries, slot_seconds: u32) -> Sums {
    let mut places = vec![Place::Nowhere; readings.len()];
    let mut sums = Sums { stored: entries.rows.len(), ..Sums::default() };
    let mut rows = entries.rows.clone();
    rows.sort_unstable();
    for row in &rows {
        let taken = take(readings, &mut places, row, Place::Row);
        sums.twice += usize::from(taken < row.count);
    }
    for (listed, place) in [(&entries.unconfirmed, Place::Unconfirmed), (&entries.waiting, Place::Waiting)] {
        for entry in listed {
            // What is a row all the same is one: the daemon did not see its echo.
            let is_new = take(readings, &mut places, entry, place) > 0;
            match place {
                Place::Unconfirmed => sums.unconfirmed += usize::from(is_new),
                _ => sums.waiting += usize::from(is_new),
            }
        }
    }
    let slot = |reading: &Reading| reading.at.div_euclid(i64::from(slot_seconds) * 1000);
    let all = || readings.iter().zip(&places);
    let is_lost = |(reading, place): &(&Reading, &Place)| **place == Place::Nowhere && !reading.excused;
    let slots = |wanted: &dyn Fn(&(&Reading, &Place)) -> bool| -> usize {
        all().filter(|one| wanted(one)).map(|(reading, _)| slot(reading)).collect::<BTreeSet<_>>().len()
    };
    sums.due = slots(&|one| *one.1 != Place::Nowhere || is_lost(one));
    sums.lost = slots(&is_lost);
    sums
}

/// Takes the readings that an entry holds, as far as no entry before it holds them. Returns how many it got.
fn take(readings: &[Reading], places: &mut [Place], entry: &Held, place: Place) -> u64 {
    let begin = readings.partition_point(|reading| reading.shown < entry.first);
    let end = readings.partition_point(|reading| reading.shown <= entry.last);
    let mut free: Vec<usize> = (begin..end.max(begin)).filter(|&index| places[index] == Place::Nowhere).collect();
    // Those that need not be in an entry are the first to be missing in it.
    free.sort_by_key(|&index| readings[index].excused);
    let mut taken = 0;
    for index in free.into_iter().take(usize::try_from(entry.count).unwrap_or(usize::MAX)) {
        places[index] = place;
        taken += 1;
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One a second, numbered from 1; those named need not be in an entry.
    fn readings(count: u64, excused: &[u64]) -> Vec<Reading> {
        let at = |shown: u64| i64::try_from(shown).expect("small") * 1000 - 1000;
        (1..=count).map(|shown| Reading { shown, at: at(shown), excused: excused.contains(&shown) }).collect()
    }

    fn held(first: u64, last: u64) -> Held {
        Held { first, last, count: last + 1 - first }
    }

    fn rows(rows: &[Held]) -> Entries {
        Entries { rows: rows.to_vec(), ..Entries::default() }
    }

    #[test]
    fn every_reading_in_one_row_is_what_is_wanted() {
        let sums = audit(&readings(6, &[]), &rows(&[held(1, 2), held(5, 6), held(3, 4)]), 2);
        assert_eq!(sums, Sums { due: 3, stored: 3, ..Sums::default() });
    }

    #[test]
    fn a_slot_of_which_a_reading_is_nowhere_is_lost() {
        let sums = audit(&readings(6, &[]), &rows(&[held(1, 2), held(5, 5)]), 2);
        assert_eq!(sums, Sums { due: 3, stored: 2, lost: 2, ..Sums::default() });
        // Within an entry, too.
        let holed = Held { first: 1, last: 4, count: 3 };
        assert_eq!(audit(&readings(4, &[]), &rows(&[holed]), 4).lost, 1);
    }

    #[test]
    fn what_need_not_be_in_an_entry_may_be_missing_or_there() {
        let readings = readings(6, &[1, 4]);
        // The first one looked for the file; the fourth was the last before a kill, in the slot that then went on.
        let sums = audit(&readings, &rows(&[held(2, 2), held(3, 3), held(5, 6)]), 2);
        assert_eq!(sums, Sums { due: 3, stored: 3, ..Sums::default() });
        let sums = audit(&readings, &rows(&[held(2, 2), held(3, 4), held(5, 6)]), 2);
        assert_eq!(sums, Sums { due: 3, stored: 3, ..Sums::default() });
        // A slot in which nothing else was read is not due.
        let sums = audit(&readings[3..4], &rows(&[]), 2);
        assert_eq!(sums, Sums::default());
        // A restart within a slot: its look stands between the readings of the entry.
        let gone_on = Held { first: 2, last: 6, count: 4 };
        assert_eq!(audit(&readings, &rows(&[gone_on]), 6).lost, 0);
    }

    #[test]
    fn a_reading_in_two_rows_is_stored_twice() {
        assert_eq!(audit(&readings(4, &[]), &rows(&[held(1, 2), held(1, 2), held(3, 4)]), 2).twice, 1);
        assert_eq!(audit(&readings(4, &[]), &rows(&[held(1, 2), held(2, 4)]), 2).twice, 1);
        // Also where an entry claims more than was read.
        assert_eq!(audit(&readings(2, &[]), &rows(&[Held { first: 1, last: 2, count: 3 }]), 2).twice, 1);
    }

    #[test]
    fn an_entry_on_the_list_is_neither_lost_nor_twice() {
        let entries =
            Entries { rows: vec![held(1, 2)], unconfirmed: vec![held(1, 2), held(3, 4)], waiting: vec![held(5, 6)] };
        let sums = audit(&readings(6, &[]), &entries, 2);
        assert_eq!(sums, Sums { due: 3, stored: 1, unconfirmed: 1, waiting: 1, ..Sums::default() });
    }

    #[test]
    fn two_readings_that_saw_the_same_number_may_be_in_two_entries() {
        let mut readings = readings(4, &[]);
        readings[2].shown = 2;
        let sums = audit(&readings, &rows(&[held(1, 2), Held { first: 2, last: 4, count: 2 }]), 2);
        assert_eq!(sums, Sums { due: 2, stored: 2, ..Sums::default() });
    }
}
