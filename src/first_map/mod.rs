//! A first sensor map: what a machine has and a few answers → a commented map that passes `check`.
//!
//! Pure: nothing is looked at, asked or written here. Fields are given in the order of the offers, a sensor's own side by side
//! where there is room; what finds no field is left out and told. Nothing that drives a pin is ever switched on: outputs are
//! examples to uncomment.

mod answers;
mod fields;
mod offer;
mod text;
mod toml;

#[cfg(test)]
mod tests;

use std::fmt;

use crate::scan::Found;

pub use answers::{Answers, CHANNELS_A_DEVICE, Named, Place, Refused};
pub use offer::{Offer, offers};

use fields::{Fields, Given};

/// The map, and what its user has to do on ThingSpeak's pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstMap {
    /// The map as it is to be written.
    pub text: String,
    /// What is to be done on ThingSpeak, and what was left out, in words.
    pub todo: String,
}

impl FirstMap {
    /// Makes it. The answers hold a place for each of the offers.
    ///
    /// # Errors
    /// When the answers do not make a map; the sentence says which and why.
    pub fn new(found: &Found, offers: &[Offer], answers: &Answers) -> Result<Self, Refused> {
        answers.check()?;
        let fields = Fields::give(offers, answers);
        if fields.given.is_empty() {
            return Err(Refused::NothingToPublish);
        }
        let todo = Todo { answers, fields: &fields }.to_string();
        Ok(Self { text: text::write(found, offers, answers, fields), todo })
    }
}

/// What is to be done on ThingSpeak.
struct Todo<'a> {
    answers: &'a Answers,
    fields: &'a Fields,
}

impl fmt::Display for Todo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "On ThingSpeak")?;
        let channels: Vec<_> = self.answers.channels.iter().enumerate().collect();
        let used = |index: &usize| self.fields.given.iter().any(|given| given.channel == *index);
        for (index, Named { name, id }) in channels.iter().filter(|(index, _)| used(index)) {
            writeln!(f, "  channel {id} ({name}), Channel Settings: tick these fields and name them, for example")?;
            for Given { field, label, .. } in self.fields.given.iter().filter(|given| given.channel == *index) {
                writeln!(f, "    Field {field}: {label}")?;
            }
        }
        writeln!(f, "  Devices, MQTT, your device: authorise these channels and tick")?;
        for (_, Named { name, id }) in channels.iter().filter(|(index, _)| used(index)) {
            writeln!(f, "    {id} ({name}): allow publish, allow subscribe")?;
        }
        if let Some(Named { name, id }) = &self.answers.commands {
            writeln!(f, "    {id} ({name}), for commands: allow subscribe")?;
        }
        if self.answers.commands.is_some() {
            writeln!(f, "Outputs: uncomment the lines at the end of the map and set the pin.")?;
        }
        for (_, Named { name, id }) in channels.iter().filter(|(index, _)| !used(index)) {
            writeln!(f, "Nothing is published to channel {id} ({name}) yet: it is in the map as a comment.")?;
        }
        for label in &self.fields.left_out {
            writeln!(f, "No field is left for {label}: it is in the map as a comment.")?;
        }
        Ok(())
    }
}
