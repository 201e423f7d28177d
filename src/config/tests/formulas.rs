//! Formulas: their places, their inputs, and what cannot be reckoned.

use super::*;
use crate::config::fixture;

const AIR: &str = "[[sensor]]\nname = \"air\"\nuse = \"bme280\"\nto.temperature = \"house.field1\"\n";

fn formula(name: &str, value: &str, quantity: &str, field: u8) -> String {
    format!(
        "[[sensor]]\nname = \"{name}\"\nuse = \"formula\"\nvalue = {value}\nto.{quantity} = \"house.field{field}\"\n"
    )
}

fn told(sensors: &str) -> String {
    let map = fixture::map(&format!("{AIR}{sensors}"));
    parse(&map, Path::new("map.toml")).expect_err("a faulty map").to_string()
}

#[test]
fn formulas_are_bound_to_the_quantities_of_the_map() {
    let both = "{ dew = \"dew_point(air.temperature, air.humidity)\", spread = \"air.temperature - dew.dew\" }";
    let settings = fixture::settings(&format!("{AIR}{}", formula("dew", both, "spread", 2)));
    assert_eq!(settings.sensors[0].inputs, [0, 1], "the humidity is read though it goes nowhere");
    assert_eq!(settings.sensors[1].inputs, [0]);
    let names: Vec<_> =
        settings.sensors[1].kind.device().quantities().into_iter().map(|it| (it.name, it.unit)).collect();
    assert_eq!(names, [("dew".into(), "°C"), ("spread".into(), "")]);
    let pipeline = settings.pipeline();
    assert_eq!(pipeline.sensors[1].formulas[1].inputs, [(0, 0), (1, 0)]);
    assert_eq!(pipeline.sensors[1].silence, pipeline.sensors[0].silence);
    let plan = Plan::of(&settings).to_string();
    assert!(plan.contains("What is reckoned\n  dew.dew = dew_point(air.temperature, air.humidity)\n"), "{plan}");
}

#[test]
fn a_mistake_has_its_caret_within_the_expression() {
    let text = told(&formula("dew", "\"dew_point(air.temperature)\"", "value", 2));
    assert!(text.contains("`dew_point` takes 2 arguments, and here are 1"), "{text}");
    assert!(
        text.contains("| value = \"dew_point(air.temperature)\"\n     |          ^^^^^^^^^^^^^^^^^^^^^^^^^^\n"),
        "{text}"
    );
    let text = told(&formula("dew", "\"2 * air.temperatur + 1\"", "value", 2));
    assert!(
        text.contains("sensor `air` measures no `temperatur`") && text.contains("did you mean `temperature`?"),
        "{text}"
    );
    assert!(text.contains("\n     |              ^^^^^^^^^^^^^^\n"), "{text}");
    let text = told(&formula("dew", "{ x = \"1 + ari.temperature\" }", "x", 2));
    assert!(text.contains("there is no sensor `ari`") && text.contains("did you mean `air.temperature`?"), "{text}");
    let text = told(&formula("dew", "\"heat_index(air.pressure, air.humidity)\"", "value", 2));
    assert!(text.contains("`heat_index` wants its temperature in °C, and `air.pressure` is in hPa"), "{text}");
    let text = told(&formula("dew", "\"1 +\"", "value", 2));
    assert!(text.contains("the expression ends in place of a value"), "{text}");
    let text = told(&formula("dew", "17", "value", 2));
    assert!(text.contains("an expression in quotes, or a table of them"), "{text}");
    assert!(told(&formula("dew", "{}", "value", 2)).contains("here is no expression"));
}

#[test]
fn formulas_that_are_made_of_themselves_are_refused_with_the_circle() {
    let alone = told(&formula("a", "\"a.value + 1\"", "value", 2));
    assert!(alone.contains("`a.value` is made of itself"), "{alone}");
    let (b, c) = (formula("b", "\"air.temperature + c.value\"", "value", 2), formula("c", "\"b.value\"", "value", 3));
    let two = told(&format!("{b}{c}"));
    assert!(two.contains("these formulas are made of each other: b.value → c.value → b.value"), "{two}");
    assert!(two.ends_with("1 fault"), "{two}");
}

#[test]
fn a_formula_has_no_time_of_its_own_and_an_input_goes_somewhere() {
    let map = formula("warm", "\"air.temperature > 20\"", "value", 2);
    let timed = told(&map.replace("value =", "every = \"5s\"\nvalue ="));
    assert!(timed.contains("a formula is reckoned when its inputs come"), "{timed}");
    let nowhere = AIR.replace("to.temperature = \"house.field1\"\n", "");
    let checked = parse(&fixture::map(&format!("{nowhere}{map}")), Path::new("map.toml")).expect("a good map");
    assert_eq!(checked.render_warnings(), "");
}
