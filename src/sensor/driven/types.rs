//! What chips measure: the kernel's words and units, and those of maps.

use crate::reading::Quantity;

/// A type of channel.
#[derive(Debug)]
pub(in crate::sensor) struct Type {
    /// `temp`
    pub(in crate::sensor) kernel: &'static str,
    /// `temperature`
    pub(in crate::sensor) name: &'static str,
    /// `°C`
    pub(in crate::sensor) unit: &'static str,
    /// What makes the unit of the kernel's number.
    pub(in crate::sensor) factor: f64,
    /// The smallest difference that means something, in the unit; 0 where nobody knows.
    pub(in crate::sensor) step: f64,
}

impl Type {
    pub(in crate::sensor) const fn new(
        kernel: &'static str,
        name: &'static str,
        unit: &'static str,
        factor: f64,
        step: f64,
    ) -> Self {
        Self { kernel, name, unit, factor, step }
    }

    /// The type of a channel that a map calls so, and what stands behind the type's name: a number or a modifier.
    pub(in crate::sensor) fn of_map<'a>(all: &'static [Self], name: &'a str) -> Option<(&'static Self, &'a str)> {
        let (head, rest) = split(name);
        Some((all.iter().find(|known| known.name == head)?, rest))
    }

    /// As [`Type::of_map`], of a channel that the kernel calls so.
    pub(in crate::sensor) fn of_kernel<'a>(all: &'static [Self], name: &'a str) -> Option<(&'static Self, &'a str)> {
        let (head, rest) = split(name);
        Some((all.iter().find(|known| known.kernel == head)?, rest))
    }

    /// The quantity that a map calls so.
    pub(in crate::sensor) fn quantity(&self, name: &str) -> Quantity {
        let quantity = Quantity::named(name, self.unit);
        if self.step > 0.0 { quantity.resolving(self.step) } else { quantity }
    }
}

/// The letters at the beginning, and the rest.
fn split(name: &str) -> (&str, &str) {
    name.split_at(name.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(name.len()))
}
