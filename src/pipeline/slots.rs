//! Readings become one [`UntimedEntry`] per channel and slot.
//!
//! A slot is a stretch of the boot clock that ends on the wall clock's grid: with `every = "20s"` at :00, :20 and :40 of
//! each minute. A reading belongs to the slot in which it was *taken*, so a slot may be closed some time after its end
//! without harm; that is how the sending of many devices is spread.
//!
//! Invariants: an entry ends with its slot, on the boot clock; within a channel the ends grow by a second at least; two closes of
//! a channel are at least the license's interval apart; a value that is missing is left out. Only the grid is the wall
//! clock's: one that jumps moves the ends of slots to come, and no entry.
//!
//! Cost: a value touches its own channel and an ordered index of deadlines, however many channels there are.

mod channel;
mod sums;

use std::collections::BTreeSet;
use std::time::Duration;

use crate::entry::{ChannelId, Column, Decimals, Form, Reduce, UntimedEntry};
use crate::time::{Mono, Now};

pub(super) use channel::{ChannelSlot, RouteState};
pub(super) use sums::Sums;

/// When a route's value is published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(feature = "docs", derive(serde::Serialize, schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Publish {
    /// With the slot.
    #[default]
    Slot,
    /// With the slot. When the value changes, the slot ends early, as soon as the license allows.
    OnChange,
    /// Separately, as an update of this one field, at the end of the slot.
    Field,
}

impl Publish {
    /// The form of the entry that the value is in.
    pub const fn form(self) -> Form {
        match self {
            Self::Slot | Self::OnChange => Form::Feed,
            Self::Field => Form::Field,
        }
    }
}

/// What goes into an entry's status text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(feature = "docs", derive(serde::Serialize, schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum StatusText {
    /// Nothing.
    #[default]
    Off,
    /// The faults of sensors; empty while there are none.
    Health,
}

/// A channel as its slots see it.
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

impl Channel {
    /// A channel with a delay of its own.
    pub fn new(id: ChannelId, every: Duration, interval: Duration, status: StatusText) -> Self {
        Self { id, every, interval, status, spread: spread(id, every) }
    }
}

/// A delay that is the channel's own and always the same: at most 4 s and a quarter of the slot.
fn spread(id: ChannelId, every: Duration) -> Duration {
    let most = (every / 4).min(Duration::from_secs(4));
    // Fibonacci hashing: neighbouring channel numbers land far apart.
    let hashed = id.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
    let millis = u64::try_from(most.as_millis()).unwrap_or(4000) * hashed / 65_536;
    Duration::from_millis(millis)
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
pub struct Slots {
    pub(super) channels: Vec<ChannelSlot>,
    /// Where each route's sums are: its channel, and its place there.
    places: Vec<(usize, usize)>,
    /// When each channel has to be looked at, as far as it has to be.
    deadlines: BTreeSet<(Mono, usize)>,
    /// The channels that changed since they were last saved.
    changed: Vec<usize>,
}

impl Slots {
    /// Slots without values. Routes are known by their place in this list.
    pub fn new(channels: &[Channel], routes: &[Route]) -> Self {
        let mut slots: Vec<ChannelSlot> = channels.iter().map(ChannelSlot::new).collect();
        let places = routes.iter().map(|route| (route.channel, slots[route.channel].add(route))).collect();
        Self { channels: slots, places, deadlines: BTreeSet::new(), changed: Vec::new() }
    }

    /// Takes a value of a route, measured `at`. Returns whether the next close moved forward, so that
    /// whoever sleeps until [`Slots::next_close`] must look again.
    pub fn value(&mut self, now: Now, route: usize, at: Mono, value: f64) -> bool {
        let (channel, place) = self.places[route];
        self.change(channel, |slot| slot.value(now, place, at, value))
    }

    /// Notes that a route has no values, in words for its channel's status text. It is told in this slot and in each that
    /// follows, until [`Slots::recovered`]. Returns as [`Slots::value`] does.
    pub fn trouble(&mut self, now: Now, route: usize, at: Mono, words: &str) -> bool {
        let (channel, place) = self.places[route];
        if self.channels[channel].channel.status == StatusText::Off {
            return false;
        }
        self.change(channel, |slot| slot.trouble(now, place, at, words))
    }

    /// The route has values again.
    pub fn recovered(&mut self, route: usize) {
        let (channel, place) = self.places[route];
        if self.channels[channel].routes[place].standing.is_some() {
            self.change(channel, |slot| slot.routes[place].standing = None);
        }
    }

    /// When the first of the open slots is to be closed.
    pub fn next_close(&self) -> Option<Mono> {
        self.deadlines.first().map(|(due, _)| *due)
    }

    /// Closes the slots that have ended. `take` gets their entries, channel by channel, oldest first: what it takes is out of the
    /// slots' hands.
    pub fn close_due(&mut self, now: Now, mut take: impl FnMut(Vec<UntimedEntry>)) {
        while let Some((_, channel)) = self.deadlines.first().filter(|(due, _)| *due <= now.mono).copied() {
            let mut due = Vec::new();
            self.change(channel, |slot| due = slot.close_due(now));
            if !due.is_empty() {
                take(due);
            }
        }
    }

    /// Closes the slots of these channels now, ended or not, as [`Slots::close_due`] does: for the daemon's stop, or a new map that
    /// changes them.
    pub fn close_now(
        &mut self,
        now: Now,
        mut which: impl FnMut(ChannelId) -> bool,
        mut take: impl FnMut(Vec<UntimedEntry>),
    ) {
        for channel in 0..self.channels.len() {
            if which(self.channels[channel].channel.id) {
                let mut all = Vec::new();
                self.change(channel, |slot| all = slot.close_now(now));
                if !all.is_empty() {
                    take(all);
                }
            }
        }
    }

    /// Changes a channel, and puts its deadline where it belongs then. Returns whether the next close moved forward.
    pub(super) fn change(&mut self, channel: usize, change: impl FnOnce(&mut ChannelSlot)) -> bool {
        let first = self.next_close();
        let slot = &mut self.channels[channel];
        let before = slot.due();
        change(slot);
        if !std::mem::replace(&mut slot.is_changed, true) {
            self.changed.push(channel);
        }
        let after = slot.due();
        if before == after {
            return false;
        }
        self.deadlines.extend(after.map(|due| (due, channel)));
        if let Some(before) = before {
            self.deadlines.remove(&(before, channel));
        }
        self.next_close().is_some_and(|after| first.is_none_or(|first| after < first))
    }

    /// The channels that changed since this was last asked.
    pub(super) fn take_changed(&mut self) -> impl Iterator<Item = &ChannelSlot> {
        let channels = &mut self.channels;
        for place in &self.changed {
            channels[*place].is_changed = false;
        }
        self.changed.drain(..).map(|place| &channels[place])
    }
}

#[cfg(test)]
mod tests;
