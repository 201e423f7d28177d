//! The batch as bytes, so that a process that is killed costs no more than the sample it had in its hands.
//!
//! ```text
//! state    version, boot id (128 bits), number of channels, channels
//! channel  id, marks, what they mark: end, last end, last draft; trouble, routes and drafts, each with their number
//! route    column, marks, what they mark: sums, or without them the last value; text of standing trouble
//! ```
//!
//! The state is cut into records (see [`crate::store::record`]), and holds only when every one of them does. Times are
//! nanoseconds of the boot clock and mean nothing in another boot. Channels and routes are found again by the channel's
//! number, the column and the form, never by their place in the map: the map may have changed in between.
//!
//! # Nothing lost, nothing twice
//! A draft goes from here to the spool, and there is no write that changes both. The order makes up for it:
//! 1. a slot is closed; its drafts, with their ends, are written here;
//! 2. they are pushed into the spool;
//! 3. they are forgotten here, once the spool has them.
//!
//! Ends of one channel grow, and drafts are pushed in their order. So where the last draft that the spool has ends at or
//! after one that is found here, the spool has that one too; and no other. That tells the drafts of one slot apart as
//! well, which are a second apart, when the kill came between two of them.
//!
//! An open slot is judged by the last draft that was made when the state was written, not by its own end, which a change
//! may have moved forward since: unless the spool has a *later* draft than that, nothing of the slot can have been pushed,
//! wherever it ends. A later one can be there only where the first write had failed; then the slot was closed behind this
//! state's back, and what it holds was pushed.

use std::time::Duration;

use crate::entry::{ChannelId, Column, Form, UntimedEntry};
use crate::pipeline::slots::sums::Sums;
use crate::pipeline::slots::{Batch, Publish, RouteState, StatusText};
use crate::store::record::{self, Reader, Records, Writer};
use crate::time::{BootId, Mono, Now};

/// Changes whenever the bytes mean something else: 2 has drafts with a supplement, and sums of directions. A state without either
/// is written as 1, which older versions of gatepost read.
const VERSION: u8 = 2;
const PLAIN: u8 = 1;

/// What [`Batch::restore`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restored {
    /// A state of this boot.
    State,
    /// Nothing.
    Nothing,
    /// The state of another boot, which is of no use.
    OtherBoot,
    /// Bytes that are damaged, or of another version of gatepost.
    Damaged,
}

/// Marks of a channel: which times follow, and that its slot ends early.
const END: u8 = 1;
const LAST_END: u8 = 2;
const LAST_DRAFT: u8 = 4;
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
    last_draft: Option<Mono>,
    trouble: Vec<String>,
    routes: Vec<SavedRoute>,
    drafts: Vec<UntimedEntry>,
}

struct SavedRoute {
    column: Column,
    form: Form,
    sums: Option<Sums>,
    last: Option<f64>,
    standing: Option<String>,
}

impl Batch {
    /// The state as bytes, in the boot with this id.
    pub fn save(&self, boot: BootId) -> Vec<u8> {
        let mut to = Writer::new();
        let has_vector = |state: &RouteState| state.sums.as_ref().is_some_and(Sums::has_vector);
        let is_plain = self.closed.is_empty() && self.handed.is_empty() && !self.routes.iter().any(has_vector);
        to.byte(if is_plain { PLAIN } else { VERSION });
        to.wide(boot.0);
        to.number(self.channels.len() as u64);
        for channel in 0..self.channels.len() {
            self.write_channel(channel, &mut to);
        }
        let mut bytes = Vec::new();
        for chunk in to.finish().chunks(record::LONGEST) {
            record::append(&mut bytes, chunk);
        }
        bytes
    }

    /// Puts a saved state in the place of this one, which has no values yet, as far as the map still has its channels and
    /// routes. A slot keeps its end, and so does a draft, as far as they lie where one that is made now could; drafts are due
    /// at once. `last_end` is the end of the last draft of a channel that
    /// the spool has of this boot: what it has does not come again, whatever the bytes are.
    pub fn restore(
        &mut self,
        now: Now,
        boot: BootId,
        bytes: &[u8],
        last_end: impl Fn(ChannelId) -> Option<Mono>,
    ) -> Restored {
        let (restored, saved) = match read(bytes) {
            _ if bytes.is_empty() => (Restored::Nothing, Vec::new()),
            None => (Restored::Damaged, Vec::new()),
            Some((of, _)) if of != boot => (Restored::OtherBoot, Vec::new()),
            Some((_, saved)) => (Restored::State, saved),
        };
        for channel in saved {
            if let Some(place) = self.channels.iter().position(|slot| slot.channel.id == channel.id) {
                self.apply(now, place, channel);
            }
        }
        for place in 0..self.channels.len() {
            if let Some(last_end) = last_end(self.channels[place].channel.id) {
                self.discard(now, place, last_end);
            }
        }
        restored
    }

    fn write_channel(&self, channel: usize, to: &mut Writer) {
        let slot = &self.channels[channel];
        let id = slot.channel.id;
        to.number(id.0);
        to.byte(
            mark(END, slot.end.is_some())
                | mark(LAST_END, slot.last_end.is_some())
                | mark(LAST_DRAFT, slot.last_draft.is_some())
                | mark(EARLY, slot.early),
        );
        for time in [slot.end, slot.last_end, slot.last_draft].into_iter().flatten() {
            to.number(u64::try_from(time.since_boot().as_nanos()).unwrap_or(u64::MAX));
        }
        to.number(slot.trouble.len() as u64);
        for words in &slot.trouble {
            to.text(words);
        }

        let routes = || self.routes.iter().enumerate().filter(|(_, state)| state.route.channel == channel);
        to.number(routes().count() as u64);
        for (index, state) in routes() {
            to.byte(u8::try_from(state.route.column.index()).expect("a few columns"));
            // Where there are sums, the last value is one of theirs.
            let last = state.last.filter(|_| state.sums.is_none());
            let has_vector = state.sums.as_ref().is_some_and(Sums::has_vector);
            to.byte(
                mark(SUMS, state.sums.is_some())
                    | mark(LAST, last.is_some())
                    | mark(FIELD, form(state.route.publish) == Form::Field)
                    | mark(VECTOR, has_vector),
            );
            if let Some(sums) = &state.sums {
                sums.write(to);
            }
            if let Some(last) = last {
                to.float(last);
            }
            to.text(self.standing.get(&(channel, index)).map_or("", String::as_str));
        }

        let closed = self.closed.iter().map(|(_, draft)| draft);
        let drafts: Vec<&UntimedEntry> = self.handed.iter().chain(closed).filter(|draft| draft.channel == id).collect();
        to.number(drafts.len() as u64);
        for draft in drafts {
            draft.write(to);
        }
    }

    fn apply(&mut self, now: Now, place: usize, saved: SavedChannel) {
        let slot = &mut self.channels[place];
        let told = slot.channel.status != StatusText::Off;
        // Rubbish with a good checksum must not silence a channel.
        let latest = now.mono + slot.channel.every + slot.channel.interval;
        slot.end = saved.end.map(|end| end.min(latest));
        slot.early = saved.early;
        // A slot that ended in the future would hold back the ends of those to come.
        slot.last_end = saved.last_end.map(|end| end.min(now.mono));
        // Drafts of one slot run ahead of it, a second each. One that is further ahead would date all that follow.
        let ahead = latest + Duration::from_secs(Column::COUNT as u64);
        slot.last_draft = saved.last_draft.map(|end| end.min(ahead));
        slot.trouble = if told { saved.trouble } else { Vec::new() };
        for route in saved.routes {
            let same = |known: &crate::pipeline::slots::Route| {
                known.channel == place && known.column == route.column && form(known.publish) == route.form
            };
            let Some(index) = self.routes.iter().position(|state| same(&state.route)) else { continue };
            let reduce = self.routes[index].route.reduce;
            self.routes[index].sums = route.sums.map(|sums| sums.reduced_by(reduce));
            self.routes[index].last = route.last;
            if let (true, Some(words)) = (told, route.standing) {
                self.standing.insert((place, index), words);
            }
        }
        let drafts = saved.drafts.into_iter().map(|draft| UntimedEntry { end: draft.end.min(ahead), ..draft });
        self.closed.extend(drafts.map(|draft| (now.mono, draft)));
    }

    /// Drops what the spool has already. The module's text says why nothing else is dropped.
    fn discard(&mut self, now: Now, place: usize, last_end: Mono) {
        let slot = &mut self.channels[place];
        let id = slot.channel.id;
        self.closed.retain(|(_, draft)| draft.channel != id || draft.end > last_end);
        if slot.last_draft.is_some_and(|last| last_end <= last) {
            return;
        }
        slot.last_draft = Some(last_end);
        // Its slot ended there or a little before: several drafts of one slot run ahead of it.
        slot.last_end = slot.last_end.max(Some(last_end.min(now.mono)));
        slot.end = None;
        slot.early = false;
        slot.trouble.clear();
        for state in self.routes.iter_mut().filter(|state| state.route.channel == place) {
            state.sums = None;
        }
    }
}

/// Whether a route is in the slot's entry or makes one by itself; which of the two ways into the slot's it takes, does not
/// matter to its sums.
const fn form(publish: Publish) -> Form {
    match publish {
        Publish::Slot | Publish::OnChange => Form::Feed,
        Publish::Field => Form::Field,
    }
}

const fn mark(mark: u8, set: bool) -> u8 {
    if set { mark } else { 0 }
}

/// The boot and its channels; `None` for bytes that are not whole.
fn read(bytes: &[u8]) -> Option<(BootId, Vec<SavedChannel>)> {
    let mut records = Records::new(bytes);
    let state: Vec<u8> = records.by_ref().flatten().copied().collect();
    let mut from = Reader::new(&state);
    let read_draft = match from.byte()? {
        PLAIN => UntimedEntry::read_bare,
        VERSION => UntimedEntry::read_whole,
        _ => return None,
    };
    if !records.is_whole() {
        return None;
    }
    let boot = BootId(from.wide()?);
    let channels = read_many(&mut from, |from| read_channel(from, read_draft))?;
    from.is_empty().then_some((boot, channels))
}

/// A number, and so many of something. Every one takes a byte at least, so that a number out of thin air ends with the bytes.
fn read_many<T>(from: &mut Reader<'_>, read: impl Fn(&mut Reader<'_>) -> Option<T>) -> Option<Vec<T>> {
    let mut many = Vec::new();
    for _ in 0..from.number()? {
        many.push(read(from)?);
    }
    Some(many)
}

fn read_channel(
    from: &mut Reader<'_>,
    read_draft: impl Fn(&mut Reader<'_>) -> Option<UntimedEntry>,
) -> Option<SavedChannel> {
    let id = ChannelId(from.number()?);
    let marks = from.byte().filter(|marks| *marks <= END | LAST_END | LAST_DRAFT | EARLY)?;
    let channel = SavedChannel {
        id,
        end: if marks & END == 0 { None } else { Some(read_time(from)?) },
        early: marks & EARLY != 0,
        last_end: if marks & LAST_END == 0 { None } else { Some(read_time(from)?) },
        last_draft: if marks & LAST_DRAFT == 0 { None } else { Some(read_time(from)?) },
        trouble: read_many(from, |from| from.text().map(str::to_owned))?,
        routes: read_many(from, read_route)?,
        drafts: read_many(from, read_draft)?,
    };
    channel.drafts.iter().all(|draft| draft.channel == id).then_some(channel)
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
