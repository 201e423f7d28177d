//! Formulas: whether they can be read, who their inputs are, and that none is made of itself.

use std::collections::BTreeSet;
use std::ops::Range;

use super::diagnostic::Findings;
use super::drafts::Drafts;
use super::sensors::Draft;
use super::suggest::nearest;
use super::{Sensor, words};
use crate::formula::{Formula, Input, Mistake};
use crate::pipeline::FormulaConfig;
use crate::sensor::Kind;

/// More formulas that are made of each other in a row are a mistake.
const LONGEST_ROW: usize = 64;

/// A quantity: the place of its sensor in the map, and its own among the sensor's.
type Place = (usize, usize);

/// A formula as far as it could be read.
struct Read<'a> {
    own: Place,
    name: String,
    span: &'a Range<usize>,
    text: &'a str,
    formula: Formula,
    inputs: Vec<Option<Place>>,
}

/// Tells every fault of every formula.
pub(super) fn check(drafts: &Drafts, findings: &mut Findings) {
    let formulas = read(drafts, findings);
    for one in &formulas {
        for input in one.formula.inputs() {
            unknown(input, one, drafts, findings);
        }
        let unit = |input: &Input| {
            let (sensor, quantity) = place(input, drafts)?;
            let quantities = drafts.sensors[sensor].kind.as_ref()?.device().quantities();
            Some(quantities.get(quantity)?.unit)
        };
        for mistake in one.formula.mistaken_units(|input| unit(input).unwrap_or("")) {
            tell(&mistake, one.span, one.text, findings);
        }
    }
    circles(&formulas, findings);
}

/// For each sensor of the map the quantities that formulas are made of.
pub(super) fn inputs(drafts: &Drafts) -> Vec<BTreeSet<usize>> {
    let mut inputs = vec![BTreeSet::new(); drafts.sensors.len()];
    for (sensor, quantity) in read(drafts, &mut Findings::default()).iter().flat_map(|one| one.inputs.iter().flatten())
    {
        inputs[*sensor].insert(*quantity);
    }
    inputs
}

fn read<'a>(drafts: &'a Drafts, findings: &mut Findings) -> Vec<Read<'a>> {
    let mut formulas = Vec::new();
    for (sensor, draft) in drafts.sensors.iter().enumerate() {
        let Some(Kind::Formula(settings)) = &draft.kind else { continue };
        for (quantity, ((name, text), span)) in settings.value.0.iter().zip(&draft.expressions).enumerate() {
            let name = format!("{}.{name}", draft.name.get_ref());
            match Formula::parse(text) {
                Ok(formula) => {
                    let inputs = formula.inputs().iter().map(|input| place(input, drafts)).collect();
                    formulas.push(Read { own: (sensor, quantity), name, span, text, formula, inputs });
                }
                Err(mistake) => tell(&mistake, span, text, findings),
            }
        }
    }
    formulas
}

fn place(input: &Input, drafts: &Drafts) -> Option<Place> {
    let sensor = drafts.sensors.iter().position(|sensor| *sensor.name.get_ref() == input.sensor)?;
    Some((sensor, quantities(&drafts.sensors[sensor]).iter().position(|name| *name == input.quantity)?))
}

fn quantities(sensor: &Draft) -> Vec<String> {
    let quantities = sensor.kind.as_ref().map(|kind| kind.device().quantities()).unwrap_or_default();
    quantities.into_iter().map(|quantity| quantity.name.into_owned()).collect()
}

/// A sensor or a quantity that there is not. Of a sensor whose kind has faults of its own nothing more is told.
fn unknown(input: &Input, one: &Read<'_>, drafts: &Drafts, findings: &mut Findings) {
    let Input { sensor: written, quantity, place } = input;
    let mistake = |message, help| Mistake { place: place.clone(), message, help };
    let Some(sensor) = drafts.sensors.iter().find(|sensor| sensor.name.get_ref() == written) else {
        let names: Vec<&String> = drafts.sensors.iter().map(|sensor| sensor.name.get_ref()).collect();
        let near = nearest(written, names.iter().map(|name| name.as_str()));
        let help =
            near.map_or_else(|| words::one_of(written, &names), |near| format!("did you mean `{near}.{quantity}`?"));
        return tell(&mistake(format!("there is no sensor `{written}`"), help), one.span, one.text, findings);
    };
    let names = quantities(sensor);
    if sensor.kind.is_some() && !names.contains(quantity) {
        let message = format!("sensor `{written}` measures no `{quantity}`");
        tell(&mistake(message, words::one_of(quantity, &names)), one.span, one.text, findings);
    }
}

/// Formulas that are made of themselves, each circle once.
fn circles(formulas: &[Read<'_>], findings: &mut Findings) {
    let mut done = BTreeSet::new();
    for first in formulas {
        let mut way: Vec<&Read<'_>> = Vec::new();
        if let Some(circle) = circle(first, formulas, &mut way, &mut done) {
            let names: Vec<&str> = circle.iter().map(|one| one.name.as_str()).collect();
            let message = match &names[..] {
                _ if names.len() == LONGEST_ROW => {
                    format!("more than {LONGEST_ROW} formulas are made of each other in a row")
                }
                [alone] => format!("`{alone}` is made of itself"),
                _ => format!("these formulas are made of each other: {} → {}", names.join(" → "), names[0]),
            };
            let mistake = Mistake { place: 0..circle[0].text.len(), message, help: String::new() };
            tell(&mistake, circle[0].span, circle[0].text, findings);
        }
    }
}

fn circle<'a>(
    one: &'a Read<'a>,
    formulas: &'a [Read<'a>],
    way: &mut Vec<&'a Read<'a>>,
    done: &mut BTreeSet<Place>,
) -> Option<Vec<&'a Read<'a>>> {
    if let Some(start) = way.iter().position(|known| known.own == one.own) {
        return Some(way[start..].to_vec());
    }
    if way.len() == LONGEST_ROW {
        return Some(way.clone());
    }
    if !done.insert(one.own) {
        return None;
    }
    way.push(one);
    let inputs = one.inputs.iter().flatten();
    let next = inputs.filter_map(|input| formulas.iter().find(|known| known.own == *input));
    let found = next.into_iter().find_map(|next| circle(next, formulas, way, done));
    way.pop();
    found
}

/// Tells a mistake at its place in the map, as far as the text stands there as it is: one with escapes has its carets below all of it.
fn tell(mistake: &Mistake, span: &Range<usize>, text: &str, findings: &mut Findings) {
    let quotes = match span.len().saturating_sub(text.len()) {
        2 => Some(1),
        6 => Some(3),
        _ => None,
    };
    let place = quotes.map_or_else(
        || span.clone(),
        |quotes| {
            let start = span.start + quotes;
            // An empty place has no caret.
            start + mistake.place.start..start + mistake.place.end.max(mistake.place.start + 1)
        },
    );
    findings.fault(&place, &mistake.message, &mistake.help);
}

/// What the pipeline reckons for a sensor of a map without faults.
pub(super) fn of_pipeline(sensor: &Sensor, sensors: &[Sensor]) -> Vec<FormulaConfig> {
    let Kind::Formula(settings) = &sensor.kind else { return Vec::new() };
    let formula = |(quantity, (_, text)): (usize, &(String, String))| {
        let formula = Formula::parse(text).ok()?;
        let place = |input: &Input| {
            let sensor = sensors.iter().position(|sensor| sensor.name == input.sensor)?;
            let quantities = sensors[sensor].kind.device().quantities();
            Some((sensor, quantities.iter().position(|quantity| quantity.name == input.quantity)?))
        };
        let inputs = formula.inputs().iter().map(place).collect::<Option<Vec<_>>>()?;
        Some(FormulaConfig { quantity, formula, inputs })
    };
    settings.value.0.iter().enumerate().filter_map(formula).collect()
}
