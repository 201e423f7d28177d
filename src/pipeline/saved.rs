//! What a kill would cost, as bytes: the open slots, and the entries that wait for their moment.
//!
//! ```text
//! boot     the format's version, and the boot that all of it means something in
//! channel  its slot as it is now: end, last end, last entry, trouble, routes' sums, entries that wait
//! ```
//!
//! Each is a record ([`crate::store::record`], [`crate::store::codec`]). The newest record of a channel holds, and a change writes those of the channels
//! that it touched: some 40 bytes a field, whatever else the map has. A write that is cut off leaves the channel as it was before.
//! Channels and routes are found again by the channel's number, the column and the form,
//! never by their place in the map: the map may have changed in between. What the filters remember is not saved: a median
//! begins again.
//!
//! # Nothing lost, nothing twice
//! An entry goes from here to the spool, and there is no write that changes both. The order makes up for it: a channel's entries are
//! the spool's, all of them in one piece, before it is written here that they left. Ends of one channel grow. So
//! - an entry that waits here has left if the spool's last one ends with it or later;
//! - an open slot is judged by the last entry that was made when the record was written, not by its own end, which a change may have
//!   moved forward since: unless the spool has a *later* entry than that, nothing of the slot was taken.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use minicbor::{Decode, Encode};

use super::Pipeline;
use super::slots::{ChannelSlot, RouteState, Slots, StatusText, Sums};
use crate::entry::{ChannelId, Column, Form, UntimedEntry};
use crate::store::codec;
use crate::store::record::{self, Records};
use crate::time::{BootId, Mono, Now};

/// Changes when records mean something else than this version takes them for. A field or a kind of record that is added does not.
const VERSION: u8 = 3;

/// What [`Pipeline::restore`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restored {
    /// A state of this boot.
    State,
    /// Nothing.
    Nothing,
    /// The state of another boot, which is of no use.
    OtherBoot,
    /// Bytes that are damaged, or of another version of gatepost: what is whole of this one is taken.
    Damaged,
}

/// A record. Of a kind that is not known it is a later version's, and passed over.
#[derive(Encode, Decode)]
#[cbor(flat)]
enum Saved {
    /// The format's version, and the boot that all of it means something in.
    #[n(1)]
    Boot(#[n(0)] u8, #[n(1)] BootId),
    #[n(2)]
    Channel(#[n(0)] SavedChannel),
}

/// The kinds of records that are known.
const KINDS: RangeInclusive<u32> = 1..=2;

#[derive(Encode, Decode)]
struct SavedChannel {
    #[n(0)]
    id: ChannelId,
    #[n(1)]
    end: Option<Mono>,
    #[n(2)]
    early: bool,
    #[n(3)]
    last_end: Option<Mono>,
    #[n(4)]
    last_entry: Option<Mono>,
    #[n(5)]
    trouble: Vec<String>,
    #[n(6)]
    routes: Vec<SavedRoute>,
    #[n(7)]
    ended: Vec<UntimedEntry>,
}

#[derive(Encode, Decode)]
struct SavedRoute {
    #[n(0)]
    column: Column,
    #[n(1)]
    form: Form,
    #[n(2)]
    sums: Option<Sums>,
    #[n(3)]
    last: Option<f64>,
    #[n(4)]
    standing: Option<String>,
}

impl Pipeline {
    /// All that a kill would cost, as records, in the boot with this id. What changed until now is among it.
    pub fn state(&mut self, boot: BootId) -> Vec<u8> {
        self.slots.state(boot)
    }

    /// What changed since this or [`Pipeline::state`] was last asked, as records; empty where nothing did.
    pub fn changes(&mut self) -> Vec<u8> {
        self.slots.changes()
    }

    /// Takes what [`Pipeline::state`] and [`Pipeline::changes`] gave to the process before this one; see `Slots::restore`.
    pub fn restore(
        &mut self,
        now: Now,
        boot: BootId,
        bytes: &[u8],
        last_end: impl Fn(ChannelId) -> Option<Mono>,
    ) -> Restored {
        self.slots.restore(now, boot, bytes, last_end)
    }
}

impl Slots {
    /// See [`Pipeline::state`].
    pub(super) fn state(&mut self, boot: BootId) -> Vec<u8> {
        self.take_changed().for_each(drop);
        let mut bytes = Vec::new();
        record::append(&mut bytes, &codec::encode(&Saved::Boot(VERSION, boot)));
        for slot in &self.channels {
            write(slot, &mut bytes);
        }
        bytes
    }

    /// See [`Pipeline::changes`].
    pub(super) fn changes(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for slot in self.take_changed() {
            write(slot, &mut bytes);
        }
        bytes
    }

    /// Puts a saved state in the place of this one, which has no values yet, as far as the map still has its channels and
    /// routes. A slot keeps its end, and so does an entry, as far as they lie where one that is made now could; entries are due
    /// at once. `last_end` is the end of the last entry of a channel that the spool has of this boot: what it has does not come
    /// again, whatever the bytes are.
    pub(super) fn restore(
        &mut self,
        now: Now,
        boot: BootId,
        bytes: &[u8],
        last_end: impl Fn(ChannelId) -> Option<Mono>,
    ) -> Restored {
        let saved = read(bytes);
        let restored = match saved.boot {
            _ if bytes.is_empty() => Restored::Nothing,
            Some(of) if of != boot => Restored::OtherBoot,
            Some(_) if !saved.is_damaged => Restored::State,
            _ => Restored::Damaged,
        };
        if saved.boot == Some(boot) {
            let places = places(self);
            for (id, saved) in saved.channels {
                if let Some(&place) = places.get(&id) {
                    self.change(place, |slot| apply(slot, now, saved));
                }
            }
        }
        for place in 0..self.channels.len() {
            if let Some(last_end) = last_end(self.channels[place].channel.id) {
                self.change(place, |slot| discard(slot, now, last_end));
            }
        }
        restored
    }
}

/// Where each channel is.
fn places(slots: &Slots) -> BTreeMap<ChannelId, usize> {
    slots.channels.iter().enumerate().map(|(place, slot)| (slot.channel.id, place)).collect()
}

fn apply(slot: &mut ChannelSlot, now: Now, saved: SavedChannel) {
    let has_status = slot.channel.status != StatusText::Off;
    // Garbage with a good checksum must not silence a channel.
    let latest = now.mono + slot.channel.every + slot.channel.interval;
    slot.end = saved.end.map(|end| end.min(latest));
    slot.early = saved.early;
    // A slot that ended in the future would hold back the ends of those to come.
    slot.last_end = saved.last_end.map(|end| end.min(now.mono));
    // Entries of one slot run ahead of it, a second each. One that is further ahead would date all that follow.
    let ahead = latest + Duration::from_secs(Column::COUNT as u64);
    slot.last_entry = saved.last_entry.map(|end| end.min(ahead));
    slot.trouble = if has_status { saved.trouble } else { Vec::new() };
    for route in saved.routes {
        let is_same =
            |known: &&mut RouteState| known.route.column == route.column && known.route.publish.form() == route.form;
        let Some(state) = slot.routes.iter_mut().find(is_same) else { continue };
        let reduce = state.route.reduce;
        let sums = route.sums.filter(Sums::is_sound);
        state.last = route.last.or(sums.as_ref().map(Sums::last));
        state.sums = sums.map(|sums| sums.reduced_by(reduce));
        state.standing = route.standing.filter(|_| has_status);
    }
    let ended = saved.ended.into_iter().map(|entry| UntimedEntry { end: entry.end.min(ahead), ..entry });
    slot.ended = ended.map(|entry| (now.mono, entry)).collect();
}

/// Drops what the spool has already. The module's text says why nothing else is dropped.
fn discard(slot: &mut ChannelSlot, now: Now, last_end: Mono) {
    slot.ended.retain(|(_, entry)| entry.end > last_end);
    if slot.last_entry.is_some_and(|last| last_end <= last) {
        return;
    }
    slot.last_entry = Some(last_end);
    // Its slot ended there or a little before, where the state says: several entries of one slot run ahead of it.
    let ahead = Duration::from_secs(Column::COUNT as u64);
    let own = slot.end.filter(|end| *end <= last_end && last_end <= *end + ahead);
    slot.last_end = slot.last_end.max(Some(own.unwrap_or(last_end).min(now.mono)));
    slot.end = None;
    slot.early = false;
    slot.trouble.clear();
    for state in &mut slot.routes {
        state.sums = None;
    }
}

/// Appends a channel's record. Where its texts would not fit it is without them: they are told again as long as they are true.
fn write(slot: &ChannelSlot, bytes: &mut Vec<u8>) {
    let payload = payload(slot, true);
    let payload = if payload.len() > record::LONGEST { self::payload(slot, false) } else { payload };
    record::append(bytes, &payload);
}

fn payload(slot: &ChannelSlot, with_texts: bool) -> Vec<u8> {
    codec::encode(&Saved::Channel(SavedChannel {
        id: slot.channel.id,
        end: slot.end,
        early: slot.early,
        last_end: slot.last_end,
        last_entry: slot.last_entry,
        trouble: if with_texts { slot.trouble.clone() } else { Vec::new() },
        routes: slot.routes.iter().map(|state| saved_route(state, with_texts)).collect(),
        ended: slot.ended.iter().map(|(_, entry)| entry.clone()).collect(),
    }))
}

fn saved_route(state: &RouteState, with_texts: bool) -> SavedRoute {
    let RouteState { route, sums, last, standing } = state;
    // Where there are sums, the last value is one of theirs.
    let last = last.filter(|_| sums.is_none());
    let standing = standing.clone().filter(|_| with_texts);
    SavedRoute { column: route.column, form: route.publish.form(), sums: *sums, last, standing }
}

/// What was read.
#[derive(Default)]
struct Read {
    boot: Option<BootId>,
    /// The newest record of each channel.
    channels: BTreeMap<ChannelId, SavedChannel>,
    is_damaged: bool,
}

fn read(bytes: &[u8]) -> Read {
    let mut found = Read::default();
    let mut records = Records::new(bytes);
    for payload in records.by_ref() {
        match codec::decode(payload) {
            Ok(Saved::Boot(VERSION, boot)) => found.boot = Some(boot),
            Ok(Saved::Channel(channel)) if channel.ended.iter().all(|entry| entry.channel == channel.id) => {
                found.channels.insert(channel.id, channel);
            }
            _ if codec::variant(payload).is_some_and(|kind| !KINDS.contains(&kind)) => {}
            _ => found.is_damaged = true,
        }
    }
    // A write that was cut off by a kill is no damage.
    found.is_damaged |= !records.is_whole() && !records.is_torn();
    found
}

#[cfg(test)]
mod tests;
