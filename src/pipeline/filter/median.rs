//! The median of the last values: it removes single spikes and keeps steps.

use std::collections::VecDeque;

/// A window of the last values.
#[derive(Clone, Debug)]
pub(super) struct Median {
    window: VecDeque<f64>,
    length: usize,
}

impl Median {
    /// An empty window of at most `length` values.
    pub(super) fn new(length: usize) -> Self {
        Self { window: VecDeque::with_capacity(length), length: length.max(1) }
    }

    /// Takes a value and gives the median of those in the window; of an even number, the lower one in the middle.
    pub(super) fn push(&mut self, value: f64) -> f64 {
        if self.window.len() == self.length {
            self.window.pop_front();
        }
        self.window.push_back(value);
        let mut sorted: Vec<f64> = self.window.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        sorted[(sorted.len() - 1) / 2]
    }
}
