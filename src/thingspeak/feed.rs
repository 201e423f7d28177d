//! What a subscriber of a channel feed is sent: an entry as JSON, after it was stored.
//!
//! The shape was seen, not documented, and has drifted between the service's own examples. So it is read by key and
//! with tolerance: a value may be a string, a number or null, a column that is switched off in the channel's settings may be
//! absent, times come with `Z` or an offset, and keys that are not known are passed over. What is not an object, or is
//! larger than [`MAX_BYTES`], is refused. Whether the values mean anything is not decided here.

use std::fmt;

use serde_json::{Map, Value};

use crate::entry::{ChannelId, Column, ColumnSet, Entry, FIELDS};
use crate::thingspeak::update;
use crate::time::Utc;

/// Largest feed message that is looked at. Eight fields and a status of 255 bytes each, every byte escaped in six, are
/// 14 KiB.
pub const MAX_BYTES: usize = 64 * 1024;

/// How far a number may have moved on its way through the service and still be the same: its sixth digit.
const TOLERANCE: f64 = 1e-6;

/// A stored entry of a channel, as its feed tells of it.
#[derive(Clone, Debug, PartialEq)]
pub struct FeedMessage {
    /// Whose feed it came on.
    pub channel: ChannelId,
    /// The entry's time.
    pub created_at: Option<Utc>,
    /// Given to every entry that was stored, growing within a channel until the channel is cleared.
    pub entry_id: Option<u64>,
    /// `field1` to `field8`, as text; none where the entry has none.
    pub fields: [Option<String>; FIELDS],
    /// Degrees north, as text.
    pub latitude: Option<String>,
    /// Degrees east, as text.
    pub longitude: Option<String>,
    /// Metres above sea level, as text.
    pub elevation: Option<String>,
    /// The status text.
    pub status: Option<String>,
}

/// Why a message on a channel's feed says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeedError {
    /// Larger than [`MAX_BYTES`]: it was not looked at.
    #[error("a feed message of {0} bytes, which is too large")]
    TooLarge(usize),
    /// Not JSON, or not an object. The service changed, or this is no ThingSpeak broker.
    #[error("a feed message that is no JSON object")]
    NotAnObject,
}

impl FeedMessage {
    /// Reads what came on `channels/<channel>/subscribe`. The topic says which channel it is: `channel_id` in the text
    /// is neither needed nor believed.
    ///
    /// ```
    /// use gatepost::entry::ChannelId;
    /// use gatepost::thingspeak::feed::FeedMessage;
    ///
    /// let payload = br#"{"channel_id":1587079,"created_at":"2021-12-11T05:35:31Z","entry_id":797,"field1":null,"field2":"21"}"#;
    /// let message = FeedMessage::decode(ChannelId(1_587_079), payload)?;
    /// assert_eq!(message.entry_id, Some(797), "it was stored");
    /// assert_eq!(message.fields[1].as_deref(), Some("21"));
    /// # Ok::<(), gatepost::thingspeak::feed::FeedError>(())
    /// ```
    ///
    /// # Errors
    /// When nothing can be read from it.
    pub fn decode(channel: ChannelId, payload: &[u8]) -> Result<Self, FeedError> {
        if payload.len() > MAX_BYTES {
            return Err(FeedError::TooLarge(payload.len()));
        }
        let object: Map<String, Value> = serde_json::from_slice(payload).map_err(|_| FeedError::NotAnObject)?;
        let value = |key: &str| object.get(key).and_then(text);
        let column = |index| value(key(Column::at(index)));
        Ok(Self {
            channel,
            created_at: value("created_at").as_deref().and_then(Utc::parse),
            entry_id: value("entry_id").and_then(|id| id.parse().ok()),
            fields: std::array::from_fn(column),
            latitude: column(Column::Latitude.index()),
            longitude: column(Column::Longitude.index()),
            elevation: column(Column::Elevation.index()),
            status: value("status"),
        })
    }

    /// The text in a column.
    ///
    /// # Panics
    /// For a field outside 1 to 8.
    pub fn column(&self, column: Column) -> Option<&str> {
        match column {
            Column::Field(_) => self.fields[column.index()].as_deref(),
            Column::Latitude => self.latitude.as_deref(),
            Column::Longitude => self.longitude.as_deref(),
            Column::Elevation => self.elevation.as_deref(),
        }
    }

    /// Whether this holds the entry's numbers and no others. Formatting does not matter (`"20.50"` is 20.5). A column that is not
    /// among those that the channel is `known` to store may come back empty or not at all, as one does that is switched off in the
    /// channel's settings. A status text may come back altered, so that only its presence counts, and that
    /// only for an entry that is nothing but a status. Time and channel are not compared.
    pub fn same_values(&self, entry: &Entry, known: ColumnSet) -> bool {
        let mut seen = 0_usize;
        for (index, cell) in entry.cells.iter().enumerate() {
            let sent = cell.as_ref().and_then(update::number);
            match (sent, self.column(Column::at(index))) {
                (Some(sent), Some(stored)) if same_number(&sent, stored) => seen += 1,
                (Some(_), None) if known.has(Column::at(index)) => return false,
                (_, None) => {}
                (_, Some(_)) => return false,
            }
        }
        seen > 0 || (self.status.is_some() && entry.status.is_some())
    }

    /// The entry's columns that came back as they were sent.
    pub fn columns_of(&self, entry: &Entry) -> ColumnSet {
        let came_back = |(column, cell)| {
            let both = update::number(cell).zip(self.column(column));
            both.is_some_and(|(sent, stored)| same_number(&sent, stored)).then_some(column)
        };
        entry.values().filter_map(came_back).fold(ColumnSet::default(), ColumnSet::with)
    }

    /// The entry's columns, among those that the channel is `known` to store, that did not come back as they were sent; and
    /// those that it has not.
    pub fn contradictions(&self, entry: &Entry, known: ColumnSet) -> ColumnSet {
        let contradicts = |column: &Column| match (&entry.cells[column.index()], self.column(*column)) {
            (None, stored) => stored.is_some(),
            (Some(cell), stored) => {
                let sent = update::number(cell);
                let is_same = sent.zip(stored).is_none_or(|(sent, stored)| same_number(&sent, stored));
                known.has(*column) && (stored.is_none() || !is_same)
            }
        };
        (0..Column::COUNT).map(Column::at).filter(contradicts).fold(ColumnSet::default(), ColumnSet::with)
    }
}

/// The key of a column in a feed; an update sent over MQTT has other names for the position.
fn key(column: Column) -> &'static str {
    const FIELD_KEYS: [&str; FIELDS] = ["field1", "field2", "field3", "field4", "field5", "field6", "field7", "field8"];
    match column {
        Column::Field(_) => FIELD_KEYS[column.index()],
        Column::Latitude => "latitude",
        Column::Longitude => "longitude",
        Column::Elevation => "elevation",
    }
}

/// A value as text. What is neither text nor number stays JSON, for whoever has to say that it cannot be used.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn same_number(sent: &str, stored: &str) -> bool {
    match (sent.parse::<f64>(), stored.trim().parse::<f64>()) {
        (Ok(sent), Ok(stored)) => (sent - stored).abs() <= TOLERANCE * sent.abs().max(stored.abs()),
        _ => false,
    }
}

impl fmt::Display for FeedMessage {
    /// One line for a person: `entry 797 of 2021-12-11T05:35:31Z: field2=21`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.entry_id {
            Some(id) => write!(f, "entry {id}")?,
            None => write!(f, "an entry")?,
        }
        if let Some(at) = self.created_at {
            write!(f, " of {at}")?;
        }
        for (nth, column) in (0..Column::COUNT).map(Column::at).filter(|&it| self.column(it).is_some()).enumerate() {
            let separator = if nth == 0 { ": " } else { ", " };
            write!(f, "{separator}{column}={}", self.column(column).unwrap_or_default().escape_debug())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::entry::{Cell, Cells, Form, Key, Reduce};

    const CHANNEL: ChannelId = ChannelId(1_587_079);

    /// A message seen by a subscriber.
    const SEEN: &str = r#"{"channel_id":1587079,"created_at":"2021-12-11T05:35:31Z","entry_id":797,"field1":null,"field2":"21","field3":null,"field4":null,"field5":null,"field6":null,"field7":null,"field8":null,"latitude":null,"longitude":null,"elevation":null,"status":null}"#;

    /// api-evangelist/thingspeak, examples/thingspeak-update-channel-example.json: the answer to an update.
    const ANSWER: &str = r#"{"channel_id":12345,"created_at":"2026-05-25T14:32:17Z","entry_id":8421,"field1":"23.5","field2":"45.2","latitude":"37.7749","longitude":"-122.4194","elevation":null,"status":"ok"}"#;

    fn decode(text: &str) -> FeedMessage {
        FeedMessage::decode(CHANNEL, text.as_bytes()).expect("a feed message")
    }

    fn entry(values: &[(Column, f64)], status: Option<&str>) -> Entry {
        let mut cells = Cells::default();
        for &(column, value) in values {
            cells[column.index()] = Some(Cell::new(value, 1, Reduce::Mean));
        }
        let created_at = Utc::from_seconds(1_639_200_931);
        Entry {
            key: Key::default(),
            was_sent: false,
            channel: CHANNEL,
            created_at,
            cells,
            status: status.map(str::to_owned),
            form: Form::Feed,
        }
    }

    #[test]
    fn a_message_as_seen_gives_time_entry_id_and_the_field_that_is_there() {
        let message = decode(SEEN);
        assert_eq!(message.created_at, Some(Utc::from_seconds(1_639_200_931)));
        assert_eq!(message.entry_id, Some(797));
        assert_eq!(message.fields[1].as_deref(), Some("21"));
        assert_eq!(message.fields.iter().flatten().count(), 1);
        assert_eq!(message.status, None);
        assert_eq!(message.to_string(), "entry 797 of 2021-12-11T05:35:31Z: field2=21");
    }

    #[test]
    fn absent_fields_and_positions_as_text_are_understood() {
        let message = decode(ANSWER);
        assert_eq!(message.entry_id, Some(8421));
        assert_eq!(message.column(Column::Latitude), Some("37.7749"));
        assert_eq!(message.column(Column::Elevation), None);
        assert_eq!(message.status.as_deref(), Some("ok"));
    }

    #[test]
    fn numbers_offsets_and_unknown_keys_are_understood() {
        // The time is that of an entry of channel 9 in the server's own documentation (iobridge/thingspeak, _feed.html.erb).
        let message = decode(
            r#"{"created_at":"2014-02-26T12:42:49-05:00","entry_id":"6060624","field1":188,"field2":25.902335456475583,"more":{"x":[1]}}"#,
        );
        assert_eq!(message.created_at, Utc::parse("2014-02-26T17:42:49Z"));
        assert_eq!(message.entry_id, Some(6_060_624));
        assert_eq!(message.fields[0].as_deref(), Some("188"));
        assert_eq!(message.fields[1].as_deref(), Some("25.902335456475583"));
    }

    #[test]
    fn what_cannot_be_read_is_missing_and_not_guessed() {
        let message = decode(r#"{"created_at":"yesterday","entry_id":-3,"field1":[1,2],"field2":true}"#);
        assert_eq!((message.created_at, message.entry_id), (None, None));
        assert_eq!(message.fields[0].as_deref(), Some("[1,2]"));
        assert_eq!(message.fields[1].as_deref(), Some("true"));
    }

    #[test]
    fn what_is_no_object_or_too_large_is_refused() {
        // "-1" is the body of a recorded refusal (mchwalisz/thingspeak, test_get_wrong_key.yaml), "0" that of an update that came too soon.
        for text in ["-1", "0", "", "null", "[]", "{", "{\"field1\":1e999}", "\u{feff}{}"] {
            assert_eq!(FeedMessage::decode(CHANNEL, text.as_bytes()), Err(FeedError::NotAnObject), "{text}");
        }
        let deep = "{\"a\":".repeat(5000);
        assert_eq!(FeedMessage::decode(CHANNEL, deep.as_bytes()), Err(FeedError::NotAnObject));
        let large = vec![b' '; MAX_BYTES + 1];
        assert_eq!(FeedMessage::decode(CHANNEL, &large), Err(FeedError::TooLarge(MAX_BYTES + 1)));
    }

    #[test]
    fn an_echo_has_the_same_values_however_they_are_written() {
        let sent = entry(&[(Column::Field(1), 20.5), (Column::Latitude, 30.61)], None);
        for echo in [
            r#"{"field1":"20.50","field2":null,"latitude":"30.610"}"#,
            r#"{"field1":20.5,"latitude":30.61,"elevation":null}"#,
            r#"{"field1":" 20.500000001 ","latitude":"30.61"}"#,
        ] {
            assert!(decode(echo).same_values(&sent, ColumnSet::default()), "{echo}");
        }
    }

    #[test]
    fn an_echo_with_another_value_or_one_more_is_of_another_entry() {
        let sent = entry(&[(Column::Field(1), 20.5), (Column::Latitude, 30.61)], Some("ok"));
        for echo in [
            r#"{"field1":"20.6","latitude":"30.61"}"#,
            r#"{"field1":"20.5","latitude":"30.61","field2":"1"}"#,
            r#"{"field1":"NaN","latitude":"30.61"}"#,
            r#"{"field1":"","latitude":"30.61"}"#,
        ] {
            assert!(!decode(echo).same_values(&sent, ColumnSet::default()), "{echo}");
        }
    }

    #[test]
    fn a_field_switched_off_in_the_channel_does_not_hide_an_echo() {
        let sent = entry(&[(Column::Field(1), 20.5), (Column::Field(7), 3.0)], None);
        assert!(decode(r#"{"field1":"20.5"}"#).same_values(&sent, ColumnSet::default()));
        assert!(!decode("{}").same_values(&sent, ColumnSet::default()));
    }

    #[test]
    fn a_status_alone_is_known_by_being_there() {
        let sent = entry(&[], Some("tank: silent"));
        assert!(decode(r#"{"field1":null,"status":"tank: silent"}"#).same_values(&sent, ColumnSet::default()));
        assert!(!decode(r#"{"field1":null,"status":null}"#).same_values(&sent, ColumnSet::default()));
    }

    proptest! {
        #[test]
        fn hostile_bytes_are_refused_or_read_but_never_fatal(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = FeedMessage::decode(CHANNEL, &bytes);
        }

        #[test]
        fn a_damaged_message_is_refused_or_read_but_never_fatal(at in 0..SEEN.len(), byte: u8, cut in 0..SEEN.len()) {
            let mut bytes = SEEN.as_bytes().to_vec();
            bytes[at] = byte;
            let _ = FeedMessage::decode(CHANNEL, &bytes);
            let _ = FeedMessage::decode(CHANNEL, &bytes[..cut]);
        }

        #[test]
        fn every_number_that_was_sent_is_recognised_when_it_comes_back(value in prop::num::f64::NORMAL) {
            let sent = entry(&[(Column::Field(1), value)], None);
            if let Some(text) = update::number(sent.cells[0].as_ref().expect("set above")) {
                let echo = serde_json::json!({ "field1": text }).to_string();
                prop_assert!(decode(&echo).same_values(&sent, ColumnSet::default()));
            }
        }
    }
}
