//! Thinning: neighbours of a backlog are merged instead of being dropped.
//!
//! A merged entry has the last one's time, and each column is reduced by its own reduce with the counts of what it
//! stands for, so that a mean stays the mean of all its readings and a sum stays their sum.

use std::time::Duration;

use crate::entry::{Cell, Form, Reduce, UntimedEntry, Vector, denoised};
use crate::spool::queued::Queued;
use crate::spool::records::Time;

/// Merges runs of entries whose times lie in the same stretch of `within`. What is taken, and what is published by its field,
/// stays as it is. The order is kept.
pub(super) fn merge_neighbours(entries: impl IntoIterator<Item = Queued>, within: Duration) -> Vec<Queued> {
    let stretch = i64::try_from(within.as_millis()).unwrap_or(i64::MAX).max(1);
    // Its clock, and the stretch on it. A slot's end belongs to the stretch it closes.
    let place = |one: &Queued| {
        let (clock, at) = match one.record.time {
            Time::Known(at) => (None, at.millis()),
            Time::Claimed(_) => (Some(one.boot), one.record.draft.end.millis()),
        };
        (clock, (at - 1).div_euclid(stretch))
    };
    let may_merge = |one: &Queued| !one.taken && one.record.draft.form == Form::Feed;
    let mut thin: Vec<Queued> = Vec::new();
    for mut newer in entries {
        if let Some(older) = thin.pop_if(|older| may_merge(older) && may_merge(&newer) && place(older) == place(&newer))
        {
            merge_into(&mut newer.record.draft, &older.record.draft);
        }
        thin.push(newer);
    }
    thin
}

fn merge_into(newer: &mut UntimedEntry, older: &UntimedEntry) {
    for (newer, older) in newer.cells.iter_mut().zip(&older.cells) {
        *newer = match (*newer, *older) {
            (Some(newer), Some(older)) => Some(merge_cells(older, newer)),
            (newer, older) => newer.or(older),
        };
    }
    if newer.status.is_none() {
        newer.status.clone_from(&older.status);
    }
}

fn merge_cells(older: Cell, newer: Cell) -> Cell {
    let weight = older.weight + newer.weight;
    let weights = [older, newer].map(|cell| f64::from(cell.weight));
    let noise = 4.0 * f64::EPSILON * older.value.abs().max(newer.value.abs());
    let value = match newer.reduce {
        Reduce::Mean => {
            let sum = older.value * weights[0] + newer.value * weights[1];
            denoised(sum / (weights[0] + weights[1]), noise)
        }
        Reduce::Min => older.value.min(newer.value),
        Reduce::Max => older.value.max(newer.value),
        Reduce::Last => newer.value,
        Reduce::First => older.value,
        Reduce::Sum | Reduce::Count => denoised(older.value + newer.value, noise),
        Reduce::Direction => return merge_directions(older, newer),
    };
    // A sum beyond all numbers is none.
    if value.is_finite() { Cell { value, weight, ..newer } } else { newer }
}

/// The direction of all readings that the two stand for: a cell knows the length of its readings' sum.
fn merge_directions(older: Cell, newer: Cell) -> Cell {
    let [one, other] = [older, newer].map(|cell| Vector::new(cell.value, f64::from(cell.weight)));
    let sum = one.plus(other);
    // Where they cancel out, one of the two is as good as the other; it weighs nothing in what comes.
    let value = sum.direction((older.weight + newer.weight).into(), f32::EPSILON.into()).unwrap_or(newer.value);
    Cell { value, weight: sum.weight(), ..newer }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Cells, ChannelId, Key};
    use crate::spool::records::EntryRecord;
    use crate::time::{BootId, Mono, Utc};

    /// An entry of this second with one column.
    fn queued(second: u64, cell: Cell) -> Queued {
        let end = Mono::new(Duration::from_secs(second));
        let mut cells = Cells::default();
        cells[0] = Some(cell);
        let draft = UntimedEntry { channel: ChannelId(7), end, cells, status: None, form: Form::Feed };
        let time = Time::Known(Utc::default() + Duration::from_secs(second));
        Queued::new(EntryRecord { key: Key(second), since: end, time, draft }, BootId(1))
    }

    /// What is left of entries of these seconds where those of a minute are merged: the seconds, and the first one's cell.
    fn thin(entries: impl IntoIterator<Item = (u64, Cell)>) -> (Vec<u64>, Cell) {
        let entries = entries.into_iter().map(|(second, cell)| queued(second, cell));
        let thin = merge_neighbours(entries, Duration::from_secs(60));
        let seconds = thin.iter().map(|one| one.record.key.0).collect();
        (seconds, thin[0].record.draft.cells[0].expect("field1"))
    }

    #[test]
    fn entries_of_a_stretch_become_one_with_the_time_of_its_last_and_a_mean_stays_a_mean() {
        let values = [(15, 1.0, 1), (30, 4.0, 3), (45, 2.0, 2), (60, 10.0, 4), (75, 8.0, 1), (90, 6.0, 1)];
        let (seconds, cell) =
            thin(values.map(|(second, value, count)| (second, Cell::new(value, count, Reduce::Mean))));
        assert_eq!(seconds, [60, 90]);
        assert_eq!(cell.readings(), 10);
        assert!((cell.value - 5.7).abs() < 1e-12, "(1·1 + 4·3 + 2·2 + 10·4) / 10, got {}", cell.value);
    }

    #[test]
    fn wind_across_north_stays_north_when_it_is_thinned() {
        let values = [(15, 350.0, 1), (30, 10.0, 1), (45, 20.0, 2), (60, 340.0, 2), (75, 8.0, 1), (90, 6.0, 1)];
        let (_, cell) = thin(values.map(|(second, value, count)| (second, Cell::new(value, count, Reduce::Direction))));
        assert_eq!((cell.text().as_deref(), cell.reduce), (Some("0"), Reduce::Direction));
        // 2 cos 10° + 4 cos 20°, of six.
        assert!((cell.weight - 5.728_39).abs() < 1e-4, "{cell:?}");
    }

    #[test]
    fn readings_that_disagree_weigh_less_when_a_direction_is_thinned() {
        // A calm of 100 readings from everywhere, and three of a wind.
        let values =
            [(15, 200.0, 0.01), (30, 350.0, 1.0), (45, 10.0, 1.0), (60, 20.0, 1.0), (75, 0.0, 1.0), (90, 0.0, 1.0)];
        let cell = |value, weight| Cell { weight, ..Cell::new(value, 1, Reduce::Direction) };
        let (_, cell) = thin(values.map(|(second, value, weight)| (second, cell(value, weight))));
        assert!((cell.value - 6.7).abs() < 0.1, "{cell:?}");
    }

    #[test]
    fn merged_means_and_sums_have_no_binary_noise() {
        for (reduce, values, text) in [
            (Reduce::Mean, [67.01, 67.01, 67.01], "67.01"),
            (Reduce::Mean, [0.1, 0.2, 0.6], "0.3"),
            (Reduce::Sum, [0.1, 0.2, 0.2794], "0.5794"),
        ] {
            let (seconds, cell) = thin([20, 40, 60].into_iter().zip(values.map(|value| Cell::new(value, 1, reduce))));
            assert_eq!((seconds, cell.text().as_deref()), (vec![60], Some(text)));
        }
    }

    #[test]
    fn what_is_taken_and_what_is_a_bare_value_is_not_merged() {
        let mut entries = [10, 20, 30, 40].map(|second| queued(second, Cell::new(1.0, 1, Reduce::Sum)));
        entries[0].taken = true;
        entries[2].record.draft.form = Form::Field;
        let keys = |entries: &[Queued]| entries.iter().map(|one| one.record.key.0).collect::<Vec<_>>();
        assert_eq!(keys(&merge_neighbours(entries.clone(), Duration::from_secs(60))), [10, 20, 30, 40]);
        entries[2].record.draft.form = Form::Feed;
        let thin = merge_neighbours(entries, Duration::from_secs(60));
        assert_eq!(keys(&thin), [10, 40]);
        assert_eq!(thin[1].record.draft.cells[0].expect("field1").value.to_bits(), 3f64.to_bits());
    }
}
