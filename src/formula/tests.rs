use proptest::prelude::*;

use super::*;

/// The value of an expression; inputs are counted from 10 on: the first one is 10, the second 20.
fn value(text: &str) -> Result<f64, String> {
    let formula = Formula::parse(text).unwrap_or_else(|mistake| panic!("{text}: {mistake:?}"));
    formula.value(&|place| Ok(10.0 * f64::from(u8::try_from(place + 1).unwrap())), &|why| why)
}

fn wrong(text: &str) -> (String, String) {
    let mistake = Formula::parse(text).expect_err(text);
    (text[mistake.place].to_owned(), mistake.message)
}

#[test]
fn operators_bind_as_on_paper() {
    for (text, expected) in [
        ("1 + 2 * 3", 7.0),
        ("(1 + 2) × 3", 9.0),
        ("2 - 3 − 4", -5.0),
        ("12 / 3 ÷ 2", 2.0),
        ("-2^2", -4.0),
        ("2^3^2", 512.0),
        ("2^-1", 0.5),
        ("--3", 3.0),
        ("1e3 + .5 + 2.5E-1", 1000.75),
        ("1 + 1 < 3", 1.0),
        ("2 >= 3", 0.0),
        ("3 == 3", 1.0),
        ("3 != 3", 0.0),
    ] {
        assert_eq!(value(text), Ok(expected), "{text}");
    }
}

#[test]
fn functions_have_their_values() {
    for (text, expected) in [
        ("min(3, 1, 2)", 1.0),
        ("max(3)", 3.0),
        ("abs(-4)", 4.0),
        ("sqrt(2.25)", 1.5),
        ("ln(exp(2))", 2.0),
        ("round(2.5)", 3.0),
        ("round(1.23456, 2)", 1.23),
        ("clamp(120, 0, 100)", 100.0),
        ("if(2 > 1, 10, 20)", 10.0),
        ("if(0, 10, 20)", 20.0),
        ("table(5, [[0, 100], [10, 200]])", 150.0),
        ("table(-5, [[0, 100], [10, 200]])", 100.0),
        ("table(50, [[0, 100], [10, -200]])", -200.0),
    ] {
        assert_eq!(value(text), Ok(expected), "{text}");
    }
    assert!((value("dew_point(25, 50)").unwrap() - 13.85).abs() < 0.01);
}

#[test]
fn inputs_are_named_by_sensor_and_quantity_each_once() {
    let formula = Formula::parse("air.temperature - 'living room'.pm2_5 + air . temperature").unwrap();
    let names: Vec<_> = formula.inputs().iter().map(|it| (it.sensor.as_str(), it.quantity.as_str())).collect();
    assert_eq!(names, [("air", "temperature"), ("living room", "pm2_5")]);
    assert_eq!(formula.inputs()[1].place, 18..37);
    assert_eq!(value("a.x + 2 * b.y + a.x"), Ok(60.0));
}

#[test]
fn a_branch_that_is_not_taken_needs_no_input() {
    let formula = Formula::parse("if(a.x > 5, 1, b.y)").unwrap();
    let input = |place: usize| if place == 0 { Ok(6.0) } else { Err("missing".to_owned()) };
    assert_eq!(formula.value(&input, &|why| why), Ok(1.0));
    let input = |place: usize| if place == 0 { Ok(4.0) } else { Err("missing".to_owned()) };
    assert_eq!(formula.value(&input, &|why| why), Err("missing".to_owned()));
}

#[test]
fn what_has_no_value_says_so() {
    for (text, why) in [
        ("1 / 0", "1 / 0 has no value"),
        ("sqrt(-1)", "sqrt(-1) has no value"),
        ("ln(0)", "ln(0) has no value"),
        ("(-8) ^ 0.5", "-8 ^ 0.5 has no value"),
        ("exp(1000)", "exp(1000) has no value"),
        ("dew_point(20, -5)", "dew_point(20, -5) has no value"),
    ] {
        assert_eq!(value(text), Err(why.to_owned()));
    }
}

#[test]
fn mistakes_have_their_place() {
    for (text, place, message) in [
        ("", "", "the expression ends in place of a value"),
        ("1 +", "+", "the expression ends in place of a value"),
        ("1 2", "2", "here stands `2` in place of an operator or the end"),
        ("(1", "1", "the expression ends in place of a closing parenthesis"),
        ("air = 2", "air", "`air` is no value"),
        ("a.x = 2", "=", "here stands `=` in place of an operator or the end"),
        ("1.2.3", "1.2.3", "`1.2.3` is not a number"),
        ("dewpoint(1)", "dewpoint", "there is no function `dewpoint`"),
        ("1 + dew_point(2)", "dew_point(2)", "`dew_point` takes 2 arguments, and here are 1"),
        ("min()", "min()", "`min` takes 1 argument or more, and here are 0"),
        ("round(1, 2, 3)", "round(1, 2, 3)", "`round` takes 1 or 2 arguments, and here are 3"),
        ("if(1, 2)", "if(1, 2)", "`if` has three arguments: if(condition, value, value otherwise), and here are 2"),
        ("'air", "'air", "these quotes are not closed"),
        ("table(1, [[1, 2]])", "[[1, 2]]", "a table has two points or more"),
        ("table(1, [[2, 2], [1, 1]])", "[[2, 2], [1, 1]]", "the points of a table grow in their first number"),
    ] {
        assert_eq!(wrong(text), (place.to_owned(), message.to_owned()), "{text}");
    }
    assert!(Formula::parse("1 % 2").unwrap_err().help.contains("percent"));
}

#[test]
fn length_and_depth_are_bounded() {
    let deep = |depth: usize| "(".repeat(depth) + "1" + &")".repeat(depth);
    assert!(Formula::parse(&deep(DEEPEST - 1)).is_ok());
    assert_eq!(wrong(&deep(DEEPEST)).1, "this is nested more than 32 times");
    assert!(wrong(&("-".repeat(900) + "1")).1.contains("nested"));
    assert!(wrong(&("2^".repeat(400) + "1")).1.contains("nested"));
    assert!(wrong(&("1+".repeat(400) + "1")).1.contains("operators in a row"));
    assert!(wrong(&("1+".repeat(600) + "1")).1.contains("at most 1000"));
}

#[test]
fn another_unit_than_a_function_wants_is_a_mistake() {
    let formula = Formula::parse("1 + dew_point(air.pressure, air.humidity)").unwrap();
    let unit = |input: &Input| if input.quantity == "pressure" { "hPa" } else { "%" };
    let [mistake] = &formula.mistaken_units(unit)[..] else { panic!("one") };
    assert_eq!(mistake.place, 14..26);
    assert_eq!(mistake.message, "`dew_point` wants its temperature in °C, and `air.pressure` is in hPa");
    assert!(formula.mistaken_units(|_| "").is_empty(), "what is not known is not judged");
    assert_eq!(Formula::parse("dew_point(a.t, a.h)").unwrap().kind(), ("°C", Some(0.1)));
    assert_eq!(formula.kind(), ("", None));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_with_a_place(text in "[-+*/^<>=!(),.'a-c0-9e \\[\\]×µ]{0,60}") {
        fuzzing::expression(text.as_bytes());
    }

    #[test]
    fn sums_and_products_are_those_of_the_machine(a in -1e6..1e6_f64, b in -1e6..1e6_f64, c in 1e-3..1e6_f64) {
        prop_assert_eq!(value(&format!("({a}) + ({b}) * ({c})")), Ok(a + b * c));
        prop_assert_eq!(value(&format!("(({a}) - ({b})) / {c}")), Ok((a - b) / c));
    }
}
