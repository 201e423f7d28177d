//! The topics of a channel (docs/thingspeak.md, topics).

use std::fmt;

use crate::FIELDS;

/// Where an update goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// `channels/<id>/publish`.
    Feed(u64),
    /// `channels/<id>/publish/fields/field<n>`.
    Field(u64, u8),
}

/// What a client subscribes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    /// `channels/<id>/subscribe`.
    Feed(u64),
    /// `channels/<id>/subscribe/fields/field<n>`.
    Field(u64, u8),
    /// `channels/<id>/subscribe/fields/+`.
    EveryField(u64),
}

impl Target {
    /// The target of a topic; none for every topic that does not exist.
    pub(super) fn parse(topic: &str) -> Option<Self> {
        let (channel, rest) = channel_of(topic)?;
        match rest {
            "publish" => Some(Self::Feed(channel)),
            _ => Some(Self::Field(channel, field_number(rest.strip_prefix("publish/fields/")?)?)),
        }
    }

    pub(super) fn channel(self) -> u64 {
        match self {
            Self::Feed(channel) | Self::Field(channel, _) => channel,
        }
    }
}

impl Filter {
    /// The filter of a subscription; none for every filter that the service does not have.
    pub(super) fn parse(topic: &str) -> Option<Self> {
        let (channel, rest) = channel_of(topic)?;
        match rest {
            "subscribe" => Some(Self::Feed(channel)),
            "subscribe/fields/+" => Some(Self::EveryField(channel)),
            _ => Some(Self::Field(channel, field_number(rest.strip_prefix("subscribe/fields/")?)?)),
        }
    }

    pub(super) fn channel(self) -> u64 {
        match self {
            Self::Feed(channel) | Self::Field(channel, _) | Self::EveryField(channel) => channel,
        }
    }

    /// Whether it covers this field of this channel.
    pub(super) fn covers_field(self, of: u64, number: u8) -> bool {
        self == Self::Field(of, number) || self == Self::EveryField(of)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Feed(channel) => write!(f, "channels/{channel}/subscribe"),
            Self::Field(channel, number) => write!(f, "channels/{channel}/subscribe/fields/field{number}"),
            Self::EveryField(channel) => write!(f, "channels/{channel}/subscribe/fields/+"),
        }
    }
}

/// Splits `channels/<id>/<rest>`.
fn channel_of(topic: &str) -> Option<(u64, &str)> {
    let (id, rest) = topic.strip_prefix("channels/")?.split_once('/')?;
    // `parse` alone would take "+5".
    let digits = id.bytes().all(|byte| byte.is_ascii_digit());
    let id = if digits { id.parse().ok()? } else { return None };
    Some((id, rest))
}

/// The number in `field<n>`, 1 to 8.
fn field_number(name: &str) -> Option<u8> {
    (1..=FIELDS).find(|number| name == format!("field{number}")).and_then(|number| u8::try_from(number).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: u64 = 1;

    #[test]
    fn topics_of_a_channel_are_understood() {
        assert_eq!(Target::parse("channels/1/publish"), Some(Target::Feed(ONE)));
        assert_eq!(Target::parse("channels/1/publish/fields/field8"), Some(Target::Field(ONE, 8)));
        for filter in [Filter::Feed(ONE), Filter::Field(ONE, 3), Filter::EveryField(ONE)] {
            assert_eq!(Filter::parse(&filter.to_string()), Some(filter));
        }
    }

    #[test]
    fn topics_of_the_retired_broker_and_inventions_do_not_exist() {
        for topic in [
            "",
            "channels",
            "channels/1",
            "channels//publish",
            "channels/+/publish",
            "channels/+5/publish",
            "channels/1/publish/",
            "channels/1/publish/KEY",
            "channels/1/publish/fields/field0",
            "channels/1/publish/fields/field9",
            "channels/1/publish/fields/field01",
            "channels/1/publish/fields/+",
            "/channels/1/publish",
            "channels/99999999999999999999999/publish",
        ] {
            assert_eq!(Target::parse(topic), None, "{topic}");
        }
        for filter in
            ["#", "channels/1/#", "channels/1/subscribe/json", "channels/1/subscribe/fields/#", "channels/+/subscribe"]
        {
            assert_eq!(Filter::parse(filter), None, "{filter}");
        }
    }
}
