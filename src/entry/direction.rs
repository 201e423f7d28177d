//! Directions, as of a wind: degrees that begin anew at 360, so that their mean is that of their vectors.

use minicbor::{Decode, Encode};

use super::{FULL_CIRCLE, denoised};

/// A sum of directions.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub(crate) struct Vector {
    #[n(0)]
    pub(crate) east: f64,
    #[n(1)]
    pub(crate) north: f64,
}

/// A sum that is shorter, measured by what was added, is what binary fractions leave of directions that cancel out.
const SHORTEST: f64 = 1e-9;

impl Vector {
    /// A direction in degrees, of any turn, and how much it weighs.
    pub(crate) fn new(degrees: f64, length: f64) -> Self {
        let (east, north) = degrees.rem_euclid(FULL_CIRCLE).to_radians().sin_cos();
        Self { east: east * length, north: north * length }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self { east: self.east + other.east, north: self.north + other.north }
    }

    /// How long it is: as long as what was added where all of that agrees.
    pub(crate) fn length(self) -> f64 {
        self.east.hypot(self.north)
    }

    /// The same as the weight of a cell.
    #[expect(clippy::cast_possible_truncation, reason = "seven digits are more than a vane has")]
    pub(crate) fn weight(self) -> f32 {
        self.length() as f32
    }

    /// The direction of a sum of vectors of this length in all, from 0 to under 360, each of which is good to `noise` of its length.
    /// `None` where they cancel out.
    pub(crate) fn direction(self, added: f64, noise: f64) -> Option<f64> {
        let resultant = self.length() / added;
        // A NaN is no direction either.
        if resultant.is_nan() || resultant < SHORTEST.max(2.0 * noise) {
            return None;
        }
        let noise = FULL_CIRCLE * noise / resultant;
        let degrees = denoised(self.east.atan2(self.north).to_degrees(), noise);
        let turned = denoised(if degrees < 0.0 { degrees + FULL_CIRCLE } else { degrees }, noise);
        Some(if turned >= FULL_CIRCLE { 0.0 } else { turned })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mean(directions: &[f64]) -> Option<f64> {
        let sum = directions.iter().map(|degrees| Vector::new(*degrees, 1.0)).reduce(Vector::plus).expect("some");
        #[expect(clippy::cast_precision_loss, reason = "a few")]
        let count = directions.len() as f64;
        sum.direction(count, (count + 4.0) * f64::EPSILON)
    }

    #[test]
    fn mean_of_directions_is_that_of_their_vectors() {
        for (directions, direction) in [
            (&[350.0, 10.0][..], 0.0),
            (&[10.0, 350.0], 0.0),
            (&[0.0, 90.0], 45.0),
            (&[90.0, 91.0], 90.5),
            (&[350.0, 355.0], 352.5),
            (&[360.0], 0.0),
            (&[-10.0], 350.0),
            (&[370.0, 710.0], 0.0),
            (&[123.456], 123.456),
            (&[0.0, 0.0, 180.0], 0.0),
            (&[180.0, 180.0], 180.0),
        ] {
            assert_eq!(mean(directions), Some(direction), "{directions:?}");
        }
    }

    #[test]
    fn directions_that_cancel_out_have_no_mean() {
        for directions in
            [&[0.0, 180.0][..], &[90.0, 270.0], &[0.0, 120.0, 240.0], &[0.0, 90.0, 180.0, 270.0], &[f64::NAN]]
        {
            assert_eq!(mean(directions), None, "{directions:?}");
        }
    }

    proptest! {
        #[test]
        fn mean_of_one_direction_is_itself(tenths in 0..3600_i32, count in 1..200_usize) {
            let degrees = f64::from(tenths) / 10.0;
            prop_assert_eq!(mean(&vec![degrees; count]), Some(degrees));
        }

        #[test]
        fn mean_turns_with_its_directions(degrees in prop::collection::vec(0..90_i32, 1..20), turn in 0..360_i32) {
            let of = |turn: i32| degrees.iter().map(|one| f64::from(one + turn)).collect::<Vec<_>>();
            let [still, turned] = [0, turn].map(|turn| mean(&of(turn)).expect("within a quarter"));
            let apart = (turned - still - f64::from(turn)).rem_euclid(360.0);
            prop_assert!(apart.min(360.0 - apart) < 1e-9, "{still} and {turned}");
            prop_assert!((0.0..360.0).contains(&turned));
        }
    }
}
