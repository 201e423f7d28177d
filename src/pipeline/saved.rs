//! What a kill would cost, as bytes: the open slots, and the entries that wait for their moment.
//!
//! ```text
//! boot     the format's version, and the boot that all of it means something in
//! channel  its slot as it is now: marks, what they mark (end, last end, last entry), trouble, routes, entries that wait
//! ```
//!
//! Each is a record (see [`crate::store::record`]). The newest record of a channel holds, and a change writes those of the channels
//! that it touched: some 40 bytes a field, whatever else the map has. A write that is cut off leaves the channel as it was before.
//! Times are nanoseconds of the boot clock. Channels and routes are found again by the channel's number, the column and the form,
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
use std::time::Duration;

use super::Pipeline;
use super::slots::{ChannelSlot, RouteState, Slots, StatusText, Sums};
use crate::entry::{ChannelId, Column, Form, UntimedEntry};
use crate::store::record::{self, Reader, Records, Writer};
use crate::time::{BootId, Mono, Now};

/// Changes whenever records mean something else.
const VERSION: u8 = 3;

/// The kinds of records.
const BOOT: u8 = 1;
const CHANNEL: u8 = 2;

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

/// Marks of a channel: which times follow, and that its slot ends early.
const END: u8 = 1;
const LAST_END: u8 = 2;
const LAST_ENTRY: u8 = 4;
const EARLY: u8 = 8;

/// Marks of a route: what follows, and that it is published by itself.
const SUMS: u8 = 1;
const LAST: u8 = 2;
const FIELD: u8 = 4;
const VECTOR: u8 = 8;

struct SavedChannel {
    id: ChannelId,
    end: Option<Mono>,
    early: bool,
    last_end: Option<Mono>,
    last_entry: Option<Mono>,
    trouble: Vec<String>,
    routes: Vec<SavedRoute>,
    ended: Vec<UntimedEntry>,
}

struct SavedRoute {
    column: Column,
    form: Form,
    sums: Option<Sums>,
    last: Option<f64>,
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

    /// Takes what [`Pipeline::state`] and [`Pipeline::changes`] gave to the process before this one; see [`Slots::restore`].
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
        let mut to = Writer::new();
        to.byte(BOOT);
        to.byte(VERSION);
        to.wide(boot.0);
        let mut bytes = Vec::new();
        record::append(&mut bytes, &to.finish());
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
    // Rubbish with a good checksum must not silence a channel.
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
        state.sums = route.sums.map(|sums| sums.reduced_by(reduce));
        state.last = route.last;
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

const fn mark(mark: u8, set: bool) -> u8 {
    if set { mark } else { 0 }
}

/// Appends a channel's record. Where its texts would not fit it is without them: they are told again as long as they are true.
fn write(slot: &ChannelSlot, bytes: &mut Vec<u8>) {
    let payload = payload(slot, true);
    let payload = if payload.len() > record::LONGEST { self::payload(slot, false) } else { payload };
    record::append(bytes, &payload);
}

fn payload(slot: &ChannelSlot, with_texts: bool) -> Vec<u8> {
    let mut to = Writer::new();
    to.byte(CHANNEL);
    to.number(slot.channel.id.0);
    to.byte(
        mark(END, slot.end.is_some())
            | mark(LAST_END, slot.last_end.is_some())
            | mark(LAST_ENTRY, slot.last_entry.is_some())
            | mark(EARLY, slot.early),
    );
    for time in [slot.end, slot.last_end, slot.last_entry].into_iter().flatten() {
        to.number(u64::try_from(time.since_boot().as_nanos()).unwrap_or(u64::MAX));
    }
    let trouble = if with_texts { slot.trouble.as_slice() } else { &[] };
    to.number(trouble.len() as u64);
    for words in trouble {
        to.text(words);
    }
    to.number(slot.routes.len() as u64);
    for state in &slot.routes {
        to.byte(u8::try_from(state.route.column.index()).expect("a few columns"));
        // Where there are sums, the last value is one of theirs.
        let last = state.last.filter(|_| state.sums.is_none());
        let has_vector = state.sums.as_ref().is_some_and(Sums::has_vector);
        to.byte(
            mark(SUMS, state.sums.is_some())
                | mark(LAST, last.is_some())
                | mark(FIELD, state.route.publish.form() == Form::Field)
                | mark(VECTOR, has_vector),
        );
        if let Some(sums) = &state.sums {
            sums.write(&mut to);
        }
        if let Some(last) = last {
            to.float(last);
        }
        to.text(state.standing.as_deref().filter(|_| with_texts).unwrap_or_default());
    }
    to.number(slot.ended.len() as u64);
    for (_, entry) in &slot.ended {
        entry.write(&mut to);
    }
    to.finish()
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
        let mut from = Reader::new(payload);
        let is_known = match from.byte() {
            Some(BOOT) => read_boot(&mut from).map(|boot| found.boot = Some(boot)),
            Some(CHANNEL) => read_channel(&mut from).map(|channel| _ = found.channels.insert(channel.id, channel)),
            _ => None,
        };
        found.is_damaged |= is_known.is_none();
    }
    // A write that was cut off by a kill is no damage.
    found.is_damaged |= !records.is_whole() && !records.is_torn();
    found
}

fn read_boot(from: &mut Reader<'_>) -> Option<BootId> {
    let _ = from.byte().filter(|version| *version == VERSION)?;
    from.wide().map(BootId)
}

/// A number, and so many of something. Every one takes a byte at least, so that a number out of thin air ends with the bytes.
fn read_many<T>(from: &mut Reader<'_>, read: impl Fn(&mut Reader<'_>) -> Option<T>) -> Option<Vec<T>> {
    let mut many = Vec::new();
    for _ in 0..from.number()? {
        many.push(read(from)?);
    }
    Some(many)
}

fn read_channel(from: &mut Reader<'_>) -> Option<SavedChannel> {
    let id = ChannelId(from.number()?);
    let marks = from.byte().filter(|marks| *marks <= END | LAST_END | LAST_ENTRY | EARLY)?;
    let channel = SavedChannel {
        id,
        end: if marks & END == 0 { None } else { Some(read_time(from)?) },
        early: marks & EARLY != 0,
        last_end: if marks & LAST_END == 0 { None } else { Some(read_time(from)?) },
        last_entry: if marks & LAST_ENTRY == 0 { None } else { Some(read_time(from)?) },
        trouble: read_many(from, |from| from.text().map(str::to_owned))?,
        routes: read_many(from, read_route)?,
        ended: read_many(from, UntimedEntry::read_whole)?,
    };
    (from.is_empty() && channel.ended.iter().all(|entry| entry.channel == id)).then_some(channel)
}

fn read_time(from: &mut Reader<'_>) -> Option<Mono> {
    from.number().map(Duration::from_nanos).map(Mono::new)
}

fn read_route(from: &mut Reader<'_>) -> Option<SavedRoute> {
    let column = usize::from(from.byte()?);
    let column = (column < Column::COUNT).then(|| Column::at(column))?;
    let marks = from.byte().filter(|marks| *marks <= SUMS | LAST | FIELD | VECTOR)?;
    let sums = if marks & SUMS == 0 { None } else { Some(Sums::read(from, marks & VECTOR != 0)?) };
    let last = if marks & LAST == 0 { sums.as_ref().map(Sums::last) } else { Some(from.float()?) };
    let form = if marks & FIELD == 0 { Form::Feed } else { Form::Field };
    let standing = Some(from.text()?.to_owned()).filter(|words| !words.is_empty());
    Some(SavedRoute { column, form, sums, last, standing })
}

#[cfg(test)]
mod tests;
