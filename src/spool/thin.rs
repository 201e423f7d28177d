//! Thinning: neighbours of a backlog are merged instead of being dropped.
//!
//! A merged entry has the last one's time, and each column is reduced by its own reduce with the counts of what it
//! stands for, so that a mean stays the mean of all its readings and a sum stays their sum.

use std::time::Duration;

use crate::entry::{Cell, Form, Reduce, UntimedEntry, Vector, denoised};
use crate::time::BootId;

/// An entry of a backlog, as thinning sees it.
#[derive(Clone, Debug)]
pub(super) struct Neighbour<K> {
    /// Its place.
    pub(super) key: K,
    /// Milliseconds on its clock: UTC where it has its time, the boot clock where it waits for one.
    pub(super) at: i64,
    /// The boot whose clock `at` is told by; `None` for UTC.
    pub(super) clock: Option<BootId>,
    /// It is on its way, and stays as it is.
    pub(super) taken: bool,
    /// What it holds.
    pub(super) draft: UntimedEntry,
}

/// Merges runs of entries whose times lie in the same stretch of `within`. What is on its way, and what is published by its
/// field, stays as it is. The order is kept.
pub(super) fn merge_neighbours<K>(entries: Vec<Neighbour<K>>, within: Duration) -> Vec<Neighbour<K>> {
    let stretch = i64::try_from(within.as_millis()).unwrap_or(i64::MAX).max(1);
    // A slot's end belongs to the stretch it closes.
    let place = |one: &Neighbour<K>| (one.clock, (one.at - 1).div_euclid(stretch));
    let may_merge = |one: &Neighbour<K>| !one.taken && one.draft.form == Form::Feed;
    let mut thin: Vec<Neighbour<K>> = Vec::with_capacity(entries.len());
    for mut newer in entries {
        if let Some(older) = thin.pop_if(|older| may_merge(older) && may_merge(&newer) && place(older) == place(&newer))
        {
            merge_into(&mut newer.draft, &older.draft);
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
