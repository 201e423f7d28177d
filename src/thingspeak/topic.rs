//! The topics of a channel (ThingSpeak's MQTT reference, publish and subscribe pages).
//!
//! Only the forms of the broker in service are known here: a topic with an API key in it, `subscribe/json` and
//! `subscribe/csv` belong to a retired one. The wildcard `fields/+` exists too, but is not used: it tells less than the
//! channel feed and costs a message a field.

use std::fmt;

use crate::entry::{ChannelId, Column};

/// A topic of one channel. Field numbers count from 1 to 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// `channels/<id>/publish`: takes a whole entry, form-encoded ([`crate::thingspeak::update`]).
    Publish(ChannelId),
    /// `channels/<id>/publish/fields/field<n>`: takes one bare value, and makes an entry without the other fields.
    PublishField(ChannelId, u8),
    /// `channels/<id>/subscribe`: gives every new entry as JSON ([`crate::thingspeak::feed`]).
    Subscribe(ChannelId),
    /// `channels/<id>/subscribe/fields/field<n>`: gives the bare value, without time or entry id.
    SubscribeField(ChannelId, u8),
}

impl Topic {
    /// Reads a topic as it stands in a packet. `None` for every spelling that [`Topic`] would not display itself.
    pub fn parse(text: &str) -> Option<Self> {
        let mut levels = text.split('/');
        let channel = (levels.next()? == "channels").then(|| levels.next()).flatten().and_then(number)?;
        let verb = levels.next()?;
        let field = match (levels.next(), levels.next(), levels.next()) {
            (None, ..) => None,
            (Some("fields"), Some(name), None) => match Column::parse(name)? {
                Column::Field(field) => Some(field),
                _ => return None,
            },
            _ => return None,
        };
        match (verb, field) {
            ("publish", None) => Some(Self::Publish(channel)),
            ("publish", Some(field)) => Some(Self::PublishField(channel, field)),
            ("subscribe", None) => Some(Self::Subscribe(channel)),
            ("subscribe", Some(field)) => Some(Self::SubscribeField(channel, field)),
            _ => None,
        }
    }

    /// The channel it belongs to.
    pub const fn channel(self) -> ChannelId {
        match self {
            Self::Publish(channel)
            | Self::PublishField(channel, _)
            | Self::Subscribe(channel)
            | Self::SubscribeField(channel, _) => channel,
        }
    }
}

/// A channel's number in its one spelling: neither sign nor leading zeros, which `parse` would let through.
fn number(text: &str) -> Option<ChannelId> {
    let id = text.parse::<u64>().ok()?;
    (id.to_string() == text).then_some(ChannelId(id))
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Publish(channel) => write!(f, "channels/{channel}/publish"),
            Self::PublishField(channel, field) => write!(f, "channels/{channel}/publish/fields/field{field}"),
            Self::Subscribe(channel) => write!(f, "channels/{channel}/subscribe"),
            Self::SubscribeField(channel, field) => write!(f, "channels/{channel}/subscribe/fields/field{field}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_topic_is_read_back_as_what_was_written() {
        let channel = ChannelId(1_587_079);
        for (topic, text) in [
            (Topic::Publish(channel), "channels/1587079/publish"),
            (Topic::PublishField(channel, 1), "channels/1587079/publish/fields/field1"),
            (Topic::Subscribe(channel), "channels/1587079/subscribe"),
            (Topic::SubscribeField(channel, 8), "channels/1587079/subscribe/fields/field8"),
        ] {
            assert_eq!(topic.to_string(), text);
            assert_eq!(Topic::parse(text), Some(topic));
            assert_eq!(topic.channel(), channel);
        }
    }

    #[test]
    fn other_spellings_and_the_retired_forms_are_no_topics() {
        for text in [
            "",
            "channels",
            "channels/",
            "channels/1",
            "channels/1/",
            "channels/1/publish/",
            "channels/+1/publish",
            "channels/01/publish",
            "channels/-1/publish",
            "channels/18446744073709551616/publish",
            "/channels/1/publish",
            "Channels/1/publish",
            "channels/1/publish/fields",
            "channels/1/publish/fields/field0",
            "channels/1/publish/fields/field9",
            "channels/1/publish/fields/field01",
            "channels/1/publish/fields/lat",
            "channels/1/publish/fields/field1/extra",
            "channels/1/subscribe/fields/+",
            "channels/1/subscribe/json",
            "channels/1/publish/XXXXXXXXXXXXXXXX",
            "channels/1/subscribe/fields/field1/XXXXXXXXXXXXXXXX",
        ] {
            assert_eq!(Topic::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_displayed_in_the_same_letters(text in "(channels/[0-9+]{1,21}/(publish|subscribe)(/fields/field[0-9]{1,2})?)|\\PC{0,60}") {
            if let Some(topic) = Topic::parse(&text) {
                prop_assert_eq!(topic.to_string(), text);
            }
        }
    }
}
