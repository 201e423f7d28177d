//! What a slot keeps of its readings: enough for every reduce, however many they are.

use crate::batch::Route;
use crate::entry::{Cell, Reduce};
use crate::record::{Reader, Writer};

/// A slot's readings of one quantity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sums {
    count: u32,
    first: f64,
    last: f64,
    min: f64,
    max: f64,
    sum: f64,
}

impl Sums {
    pub(super) fn of(value: f64) -> Self {
        Self { count: 1, first: value, last: value, min: value, max: value, sum: value }
    }

    pub(super) fn add(&mut self, value: f64) {
        self.count = self.count.saturating_add(1);
        self.last = value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.sum += value;
    }

    /// `None` where the sum left the range of numbers.
    pub(super) fn reduce(self, route: &Route) -> Option<Cell> {
        let value = match route.reduce {
            Reduce::Mean => self.sum / f64::from(self.count),
            Reduce::Min => self.min,
            Reduce::Max => self.max,
            Reduce::Last => self.last,
            Reduce::First => self.first,
            Reduce::Sum => self.sum,
            Reduce::Count => f64::from(self.count),
        };
        let cell = Cell { value, count: self.count, reduce: route.reduce, decimals: route.decimals };
        value.is_finite().then_some(cell)
    }

    /// The last value.
    pub(super) const fn last(&self) -> f64 {
        self.last
    }

    /// Writes them: the count, then the only value, or first, last, smallest, largest and sum.
    pub(super) fn write(&self, to: &mut Writer) {
        to.number(self.count.into());
        if self.count == 1 {
            to.float(self.last);
        } else {
            for value in [self.first, self.last, self.min, self.max, self.sum] {
                to.float(value);
            }
        }
    }

    /// Reads what [`Sums::write`] wrote; `None` for anything else.
    pub(super) fn read(from: &mut Reader<'_>) -> Option<Self> {
        let count = u32::try_from(from.number()?).ok()?;
        match count {
            0 => None,
            1 => from.float().map(Self::of),
            _ => Some(Self {
                count,
                first: from.float()?,
                last: from.float()?,
                min: from.float()?,
                max: from.float()?,
                sum: from.float()?,
            }),
        }
    }
}
