//! No password in any log line, of whichever library, at whichever level.
//!
//! One logger serves the whole program: it holds each line against the passwords of all scenarios, in every form in which a
//! library may write bytes.

use std::fmt::Write as _;
use std::sync::{Mutex, Once, PoisonError};

use log::kv::{Key, Value, VisitSource};
use log::{LevelFilter, Log, Metadata, Record};

/// The passwords so far, each with the lines that gave it away.
static KNOWN: Mutex<Vec<Secret>> = Mutex::new(Vec::new());

struct Secret {
    plain: String,
    forms: Vec<String>,
    given_away: Vec<String>,
}

/// From now on lines are held against this password.
pub(crate) fn watch(password: &str) {
    static START: Once = Once::new();
    START.call_once(|| {
        log::set_logger(&Watch).expect("the only logger of this program");
        log::set_max_level(LevelFilter::Trace);
    });
    let join = |separator: &str, byte: fn(u8) -> String| password.bytes().map(byte).collect::<Vec<_>>().join(separator);
    let forms = vec![
        password.to_owned(),
        join("", |byte| format!("{byte:02x}")),
        join(" ", |byte| format!("{byte:02x}")),
        join(", ", |byte| byte.to_string()),
    ];
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if known.iter().all(|secret| secret.plain != password) {
        known.push(Secret { plain: password.to_owned(), forms, given_away: Vec::new() });
    }
}

/// Holds a text against all passwords.
pub(crate) fn look_at(text: &str) {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    for secret in known.iter_mut() {
        if secret.forms.iter().any(|form| text.to_ascii_lowercase().contains(&form.to_ascii_lowercase())) {
            secret.given_away.push(text.chars().take(120).collect());
        }
    }
}

/// The lines that gave this password away since the last call.
fn take(password: &str) -> Vec<String> {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let secret = known.iter_mut().find(|secret| secret.plain == password).expect("it is watched");
    std::mem::take(&mut secret.given_away)
}

/// Fails when a line gave this password away.
pub(crate) fn assert_kept(password: &str) {
    let lines = take(password);
    assert!(lines.is_empty(), "{} lines give the password away, such as {:?}", lines.len(), lines[0]);
}

struct Watch;

impl Log for Watch {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let mut line = Line(format!("{} {}", record.target(), record.args()));
        record.key_values().visit(&mut line).expect("writing to a string succeeds");
        look_at(&line.0);
    }

    fn flush(&self) {}
}

struct Line(String);

impl<'kvs> VisitSource<'kvs> for Line {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), log::kv::Error> {
        Ok(write!(self.0, " {key}={value}")?)
    }
}

#[test]
fn a_password_is_found_in_whatever_form_a_library_writes_it() {
    const PASSWORD: &str = "tEst+pass/word";
    watch(PASSWORD);
    for line in [
        "CONNECT tEst+pass/word",
        "payload: 0x00744573742b706173732f776f7264",
        "[0, 116, 69, 115, 116, 43, 112, 97, 115, 115, 47, 119, 111, 114, 100]",
    ] {
        log::error!("{line}");
        assert_eq!(take(PASSWORD).len(), 1, "{line}");
    }
    log::error!(value = PASSWORD; "in a field");
    assert_eq!(take(PASSWORD).len(), 1);
    log::error!("nothing of it");
    assert_kept(PASSWORD);
}
