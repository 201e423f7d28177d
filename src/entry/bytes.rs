//! A draft as bytes: what the spool keeps of an entry.

use crate::entry::{Cell, Cells, ChannelId, Column, Draft, Form, Reduce, STATUS, cut};
use crate::record::{Reader, Writer};
use crate::time::Mono;

/// In the order of their numbers on disk, which must never change.
const REDUCES: [Reduce; 7] =
    [Reduce::Mean, Reduce::Min, Reduce::Max, Reduce::Last, Reduce::First, Reduce::Sum, Reduce::Count];

/// Set in a cell's first byte where the map rounds its value.
const ROUNDED: u8 = 0x80;

impl Draft {
    /// Writes it: channel, end in nanoseconds, form, a bit a column, the cells, the status.
    pub(crate) fn write(&self, to: &mut Writer) {
        to.number(self.channel.0);
        to.number(u64::try_from(self.end.since_boot().as_nanos()).unwrap_or(u64::MAX));
        to.byte(match self.form {
            Form::Feed => 0,
            Form::Field => 1,
        });
        let columns = self.cells.iter().enumerate().filter(|(_, cell)| cell.is_some());
        to.number(columns.fold(0, |bits, (index, _)| bits | 1 << index));
        for cell in self.cells.iter().flatten() {
            write_cell(cell, to);
        }
        // A record must fit, whoever made the text.
        to.text(cut(self.status.as_deref().unwrap_or_default(), STATUS));
    }

    /// Reads what [`Draft::write`] wrote; `None` for anything else.
    pub(crate) fn read(from: &mut Reader<'_>) -> Option<Self> {
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
}

fn write_cell(cell: &Cell, to: &mut Writer) {
    let reduce = REDUCES.iter().position(|known| *known == cell.reduce).expect("every reduce is in the table");
    let reduce = u8::try_from(reduce).expect("a small table");
    to.byte(reduce | cell.decimals.map_or(0, |_| ROUNDED));
    cell.decimals.inspect(|decimals| to.byte(*decimals));
    to.number(cell.count.into());
    to.float(cell.value);
}

fn read_cell(from: &mut Reader<'_>) -> Option<Cell> {
    let first = from.byte()?;
    let reduce = *REDUCES.get(usize::from(first & !ROUNDED))?;
    let decimals = if first & ROUNDED == 0 { None } else { Some(from.byte()?) };
    let count = u32::try_from(from.number()?).ok().filter(|count| *count > 0)?;
    let value = from.float().filter(|value| value.is_finite())?;
    Some(Cell { value, count, reduce, decimals })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn draft_comes_back_as_it_was() {
        let mut cells = Cells::default();
        cells[0] = Some(Cell { value: 21.52, count: 4, reduce: Reduce::Mean, decimals: Some(2) });
        cells[7] = Some(Cell { value: -0.0, count: u32::MAX, reduce: Reduce::Count, decimals: None });
        cells[10] = Some(Cell { value: f64::MIN_POSITIVE, count: 1, reduce: Reduce::Last, decimals: Some(0) });
        let end = Mono::new(Duration::from_millis(86_400_123));
        for (status, form) in [(None, Form::Feed), (Some("tank: no answer at 28-…".to_owned()), Form::Field)] {
            let draft = Draft { channel: ChannelId(1_234_567), end, cells, status, form };
            let mut writer = Writer::new();
            draft.write(&mut writer);
            let bytes = writer.finish();
            let mut reader = Reader::new(&bytes);
            assert_eq!(Draft::read(&mut reader).as_ref(), Some(&draft));
            assert!(reader.is_empty());
            for cut in 0..bytes.len() {
                assert_eq!(Draft::read(&mut Reader::new(&bytes[..cut])), None, "cut at {cut}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Draft::read(&mut Reader::new(&bytes));
        }
    }
}
