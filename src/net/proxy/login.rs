//! The file with the user name and password of a proxy, or of a broker in the house.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use super::Login;

/// The longest file that is read.
const LIMIT: u64 = 4096;

/// Reads `username = …` and `password = …`, in any order, or one line `user:password`.
///
/// # Errors
/// Why there is no login in it, without its text.
pub fn read(path: &Path) -> Result<Login, String> {
    // A pipe would be waited for without end.
    let about = fs::metadata(path).map_err(|error| error.to_string())?;
    if !about.is_file() {
        return Err("not a file".to_owned());
    }
    let file = fs::File::open(path).map_err(|error| error.to_string())?;
    #[cfg(unix)]
    if std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o007 != 0 {
        return Err("every user of this machine can read it: run chmod o= on it".to_owned());
    }
    let mut text = String::new();
    file.take(LIMIT + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > LIMIT {
        return Err("it is too long for a user name and a password".to_owned());
    }
    parse(&text).ok_or_else(|| "it does not hold `username = …` and `password = …`".to_owned())
}

pub(super) fn parse(text: &str) -> Option<Login> {
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let value = |keys: [&str; 2]| {
        lines().find_map(|line| {
            let (key, value) = line.split_once('=')?;
            keys.iter().any(|known| key.trim().eq_ignore_ascii_case(known)).then(|| bare(value.trim()).to_owned())
        })
    };
    let (user, password) = match (value(["username", "user"]), value(["password", "pass"])) {
        (Some(user), Some(password)) => (user, password),
        (None, None) => {
            let mut lines = lines();
            let (user, password) = lines.next().filter(|_| lines.next().is_none())?.split_once(':')?;
            (user.to_owned(), password.to_owned())
        }
        _ => return None,
    };
    let is_fit = |text: &str| !text.is_empty() && !text.chars().any(char::is_control);
    // A colon in the name would end it (RFC 7617, section 2).
    (is_fit(&user) && !user.contains(':') && is_fit(&password)).then(|| Login { user, password: password.into() })
}

/// Without quotes around it.
fn bare(value: &str) -> &str {
    let within = |quote| value.strip_prefix(quote).and_then(|value| value.strip_suffix(quote));
    within('"').or_else(|| within('\'')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn parsed(text: &str) -> Option<(String, String)> {
        parse(text).map(|login| (login.user, login.password.expose_secret().to_owned()))
    }

    #[test]
    fn both_forms_are_read() {
        let expected = Some(("me".to_owned(), "a=b:c".to_owned()));
        assert_eq!(parsed("# the proxy's\npassword = a=b:c\r\nusername = me\n"), expected);
        assert_eq!(parsed("USER='me'\npass=\"a=b:c\""), expected);
        assert_eq!(parsed("me:a=b:c\n"), expected);
    }

    #[test]
    fn halves_and_rubbish_are_no_login() {
        for text in
            ["", "me", "username = me", "username = me\npassword =", "username = m:e\npassword = x", ":x", "a:b\nc:d"]
        {
            assert_eq!(parsed(text), None, "{text:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_everybody_may_read_is_refused_and_its_text_not_told() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("proxy");
        fs::write(&path, "me:sesame").expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("one's own file");
        let told = read(&path).expect_err("open to all");
        assert!(told.contains("chmod o=") && !told.contains("sesame"), "{told}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("one's own file");
        assert!(read(&path).is_ok());
        assert!(read(folder.path()).is_err());
    }
}
