//! The map's text as TOML, with what is no TOML told in the words of a person who edits a map.

use std::ops::Range;

use toml::de::DeTable;

use super::diagnostic::Findings;

/// Parses `text` and goes on behind each fault. Gives what could be read and, for each fault, the range of text that
/// is not to be trusted: the fault's line.
pub(super) fn read<'a>(text: &'a str, findings: &mut Findings) -> (DeTable<'a>, Vec<Range<usize>>) {
    let (root, errors) = DeTable::parse_recoverable(text);
    let mut spoilt: Vec<Range<usize>> = Vec::new();
    for error in errors {
        let span = error.span().unwrap_or(text.len()..text.len());
        // One slip makes several errors of the parser; the first of a line is the one that names it.
        if spoilt.iter().any(|line| line.contains(&span.start)) {
            continue;
        }
        let line = line(text, span.start);
        let (message, help) = explain(&text[line.clone()], error.message());
        findings.fault(&span, message, help);
        spoilt.push(line.start..line.end + 1);
    }
    (root.into_inner(), spoilt)
}

/// The line that holds `offset`, without its end.
fn line(text: &str, offset: usize) -> Range<usize> {
    let mut at = offset.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let end = text[at..].find('\n').map_or(text.len(), |length| at + length);
    start..end
}

/// The parser's words, and what to do where the line tells what was meant.
fn explain(line: &str, message: &str) -> (String, String) {
    if message == "duplicate key" {
        return ("this is written twice".to_owned(), "keep one of both".to_owned());
    }
    // What else could stand there is of no use where quotes are missing.
    let words = if message.starts_with("string values must be quoted") { "a text needs quotes" } else { message };
    let message = format!("this is not TOML: {words}");
    let value = line.split_once('=').map_or("", |(_, value)| value.trim());
    let help = match value.chars().next() {
        None if line.contains('=') => "a value belongs behind the equals sign",
        Some(first) if first.is_ascii_digit() && value.ends_with(|last: char| last.is_ascii_alphabetic()) => {
            "a number with a unit is written in quotes: \"20s\""
        }
        Some(first) if first.is_alphabetic() || matches!(first, '/' | '.' | '~') => {
            "a text is written in quotes: key = \"text\""
        }
        _ => "",
    };
    (message, help.to_owned())
}
