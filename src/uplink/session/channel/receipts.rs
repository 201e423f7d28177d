//! What the broker tells of entries that were sent: read, stored, or nothing.

use crate::entry::{Entry, Form};
use crate::spool::Spool;
use crate::thingspeak::feed::FeedMessage;
use crate::time::{Mono, Now};
use crate::uplink::Confirm;

use super::super::{Action, Notice, Tuning};
use super::flight::{Flight, FlightState, Past, is_echo};
use super::{Channel, REMEMBERED, remember};

/// Updates of others in a row that ours stand back for. Whoever writes at the license's full rate would leave us no turn.
const YIELDS: u32 = 3;
/// While others come back, an entry that does not was lost, three of ten perhaps: it is sent so many times as often as where
/// no echoes come. Half as often where a connection ended in between, since it may be stored already: seven sendings of which
/// each is lost by three in ten leave one of 4,600 such entries without a row, and that is listed as doubtful.
const PATIENCE: u32 = 4;

impl Channel {
    /// The broker has read every publish up to the number `covered`.
    pub(crate) fn received(
        &mut self,
        at: Mono,
        covered: u64,
        tuning: &Tuning,
        spool: &mut dyn Spool,
        actions: &mut Vec<Action>,
    ) {
        let channel = self.id();
        let within = self.echo_delay.deadline(tuning.echo_within);
        if self.published <= covered {
            self.pacer.arrived(at);
        }
        for flight in &mut self.flights {
            if flight.state == FlightState::Sent && flight.publish <= covered {
                let stale = std::mem::take(&mut flight.stale);
                flight.state = if stale { FlightState::Again } else { FlightState::Received { since: at, within } };
                let created_at = flight.entry.created_at;
                actions.push(Action::Notice(Notice::Received { channel, created_at }));
            }
        }
        let waits_for_echo = self.waits_for_echo();
        let freed =
            |flight: &Flight| flight.late_at().is_some() && (!waits_for_echo || flight.entry.form == Form::Field);
        while let Some(place) = self.flights.iter().position(freed) {
            let flight = self.flights.remove(place).expect("found above");
            spool.confirm(flight.key);
            self.remember(flight, false);
        }
    }

    /// A row was stored in this channel: our entry, or somebody else's.
    pub(crate) fn feed(
        &mut self,
        now: Now,
        row: &FeedMessage,
        tuning: &Tuning,
        spool: &mut dyn Spool,
        actions: &mut Vec<Action>,
    ) {
        self.rows.stored(row);
        let grown = row.entry_id.zip(self.last_id).is_some_and(|(id, last)| id > last);
        self.last_id = self.last_id.max(row.entry_id);
        let ours = self.settle(now.mono, row, spool);
        let stranger = ours.is_none();
        if let Some((entry, sent_at, once)) = ours {
            self.echoes = true;
            spool.set_echoes(self.id(), true);
            let took = now.mono.since(sent_at);
            // The echo of one that was sent again may answer any of its sendings.
            if once {
                self.echoed = self.echoed.max(Some(sent_at));
                self.echo_delay.seen(took);
            }
            let created_at = row.created_at.filter(|_| entry.form == Form::Feed).unwrap_or(entry.created_at);
            let (channel, entry_id) = (self.id(), row.entry_id);
            actions.push(Action::Notice(Notice::Stored { channel, created_at, entry_id, took }));
            self.tell_missing(&entry, row, actions);
            if entry.form == Form::Feed {
                return;
            }
            // A bare value got its second from the service, which may be that of another entry of ours.
        }
        self.rows.strange(row);
        self.collide(row, tuning, spool, actions);
        let fresh = grown || row.created_at.is_none_or(|written| now.utc.since(written) < self.settings.interval);
        if stranger && fresh {
            self.stand_back(now.mono, actions);
        }
    }

    /// Finds the entry that came back with this row, and settles it. Returns it with the time of its last sending, and whether
    /// that was the only one.
    fn settle(&mut self, at: Mono, row: &FeedMessage, spool: &mut dyn Spool) -> Option<(Entry, Mono, bool)> {
        if let Some(place) = self.flights.iter().position(|flight| flight.is_answered_by(row)) {
            let flight = self.flights.remove(place).expect("found above");
            spool.confirm(flight.key);
            // Of one that was sent again the first may have come back while the second is on its way.
            if flight.state == FlightState::Sent && flight.sends == 1 {
                self.pacer.arrived(at);
            }
            return Some((flight.entry, flight.sent_at, flight.sends == 1));
        }
        let place = self.past.iter().position(|past| is_echo(row, &past.entry))?;
        let past = self.past.remove(place).expect("found above");
        if let Some(key) = past.doubtful {
            spool.confirm(key);
        }
        Some((past.entry, past.sent_at, past.once))
    }

    /// Another row has the second of an entry of ours that is on its way: the service refuses ours. It gets the next
    /// second that is free, and is sent again without waiting for an echo that cannot come.
    fn collide(&mut self, row: &FeedMessage, tuning: &Tuning, spool: &mut dyn Spool, actions: &mut Vec<Action>) {
        let Some(place) = self.flights.iter().position(|flight| flight.collides_with(row)) else { return };
        self.restamp(place, spool, actions);
        let flight = &mut self.flights[place];
        flight.unechoed += 1;
        // One that was not read yet is still on its way, and the pace waits for it.
        if flight.late_at().is_some() {
            flight.state = FlightState::Again;
        }
        if flight.unechoed > tuning.resends {
            // Nobody is that unlucky: perhaps these rows are ours after all.
            self.give_up(place, spool, actions);
        }
    }

    /// Somebody else's update, and a fresh one: it has started the channel's interval for us too.
    fn stand_back(&mut self, at: Mono, actions: &mut Vec<Action>) {
        if self.yielded < YIELDS {
            self.pacer.seen(at);
        } else if self.yielded == YIELDS && !std::mem::replace(&mut self.crowded, true) {
            actions.push(Action::Notice(Notice::Crowded(self.id())));
        }
        self.yielded = self.yielded.saturating_add(1);
    }

    fn tell_missing(&mut self, entry: &Entry, row: &FeedMessage, actions: &mut Vec<Action>) {
        for (column, _) in entry.values() {
            let told = &mut self.missing[column.index()];
            if row.column(column).is_none() && !std::mem::replace(told, true) {
                actions.push(Action::Notice(Notice::ColumnMissing { channel: self.settings.id, column }));
            }
        }
    }

    /// Looks for echoes that should have come.
    pub(crate) fn expire(&mut self, at: Mono, tuning: &Tuning, spool: &mut dyn Spool, actions: &mut Vec<Action>) {
        let mut place = 0;
        while let Some(flight) = self.flights.get_mut(place) {
            let FlightState::Received { since, within } = flight.state else {
                place += 1;
                continue;
            };
            if at < since + within {
                place += 1;
                continue;
            }
            flight.unechoed += 1;
            if !flight.cut {
                self.echo_delay.missed(within);
            }
            let others_came = self.echoed.is_some_and(|echoed| echoed > flight.first_sent);
            let patience = match (others_came, flight.cut) {
                (true, false) => PATIENCE,
                (true, true) => PATIENCE / 2,
                (false, _) => 1,
            };
            if flight.unechoed <= tuning.resends * patience {
                flight.state = FlightState::Again;
                place += 1;
                continue;
            }
            if !others_came {
                // Perhaps the service tells nothing any more. Until the next echo its absence means nothing (to `auto`): the
                // entries that follow must not all be sent four times, slower than they are made. A person has to know.
                if std::mem::take(&mut self.echoes) && self.settings.confirm == Confirm::Auto {
                    actions.push(Action::Notice(Notice::EchoesEnded(self.id())));
                }
                spool.set_echoes(self.id(), false);
            }
            self.give_up(place, spool, actions);
        }
    }

    /// Sets an entry aside. Its echo may come yet.
    fn give_up(&mut self, place: usize, spool: &mut dyn Spool, actions: &mut Vec<Action>) {
        let Some(flight) = self.flights.remove(place) else { return };
        spool.set_aside(flight.key);
        let (channel, created_at) = (self.id(), flight.entry.created_at);
        actions.push(Action::Notice(Notice::Doubtful { channel, created_at }));
        self.remember(flight, true);
    }

    fn remember(&mut self, flight: Flight, doubtful: bool) {
        if !self.granted {
            return;
        }
        let Flight { key, entry, sent_at, sends, .. } = flight;
        let doubtful = doubtful.then_some(key);
        remember(&mut self.past, REMEMBERED, Past { entry, sent_at, once: sends == 1, doubtful });
    }
}
