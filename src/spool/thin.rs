//! Thinning: neighbours of a backlog are merged instead of being dropped.
//!
//! A merged entry has the last one's time, and each column is reduced by its own reduce with the counts of what it
//! stands for, so that a mean stays the mean of all its readings and a sum stays their sum.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::entry::{Cell, Entry, Form, Reduce};
use crate::spool::Key;
use crate::spool::memory::Held;

/// Merges runs of entries from the key `from` on whose times lie in the same stretch of `within`. What is on its way, and
/// what is published by its field, stays as it is. Returns how many entries went away.
pub(super) fn merge_neighbours(entries: &mut BTreeMap<Key, Held>, from: Key, within: Duration) -> usize {
    let stretch = i64::try_from(within.as_millis()).unwrap_or(i64::MAX).max(1);
    let mut merged: Vec<Key> = Vec::new();
    let mut keys = entries.range(from..).map(|(key, _)| *key).collect::<Vec<_>>().into_iter().peekable();
    while let Some(key) = keys.next() {
        let Some(&next) = keys.peek() else { break };
        let (Some(older), Some(newer)) = (entries.get(&key), entries.get(&next)) else { continue };
        // A slot's end belongs to the stretch it closes.
        let place = |held: &Held| (held.entry.created_at.millis() - 1).div_euclid(stretch);
        let mergeable = |held: &Held| !held.pinned && held.entry.form == Form::Feed;
        if !mergeable(older) || !mergeable(newer) || place(older) != place(newer) {
            continue;
        }
        let older = older.entry.clone();
        let newer = entries.get_mut(&next).expect("looked at above");
        merge_into(&mut newer.entry, &older);
        merged.push(key);
    }
    for key in &merged {
        entries.remove(key);
    }
    merged.len()
}

fn merge_into(newer: &mut Entry, older: &Entry) {
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
    let count = older.count.saturating_add(newer.count);
    let value = match newer.reduce {
        Reduce::Mean => {
            let weight = f64::from(older.count) + f64::from(newer.count);
            (older.value * f64::from(older.count) + newer.value * f64::from(newer.count)) / weight
        }
        Reduce::Min => older.value.min(newer.value),
        Reduce::Max => older.value.max(newer.value),
        Reduce::Last => newer.value,
        Reduce::First => older.value,
        Reduce::Sum | Reduce::Count => older.value + newer.value,
    };
    Cell { value, count, ..newer }
}
