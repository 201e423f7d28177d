//! Expressions over readings: what a map reckons from what its sensors measure.
//!
//! ```text
//! dew_point(air.temperature, air.humidity)
//! if(tank.level > 20, pump.power / 1000, 0)
//! table('tank'.level, [[0, 0], [120, 800], [200, 1500]])
//! ```
//!
//! Pure: a [`Formula`] is parsed once and evaluated whenever its inputs have come. What it calls its inputs is `sensor.quantity`; who those
//! are is the caller's. Only what is needed is asked for: `if` does not look at the branch that it does not take.
//!
//! An expression is bounded in length and depth, so that neither reading nor evaluating one costs more than microseconds, nor any
//! stack to speak of.

mod air;
mod functions;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod parser;

#[cfg(test)]
mod tests;

use std::ops::Range;

use functions::Function;

/// The longest expression, in bytes.
pub const LONGEST: usize = 1000;

/// The deepest nesting.
pub const DEEPEST: usize = 32;

/// A quantity of a sensor that an expression names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// The map's name for the sensor.
    pub sensor: String,
    /// The quantity's name.
    pub quantity: String,
    /// Where it stands first, in bytes of the expression.
    pub place: Range<usize>,
}

/// What is wrong in an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where, in bytes of the expression.
    pub place: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to write instead; empty where that is not known.
    pub help: String,
}

/// An expression that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Formula {
    root: Node,
    inputs: Vec<Input>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    Unequal,
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Number(f64),
    /// The place of one of the inputs.
    Input(usize),
    Negative(Box<Node>),
    Binary(Operator, Box<[Node; 2]>),
    If(Box<[Node; 3]>),
    /// A function with its arguments and their places.
    Call(&'static Function, Vec<(Node, Range<usize>)>),
    /// Straight lines between points, sorted by their first number.
    Table(Box<Node>, Vec<[f64; 2]>),
}

impl Formula {
    /// Reads an expression.
    ///
    /// # Errors
    /// What is wrong first.
    pub fn parse(text: &str) -> Result<Self, Mistake> {
        parser::parse(text)
    }

    /// What it may ask for, each once, in the order of the text.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// The unit of its value and how fine that is, where what it computes is known: a dew point is in °C, to a tenth.
    pub fn kind(&self) -> (&'static str, Option<f64>) {
        match &self.root {
            Node::Call(function, _) => (function.unit, function.resolution),
            _ => ("", None),
        }
    }

    /// Where a function gets an input in another unit than it wants: `unit` says in which unit an input is, empty where that is not
    /// known.
    pub fn mistaken_units(&self, unit: impl Fn(&Input) -> &'static str) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        let mut open = vec![&self.root];
        while let Some(node) = open.pop() {
            match node {
                Node::Number(_) | Node::Input(_) => {}
                Node::Negative(inner) | Node::Table(inner, _) => open.push(inner),
                Node::Binary(_, both) => open.extend(both.iter()),
                Node::If(all) => open.extend(all.iter()),
                Node::Call(function, arguments) => {
                    for ((argument, place), parameter) in arguments.iter().zip(function.parameters) {
                        let Node::Input(input) = argument else { continue };
                        let input = &self.inputs[*input];
                        let has = unit(input);
                        if parameter.unit.is_empty() || has.is_empty() || parameter.unit == has {
                            continue;
                        }
                        let message = format!(
                            "`{}` wants its {} in {}, and `{}.{}` is in {has}",
                            function.name, parameter.name, parameter.unit, input.sensor, input.quantity
                        );
                        mistakes.push(Mistake {
                            place: place.clone(),
                            message,
                            help: "convert it here, or take another quantity".to_owned(),
                        });
                    }
                    open.extend(arguments.iter().map(|(argument, _)| argument));
                }
            }
        }
        mistakes
    }

    /// Its value. `input` gives the value of one of [`Formula::inputs`], by its place.
    ///
    /// # Errors
    /// Those of `input`, and `undefined` of the reason where there is no number: a division by 0, a root of -1.
    pub fn value<E>(&self, input: &dyn Fn(usize) -> Result<f64, E>, undefined: &dyn Fn(String) -> E) -> Result<f64, E> {
        Evaluation { input, undefined }.value(&self.root)
    }
}

struct Evaluation<'a, E> {
    input: &'a dyn Fn(usize) -> Result<f64, E>,
    undefined: &'a dyn Fn(String) -> E,
}

impl<E> Evaluation<'_, E> {
    fn value(&self, node: &Node) -> Result<f64, E> {
        let (value, what) = match node {
            Node::Number(number) => return Ok(*number),
            Node::Input(input) => return (self.input)(*input),
            Node::Negative(inner) => return Ok(-self.value(inner)?),
            Node::If(all) => {
                let [condition, yes, no] = &**all;
                return self.value(if self.value(condition)? == 0.0 { no } else { yes });
            }
            Node::Table(at, points) => (between(points, self.value(at)?), "a table of such large numbers".to_owned()),
            Node::Binary(operator, both) => {
                let [left, right] = &**both;
                let (left, right) = (self.value(left)?, self.value(right)?);
                (operator.apply(left, right), format!("{left} {} {right}", operator.sign()))
            }
            Node::Call(function, arguments) => {
                let values = arguments.iter().map(|(node, _)| self.value(node)).collect::<Result<Vec<f64>, E>>()?;
                let told = || values.iter().map(f64::to_string).collect::<Vec<_>>().join(", ");
                let value = (function.call)(&values);
                let words = if value.is_finite() { String::new() } else { format!("{}({})", function.name, told()) };
                (value, words)
            }
        };
        if value.is_finite() { Ok(value) } else { Err((self.undefined)(format!("{what} has no value"))) }
    }
}

impl Operator {
    #[expect(clippy::float_cmp, reason = "it is what the map asks for: 1 or 0 of a level, a count")]
    fn apply(self, left: f64, right: f64) -> f64 {
        let truth = |is| f64::from(u8::from(is));
        match self {
            Self::Add => left + right,
            Self::Subtract => left - right,
            Self::Multiply => left * right,
            Self::Divide => left / right,
            Self::Power => left.powf(right),
            Self::Less => truth(left < right),
            Self::LessOrEqual => truth(left <= right),
            Self::Greater => truth(left > right),
            Self::GreaterOrEqual => truth(left >= right),
            Self::Equal => truth(left == right),
            Self::Unequal => truth(left != right),
        }
    }

    const fn sign(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Power => "^",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Equal => "==",
            Self::Unequal => "!=",
        }
    }
}

/// The value on the line between the neighbours of `at`; beyond the ends that of the end.
fn between(points: &[[f64; 2]], at: f64) -> f64 {
    let above = points.partition_point(|[x, _]| *x <= at);
    match (above.checked_sub(1).map(|below| points[below]), points.get(above)) {
        (Some([x0, y0]), Some([x1, y1])) => {
            let share = (at - x0) / (x1 - x0);
            y0 * (1.0 - share) + y1 * share
        }
        (Some([_, y]), None) => y,
        (None, Some([_, y])) => *y,
        (None, None) => unreachable!("a table has two points or more"),
    }
}
