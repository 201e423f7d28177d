//! A draft as bytes, as the file of the open slots holds it.
//!
//! ```text
//! draft   channel, end in nanoseconds, form, a bit a column, cells, status; supplement
//! cell    reduce (and whether decimals follow), decimals, number of readings, value
//! supplement  a bit a column whose decimals are the most there may be, a bit a column that is a direction; their weights
//! ```
//!
//! The supplement was added later. A gatepost that does not know it reads the draft before it and passes over the rest of the
//! record: it shows zeros at the end of a value, and takes the last direction of those that it merges. So a direction is written
//! as the last one of its slot, and a gatepost that knows better reads the supplement.

use crate::entry::{Cell, Cells, ChannelId, Column, Decimals, Form, Reduce, STATUS, UntimedEntry, cut};
use crate::store::record::{Reader, Writer};
use crate::time::Mono;

/// In the order of their numbers on disk, which must never change. A direction has none: the supplement says so.
const REDUCES: [Reduce; 7] =
    [Reduce::Mean, Reduce::Min, Reduce::Max, Reduce::Last, Reduce::First, Reduce::Sum, Reduce::Count];

/// What a direction is to who does not know directions.
const DIRECTION: Reduce = Reduce::Last;

/// Set in a cell's first byte where its decimals follow.
const ROUNDED: u8 = 0x80;

impl UntimedEntry {
    /// Writes it.
    pub(crate) fn write(&self, to: &mut Writer) {
        to.number(self.channel.0);
        to.number(u64::try_from(self.end.since_boot().as_nanos()).unwrap_or(u64::MAX));
        to.byte(match self.form {
            Form::Feed => 0,
            Form::Field => 1,
        });
        to.number(columns(&self.cells, |_| true));
        for cell in self.cells.iter().flatten() {
            write_cell(cell, to);
        }
        // A record must fit, whoever made the text.
        to.text(cut(self.status.as_deref().unwrap_or_default(), STATUS));
        to.number(columns(&self.cells, |cell| matches!(cell.decimals, Some(Decimals::UpTo(_)))));
        to.number(columns(&self.cells, is_direction));
        for cell in self.cells.iter().flatten().filter(|cell| is_direction(cell)) {
            to.float(cell.weight.into());
        }
    }

    /// Reads what [`UntimedEntry::write`] wrote, and nothing behind it; `None` for anything else.
    #[cfg(test)]
    fn read_whole(from: &mut Reader<'_>) -> Option<Self> {
        Self::read_bare(from)?.supplemented(from)
    }

    /// Reads what [`UntimedEntry::write`] wrote before there was a supplement; `None` for anything else.
    pub(crate) fn read_bare(from: &mut Reader<'_>) -> Option<Self> {
        let channel = ChannelId(from.number()?);
        let end = Mono::new(std::time::Duration::from_nanos(from.number()?));
        let form = match from.byte()? {
            0 => Form::Feed,
            1 => Form::Field,
            _ => return None,
        };
        let columns = from.number()?;
        if columns >> Column::COUNT != 0 {
            return None;
        }
        let mut cells = Cells::default();
        for (index, cell) in cells.iter_mut().enumerate() {
            if columns >> index & 1 == 1 {
                *cell = Some(read_cell(from)?);
            }
        }
        let status = Some(from.text()?.to_owned()).filter(|text| !text.is_empty());
        Some(Self { channel, end, cells, status, form })
    }

    /// The draft with what its supplement says. Columns that it does not have are passed over.
    fn supplemented(mut self, from: &mut Reader<'_>) -> Option<Self> {
        let (up_to, directions) = (from.number()?, from.number()?);
        for (index, cell) in self.cells.iter_mut().enumerate() {
            if let Some(Cell { decimals: Some(decimals), .. }) = cell
                && up_to >> index & 1 == 1
            {
                *decimals = Decimals::UpTo(decimals.digits());
            }
            if directions >> index & 1 == 1 {
                #[expect(clippy::cast_possible_truncation, reason = "it was written as one")]
                let weight =
                    from.float().map(|weight| weight as f32).filter(|weight| weight.is_finite() && *weight >= 0.0)?;
                *cell = cell.map(|cell| Cell { reduce: Reduce::Direction, weight, ..cell });
            }
        }
        Some(self)
    }
}

/// A bit for each column with a cell that is `so`.
fn columns(cells: &Cells, so: impl Fn(&Cell) -> bool) -> u64 {
    let columns = cells.iter().enumerate().filter(|(_, cell)| cell.as_ref().is_some_and(&so));
    columns.fold(0, |bits, (index, _)| bits | 1 << index)
}

fn is_direction(cell: &Cell) -> bool {
    cell.reduce == Reduce::Direction
}

fn write_cell(cell: &Cell, to: &mut Writer) {
    let reduce = if is_direction(cell) { DIRECTION } else { cell.reduce };
    let reduce = REDUCES.iter().position(|known| *known == reduce).expect("every other reduce is in the table");
    let reduce = u8::try_from(reduce).expect("a small table");
    to.byte(reduce | cell.decimals.map_or(0, |_| ROUNDED));
    cell.decimals.inspect(|decimals| to.byte(decimals.digits()));
    to.number(cell.readings().max(1).into());
    to.float(cell.value);
}

fn read_cell(from: &mut Reader<'_>) -> Option<Cell> {
    let first = from.byte()?;
    let reduce = *REDUCES.get(usize::from(first & !ROUNDED))?;
    let decimals = if first & ROUNDED == 0 { None } else { Some(Decimals::Exactly(from.byte()?)) };
    let count = u32::try_from(from.number()?).ok().filter(|count| *count > 0)?;
    let value = from.float().filter(|value| value.is_finite())?;
    Some(Cell { decimals, ..Cell::new(value, count, reduce) })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn draft(cells: &Cells, status: Option<&str>, form: Form) -> UntimedEntry {
        let end = Mono::new(Duration::from_millis(86_400_123));
        UntimedEntry { channel: ChannelId(1_234_567), end, cells: *cells, status: status.map(str::to_owned), form }
    }

    fn bytes(draft: &UntimedEntry) -> Vec<u8> {
        let mut writer = Writer::new();
        draft.write(&mut writer);
        writer.finish()
    }

    fn cell(value: f64, count: u32, reduce: Reduce, decimals: Option<Decimals>) -> Cell {
        Cell { decimals, ..Cell::new(value, count, reduce) }
    }

    #[test]
    fn draft_comes_back_as_it_was() {
        let mut cells = Cells::default();
        cells[0] = Some(cell(21.52, 4, Reduce::Mean, Some(Decimals::Exactly(2))));
        cells[3] = Some(cell(67.013_333, 3, Reduce::Mean, Some(Decimals::UpTo(4))));
        cells[4] = Some(Cell { weight: 0.75, ..cell(358.5, 3, Reduce::Direction, Some(Decimals::UpTo(1))) });
        cells[5] = Some(Cell { weight: 0.0, ..Cell::new(0.0, 1, Reduce::Direction) });
        cells[7] = Some(Cell::new(-0.0, u32::MAX, Reduce::Count));
        cells[10] = Some(cell(f64::MIN_POSITIVE, 1, Reduce::Last, Some(Decimals::Exactly(0))));
        for (status, form) in [(None, Form::Feed), (Some("tank: no answer at 28-…"), Form::Field)] {
            let draft = draft(&cells, status, form);
            let bytes = bytes(&draft);
            let mut reader = Reader::new(&bytes);
            assert_eq!(UntimedEntry::read_whole(&mut reader).as_ref(), Some(&draft));
            assert!(reader.is_empty());
            for cut in 0..bytes.len() {
                assert_eq!(UntimedEntry::read_whole(&mut Reader::new(&bytes[..cut])), None, "cut at {cut}");
            }
        }
    }

    /// As version 0.1 wrote it before there was a supplement: field1 = 21.5 of 4 readings, rounded to 2 digits by the map; field2 =
    /// 10, the last of 2.
    const OLD: [u8; 36] = [
        0x87, 0xad, 0x4b, // channel 1234567
        0x80, 0xc0, 0xdd, 0xee, 0xc1, 0x02, // end: 86.4 s
        0, 3, // the channel's feed, two columns
        0x80, 2, 4, 0, 0, 0, 0, 0, 0x80, 0x35, 0x40, // mean
        3, 2, 0, 0, 0, 0, 0, 0, 0x24, 0x40, // last
        3, b'h', b'o', b't', // status
    ];

    #[test]
    fn draft_of_an_older_version_is_read() {
        let mut cells = Cells::default();
        cells[0] = Some(cell(21.5, 4, Reduce::Mean, Some(Decimals::Exactly(2))));
        cells[1] = Some(Cell::new(10.0, 2, Reduce::Last));
        let old =
            UntimedEntry { end: Mono::new(Duration::from_millis(86_400)), ..draft(&cells, Some("hot"), Form::Feed) };
        assert_eq!(UntimedEntry::read_bare(&mut Reader::new(&OLD)).as_ref(), Some(&old));
        assert_eq!(bytes(&old)[..OLD.len()], OLD, "and the other way round: an older version finds what it knows");
    }

    #[test]
    fn older_version_takes_a_direction_for_the_last_one_and_digits_at_most_for_digits() {
        let mut cells = Cells::default();
        cells[1] = Some(Cell { weight: 1.5, ..cell(358.5, 3, Reduce::Direction, Some(Decimals::UpTo(1))) });
        let bytes = bytes(&draft(&cells, None, Form::Feed));
        let read = UntimedEntry::read_bare(&mut Reader::new(&bytes)).expect("what it knows");
        assert_eq!(read.cells[1], Some(cell(358.5, 2, Reduce::Last, Some(Decimals::Exactly(1)))));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for read in [UntimedEntry::read_whole, UntimedEntry::read_bare] {
                let _ = read(&mut Reader::new(&bytes));
            }
        }
    }
}
