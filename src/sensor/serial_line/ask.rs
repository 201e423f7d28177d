//! A device that is asked for its line.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use super::Settings;
use super::reader::Reader;
use crate::reading::Fault;
use crate::sensor::ReadingSender;
use crate::sensor::port::{Dialogue, Input, Step, Stream as _};
use crate::time::Mono;

/// How long the wake-up has effect before the question is sent, unless the map says so.
pub(super) const WAKE_PAUSE: Duration = Duration::from_millis(100);

/// When nothing came for this long after readings, the answer is over, even if it did not give every quantity.
const ANSWER_OVER: Duration = Duration::from_millis(300);

/// Bytes as the map writes them: a text with escapes (`\r \n \t \0 \e \\ \x05`), or `{ hex = "01 04" }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bytes(pub(super) Vec<u8>);

#[derive(Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub(super) enum Written {
    /// A text; `\x05` is a byte.
    Text(String),
    /// Hexadecimal digits.
    Hex(Hex),
}

/// Bytes in hexadecimal digits.
#[derive(Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Hex {
    /// Two digits for each byte; blanks may stand between them.
    hex: String,
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Written::deserialize(deserializer)
            .map_err(|_| de::Error::custom("bytes are a text such as \"?\\r\\n\", or { hex = \"01 04\" }"))?;
        let bytes = match written {
            Written::Text(text) => unescaped(&text),
            Written::Hex(Hex { hex }) => from_hex(&hex),
        };
        match bytes {
            Ok(bytes) if bytes.is_empty() => Err(de::Error::custom("at least one byte is needed")),
            Ok(bytes) => Ok(Self(bytes)),
            Err(reason) => Err(de::Error::custom(reason)),
        }
    }
}

fn from_hex(hex: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<u8> = hex.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let pair = |pair: &[u8]| {
        let text = std::str::from_utf8(pair).ok().filter(|text| text.len() == 2 && !text.starts_with('+'))?;
        u8::from_str_radix(text, 16).ok()
    };
    let bytes: Option<Vec<u8>> = digits.chunks(2).map(pair).collect();
    bytes.ok_or_else(|| format!("\"{hex}\" is not bytes in hexadecimal digits, such as 01 04"))
}

fn unescaped(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let byte = match rest.next() {
            Some('r') => b'\r',
            Some('n') => b'\n',
            Some('t') => b'\t',
            Some('0') => 0,
            Some('e') => 0x1b,
            Some('\\') => b'\\',
            Some('x') => {
                let digits: String = rest.by_ref().take(2).collect();
                match from_hex(&digits)?[..] {
                    [byte] => byte,
                    _ => {
                        return Err(format!(
                            "\\x{digits} is not an escape: two hexadecimal digits follow, as in \\x05"
                        ));
                    }
                }
            }
            other => {
                let other = other.map_or_else(String::new, String::from);
                return Err(format!("\\{other} is not an escape: there are \\r \\n \\t \\0 \\e \\\\ and \\x05"));
            }
        };
        bytes.push(byte);
    }
    Ok(bytes)
}

/// What is sent.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ask {
    pub(super) send: Vec<u8>,
    /// Sent before, and how long before.
    pub(super) wake_up: Option<(Vec<u8>, Duration)>,
}

/// Asks and reads the answer.
pub(super) struct Questioner {
    ask: Ask,
    reader: Reader,
    quantities: usize,
    /// The device was woken up and is asked then.
    waking: Option<Mono>,
}

impl Questioner {
    pub(super) fn new(settings: &Settings, ask: Ask) -> Self {
        let quantities = settings.form.names().count();
        Self { ask, reader: Reader::new(settings), quantities, waking: None }
    }

    fn question(&mut self, now: Mono) -> Step {
        self.waking = None;
        self.reader.begin();
        Step::Send(self.ask.send.clone(), now + FAR)
    }

    /// What to do after the reader has seen what there was.
    fn judge(&self, now: Mono) -> Step {
        match self.reader.told() {
            told if told == self.quantities => Step::Done,
            0 => Step::Wait(self.reader.silence_after().map_or(now + FAR, |after| now + after)),
            _ => Step::Wait(now + ANSWER_OVER),
        }
    }
}

/// Later than any time-out, which is what ends the turn then.
const FAR: Duration = Duration::from_secs(24 * 3600);

impl Dialogue for Questioner {
    fn step(&mut self, now: Mono, input: Input<'_>, sender: &ReadingSender) -> Step {
        match (input, self.waking) {
            // What a device says when it wakes up is no answer.
            (Input::Bytes(_), Some(at)) => return Step::Wait(at),
            (Input::Time, Some(_)) => return self.question(now),
            _ => {}
        }
        match input {
            Input::Turn => match self.ask.wake_up.clone() {
                Some((bytes, pause)) => {
                    self.waking = Some(now + pause);
                    Step::Send(bytes, now + pause)
                }
                None => self.question(now),
            },
            Input::Bytes(bytes) => {
                self.reader.bytes(now, bytes, sender);
                self.judge(now)
            }
            Input::Time if self.reader.told() > 0 => Step::Done,
            Input::Time => {
                self.reader.silence(now, sender);
                self.judge(now)
            }
        }
    }

    fn complaint(&mut self) -> Option<Fault> {
        self.reader.complaint()
    }
}
