//! A channel's open slot: its routes' sums, where it ends, and the entries that it becomes.

use std::time::Duration;

use super::{Channel, Publish, Route, Sums};
use crate::entry::{Cells, Form, STATUS, UntimedEntry, cut};
use crate::time::{Mono, Now};

/// How far two readings of the two clocks may be apart. The pacing of what is sent does not depend on it.
const GRID_SLACK: Duration = Duration::from_millis(100);

/// The resolution of an entry's time.
const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(in crate::pipeline) struct ChannelSlot {
    pub(in crate::pipeline) channel: Channel,
    pub(in crate::pipeline) routes: Vec<RouteState>,
    /// Where the slot ends. `None` until the first value came.
    pub(in crate::pipeline) end: Option<Mono>,
    /// Whether it ends at a change, which is not spread.
    pub(in crate::pipeline) early: bool,
    /// Where the one before ended, for the license's interval.
    pub(in crate::pipeline) last_end: Option<Mono>,
    /// The end of the last entry: several of one slot are a second apart.
    pub(in crate::pipeline) last_entry: Option<Mono>,
    /// What the status text will say.
    pub(in crate::pipeline) trouble: Vec<String>,
    /// Entries of slots that have ended, with the moment at which they are handed out.
    pub(in crate::pipeline) ended: Vec<(Mono, UntimedEntry)>,
    pub(super) is_changed: bool,
}

/// A route, and what came of it in the open slot.
#[derive(Debug)]
pub(in crate::pipeline) struct RouteState {
    pub(in crate::pipeline) route: Route,
    pub(in crate::pipeline) sums: Option<Sums>,
    /// The last value taken, to know a change.
    pub(in crate::pipeline) last: Option<f64>,
    /// Trouble that lasts: told in every slot until it is over.
    pub(in crate::pipeline) standing: Option<String>,
}

impl ChannelSlot {
    /// The slot of a channel that has neither routes nor values yet.
    pub(super) fn new(channel: &Channel) -> Self {
        Self {
            channel: channel.clone(),
            routes: Vec::new(),
            end: None,
            early: false,
            last_end: None,
            last_entry: None,
            trouble: Vec::new(),
            ended: Vec::new(),
            is_changed: false,
        }
    }

    /// Adds a route. Returns its place.
    pub(super) fn add(&mut self, route: &Route) -> usize {
        self.routes.push(RouteState { route: route.clone(), sums: None, last: None, standing: None });
        self.routes.len() - 1
    }

    /// When it has to be looked at: its slot is to be closed, or entries are to be handed out.
    pub(super) fn due(&self) -> Option<Mono> {
        self.ended.iter().map(|(due, _)| *due).chain(self.close_at()).min()
    }

    /// Takes a value of the route at this place.
    pub(super) fn value(&mut self, now: Now, place: usize, at: Mono, value: f64) {
        self.open(now, at);
        let state = &mut self.routes[place];
        match &mut state.sums {
            Some(sums) => sums.add(value),
            none => *none = Some(Sums::of(value, state.route.reduce)),
        }
        // The first value after the start is no change: it would close a slot that holds hardly anything.
        #[expect(clippy::float_cmp, reason = "any difference is a change; tolerance is the filter's business")]
        let is_other = state.last.replace(value).is_some_and(|last| last != value);
        if is_other && state.route.publish == Publish::OnChange {
            self.end_early(at);
        }
    }

    /// Takes what is wrong with the route at this place.
    pub(super) fn trouble(&mut self, now: Now, place: usize, at: Mono, words: &str) {
        self.open(now, at);
        let words = cut(words, STATUS);
        self.routes[place].standing = Some(words.to_owned());
        self.note(words);
    }

    /// Closes the slot if it has ended. Returns the entries that are due, and those before them: an early close does not
    /// overtake.
    pub(super) fn close_due(&mut self, now: Now) -> Vec<UntimedEntry> {
        if self.close_at().is_some_and(|due| due <= now.mono) {
            self.close();
        }
        let due = self.ended.iter().rposition(|(due, _)| *due <= now.mono).map_or(0, |last| last + 1);
        self.ended.drain(..due).map(|(_, entry)| entry).collect()
    }

    /// Closes the slot, ended or not. Returns all entries.
    pub(super) fn close_now(&mut self, now: Now) -> Vec<UntimedEntry> {
        self.end = self.end.map(|end| end.min(now.mono));
        self.close();
        self.ended.drain(..).map(|(_, entry)| entry).collect()
    }

    /// The first boundary of the wall clock's grid after `at` that keeps the license's interval.
    fn grid_end(&self, now: Now, at: Mono) -> Mono {
        let every = self.channel.every.max(SECOND);
        let mut end = at + every.saturating_sub(now.utc_at(at).into_grid(every));
        if let Some(last) = self.last_end {
            // Two ends on the grid may seem a little closer, by the instants at which two clocks were read.
            while end + GRID_SLACK < last + self.channel.interval {
                end = end + every;
            }
        }
        end
    }

    /// When the open slot is to be closed.
    fn close_at(&self) -> Option<Mono> {
        let spread = if self.early { Duration::ZERO } else { self.channel.spread };
        self.end.map(|end| end + spread)
    }

    /// Makes the slot that holds `at` the open one.
    fn open(&mut self, now: Now, at: Mono) {
        if self.end.is_some_and(|end| at >= end) {
            self.close();
        }
        if self.end.is_none() {
            self.end = Some(self.grid_end(now, at));
        }
    }

    /// Ends the slot at a change, as soon as the license allows.
    fn end_early(&mut self, at: Mono) {
        let allowed = self.last_end.map_or(at, |last| at.max(last + self.channel.interval));
        if self.end.is_some_and(|end| allowed < end) {
            self.end = Some(allowed);
            self.early = true;
        }
    }

    /// Adds words to the status text, each once, as long as there is room in it.
    fn note(&mut self, words: &str) {
        let length: usize = self.trouble.iter().map(|known| known.len() + SEPARATOR.len()).sum();
        if length < STATUS && !self.trouble.iter().any(|known| known == words) {
            self.trouble.push(words.to_owned());
        }
    }

    fn close(&mut self) {
        let (Some(end), Some(due)) = (self.end, self.close_at()) else { return };
        (self.end, self.early) = (None, false);
        for place in 0..self.routes.len() {
            if let Some(words) = self.routes[place].standing.take() {
                self.note(&words);
                self.routes[place].standing = Some(words);
            }
        }
        let trouble = std::mem::take(&mut self.trouble);
        let status = (!trouble.is_empty()).then(|| cut(&trouble.join(SEPARATOR), STATUS).to_owned());
        let empty = |form| UntimedEntry { channel: self.channel.id, end, cells: Cells::default(), status: None, form };
        let mut entries = vec![UntimedEntry { status, ..empty(Form::Feed) }];
        for state in &mut self.routes {
            let Some(cell) = state.sums.take().and_then(|sums| sums.reduce(&state.route)) else { continue };
            let form = state.route.publish.form();
            if form == Form::Field {
                entries.push(empty(form));
            }
            let place = if form == Form::Field { entries.len() - 1 } else { 0 };
            entries[place].cells[state.route.column.index()] = Some(cell);
        }
        for mut entry in entries.into_iter().filter(|entry| !entry.is_empty()) {
            // Each ends a second or more after every entry that this channel had.
            entry.end = self.last_entry.map_or(end, |last| end.max(last + SECOND));
            self.last_entry = Some(entry.end);
            self.last_end = Some(end);
            self.ended.push((due, entry));
        }
    }
}

/// What stands between two troubles in a status text.
const SEPARATOR: &str = "; ";
