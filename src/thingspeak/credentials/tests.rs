//! Both downloads, what people make of them, and bytes that are neither.

use proptest::prelude::*;

use super::*;

const ID: &str = "ABcDEfGhijKLmnOPqrS1234";
const PASSWORD: &str = "aB+cD/eF0123456789ghIJ==";

/// The form of the downloaded text file: no final newline.
fn download() -> String {
    format!("username = {ID}\nclientId = {ID}\npassword = {PASSWORD}")
}

fn header() -> String {
    format!(
        "#define SECRET_MQTT_USERNAME \"{ID}\"\n#define SECRET_MQTT_CLIENT_ID \"{ID}\"\n#define SECRET_MQTT_PASSWORD \"{PASSWORD}\"\n"
    )
}

fn parse_text(text: &str) -> Result<Credentials, CredentialsError> {
    text::parse(Path::new("mqtt.txt"), text)
}

fn is_unfit(error: &CredentialsError, problem: Problem) -> bool {
    matches!(error, CredentialsError::Unfit { place } if place.problem == problem)
}

fn file(name: &str, content: impl AsRef<[u8]>) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    std::fs::write(&path, content).expect("a file");
    (folder, path)
}

#[test]
fn both_downloads_give_the_same_credentials() {
    for text in [download(), header()] {
        let credentials = parse_text(&text).expect("a good file");
        assert_eq!(credentials.client_id, ID);
        assert_eq!(credentials.username, ID);
        assert_eq!(credentials.password.expose_secret(), PASSWORD);
    }
}

#[test]
fn order_comments_blank_lines_and_windows_line_ends_do_not_matter() {
    let shuffled = format!(
        "# greenhouse\r\n\r\npassword={PASSWORD}  \r\n// a note\r\nchannel = 1234567\r\n  ClientID = \"{ID}\"\r\n[mqtt]\r\n#username = old\r\nusername\t= {ID}\r\n"
    );
    let header = format!(
        "#pragma once\r\n#ifndef X\r\n# define  SECRET_MQTT_PASSWORD\t\"{PASSWORD}\" // shown once\r\n#define SECRET_WIFI_SSID \"home\"\r\n#define SECRET_MQTT_CLIENT_ID \"{ID}\"\r\n#define SECRET_MQTT_USERNAME \"{ID}\"\r\n#endif\r\n"
    );
    let expected = parse_text(&download()).expect("a good file");
    assert_eq!(parse_text(&shuffled), Ok(expected.clone()));
    assert_eq!(parse_text(&header), Ok(expected));
}

#[test]
fn a_missing_key_is_named_with_the_file() {
    for (key, line) in [("username", 0), ("clientId", 1), ("password", 2)] {
        let all = download();
        let text: Vec<&str> = all.lines().enumerate().filter(|(n, _)| *n != line).map(|(_, line)| line).collect();
        let error = parse_text(&text.join("\n")).expect_err("a key is missing");
        assert!(error.to_string().starts_with(&format!("mqtt.txt holds no {key}: download the file again")), "{error}");
    }
}

#[test]
fn a_key_given_twice_must_have_one_value() {
    let twice = format!("{}\npassword = {PASSWORD}", download());
    assert!(parse_text(&twice).is_ok());
    let two = format!("{}\npassword = other", download());
    let error = parse_text(&two).expect_err("which one?");
    assert_eq!(
        error.to_string(),
        "mqtt.txt, lines 3 and 4 (password): there are two different values: delete the wrong one; two MQTT devices need \
         two files"
    );
}

#[test]
fn neither_errors_nor_debug_show_a_secret() {
    let damaged = parse_text(&download().replace('+', " \u{1}")).expect_err("no such password");
    assert!(is_unfit(&damaged, Problem::Blank), "{damaged}");
    let credentials = parse_text(&download()).expect("a good file");
    for shown in [
        damaged.to_string(),
        format!("{damaged:?}"),
        format!("{credentials:#?}"),
        format!("{:?}", Source::Inline(credentials)),
    ] {
        assert!(!shown.contains("cD/eF") && !shown.contains("ghIJ"), "{shown}");
    }
}

#[test]
fn a_file_is_read_again_each_time() {
    let (_folder, path) = file("mqtt_credentials.txt", format!("\u{feff}{}", download()));
    let source = Source::File(path.clone());
    assert_eq!(source.read().expect("a good file").password.expose_secret(), PASSWORD);
    std::fs::write(&path, download().replace(PASSWORD, "new")).expect("a file");
    assert_eq!(source.read().expect("a good file").password.expose_secret(), "new");
    assert_eq!(source.file(), Some(path.as_path()));
}

#[test]
fn a_password_file_holds_the_password_alone() {
    let (_folder, path) = file("password", format!("{PASSWORD}\r\n"));
    let source = Source::PasswordFile { client_id: ID.into(), username: "u".into(), password_file: path.clone() };
    let credentials = source.read().expect("a good file");
    assert_eq!((credentials.client_id.as_str(), credentials.username.as_str()), (ID, "u"));
    assert_eq!(credentials.password.expose_secret(), PASSWORD);
}

#[test]
fn a_file_that_is_away_is_told_from_one_that_is_no_text() {
    let (folder, _) = file("mqtt.txt", "");
    let away = Source::File(folder.path().join("away")).read();
    assert!(matches!(away, Err(CredentialsError::Unreadable { .. })));
    let error = Source::File(folder.path().to_owned()).read().expect_err("a directory");
    assert!(error.to_string().ends_with(" is a directory: name the file with the credentials in it"), "{error}");
}

#[test]
fn a_bare_name_is_systemds_credential_first_and_then_beside_the_map() {
    let (credentials, _) = file("garden", download());
    let map = Path::new("map-folder");
    let found = |written: &str| locate(Path::new(written), Some(credentials.path()), map);
    assert_eq!(found("garden"), credentials.path().join("garden"));
    assert_eq!(found("./garden"), map.join("./garden"));
    assert_eq!(found("secrets/garden"), map.join("secrets/garden"));
    assert_eq!(found("cellar"), map.join("cellar"));
    assert_eq!(found(".."), map.join(".."));
    assert_eq!(locate(Path::new("garden"), None, map), map.join("garden"));
    let absolute = credentials.path().join("elsewhere");
    assert_eq!(locate(&absolute, Some(credentials.path()), map), absolute);
}

#[cfg(unix)]
#[test]
fn a_secret_that_others_may_read_is_exposed_and_one_the_group_may_read_is_not() {
    use std::os::unix::fs::PermissionsExt as _;

    let (_folder, path) = file("mqtt.txt", download());
    for (mode, exposed) in [(0o600, false), (0o640, false), (0o644, true), (0o602, true), (0o400, false)] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("own file");
        let expected = exposed.then(|| CredentialsError::Exposed { path: path.clone(), mode });
        assert_eq!(check_mode(&path).err(), expected, "{mode:o}");
    }
    assert!(matches!(check_mode(Path::new("/nowhere/at/all")), Err(CredentialsError::Unreadable { .. })));
}

/// Pieces that files of credentials are made of, so that random files are nearly good ones.
const PIECES: &str = "(#define |SECRET_MQTT_|username|password|clientId|client_id| = |: |=|\"|'|`|“|”|/\\*|\\*/|//|#|;|,|\\{|\\}|<|>|\n|\r| |\
                      xxxx|your|\\\\|=3D|aB\\+cD/eF|\\PC|[\\x00-\\x1f]|\u{a0}|\u{200b}|\u{feff}){0,60}";

proptest! {
    #[test]
    fn whatever_is_in_a_file_what_is_taken_can_be_sent(text in PIECES) {
        if let Ok(credentials) = parse_text(&text) {
            for value in [&credentials.client_id, &credentials.username, &credentials.password.expose_secret().to_owned()] {
                prop_assert!(!value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic()), "{value:?}");
                prop_assert!(text.contains(value.as_str()), "{value:?} is not in the file");
                prop_assert!(!placeholder::is_placeholder(value), "{value:?}");
            }
        }
    }

    #[test]
    fn a_good_file_stays_good_with_lines_of_others_between(lines in prop::collection::vec("(# |// |; )\\PC{0,20}|[a-z]{3,8} = [^\\pC*]{0,20}|\\[[a-z]{1,5}\\]|[ \t]*", 4)) {
        let all = download();
        let own: Vec<_> = all.lines().collect();
        let text = [&lines[0], own[0], &lines[1], own[1], &lines[2], own[2], &lines[3]].join("\n");
        prop_assert_eq!(parse_text(&text), parse_text(&all));
    }

    #[test]
    fn a_refusal_holds_nothing_of_the_file(secret in "[A-Za-z]{12}", before in "\\PC{0,6}", after in "\\PC{0,6}", bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let odd = format!("username = {before}{secret}{after}\nclientId = {secret}\npassword = {secret} {after}\n{secret}");
        let content = [odd.as_bytes(), &bytes].concat();
        let (_folder, path) = file("any", &content);
        let names = || (ID.to_owned(), ID.to_owned());
        let (client_id, username) = names();
        for source in [Source::File(path.clone()), Source::PasswordFile { client_id, username, password_file: path.clone() }] {
            if let Err(error) = source.read() {
                let shown = format!("{error} {error:?}");
                prop_assert!(!shown.contains(&secret), "{shown}");
            }
        }
    }

    #[test]
    fn files_of_any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let (_folder, path) = file("any", bytes);
        let password_file = path.clone();
        let _ = Source::File(path).read();
        let _ = Source::PasswordFile { client_id: ID.into(), username: ID.into(), password_file }.read();
    }
}

mod mangled;
