//! What the broker tells of entries that were sent: read, stored, or nothing.

use std::collections::VecDeque;

use crate::entry::{ColumnSet, Entry, Form};
use crate::spool::{Rejection, Spool};
use crate::thingspeak::feed::FeedMessage;
use crate::thingspeak::update;
use crate::time::{Mono, Now};
use crate::uplink::Confirm;

use super::super::{Action, SessionEvent, Tuning};
use super::in_flight::{InFlight, InFlightState, Past, is_echo};
use super::{Channel, Echoes, REMEMBERED, remember};

/// Updates of others in a row that ours stand back for. Whoever writes at the license's full rate would leave us no turn.
const YIELDS: u32 = 3;
/// Sendings in a row that were read and did not lead to a row, as the rows' numbers prove, until an entry's second is taken for
/// another's: one alone may have been dropped on the way.
const PROOFS: u32 = 2;
/// Rows of our seconds in a row that contradict the same columns: from then on the channel no longer stores those.
const IN_A_ROW: u32 = 8;

impl Channel {
    /// The broker has read every publish up to the number `covered`. Returns whether any of this channel is among them.
    pub(crate) fn received(
        &mut self,
        at: Mono,
        covered: u64,
        tuning: &Tuning,
        spool: &mut Spool,
        actions: &mut Vec<Action>,
    ) -> bool {
        let channel = self.id();
        let mut any = false;
        let within = self.echo_delay.deadline(tuning.echo_within);
        if self.published <= covered {
            self.pacer.arrived(at);
        }
        for flight in &mut self.in_flight {
            if flight.state == InFlightState::Sent && flight.publish <= covered {
                let stale = std::mem::take(&mut flight.stale);
                flight.state = if stale { InFlightState::Again } else { InFlightState::Received { since: at, within } };
                let created_at = flight.entry.created_at;
                any = true;
                actions.push(Action::Report(SessionEvent::Received { channel, created_at }));
            }
        }
        let waits_for_echo = self.waits_for_echo();
        let freed =
            |flight: &InFlight| flight.late_at().is_some() && (!waits_for_echo || flight.entry.form == Form::Field);
        while let Some(place) = self.in_flight.iter().position(freed) {
            let flight = self.in_flight.remove(place).expect("found above");
            spool.acknowledge(self.id(), flight.entry.key);
            self.remember(flight, false);
        }
        any
    }

    /// A row was stored in this channel: our entry, or somebody else's. One that the broker had `retained` was stored before.
    /// Returns whether it is ours.
    pub(crate) fn feed(
        &mut self,
        now: Now,
        row: &FeedMessage,
        retained: bool,
        tuning: &Tuning,
        spool: &mut Spool,
        actions: &mut Vec<Action>,
    ) -> bool {
        self.rows.stored(row);
        let grown = !retained && row.entry_id.zip(self.last_id).is_some_and(|(id, last)| id > last);
        self.unlearn(now.mono, row, spool, actions);
        let ours = self.settle(now.mono, row, spool);
        self.count(row, spool);
        let stranger = ours.is_none();
        if let Some((entry, sent_at, once)) = ours {
            self.echoes = Echoes::Come;
            spool.set_echoes(self.id(), true);
            if entry.form == Form::Feed {
                self.contradicted = (ColumnSet::default(), 0);
                self.known = self.known.union(row.columns_of(&entry));
                spool.set_columns(self.id(), self.known);
            }
            let took = now.mono.since(sent_at);
            // The echo of one that was sent again may answer any of its sendings, and one that was kept took as long as we were away.
            if once && !retained {
                self.echoed = self.echoed.max(Some(sent_at));
                self.echo_delay.seen(took);
            }
            let created_at = row.created_at.filter(|_| entry.form == Form::Feed).unwrap_or(entry.created_at);
            let (channel, entry_id) = (self.id(), row.entry_id);
            actions.push(Action::Report(SessionEvent::Stored { channel, created_at, entry_id, took }));
            self.tell_missing(&entry, row, actions);
            if entry.form == Form::Feed {
                return true;
            }
            // A bare value got its second from the service, which may be that of another entry of ours.
        }
        self.rows.strange(row);
        self.collide(row, tuning, spool, actions);
        let fresh = grown || row.created_at.is_none_or(|written| now.utc.since(written) < self.settings.interval);
        if stranger && fresh {
            self.stand_back(now.mono, actions);
        }
        !stranger
    }

    /// Rows are numbered without a gap. One that skips numbers tells of rows that nobody has shown us: any entry that was sent may
    /// be among them.
    fn count(&mut self, row: &FeedMessage, spool: &Spool) {
        let follows = match (row.entry_id, self.last_id) {
            // The last one may come again when the channel is subscribed to.
            (Some(id), Some(last)) => id == last || last.checked_add(1) == Some(id),
            // Where earlier rows are not known, an entry that did not come back is taken for one that their second belongs to.
            (Some(_), None) => spool.may_collide(self.id()),
            (None, _) => false,
        };
        // A channel that was cleared begins at 1 again.
        self.last_id = row.entry_id.or(self.last_id);
        if !follows {
            self.in_flight.iter_mut().for_each(|flight| flight.perhaps_stored = true);
        }
    }

    /// Finds the entry that came back with this row, and settles it. Returns it with the time of its last sending, and whether
    /// that was the only one.
    fn settle(&mut self, at: Mono, row: &FeedMessage, spool: &mut Spool) -> Option<(Entry, Mono, bool)> {
        if let Some(place) = self.in_flight.iter().position(|flight| flight.is_answered_by(row, self.known)) {
            let flight = self.in_flight.remove(place).expect("found above");
            spool.acknowledge(self.id(), flight.entry.key);
            // Of one that was sent again the first may have come back while the second is on its way.
            if flight.state == InFlightState::Sent && flight.sends == 1 {
                self.pacer.arrived(at);
            }
            // One that was moved has a name of its own since.
            let is_here = flight.entry.form == Form::Field || row.created_at == Some(flight.entry.created_at);
            let once = flight.sends == 1 || (flight.former.is_some() && flight.sends_here == 1 && is_here);
            return Some((flight.entry, flight.sent_at, once));
        }
        let place = self.past.iter().position(|past| is_echo(row, &past.entry, self.known))?;
        let past = self.past.remove(place).expect("found above");
        if let Some(key) = past.unconfirmed {
            spool.acknowledge(self.id(), key);
        }
        Some((past.entry, past.sent_at, past.once))
    }

    /// Another row has the second of an entry of ours that is on its way: the service refuses ours. It gets the next
    /// second that is free, and is sent again without waiting for an echo that cannot come.
    fn collide(&mut self, row: &FeedMessage, tuning: &Tuning, spool: &mut Spool, actions: &mut Vec<Action>) {
        let known = self.known;
        let Some(place) = self.in_flight.iter().position(|flight| flight.collides_with(row, known)) else { return };
        self.retime(place, true, spool, actions);
        let flight = &mut self.in_flight[place];
        flight.unechoed += 1;
        // One that was not read yet is still on its way, and the pace waits for it.
        if flight.late_at().is_some() {
            flight.state = InFlightState::Again;
        }
        if flight.unechoed > tuning.resends {
            // Nobody is that unlucky: perhaps these rows are ours after all.
            self.give_up(place, spool, actions);
        }
    }

    /// A row with an entry's second that has some of its numbers and contradicts what the channel is known to store is another's.
    /// When the same happens again to the entry at its new second, it is ours: the channel no longer stores what it did. So it is
    /// where many entries in a row have the same fate and none comes back.
    fn unlearn(&mut self, at: Mono, row: &FeedMessage, spool: &mut Spool, actions: &mut Vec<Action>) {
        let known = self.known;
        let has_some_of_it = |flight: &&mut InFlight| {
            flight.collides_with(row, known) && row.columns_of(&flight.entry) != ColumnSet::default()
        };
        let Some(flight) = self.in_flight.iter_mut().find(has_some_of_it) else { return };
        let contradicted = row.contradictions(&flight.entry, known);
        let (before, times) = self.contradicted;
        self.contradicted = (contradicted, if before == contradicted { times + 1 } else { 1 });
        if !std::mem::replace(&mut flight.doubted, true) && self.contradicted.1 < IN_A_ROW {
            return;
        }
        self.known = known.without(contradicted);
        spool.set_columns(self.id(), self.known);
        // Others' rows that were taken for another's were theirs.
        let was_stored = |flight: &InFlight| {
            let row = flight.former.filter(|_| flight.is_refused()).and_then(|former| self.rows.at(former));
            row.filter(|row| row.same_values(&flight.entry, self.known)).map(|row| row.entry_id)
        };
        let stored: Vec<_> =
            self.in_flight.iter().filter_map(|flight| Some((flight.entry.key, was_stored(flight)?))).collect();
        for (key, entry_id) in stored {
            let Some(place) = self.in_flight.iter().position(|flight| flight.entry.key == key) else { continue };
            let Some(flight) = self.in_flight.remove(place) else { continue };
            spool.acknowledge(self.id(), key);
            let (created_at, took) = (flight.former.unwrap_or(flight.entry.created_at), at.since(flight.first_sent));
            actions.push(Action::Report(SessionEvent::Stored { channel: self.id(), created_at, entry_id, took }));
        }
    }

    /// Somebody else's update, and a fresh one: it has started the channel's interval for us too.
    fn stand_back(&mut self, at: Mono, actions: &mut Vec<Action>) {
        if self.yielded < YIELDS {
            self.pacer.seen(at);
        } else if self.yielded == YIELDS && !std::mem::replace(&mut self.crowded, true) {
            actions.push(Action::Report(SessionEvent::Crowded(self.id())));
        }
        self.yielded = self.yielded.saturating_add(1);
    }

    fn tell_missing(&mut self, entry: &Entry, row: &FeedMessage, actions: &mut Vec<Action>) {
        for (column, cell) in entry.values() {
            let told = &mut self.missing[column.index()];
            // What the service cannot take was not sent.
            let was_sent = update::number(cell).is_some();
            if was_sent && row.column(column).is_none() && !std::mem::replace(told, true) {
                actions.push(Action::Report(SessionEvent::ColumnMissing { channel: self.settings.id, column }));
            }
        }
    }

    /// Looks for echoes that should have come.
    pub(crate) fn expire(&mut self, at: Mono, tuning: &Tuning, spool: &mut Spool, actions: &mut Vec<Action>) {
        while let Some(place) = self.in_flight.iter().position(|flight| flight.is_spent(tuning.resends_unsure)) {
            self.give_up(place, spool, actions);
        }
        let mut place = 0;
        while let Some(flight) = self.in_flight.get_mut(place) {
            let InFlightState::Received { since, within } = flight.state else {
                place += 1;
                continue;
            };
            if at < since + within {
                place += 1;
                continue;
            }
            flight.unechoed += 1;
            let InFlight { unechoed, cut, perhaps_stored, first_sent, sent_at: flight_sent, .. } = *flight;
            if !cut {
                self.echo_delay.missed(within);
            }
            let may_collide = spool.may_collide(self.id());
            let limit = if cut { tuning.resends_unsure } else { tuning.resends + 1 };
            if may_collide
                && !cut
                && !perhaps_stored
                && (PROOFS..limit).contains(&unechoed)
                && self.may_move(flight_sent)
            {
                self.in_flight[place].is_probe = true;
                self.retime(place, false, spool, actions);
                self.in_flight[place].state = InFlightState::Again;
                place += 1;
                continue;
            }
            if self.echoes == Echoes::Unknown && self.settings.confirm == Confirm::Auto {
                // Where rows of an earlier run may be in the way, the service may have refused it, and those behind it.
                let patience = if may_collide { tuning.resends_unsure + 1 } else { 1 };
                if unechoed < patience {
                    self.in_flight[place].state = InFlightState::Again;
                    place += 1;
                    continue;
                }
                // That none came so far says that the service tells nothing: what it has read counts from now on.
                self.echoes = Echoes::Missing;
            }
            if !self.waits_for_echo() {
                let flight = self.in_flight.remove(place).expect("just looked at");
                spool.acknowledge(self.id(), flight.entry.key);
                self.remember(flight, false);
                continue;
            }
            if unechoed < limit {
                self.in_flight[place].state = InFlightState::Again;
                place += 1;
                continue;
            }
            let ended = self.echoed.is_none_or(|echoed| echoed <= first_sent);
            self.give_up(place, spool, actions);
            if ended {
                self.end_echoes(spool, actions);
                place = 0;
            }
        }
        self.bound(spool, actions);
    }

    /// Whether an entry that was sent then and did not come back can be moved off a second that an unknown row seems to have: one
    /// that was sent later came back, or none is tried in this way yet.
    fn may_move(&self, sent: Mono) -> bool {
        self.echoed.is_some_and(|echoed| echoed > sent) || !self.in_flight.iter().any(|flight| flight.is_probe)
    }

    /// Perhaps the service tells nothing any more. Until the next echo its absence means nothing (to `auto`): the entries that
    /// follow must not all be sent again and again, slower than they are made. What the broker has read is free then. A person has
    /// to know.
    fn end_echoes(&mut self, spool: &mut Spool, actions: &mut Vec<Action>) {
        let came = std::mem::replace(&mut self.echoes, Echoes::Missing) == Echoes::Come;
        spool.set_echoes(self.id(), false);
        if self.settings.confirm != Confirm::Auto {
            return;
        }
        if came {
            actions.push(Action::Report(SessionEvent::EchoesEnded(self.id())));
        }
        // Where unknown rows may be in the way, what was read may have been refused: it is sent again.
        let may_collide = spool.may_collide(self.id());
        let was_read = |flight: &InFlight| {
            !may_collide && flight.is_again() && flight.unechoed > 0 && !flight.cut && !flight.is_refused()
        };
        while let Some(place) = self.in_flight.iter().position(was_read) {
            let flight = self.in_flight.remove(place).expect("found above");
            spool.acknowledge(self.id(), flight.entry.key);
            self.remember(flight, false);
        }
    }

    /// Keeps what has to be sent again within its bound: where that is exceeded and no echo came for so long, none will come, and
    /// where some do, the newest wait in the spool.
    fn bound(&mut self, spool: &mut Spool, actions: &mut Vec<Action>) {
        let again = |in_flight: &VecDeque<InFlight>| in_flight.iter().filter(|flight| flight.is_again()).count();
        let most = self.most_again(spool);
        if again(&self.in_flight) <= most {
            return;
        }
        let since = self.in_flight.iter().filter(|flight| flight.is_again()).map(|flight| flight.first_sent).min();
        if self.echoed.is_none_or(|echoed| since.is_some_and(|since| echoed < since)) && self.granted {
            self.end_echoes(spool, actions);
        }
        while again(&self.in_flight) > most {
            let newest = self.in_flight.iter().enumerate().filter(|(_, flight)| flight.is_again());
            let Some((place, _)) = newest.max_by_key(|(_, flight)| flight.entry.key) else { return };
            let flight = self.in_flight.remove(place).expect("found above");
            spool.release(self.id(), flight.entry.key);
        }
    }

    /// Sets an entry aside. Its echo may come yet.
    fn give_up(&mut self, place: usize, spool: &mut Spool, actions: &mut Vec<Action>) {
        let Some(flight) = self.in_flight.remove(place) else { return };
        let (channel, created_at) = (self.id(), flight.entry.created_at);
        spool.reject(channel, flight.entry.key, Rejection::Unconfirmed);
        actions.push(Action::Report(SessionEvent::Unconfirmed { channel, created_at }));
        self.remember(flight, true);
    }

    fn remember(&mut self, flight: InFlight, unconfirmed: bool) {
        if !self.granted {
            return;
        }
        let InFlight { entry, sent_at, sends, .. } = flight;
        let unconfirmed = unconfirmed.then_some(entry.key);
        remember(&mut self.past, REMEMBERED, Past { entry, sent_at, once: sends == 1, unconfirmed });
    }
}
