//! What can be wrong with a file of credentials or one of its values, in words: what it is, and what to do.
//!
//! No word of a file is repeated: what is in it may be the password.

use std::fmt;
use std::path::{Path, PathBuf};

use super::key::Key;

/// Why a device has no credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// The file is not there, or its owner and mode keep it from this user.
    #[error("{}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        error: String,
    },
    /// What is in the file cannot be logged in with: [`Problem::remedy`] says what to do.
    #[error("{place}: {}", place.problem.remedy())]
    Unfit {
        /// Where, and what.
        place: Place,
    },
    /// Everyone on this machine can get at the secret: `chmod o= FILE`.
    #[error("other users of this machine may read or change {} (mode {mode:03o}): run chmod o= on it", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

impl CredentialsError {
    /// A problem of the whole file.
    pub(super) fn of_file(path: &Path, problem: Problem) -> Self {
        Self::at(path, Vec::new(), Vec::new(), problem)
    }

    /// A problem in these lines.
    pub(super) fn at(path: &Path, lines: Vec<usize>, keys: Vec<Key>, problem: Problem) -> Self {
        Self::Unfit { place: Place { path: path.to_owned(), lines, keys, problem } }
    }
}

/// A problem with its place. Shown as `FILE, line 3 (password): the value …`, without the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// Its lines, from 1; none where it is the whole file.
    pub lines: Vec<usize>,
    /// What these lines should say.
    pub keys: Vec<Key>,
    /// What is wrong.
    pub problem: Problem,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if self.problem == Problem::Missing {
            let names: Vec<_> = self.keys.iter().map(|key| format!("no {key}")).collect();
            return write!(f, " holds {}", listed(&names));
        }
        match self.lines.as_slice() {
            [] => return write!(f, " {}", self.problem.what()),
            [line] => write!(f, ", line {line}")?,
            lines => write!(f, ", lines {}", listed(lines))?,
        }
        if !self.keys.is_empty() {
            write!(f, " ({})", listed(&self.keys))?;
        }
        write!(f, ": {}", self.problem.what())
    }
}

/// `1`, `1 and 2`, `1, 2 and 3`
fn listed<T: fmt::Display>(things: &[T]) -> String {
    let mut text = String::new();
    for (index, thing) in things.iter().enumerate() {
        let joint = match index {
            0 => "",
            _ if index + 1 == things.len() => " and ",
            _ => ", ",
        };
        text.push_str(joint);
        text.push_str(&thing.to_string());
    }
    text
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "what each one is and what to do about it is said once, in `words`")]
pub enum Problem {
    // The file as a whole.
    Directory,
    Special,
    TooLarge,
    Empty,
    Zeros,
    Utf16,
    WebPage,
    Document,
    Binary,
    Pem,
    ApiKey,
    Missing,
    // Several lines.
    TwoValues,
    SwappedLines,
    Damaged,
    Continued,
    Unclosed,
    QuotedPrintable,
    // What a file with nothing but a password must not have.
    WholeFile,
    ManyLines,
    // A value.
    NoSeparator,
    NoValue,
    Placeholder,
    TypographicQuotes,
    UnbalancedQuotes,
    NestedQuotes,
    Backslash,
    BehindQuotes,
    SeveralValues,
    Blank,
    BeginsWithSign,
    EndsWithMark,
    Bracket,
    Call,
    LikeComment,
    Entity,
    PercentEncoded,
    Invisible,
    Control,
    NotUtf8,
    Foreign,
}

impl Problem {
    /// What it is: behind the name of the file, or behind the number of a line and a colon.
    pub fn what(self) -> &'static str {
        self.describe().0
    }

    /// What to do about it.
    pub fn remedy(self) -> &'static str {
        self.describe().1
    }

    #[expect(clippy::too_many_lines, reason = "a table of words: each problem has two sentences")]
    const fn describe(self) -> (&'static str, &'static str) {
        const DOWNLOAD: &str = "put the file there that ThingSpeak offers as \"Download Credentials\" (Plain text)";
        const RETYPE: &str = "delete the line and write it again as plain text";
        match self {
            Self::Directory => ("is a directory", "name the file with the credentials in it"),
            Self::Special => ("is not a regular file", "name the file with the credentials"),
            Self::TooLarge => ("is larger than 16 KiB, so it holds something else than credentials", DOWNLOAD),
            Self::Empty => ("is empty", DOWNLOAD),
            Self::Zeros => ("holds nothing but zero bytes, as after a power cut while it was copied", DOWNLOAD),
            Self::Utf16 => (
                "the file is saved as UTF-16, which some editors call Unicode",
                "save it as UTF-8 (in Windows' Notepad: Save as, Encoding)",
            ),
            Self::WebPage => ("this is a web page and not a text file", DOWNLOAD),
            Self::Document => (
                "this is a document of a word processor or an archive and not a text file",
                "save it as plain text (.txt), or download it from ThingSpeak again",
            ),
            Self::Binary => ("this is not a text file", DOWNLOAD),
            Self::Pem => (
                "this is a certificate or a key",
                "a certificate is named by `ca_file` in [broker]; here put the file that ThingSpeak offers as \
                 \"Download Credentials\"",
            ),
            Self::ApiKey => ("holds an API key and no credentials of an MQTT device", DOWNLOAD),
            Self::Missing => (
                "does not hold everything that a login needs",
                "download the file again, or write each in a line of its own, such as `password = VALUE` (what is in a \
                 comment does not count)",
            ),
            Self::TwoValues => {
                ("there are two different values", "delete the wrong one; two MQTT devices need two files")
            }
            Self::SwappedLines => (
                "the password looks like a client ID, so the values may have changed places",
                "compare them with ThingSpeak's: a client ID has 23 letters and digits, a password 24 characters",
            ),
            Self::Damaged => (
                "the value is nearly what ThingSpeak gives: characters were added, changed or cut off",
                "copy it from ThingSpeak again, or download the file again",
            ),
            Self::Continued => (
                "the value seems to go on in the next line",
                "write it in one line; if the second line is a note, put a # before it",
            ),
            Self::Unclosed => (
                "the comment that begins here has no end, and what a login needs is not outside it",
                "close it with the mark that belongs to it, such as */",
            ),
            Self::QuotedPrintable => (
                "this is the source of a mail, in which =3D stands for an equals sign",
                "save the attachment with the mail program instead, or write = for each =3D",
            ),
            Self::WholeFile => (
                "this file holds names with their values, and should hold the password and nothing else",
                "name it in the map with `credentials` instead of `password_file`, or leave only the password in it",
            ),
            Self::ManyLines => (
                "there is more than one line, and the file should hold the password and nothing else",
                "leave only the password in it, in one line",
            ),
            Self::NoSeparator => {
                ("there is no equals sign behind the name", "write name and value in one line: NAME = VALUE")
            }
            Self::NoValue => ("there is no value", "write it behind the name, in the same line"),
            Self::Placeholder => (
                "this is a placeholder and not a value",
                "replace it, marks around it included, with what ThingSpeak shows for your MQTT device",
            ),
            Self::TypographicQuotes => (
                "the value is in typographic quotes, which word processors and web pages make",
                "write it without quotes, or in plain ones (\" or ')",
            ),
            Self::UnbalancedQuotes => (
                "the value has a quote at one end only",
                "put quotes at both ends or at none; if the quote belongs to the value, put the other kind of quotes \
                 around it",
            ),
            Self::NestedQuotes => ("the value is in two pairs of quotes", "leave one pair, or none"),
            Self::Backslash => (
                "the value has a backslash within quotes, which some programs add and others keep",
                "write it without quotes, as ThingSpeak shows it",
            ),
            Self::BehindQuotes => (
                "text follows the closing quote",
                "end the line at the quote, or put a blank and a # before a note; if the quote belongs to the value, put \
                 the other kind of quotes around it",
            ),
            Self::SeveralValues => ("several names and values are in one line", "give each one a line of its own"),
            Self::Blank => (
                "the value has a blank in it, or is followed by other text",
                "write it without blanks; a note behind it begins with a blank and a #",
            ),
            Self::BeginsWithSign => (
                "the value begins with =, : or >",
                "write one equals sign between name and value; if the sign belongs to the value, put quotes around it",
            ),
            Self::EndsWithMark => (
                "a comma, semicolon, period or backslash ends the value",
                "leave it out; if it belongs to the value, put quotes around the value",
            ),
            Self::Bracket => (
                "the value is in brackets, or in marks such as **",
                "leave them out; if they belong to the value, put quotes around it",
            ),
            Self::Call => ("the value is part of a program", "write the value alone: NAME = VALUE"),
            Self::LikeComment => (
                "the value looks like a comment",
                "if it is the value, put quotes around it; if it is a comment, write the value before it",
            ),
            Self::Entity => (
                "the value has a piece of a web page's source in it, such as &amp; or <br>",
                "copy it from the page as the browser shows it",
            ),
            Self::PercentEncoded => {
                ("the value is encoded as in a web address", "write + for %2B, / for %2F and = for %3D")
            }
            Self::Invisible => ("the value has an invisible character in it", RETYPE),
            Self::Control => ("the value has a control character in it", RETYPE),
            Self::NotUtf8 => (
                "the value has bytes in it that are not UTF-8 text",
                "write the value again and save the file as UTF-8",
            ),
            Self::Foreign => (
                "the value has a character in it that is not ASCII, perhaps one that only looks like a letter",
                "copy the value from ThingSpeak again",
            ),
        }
    }
}
