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
    parse(Path::new("mqtt.txt"), text)
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
        assert_eq!(error.to_string(), format!("mqtt.txt holds no {key}"));
    }
    let empty = parse_text(&download().replace(PASSWORD, "")).expect_err("the password is empty");
    assert_eq!(empty.to_string(), "mqtt.txt holds no password");
}

#[test]
fn a_key_given_twice_must_have_one_value() {
    let twice = format!("{}\npassword = {PASSWORD}", download());
    assert!(parse_text(&twice).is_ok());
    let two = format!("{}\npassword = other", download());
    let error = parse_text(&two).expect_err("which one?");
    assert_eq!(error.to_string(), "mqtt.txt holds two different values for password");
}

#[test]
fn neither_errors_nor_debug_show_a_secret() {
    let damaged = parse_text(&download().replace('+', " \u{1}")).expect_err("no such password");
    assert!(matches!(damaged, CredentialsError::Damaged { key: "password", .. }));
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
    std::fs::write(&path, download()).expect("a file");
    assert!(matches!(source.read(), Err(CredentialsError::Damaged { key: "password", .. })));
}

#[test]
fn files_that_are_away_too_large_or_not_utf8_are_told_apart() {
    let (folder, path) = file("mqtt.txt", vec![b'\n'; MAX_BYTES + 1]);
    let not_text = Err(CredentialsError::NotText { path: path.clone() });
    assert_eq!(Source::File(path.clone()).read(), not_text);
    let utf16: Vec<u8> = "\u{feff}username".encode_utf16().flat_map(u16::to_le_bytes).collect();
    std::fs::write(&path, utf16).expect("a file");
    assert_eq!(Source::File(path).read(), not_text);
    let away = Source::File(folder.path().join("away")).read();
    assert!(matches!(away, Err(CredentialsError::Unreadable { .. })));
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

proptest! {
    #[test]
    fn hostile_bytes_never_get_into_credentials(text in "(#define |username|password|client_id|=|\"|\\n| |\\PC|[\\x00-\\x1f]){0,80}") {
        if let Ok(credentials) = parse_text(&text) {
            for value in [&credentials.client_id, &credentials.username, &credentials.password.expose_secret().to_owned()] {
                prop_assert!(!value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic()));
            }
        }
    }

    #[test]
    fn files_of_any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let (_folder, path) = file("any", bytes);
        let _ = Source::File(path).read();
    }
}
