//! The map as a text: its version, misspelt keys, files that are no map, and any bytes at all.

use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

#[test]
fn windows_line_ends_and_a_byte_order_mark_are_read() {
    assert!(parse_small(|map| format!("\u{feff}{}", map.replace('\n', "\r\n"))).is_ok());
}

#[test]
fn the_version_is_required_and_is_one() {
    assert_eq!(faults_where("version = 1", ""), ["missing `version = 1`"]);
    assert_eq!(
        faults_where("version = 1", "version = 2"),
        ["this gatepost reads version 1 of the map's format, not 2"]
    );
}

#[test]
fn clock_of_another_word_is_a_fault_with_a_suggestion() {
    let shown = |line: &str| match parse_small(|map| map.replace("version = 1", &format!("version = 1\n{line}"))) {
        Err(LoadError::Faults(shown)) => shown,
        other => panic!("{other:?}"),
    };
    let words = shown("clock = \"synchronized\"");
    assert!(words.contains("fault: `clock`: `synchronized` is not possible here"), "{words}");
    assert!(words.contains("did you mean `synchronised`?"), "{words}");
    assert!(shown("clok = \"system\"").contains("did you mean `clock`?"));
    assert!(shown("clock = true").contains("fault"));
}

#[test]
fn a_misspelt_key_is_not_reported_as_missing_too() {
    for (key, typo) in [("version", "verson"), ("id", "idd"), ("name", "nmae"), ("use", "sue"), ("port", "prt")] {
        let found = faults_where(&format!("{key} = "), &format!("{typo} = "));
        assert_eq!(found, [format!("unknown key `{typo}`")]);
    }
}

#[test]
fn a_header_without_a_name_is_reported_with_how_to_be_written() {
    let found = messages("version = 1\n[device]\ncredentials = \"garden.txt\"", "fault");
    assert_eq!(found, ["every device needs a name in its header"]);
    for header in ["[channel]", "[[channel]]"] {
        let found = faults_where("[channel.house]", header);
        assert!(found.contains(&"every channel needs a name in its header".to_owned()), "{found:?}");
    }
    let found = faults_where("[channel.house]", "[channel.\"a\\nb\"]");
    assert!(found.contains(&"a name has one line of up to 64 printable characters".to_owned()), "{found:?}");
}

#[test]
fn a_number_in_quotes_is_reported_with_how_to_be_written() {
    let map = format!("{SMALL}{}", output("a", "pin = \"GPIO17\"\nfrom = \"switchesa.field1\""));
    let folder = folder();
    let shown = parse(&map, &folder.path().join("map.toml")).expect_err("a text").to_string();
    assert!(shown.contains("expected a BCM number from 0 to 53, found a text"), "{shown}");
    assert!(shown.contains("help: write 17, without quotes"), "{shown}");
}

#[test]
fn a_single_bracket_is_reported() {
    let found = messages("version = 1\n[sensor]\nname = \"a\"\nuse = \"nmea\"\nport = \"x\"", "fault");
    assert_eq!(found, ["there can be several: write `[[sensor]]`"]);
}

#[test]
fn a_file_that_is_no_map_is_refused_in_words() {
    let folder = folder();
    let path = folder.path().join("map.toml");
    assert!(matches!(load(&path), Err(LoadError::Unreadable { .. })));
    std::fs::write(&path, b"version = 1\nname = \"\xff\"").expect("a file");
    assert!(load(&path).expect_err("no text").to_string().contains(":2:9: fault: this is not UTF-8"));
    std::fs::write(&path, vec![b'#'; 2 << 20]).expect("a file");
    assert!(matches!(load(&path), Err(LoadError::Unreadable { .. })));
}

#[cfg(target_os = "linux")]
#[test]
fn a_pipe_in_the_place_of_a_file_is_refused_and_not_waited_for() {
    let folder = folder();
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("coreutils");
    assert!(made.success());
    assert!(matches!(load(&pipe), Err(LoadError::Unreadable { .. })));
    for map in [SMALL.replace("garden.txt", "pipe"), format!("{SMALL}\n[broker]\nca_file = \"pipe\"")] {
        let shown = parse(&map, &folder.path().join("map.toml")).expect_err("a pipe").to_string();
        assert!(shown.contains("not a regular file"), "{shown}");
    }
}

#[test]
fn home_directories_of_a_shell_and_directories_are_told_as_what_they_are() {
    let found =
        faults_with("\n[[sensor]]\nname = \"f\"\nuse = \"file\"\npath = \"~/level\"\nto.value = \"house.field1\"\n");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("~ stands for a home directory"), "{found:?}");
    let Err(LoadError::Unreadable { error, .. }) = load(folder().path()) else { panic!("a directory is no map") };
    assert_eq!(error.to_string(), "this is a directory");
}

/// The processor time of this thread, which a busy machine does not change.
#[cfg(target_os = "linux")]
fn processor_time() -> Duration {
    let at = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(at).expect("it is not negative")
}

#[cfg(target_os = "linux")]
#[test]
fn a_map_of_a_megabyte_is_read_before_anyone_gets_impatient() {
    for piece in ["=\n", "x", "= ", "a=1\n", "password =\n#\n#\n", "[[sensor]]\n", "[channel.a]\n", "[", "\"\n", "{a="]
    {
        let began = processor_time();
        parse_anything(&piece.repeat((1 << 20) / piece.len()));
        let took = processor_time().saturating_sub(began);
        // Quadratic in any part it would be minutes, if not hours.
        assert!(took < Duration::from_secs(60), "{piece}: {took:?}");
    }
}

fn parse_anything(text: &str) {
    let _ = parse(text, &PathBuf::from("nowhere/map.toml"));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        parse_anything(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn pieces_of_maps_never_panic(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "version = 1\n", "[", "]", "[[sensor]]\n", "[[output]]\n", "[channel.a]\n", "[device.b]\n", "[broker]\n", "=",
                "\"", "'''", "\n", "\r\n", "use = \"nmea\"\n", "to.latitude = ", "\"a.field1\"\n", "{", "}", ",", "password", "every",
                "20s", "id = 1\n", "field", ".", "filter = [", "é温", "\u{0}", "#", "name = 'x'\n", "pin = 17\n", "0x", "-1", "nan",
                "credentials = \"x\"\n", "backlog", "link_loss", "interlock = ['x']\n", "from = 'a.field1'\n",
            ]),
            0..40,
        ),
    ) {
        parse_anything(&pieces.concat());
    }

    #[test]
    fn a_map_cut_off_or_overwritten_anywhere_never_panics(at in 0..SMALL.len(), byte in 32u8..127) {
        parse_anything(&SMALL[..at]);
        let mut text = SMALL.as_bytes().to_vec();
        text[at] = byte;
        parse_anything(&String::from_utf8_lossy(&text));
    }
}
