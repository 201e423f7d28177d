//! What a first map needs to know from a person.

use std::collections::BTreeSet;

use crate::entry::ChannelId;
use crate::thingspeak::license::License;

/// Channels one MQTT device may be authorised for (docs/thingspeak.md, connection).
pub const CHANNELS_A_DEVICE: usize = 10;

/// The answers.
#[derive(Clone, Debug)]
pub struct Answers {
    /// The file of credentials as the map is to name it.
    pub credentials: String,
    /// What the channels' owner pays for.
    pub license: License,
    /// The channels to publish to, in the order in which they are filled.
    pub channels: Vec<Named>,
    /// The channel that commands are to come from.
    pub commands: Option<Named>,
    /// Where each offer goes.
    pub places: Vec<Place>,
}

/// A channel with the name that the map gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The map's name for it.
    pub name: String,
    /// ThingSpeak's number.
    pub id: ChannelId,
}

/// Where an offer goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// Where there is room.
    #[default]
    Anywhere,
    /// To the channel with this index.
    Channel(usize),
    /// It is not wanted.
    Nowhere,
}

/// Why there is no map.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Give one.
    #[error("a map needs at least one channel to publish to")]
    NoChannel,
    /// Take one of fewer and plainer letters.
    #[error("{0:?} cannot be a channel's name: use one line of up to 64 printable characters, such as room")]
    Name(String),
    /// Take the number from the channel's page.
    #[error(
        "{0} is not a channel's number: use the \"Channel ID\" at the top of the channel's page on ThingSpeak, such \
         as 1234567"
    )]
    Id(String),
    /// Write name and number.
    #[error("write NAME=ID, such as room=1234567")]
    Form,
    /// Give each its own.
    #[error("two channels are named {0}: give each its own name")]
    TwoNames(String),
    /// Commands want a channel of their own.
    #[error(
        "channel {0} is given twice: ThingSpeak drops a command that arrives within 15 s of any update, so commands \
         need a separate channel"
    )]
    TwoIds(ChannelId),
    /// Add a second device by hand.
    #[error("one MQTT device serves up to 10 channels: leave some out, and later add a second device to the map")]
    TooMany,
    /// Want at least one sensor.
    #[error("no sensor is left: a map needs at least one")]
    NothingToPublish,
}

impl Named {
    /// A channel whose name and number are ones.
    ///
    /// # Errors
    /// [`Refused::Name`] and [`Refused::Id`].
    pub fn new(name: &str, id: &str) -> Result<Self, Refused> {
        let name = name.trim();
        if name.is_empty() || name.chars().any(char::is_control) || name.chars().count() > 64 {
            return Err(Refused::Name(name.to_owned()));
        }
        let id = id.trim();
        // Numbers have seven digits today; with more than ten it is a key of some kind, which is not to be shown.
        let number = id.parse::<u64>().ok().filter(|number| (1..=9_999_999_999).contains(number));
        let shown = if id.len() > 10 { "this".to_owned() } else { format!("{id:?}") };
        Ok(Self { name: name.to_owned(), id: ChannelId(number.ok_or(Refused::Id(shown))?) })
    }

    /// A channel as flags write it: `room=1234567`.
    ///
    /// # Errors
    /// [`Refused::Form`], or as [`Named::new`].
    pub fn parse(written: &str) -> Result<Self, Refused> {
        let (name, id) = written.rsplit_once('=').ok_or(Refused::Form)?;
        Self::new(name, id)
    }
}

impl Answers {
    /// Whether the channels go together.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn check(&self) -> Result<(), Refused> {
        let (mut names, mut ids) = (BTreeSet::new(), BTreeSet::new());
        for Named { name, id } in self.channels.iter().chain(&self.commands) {
            if !names.insert(name) {
                return Err(Refused::TwoNames(name.clone()));
            }
            if !ids.insert(*id) {
                return Err(Refused::TwoIds(*id));
            }
        }
        match (self.channels.is_empty(), ids.len() > CHANNELS_A_DEVICE) {
            (true, _) => Err(Refused::NoChannel),
            (_, true) => Err(Refused::TooMany),
            _ => Ok(()),
        }
    }
}
