//! From text to [`Formula`]: recursive descent, one function for each level of precedence.
//!
//! ```text
//! comparison  sum [("<" | "<=" | ">" | ">=" | "==" | "!=") sum]
//! sum         product {("+" | "-") product}
//! product     signed {("*" | "/") signed}
//! signed      "-" signed | power
//! power       atom ["^" signed]
//! atom        number | sensor "." quantity | name "(" comparison {"," comparison} ")" | "(" comparison ")"
//! ```

use std::ops::Range;

use super::functions::{FUNCTIONS, names};
use super::{DEEPEST, Formula, Input, LONGEST, Mistake, Node, Operator};

type Parsed<T> = Result<T, Mistake>;

pub(super) fn parse(text: &str) -> Parsed<Formula> {
    if text.len() > LONGEST {
        return Err(mistake(0..text.len(), format!("an expression has at most {LONGEST} characters"), ""));
    }
    let mut parser = Parser { text, at: 0, depth: 0, inputs: Vec::new() };
    let root = parser.comparison()?;
    parser.blanks();
    if parser.at < text.len() {
        return Err(parser.unexpected("an operator or the end"));
    }
    Ok(Formula { root, inputs: parser.inputs })
}

struct Parser<'a> {
    text: &'a str,
    /// The next byte.
    at: usize,
    depth: usize,
    inputs: Vec<Input>,
}

fn mistake(place: Range<usize>, message: impl Into<String>, help: impl Into<String>) -> Mistake {
    Mistake { place, message: message.into(), help: help.into() }
}

fn is_part(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn blanks(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn next(&mut self) -> Option<char> {
        self.blanks();
        self.rest().chars().next()
    }

    /// Takes the first of these signs that comes next.
    fn take<T: Copy>(&mut self, signs: &[(&str, T)]) -> Option<T> {
        self.blanks();
        let (sign, meaning) = signs.iter().find(|(sign, _)| self.rest().starts_with(sign))?;
        self.at += sign.len();
        Some(*meaning)
    }

    fn want(&mut self, sign: &str, what: &str) -> Parsed<()> {
        self.take(&[(sign, ())]).ok_or_else(|| self.unexpected(what))
    }

    fn unexpected(&mut self, wanted: &str) -> Mistake {
        match self.next() {
            Some(letter) => {
                let help = match letter {
                    '=' => "two values are compared with ==",
                    '&' | '|' => "write min(a, b) for both, max(a, b) for either",
                    ';' => "arguments are separated by commas, and decimals have a point",
                    '%' => "there is no such operator: write / 100 for percent",
                    _ => "",
                };
                mistake(
                    self.at..self.at + letter.len_utf8(),
                    format!("here stands `{letter}` in place of {wanted}"),
                    help,
                )
            }
            None => mistake(self.end(), format!("the expression ends in place of {wanted}"), ""),
        }
    }

    /// The last character: a caret can stand below it.
    fn end(&self) -> Range<usize> {
        let last = self.text.char_indices().next_back().map_or(0, |(at, _)| at);
        last..self.text.len()
    }

    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth == DEEPEST {
            return Err(mistake(self.at..self.text.len(), format!("this is nested more than {DEEPEST} times"), ""));
        }
        self.depth += 1;
        let parsed = inner(self);
        self.depth -= 1;
        parsed
    }

    fn comparison(&mut self) -> Parsed<Node> {
        self.deeper(|parser| {
            let left = parser.sum()?;
            let signs = [
                ("<=", Operator::LessOrEqual),
                ("≤", Operator::LessOrEqual),
                (">=", Operator::GreaterOrEqual),
                ("≥", Operator::GreaterOrEqual),
                ("==", Operator::Equal),
                ("!=", Operator::Unequal),
                ("≠", Operator::Unequal),
                ("<", Operator::Less),
                (">", Operator::Greater),
            ];
            match parser.take(&signs) {
                Some(operator) => Ok(Node::Binary(operator, Box::new([left, parser.sum()?]))),
                None => Ok(left),
            }
        })
    }

    fn sum(&mut self) -> Parsed<Node> {
        let mut left = self.product()?;
        while let Some(operator) =
            self.take(&[("+", Operator::Add), ("-", Operator::Subtract), ("−", Operator::Subtract)])
        {
            left = Node::Binary(operator, Box::new([left, self.product()?]));
            self.bounded(&left)?;
        }
        Ok(left)
    }

    fn product(&mut self) -> Parsed<Node> {
        let signs = [
            ("*", Operator::Multiply),
            ("×", Operator::Multiply),
            ("·", Operator::Multiply),
            ("/", Operator::Divide),
            ("÷", Operator::Divide),
        ];
        let mut left = self.signed()?;
        while let Some(operator) = self.take(&signs) {
            left = Node::Binary(operator, Box::new([left, self.signed()?]));
            self.bounded(&left)?;
        }
        Ok(left)
    }

    /// A chain of operators nests to the left as deep as it is long: `a + b + c`.
    fn bounded(&self, node: &Node) -> Parsed<()> {
        let mut depth = 0;
        let mut at = node;
        while let Node::Binary(_, both) = at {
            (at, depth) = (&both[0], depth + 1);
        }
        if depth > 4 * DEEPEST {
            return Err(mistake(0..self.at, format!("this has more than {} operators in a row", 4 * DEEPEST), ""));
        }
        Ok(())
    }

    fn signed(&mut self) -> Parsed<Node> {
        if self.take(&[("-", ()), ("−", ())]).is_some() {
            return self.deeper(|parser| Ok(Node::Negative(Box::new(parser.signed()?))));
        }
        let base = self.atom()?;
        if self.take(&[("^", ())]).is_some() {
            let exponent = self.deeper(Self::signed)?;
            return Ok(Node::Binary(Operator::Power, Box::new([base, exponent])));
        }
        Ok(base)
    }

    fn atom(&mut self) -> Parsed<Node> {
        match self.next() {
            Some('(') => {
                self.at += 1;
                let inner = self.comparison()?;
                self.want(")", "a closing parenthesis")?;
                Ok(inner)
            }
            Some(letter) if letter.is_ascii_digit() || letter == '.' => self.number().map(Node::Number),
            Some('\'') => self.quoted(),
            Some(letter) if is_part(letter) => self.named(),
            _ => Err(self.unexpected("a value")),
        }
    }

    fn number(&mut self) -> Parsed<f64> {
        let start = self.at;
        let mut before = ' ';
        let length = self.rest().find(|letter: char| {
            let is_sign = matches!(letter, '+' | '-') && matches!(before, 'e' | 'E');
            let ends = !(is_part(letter) || letter == '.' || is_sign);
            before = letter;
            ends
        });
        self.at += length.unwrap_or(self.rest().len());
        let written = &self.text[start..self.at];
        let number = written.parse::<f64>().ok().filter(|number| number.is_finite());
        number.ok_or_else(|| {
            let help = "a sensor whose name begins with a digit stands in quotes: '2nd floor'.temperature";
            mistake(start..self.at, format!("`{written}` is not a number"), help)
        })
    }

    fn word(&mut self) -> (String, Range<usize>) {
        self.blanks();
        let start = self.at;
        let length = self.rest().find(|letter| !is_part(letter)).unwrap_or(self.rest().len());
        self.at += length;
        (self.text[start..self.at].to_owned(), start..self.at)
    }

    fn quoted(&mut self) -> Parsed<Node> {
        let start = self.at;
        let Some(length) = self.text[start + 1..].find('\'') else {
            return Err(mistake(start..self.text.len(), "these quotes are not closed", ""));
        };
        let name = self.text[start + 1..=start + length].to_owned();
        self.at = start + length + 2;
        self.quantity(name, start..self.at)
    }

    fn named(&mut self) -> Parsed<Node> {
        let (name, place) = self.word();
        if self.next() == Some('(') {
            self.at += 1;
            return self.deeper(|parser| parser.call(&name, place));
        }
        self.quantity(name, place)
    }

    fn quantity(&mut self, sensor: String, named: Range<usize>) -> Parsed<Node> {
        if self.take(&[(".", ())]).is_none() {
            let help = format!("write what it measures, such as {sensor}.temperature");
            return Err(mistake(named, format!("`{sensor}` is no value"), help));
        }
        let (quantity, place) = self.word();
        if quantity.is_empty() {
            return Err(self.unexpected("a quantity"));
        }
        let known = self.inputs.iter().position(|input| input.sensor == sensor && input.quantity == quantity);
        Ok(Node::Input(known.unwrap_or_else(|| {
            self.inputs.push(Input { sensor, quantity, place: named.start..place.end });
            self.inputs.len() - 1
        })))
    }

    fn call(&mut self, name: &str, place: Range<usize>) -> Parsed<Node> {
        if name == "table" {
            return self.table();
        }
        let mut arguments = Vec::new();
        if self.take(&[(")", ())]).is_none() {
            loop {
                self.blanks();
                let start = self.at;
                let argument = self.comparison()?;
                arguments.push((argument, start..self.at));
                if self.take(&[(",", ())]).is_none() {
                    break;
                }
            }
            self.want(")", "a comma or a closing parenthesis")?;
        }
        let whole = place.start..self.at;
        let count = arguments.len();
        if name == "if" {
            let all: Vec<Node> = arguments.into_iter().map(|(argument, _)| argument).collect();
            let wants = "`if` has three arguments: if(condition, value, value otherwise)";
            return match <[Node; 3]>::try_from(all) {
                Ok(all) => Ok(Node::If(Box::new(all))),
                Err(_) => Err(mistake(whole, format!("{wants}, and here are {count}"), "")),
            };
        }
        let Some(function) = FUNCTIONS.iter().find(|function| function.name == name) else {
            let help = format!("functions: {}", names().collect::<Vec<_>>().join(", "));
            return Err(mistake(place, format!("there is no function `{name}`"), help));
        };
        let most = if function.variadic { usize::MAX } else { function.parameters.len() };
        let least = function.parameters.len() - function.optional;
        if !(least..=most).contains(&count) {
            let names: Vec<&str> = function.parameters.iter().map(|parameter| parameter.name).collect();
            let more = if function.variadic { ", …" } else { "" };
            let message = format!("`{name}` takes {}, and here are {count}", counted(least, most));
            return Err(mistake(whole, message, format!("write {name}({}{more})", names.join(", "))));
        }
        Ok(Node::Call(function, arguments))
    }

    /// `table(x, [[x0, y0], [x1, y1], …])`, behind its parenthesis.
    fn table(&mut self) -> Parsed<Node> {
        let at = self.comparison()?;
        self.want(",", "a comma and the points: table(x, [[0, 0], [10, 25]])")?;
        self.blanks();
        let start = self.at;
        self.want("[", "the list of points")?;
        let mut points = Vec::new();
        while self.take(&[("]", ())]).is_none() {
            self.want("[", "a point: [10, 25]")?;
            let x = self.constant()?;
            self.want(",", "a comma")?;
            let y = self.constant()?;
            self.want("]", "the end of the point")?;
            points.push([x, y]);
            if self.take(&[(",", ())]).is_none() {
                self.want("]", "a comma or the end of the points")?;
                break;
            }
        }
        let place = start..self.at;
        self.want(")", "a closing parenthesis")?;
        if points.len() < 2 {
            return Err(mistake(place, "a table has two points or more", ""));
        }
        if points.windows(2).any(|pair| pair[0][0] >= pair[1][0]) {
            return Err(mistake(place, "the points of a table grow in their first number", "sort them"));
        }
        Ok(Node::Table(Box::new(at), points))
    }

    fn constant(&mut self) -> Parsed<f64> {
        let sign = if self.take(&[("-", ()), ("−", ())]).is_some() { -1.0 } else { 1.0 };
        match self.next() {
            Some(letter) if letter.is_ascii_digit() || letter == '.' => Ok(sign * self.number()?),
            _ => Err(self.unexpected("a number")),
        }
    }
}

fn counted(least: usize, most: usize) -> String {
    match (least, most) {
        (1, 1) => "1 argument".to_owned(),
        (least, usize::MAX) => format!("{least} argument or more"),
        (least, most) if least == most => format!("{least} arguments"),
        (least, most) => format!("{least} or {most} arguments"),
    }
}
