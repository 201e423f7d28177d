//! Readings become one [`UntimedEntry`] per channel and slot.
//!
//! A slot is a stretch of the boot clock that ends on the wall clock's grid: with `every = "20s"` at :00, :20 and :40 of
//! each minute. A reading belongs to the slot in which it was *taken*, so a slot may be closed some time after its end
//! without harm; that is how the sending of many devices is spread.
//!
//! Invariants: a draft ends with its slot, on the boot clock; within a channel the ends grow by a second at least; two closes of
//! a channel are at least the license's interval apart; a value that is missing is left out. Only the grid is the wall
//! clock's: one that jumps moves the ends of slots to come, and no draft.
//!
//! It is not a buffer: what it returns goes to the spool at once, and is remembered only until the spool has it
//! ([`Batch::taken`]), so that no draft is nowhere when the process is killed. [`Batch::save`] and [`Batch::restore`] carry
//! all of it over such an end.

mod bytes;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod slot;
mod sums;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

pub use bytes::Restored;

use crate::entry::{Cells, ChannelId, Column, Decimals, Form, Reduce, STATUS, UntimedEntry, cut};
use crate::pipeline::slots::slot::OpenSlot;
use crate::pipeline::slots::sums::Sums;
use crate::time::{Mono, Now};

/// When a route's value is published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(feature = "docs", derive(serde::Serialize, schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Publish {
    /// With the slot.
    #[default]
    Slot,
    /// With the slot; when the value changes the slot ends early, as soon as the license allows.
    OnChange,
    /// By itself, as an update of this one field, at the end of the slot.
    Field,
}

/// What goes into an entry's status text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(feature = "docs", derive(serde::Serialize, schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum StatusText {
    /// Nothing.
    #[default]
    Off,
    /// Which sensors have trouble, and what it is; nothing while all is well.
    Health,
}

/// A channel as the batch sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Channel {
    /// Its number.
    pub id: ChannelId,
    /// The slot's length, in whole seconds.
    pub every: Duration,
    /// Least time between two entries.
    pub interval: Duration,
    /// What its status column says.
    pub status: StatusText,
    /// How long after its end a slot is closed, so that a thousand devices do not publish in one instant.
    pub spread: Duration,
}

/// Where the values of one quantity go.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Index of the channel.
    pub channel: usize,
    /// Which column.
    pub column: Column,
    /// How a slot's readings become one value.
    pub reduce: Reduce,
    /// When it goes out.
    pub publish: Publish,
    /// Digits after the point of what is published.
    pub decimals: Option<Decimals>,
}

/// Open slots of all channels.
#[derive(Debug)]
pub struct Batch {
    channels: Vec<OpenSlot>,
    routes: Vec<RouteState>,
    /// Trouble that lasts, by channel and route: told in every slot until it is over.
    standing: BTreeMap<(usize, usize), String>,
    /// Drafts of ended slots, with the moment at which they are handed out.
    closed: VecDeque<(Mono, UntimedEntry)>,
    /// Drafts that were handed out and that the spool may not have yet.
    handed: Vec<UntimedEntry>,
}

#[derive(Debug)]
struct RouteState {
    route: Route,
    sums: Option<Sums>,
    /// The last value taken, to know a change.
    last: Option<f64>,
}

impl Batch {
    /// A batch without values.
    pub fn new(channels: &[Channel], routes: &[Route]) -> Self {
        Self {
            channels: channels.iter().map(OpenSlot::new).collect(),
            routes: routes.iter().map(|route| RouteState { route: route.clone(), sums: None, last: None }).collect(),
            standing: BTreeMap::new(),
            closed: VecDeque::new(),
            handed: Vec::new(),
        }
    }

    /// The channels, each with its routes and their places.
    pub fn ways(&self) -> impl Iterator<Item = (&Channel, impl Iterator<Item = (usize, &Route)>)> {
        self.channels.iter().enumerate().map(|(place, slot)| {
            let routes = self.routes.iter().map(|state| &state.route).enumerate();
            (&slot.channel, routes.filter(move |(_, route)| route.channel == place))
        })
    }

    /// Takes a value of the route with this index, measured `at`. Returns whether the next close moved forward, so that
    /// whoever sleeps until [`Batch::next_close`] must look again.
    pub fn value(&mut self, now: Now, route: usize, at: Mono, value: f64) -> bool {
        let before = self.next_close();
        let channel = self.routes[route].route.channel;
        self.open_slot(now, channel, at);
        let state = &mut self.routes[route];
        match &mut state.sums {
            Some(sums) => sums.add(value),
            none => *none = Some(Sums::of(value, state.route.reduce)),
        }
        // The first value after the start is no change: it would close a slot that holds hardly anything.
        #[expect(clippy::float_cmp, reason = "any difference is a change; tolerance is the filter's business")]
        let changed = state.last.replace(value).is_some_and(|last| last != value);
        if changed && state.route.publish == Publish::OnChange {
            self.channels[channel].end_early(at);
        }
        self.is_sooner_than(before)
    }

    /// Notes that a route has no values, in words for its channel's status text. It is told in this slot and in each that
    /// follows, until [`Batch::recovered`]. Returns as [`Batch::value`] does.
    pub fn trouble(&mut self, now: Now, route: usize, at: Mono, words: &str) -> bool {
        let channel = self.routes[route].route.channel;
        if self.channels[channel].channel.status == StatusText::Off {
            return false;
        }
        let before = self.next_close();
        self.open_slot(now, channel, at);
        self.standing.insert((channel, route), words.to_owned());
        self.channels[channel].note(words);
        self.is_sooner_than(before)
    }

    /// The route has values again.
    pub fn recovered(&mut self, route: usize) {
        self.standing.remove(&(self.routes[route].route.channel, route));
    }

    /// When the first of the open slots is to be closed.
    pub fn next_close(&self) -> Option<Mono> {
        let closed = self.closed.iter().map(|(due, _)| *due);
        self.channels.iter().filter_map(OpenSlot::due).chain(closed).min()
    }

    fn is_sooner_than(&self, before: Option<Mono>) -> bool {
        self.next_close().is_some_and(|after| before.is_none_or(|before| after < before))
    }

    /// Closes the slots that have ended and returns their drafts, oldest first within each channel. They are remembered
    /// until [`Batch::taken`] says that the spool has them.
    pub fn close_due(&mut self, now: Now) -> Vec<UntimedEntry> {
        for channel in 0..self.channels.len() {
            if self.channels[channel].due().is_some_and(|due| due <= now.mono) {
                self.close(channel);
            }
        }
        // From the newest back: whatever stands before a due draft of its channel goes with it, so that an early close
        // does not overtake.
        let mut channels = BTreeSet::new();
        let mut ready = Vec::new();
        for (due, draft) in std::mem::take(&mut self.closed).into_iter().rev() {
            if due <= now.mono {
                channels.insert(draft.channel);
            }
            if channels.contains(&draft.channel) {
                ready.push(draft);
            } else {
                self.closed.push_front((due, draft));
            }
        }
        ready.reverse();
        self.handed.extend_from_slice(&ready);
        ready
    }

    /// Closes the slots of all channels, as [`Batch::close_now`] does.
    pub fn close_all(&mut self, now: Now) -> Vec<UntimedEntry> {
        self.close_now(now, |_| true)
    }

    /// Closes the slots of these channels now, ended or not: for the daemon's stop, or a map that changes them. Remembers the
    /// drafts as [`Batch::close_due`] does.
    pub fn close_now(&mut self, now: Now, which: impl Fn(ChannelId) -> bool) -> Vec<UntimedEntry> {
        for channel in 0..self.channels.len() {
            let slot = &mut self.channels[channel];
            if which(slot.channel.id) && slot.end.is_some() {
                slot.end = slot.end.map(|end| end.min(now.mono));
                self.close(channel);
            }
        }
        let (mut drafts, mut others) = (Vec::new(), VecDeque::new());
        for (due, draft) in self.closed.drain(..) {
            if which(draft.channel) { drafts.push(draft) } else { others.push_back((due, draft)) }
        }
        self.closed = others;
        self.handed.extend_from_slice(&drafts);
        drafts
    }

    /// The spool has the drafts of a channel up to the one that ends at `last_end`: a kill does not lose them any more.
    /// Whatever else was handed out is remembered, so a spool that can do no more than hold drafts in memory must say of
    /// them that it has them.
    pub fn taken(&mut self, channel: ChannelId, last_end: Mono) {
        self.handed.retain(|draft| draft.channel != channel || draft.end > last_end);
    }

    /// Makes the slot that holds `at` the open one.
    fn open_slot(&mut self, now: Now, channel: usize, at: Mono) {
        if self.channels[channel].end.is_some_and(|end| at >= end) {
            self.close(channel);
        }
        let slot = &mut self.channels[channel];
        if slot.end.is_none() {
            slot.end = Some(slot.grid_end(now, at));
        }
    }

    fn close(&mut self, channel: usize) {
        let slot = &mut self.channels[channel];
        let (Some(end), Some(due)) = (slot.end, slot.due()) else { return };
        slot.end = None;
        slot.early = false;
        let id = slot.channel.id;
        for (_, words) in self.standing.range((channel, 0)..=(channel, usize::MAX)) {
            slot.note(words);
        }
        let trouble = std::mem::take(&mut slot.trouble);

        let status = (!trouble.is_empty()).then(|| cut(&trouble.join("; "), STATUS).to_owned());
        let mut feed = UntimedEntry { channel: id, end, cells: Cells::default(), status, form: Form::Feed };
        let mut fields = Vec::new();
        for state in self.routes.iter_mut().filter(|state| state.route.channel == channel) {
            let Some(cell) = state.sums.take().and_then(|sums| sums.reduce(&state.route)) else { continue };
            if state.route.publish == Publish::Field {
                let mut cells = Cells::default();
                cells[state.route.column.index()] = Some(cell);
                fields.push(UntimedEntry { channel: id, end, cells, status: None, form: Form::Field });
            } else {
                feed.cells[state.route.column.index()] = Some(cell);
            }
        }

        let slot = &mut self.channels[channel];
        for mut draft in std::iter::once(feed).filter(|feed| !feed.is_empty()).chain(fields) {
            draft.end = slot.place(end);
            slot.last_end = Some(end);
            self.closed.push_back((due, draft));
        }
    }
}

#[cfg(test)]
mod tests;
