//! Which parts of a map's text are secrets.
//!
//! The text itself is searched, since a map that cannot be parsed is shown too: whatever follows `=` after a key
//! that looks like a password is one, up to the end of the line (or of a text in three quotes). Rather too much
//! is hidden than too little.

use std::ops::Range;

/// Parts of a key, in lower case, that make its value a secret. `passw` alone would miss `pasword`.
const TELLTALE: [&str; 7] = ["pass", "pasw", "pwd", "psw", "secret", "wachtwoord", "kennwort"];

/// Byte ranges of secrets, each of whole characters and without line ends.
pub(super) fn ranges(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(equals) = text[at..].find('=').map(|offset| at + offset) {
        let line = text[..equals].rfind('\n').map_or(0, |end| end + 1);
        let before = &text[line.max(at)..equals];
        let start = equals + 1;
        if !is_telltale(before) {
            at = start;
            continue;
        }
        let end = end_of_value(text, start);
        found.extend(lines_of(text, start..end));
        at = end;
    }
    found
}

/// Whether the key right before an equals sign looks like a secret's. A file name is none.
fn is_telltale(before: &str) -> bool {
    let key = before.trim_end().rsplit(['{', ',', '\n', '#']).next().unwrap_or_default().to_lowercase();
    let escaped = key.contains('\\');
    escaped || (!key.trim().ends_with("_file") && TELLTALE.iter().any(|part| key.contains(part)))
}

/// Where the value that starts at `start` ends: at the end of its line, or after the closing three quotes.
fn end_of_value(text: &str, start: usize) -> usize {
    let value = &text[start..];
    let line_end = value.find('\n').unwrap_or(value.len());
    let trimmed = value[..line_end].trim_start();
    for quotes in ["\"\"\"", "'''"] {
        if trimmed.starts_with(quotes) {
            let body = line_end - trimmed.len() + quotes.len();
            let body = value[..line_end].find(quotes).map_or(body, |open| open + quotes.len());
            let close = value[body..].find(quotes).map_or(value.len(), |close| body + close + quotes.len());
            return start + close;
        }
    }
    start + line_end
}

/// The pieces of `range` without line ends and without the blanks around them.
fn lines_of(text: &str, range: Range<usize>) -> Vec<Range<usize>> {
    let mut pieces = Vec::new();
    let mut at = range.start;
    for line in text[range].split_inclusive('\n') {
        let blanks = line.len() - line.trim_start().len();
        let length = line.trim().len();
        if length > 0 {
            pieces.push(at + blanks..at + blanks + length);
        }
        at += line.len();
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(text: &str) -> Vec<&str> {
        ranges(text).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn the_rest_of_a_password_line_is_secret() {
        assert_eq!(hidden("a = 1\n password = \"x=y\" # why\nb = 2"), ["\"x=y\" # why"]);
        assert_eq!(hidden("\"password\"='x'\r\nb = 2"), ["'x'"]);
        assert_eq!(hidden("d = { username = \"u\", password = \"x\" }"), ["\"x\" }"]);
    }

    #[test]
    fn a_password_over_several_lines_is_secret_to_its_end() {
        assert_eq!(hidden("password = \"\"\"\nx\ny\"\"\"\nb = 2"), ["\"\"\"", "x", "y\"\"\""]);
        assert_eq!(hidden("password = '''\nx"), ["'''", "x"]);
    }

    #[test]
    fn a_key_written_with_escapes_hides_its_value() {
        assert_eq!(hidden("\"p\\u0061ssword\" = \"x\""), ["\"x\""]);
    }

    #[test]
    fn other_keys_are_shown() {
        assert!(hidden("password_file = \"key\"\nname = \"compass\"\n# the password is elsewhere\nid = 3").is_empty());
    }
}
