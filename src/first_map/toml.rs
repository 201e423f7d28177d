//! Names and texts as TOML writes them (TOML 1.0, strings and keys), in a map that people go on editing.

use std::fmt::Write as _;

/// A text in double quotes.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            _ if letter.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(letter));
            }
            _ => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

/// A key, in quotes only where it needs them.
pub(super) fn key(name: &str) -> String {
    let is_bare = |letter: u8| letter.is_ascii_alphanumeric() || matches!(letter, b'_' | b'-');
    if !name.is_empty() && name.bytes().all(is_bare) { name.to_owned() } else { quoted(name) }
}

/// A text in a comment, which ends with its line.
pub(super) fn comment(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_read_as_it_was(text in any::<String>()) {
            let line = format!("{} = {} # {}\nlast = true", key(&text), quoted(&text), comment(&text));
            let table: toml::Table = toml::from_str(&line).expect("TOML");
            prop_assert_eq!(table.len(), if text == "last" { 1 } else { 2 });
            prop_assert_eq!(table[&text].as_str(), Some(text.as_str()));
        }
    }

    #[test]
    fn only_a_name_that_needs_them_gets_quotes() {
        assert_eq!([key("room-2"), key("a.b"), key("")], ["room-2", "\"a.b\"", "\"\""]);
        assert_eq!(quoted("say \"\\\"\n"), r#""say \"\\\"\u000a""#);
    }
}
