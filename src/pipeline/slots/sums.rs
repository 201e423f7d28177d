//! What a slot keeps of its readings: enough for every reduce, however many they are.

use super::Route;
use crate::entry::{Cell, Reduce, Vector, denoised};
use crate::store::record::{Reader, Writer};

/// A slot's readings of one quantity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::pipeline) struct Sums {
    count: u32,
    first: f64,
    last: f64,
    min: f64,
    max: f64,
    sum: f64,
    /// The sum of the readings as directions, where it is asked for: a sine costs a small board more than the rest.
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

    /// Whether they hold a sum of directions.
    pub(in crate::pipeline) const fn has_vector(&self) -> bool {
        self.vector.is_some()
    }

    /// Writes them: the count, then the only value, or first, last, smallest, largest and sum; then the sum of directions, if
    /// there is one.
    pub(in crate::pipeline) fn write(&self, to: &mut Writer) {
        to.number(self.count.into());
        if self.count == 1 {
            to.float(self.last);
        } else {
            for value in [self.first, self.last, self.min, self.max, self.sum] {
                to.float(value);
            }
        }
        if let Some(Vector { east, north }) = self.vector {
            to.float(east);
            to.float(north);
        }
    }

    /// Reads what [`Sums::write`] wrote; `None` for anything else.
    pub(in crate::pipeline) fn read(from: &mut Reader<'_>, has_vector: bool) -> Option<Self> {
        let count = u32::try_from(from.number()?).ok()?;
        let sums = match count {
            0 => return None,
            1 => Self::of(from.float()?, Reduce::default()),
            _ => Self {
                count,
                first: from.float()?,
                last: from.float()?,
                min: from.float()?,
                max: from.float()?,
                sum: from.float()?,
                vector: None,
            },
        };
        let vector = if has_vector { Some(Vector { east: from.float()?, north: from.float()? }) } else { None };
        Some(Self { vector, ..sums })
    }
}
