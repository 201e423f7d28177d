//! How a page of the ledger looks: one [`record`] a line, so that each has a checksum of its own.
//!
//! A record's payload begins with its kind. Kind 1 (a counter), 2 (an output) and 3 (a channel, whose name is its number): the
//! number of the change, the name, and the value to the end. Kind 0: since when the card is behind, in milliseconds of the boot clock; it means
//! something in the runtime directory only, which does not outlive a boot. Records of other kinds are left out, as are those whose
//! bytes are not what they should be.

use std::borrow::Cow;
use std::time::Duration;

use super::Key;
use crate::entry::ChannelId;
use crate::store::record::{self, Reader, Records, Writer};
use crate::time::Mono;

const BEHIND: u8 = 0;
const COUNTER: u8 = 1;
const OUTPUT: u8 = 2;
const CHANNEL: u8 = 3;

/// No ledger counts so far. A line that says so is not one of ours, and would leave no room for later ones.
const LAST_CHANGE: u64 = u64::MAX / 2;

/// The longest value, far beyond what any owner has.
pub const LONGEST_VALUE: usize = 1024;

/// What the line about the card takes at most.
pub(super) const BEHIND_SIZE: usize = record::size(1 + NUMBER);

/// The longest number.
const NUMBER: usize = 10;

/// What was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// Its lines, in the order of the file.
    pub(super) lines: Vec<Read>,
    /// Since when the card was behind.
    pub(super) behind_since: Option<Mono>,
    /// There was something that could not be read.
    pub damaged: bool,
}

/// A line that was read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Read {
    pub(super) key: Key,
    pub(super) change: u64,
    pub(super) value: Vec<u8>,
}

impl Page {
    /// Reads a page that may be torn or flipped.
    pub fn read(bytes: &[u8]) -> Self {
        let mut page = Self::default();
        let mut records = Records::new(bytes);
        for payload in records.by_ref() {
            let mut reader = Reader::new(payload);
            match reader.byte() {
                Some(BEHIND) => page.behind_since = reader.number().map(|at| Mono::new(Duration::from_millis(at))),
                Some(kind @ (COUNTER | OUTPUT | CHANNEL)) => match line(kind, &mut reader) {
                    Some(line) => page.lines.push(line),
                    None => page.damaged = true,
                },
                _ => page.damaged = true,
            }
        }
        page.damaged |= !records.is_whole();
        page
    }
}

fn line(kind: u8, reader: &mut Reader<'_>) -> Option<Read> {
    let change = reader.number().filter(|&change| change <= LAST_CHANGE)?;
    let name = reader.text()?.to_owned();
    let key = match kind {
        COUNTER => Key::Counter(name),
        OUTPUT => Key::Output(name),
        _ => Key::Channel(ChannelId(name.parse().ok()?)),
    };
    let mut value = Vec::new();
    while let Some(byte) = reader.byte() {
        value.push(byte);
    }
    (value.len() <= LONGEST_VALUE).then_some(Read { key, change, value })
}

/// Writes a page.
///
/// # Panics
/// For a value longer than [`LONGEST_VALUE`].
pub(super) fn write<'a>(
    behind_since: Option<Mono>,
    lines: impl IntoIterator<Item = (&'a Key, u64, &'a [u8])>,
) -> Vec<u8> {
    let mut page = Vec::new();
    if let Some(since) = behind_since {
        let mut writer = Writer::new();
        writer.byte(BEHIND);
        writer.number(u64::try_from(since.millis()).unwrap_or(0));
        record::append(&mut page, &writer.finish());
    }
    for (key, change, value) in lines {
        assert!(value.len() <= LONGEST_VALUE, "a value has {LONGEST_VALUE} bytes at most, not {}", value.len());
        let mut writer = Writer::new();
        writer.byte(match key {
            Key::Counter(_) => COUNTER,
            Key::Output(_) => OUTPUT,
            Key::Channel(_) => CHANNEL,
        });
        writer.number(change);
        writer.text(&name(key));
        for &byte in value {
            writer.byte(byte);
        }
        record::append(&mut page, &writer.finish());
    }
    page
}

/// What a line takes at most.
pub(super) fn line_size(key: &Key, value: usize) -> usize {
    record::size(1 + NUMBER + 2 + name(key).len() + value)
}

fn name(key: &Key) -> Cow<'_, str> {
    match key {
        Key::Counter(name) | Key::Output(name) => Cow::Borrowed(name),
        Key::Channel(id) => Cow::Owned(id.to_string()),
    }
}
