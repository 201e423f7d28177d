//! An update as it arrives: form-encoded pairs, or the bare value of one field (docs/thingspeak.md, payload of the channel
//! feed).

use super::record::DropReason;
use super::switches::TooLong;
use crate::FIELDS;
use crate::time::Utc;

/// Most bytes of a message.
pub(super) const MESSAGE_LIMIT: usize = 3000;
/// Most bytes of a field or of the status.
pub(super) const VALUE_LIMIT: usize = 255;

/// The columns of an update. A value without characters is no value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Update {
    pub(super) fields: [Option<String>; FIELDS],
    pub(super) latitude: Option<String>,
    pub(super) longitude: Option<String>,
    pub(super) elevation: Option<String>,
    pub(super) status: Option<String>,
    pub(super) created_at: Option<Utc>,
}

impl Update {
    /// Reads `application/x-www-form-urlencoded` pairs. Names that mean nothing are passed over; the last of two equal
    /// names holds.
    pub(super) fn from_form(payload: &[u8], too_long: TooLong) -> Result<Self, DropReason> {
        let payload = within("the message", payload, MESSAGE_LIMIT, too_long)?;
        let mut update = Self::default();
        for pair in payload.split(|&byte| byte == b'&') {
            let at = pair.iter().position(|&byte| byte == b'=').unwrap_or(pair.len());
            let (name, value) = pair.split_at(at);
            update.put(&decoded(name)?, decoded(value.strip_prefix(b"=").unwrap_or_default())?, too_long)?;
        }
        update.checked()
    }

    /// Takes names and values as they are, as from a call that carried them otherwise.
    pub(super) fn from_pairs(pairs: &[(&str, &str)], too_long: TooLong) -> Result<Self, DropReason> {
        let mut update = Self::default();
        for (name, value) in pairs {
            update.put(name, kept(value.bytes()), too_long)?;
        }
        update.checked()
    }

    /// The bare value of `field<number>`, counted from 1.
    pub(super) fn from_field(number: u8, payload: &[u8], too_long: TooLong) -> Result<Self, DropReason> {
        let payload = within("the message", payload, MESSAGE_LIMIT, too_long)?;
        let mut update = Self::default();
        update.put(&format!("field{number}"), kept(payload.iter().copied()), too_long)?;
        update.checked()
    }

    fn put(&mut self, name: &str, mut value: String, too_long: TooLong) -> Result<(), DropReason> {
        let place = match name {
            "lat" => &mut self.latitude,
            "long" => &mut self.longitude,
            "elevation" => &mut self.elevation,
            "status" => &mut self.status,
            "created_at" => {
                let time = Utc::parse(&value)
                    .ok_or_else(|| DropReason::Malformed(format!("created_at is not an ISO 8601 time: {value:.40}")))?;
                self.created_at = Some(time);
                return Ok(());
            }
            _ => {
                let number = name.strip_prefix("field").and_then(|digits| digits.parse::<usize>().ok());
                match number.and_then(|number| self.fields.get_mut(number.checked_sub(1)?)) {
                    Some(place) => place,
                    None => return Ok(()),
                }
            }
        };
        // Its characters are ASCII, so that any length is a boundary.
        value.truncate(within(name, value.as_bytes(), VALUE_LIMIT, too_long)?.len());
        *place = Some(value).filter(|value| !value.is_empty());
        Ok(())
    }

    fn checked(self) -> Result<Self, DropReason> {
        let others = [&self.latitude, &self.longitude, &self.elevation, &self.status];
        let empty = self.fields.iter().chain(others).all(Option::is_none);
        if empty { Err(DropReason::Empty) } else { Ok(self) }
    }
}

/// The bytes, or what is left of them when they are too many.
fn within<'a>(what: &str, bytes: &'a [u8], limit: usize, too_long: TooLong) -> Result<&'a [u8], DropReason> {
    match too_long {
        _ if bytes.len() <= limit => Ok(bytes),
        TooLong::Truncate => Ok(&bytes[..limit]),
        TooLong::Drop | TooLong::Disconnect => {
            Err(DropReason::TooLong { what: what.to_owned(), bytes: bytes.len(), limit })
        }
    }
}

/// Undoes the form encoding: `+` is a blank, `%41` is `A`.
fn decoded(text: &[u8]) -> Result<String, DropReason> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter().copied();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => match (rest.next().and_then(hex_digit), rest.next().and_then(hex_digit)) {
                (Some(high), Some(low)) => high << 4 | low,
                _ => return Err(DropReason::Malformed("a % is not followed by two hexadecimal digits".to_owned())),
            },
            other => other,
        });
    }
    Ok(kept(bytes))
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// What the service does not ignore: neither control bytes nor bytes above 127.
fn kept(bytes: impl IntoIterator<Item = u8>) -> String {
    bytes.into_iter().filter(|byte| (0x20..0x7f).contains(byte)).map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn from_form(payload: &[u8]) -> Result<Update, DropReason> {
        Update::from_form(payload, TooLong::Drop)
    }

    fn from_field(number: u8, payload: &[u8]) -> Result<Update, DropReason> {
        Update::from_field(number, payload, TooLong::Drop)
    }

    #[test]
    fn documented_example_is_read_whole() {
        // The form of docs/thingspeak.md, payload of the channel feed.
        let update = from_form(
            b"field1=20.5&field2=41&lat=30.61&long=40.35&elevation=12&status=ok&created_at=2026-11-22 08:00:00",
        )
        .expect("a good update");
        assert_eq!(update.fields[0].as_deref(), Some("20.5"));
        assert_eq!(update.fields[1].as_deref(), Some("41"));
        assert_eq!(update.latitude.as_deref(), Some("30.61"));
        assert_eq!(update.longitude.as_deref(), Some("40.35"));
        assert_eq!(update.elevation.as_deref(), Some("12"));
        assert_eq!(update.status.as_deref(), Some("ok"));
        assert_eq!(update.created_at, Utc::parse("2026-11-22T08:00:00Z"));
    }

    #[test]
    fn form_encoding_is_undone() {
        let update = from_form(b"status=a+b%2Bc%26d%3de&field1=-3&created_at=2026-11-22T09%3A00%3A00%2B01%3A00")
            .expect("a good update");
        assert_eq!(update.status.as_deref(), Some("a b+c&d=e"));
        assert_eq!(update.created_at, Utc::parse("2026-11-22T08:00:00Z"));
    }

    #[test]
    fn control_bytes_and_bytes_above_127_are_ignored() {
        let update = from_form(b"status=21\xc2\xb0C%0A%C2%B0!&fi\x00eld1=7").expect("a good update");
        assert_eq!(update.status.as_deref(), Some("21C!"));
        assert_eq!(update.fields[0].as_deref(), Some("7"));
    }

    #[test]
    fn values_end_at_255_bytes_and_messages_at_3000() {
        let value = |length| format!("field3={}", "1".repeat(length));
        assert!(from_form(value(255).as_bytes()).is_ok());
        assert_eq!(
            from_form(value(256).as_bytes()),
            Err(DropReason::TooLong { what: "field3".to_owned(), bytes: 256, limit: 255 })
        );
        let message = |length: usize| format!("field1=1&x={}", "y".repeat(length - "field1=1&x=".len()));
        assert!(from_form(message(3000).as_bytes()).is_ok());
        assert!(matches!(from_form(message(3001).as_bytes()), Err(DropReason::TooLong { bytes: 3001, .. })));
        assert!(matches!(from_field(1, &[b'1'; 256]), Err(DropReason::TooLong { .. })));
    }

    #[test]
    fn what_is_too_long_can_be_cut() {
        let cut = |payload: &str| Update::from_form(payload.as_bytes(), TooLong::Truncate).expect("cut, not refused");
        let update = cut(&format!("field3={}&status={}", "1".repeat(256), "ok"));
        assert_eq!(update.fields[2].as_deref(), Some("1".repeat(255).as_str()));
        assert_eq!(update.status.as_deref(), Some("ok"));
        let padding = format!("field1=1&x={}", "y".repeat(MESSAGE_LIMIT - "field1=1&x=".len()));
        let update = cut(&format!("{padding}&field2=2"));
        assert_eq!((update.fields[0].as_deref(), update.fields[1].as_deref()), (Some("1"), None));
        let bare = Update::from_field(1, &[b'1'; 4000], TooLong::Truncate).expect("cut, not refused");
        assert_eq!(bare.fields[0].as_ref().map(String::len), Some(VALUE_LIMIT));
    }

    #[test]
    fn an_update_without_a_value_is_empty() {
        for payload in ["", "field1=", "field9=1", "temperature=3", "created_at=2026-11-22T08:00:00Z", "&&=&"] {
            assert_eq!(from_form(payload.as_bytes()), Err(DropReason::Empty), "{payload}");
        }
        assert_eq!(from_field(2, b""), Err(DropReason::Empty));
    }

    #[test]
    fn what_cannot_be_decoded_is_refused_with_words() {
        for payload in ["field1=%", "field1=%4", "field1=%zz", "field1=1&created_at=yesterday"] {
            assert!(matches!(from_form(payload.as_bytes()), Err(DropReason::Malformed(_))), "{payload}");
        }
    }

    #[test]
    fn a_bare_value_is_taken_as_it_is() {
        let update = from_field(4, b"a+b%41").expect("a good update");
        assert_eq!(update.fields[3].as_deref(), Some("a+b%41"));
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(payload: Vec<u8>, number in 1_u8..=8) {
            for too_long in [TooLong::Drop, TooLong::Truncate] {
                let _ = Update::from_form(&payload, too_long);
                let _ = Update::from_field(number, &payload, too_long);
            }
        }

        #[test]
        fn hostile_pairs_never_panic(
            pieces in prop::collection::vec("(field[0-9]{0,3}|created_at|status|lat|%|[&=+]|.){0,3}", 0..20),
        ) {
            let _ = from_form(pieces.concat().as_bytes());
        }
    }
}
