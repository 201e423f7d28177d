//! How many digits a route's values are worth: what the part resolves, carried through the steps.
//!
//! The rule is one digit more than is resolved, so that a mean of several readings can say a little more than one of them. A
//! number of the map with few digits keeps them: a tip of 0.2794 mm is 0.2794, and not 0.28.

use crate::entry::{Decimals, Reduce};
use crate::pipeline::filter::Step;
use crate::reading::Resolution;

/// A measured step with more significant digits than this is no number that somebody chose, but came of a calculation.
const SHORT: i32 = 4;

/// Totals are made of a counted step, so that a digit of it that is cut is a digit of every total.
const COUNTED: i32 = 9;

/// A double has no more that mean anything.
const MOST: u8 = 15;

/// Digits after the point of a route's values: those of its own `round`, where that is what acts last on the number; otherwise those
/// that the resolution of the quantity is worth. `None`: all there are.
pub fn decimals(steps: &[Step], resolution: Option<Resolution>, reduce: Reduce) -> Option<Decimals> {
    let mut grain = Grain { resolution, summands: Vec::new(), rounded: None };
    for step in steps {
        grain.pass(step);
    }
    match (grain.rounded, reduce) {
        (Some(digits), _) => Some(Decimals::Exactly(digits)),
        (None, Reduce::Count) => Some(Decimals::UpTo(0)),
        (None, _) => grain.digits().map(Decimals::UpTo),
    }
}

/// What is known of a value's digits.
struct Grain {
    resolution: Option<Resolution>,
    /// Numbers of the map that were added.
    summands: Vec<f64>,
    /// The digits of a `round` that nothing has changed since.
    rounded: Option<u8>,
}

impl Grain {
    fn pass(&mut self, step: &Step) {
        match step {
            Step::Scale(factor) => self.scale(*factor),
            Step::Offset(summand) => {
                self.rounded = None;
                self.summands.push(*summand);
            }
            Step::Calibrate(points) => {
                let slopes = points.windows(2).map(|pair| (pair[1][1] - pair[0][1]) / (pair[1][0] - pair[0][0]));
                // The flattest piece has the finest steps. A level one has none.
                self.scale(slopes.map(f64::abs).filter(|slope| *slope > 0.0).fold(f64::INFINITY, f64::min));
                self.summands.extend(points.iter().map(|[_, truth]| *truth));
            }
            Step::Round(digits) => {
                self.rounded = Some(*digits);
                self.resolution = Some(Resolution::Measured(10_f64.powi(-i32::from(*digits))));
                self.summands.clear();
            }
            // A quotient by a time: it is rounded where it is made.
            Step::Rate(_) => (self.rounded, self.resolution) = (None, None),
            Step::Integrate(_) | Step::Smooth(_) => {
                self.rounded = None;
                self.resolution = self.resolution.map(|resolution| Resolution::Measured(resolution.step()));
            }
            Step::Clamp { min, max } => {
                self.rounded = None;
                self.summands.extend([*min, *max].into_iter().filter(|bound| bound.is_finite()));
            }
            Step::Delta { .. } | Step::Valid { .. } | Step::Reject(_) | Step::Median(_) | Step::Change { .. } => {}
        }
    }

    fn scale(&mut self, factor: f64) {
        self.rounded = None;
        self.resolution = self.resolution.map(|resolution| resolution.scaled(factor));
        self.summands.iter_mut().for_each(|summand| *summand *= factor);
    }

    fn digits(&self) -> Option<u8> {
        let resolution = self.resolution?;
        let step = resolution.step();
        if !step.is_finite() || step <= 0.0 {
            return None;
        }
        let is_counted = matches!(resolution, Resolution::Counted(_));
        let significant = if is_counted { COUNTED } else { SHORT };
        // The place of the first digit behind the point: 1 of 0.2794, 2 of 0.01. A little is taken off for 0.1 × 0.1.
        #[expect(clippy::cast_possible_truncation, reason = "a logarithm of a double is small")]
        let place = (-step.log10() - 1e-9).ceil() as i32;
        // A third of something counted has no short form; its totals are to be right all the same.
        let at_least = if is_counted { place + COUNTED - 1 } else { place + 1 };
        let own = short(step, significant);
        let digits = if is_counted { own.unwrap_or(at_least).max(place + 1) } else { own.unwrap_or(0).max(at_least) };
        let summands = self.summands.iter().filter_map(|summand| short(*summand, significant));
        let digits = summands.chain([digits]).max().unwrap_or_default();
        Some(u8::try_from(digits.max(0)).unwrap_or(MOST).min(MOST))
    }
}

/// Digits after the point of a number that has no more than so many significant digits. `None` for any other number.
fn short(number: f64, significant: i32) -> Option<i32> {
    let whole = |digits: &i32| {
        let scaled = (number * 10_f64.powi(*digits)).abs();
        let is_short = scaled.round() < 10_f64.powi(significant) || *digits == 0;
        is_short && (scaled - scaled.round()).abs() <= 1e-12 * scaled
    };
    (0..=i32::from(MOST)).find(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(steps: &[Step], resolution: Option<Resolution>) -> Option<Decimals> {
        decimals(steps, resolution, Reduce::Mean)
    }

    fn measured(step: f64, steps: &[Step]) -> Option<u8> {
        digits(steps, Some(Resolution::Measured(step))).map(Decimals::digits)
    }

    fn counted(step: f64, steps: &[Step]) -> Option<u8> {
        digits(steps, Some(Resolution::Counted(step))).map(Decimals::digits)
    }

    #[test]
    fn a_value_has_one_digit_more_than_its_part_resolves() {
        for (step, expected) in [
            (0.01, 3),
            (0.1, 2),
            (1.0, 1),
            (0.5, 2),
            (0.0625, 4),
            (0.008, 4),
            (0.026, 3),
            (10.0, 0),
            (1000.0, 0),
            (1e-7, 8),
        ] {
            assert_eq!(measured(step, &[]), Some(expected), "{step}");
        }
        assert_eq!(digits(&[], None), None);
        assert_eq!(digits(&[Step::Scale(0.5), Step::Offset(1.0)], None), None);
    }

    #[test]
    fn the_resolution_passes_through_scale_and_calibrate() {
        assert_eq!(measured(0.01, &[Step::Scale(1.8), Step::Offset(32.0)]), Some(3), "0.018 °F");
        assert_eq!(measured(0.1, &[Step::Scale(0.1)]), Some(3));
        assert_eq!(measured(1.0, &[Step::Scale(-1e-3)]), Some(4));
        assert_eq!(measured(0.01, &[Step::Calibrate(vec![[0.0, 0.4], [50.0, 50.9], [100.0, 100.9]])]), Some(3));
        let flat = Step::Calibrate(vec![[0.0, 0.0], [10.0, 10.0], [20.0, 11.0], [30.0, 11.0]]);
        assert_eq!(measured(0.1, &[flat]), Some(3), "the flattest piece that is not level");
        assert_eq!(measured(0.1, &[Step::Calibrate(vec![[0.0, 1.0], [1.0, 1.0]])]), None);
        let others = [Step::Valid { min: 0.0, max: 1.0 }, Step::Reject(vec![85.0]), Step::Median(3)];
        assert_eq!(measured(0.01, &others), Some(3));
    }

    #[test]
    fn a_tip_keeps_its_digits() {
        assert_eq!(counted(0.2794, &[]), Some(4));
        assert_eq!(counted(1.0, &[Step::Scale(0.2794)]), Some(4));
        assert_eq!(counted(0.001_562_5, &[]), Some(7), "a 640th of a kilowatt-hour");
        assert_eq!(counted(1.0 / 3.0, &[]), Some(9));
        assert_eq!(counted(1.0, &[]), Some(1));
    }

    #[test]
    fn totals_and_smoothed_values_have_the_digits_of_what_they_are_made_of() {
        let hour = std::time::Duration::from_secs(3600);
        assert_eq!(measured(1.0, &[Step::Integrate(hour), Step::Scale(0.001)]), Some(4), "kWh of W");
        assert_eq!(counted(0.2794, &[Step::Delta { falls: false }]), Some(4));
        assert_eq!(measured(0.1, &[Step::Smooth(hour)]), Some(2));
        assert_eq!(measured(1.0, &[Step::Clamp { min: 0.25, max: f64::INFINITY }]), Some(2));
        assert_eq!(measured(1.0, &[Step::Rate(hour)]), None);
        let resolution = Some(Resolution::Measured(0.01));
        assert_eq!(digits(&[Step::Round(1), Step::Smooth(hour)], resolution), Some(Decimals::UpTo(2)));
    }

    #[test]
    fn an_offset_is_not_rounded_away() {
        assert_eq!(measured(0.1, &[Step::Offset(0.05)]), Some(2));
        assert_eq!(measured(1.0, &[Step::Offset(0.2794)]), Some(4));
        assert_eq!(measured(1.0, &[Step::Offset(0.05), Step::Scale(10.0)]), Some(1));
    }

    #[test]
    fn the_routes_own_round_wins_until_the_number_is_changed_again() {
        let change = Step::Change { delta: 1.0, heartbeat: None };
        let resolution = Some(Resolution::Measured(0.01));
        assert_eq!(digits(&[Step::Round(2)], None), Some(Decimals::Exactly(2)));
        assert_eq!(digits(&[Step::Round(0)], resolution), Some(Decimals::Exactly(0)));
        assert_eq!(digits(&[Step::Round(2), Step::Median(3), change], resolution), Some(Decimals::Exactly(2)));
        assert_eq!(digits(&[Step::Round(2), Step::Round(1)], resolution), Some(Decimals::Exactly(1)));
        assert_eq!(digits(&[Step::Round(1), Step::Scale(0.1)], resolution), Some(Decimals::UpTo(3)));
        assert_eq!(digits(&[Step::Round(1), Step::Offset(0.5)], None), Some(Decimals::UpTo(2)));
    }

    #[test]
    fn a_count_is_whole() {
        assert_eq!(decimals(&[], None, Reduce::Count), Some(Decimals::UpTo(0)));
        assert_eq!(decimals(&[Step::Round(1)], None, Reduce::Count), Some(Decimals::Exactly(1)));
    }
}
