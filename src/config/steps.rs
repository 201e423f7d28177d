//! The steps of a route's filter: `filter = [{ … }, …]`, and the short forms written into the route itself.

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use super::diagnostic::Findings;
use super::table::{Node, Table};
use super::values::{Finite, HumanDuration, positive};
use crate::pipeline::filter::Step;

/// The keys of a step, in the order in which short forms are carried out.
pub(super) const KEYS: [&str; 9] =
    ["reject", "calibrate", "scale", "offset", "valid", "median", "round", "change", "heartbeat"];

/// Medians take an odd number of values, so that one of them is the middle.
const MEDIANS: std::ops::RangeInclusive<usize> = 3..=99;

/// More digits are noise: a double has 15 to 17 in all.
const MOST_DIGITS: u8 = 9;

/// The keys of a filter's steps.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Keys {
    /// Exact values that a part gives instead of a measurement. They become faults.
    #[cfg_attr(feature = "docs", schemars(with = "Option<Vec<Finite>>", length(min = 1), extend("examples" = [[85]])))]
    reject: Option<Spanned<Vec<Finite>>>,
    /// Two or more pairs of measured and true value. Values between and beyond them are on straight lines.
    #[cfg_attr(feature = "docs", schemars(with = "Option<Vec<[Finite; 2]>>", length(min = 2), extend("examples" = [[[0.0, 0.4], [50.0, 50.9]]])))]
    calibrate: Option<Spanned<Vec<Vec<Finite>>>>,
    /// Multiplies the value by this, which is not 0.
    #[cfg_attr(feature = "docs", schemars(with = "Option<Finite>", extend("examples" = [2.0])))]
    scale: Option<Spanned<Finite>>,
    /// Adds this to the value.
    #[cfg_attr(feature = "docs", schemars(with = "Option<Finite>", extend("examples" = [-0.5])))]
    offset: Option<Finite>,
    /// Values outside these bounds become faults. One bound may be left out.
    #[cfg_attr(feature = "docs", schemars(with = "Option<Bounds>", extend("examples" = [{ "min": -20, "max": 60 }])))]
    valid: Option<Spanned<Bounds>>,
    /// The median of this many last values, an odd number. It removes single spikes.
    #[cfg_attr(feature = "docs", schemars(with = "Option<usize>", range(min = *MEDIANS.start(), max = *MEDIANS.end()), extend("examples" = [5])))]
    median: Option<Spanned<usize>>,
    /// Rounds to this many digits after the point. If no later step changes the number, all of them are published,
    /// including zeros.
    #[cfg_attr(feature = "docs", schemars(with = "Option<u8>", range(max = MOST_DIGITS), extend("examples" = [2])))]
    round: Option<Spanned<u8>>,
    /// Passes a value only if it differs from the last passed value by at least this much; 0 for any difference.
    #[cfg_attr(feature = "docs", schemars(with = "Option<Finite>", range(min = 0), extend("examples" = [0.5])))]
    change: Option<Spanned<Finite>>,
    /// With `change`: a value also passes when this much time has gone by since the last one passed.
    #[cfg_attr(feature = "docs", schemars(with = "Option<HumanDuration>", extend("examples" = [HumanDuration(std::time::Duration::from_secs(600))])))]
    heartbeat: Option<Spanned<HumanDuration>>,
}

/// The keys of `valid`.
#[derive(Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Bounds {
    /// The smallest valid value.
    min: Option<Finite>,
    /// The largest valid value.
    max: Option<Finite>,
}

/// Reads one element of `filter`: a table with one step.
pub(super) fn element(node: Node<'_>, findings: &mut Findings) -> Vec<Step> {
    let Some(table) = Table::of(node, "filter step", findings) else { return Vec::new() };
    let count = KEYS.iter().filter(|key| **key != "heartbeat" && table.has(key)).count();
    if table.is_empty() {
        findings.fault(
            table.span(),
            "this filter step does nothing",
            "leave it out, or write one such as { round = 1 }",
        );
    }
    if count > 1 {
        findings.fault(
            table.span(),
            "a filter step has one key, so that the order is clear",
            "write each one by itself: `filter = [{ scale = 2 }, { round = 1 }]`",
        );
    }
    steps(table, findings)
}

/// Reads the steps written in `table`, in the order of [`KEYS`].
pub(super) fn steps(table: Table<'_>, findings: &mut Findings) -> Vec<Step> {
    let keys: Keys = table.read(findings).unwrap_or_default();
    let mut steps = Vec::new();
    steps.extend(keys.reject.and_then(|written| reject(written, findings)));
    steps.extend(keys.calibrate.and_then(|written| calibrate(&written, findings)));
    steps.extend(keys.scale.and_then(|written| scale(&written, findings)));
    steps.extend(keys.offset.map(|offset| Step::Offset(offset.0)));
    steps.extend(keys.valid.and_then(|written| valid(&written, findings)));
    steps.extend(keys.median.and_then(|written| median(&written, findings)));
    steps.extend(keys.round.and_then(|written| round(&written, findings)));
    match (keys.change, keys.heartbeat) {
        (Some(change), heartbeat) => steps.extend(self::change(&change, heartbeat, findings)),
        (None, Some(heartbeat)) => {
            findings.fault(&heartbeat.span(), "`heartbeat` belongs to `change`", "add `change = 0` for any change");
        }
        (None, None) => {}
    }
    steps
}

fn reject(written: Spanned<Vec<Finite>>, findings: &mut Findings) -> Option<Step> {
    let span = written.span();
    let values: Vec<f64> = written.into_inner().into_iter().map(|value| value.0).collect();
    refuse(values.is_empty(), &span, "`reject` needs the values that are not measurements", findings)?;
    Some(Step::Reject(values))
}

fn calibrate(written: &Spanned<Vec<Vec<Finite>>>, findings: &mut Findings) -> Option<Step> {
    let span = written.span();
    let pairs = written.get_ref().iter().map(|pair| match pair.as_slice() {
        [measured, is] => Some([measured.0, is.0]),
        _ => None,
    });
    let Some(mut points) = pairs.collect::<Option<Vec<_>>>() else {
        findings.fault(&span, "a point of `calibrate` is a pair: [measured, true]", "");
        return None;
    };
    refuse(points.len() < 2, &span, "`calibrate` needs two points or more; for one use `offset`", findings)?;
    points.sort_by(|one, other| one[0].total_cmp(&other[0]));
    #[expect(clippy::float_cmp, reason = "points as written: the same number twice is what is looked for")]
    let doubled = points.windows(2).any(|pair| pair[0][0] == pair[1][0]);
    refuse(doubled, &span, "two points of `calibrate` have the same measured value", findings)?;
    Some(Step::Calibrate(points))
}

fn scale(written: &Spanned<Finite>, findings: &mut Findings) -> Option<Step> {
    let factor = written.get_ref().0;
    refuse(factor == 0.0, &written.span(), "`scale = 0` makes every value 0", findings)?;
    Some(Step::Scale(factor))
}

fn valid(written: &Spanned<Bounds>, findings: &mut Findings) -> Option<Step> {
    let Bounds { min, max } = written.get_ref();
    let span = written.span();
    refuse(min.is_none() && max.is_none(), &span, "`valid` has a `min`, a `max` or both", findings)?;
    let (min, max) = (min.map_or(f64::NEG_INFINITY, |min| min.0), max.map_or(f64::INFINITY, |max| max.0));
    refuse(min >= max, &span, "no value would be valid: `min` is not below `max`", findings)?;
    Some(Step::Valid { min, max })
}

fn median(written: &Spanned<usize>, findings: &mut Findings) -> Option<Step> {
    let count = *written.get_ref();
    let wrong = !MEDIANS.contains(&count) || count.is_multiple_of(2);
    refuse(wrong, &written.span(), "`median` is an odd number from 3 to 99", findings)?;
    Some(Step::Median(count))
}

fn round(written: &Spanned<u8>, findings: &mut Findings) -> Option<Step> {
    let digits = *written.get_ref();
    refuse(digits > MOST_DIGITS, &written.span(), "`round` is from 0 to 9 digits after the point", findings)?;
    Some(Step::Round(digits))
}

fn change(
    written: &Spanned<Finite>,
    heartbeat: Option<Spanned<HumanDuration>>,
    findings: &mut Findings,
) -> Option<Step> {
    let delta = written.get_ref().0;
    let heartbeat = heartbeat.and_then(|written| positive("heartbeat", &written, findings));
    refuse(delta < 0.0, &written.span(), "`change` is the smallest difference that counts, or 0 for any", findings)?;
    Some(Step::Change { delta, heartbeat })
}

/// Notes a fault where `wrong`, and goes on with nothing.
fn refuse(wrong: bool, span: &Range<usize>, message: &str, findings: &mut Findings) -> Option<()> {
    if wrong {
        findings.fault(span, message, "");
    }
    (!wrong).then_some(())
}
