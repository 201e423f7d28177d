//! Takes block comments out of a text: `/* … */` and `<!-- … -->`, over several lines too.
//!
//! Comments that end with their line stay: whether `//` is one or part of a password shows only where the value is known.

use secrecy::zeroize::Zeroizing;

use super::value::{QUOTES, is_comment, trim};

/// What begins a block comment, and what ends it.
const BLOCKS: [(&str, &str); 2] = [("/*", "*/"), ("<!--", "-->")];

/// A text without its block comments.
pub(super) struct Stripped {
    /// The same lines, each ended by a line feed.
    pub(super) code: Zeroizing<String>,
    /// The line where a comment begins that has no end.
    pub(super) unclosed: Option<usize>,
}

/// The lines of a text with their numbers from 1, whichever system ended them.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut rest = Some(text);
    let lines = std::iter::from_fn(move || {
        let text = rest?;
        let Some(at) = text.find(['\r', '\n']) else {
            rest = None;
            return (!text.is_empty()).then_some(text);
        };
        let (line, end) = text.split_at(at);
        rest = Some(end.strip_prefix("\r\n").unwrap_or(&end[1..]));
        Some(line)
    });
    lines.enumerate().map(|(index, line)| (index + 1, line))
}

/// Takes the block comments out.
pub(super) fn strip(text: &str) -> Stripped {
    // It never grows: a buffer that moves would leave copies of the secret behind.
    let mut code = Zeroizing::new(String::with_capacity(text.len() + 1));
    let mut open: Option<(usize, &str)> = None;
    for (number, line) in lines(text) {
        let mut rest = line;
        loop {
            if let Some((_, close)) = open {
                let Some((_, behind)) = rest.split_once(close) else { break };
                (rest, open) = (behind, None);
                code.push(' ');
            }
            let Some((at, mark, close)) = block(rest) else {
                code.push_str(rest);
                break;
            };
            code.push_str(&rest[..at]);
            rest = &rest[at + mark.len()..];
            open = Some((number, close));
        }
        code.push('\n');
    }
    Stripped { code, unclosed: open.map(|(number, _)| number) }
}

/// The first block comment that begins in a line: not within a value, not in quotes, not in a comment.
fn block(line: &str) -> Option<(usize, &'static str, &'static str)> {
    let is_directive = trim(line).starts_with('#') && trim(&trim(line)[1..]).starts_with("define");
    let mut quote = None;
    let mut before = ' ';
    for (at, letter) in line.char_indices() {
        let is_begin = before.is_whitespace();
        if quote.is_some() {
            quote = quote.filter(|quote| *quote != letter);
        } else if QUOTES.contains(&letter) && (is_begin || "=:,({[".contains(before)) {
            quote = Some(letter);
        } else if is_begin || ";,{}()[]\"'".contains(before) {
            let found = BLOCKS.into_iter().find(|(mark, _)| line[at..].starts_with(mark));
            if let Some((mark, close)) = found {
                return Some((at, mark, close));
            }
            if is_begin && is_comment(&line[at..]) && !(is_directive && letter == '#') {
                return None;
            }
        }
        before = letter;
    }
    None
}
