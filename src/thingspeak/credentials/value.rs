//! One value, as people write it behind its name: bare, or in a pair of quotes.
//!
//! What can be read in one way only is taken. Everything else is refused: a login with something that is nearly the
//! password looks like an attack, and its refusal says nothing about the file.

use secrecy::zeroize::Zeroizing;

use super::placeholder::is_placeholder;
use super::problem::Problem;

/// What opens a value and closes it again. The last one is Markdown's.
pub(super) const QUOTES: [char; 3] = ['"', '\'', '`'];

/// What begins a comment, at the begin of a line or behind a blank. A value may hold each of them: base64 has `//`.
const COMMENTS: [&str; 4] = ["//", "#", ";", "--"];

/// Quotes of word processors and web pages.
const TYPOGRAPHIC: [char; 20] =
    ['“', '”', '„', '‟', '‘', '’', '‚', '‛', '«', '»', '‹', '›', '´', '′', '″', '＂', '＇', '「', '」', '｀'];

/// A value, and what follows it in its line.
pub(super) struct Taken<'a> {
    pub(super) value: Result<&'a str, Problem>,
    pub(super) is_quoted: bool,
    /// Behind the closing quote. A bare value has the whole line.
    pub(super) rest: &'a str,
}

/// The value that begins `text`.
pub(super) fn take(text: &str) -> Taken<'_> {
    let text = trim(text);
    let Some(quote) = text.chars().next().filter(|letter| QUOTES.contains(letter)) else {
        return Taken { value: bare(text), is_quoted: false, rest: "" };
    };
    match text[1..].split_once(quote) {
        Some((inner, rest)) => Taken { value: quoted(inner), is_quoted: true, rest },
        None if text.contains(TYPOGRAPHIC) => {
            Taken { value: Err(Problem::TypographicQuotes), is_quoted: true, rest: "" }
        }
        None => Taken { value: Err(Problem::UnbalancedQuotes), is_quoted: true, rest: "" },
    }
}

/// What is wrong with a value that the map writes in TOML's own quotes. A password may have blanks and letters beyond ASCII
/// there: TOML leaves no doubt where it ends.
pub(super) fn check_written(value: &str, is_password: bool) -> Option<Problem> {
    if trim(value).is_empty() {
        return Some(Problem::NoValue);
    }
    if is_nested(value) {
        return Some(Problem::NestedQuotes);
    }
    let has_blanks_around = trim(value).len() < value.len();
    problem_of(value, is_password).or(has_blanks_around.then_some(Problem::Blank))
}

/// Whether this begins a comment.
pub(super) fn is_comment(text: &str) -> bool {
    COMMENTS.iter().any(|mark| text.starts_with(mark))
}

/// The text without blanks and invisible characters around it.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(|letter: char| letter.is_whitespace() || is_invisible(letter))
}

fn quoted(inner: &str) -> Result<&str, Problem> {
    let value = trim(inner);
    let problem = match () {
        () if value.is_empty() => Some(Problem::NoValue),
        () if is_nested(value) => Some(Problem::NestedQuotes),
        () if value.contains('\\') => Some(Problem::Backslash),
        () => problem_of(value, false),
    };
    problem.map_or(Ok(value), Err)
}

fn bare(text: &str) -> Result<&str, Problem> {
    let value = before_comment(text);
    if value.is_empty() || value == "\\" {
        return Err(Problem::NoValue);
    }
    if let Some(mark) = COMMENTS.iter().find(|mark| value.starts_with(**mark)) {
        let rest = &value[mark.len()..];
        if rest.is_empty() || rest.starts_with(char::is_whitespace) {
            return Err(Problem::NoValue);
        }
        // A password of ThingSpeak's begins with two slashes once in 4096.
        if !(*mark == "//" && is_password_of_thingspeak(value)) {
            return Err(Problem::LikeComment);
        }
    }
    let is_call = ["(\"", "('"].iter().any(|begin| value.contains(begin));
    let problem = match () {
        () if is_call => Some(Problem::Call),
        () if value.starts_with(['=', ':', '>']) => Some(Problem::BeginsWithSign),
        () => problem_of(value, false),
    };
    let problem = problem.or(match () {
        () if has_markup(value) => Some(Problem::Entity),
        () if value.starts_with(['<', '[', '{', '(']) || value.ends_with(['>', ']', '}', ')']) => {
            Some(Problem::Bracket)
        }
        () if ['*', '_', '~', '|'].iter().any(|mark| value.starts_with(*mark) && value.ends_with(*mark)) => {
            Some(Problem::Bracket)
        }
        () if value.ends_with([',', ';', '.', '\\']) => Some(Problem::EndsWithMark),
        () if value.ends_with(QUOTES) => Some(Problem::UnbalancedQuotes),
        () => None,
    });
    problem.map_or(Ok(value), Err)
}

/// The text up to a comment, which a blank separates from the value.
fn before_comment(text: &str) -> &str {
    let blanks = text.char_indices().filter(|(_, letter)| letter.is_whitespace());
    let cut = blanks.map(|(at, _)| at).find(|at| is_comment(text[*at..].trim_start()));
    trim(cut.map_or(text, |at| &text[..at]))
}

/// What is wrong with a value, however it is written. Where it is `free` it may have blanks and letters of any script.
fn problem_of(value: &str, free: bool) -> Option<Problem> {
    if value.contains(TYPOGRAPHIC) {
        return Some(Problem::TypographicQuotes);
    }
    if names_a_key(value) {
        return Some(Problem::SeveralValues);
    }
    if is_placeholder(value) {
        return Some(Problem::Placeholder);
    }
    let odd = value.chars().find_map(|letter| match letter {
        '\u{fffd}' => Some(Problem::NotUtf8),
        ' ' if free => None,
        _ if letter.is_whitespace() => Some(Problem::Blank),
        _ if letter.is_control() => Some(Problem::Control),
        _ if is_invisible(letter) => Some(Problem::Invisible),
        _ if !letter.is_ascii() && !free => Some(Problem::Foreign),
        _ => None,
    });
    odd.or_else(|| has_entity(value).then_some(Problem::Entity))
        .or_else(|| is_percent_encoded(value).then_some(Problem::PercentEncoded))
}

/// Whether a name and its separator are in a text.
pub(super) fn names_a_key(value: &str) -> bool {
    let lower = Zeroizing::new(value.to_ascii_lowercase());
    ["username", "clientid", "client_id", "password"].iter().any(|name| {
        lower.match_indices(name).any(|(at, _)| {
            let behind =
                lower[at + name.len()..].trim_start_matches(|letter: char| QUOTES.contains(&letter) || letter == ' ');
            behind.starts_with(['=', ':'])
        })
    })
}

fn is_nested(value: &str) -> bool {
    QUOTES.iter().any(|quote| value.len() > 1 && value.starts_with(*quote) && value.ends_with(*quote))
}

/// `&amp;`, `&#39;`, `&#x2F;`
fn has_entity(value: &str) -> bool {
    value.match_indices('&').any(|(at, _)| {
        value[at + 1..].split_once(';').is_some_and(|(name, _)| {
            let number = name.strip_prefix('#');
            let is_number = |number: &str| {
                let digits = number.strip_prefix(['x', 'X']).unwrap_or(number);
                !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
            };
            ["amp", "quot", "apos", "lt", "gt", "nbsp", "equals", "plus", "sol"].contains(&name)
                || number.is_some_and(is_number)
        })
    })
}

/// `<br>`, `</td>`
fn has_markup(value: &str) -> bool {
    value.match_indices('<').skip_while(|(at, _)| *at == 0).any(|(at, _)| {
        let tag = value[at + 1..].trim_start_matches('/');
        tag.starts_with(|letter: char| letter.is_ascii_alphabetic()) && tag.contains('>')
    })
}

/// Whether this is a password of ThingSpeak's as it is in a web address. Another broker's may have `%2B` in it.
fn is_percent_encoded(value: &str) -> bool {
    let mut decoded = Zeroizing::new(String::with_capacity(value.len()));
    let mut rest = value;
    while let Some(letter) = rest.chars().next() {
        let code = rest.get(..3).unwrap_or_default();
        let sign = [("%2B", '+'), ("%2F", '/'), ("%3D", '=')].into_iter().find(|(it, _)| it.eq_ignore_ascii_case(code));
        decoded.push(sign.map_or(letter, |(_, sign)| sign));
        rest = &rest[sign.map_or(letter.len_utf8(), |(code, _)| code.len())..];
    }
    decoded.len() < value.len() && is_password_of_thingspeak(&decoded)
}

/// 24 characters of base64 (docs/thingspeak.md, credential files).
pub(super) fn is_password_of_thingspeak(value: &str) -> bool {
    let letters = value.trim_end_matches('=');
    value.len() == 24
        && value.len() - letters.len() <= 2
        && letters.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}

/// 23 letters and digits (ibid.).
pub(super) fn is_id_of_thingspeak(value: &str) -> bool {
    value.len() == 23 && value.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Whether a name is another one of ThingSpeak's form with signs put in between, cut off, or in one case.
pub(super) fn is_damaged_id(name: &str, other: &str) -> bool {
    let letters = || name.chars().filter(char::is_ascii_alphanumeric);
    let is_cut = name.len() >= 4 && (other.starts_with(name) || other.ends_with(name));
    let is_one_case = name == name.to_ascii_lowercase() || name == name.to_ascii_uppercase();
    let is_other_case = is_one_case && name.eq_ignore_ascii_case(other);
    is_id_of_thingspeak(other) && name != other && (is_cut || is_other_case || letters().eq(other.chars()))
}

/// Whether this is a password of ThingSpeak's form with signs put in between: ones that base64 has not, or its padding.
pub(super) fn is_damaged_password(password: &str) -> bool {
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '+' | '/');
    let letters = password.chars().filter(|letter| is_letter(*letter)).count();
    let has_sign = password.trim_end_matches('=').contains(|letter| !is_letter(letter));
    has_sign && (22..=24).contains(&letters)
}

/// Characters without width, and those that turn the direction of writing (Unicode, general category Cf).
fn is_invisible(letter: char) -> bool {
    matches!(u32::from(letter), 0xad | 0x34f | 0x61c | 0x180e | 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x206f | 0xfe00..=0xfe0f | 0xfeff | 0xfff9..=0xfffb)
}
