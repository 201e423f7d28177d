//! Which parts of a map's text are secrets.
//!
//! The text itself is searched, since a map that cannot be parsed is shown too, and in such a map nothing can be relied on:
//! not that an equals sign stands behind `password`, nor that the value stands in the same line. So whatever follows a
//! word that looks like a password's key is one, and in a device's section whatever follows a key that a device does not
//! have. Rather too much is hidden than too little.

use std::ops::Range;

use super::suggest::nearest;

/// Parts of a word, in lower case, that make what follows it a secret. `passw` alone would miss `pasword`.
const TELLTALE: [&str; 11] =
    ["pass", "pasw", "pwd", "psw", "pss", "pword", "secret", "token", "apikey", "wachtwoord", "kennwort"];

/// Words that are secrets' keys even when the finger slipped.
const KEYS: [&str; 3] = ["password", "passwd", "secret"];

/// The keys of a device that may be shown.
const OPEN_KEYS: [&str; 4] = ["credentials", "client_id", "username", "password_file"];

/// The sections that hold no secret. Any other might be a device's with its name misspelt.
const OPEN_SECTIONS: [&str; 6] = ["broker", "spool", "metrics", "channel", "sensor", "output"];

/// The begin of a secret in its line.
struct Start {
    at: usize,
    /// Whether the next line holds it if this one does not: there was a key, and not just a word.
    may_follow: bool,
}

/// Byte ranges of secrets, each of whole characters and without line ends.
pub(super) fn ranges(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut is_device = false;
    let mut at = 0;
    while at < text.len() {
        let line_end = text[at..].find('\n').map_or(text.len(), |length| at + length);
        let line = &text[at..line_end];
        if let Some(section) = section(line) {
            is_device = !OPEN_SECTIONS.contains(&section);
        } else if let Some(start) = start_of_secret(line, is_device) {
            let end = end_of_value(text, at + start.at, start.may_follow);
            found.extend(lines_of(text, at + start.at..end));
            at = end;
            continue;
        }
        at = line_end + 1;
    }
    found
}

/// The first part of the name in a header such as `[device.garden]`.
fn section(line: &str) -> Option<&str> {
    let name = line.trim_start().strip_prefix('[')?.trim_start_matches('[');
    let is_header = !name.contains(['=', '{', ',']);
    is_header.then(|| name.split(['.', ']', '#']).next().unwrap_or_default().trim().trim_matches(['"', '\'']))
}

/// Where in a line its secret begins: behind the key and the equals sign.
fn start_of_secret(line: &str, is_device: bool) -> Option<Start> {
    if let Some(at) = userinfo(line) {
        return Some(Start { at, may_follow: false });
    }
    let is_comment = line.trim_start().starts_with('#');
    let mut first = true;
    for word in words(line) {
        let is_key = std::mem::take(&mut first) && !is_comment;
        let name = &line[word.clone()];
        let is_hidden_key = is_key && (is_device || name.starts_with("device.")) && !is_open_key(name);
        if is_hidden_key && !line.contains(['=', ':']) {
            // Perhaps no key at all but a value that strayed into a line of its own.
            return Some(Start { at: line.len() - line.trim_start().len(), may_follow: false });
        }
        if is_hidden_key || is_telltale(name) {
            let at = behind(line, word.end);
            return Some(Start { at, may_follow: is_key || line[word.end..at].contains(['=', ':']) });
        }
    }
    None
}

/// Where the user name and password of an address begin (`http://me:password@proxy`), with its scheme or without.
fn userinfo(line: &str) -> Option<usize> {
    let is_end = |letter: char| letter.is_whitespace() || matches!(letter, '"' | '\'' | '=');
    line.match_indices('@').find_map(|(end, _)| {
        let before = &line[..end];
        let begin = before.char_indices().rev().find(|(_, letter)| is_end(*letter));
        let begin = begin.map_or(0, |(at, letter)| at + letter.len_utf8());
        let address = &before[begin..];
        match address.find("://") {
            Some(at) => Some(begin + at + 3),
            None => address.contains(':').then_some(begin),
        }
    })
}

/// The words of a line: keys, dotted ones whole, paths, and the words of texts.
fn words(line: &str) -> impl Iterator<Item = Range<usize>> {
    let in_word = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.' | '/' | '\\');
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + line[at..].find(in_word)?;
        at = line[start..].find(|letter| !in_word(letter)).map_or(line.len(), |length| start + length);
        Some(start..at)
    })
}

/// Whether a secret follows this word. The name of a file is none; a key that is written with escapes may be anything.
fn is_telltale(word: &str) -> bool {
    let word = word.to_lowercase();
    let last = last_part(&word);
    word.contains("\\u")
        || word.contains("\\x")
        || last.split(['_', '-']).any(|part| part == "pw")
        || (!word.ends_with("_file") && TELLTALE.iter().any(|part| word.contains(part)))
        || (last.starts_with(['p', 's']) && nearest(last, KEYS).is_some())
}

/// Whether a device's key may be shown with its value.
fn is_open_key(word: &str) -> bool {
    OPEN_KEYS.contains(&last_part(word))
}

fn last_part(word: &str) -> &str {
    word.rsplit('.').next().unwrap_or_default()
}

/// The place behind a key, the quote that closes it, blanks and what should be an equals sign.
fn behind(line: &str, key_end: usize) -> usize {
    let rest = &line[key_end..];
    let value = rest.strip_prefix(['"', '\'']).unwrap_or(rest).trim_start().trim_start_matches(['=', ':']).trim_start();
    line.len() - value.len()
}

/// Where the value that starts at `start` ends: at the end of its line, or of the next one if there is nothing in its own,
/// or behind what closes three quotes or a bracket.
fn end_of_value(text: &str, mut start: usize, may_follow: bool) -> usize {
    let line_end = |at: usize| text[at..].find('\n').map_or(text.len(), |length| at + length);
    let mut end = line_end(start);
    while matches!(text[start..end].trim_start().chars().next(), None | Some('#')) {
        let next = text.len() - text[end..].trim_start().len();
        let is_header = section(&text[next..line_end(next)]).is_some();
        if !may_follow || is_header || next == text.len() {
            return end;
        }
        (start, end) = (next, line_end(next));
    }
    let value = text[start..end].trim_start();
    for (open, close) in [("\"\"\"", "\"\"\""), ("'''", "'''"), ("[", "]"), ("{", "}")] {
        if value.starts_with(open) {
            let body = start + text[start..end].find(open).unwrap_or_default() + open.len();
            return text[body..].find(close).map_or(text.len(), |at| line_end(body + at + close.len()));
        }
    }
    end
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
    fn a_password_is_secret_without_an_equals_sign_too() {
        for (text, secret) in [
            ("password: \"sesame\"", "\"sesame\""),
            ("password \"sesame\"", "\"sesame\""),
            ("password =\n  \"sesame\"", "\"sesame\""),
            ("password = # below\n\n'sesame'", "'sesame'"),
            ("password\n= sesame", "= sesame"),
            ("psswd = \"sesame\"", "\"sesame\""),
            ("paswrod = sesame", "sesame"),
            ("mqtt_pw = sesame", "sesame"),
            ("client_id = \"a\" password = \"sesame\"", "\"sesame\""),
            ("password = [\n  \"a\",\n \"sesame\"\n]", "\"sesame\""),
        ] {
            assert!(hidden(text).contains(&secret), "{text}: {:?}", hidden(text));
        }
    }

    #[test]
    fn what_a_device_does_not_know_is_secret() {
        let text =
            "[device.garden]\nclient_id = \"A\"\nhush = \"b\"\n\"c\"\nhush =\n\"d\"\n[channel.house]\nhush = \"e\"";
        assert_eq!(hidden(text), ["\"b\"", "\"c\"", "\"d\""]);
        assert_eq!(hidden("device.garden.hush = \"a\"\ndevice.garden.credentials = \"b\""), ["\"a\""]);
        assert_eq!(hidden("[devcie.garden]\nhush = \"a\""), ["\"a\""]);
    }

    #[test]
    fn other_keys_are_shown() {
        assert!(
            hidden("password_file = \"mqtt_password.txt\"\nname = \"compass\"\nid = 3\n[channel.bypass]\nid = 4")
                .is_empty()
        );
    }

    #[test]
    fn user_and_password_of_an_address_are_hidden_with_what_follows() {
        assert_eq!(hidden("[broker]\nproxy = \"http://me:sesame@p:1\"\n"), ["me:sesame@p:1\""]);
        assert_eq!(hidden("proxy='me:sesame@p:1'"), ["me:sesame@p:1'"]);
        assert_eq!(hidden("# proxy = \"http://me:sesame@p:1\""), ["me:sesame@p:1\""]);
        assert_eq!(hidden("proxy = \"http://proxy.lan:3128\""), Vec::<&str>::new());
        assert_eq!(hidden("name = \"me@home\""), Vec::<&str>::new());
        assert_eq!(hidden("x =\u{a0}me:sesame@p"), ["me:sesame@p"]);
        assert_eq!(hidden("b = { ca_file = \"a@b\", proxy = \"http://me:x@p:1\" }"), ["me:x@p:1\" }"]);
    }
}
