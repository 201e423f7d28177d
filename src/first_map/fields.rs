//! Which quantity gets which field.

use super::{Answers, Offer, Place};
use crate::entry::FIELDS;

/// The fields of all channels.
pub(super) struct Fields {
    /// Those that are taken.
    pub(super) given: Vec<Given>,
    /// What a map's user would miss: `air2 pressure (hPa)`.
    pub(super) left_out: Vec<String>,
    /// How many each channel has taken.
    taken: Vec<usize>,
}

/// A field that is taken.
pub(super) struct Given {
    /// Index of the offer.
    pub(super) offer: usize,
    /// Index of its quantity.
    pub(super) quantity: usize,
    /// Index of the channel.
    pub(super) channel: usize,
    /// From 1.
    pub(super) field: usize,
    /// What a person calls it.
    pub(super) label: String,
}

impl Fields {
    /// Gives fields to the quantities of every offer that is wanted.
    pub(super) fn give(offers: &[Offer], answers: &Answers) -> Self {
        let mut fields = Self { given: Vec::new(), left_out: Vec::new(), taken: vec![0; answers.channels.len()] };
        for (index, offer) in offers.iter().enumerate() {
            let place = answers.places.get(index).copied().unwrap_or_default();
            if place == Place::Nowhere {
                continue;
            }
            for (quantity, measured) in offer.quantities.iter().enumerate() {
                let channel = match place {
                    Place::Channel(channel) => Some(channel).filter(|channel| fields.room(*channel) > 0),
                    _ => fields.roomy(offer.quantities.len() - quantity),
                };
                match channel {
                    Some(channel) => {
                        let field = fields.next(channel).expect("it has room");
                        let label = measured.label.clone();
                        fields.given.push(Given { offer: index, quantity, channel, field, label });
                    }
                    None => fields.left_out.push(measured.label.clone()),
                }
            }
        }
        fields
    }

    /// Takes the next field of a channel.
    pub(super) fn next(&mut self, channel: usize) -> Option<usize> {
        let taken = self.taken.get_mut(channel).filter(|taken| **taken < FIELDS)?;
        *taken += 1;
        Some(*taken)
    }

    /// The field of an offer's quantity.
    pub(super) fn of(&self, offer: usize, quantity: usize) -> Option<&Given> {
        self.given.iter().find(|given| (given.offer, given.quantity) == (offer, quantity))
    }

    /// Fields that a channel has left.
    fn room(&self, channel: usize) -> usize {
        self.taken.get(channel).map_or(0, |taken| FIELDS - taken)
    }

    /// The first channel with room for so many, or else for one.
    fn roomy(&self, wanted: usize) -> Option<usize> {
        let channels = 0..self.taken.len();
        channels.clone().find(|channel| self.room(*channel) >= wanted).or_else(|| {
            let mut channels = channels;
            channels.find(|channel| self.room(*channel) > 0)
        })
    }
}
