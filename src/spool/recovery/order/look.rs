//! A file of the state directory as it was found.

use std::collections::BTreeMap;

use crate::entry::ChannelId;
use crate::spool::Key;
use crate::spool::records::{self, LogRecord};
use crate::spool::recovery::scan::{Condition, Hole, Scan};
use crate::spool::segment;

/// What a name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Segment(ChannelId, Key),
    Unconfirmed(ChannelId),
    Other,
}

impl Name {
    /// Only what a file of ours is called: not the same in other words.
    fn of(file: &str) -> Self {
        let segment = segment::parse(file).filter(|(channel, key)| segment::name(*channel, *key) == file);
        let unconfirmed = segment::parse_unconfirmed(file).filter(|channel| segment::unconfirmed(*channel) == file);
        match (segment, unconfirmed) {
            (Some((channel, key)), _) if (1..records::KEYS).contains(&key.0) => Self::Segment(channel, key),
            (_, Some(channel)) => Self::Unconfirmed(channel),
            _ => Self::Other,
        }
    }
}

/// A file as it was found.
pub(super) struct Look {
    pub(super) file: String,
    pub(super) name: Name,
    /// The first and the last key of each channel's entries.
    pub(super) spans: BTreeMap<ChannelId, (Key, Key)>,
    pub(super) is_ascending: bool,
    pub(super) has_asides: bool,
    /// Some of them are not of the channel that the name says.
    pub(super) has_strangers: bool,
    pub(super) notes: usize,
    pub(super) condition: Condition,
    pub(super) end: u64,
    pub(super) length: u64,
    pub(super) strange: usize,
    pub(super) holes: Vec<Hole>,
}

impl Look {
    pub(super) fn at(file: String, bytes: &[u8]) -> Self {
        let name = Name::of(&file);
        let before = if let Name::Segment(_, first) = name { Key(first.0 - 1) } else { Key(0) };
        let mut scan = Scan::new(bytes, before);
        let (mut spans, mut is_ascending, mut notes) = (BTreeMap::new(), true, 0);
        let (mut has_asides, mut has_strangers) = (false, false);
        for (_, note) in scan.by_ref() {
            notes += 1;
            match note {
                LogRecord::Entry(kept) => {
                    let (first, last) = spans.entry(kept.draft.channel).or_insert((kept.key, Key(0)));
                    is_ascending &= *last < kept.key;
                    (*first, *last) = ((*first).min(kept.key), (*last).max(kept.key));
                }
                LogRecord::Aside(kept) => {
                    has_asides = true;
                    has_strangers |= name != Name::Unconfirmed(kept.draft.channel);
                }
                _ => {}
            }
        }
        let (condition, end, strange) = (scan.condition(), scan.end(), scan.strange_entries());
        let (holes, length) = (scan.holes(), bytes.len() as u64);
        let mut look = Self {
            file,
            name,
            spans,
            is_ascending,
            has_asides,
            has_strangers,
            notes,
            condition,
            end,
            length,
            strange,
            holes,
        };
        if !look.is_sound() {
            // What the name says of the first key is not true.
            look.holes.iter_mut().filter(|hole| hole.after == before).for_each(|hole| hole.after = Key(0));
        }
        look
    }

    /// Whether it is what its name says.
    pub(super) fn is_sound(&self) -> bool {
        match self.name {
            Name::Segment(channel, named) => {
                let fits = |(of, (first, _)): (&ChannelId, &(Key, Key))| *of == channel && named <= *first;
                self.spans.iter().all(fits) && self.is_ascending && !self.has_asides
            }
            Name::Unconfirmed(_) => self.spans.is_empty() && !self.has_strangers,
            Name::Other => false,
        }
    }

    /// Whether it has a name that nobody else would give to a file.
    pub(super) fn looks_like_ours(&self) -> bool {
        self.name != Name::Other || segment::parse(&self.file).is_some()
    }

    /// The keys of a channel that the file is about. A name that fits counts: no other file may get it.
    pub(super) fn span(&self, channel: ChannelId) -> Option<(Key, Key)> {
        match (self.spans.get(&channel), self.name) {
            (Some((first, last)), Name::Segment(of, named)) if of == channel => Some(((*first).min(named), *last)),
            (Some(span), _) => Some(*span),
            (None, Name::Segment(of, named)) if of == channel && self.spans.is_empty() => Some((named, named)),
            _ => None,
        }
    }

    /// The channels whose log it belongs to.
    pub(super) fn channels(&self) -> Vec<ChannelId> {
        match self.name {
            Name::Segment(channel, _) if self.spans.is_empty() => vec![channel],
            _ => self.spans.keys().copied().collect(),
        }
    }
}
