//! The functions that an expression may call.

use super::air;

/// What a function takes.
#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    /// Empty where any will do.
    pub(super) unit: &'static str,
}

/// A function of numbers.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) name: &'static str,
    /// The last one may stand more often where the function is `variadic`.
    pub(super) parameters: &'static [Parameter],
    pub(super) variadic: bool,
    /// Parameters at the end that may be left out.
    pub(super) optional: usize,
    /// Of its value.
    pub(super) unit: &'static str,
    pub(super) resolution: Option<f64>,
    /// Called with as many numbers as it has parameters.
    pub(super) call: fn(&[f64]) -> f64,
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

const fn any(name: &'static str) -> Parameter {
    Parameter { name, unit: "" }
}

const fn of(name: &'static str, unit: &'static str) -> Parameter {
    Parameter { name, unit }
}

const fn plain(name: &'static str, parameters: &'static [Parameter], call: fn(&[f64]) -> f64) -> Function {
    Function { name, parameters, variadic: false, optional: 0, unit: "", resolution: None, call }
}

const fn air(
    name: &'static str,
    parameters: &'static [Parameter],
    (unit, resolution): (&'static str, f64),
    call: fn(&[f64]) -> f64,
) -> Function {
    Function { unit, resolution: Some(resolution), ..plain(name, parameters, call) }
}

const HUMID: &[Parameter] = &[of("temperature", "°C"), of("humidity", "%")];

/// All of them, in the order of their names; `if` and `table` are the parser's.
pub(super) const FUNCTIONS: &[Function] = &[
    plain("abs", &[any("value")], |it| it[0].abs()),
    air("absolute_humidity", HUMID, ("g/m³", 0.1), |it| air::absolute_humidity(it[0], it[1])),
    plain("clamp", &[any("value"), any("least"), any("most")], |it| it[0].max(it[1]).min(it[2])),
    air("dew_point", HUMID, ("°C", 0.1), |it| air::dew_point(it[0], it[1])),
    plain("exp", &[any("value")], |it| it[0].exp()),
    air("heat_index", HUMID, ("°C", 0.1), |it| air::heat_index(it[0], it[1])),
    plain("ln", &[any("value")], |it| it[0].ln()),
    Function {
        variadic: true,
        ..plain("max", &[any("value")], |it| it.iter().copied().fold(f64::NEG_INFINITY, f64::max))
    },
    Function { variadic: true, ..plain("min", &[any("value")], |it| it.iter().copied().fold(f64::INFINITY, f64::min)) },
    Function { optional: 1, ..plain("round", &[any("value"), any("digits")], |it| round(it[0], it.get(1).copied())) },
    air(
        "sea_level_pressure",
        &[of("pressure", "hPa"), of("temperature", "°C"), of("altitude", "m")],
        ("hPa", 0.1),
        |it| air::sea_level_pressure(it[0], it[1], it[2]),
    ),
    plain("sqrt", &[any("value")], |it| it[0].sqrt()),
    air("vapour_pressure_deficit", HUMID, ("kPa", 0.01), |it| air::vapour_pressure_deficit(it[0], it[1])),
    air("wind_chill", &[of("temperature", "°C"), of("wind", "km/h")], ("°C", 0.1), |it| {
        air::wind_chill(it[0], it[1])
    }),
];

/// To so many digits after the point, from 0 to 9.
fn round(value: f64, digits: Option<f64>) -> f64 {
    #[expect(clippy::cast_possible_truncation, reason = "it is between 0 and 9")]
    let digits = digits.unwrap_or(0.0).clamp(0.0, 9.0) as i32;
    let unit = 10_f64.powi(digits);
    let rounded = (value * unit).round() / unit;
    if rounded.is_finite() { rounded } else { value }
}

/// Every name that may stand before a parenthesis.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|function| function.name).chain(["if", "table"])
}
