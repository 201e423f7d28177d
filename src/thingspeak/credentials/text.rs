//! Reads names and values out of a text: the two downloads, and what people make of them.
//!
//! Each line stands for itself: `name = value`, `name: value`, `#define NAME "value"`, also as a member of JSON or TOML or as
//! a variable of a program. Lines of other names are passed over.

use std::path::Path;

use secrecy::SecretString;

use super::Credentials;
use super::comments::{self, Stripped};
use super::key::Key;
use super::problem::{CredentialsError, Problem};
use super::value::{self, QUOTES, Taken};

/// A name that was found, with its value.
struct Found<'a> {
    line: usize,
    key: Key,
    value: Result<&'a str, Problem>,
    is_quoted: bool,
    /// Whether `=3D` is between name and value, as in the source of a mail.
    is_encoded: bool,
}

/// All that a text says.
#[derive(Default)]
struct Scan<'a> {
    found: Vec<Found<'a>>,
    /// Lines that begin with a name and have no equals sign.
    loose: Vec<(usize, Key)>,
    /// Lines that look like the rest of the value in the line before: that line, its key, and the line.
    rests: Vec<(usize, Key, usize)>,
}

/// Reads either form of a downloaded file. `path` is for the errors.
pub(super) fn parse(path: &Path, text: &str) -> Result<Credentials, CredentialsError> {
    let stripped = comments::strip(text);
    let scan = Scan::of(&stripped.code);
    if let Some(error) = scan.first_problem(path) {
        return Err(error);
    }
    let missing: Vec<_> = Key::ALL.into_iter().filter(|key| scan.values(*key).next().is_none()).collect();
    if !missing.is_empty() {
        return Err(scan.why_missing(path, text, &stripped, missing));
    }
    let value = |key| scan.values(key).next().map(|(_, value)| value).unwrap_or_default();
    let credentials = Credentials {
        username: value(Key::Username).to_owned(),
        client_id: value(Key::ClientId).to_owned(),
        password: SecretString::from(value(Key::Password)),
    };
    if let Some((problem, key)) = credentials.misfit() {
        let lines = scan.found.iter().filter(|found| found.key == key || problem == Problem::SwappedLines);
        let keys = if problem == Problem::SwappedLines { Vec::new() } else { vec![key] };
        return Err(CredentialsError::at(path, lines.map(|found| found.line).collect(), keys, problem));
    }
    Ok(credentials)
}

/// Reads a file that holds the password and nothing else.
pub(super) fn parse_password(path: &Path, text: &str) -> Result<SecretString, CredentialsError> {
    let at = |lines, problem| CredentialsError::at(path, lines, Vec::new(), problem);
    let stripped = comments::strip(text);
    let found = Scan::of(&stripped.code).found;
    if !found.is_empty() {
        return Err(at(found.iter().map(|found| found.line).collect(), Problem::WholeFile));
    }
    let lines: Vec<_> = comments::lines(text).filter(|(_, line)| !value::trim(line).is_empty()).collect();
    match lines.as_slice() {
        [] => Err(CredentialsError::of_file(path, Problem::Empty)),
        [(number, line)] => {
            let Taken { value, rest, .. } = value::take(line);
            let behind = value::trim(rest);
            let is_more = !behind.is_empty() && !value::is_comment(behind);
            let value = if is_more { value.and(Err(Problem::BehindQuotes)) } else { value };
            value.map(SecretString::from).map_err(|problem| at(vec![*number], problem))
        }
        lines => Err(at(lines.iter().map(|(number, _)| *number).collect(), Problem::ManyLines)),
    }
}

impl<'a> Scan<'a> {
    fn of(code: &'a str) -> Self {
        let mut scan = Self::default();
        // The last value, while only blank lines follow it.
        let mut last: Option<(usize, Key, bool)> = None;
        for (number, line) in code.lines().enumerate().map(|(index, line)| (index + 1, value::trim(line))) {
            let before = scan.found.len();
            match line.strip_prefix('#').map(str::trim_start) {
                _ if line.is_empty() => continue,
                Some(directive) => scan.directive(number, directive),
                None if value::is_comment(line) => {}
                None => scan.statements(number, line),
            }
            if let Some((begun, key, is_quoted)) = last
                && scan.found.len() == before
                && is_rest(line, is_quoted, number == begun + 1)
            {
                scan.rests.push((begun, key, number));
            }
            last = scan.found[before..].last().map(|found| (found.line, found.key, found.is_quoted));
        }
        scan
    }

    /// `define NAME "value"`. Other directives say nothing.
    fn directive(&mut self, line: usize, directive: &'a str) {
        let Some(rest) = directive.strip_prefix("define") else { return };
        let rest = rest.trim_start();
        let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        let Some(key) = Key::parse(name) else { return };
        let rest = value::trim(rest);
        self.take(line, key, rest.strip_prefix('=').unwrap_or(rest));
    }

    /// Every `name = value` of a line: there are several in JSON and in programs.
    fn statements(&mut self, line: usize, text: &'a str) {
        let mut rest = text;
        let is_one = !rest.contains(['=', ':']);
        if is_one && let Some(key) = Key::leading(rest) {
            self.loose.push((line, key));
        }
        while let Some(at) = rest.find(['=', ':']) {
            let (left, right) = (&rest[..at], &rest[at + 1..]);
            let next = match Key::parse(left) {
                Some(key) => {
                    let next = self.take(line, key, right);
                    if let Some(found) = self.found.last_mut() {
                        found.is_encoded = rest[at..].starts_with("=3D");
                    }
                    next
                }
                None => behind_other(left, value::trim(right)),
            };
            let Some(next) = next else { return };
            rest = next;
        }
    }

    /// Notes a value. Returns what may be the next statement in its line.
    fn take(&mut self, line: usize, key: Key, text: &'a str) -> Option<&'a str> {
        let Taken { value, is_quoted, rest } = value::take(text);
        let (value, next) = match behind_value(rest) {
            Ok(next) => (value, next),
            Err(problem) => (value.and(Err(problem)), None),
        };
        self.found.push(Found { line, key, value, is_quoted, is_encoded: false });
        next
    }

    /// The values of a key, with their lines.
    fn values(&self, key: Key) -> impl Iterator<Item = (usize, &'a str)> {
        let found = self.found.iter().filter(move |found| found.key == key);
        found.filter_map(|found| Some((found.line, found.value.ok()?)))
    }

    /// What is wrong with what was found: the first problem, with all the lines that have it.
    fn first_problem(&self, path: &Path) -> Option<CredentialsError> {
        let at = |lines, keys, problem| Some(CredentialsError::at(path, lines, keys, problem));
        if self.found.len() > 1 && self.found.iter().all(|found| found.is_encoded) {
            let lines = self.found.iter().map(|found| found.line).collect();
            return at(lines, Vec::new(), Problem::QuotedPrintable);
        }
        if let Some(problem) = self.found.iter().find_map(|found| found.value.err()) {
            let same = || self.found.iter().filter(|found| found.value == Err(problem));
            let mut lines: Vec<_> = same().map(|found| found.line).collect();
            lines.dedup();
            let mut keys: Vec<Key> = Vec::new();
            for found in same() {
                if !keys.contains(&found.key) {
                    keys.push(found.key);
                }
            }
            return at(lines, keys, problem);
        }
        if let Some((begun, key, line)) = self.rests.first() {
            return at(vec![*begun, *line], vec![*key], Problem::Continued);
        }
        Key::ALL.into_iter().find_map(|key| {
            let (first, value) = self.values(key).next()?;
            let (other, _) = self.values(key).find(|(_, other)| *other != value)?;
            at(vec![first, other], vec![key], Problem::TwoValues)
        })
    }

    fn why_missing(&self, path: &Path, text: &str, stripped: &Stripped, missing: Vec<Key>) -> CredentialsError {
        let loose: Vec<_> = self.loose.iter().filter(|(_, key)| missing.contains(key)).collect();
        if !loose.is_empty() {
            let lines = loose.iter().map(|(line, _)| *line).collect();
            let keys = loose.iter().map(|(_, key)| *key).collect();
            return CredentialsError::at(path, lines, keys, Problem::NoSeparator);
        }
        if let Some(line) = stripped.unclosed {
            return CredentialsError::at(path, vec![line], Vec::new(), Problem::Unclosed);
        }
        if value::trim(text).is_empty() {
            return CredentialsError::of_file(path, Problem::Empty);
        }
        if missing.len() == Key::ALL.len() && speaks_of_api_key(&stripped.code) {
            return CredentialsError::of_file(path, Problem::ApiKey);
        }
        CredentialsError::at(path, Vec::new(), missing, Problem::Missing)
    }
}

/// What follows a value in quotes: nothing, a comment, the marks that end a statement, and the next statement.
fn behind_value(rest: &str) -> Result<Option<&str>, Problem> {
    let text = value::trim(rest);
    if text.is_empty() || (rest.starts_with(char::is_whitespace) && value::is_comment(text)) {
        return Ok(None);
    }
    let next = text.trim_start_matches([',', ';', '}', ']', ')']);
    let is_next = next.len() < text.len() && next.contains(['=', ':']);
    match value::trim(next) {
        "" => Ok(None),
        comment if value::is_comment(comment) => Ok(None),
        _ if is_next => Ok(Some(next)),
        next if value::names_a_key(next) => Err(Problem::SeveralValues),
        _ => Err(Problem::BehindQuotes),
    }
}

/// The next statement behind a name that is none of ours: in JSON it may hold ours, or be followed by one.
fn behind_other<'a>(left: &str, right: &'a str) -> Option<&'a str> {
    if right.starts_with(['{', '[']) {
        return Some(&right[1..]);
    }
    if !left.trim_start().starts_with(['{', ',', '"', '\'']) {
        return None;
    }
    let quote = right.chars().next().filter(|letter| QUOTES.contains(letter));
    let behind = quote.map_or(Some(right), |quote| right[1..].split_once(quote).map(|(_, behind)| behind));
    behind?.split_once(',').map(|(_, next)| next)
}

/// Whether a line is nothing but the rest of a value: a word, or another text in quotes as C joins them. Where it is not the
/// very `next` line, only what no word of a note looks like.
fn is_rest(line: &str, is_quoted: bool, next: bool) -> bool {
    if is_quoted {
        let line = line.trim_end_matches([';', ',']);
        return next && line.len() > 1 && line.starts_with('"') && line.ends_with('"');
    }
    let letters = line.trim_end_matches('=');
    let padding = line.len() - letters.len();
    let is_word = letters.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'));
    let is_mark = ["eof", "end"].iter().any(|mark| line.eq_ignore_ascii_case(mark));
    let is_note = is_mark || Key::leading(line).is_some() || (padding == 0 && value::is_comment(line));
    is_word && padding <= 2 && !is_note && (next || padding > 0)
}

/// Whether a text without our names is about the keys of ThingSpeak's channels: by their name, or one alone.
fn speaks_of_api_key(code: &str) -> bool {
    let is_name = |line: &str| {
        let letters = line.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase());
        letters.collect::<String>().contains("apikey")
    };
    let is_key = |word: &str| is_api_key(word);
    code.lines().any(|line| is_name(line) || line.split_whitespace().any(is_key))
}

/// 16 capitals and digits, as ThingSpeak makes its API keys.
pub(super) fn is_api_key(word: &str) -> bool {
    word.len() == 16 && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}
