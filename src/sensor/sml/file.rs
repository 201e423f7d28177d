//! SML files: the transport that carries them, and the values in them (BSI TR-03109-1, annex: Smart Message Language 1.04).

use crate::reading::Fault;
use crate::sensor::checksum::crc16_x25;
use crate::sensor::frames::hex;

/// Begins every escape sequence.
const ESCAPE: [u8; 4] = [0x1b; 4];
/// A file of version 1 begins.
const BEGIN: [u8; 8] = [0x1b, 0x1b, 0x1b, 0x1b, 1, 1, 1, 1];
/// It ends. The number of filling bytes and a CRC follow.
const END: [u8; 5] = [0x1b, 0x1b, 0x1b, 0x1b, 0x1a];
/// Meters send some 200 to 500 bytes.
const LONGEST: usize = 4096;
/// Lists in lists, deeper than any meter's.
const DEEPEST: usize = 8;

/// A file that is being received, from its begin on.
#[derive(Default)]
pub(super) struct Receiver {
    raw: Vec<u8>,
    /// Whether the begin has been seen.
    in_file: bool,
}

impl Receiver {
    /// Takes a byte. Returns the messages of the file that it completes.
    ///
    /// # Errors
    /// When its CRC is wrong, or it is cut.
    pub(super) fn byte(&mut self, byte: u8) -> Option<Result<Vec<u8>, Fault>> {
        self.raw.push(byte);
        let length = self.raw.len();
        // A begin without an end before it is one too: bytes were lost. Behind a doubled escape sequence it is data.
        if self.raw.ends_with(&BEGIN) && !self.raw[..length - 8].ends_with(&ESCAPE) {
            self.in_file = true;
            self.raw.drain(..length - 8);
        } else if !self.in_file {
            // What may be the beginning of a begin.
            self.raw.drain(..length.saturating_sub(BEGIN.len()));
        } else if length > LONGEST {
            self.clear();
        } else if length >= 16 && self.raw[length - 8..].starts_with(&END) && self.is_command() {
            let file = std::mem::take(&mut self.raw);
            self.in_file = false;
            return Some(unpacked(&file));
        }
        None
    }

    /// Whether the last eight bytes are an escape sequence with its command, and not data that look like it.
    fn is_command(&self) -> bool {
        let mut place = 8;
        while place + 8 <= self.raw.len() {
            if self.raw[place..].starts_with(&ESCAPE) {
                if place + 8 == self.raw.len() {
                    return true;
                }
                place += 8;
            } else {
                place += 4;
            }
        }
        false
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// The messages in a whole file, whose end is right.
fn unpacked(file: &[u8]) -> Result<Vec<u8>, Fault> {
    let (signed, crc) = file.split_at(file.len() - 2);
    let (given, expected) = (u16::from_le_bytes([crc[0], crc[1]]), crc16_x25(signed));
    if given != expected {
        return Err(Fault::Checksum(format!(
            "{given:04x} where {expected:04x} belongs in a file of {} bytes",
            file.len()
        )));
    }
    let mut messages = Vec::new();
    let mut rest = &file[8..file.len() - 8];
    while let Some((word, behind)) = rest.split_at_checked(4) {
        messages.extend_from_slice(word);
        // In a message an escape sequence is doubled.
        rest = if word == ESCAPE { behind.strip_prefix(&ESCAPE).unwrap_or(behind) } else { behind };
    }
    let filling = usize::from(signed[signed.len() - 1]);
    messages.truncate(messages.len().saturating_sub(filling.min(3)));
    Ok(messages)
}

/// A value that a meter says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    /// Its OBIS code, A to F.
    pub(super) code: [u8; 6],
    /// The number times ten to the scaler.
    pub(super) value: f64,
    /// DLMS's number of the unit: 30 is Wh, 27 W. Nothing where there is none.
    pub(super) unit: Option<u8>,
}

/// The list entries with a number in the messages of a file.
///
/// # Errors
/// When the messages do not have SML's form.
pub(super) fn entries(messages: &[u8]) -> Result<Vec<Entry>, Fault> {
    let mut rest = messages;
    let mut found = Vec::new();
    while !rest.is_empty() {
        if rest[0] == 0 {
            // Filling, or the end of a message.
            rest = &rest[1..];
            continue;
        }
        let place = messages.len() - rest.len();
        let garbled = || {
            let shown = hex(&rest[..rest.len().min(8)]);
            Fault::Garbled(format!("at byte {place} of the messages stands no SML: {shown}"))
        };
        let (item, behind) = item(rest, DEEPEST).ok_or_else(garbled)?;
        collect(&item, &mut found);
        rest = behind;
    }
    Ok(found)
}

#[derive(Debug)]
enum Item<'a> {
    Octets(&'a [u8]),
    Bool,
    Number(f64),
    List(Vec<Item<'a>>),
    End,
}

/// An entry is a list of seven whose first one is a code: name, status, time, unit, scaler, value, signature.
fn collect(item: &Item<'_>, found: &mut Vec<Entry>) {
    let Item::List(items) = item else { return };
    if let [Item::Octets(code), _, _, unit, scaler, Item::Number(number), _] = &items[..]
        && let Ok(code) = <[u8; 6]>::try_from(*code)
    {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a unit has one byte")]
        let unit = if let Item::Number(unit) = unit { Some(*unit as u8) } else { None };
        #[expect(clippy::cast_possible_truncation, reason = "a scaler has one byte")]
        let scaler = if let Item::Number(scaler) = scaler { *scaler as i32 } else { 0 };
        // A division is exact where a product with a negative power is not.
        let value = if scaler < 0 { number / 10_f64.powi(-scaler) } else { number * 10_f64.powi(scaler) };
        if value.is_finite() {
            found.push(Entry { code, value, unit });
        }
        return;
    }
    for item in items {
        collect(item, found);
    }
}

/// The first item, and what stands behind it.
fn item(bytes: &[u8], depth: usize) -> Option<(Item<'_>, &[u8])> {
    let (first, mut rest) = bytes.split_first()?;
    if *first == 0 {
        return Some((Item::End, rest));
    }
    // The type in three bits, the length in four, and more of it where the highest bit is set.
    let (kind, mut length, mut header) = (first >> 4 & 7, usize::from(first & 0xf), 1);
    let mut byte = first;
    while byte & 0x80 != 0 {
        (byte, rest) = rest.split_first()?;
        length = length << 4 | usize::from(byte & 0xf);
        header += 1;
        if length > LONGEST {
            return None;
        }
    }
    if kind == 7 {
        let mut items = Vec::new();
        for _ in 0..length {
            let inner;
            (inner, rest) = item(rest, depth.checked_sub(1)?)?;
            items.push(inner);
        }
        return Some((Item::List(items), rest));
    }
    let (data, rest) = rest.split_at_checked(length.checked_sub(header)?)?;
    let item = match kind {
        0 => Item::Octets(data),
        4 => Item::Bool,
        5 | 6 => Item::Number(number(data, kind == 5)?),
        _ => return None,
    };
    Some((item, rest))
}

/// A number of one to eight bytes; meters leave out those in front that say nothing.
#[expect(clippy::cast_precision_loss, reason = "a meter's total has fewer digits than a value")]
fn number(data: &[u8], is_signed: bool) -> Option<f64> {
    if data.is_empty() || data.len() > 8 {
        return None;
    }
    let fill = if is_signed && data[0] & 0x80 != 0 { 0xff } else { 0 };
    let mut whole = [fill; 8];
    whole[8 - data.len()..].copy_from_slice(data);
    Some(if is_signed { i64::from_be_bytes(whole) as f64 } else { u64::from_be_bytes(whole) as f64 })
}
