//! A stored entry, and how the channel feed tells of it.

use std::fmt::Write as _;

use super::device::Channel;
use super::switches::{EchoValues, Switches};
use crate::FIELDS;
use crate::time::{Now, Utc};

/// An entry as a channel stores it. Values are the text that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Where it stands.
    pub channel: u64,
    /// Counted from 1 within the channel.
    pub entry_id: u64,
    /// Its time, in whole seconds.
    pub created_at: Utc,
    /// `field1` to `field8`.
    pub fields: [Option<String>; FIELDS],
    /// Degrees north.
    pub latitude: Option<String>,
    /// Degrees east.
    pub longitude: Option<String>,
    /// Metres.
    pub elevation: Option<String>,
    /// Text of the status column.
    pub status: Option<String>,
    /// When the update arrived.
    pub arrived: Now,
    /// The client id that sent it; `somebody else` for an update that did not come over MQTT.
    pub by: String,
}

impl Row {
    /// The value of `field<number>`, counted from 1.
    pub fn field(&self, number: u8) -> Option<&str> {
        let index = usize::from(number).checked_sub(1)?;
        self.fields.get(index)?.as_deref()
    }

    /// The channel feed's JSON, with the keys in the order of the one capture there is (docs/thingspeak.md, what a channel
    /// subscriber receives).
    pub fn to_json(&self, channel: &Channel, switches: &Switches) -> String {
        let mut json = format!(
            r#"{{"channel_id":{},"created_at":"{}","entry_id":{}"#,
            self.channel, self.created_at, self.entry_id
        );
        for (index, field) in self.fields.iter().enumerate() {
            if channel.enabled[index] || !switches.omit_disabled_fields {
                push_pair(&mut json, &format!("field{}", index + 1), &value(field.as_deref(), switches.echo_values));
            }
        }
        push_pair(&mut json, "latitude", &value(self.latitude.as_deref(), switches.echo_values));
        push_pair(&mut json, "longitude", &value(self.longitude.as_deref(), switches.echo_values));
        push_pair(&mut json, "elevation", &value(self.elevation.as_deref(), switches.echo_values));
        push_pair(&mut json, "status", &value(self.status.as_deref(), EchoValues::Strings));
        json.push('}');
        json
    }
}

fn push_pair(json: &mut String, key: &str, value: &serde_json::Value) {
    write!(json, r#","{key}":{value}"#).expect("writing to a string succeeds");
}

/// A value as JSON: null, a string, or a number where numbers are asked for and the text is a finite one.
fn value(text: Option<&str>, form: EchoValues) -> serde_json::Value {
    let Some(text) = text else { return serde_json::Value::Null };
    let number = match form {
        EchoValues::Strings => None,
        EchoValues::Numbers => text
            .parse::<i64>()
            .ok()
            .map(serde_json::Number::from)
            .or_else(|| text.parse::<f64>().ok().and_then(serde_json::Number::from_f64)),
    };
    number.map_or_else(|| text.into(), serde_json::Value::Number)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn row() -> Row {
        Row {
            channel: 1_587_079,
            entry_id: 797,
            created_at: Utc::parse("2021-12-11T05:35:31Z").expect("a good time"),
            fields: std::array::from_fn(|index| (index == 1).then(|| "21".to_owned())),
            latitude: None,
            longitude: None,
            elevation: None,
            status: None,
            arrived: Now { mono: Duration::ZERO, utc: Utc::from_seconds(0) },
            by: "remote".to_owned(),
        }
    }

    // The message of a public user report (docs/thingspeak.md, what a channel subscriber receives), byte for byte.
    const SEEN: &str = concat!(
        r#"{"channel_id":1587079,"created_at":"2021-12-11T05:35:31Z","entry_id":797,"field1":null,"field2":"21","#,
        r#""field3":null,"field4":null,"field5":null,"field6":null,"field7":null,"field8":null,"#,
        r#""latitude":null,"longitude":null,"elevation":null,"status":null}"#
    );

    #[test]
    fn feed_message_is_the_one_seen_from_the_real_service() {
        assert_eq!(row().to_json(&Channel::new(1_587_079), &Switches::default()), SEEN);
    }

    #[test]
    fn numbers_lose_their_quotes_and_texts_keep_them() {
        let mut row = row();
        row.fields[0] = Some("warm \"in\" here".to_owned());
        row.fields[2] = Some("20.5".to_owned());
        row.fields[3] = Some("NaN".to_owned());
        row.status = Some("7".to_owned());
        let switches = Switches { echo_values: EchoValues::Numbers, ..Switches::default() };
        let json = row.to_json(&Channel::new(1_587_079), &switches);
        assert!(json.contains(r#""field1":"warm \"in\" here","field2":21,"field3":20.5,"field4":"NaN""#), "{json}");
        assert!(json.contains(r#""status":"7""#), "{json}");
    }

    #[test]
    fn fields_that_the_channel_lacks_can_be_left_out() {
        let switches = Switches { omit_disabled_fields: true, ..Switches::default() };
        let json = row().to_json(&Channel::new(1_587_079).with_fields(&[2]), &switches);
        assert!(json.contains(r#""entry_id":797,"field2":"21","latitude":null"#), "{json}");
    }
}
