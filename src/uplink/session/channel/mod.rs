//! One channel's entries on their way: whose turn it is, pace, in_flight and acknowledgements.
//!
//! Invariants:
//! - what was measured in the last slot goes first; then the backlog of entries that were never sent, in the order of creation;
//!   then what has to be sent again, in the same order. The last two have the time that is left and the budget that was saved;
//! - what has to be sent again holds no place from entries that were never sent; so where the slots leave no time, nothing is
//!   sent again, nor any backlog;
//! - an entry keeps its second unless another row has it.

mod acks;
mod echo;
mod in_flight;
mod rows;

use std::collections::VecDeque;
use std::time::Duration;

use crate::entry::{ChannelId, Column, ColumnSet, Form};
use crate::spool::{self, Next, Rejection, Spool};
use crate::time::{Mono, Utc};
use crate::uplink::Confirm;
use crate::uplink::budget::Budget;
use crate::uplink::pacer::Pacer;

use super::{Action, ChannelSettings, SessionEvent};
use echo::EchoDelay;
use in_flight::{InFlight, InFlightState, Past, is_strange};
use rows::{Rows, remember};

/// Entries of the backlog that may wait for their echo at a time. A slow echo must not hold up the next ones; a broken one
/// must not pile up entries that will all be sent again.
const WINDOW: usize = 4;
/// As many live ones: a minute's echo at one a second, and the longest echo that is waited for at one each 5 s.
const LIVE_WINDOW: usize = 64;
/// Entries to be sent again that are kept in memory. More of them wait in the spool.
const AGAIN: usize = 64;
/// As many where rows that are not known may be in the way: what is learned of each is needed until it is moved. Those of half an
/// hour at one each 4 s.
const AGAIN_UNSURE: usize = 512;
/// Entries that left as received or were given up as unconfirmed, and whose echo may still come.
const REMEMBERED: usize = 64;

/// A channel that is published to.
#[derive(Debug)]
pub(super) struct Channel {
    settings: ChannelSettings,
    pacer: Pacer,
    /// Known once it is known what waits.
    budget: Option<Budget>,
    in_flight: VecDeque<InFlight>,
    /// Out of our hands, still without an echo.
    past: VecDeque<Past>,
    rows: Rows,
    granted: bool,
    echoes: Echoes,
    /// The columns in which entries were seen to come back as they were sent.
    known: ColumnSet,
    /// When the newest entry that came back was sent: echoes come in order, so that what was sent before it and did not come
    /// back was not stored.
    echoed: Option<Mono>,
    echo_delay: EchoDelay,
    /// The number of the last publish.
    published: u64,
    /// Updates of others since our last one.
    yielded: u32,
    /// That others leave us no turn was told.
    crowded: bool,
    /// The greatest entry id seen in the channel.
    last_id: Option<u64>,
    /// Columns that came back empty, each told once.
    missing: [bool; Column::COUNT],
    /// What rows with our seconds contradict since the last echo, and how many did so in the same way.
    contradicted: (ColumnSet, u32),
}

/// Whether entries come back: only then that one does not means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Echoes {
    /// None was seen yet, and none is late.
    Unknown,
    /// One was seen.
    Come,
    /// They are late, and none was seen.
    Missing,
}

/// What has its turn.
enum Turn {
    /// An entry that waits in the spool.
    First(Next, spool::Turn),
    /// The flight at this place.
    Again(usize),
}

impl Channel {
    pub(super) fn new(settings: &ChannelSettings) -> Self {
        Self {
            settings: settings.clone(),
            pacer: Pacer::new(settings.interval),
            budget: None,
            in_flight: VecDeque::new(),
            past: VecDeque::new(),
            rows: Rows::default(),
            granted: false,
            echoes: Echoes::Unknown,
            known: ColumnSet::default(),
            echoed: None,
            echo_delay: EchoDelay::default(),
            published: 0,
            yielded: 0,
            crowded: false,
            last_id: None,
            missing: [false; Column::COUNT],
            contradicted: (ColumnSet::default(), 0),
        }
    }

    pub(super) fn id(&self) -> ChannelId {
        self.settings.id
    }

    pub(super) fn set_granted(&mut self, granted: bool) {
        self.granted = granted;
    }

    /// Goes on with another slot, or another share of the license's year.
    pub(super) fn adopt(&mut self, at: Mono, settings: &ChannelSettings) {
        let ChannelSettings { slot, messages_a_year, .. } = *settings;
        (self.settings.slot, self.settings.messages_a_year) = (slot, messages_a_year);
        if let Some(budget) = &mut self.budget {
            budget.reprice(at, messages_a_year);
        }
    }

    /// Takes up what an earlier run left: what waits, whether entries come back, and that its last update may have arrived just now.
    fn begin(&mut self, at: Mono, spool: &Spool) {
        let id = self.id();
        self.budget = Some(Budget::new(at, self.settings.messages_a_year, spool.waiting(id)));
        if spool.echoes(id) {
            self.echoes = Echoes::Come;
        }
        self.known = self.known.union(spool.columns(id));
        if spool.may_have_just_sent() {
            self.pacer.seen(at);
        }
    }

    /// Sends what has its turn, if the pace allows it. `publish` is the number this publish would have.
    pub(super) fn publish(&mut self, at: Mono, publish: u64, spool: &mut Spool, actions: &mut Vec<Action>) -> bool {
        if self.budget.is_none() {
            self.begin(at, spool);
        }
        while self.pacer.ready_at().is_some_and(|ready| at >= ready) {
            let Some(turn) = self.turn(at, spool) else { return false };
            let place = match turn {
                Turn::Again(place) => {
                    // What may have arrived as a bare value goes out with its time: late, it would get the time of its arrival.
                    self.in_flight[place].entry.form = Form::Feed;
                    place
                }
                Turn::First(Next { since, .. }, turn) => {
                    let Some(mut entry) = spool.take(self.id(), turn, 1).pop() else { return false };
                    let (live, sent) = (matches!(turn, spool::Turn::Live(_)), entry.was_sent);
                    if !live {
                        entry.form = Form::Feed;
                    }
                    let flight = InFlight::new(entry, live, at);
                    // An earlier boot has given it its second, and may have sent it: nobody but itself has that.
                    let perhaps_stored = since == Mono::default();
                    self.in_flight.push_back(InFlight { cut: sent, sends: u32::from(sent), perhaps_stored, ..flight });
                    self.in_flight.len() - 1
                }
            };
            if self.make_room(at, place, spool, actions) {
                self.send(at, place, publish, actions);
                return true;
            }
        }
        false
    }

    /// What has its turn at this time.
    fn turn(&self, at: Mono, spool: &Spool) -> Option<Turn> {
        let live = self.in_flight.iter().filter(|flight| flight.live && !flight.is_again()).count();
        let turn = spool::Turn::Live(at - self.settings.slot);
        if live < LIVE_WINDOW
            && let Some(next) = spool.next(self.id(), turn)
        {
            return Some(Turn::First(next, turn));
        }
        if self.budget.is_some_and(|budget| budget.ready_at(at) > at) {
            return None;
        }
        let awaited = |again| self.in_flight.iter().filter(|flight| !flight.live && flight.is_awaited(again)).count();
        let has_room = self.in_flight.len() < LIVE_WINDOW + 2 * WINDOW + self.most_again(spool);
        // What was refused for its second is as if it was never sent.
        let refused = self.in_flight.iter().enumerate().filter(|(_, flight)| flight.is_refused());
        let refused = refused.map(|(place, flight)| (flight.entry.key, place)).min();
        // One that is not late though it was not offered as live: the bound on those is reached.
        let is_late = |next: &Next| at.since(next.since) > self.settings.slot;
        let may_go = has_room && awaited(false) < WINDOW;
        let backlog = may_go.then(|| spool.next(self.id(), spool::Turn::Backlog).filter(is_late)).flatten();
        match (refused, backlog) {
            (Some((key, place)), backlog) if backlog.is_none_or(|next| key < next.key) => {
                return Some(Turn::Again(place));
            }
            (_, Some(next)) => return Some(Turn::First(next, spool::Turn::Backlog)),
            (_, None) => {}
        }
        if awaited(true) >= WINDOW {
            return None;
        }
        let again = self.in_flight.iter().enumerate().filter(|(_, flight)| flight.is_again());
        let again = again.map(|(place, flight)| (flight.entry.key, place)).min();
        let earlier = has_room.then(|| spool.next(self.id(), spool::Turn::Again)).flatten();
        match (again, earlier) {
            (Some((key, place)), earlier) if earlier.is_none_or(|earlier| key < earlier.key) => {
                Some(Turn::Again(place))
            }
            (_, earlier) => earlier.map(|next| Turn::First(next, spool::Turn::Again)),
        }
    }

    /// Looks whether a row has the entry's second already: it is the entry itself, sent before a restart, or the entry has
    /// to move. Returns whether there is still something to send.
    fn make_room(&mut self, at: Mono, place: usize, spool: &mut Spool, actions: &mut Vec<Action>) -> bool {
        let flight = &self.in_flight[place];
        if flight.entry.form == Form::Field {
            return true;
        }
        let Some(row) = self.rows.at(flight.entry.created_at) else { return true };
        if is_strange(row, &flight.entry, self.known) {
            self.retime(place, true, spool, actions);
        } else if row.same_values(&flight.entry, self.known) {
            let (channel, entry_id) = (self.id(), row.entry_id);
            let flight = self.in_flight.remove(place).expect("it is sent now");
            spool.acknowledge(self.id(), flight.entry.key);
            let (created_at, took) = (flight.entry.created_at, at.since(flight.first_sent));
            actions.push(Action::Report(SessionEvent::Stored { channel, created_at, entry_id, took }));
            return false;
        }
        true
    }

    /// Moves an entry off a second that another row has, `seen` or inferred: the service refuses it without a word.
    fn retime(&mut self, place: usize, seen: bool, spool: &mut Spool, actions: &mut Vec<Action>) {
        let channel = self.id();
        let (rows, in_flight, past) = (&self.rows, &self.in_flight, &self.past);
        let taken = |at: Utc| {
            let sent = in_flight.iter().map(|flight| &flight.entry).chain(past.iter().map(|past| &past.entry));
            rows.have(at) || sent.into_iter().any(|entry| entry.created_at == at)
        };
        let key = self.in_flight[place].entry.key;
        let Some(to) = spool.reject(channel, key, Rejection::SecondTaken(&taken)) else { return };
        let flight = &mut self.in_flight[place];
        let from = std::mem::replace(&mut flight.entry.created_at, to);
        flight.sends_here = 0;
        if flight.sends > 0 {
            flight.former = Some(from);
            flight.stale = flight.state == InFlightState::Sent;
        }
        actions.push(Action::Report(SessionEvent::Retimed { channel, from, to, seen }));
    }

    fn send(&mut self, at: Mono, place: usize, publish: u64, actions: &mut Vec<Action>) {
        let flight = &mut self.in_flight[place];
        flight.state = InFlightState::Sent;
        flight.stale = false;
        flight.sent_at = at;
        flight.publish = publish;
        let again = flight.sends;
        flight.sends += 1;
        flight.sends_here += 1;
        let (entry, live) = (flight.entry.clone(), flight.live && again == 0);
        self.pacer.sent();
        self.published = publish;
        self.yielded = 0;
        if let Some(budget) = &mut self.budget {
            budget.spend(at);
        }
        actions.push(Action::Publish(entry.clone()));
        actions.push(Action::Report(SessionEvent::Sent { entry: Box::new(entry), again, live }));
    }

    /// The connection is gone: what had no acknowledgement must be sent again, and may have arrived until now.
    pub(super) fn connection_ended(&mut self, at: Mono) {
        self.pacer.arrived(at);
        for flight in self.in_flight.iter_mut().filter(|flight| !flight.is_again()) {
            // One that may be stored already is not sent again and again over a link that breaks before its echo is late.
            flight.unechoed += u32::from(flight.cut && flight.late_at().is_some());
            flight.cut |= self.echoed.is_none_or(|echoed| echoed <= flight.sent_at);
            flight.state = InFlightState::Again;
        }
    }

    /// Whether no acknowledgement is open. That of an entry which a lost connection cut off may have come unheard: nobody waits for it.
    pub(super) fn is_settled(&self) -> bool {
        self.in_flight.iter().all(|flight| flight.is_again() || (flight.cut && flight.late_at().is_some()))
    }

    /// How long the echoes take that are waited for.
    pub(super) fn echo_takes(&self) -> Duration {
        if self.waits_for_echo() { self.echo_delay.learned() } else { Duration::ZERO }
    }

    /// Whether an entry could go out now.
    pub(super) fn can_publish(&self, at: Mono, spool: &Spool) -> bool {
        self.pacer.ready_at().is_some_and(|ready| at >= ready) && self.turn(at, spool).is_some()
    }

    /// Whether an entry was sent that the broker is not known to have read.
    pub(super) fn has_unread(&self) -> bool {
        self.in_flight.iter().any(|flight| flight.state == InFlightState::Sent)
    }

    /// When the next echo is late.
    pub(super) fn late_at(&self) -> Option<Mono> {
        self.in_flight.iter().filter_map(InFlight::late_at).min()
    }

    /// When the next entry can go out; none while that depends on the outside.
    pub(super) fn next_publish(&self, at: Mono, spool: &Spool) -> Option<Mono> {
        let paced = self.pacer.ready_at()?.max(at);
        let paid = self.budget.map_or(paced, |budget| budget.ready_at(paced));
        [paced, paid].into_iter().find(|then| self.turn(*then, spool).is_some())
    }

    /// How many entries to be sent again are kept in memory.
    fn most_again(&self, spool: &Spool) -> usize {
        if spool.may_collide(self.id()) { AGAIN_UNSURE } else { AGAIN }
    }

    fn waits_for_echo(&self) -> bool {
        match self.settings.confirm {
            Confirm::Received => false,
            Confirm::Stored => self.granted,
            Confirm::Auto => self.granted && self.echoes != Echoes::Missing,
        }
    }
}
