//! Files of credentials, whatever they are.

use std::path::Path;

use secrecy::ExposeSecret as _;

use super::{Credentials, CredentialsError, MAX_BYTES, check_written, file, text};
use crate::fuzzing::assert_line;

/// What is taken for a login was in the file, can be written in the form of the download, and is read again from it. A refusal
/// repeats no word of the file.
pub(crate) fn file(bytes: &[u8]) {
    // As `file::read` does it.
    let bytes = &bytes[..bytes.len().min(MAX_BYTES + 1)];
    if file::other_kind(bytes).is_some() {
        return;
    }
    let content = file::text(bytes);
    let path = Path::new("f");
    match text::parse(path, &content) {
        Ok(credentials) => {
            check(&credentials, &content);
            let _ = credentials.remark();
        }
        Err(error) => silent(&error, &content),
    }
    match text::parse_password(path, &content) {
        Ok(password) => assert!(content.contains(password.expose_secret()) && !password.expose_secret().is_empty()),
        Err(error) => silent(&error, &content),
    }
    for key in super::Key::ALL {
        let _ = check_written(key, &content);
    }
}

fn check(credentials: &Credentials, content: &str) {
    let Credentials { client_id, username, password } = credentials;
    let values = [client_id, username, password.expose_secret()];
    for value in values {
        assert!(!value.is_empty() && content.contains(value), "{value:?}");
        assert!(value.chars().all(|letter| letter.is_ascii_graphic()), "{value:?}");
    }
    // Signs have a meaning beside a value, and then it needs quotes.
    if values.iter().all(|value| value.bytes().all(|byte| byte.is_ascii_alphanumeric())) {
        let written = format!("username = {username}\nclientId = {client_id}\npassword = {}\n", values[2]);
        assert_eq!(text::parse(Path::new("f"), &written).as_ref(), Ok(credentials), "{written}");
    }
}

/// Whether it says nothing of the file but places and names.
fn silent(error: &CredentialsError, content: &str) {
    let CredentialsError::Unfit { place } = error else { panic!("the file was read: {error}") };
    let words = error.to_string();
    assert_line(&words);
    let own = format!("{}: {} username clientId password", place.problem.what(), place.problem.remedy());
    let of_file = content.split(|letter: char| !letter.is_alphanumeric()).filter(|word| word.len() >= 6);
    for word in of_file.filter(|word| !own.contains(word)) {
        // The number of a line may have such digits.
        assert!(word.bytes().all(|digit| digit.is_ascii_digit()) || !words.contains(word), "{word:?}: {words}");
    }
}
