//! What a slot keeps of its readings: enough for every reduce, however many they are.

use minicbor::{Decode, Encode};

use super::Route;
use crate::entry::{Cell, Reduce, Vector, denoised};

/// A slot's readings of one quantity.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub(in crate::pipeline) struct Sums {
    #[n(0)]
    count: u32,
    #[n(1)]
    first: f64,
    #[n(2)]
    last: f64,
    #[n(3)]
    min: f64,
    #[n(4)]
    max: f64,
    #[n(5)]
    sum: f64,
    /// The sum of the readings as directions, where it is asked for: a sine costs a small board more than the rest.
    #[n(6)]
    vector: Option<Vector>,
}

impl Sums {
    pub(in crate::pipeline) fn of(value: f64, reduce: Reduce) -> Self {
        let vector = (reduce == Reduce::Direction).then(|| Vector::new(value, 1.0));
        Self { count: 1, first: value, last: value, min: value, max: value, sum: value, vector }
    }

    pub(in crate::pipeline) fn add(&mut self, value: f64) {
        self.count = self.count.saturating_add(1);
        self.last = value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.sum += value;
        self.vector = self.vector.map(|sum| sum.plus(Vector::new(value, 1.0)));
    }

    /// The sums of what was read so far, for a route that reduces it so. Directions that were not summed as such, before a new
    /// map asked for it, are known by the first and the last of them.
    pub(in crate::pipeline) fn reduced_by(self, reduce: Reduce) -> Self {
        if reduce != Reduce::Direction || self.vector.is_some() {
            return self;
        }
        let mut known = Self::of(self.first, reduce);
        if self.count > 1 {
            known.add(self.last);
        }
        known
    }

    /// `None` where the sum left the range of numbers, or directions cancel out.
    pub(in crate::pipeline) fn reduce(self, route: &Route) -> Option<Cell> {
        let count = f64::from(self.count);
        // Each of so many sums may be off by half a unit in its last place, the largest ones by most.
        let noise = count * f64::EPSILON * self.min.abs().max(self.max.abs());
        let value = match route.reduce {
            Reduce::Mean => denoised(self.sum / count, noise),
            Reduce::Min => self.min,
            Reduce::Max => self.max,
            Reduce::Last => self.last,
            Reduce::First => self.first,
            Reduce::Sum => denoised(self.sum, noise * count),
            Reduce::Count => count,
            Reduce::Direction => self.vector?.direction(count, (count + 4.0) * f64::EPSILON)?,
        };
        let mut cell = Cell { decimals: route.decimals, ..Cell::new(value, self.count, route.reduce) };
        if let (Reduce::Direction, Some(vector)) = (route.reduce, self.vector) {
            cell.weight = vector.weight();
        }
        value.is_finite().then_some(cell)
    }

    /// The last value.
    pub(in crate::pipeline) const fn last(&self) -> f64 {
        self.last
    }

    /// Whether they can be those of readings.
    pub(in crate::pipeline) const fn is_sound(&self) -> bool {
        self.count > 0
    }
}
