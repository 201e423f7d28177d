//! A text that matches a regular expression, for simulation only: it walks the pattern, takes the first of what is
//! possible, and leaves a place for a number at each named group.
//!
//! It knows literals, escapes, classes, groups and counts; what it makes of rarer things may not match. Whoever uses
//! it checks the result against the expression.

use regex_lite::Regex;

use crate::sensor::lines::LONGEST;

/// A line with places for numbers.
#[derive(Clone, Debug, Default)]
pub(in crate::sensor) struct Template(Vec<Piece>);

#[derive(Clone, Debug)]
enum Piece {
    Text(char),
    Number(Style),
}

/// How a number is written: times a factor, with this many digits after the point, with a plus sign or without.
#[derive(Clone, Copy, Debug)]
struct Style {
    factor: f64,
    digits: usize,
    plus: bool,
}

impl Style {
    const fn new(factor: f64, digits: usize) -> Self {
        Self { factor, digits, plus: false }
    }

    /// The styles that are tried, the most usual first. The integers are for patterns such as `[0-9]{4}`.
    const ALL: [Self; 8] = [
        Self::new(1.0, 1),
        Self::new(1.0, 2),
        Self::new(1.0, 3),
        Self::new(1.0, 0),
        Self::new(10.0, 0),
        Self::new(100.0, 0),
        Self::new(0.1, 1),
        Self { factor: 1.0, digits: 1, plus: true },
    ];

    fn write(self, number: f64) -> String {
        let Self { factor, digits, plus } = self;
        let number = number * factor;
        if plus { format!("{number:+.digits$}") } else { format!("{number:.digits$}") }
    }
}

impl Template {
    /// The line; `number` gives the value of the n-th place.
    pub(super) fn line(&self, number: impl Fn(usize) -> f64) -> String {
        let mut place = 0;
        let write = |piece: &Piece| match piece {
            Piece::Text(text) => text.to_string(),
            Piece::Number(style) => {
                place += 1;
                style.write(number(place - 1))
            }
        };
        self.0.iter().map(write).collect()
    }

    fn has_number(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Number(_)))
    }
}

/// A template for each alternative of the pattern. `None` for what this small walker does not know.
pub(super) fn templates(pattern: &str) -> Option<Vec<Template>> {
    let mut walk = Walk { rest: pattern };
    let templates = walk.alternatives()?;
    let fits = templates.iter().all(|template| template.line(|_| 0.0).len() <= LONGEST);
    (walk.rest.is_empty() && fits).then_some(templates)
}

/// What is left of the pattern.
struct Walk<'a> {
    rest: &'a str,
}

impl<'a> Walk<'a> {
    /// Up to the end of the pattern or of the group.
    fn alternatives(&mut self) -> Option<Vec<Template>> {
        let mut all = vec![self.sequence()?];
        while self.skip("|") {
            all.push(self.sequence()?);
        }
        Some(all)
    }

    fn sequence(&mut self) -> Option<Template> {
        let mut sequence = Template::default();
        while !self.rest.is_empty() && !self.rest.starts_with(['|', ')']) {
            let atom = self.atom()?;
            let times = self.times(&atom)?;
            // Counts multiply: a{999}{999} is checked before it fills the memory.
            if sequence.0.len() + atom.0.len().max(1) * times > LONGEST {
                return None;
            }
            sequence.0.extend(std::iter::repeat_n(&atom.0, times).flatten().cloned());
        }
        Some(sequence)
    }

    fn atom(&mut self) -> Option<Template> {
        let mut atom = Template::default();
        let length = match self.rest.chars().next()? {
            '^' | '$' => {
                self.take(1);
                return Some(atom);
            }
            '(' => return self.group(),
            '[' => class_length(self.rest)?,
            '\\' => escape_length(self.rest)?,
            other => other.len_utf8(),
        };
        match self.take(length) {
            r"\b" | r"\B" | r"\A" | r"\z" => {}
            source => atom.0.push(Piece::Text(matching(source)?)),
        }
        Some(atom)
    }

    fn group(&mut self) -> Option<Template> {
        self.take(1);
        let named = self.skip("?P<") || self.skip("?<");
        if named {
            let name = self.rest.find('>')?;
            self.take(name + 1);
        } else if self.skip("?") {
            let flags = self.rest.find([':', ')'])?;
            // With `x`, blanks in the pattern are no text.
            if self.take(flags).contains('x') {
                return None;
            }
            if self.skip(")") {
                return Some(Template::default());
            }
            self.skip(":");
        }
        let start = self.rest;
        let first = self.alternatives()?.swap_remove(0);
        let inside = &start[..start.len() - self.rest.len()];
        let closed = self.skip(")");
        closed.then(|| if named { number_for(inside).unwrap_or(first) } else { first })
    }

    /// How often the atom is repeated: as seldom as allowed, but once where it holds a number.
    fn times(&mut self, atom: &Template) -> Option<usize> {
        let wanted = usize::from(atom.has_number());
        let times = if self.skip("?") || self.skip("*") {
            wanted
        } else if self.skip("+") {
            1
        } else if self.rest.starts_with('{') {
            let end = self.rest.find('}')?;
            let bounds = self.take(end + 1);
            let least = bounds[1..end].split(',').next()?.trim().parse::<usize>().ok()?;
            least.max(wanted)
        } else {
            return Some(1);
        };
        self.skip("?");
        (times <= LONGEST).then_some(times)
    }

    fn skip(&mut self, prefix: &str) -> bool {
        let rest = self.rest.strip_prefix(prefix);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }
}

/// A number in the first style that the inside of a group allows.
fn number_for(inside: &str) -> Option<Template> {
    let regex = Regex::new(&format!("^(?:{inside})$")).ok()?;
    let style = Style::ALL.into_iter().find(|style| regex.is_match(&style.write(22.5)))?;
    Some(Template(vec![Piece::Number(style)]))
}

/// A character that a class, an escape, a dot or a literal matches: the first of Latin-1, figures before signs.
fn matching(source: &str) -> Option<char> {
    let regex = Regex::new(&format!("^{source}$")).ok()?;
    let literal = source.chars().next_back();
    let latin = ('0'..='9').chain('A'..='z').chain(' '..='~').chain(['\t']).chain('\u{a0}'..='\u{ff}');
    latin.chain(literal).find(|c| regex.is_match(c.encode_utf8(&mut [0; 4])))
}

/// The length of the escape at the start of `rest`: `\d`, `\x41`, `\x{e9}`.
fn escape_length(rest: &str) -> Option<usize> {
    let mut chars = rest.chars().skip(1);
    let letter = chars.next()?;
    let digits = match (letter, chars.next()) {
        ('x' | 'u' | 'U', Some('{')) => rest.find('}')? - 1,
        ('x', _) => 2,
        ('u', _) => 4,
        ('U', _) => 8,
        _ => 0,
    };
    let length = 1 + letter.len_utf8() + digits;
    rest.is_char_boundary(length).then_some(length)
}

/// The length of the class at the start of `rest`: a bracket closes it unless it is escaped, comes first, or belongs
/// to a class inside such as `[:digit:]`.
fn class_length(rest: &str) -> Option<usize> {
    let body = rest.strip_prefix("[^").or_else(|| rest.strip_prefix('['))?;
    let start = rest.len() - body.len();
    let mut depth = 1;
    let mut escaped = false;
    for (index, c) in body.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => depth += 1,
            ']' if index > 0 => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(start + index + 1);
        }
    }
    None
}
