//! The map's text as TOML, with what is no TOML told in the words of a person who edits a map.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::de::DeTable;

use super::diagnostic::Findings;

/// The lines that are no TOML: what was read from them is not to be trusted.
#[derive(Debug, Default)]
pub(super) struct Spoilt(BTreeMap<usize, usize>);

impl Spoilt {
    /// Takes those of another text.
    pub(super) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Whether the place is in one of them.
    pub(super) fn contains(&self, at: usize) -> bool {
        self.0.range(..=at).next_back().is_some_and(|(_, end)| at < *end)
    }
}

/// Parses `text` and goes on behind each fault. Gives what could be read.
pub(super) fn read<'a>(text: &'a str, findings: &mut Findings) -> (DeTable<'a>, Spoilt) {
    let (root, errors) = DeTable::parse_recoverable(text);
    let mut spoilt = Spoilt::default();
    for error in errors {
        let span = error.span().unwrap_or(text.len()..text.len());
        // One slip makes several errors of the parser; the first of a line is the one that names it.
        if spoilt.contains(span.start) {
            continue;
        }
        let line = line(text, span.start);
        let (message, help) = explain(&text[line.clone()], error.message());
        findings.fault(&span, message, help);
        spoilt.0.insert(line.start, line.end + 1);
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

/// The parser's words, or plainer ones where the line tells what was meant.
fn explain(line: &str, message: &str) -> (String, String) {
    let told = |message: &str, help: &str| (message.to_owned(), help.to_owned());
    if message == "duplicate key" {
        return told("this key is written twice", "keep one of the two");
    }
    let is_value = line.contains('=') && !line.trim_start().starts_with('[');
    let value = line.split_once('=').map_or("", |(_, value)| value.split('#').next().unwrap_or_default().trim());
    if message.contains("escape") || message.contains("unicode value") {
        return told("in double quotes a backslash starts an escape", "write the text in single quotes: key = '…'");
    }
    if let Some(number) = decimal_comma(line) {
        return told("a number needs a decimal point, not a comma", &format!("write {number}"));
    }
    let digits = value.replace(' ', "");
    if is_value && value.contains(' ') && !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return told("a number cannot have blanks", &format!("write {digits}"));
    }
    let mut letters = value.chars();
    match (letters.next(), letters.last()) {
        (Some('“' | '”' | '„' | '‘' | '’' | '«'), _) => {
            told("these are typographic quotes", "write plain ones: key = \"text\"")
        }
        (None, _) if is_value => told("no value after the equals sign", ""),
        (Some(first), Some(last)) if first.is_ascii_digit() && last.is_ascii_alphabetic() => {
            told("a number with a unit needs quotes", "such as \"20s\"")
        }
        (Some(first), _) if first.is_alphabetic() || matches!(first, '/' | '~') => {
            told("a text needs quotes", "write: key = \"text\"")
        }
        _ => (format!("this is not TOML: {message}"), String::new()),
    }
}

/// The number that was meant by `= -0,5`.
fn decimal_comma(line: &str) -> Option<String> {
    line.split('=').skip(1).find_map(|value| {
        let (whole, rest) = value.trim_start().split_once(',')?;
        let fraction: String = rest.chars().take_while(char::is_ascii_digit).collect();
        let digits = whole.strip_prefix(['-', '+']).unwrap_or(whole);
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        (is_number(digits) && is_number(&fraction)).then(|| format!("{whole}.{fraction}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<(String, String)> {
        let mut findings = Findings::default();
        read(text, &mut findings);
        findings.faults.into_iter().map(|fault| (text[fault.span].to_owned(), fault.message)).collect()
    }

    #[test]
    fn slips_are_told_in_plain_words() {
        for (text, part, message) in [
            ("every = 20s", "20s", "a number with a unit needs quotes"),
            ("host = mqtt3.thingspeak.com", "mqtt3.thingspeak.com", "a text needs quotes"),
            ("port = /dev/ttyUSB0", "/dev/ttyUSB0", "a text needs quotes"),
            ("every = “20s”", "“20s”", "these are typographic quotes"),
            ("id = # later", "", "no value after the equals sign"),
            ("a = 1\na = 2", "a", "this key is written twice"),
            ("a = 1 234", "1 234", "a number cannot have blanks"),
        ] {
            assert_eq!(told(text), [(part.to_owned(), message.to_owned())], "{text}");
        }
    }

    #[test]
    fn each_broken_line_is_told_once() {
        assert_eq!(told("a = 20s\nb = 1\nc = = =\nd = 5\n[x").len(), 3);
    }
}
