//! Texts that hold the place of a value: `<your password>`, `YOUR_CLIENT_ID`, `xxxxxxxx`, `changeme`, `${PASSWORD}`.
//!
//! ThingSpeak's values are 23 and 24 random characters, of which none is made of these words by chance. Brokers of one's
//! own have words for passwords: what is a name there (`mqtt`, `user`, `test`) is no placeholder.

use secrecy::zeroize::Zeroizing;

/// One of these makes a placeholder out of a text that is made of nothing but these and [`OTHERS`].
const TELLING: &str = "your username clientid password passwd secret changeme change replace insert paste here same placeholder \
    example dummy redacted removed todo tbd fixme none null nil undefined value passwort kennwort benutzername \
    wachtwoord gebruikersnaam contrasena contraseña usuario motdepasse identifiant dein votre";

/// Words beside those.
const OTHERS: &str = "my the a an of for from to with in is as and this it me be goes above mqtt thingspeak device broker client \
    user name id key api put enter type fill credential credentials letters digits characters base64 23 24 ihr \
    mein hier";

/// Longer texts are no placeholders.
const LONGEST: usize = 100;

/// Whether a value only holds the place of one.
pub(super) fn is_placeholder(value: &str) -> bool {
    let is_wrapped = |open: &str, close: &str| value.len() > 1 && value.starts_with(open) && value.ends_with(close);
    is_wrapped("<", ">")
        || ["${", "$(", "{{", "<%", "!secret", "!env"].iter().any(|begin| value.starts_with(begin))
        || [("$", ""), ("%", "%"), ("@", "@"), ("__", "__")].iter().any(|(open, close)| {
            is_wrapped(open, close) && value.len() > 3 && is_constant(&value[open.len()..value.len() - close.len()])
        })
        || is_filler(value)
        || is_made_of_words(value)
}

/// A name as programs write their constants.
fn is_constant(name: &str) -> bool {
    let mut letters = name.chars();
    letters.next().is_some_and(|first| first.is_ascii_uppercase())
        && letters.all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_')
}

/// `xxxx`, `****`, `...`, `ABcd...`, and the dots or bullets that a web page shows in a password's place.
fn is_filler(value: &str) -> bool {
    let is_x = |letter: char| matches!(letter, 'x' | 'X');
    let no_text = value.chars().all(|letter| !letter.is_alphanumeric());
    let crosses = value.chars().all(|letter| is_x(letter) || matches!(letter, '-' | '_')) && value.len() > 1;
    let run = |wanted: fn(char) -> bool, least: usize| {
        let mut length = 0;
        value.chars().any(|letter| {
            length = if wanted(letter) { length + 1 } else { 0 };
            length >= least
        })
    };
    no_text
        || crosses
        || value.ends_with("...")
        || value.ends_with('…')
        || run(is_x, 6)
        || run(|letter| matches!(letter, '*' | '•' | '●' | '∙' | '⬤'), 4)
}

/// Whether the value is made of the words above, written together or apart, with at least one that tells.
fn is_made_of_words(value: &str) -> bool {
    if value.len() > LONGEST {
        return false;
    }
    let mut letters = Zeroizing::new(String::with_capacity(value.len()));
    letters.extend(value.chars().filter(|letter| letter.is_alphanumeric()).map(|letter| letter.to_ascii_lowercase()));
    // For each place: whether words reach it, and whether one of them tells.
    let mut reached: Vec<Option<bool>> = vec![None; letters.len() + 1];
    reached[0] = Some(false);
    for start in 0..letters.len() {
        let Some(has_told) = reached[start] else { continue };
        let words = TELLING.split(' ').map(|word| (word, true)).chain(OTHERS.split(' ').map(|word| (word, false)));
        for (word, tells) in words.filter(|(word, _)| letters[start..].starts_with(*word)) {
            let end = &mut reached[start + word.len()];
            *end = Some(end.unwrap_or(false) || has_told || tells);
        }
    }
    reached[letters.len()] == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_the_place_of_a_value_is_known() {
        for text in [
            "<your password>",
            "<the same 23>",
            "<23 letters and digits>",
            "<>",
            "YOUR_PASSWORD",
            "your-client-id",
            "YourUsername",
            "yourMqttPassword",
            "MY_MQTT_PASSWORD",
            "xx",
            "xxxx",
            "XXXXXXXX",
            "xxxx-xxxx",
            "...",
            "…",
            "****",
            "••••••••",
            "-",
            "?",
            "changeme",
            "CHANGE_ME",
            "change-this",
            "password",
            "Password",
            "PASSWORD",
            "username",
            "clientId",
            "client_id",
            "CLIENT-ID",
            "secret",
            "insert password here",
            "put_your_password_here",
            "TODO",
            "null",
            "None",
            "example",
            "${MQTT_PASSWORD}",
            "$MQTT_PASSWORD",
            "%PASSWORD%",
            "{{ password }}",
            "__PASSWORD__",
            "!secret mqtt_password",
            "ABcDEf...",
            "ABcDEf…",
            "SC-xxxxxxxxxx",
            "Passwort",
            "dein_passwort",
            "<%= password %>",
            "[your password]",
            "your password goes here",
            "the same as above",
        ] {
            assert!(is_placeholder(text), "{text}");
        }
    }

    #[test]
    fn credentials_and_the_names_of_own_brokers_are_no_placeholders() {
        for text in [
            "ABcDEfGhijKLmnOPqrS1234",
            "aB+cD/eF0123456789ghIJ==",
            "a",
            "b",
            "x",
            "A0",
            "mqtt",
            "mqtt_user",
            "user",
            "test",
            "admin",
            "pi",
            "guest",
            "gatepost",
            "garden",
            "sesame",
            "hunter2",
            "Tr0ub4dor&3",
            "mqtt_credentials",
            "second",
            "yourself7",
            "$ecret",
            "$1",
            "100%",
            "%41%",
            "p@ss@",
            "abc.",
            "exx",
            "0000",
            "device1",
            "client",
            "<3",
            "a>b",
        ] {
            assert!(!is_placeholder(text), "{text}");
        }
    }
}
