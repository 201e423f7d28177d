//! The pins as files: one file a pin, holding the physical level, `PINS.txt`, which says what each is for, and `clock`, by
//! which a person takes the simulated machine's time away.
//!
//! Files of the simulation appear in one piece (written beside and renamed), so that no reader sees half of one. Files
//! of a person are read as they are: what is not yet complete, or is no level, changes nothing.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::locked;
use crate::hal::{ClockState, LineId, PwmId};

/// A level takes one byte, or eight where an old PowerShell writes it; whatever is longer is none.
const LIMIT: u64 = 64;

/// Whether the clock can be believed; usually there is none.
const CLOCK: &str = "clock";

/// What the terminals are for. The folder may be somebody's own, with a README of theirs.
const ROLES: &str = "PINS.txt";
/// How that file begins, and how it is told from one that somebody else has written.
const ROLES_BEGIN: &str = "Pins of a simulated board, written by gatepost.\n";

/// What has a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Terminal {
    Line(LineId),
    Pwm(PwmId),
}

impl fmt::Display for Terminal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => f.write_str(&line.file_name()),
            Self::Pwm(channel) => f.write_str(&channel.file_name()),
        }
    }
}

/// What a person has left in a pin's file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// A level: whether it is 3.3 V.
    High(bool),
    /// Nothing: no file, or one that is just being written.
    Nothing,
    /// Anything else, shortened.
    Invalid(String),
}

impl Content {
    fn parse(bytes: &[u8]) -> Self {
        match word(bytes).as_str() {
            "1" | "on" | "high" => Self::High(true),
            "0" | "off" | "low" => Self::High(false),
            "" => Self::Nothing,
            text => Self::Invalid(text.chars().take(20).collect()),
        }
    }
}

/// What a person has written, whatever wrote it down.
fn word(bytes: &[u8]) -> String {
    // `echo 1 > GPIO22` in Windows PowerShell writes UTF-16 with a byte order mark.
    let bytes = bytes.strip_prefix(&[0xff, 0xfe]).or_else(|| bytes.strip_prefix(&[0xef, 0xbb, 0xbf])).unwrap_or(bytes);
    let bytes: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != 0).collect();
    String::from_utf8_lossy(&bytes).trim().to_ascii_lowercase()
}

/// The directory.
pub(super) struct Folder {
    path: PathBuf,
    roles: Mutex<BTreeMap<Terminal, String>>,
}

impl Folder {
    /// Makes the directory where it is missing.
    pub(super) fn new(path: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&path)?;
        Ok(Self { path, roles: Mutex::default() })
    }

    pub(super) fn path_of(&self, terminal: Terminal) -> PathBuf {
        self.path.join(terminal.to_string())
    }

    pub(super) fn read(&self, pin: LineId) -> Content {
        match bytes(&self.path_of(Terminal::Line(pin))) {
            Ok(bytes) => Content::parse(&bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Content::Nothing,
            Err(error) => Content::Invalid(error.to_string()),
        }
    }

    /// Whether a person has written that the clock cannot be believed; nothing where the file says neither.
    pub(super) fn read_clock(&self) -> Option<ClockState> {
        match word(&bytes(&self.path.join(CLOCK)).ok()?).as_str() {
            "synchronised" | "synchronized" => Some(ClockState::Synchronised),
            "unsynchronised" | "unsynchronized" => Some(ClockState::Unsynchronised),
            _ => None,
        }
    }

    pub(super) fn write_level(&self, pin: LineId, high: bool) -> io::Result<()> {
        self.write(&self.path_of(Terminal::Line(pin)), if high { "1\n" } else { "0\n" })
    }

    pub(super) fn write_percent(&self, channel: PwmId, percent: f64) -> io::Result<()> {
        self.write(&self.path_of(Terminal::Pwm(channel)), &format!("{percent}\n"))
    }

    /// Says in `PINS.txt` what the terminal is for, unless that file is somebody else's.
    pub(super) fn describe(&self, terminal: Terminal, role: String) -> io::Result<()> {
        let mut roles = locked(&self.roles);
        if roles.get(&terminal) == Some(&role) {
            return Ok(());
        }
        roles.insert(terminal, role);
        let file = self.path.join(ROLES);
        if !is_ours(&file) {
            log::warn!(file:% = file.display(); "what the pins are for is not written down: the file is not gatepost's");
            return Ok(());
        }
        let mut text = format!(
            "{ROLES_BEGIN}\
             Each file is a pin and holds its voltage as a meter would show it: 1 is 3.3 V, 0 is ground, whatever means on.\n\
             Write to the inputs (echo 1 > GPIO22): they are looked at 20 times a second. Read the outputs: writing there does nothing.\n\
             To play a boot without the right time, write unsynchronised to the file {CLOCK}; synchronised, or no file, ends it.\n\n",
        );
        for (terminal, role) in roles.iter() {
            writeln!(text, "{:<7} {role}", terminal.to_string()).expect("a String takes everything");
        }
        self.write(&file, &text)
    }

    fn write(&self, path: &Path, text: &str) -> io::Result<()> {
        let name = path.file_name().unwrap_or_default();
        let mut beside = std::ffi::OsString::from(".");
        beside.push(name);
        beside.push(".new");
        let beside = self.path.join(beside);
        fs::write(&beside, text)?;
        fs::rename(&beside, path)
    }
}

/// Whether the file is missing, or was written here.
fn is_ours(path: &Path) -> bool {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => {
            let mut begin = Vec::new();
            let read = File::open(path).and_then(|file| file.take(ROLES_BEGIN.len() as u64).read_to_end(&mut begin));
            read.is_ok() && begin == ROLES_BEGIN.as_bytes()
        }
        Ok(_) => false,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    // Opening a pipe would wait for its writer, and all pins with it.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(LIMIT).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn levels_are_read_as_people_and_shells_write_them() {
        for text in ["1", "1\n", " 1 \r\n", "on", "HIGH\n", "\u{feff}1", "\0\0"] {
            let expected = if text == "\0\0" { Content::Nothing } else { Content::High(true) };
            assert_eq!(Content::parse(text.as_bytes()), expected, "{text:?}");
        }
        for text in ["0", "0\n", "off", "Low"] {
            assert_eq!(Content::parse(text.as_bytes()), Content::High(false), "{text:?}");
        }
        assert_eq!(Content::parse(b"\xff\xfe1\0\r\0\n\0"), Content::High(true), "PowerShell");
        for text in ["", "\n", "  "] {
            assert_eq!(Content::parse(text.as_bytes()), Content::Nothing, "{text:?}");
        }
        for text in ["2", "10", "-1", "1.0", "yes", "1 0"] {
            assert_eq!(Content::parse(text.as_bytes()), Content::Invalid(text.to_owned()), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_content_makes_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Content::Invalid(text) = Content::parse(&bytes) {
                prop_assert!(text.chars().count() <= 20);
            }
        }
    }

    #[test]
    fn clock_is_taken_away_and_given_back_by_its_file() {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = Folder::new(parent.path().to_owned()).expect("there");
        assert_eq!(folder.read_clock(), None);
        for (text, state) in [
            (&b"unsynchronised\n"[..], Some(ClockState::Unsynchronised)),
            (b"Unsynchronized\r\n", Some(ClockState::Unsynchronised)),
            (b"synchronised", Some(ClockState::Synchronised)),
            (b"", None),
            (b"wrong", None),
            (b"\xff\xfe\xd8\xd8", None),
        ] {
            fs::write(parent.path().join(CLOCK), text).expect("written");
            assert_eq!(folder.read_clock(), state, "{text:?}");
        }
    }

    #[test]
    fn file_says_what_each_pin_is_for() {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = Folder::new(parent.path().join("made/on/demand")).expect("made");
        folder.describe(Terminal::Pwm(PwmId::board(0)), "output, percent".to_owned()).expect("written");
        folder.describe(Terminal::Line(LineId::header(22)), "input".to_owned()).expect("written");
        folder.describe(Terminal::Line(LineId::header(4)), "output".to_owned()).expect("written");
        let text = fs::read_to_string(folder.path.join("PINS.txt")).expect("there");
        let roles: Vec<&str> = text.lines().skip(5).collect();
        assert_eq!(roles, ["GPIO4   output", "GPIO22  input", "PWM0    output, percent"]);
    }

    #[test]
    fn files_of_somebody_else_are_left_as_they_are() {
        let parent = tempfile::tempdir().expect("a folder");
        let own = ["README", "PINS.txt"].map(|name| parent.path().join(name));
        for file in &own {
            fs::write(file, "my notes\n").expect("written");
        }
        let folder = Folder::new(parent.path().to_owned()).expect("there");
        folder
            .describe(Terminal::Pwm(PwmId::board(0)), "output, percent".to_owned())
            .expect("no reason to do without the pin");
        for file in &own {
            assert_eq!(fs::read_to_string(file).expect("there"), "my notes\n");
        }
        fs::remove_file(&own[1]).expect("there");
        folder.describe(Terminal::Pwm(PwmId::board(1)), "output, percent".to_owned()).expect("written");
        folder.describe(Terminal::Pwm(PwmId::board(1)), "output, parts".to_owned()).expect("written again");
        assert!(fs::read_to_string(&own[1]).expect("there").contains("PWM1    output, parts"));
    }

    #[test]
    fn what_stands_in_place_of_a_pin_file_is_rubbish_and_no_hang() {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = Folder::new(parent.path().to_owned()).expect("made");
        assert_eq!(folder.read(LineId::header(22)), Content::Nothing);
        fs::create_dir(parent.path().join("GPIO22")).expect("made");
        assert!(matches!(folder.read(LineId::header(22)), Content::Invalid(_)));
        fs::write(parent.path().join("GPIO23"), vec![b'1'; 1 << 20]).expect("written");
        assert!(matches!(folder.read(LineId::header(23)), Content::Invalid(_)));
    }
}
