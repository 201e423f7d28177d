//! What the TOML and serde libraries say, in the words of a person who edits a map.
//!
//! Values are never repeated from the libraries' messages: they could be secrets. The golden texts of `tests/maps`
//! hold this module to what the libraries really say.

use toml::de::Error;

use super::suggest::nearest;

/// An error of the libraries, told apart by what has to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Complaint {
    /// A key that the table does not have; the keys it has.
    UnknownKey(Vec<String>),
    /// A key that the table must have.
    MissingKey(String),
    /// A wrong value: message and help.
    Value(String, String),
}

/// Sorts an error by its message.
pub(super) fn understand(error: &Error) -> Complaint {
    let message = error.message();
    if let Some(rest) = message.strip_prefix("unknown field `") {
        return Complaint::UnknownKey(expected_names(rest));
    }
    if let Some(rest) = message.strip_prefix("missing field `") {
        return Complaint::MissingKey(rest.trim_end_matches('`').to_owned());
    }
    if let Some(rest) = message.strip_prefix("unknown variant `") {
        let names = expected_names(rest);
        let written = rest.rsplit_once("`, expected").map_or(rest, |(written, _)| written);
        return Complaint::Value(format!("`{written}` is not possible here"), one_of(written, &names));
    }
    for prefix in ["invalid type: ", "invalid value: ", "invalid length "] {
        if let Some((found, expected)) = message.strip_prefix(prefix).and_then(|rest| rest.rsplit_once(", expected ")) {
            let found = match prefix {
                "invalid length " => "a list of the wrong length",
                "invalid value: " if found.starts_with("integer") => "a number out of range",
                _ if found.starts_with("integer") && wanted(expected).starts_with("a whole number") => {
                    "a number out of range"
                }
                _ => kind(found),
            };
            return Complaint::Value(format!("expected {}, found {found}", wanted(expected)), String::new());
        }
    }
    match message.split_once('\n') {
        Some((message, help)) => Complaint::Value(message.to_owned(), help.to_owned()),
        None if message == "wanted string or table" => {
            Complaint::Value("expected a text in quotes".to_owned(), String::new())
        }
        None => Complaint::Value(message.to_owned(), String::new()),
    }
}

/// "did you mean …", or all there are.
pub(super) fn one_of<S: AsRef<str>>(written: &str, names: &[S]) -> String {
    match nearest(written, names.iter().map(AsRef::as_ref)) {
        Some(name) => format!("did you mean `{name}`?"),
        None if names.is_empty() => String::new(),
        None => format!("possible: {}", list(names)),
    }
}

/// `a`, `b`, `c`
pub(super) fn list<S: AsRef<str>>(names: &[S]) -> String {
    names.iter().map(|name| format!("`{}`", name.as_ref())).collect::<Vec<_>>().join(", ")
}

/// The names in backticks behind "expected".
fn expected_names(rest: &str) -> Vec<String> {
    let expected = rest.rsplit_once("`, expected").map_or("", |(_, expected)| expected);
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// What was found, without its value.
fn kind(found: &str) -> &'static str {
    const KINDS: [(&str, &str); 8] = [
        ("integer", "a whole number"),
        ("floating point", "a number with a point"),
        ("string", "a text"),
        ("boolean", "true or false"),
        ("map", "a table"),
        ("sequence", "a list"),
        ("unit", "nothing"),
        ("enum", "a table"),
    ];
    KINDS.iter().find(|(prefix, _)| found.starts_with(prefix)).map_or("something else", |(_, words)| *words)
}

/// What was wanted.
fn wanted(expected: &str) -> &str {
    match expected {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" | "u64" | "usize" => "a whole number, not negative",
        "i8" | "i16" | "i32" | "i64" => "a whole number",
        "f64" | "f32" => "a number",
        "a boolean" => "true or false",
        "a string" | "a borrowed string" | "path string" => "a text in quotes",
        "a character" => "one character",
        "a sequence" => "a list",
        "a map" => "a table",
        "an array of length 2" => "a pair of numbers",
        _ if expected.starts_with("struct ") => "a table",
        _ => expected,
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::net::Transport;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Keys {
        #[serde(rename = "first")]
        _first: u8,
        #[serde(rename = "second")]
        _second: Option<Transport>,
    }

    fn complaint(toml: &str) -> Complaint {
        understand(&toml::from_str::<Keys>(toml).expect_err("a fault"))
    }

    #[test]
    fn the_libraries_words_are_understood() {
        let names = vec!["first".to_owned(), "second".to_owned()];
        assert_eq!(complaint("third = 1"), Complaint::UnknownKey(names));
        assert_eq!(complaint("second = 'tls'"), Complaint::MissingKey("first".to_owned()));
        let value = |message: &str, help: &str| Complaint::Value(message.to_owned(), help.to_owned());
        assert_eq!(complaint("second = 'wsss'"), value("`wsss` is not possible here", "did you mean `wss`?"));
        assert_eq!(complaint("first = 'x'"), value("expected a whole number from 0 to 255, found a text", ""));
        assert_eq!(
            complaint("first = 300"),
            value("expected a whole number from 0 to 255, found a number out of range", "")
        );
        assert_eq!(complaint("second = 5"), value("expected a text in quotes", ""));
    }

    #[test]
    fn values_are_not_repeated() {
        let Complaint::Value(message, _) = complaint("first = 'sesame, expected u8'") else { panic!("a value") };
        assert!(!message.contains("sesame"), "{message}");
    }
}
