//! Entries as the CSV that a channel's "Data Import / Export" page takes.
//!
//! MathWorks describes the form under "Channel Data Import and Export" (ThingSpeak documentation): UTF-8, a line of titles
//! that are not the channel's own names, a time in each row (ISO 8601 among others; an offset in it counts, so that the page's
//! time zone does not), at most [`MOST_ROWS`] rows, each of which counts as a message. The rest is RFC 4180.

use crate::entry::{Column, Entry};
use crate::thingspeak::update::{number, status};

/// Rows the page takes in one file, the titles not counted.
pub const MOST_ROWS: u64 = 259_200;

/// The line of titles, with its end.
pub const TITLES: &str =
    "created_at,field1,field2,field3,field4,field5,field6,field7,field8,latitude,longitude,elevation,status\r\n";

/// The row of an entry, with its end: each value with the digits it would be published with, nothing where there is none.
pub fn row(entry: &Entry) -> String {
    let mut row = entry.created_at.to_string();
    for index in 0..Column::COUNT {
        row.push(',');
        row.push_str(&entry.cells[index].as_ref().and_then(number).unwrap_or_default());
    }
    row.push(',');
    row.push_str(&quoted(&entry.status.as_deref().map(status).unwrap_or_default()));
    row.push_str("\r\n");
    row
}

/// A text in quotes where it needs them (RFC 4180, section 2).
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::entry::{Cell, Cells, ChannelId, Decimals, Form, Key, Reduce};
    use crate::time::Utc;

    fn cell(value: f64, decimals: Option<u8>) -> Cell {
        Cell { decimals: decimals.map(Decimals::Exactly), ..Cell::new(value, 3, Reduce::Mean) }
    }

    fn entry(values: &[(Column, f64, Option<u8>)], status: Option<&str>) -> Entry {
        let mut cells = Cells::default();
        for (column, value, decimals) in values {
            cells[column.index()] = Some(cell(*value, *decimals));
        }
        let created_at = Utc::from_seconds(1_795_334_400);
        Entry {
            key: Key::default(),
            was_sent: false,
            channel: ChannelId(1),
            created_at,
            cells,
            status: status.map(str::to_owned),
            form: Form::Feed,
        }
    }

    #[test]
    fn values_stand_under_their_titles_as_they_would_be_published() {
        let entry = entry(
            &[
                (Column::Field(1), 0.1 + 0.2, None),
                (Column::Field(2), 21.0, Some(2)),
                (Column::Field(8), -0.001, Some(2)),
                (Column::Latitude, 30.61, None),
                (Column::Longitude, -40.35, None),
                (Column::Elevation, 1e3, None),
            ],
            None,
        );
        let row = row(&entry);
        assert_eq!(row, "2026-11-22T08:00:00Z,0.3,21.00,,,,,,0.00,30.61,-40.35,1000,\r\n");
        let titled: Vec<_> = TITLES.trim_end().split(',').zip(row.trim_end().split(',')).collect();
        assert!(titled.contains(&("created_at", "2026-11-22T08:00:00Z")) && titled.contains(&("field8", "0.00")));
        assert!(titled.contains(&("longitude", "-40.35")) && titled.contains(&("elevation", "1000")));
        assert_eq!(titled.len(), 13);
    }

    #[test]
    fn value_that_cannot_be_published_leaves_its_place_empty() {
        assert_eq!(
            row(&entry(&[(Column::Field(3), f64::NAN, None)], Some("ok"))),
            "2026-11-22T08:00:00Z,,,,,,,,,,,,ok\r\n"
        );
    }

    #[test]
    fn status_is_quoted_where_it_has_to_be() {
        for (status, cell) in [
            ("air: no answer", "air: no answer"),
            ("air, tank", "\"air, tank\""),
            ("said \"no\"", "\"said \"\"no\"\"\""),
            ("two\nlines, 5 °C", "\"two lines, 5 ?C\""),
        ] {
            assert_eq!(row(&entry(&[], Some(status))), format!("2026-11-22T08:00:00Z,,,,,,,,,,,,{cell}\r\n"));
        }
    }

    proptest! {
        #[test]
        fn every_row_has_thirteen_columns_and_one_line(
            cells in prop::array::uniform11(prop::option::of((prop::num::f64::ANY, prop::option::of(any::<u8>())))),
            status in prop::option::of("[ -~\r\n,\"é]{0,300}"),
            millis in any::<i64>(),
        ) {
            let mut entry = entry(&[], status.as_deref());
            entry.cells = cells.map(|it| it.map(|(value, decimals)| cell(value, decimals)));
            entry.created_at = Utc::from_millis(millis);
            let row = row(&entry);
            let line = row.strip_suffix("\r\n").expect("an end");
            prop_assert!(!line.contains(['\r', '\n']));
            // Commas between quotes are text.
            let commas = line.split('"').step_by(2).map(|outside| outside.matches(',').count()).sum::<usize>();
            prop_assert_eq!(commas, 12);
        }
    }
}
