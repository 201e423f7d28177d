//! What the steps make of a quantity's unit, where that can be known.

use std::borrow::Cow;
use std::time::Duration;

use super::Step;

/// Units that are written together with the time they were summed over: Wh.
const JOINED: &[&str] = &["W", "kW", "A", "mA", "VA", "var"];

/// Units that a thousandth makes a k of.
const LARGE: &[&str] = &["W", "Wh", "VA", "V", "m", "g", "Pa", "Hz"];

/// The unit of what comes out of the steps. Empty where there is none, or it cannot be known: who scales means another unit.
pub fn unit<'a>(steps: &[Step], unit: &'a str) -> Cow<'a, str> {
    steps.iter().fold(Cow::Borrowed(unit), after)
}

fn after<'a>(unit: Cow<'a, str>, step: &Step) -> Cow<'a, str> {
    match step {
        Step::Scale(factor) if (factor - 0.001).abs() < 1e-15 && LARGE.contains(&&*unit) => format!("k{unit}").into(),
        Step::Scale(factor) if (factor.abs() - 1.0).abs() > 1e-12 => Cow::Borrowed(""),
        Step::Rate(per) if unit.is_empty() => format!("1/{}", symbol(*per)).into(),
        Step::Rate(per) => format!("{unit}/{}", symbol(*per)).into(),
        Step::Integrate(per) => {
            let time = symbol(*per);
            if unit.is_empty() {
                return time.into();
            }
            if let Some(flowing) = unit.strip_suffix(time).and_then(|unit| unit.strip_suffix('/')) {
                return flowing.to_owned().into();
            }
            let joint = if JOINED.contains(&&*unit) { "" } else { "·" };
            format!("{unit}{joint}{time}").into()
        }
        _ => unit,
    }
}

const fn symbol(time: Duration) -> &'static str {
    match time.as_secs() {
        1 => "s",
        60 => "min",
        _ => "h",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_follow_the_steps() {
        let [second, minute, hour] = [1, 60, 3600].map(Duration::from_secs);
        for (before, steps, expected) in [
            ("W", vec![Step::Integrate(hour)], "Wh"),
            ("W", vec![Step::Integrate(hour), Step::Scale(0.001)], "kWh"),
            ("mm/h", vec![Step::Integrate(hour)], "mm"),
            ("lx", vec![Step::Integrate(hour)], "lx·h"),
            ("mm", vec![Step::Rate(hour)], "mm/h"),
            ("", vec![Step::Rate(minute)], "1/min"),
            ("m³", vec![Step::Rate(second), Step::Scale(1000.0)], ""),
            ("°C", vec![Step::Scale(1.8), Step::Offset(32.0)], ""),
            ("°C", vec![Step::Offset(-0.5), Step::Smooth(minute), Step::Round(1)], "°C"),
            ("V", vec![Step::Scale(-1.0)], "V"),
        ] {
            assert_eq!(unit(&steps, before), expected, "{before} {steps:?}");
        }
    }
}
