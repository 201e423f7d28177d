//! An entry becomes the payload of a publish (ThingSpeak's MQTT reference, "Publish to a Channel Feed").
//!
//! The channel feed takes form-encoded pairs, `field1=20.5&lat=30.61&…&created_at=2026-11-22T08:00:00Z`; a field's own
//! topic takes the bare value. What is written here is printable ASCII, holds no value twice, and is never longer than
//! the service takes, whatever the entry holds:
//!
//! - Numbers are plain decimals without exponent. A value that has no such form within [`MAX_VALUE`] bytes is left out,
//!   as is one that is not finite: the service counts `NaN` as 0 in its averages.
//! - The time comes before the status, so that a long status is what gets cut.
//! - The time is ISO 8601 with `T` and `Z`: of the documented forms the one that needs no escape and leaves no doubt
//!   about the time zone.
//! - A blank is `%20`, not `+`: every decoder of a form or of a URL understands the former, only those of a form the latter.

use std::fmt::Write as _;

use crate::entry::{Cell, Column, Entry, Form};
use crate::thingspeak::topic::Topic;

/// Bytes of a message the service takes.
pub const MAX_MESSAGE: usize = 3000;

/// Bytes of a field, and of the status, the service takes.
pub const MAX_VALUE: usize = 255;

/// The topic for the entry's [`Form`]. None for a [`Form::Field`] entry without a field: a position has no topic of its own.
pub fn topic(entry: &Entry) -> Option<Topic> {
    match entry.form {
        Form::Feed => Some(Topic::Publish(entry.channel)),
        Form::Field => only_field(entry).map(|(field, _)| Topic::PublishField(entry.channel, field)),
    }
}

/// The payload for the entry's [`Form`], to be sent to its [`topic`]. Empty where there is no topic.
pub fn encode(entry: &Entry) -> String {
    match entry.form {
        Form::Feed => feed(entry),
        Form::Field => only_field(entry).map(|(_, number)| number).unwrap_or_default(),
    }
}

/// The field of a [`Form::Field`] entry, with its number in plain decimals: the first, should there be several.
fn only_field(entry: &Entry) -> Option<(u8, String)> {
    entry.values().find_map(|(column, cell)| match column {
        Column::Field(field) => Some((field, number(cell)?)),
        _ => None,
    })
}

fn feed(entry: &Entry) -> String {
    let mut pairs = String::new();
    let mut columns = entry.values().filter_map(|(column, cell)| Some((column, number(cell)?)));
    columns.try_for_each(|(column, number)| write!(pairs, "{column}={number}&")).expect("a String takes all");
    pairs.push_str("created_at=");
    escape(&entry.created_at.to_string(), usize::MAX, &mut pairs);

    if let Some(status) = &entry.status {
        const NAME: &str = "&status=";
        // Eleven full columns and the time take less than 2950 bytes, so that there is always room for some of it.
        let room = MAX_MESSAGE - pairs.len() - NAME.len();
        let mut text = String::new();
        escape(&self::status(status), room, &mut text);
        if !text.is_empty() {
            pairs.push_str(NAME);
            pairs.push_str(&text);
        }
    }
    pairs
}

/// The cell's text (see [`Cell::text`]), as far as the service takes it. `None` for what has no such text.
pub fn number(cell: &Cell) -> Option<String> {
    let text = cell.text()?;
    if text.len() <= MAX_VALUE {
        return Some(text);
    }
    let text = shorten(&text)?;
    // A small negative number of which nothing is left still has its sign.
    let is_zero = text.bytes().all(|byte| matches!(byte, b'-' | b'0' | b'.'));
    Some(if is_zero { text.trim_start_matches('-').to_owned() } else { text })
}

/// Numbers below need not be written down to see that they fit, and each reading is looked at.
const SURELY_FITS: f64 = 1e200;

/// Whether the service takes a number of this size.
///
/// # Errors
/// How many characters its plain decimals need at least, where those are more than [`MAX_VALUE`].
pub fn fits(value: f64) -> Result<(), usize> {
    if value.abs() < SURELY_FITS {
        return Ok(());
    }
    // Digits behind the point are cut: those before it cannot be.
    let needs = format!("{:.0}", value.trunc()).len();
    if needs > MAX_VALUE { Err(needs) } else { Ok(()) }
}

/// Cuts the digits that stand some 250 places behind the point. `None` when those before it are too many.
fn shorten(text: &str) -> Option<String> {
    let point = text.find('.').filter(|&point| point <= MAX_VALUE)?;
    if point == MAX_VALUE {
        return Some(text[..point].to_owned());
    }
    let digits = text.get(..MAX_VALUE)?.trim_end_matches('0');
    Some(if digits.len() == point + 1 { digits.trim_end_matches('.').to_owned() } else { digits.to_owned() })
}

/// A status text as it is published, before any escape: its first [`MAX_VALUE`] bytes in printable ASCII, since the service ignores control bytes and bytes above 127,
/// so that what stands for them is chosen here.
pub fn status(text: &str) -> String {
    let letters = text.trim().chars().map(|letter| match letter {
        ' '..='~' => letter,
        _ if letter.is_whitespace() || letter.is_control() => ' ',
        _ => '?',
    });
    letters.take(MAX_VALUE).collect()
}

/// Appends the text percent-encoded, as much of it as fits into `room` bytes without cutting an escape.
fn escape(text: &str, room: usize, into: &mut String) {
    let end = into.len().saturating_add(room);
    for byte in text.bytes() {
        let plain = matches!(byte, b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' | b':' | b',');
        if into.len() + if plain { 1 } else { 3 } > end {
            break;
        }
        if plain {
            into.push(char::from(byte));
        } else {
            write!(into, "%{byte:02X}").expect("a String takes all");
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::entry::{Cells, ChannelId, Decimals, Key, Reduce};
    use crate::time::Utc;

    fn cell(value: f64, decimals: Option<u8>) -> Cell {
        Cell { decimals: decimals.map(Decimals::Exactly), ..Cell::new(value, 1, Reduce::Mean) }
    }

    fn entry(values: &[(Column, Cell)], status: Option<&str>) -> Entry {
        let mut cells = Cells::default();
        for (column, cell) in values {
            cells[column.index()] = Some(*cell);
        }
        Entry {
            key: Key::default(),
            was_sent: false,
            channel: ChannelId(1),
            created_at: Utc::from_seconds(1_795_334_400),
            cells,
            status: status.map(str::to_owned),
            form: Form::Feed,
        }
    }

    fn text(value: f64) -> Option<String> {
        number(&cell(value, None))
    }

    #[test]
    fn columns_time_and_status_stand_in_one_message_under_their_mqtt_names() {
        let entry = entry(
            &[
                (Column::Field(1), cell(20.5, None)),
                (Column::Field(2), cell(41.0, None)),
                (Column::Latitude, cell(30.61, None)),
                (Column::Longitude, cell(40.35, None)),
                (Column::Elevation, cell(12.0, None)),
            ],
            Some("ok"),
        );
        assert_eq!(
            encode(&entry),
            "field1=20.5&field2=41&lat=30.61&long=40.35&elevation=12&created_at=2026-11-22T08:00:00Z&status=ok"
        );
    }

    #[test]
    fn a_missing_value_is_left_out_with_its_name() {
        let entry = entry(&[(Column::Field(3), cell(f64::NAN, None)), (Column::Field(7), cell(-1.25, None))], None);
        assert_eq!(encode(&entry), "field7=-1.25&created_at=2026-11-22T08:00:00Z");
    }

    #[test]
    fn the_field_form_is_the_bare_value_on_the_fields_own_topic() {
        let mut entry = entry(&[(Column::Field(4), cell(0.1 + 0.2, Some(2)))], None);
        entry.form = Form::Field;
        assert_eq!(encode(&entry), "0.30");
        assert_eq!(topic(&entry), Some(Topic::PublishField(ChannelId(1), 4)));
        entry.cells = Cells::default();
        assert_eq!((topic(&entry), encode(&entry)), (None, String::new()));
    }

    #[test]
    fn numbers_are_plain_decimals_with_the_digits_the_map_asks_for() {
        assert_eq!(text(0.1 + 0.2).as_deref(), Some("0.3"));
        assert_eq!(text(1e21).as_deref(), Some("1000000000000000000000"));
        assert_eq!(text(1e-7).as_deref(), Some("0.0000001"));
        assert_eq!(number(&cell(100_942.695_3, Some(1))).as_deref(), Some("100942.7"));
        assert_eq!(number(&cell(21.0, Some(2))).as_deref(), Some("21.00"));
    }

    #[test]
    fn zero_never_carries_a_sign() {
        assert_eq!(text(-0.0).as_deref(), Some("0"));
        assert_eq!(number(&cell(-0.004, Some(2))).as_deref(), Some("0.00"));
    }

    #[test]
    fn numbers_without_a_short_plain_form_are_shortened_or_left_out() {
        assert_eq!(text(f64::MAX), None);
        assert_eq!(text(f64::INFINITY), None);
        assert_eq!(text(f64::MIN_POSITIVE).as_deref(), Some("0"));
        assert_eq!(number(&cell(1.5, Some(255))).as_deref(), Some("1.5"));
        let full = number(&cell(1e255, Some(2))).expect("it just fits");
        assert_eq!((full.len(), fits(1e255), fits(1e256)), (MAX_VALUE, Ok(()), Err(257)));
        let tiny = text(1.234_567_890_123e-250).expect("has room for the first digits");
        assert!(tiny.len() <= MAX_VALUE && tiny.ends_with("0001234"), "{tiny}");
    }

    #[test]
    fn a_status_is_printable_ascii_and_escaped() {
        let entry = entry(&[], Some("tank: 85 °C & a+b=100%\n"));
        assert_eq!(encode(&entry), "created_at=2026-11-22T08:00:00Z&status=tank:%2085%20%3FC%20%26%20a%2Bb%3D100%25");
    }

    #[test]
    fn a_long_status_is_cut_to_what_the_service_takes() {
        let status = "é".repeat(400);
        let sent = encode(&entry(&[], Some(&status)));
        assert!(sent.ends_with("%3F"));
        assert_eq!(sent.matches("%3F").count(), MAX_VALUE);
    }

    proptest! {
        #[test]
        fn no_entry_makes_a_message_the_service_would_not_take(
            cells in prop::array::uniform11(prop::option::of((prop::num::f64::ANY, prop::option::of(any::<u8>())))),
            status in prop::option::of(prop_oneof![".{0,600}", "[&=% ]{200,400}"]),
            millis in any::<i64>(),
        ) {
            let mut entry = entry(&[], status.as_deref());
            entry.cells = cells.map(|it| it.map(|(value, decimals)| cell(value, decimals)));
            entry.created_at = Utc::from_millis(millis);
            let sent = encode(&entry);
            prop_assert!(sent.len() <= MAX_MESSAGE);
            prop_assert!(sent.bytes().all(|byte| byte.is_ascii_graphic()));
            for pair in sent.split('&') {
                let (name, value) = pair.split_once('=').expect("a pair");
                prop_assert!(!value.is_empty());
                prop_assert!(name == "status" || value.len() <= MAX_VALUE);
                if Column::parse(name).is_some() {
                    prop_assert!(value.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'.')), "{}", value);
                }
            }
        }
    }
}
