//! An entry's columns and cells as bytes: what is not a derive of their types.
//!
//! The cells are one byte string, since a number of CBOR would take a byte more each. Only the columns that are there are in it,
//! in their order:
//!
//! ```text
//! cell    column (4 bits) and reduce (4 bits), digits, weight, value (8 bytes, little-endian)
//! digits  255 for all of them; else their number, and 128 where they are at most so many
//! weight  of a direction 4 bytes, little-endian; else the number of readings, in seven bits a byte (LEB128)
//! ```
//!
//! There is no room in it for what a later version adds: that gets a field of its own beside it.

use minicbor::bytes::ByteSlice;
use minicbor::decode::{self, Decode, Decoder};
use minicbor::encode::{self, Encode, Encoder, Write};

use super::{Cell, Cells, Column, ColumnSet, Decimals, Reduce, STATUS, cut};

/// In the order of their numbers, which must never change.
const REDUCES: [Reduce; 8] = [
    Reduce::Mean,
    Reduce::Min,
    Reduce::Max,
    Reduce::Last,
    Reduce::First,
    Reduce::Sum,
    Reduce::Count,
    Reduce::Direction,
];

/// All digits.
const ALL: u8 = 0xff;
/// Set where they are the most there may be.
const UP_TO: u8 = 0x80;
/// The most digits that can be said. A double has 17.
const MOST_DIGITS: u8 = UP_TO - 2;

/// Its place in [`Cells`].
impl<C> Encode<C> for Column {
    fn encode<W: Write>(&self, to: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        to.u8(place(*self))?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Column {
    fn decode(from: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        let at = from.position();
        column(from.u8()?).ok_or_else(|| decode::Error::message("there is no such column").at(at))
    }
}

/// A bit for each column.
impl<C> Encode<C> for ColumnSet {
    fn encode<W: Write>(&self, to: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        to.u16(self.bits())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for ColumnSet {
    fn decode(from: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        from.u16().map(Self::from_bits)
    }
}

fn place(column: Column) -> u8 {
    u8::try_from(column.index()).expect("a few columns")
}

fn column(place: u8) -> Option<Column> {
    let place = usize::from(place);
    (place < Column::COUNT).then(|| Column::at(place))
}

/// Cells, for `#[cbor(with = "…")]`.
pub(super) mod cells {
    use super::{ByteSlice, Cell, Cells, Decode, Decoder, Encoder, Write, decode, encode, read_cell, write_cell};

    pub(in crate::entry) fn encode<C, W: Write>(
        cells: &Cells,
        to: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        let mut bytes = Vec::new();
        for (index, cell) in cells.iter().enumerate() {
            if let Some(cell) = cell {
                write_cell(index, cell, &mut bytes);
            }
        }
        to.bytes(&bytes)?.ok()
    }

    pub(in crate::entry) fn decode<C>(from: &mut Decoder<'_>, context: &mut C) -> Result<Cells, decode::Error> {
        let at = from.position();
        let mut bytes: &[u8] = <&ByteSlice>::decode(from, context)?;
        let (mut cells, mut next) = (Cells::default(), 0);
        while !bytes.is_empty() {
            let (index, cell): (usize, Cell) = read_cell(&mut bytes)
                .filter(|(index, _)| *index >= next)
                .ok_or_else(|| decode::Error::message("these are no cells").at(at))?;
            cells[index] = Some(cell);
            next = index + 1;
        }
        Ok(cells)
    }
}

fn write_cell(index: usize, cell: &Cell, to: &mut Vec<u8>) {
    let reduce = REDUCES.iter().position(|known| *known == cell.reduce).expect("the table has all of them");
    to.push(place(Column::at(index)) << 4 | u8::try_from(reduce).expect("a small table"));
    to.push(match cell.decimals {
        None => ALL,
        Some(Decimals::Exactly(digits)) => digits.min(MOST_DIGITS),
        Some(Decimals::UpTo(digits)) => digits.min(MOST_DIGITS) | UP_TO,
    });
    if cell.reduce == Reduce::Direction {
        to.extend_from_slice(&cell.weight.to_le_bytes());
    } else {
        let mut readings = cell.readings().max(1);
        while readings >= 0x80 {
            to.push(readings.to_le_bytes()[0] | 0x80);
            readings >>= 7;
        }
        to.push(readings.to_le_bytes()[0]);
    }
    to.extend_from_slice(&cell.value.to_le_bytes());
}

/// The first cell, and its place. The bytes are left at the next one.
fn read_cell(from: &mut &[u8]) -> Option<(usize, Cell)> {
    let [first, digits] = chunk(from)?;
    let reduce = *REDUCES.get(usize::from(first & 0x0f))?;
    let decimals = match digits {
        ALL => None,
        digits if digits & UP_TO != 0 => Some(Decimals::UpTo(digits & !UP_TO)),
        digits => Some(Decimals::Exactly(digits)),
    };
    let is_direction = reduce == Reduce::Direction;
    let (weight, readings) =
        if is_direction { (f32::from_le_bytes(chunk(from)?), 1) } else { (0.0, read_readings(from)?) };
    let value = f64::from_le_bytes(chunk(from)?);
    let is_sound = value.is_finite() && weight.is_finite() && weight >= 0.0;
    let mut cell = Cell { decimals, ..Cell::new(value, readings, reduce) };
    if is_direction {
        cell.weight = weight;
    }
    is_sound.then_some((column(first >> 4)?.index(), cell))
}

fn read_readings(from: &mut &[u8]) -> Option<u32> {
    let mut readings = 0_u64;
    for shift in (0..35).step_by(7) {
        let [byte] = chunk(from)?;
        readings |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return u32::try_from(readings).ok().filter(|readings| *readings > 0);
        }
    }
    None
}

fn chunk<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (chunk, rest) = from.split_first_chunk::<N>()?;
    *from = rest;
    Some(*chunk)
}

/// A status text, for `#[cbor(with = "…", has_nil)]`. A record must fit, whoever made the text.
pub(super) mod status {
    use super::{Decoder, Encode, Encoder, STATUS, Write, cut, decode, encode};

    #[expect(clippy::ref_option, reason = "the form that the derive asks for")]
    pub(in crate::entry) fn encode<C, W: Write>(
        status: &Option<String>,
        to: &mut Encoder<W>,
        context: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        status.as_deref().map(|text| cut(text, STATUS)).encode(to, context)
    }

    pub(in crate::entry) fn decode<C>(
        from: &mut Decoder<'_>,
        context: &mut C,
    ) -> Result<Option<String>, decode::Error> {
        let text: Option<&str> = decode::Decode::decode(from, context)?;
        Ok(text.filter(|text| !text.is_empty()).map(|text| cut(text, STATUS).to_owned()))
    }

    #[expect(clippy::option_option, clippy::unnecessary_wraps, reason = "the form that the derive asks for")]
    pub(in crate::entry) const fn nil() -> Option<Option<String>> {
        Some(None)
    }

    #[expect(clippy::ref_option, reason = "the form that the derive asks for")]
    pub(in crate::entry) const fn is_nil(status: &Option<String>) -> bool {
        status.is_none()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use minicbor::bytes::ByteVec;
    use proptest::prelude::*;

    use super::*;
    use crate::entry::{ChannelId, Form, UntimedEntry};
    use crate::store::codec;
    use crate::time::Mono;

    fn entry(cells: &Cells, status: Option<&str>, form: Form) -> UntimedEntry {
        let end = Mono::new(Duration::from_millis(86_400_123));
        UntimedEntry { channel: ChannelId(1_234_567), end, cells: *cells, status: status.map(str::to_owned), form }
    }

    fn cell(value: f64, count: u32, reduce: Reduce, decimals: Option<Decimals>) -> Cell {
        Cell { decimals, ..Cell::new(value, count, reduce) }
    }

    #[test]
    fn entry_comes_back_as_it_was() {
        let mut cells = Cells::default();
        cells[0] = Some(cell(21.52, 4, Reduce::Mean, Some(Decimals::Exactly(2))));
        cells[3] = Some(cell(67.013_333, 3, Reduce::Mean, Some(Decimals::UpTo(4))));
        cells[4] = Some(Cell { weight: 0.75, ..cell(358.5, 3, Reduce::Direction, Some(Decimals::UpTo(1))) });
        cells[5] = Some(Cell { weight: 0.0, ..Cell::new(0.0, 1, Reduce::Direction) });
        cells[7] = Some(Cell::new(-0.0, u32::MAX, Reduce::Count));
        cells[10] = Some(cell(f64::MIN_POSITIVE, 1, Reduce::Last, Some(Decimals::Exactly(0))));
        for (status, form) in [(None, Form::Feed), (Some("tank: no answer at 28-…"), Form::Field), (None, Form::Field)]
        {
            let entry = entry(&cells, status, form);
            let bytes = codec::encode(&entry);
            assert_eq!(codec::decode(&bytes).ok(), Some(entry));
            for cut in 0..bytes.len() {
                assert!(codec::decode::<UntimedEntry>(&bytes[..cut]).is_err(), "cut at {cut}");
            }
        }
    }

    #[test]
    fn every_reduce_and_every_column_has_its_number() {
        for (number, reduce) in REDUCES.into_iter().enumerate() {
            let mut cells = Cells::default();
            cells[number] = Some(Cell::new(1.5, 300, reduce));
            let entry = entry(&cells, None, Form::Feed);
            assert_eq!(codec::decode(&codec::encode(&entry)).ok(), Some(entry), "{reduce:?}");
        }
        for index in 0..Column::COUNT {
            let column = Column::at(index);
            assert_eq!(codec::decode(&codec::encode(&column)).ok(), Some(column));
        }
        assert!(codec::decode::<Column>(&[11]).is_err());
        assert_eq!(codec::decode(&codec::encode(&u16::MAX)).ok(), Some(ColumnSet::from_bits(u16::MAX)));
    }

    #[test]
    fn bytes_are_these_until_somebody_means_to_change_them() {
        let mut cells = Cells::default();
        cells[0] = Some(cell(21.5, 400, Reduce::Mean, Some(Decimals::Exactly(2))));
        cells[8] = Some(Cell { weight: 1.5, ..cell(90.0, 2, Reduce::Direction, Some(Decimals::UpTo(1))) });
        let bytes = [
            &[0x85][..],                                                      // five fields
            &[0x1a, 0x00, 0x12, 0xd6, 0x87],                                  // channel 1234567
            &[0x1b, 0x00, 0x00, 0x4e, 0x94, 0x98, 0xa3, 0xd4, 0xc0],          // end: 86400.123 s
            &[0x58, 26],                                                      // cells
            &[0x00, 2, 0x90, 0x03, 0, 0, 0, 0, 0, 0x80, 0x35, 0x40],          // field1, mean
            &[0x87, 0x81, 0, 0, 0xc0, 0x3f, 0, 0, 0, 0, 0, 0x80, 0x56, 0x40], // lat, direction
            &[0x63, b'h', b'o', b't'],                                        // status
            &[0x01],                                                          // its own topic
        ];
        assert_eq!(codec::encode(&entry(&cells, Some("hot"), Form::Field)), bytes.concat());
    }

    #[test]
    fn cells_that_cannot_be_are_none() {
        let bytes = |cells: &[u8]| {
            let cells = ByteVec::from(cells.to_vec());
            codec::encode(&(ChannelId(7), Mono::default(), cells))
        };
        let good = [0x10, ALL, 1, 0, 0, 0, 0, 0, 0x80, 0x35, 0x40];
        let read = |cells: &[u8]| codec::decode::<UntimedEntry>(&bytes(cells)).ok().map(|entry| entry.cells);
        assert_eq!(read(&good).expect("a cell")[1], Some(Cell::new(21.5, 1, Reduce::Mean)));
        let with = |at: usize, byte: u8| {
            let mut bytes = good;
            bytes[at] = byte;
            bytes
        };
        let no_number = [0x10, ALL, 1, 0, 0, 0, 0, 0, 0, 0xf0, 0x7f];
        let no_weight = [0x17, ALL, 0, 0, 0xc0, 0xff, 0, 0, 0, 0, 0, 0x80, 0x56, 0x40];
        for (cells, why) in [
            (&with(0, 0xb0)[..], "a twelfth column"),
            (&with(0, 0x18), "a later reduce"),
            (&with(2, 0), "no readings"),
            (&no_number, "infinite"),
            (&no_weight, "it weighs NaN"),
            (&[good, good].concat(), "twice"),
            (&[0x10, ALL, 0xff, 0xff, 0xff, 0xff, 0x1f, 0, 0, 0, 0, 0, 0, 0, 0], "too many readings"),
        ] {
            assert_eq!(read(cells), None, "{why}");
        }
    }

    #[test]
    fn long_status_is_cut_both_ways() {
        let long = "ä".repeat(200);
        let entry = entry(&Cells::default(), Some(&long), Form::Feed);
        let read: UntimedEntry = codec::decode(&codec::encode(&entry)).expect("it fits");
        assert_eq!(read.status.as_deref(), Some("ä".repeat(127).as_str()));
        let bytes = codec::encode(&(ChannelId(7), Mono::default(), ByteVec::from(Vec::new()), &long));
        assert_eq!(codec::decode::<UntimedEntry>(&bytes).ok().and_then(|entry| entry.status), read.status);
    }

    proptest! {
        #[test]
        fn any_cells_are_read_without_a_panic_and_written_as_they_were(
            cells in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let bytes = codec::encode(&(ChannelId(7), Mono::default(), ByteVec::from(cells)));
            if let Ok(entry) = codec::decode::<UntimedEntry>(&bytes) {
                prop_assert_eq!(codec::decode(&codec::encode(&entry)).ok(), Some(entry));
            }
        }
    }
}
