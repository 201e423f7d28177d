//! One channel's entries on their way: pace, flights and receipts.

use std::collections::VecDeque;
use std::time::Duration;

use crate::entry::{ChannelId, Column, Entry, Form};
use crate::spool::{Key, Spool, Waiting};
use crate::thingspeak::feed::FeedMessage;
use crate::time::{Mono, Now, Utc};
use crate::uplink::Confirm;
use crate::uplink::pacer::Pacer;

use super::{Action, ChannelSettings, Notice, Tuning};

/// Entries that may wait for their echo at a time. A slow echo must not hold up the next slots; a broken one must not
/// pile up entries that will all be sent again.
const WINDOW: usize = 4;
/// Entries that left as received and whose echo may still tell their entry id.
const REMEMBERED: usize = 8;
/// Rows whose times are remembered: those of two others who write as fast as a paid license allows, for as long as an
/// entry waits between its slot's end and its sending.
const TAKEN: usize = 64;
/// Times have a resolution of one second.
const SECOND: Duration = Duration::from_secs(1);
/// Updates of others in a row that ours stand back for. Whoever writes at the license's full rate would leave us no turn.
const YIELDS: u32 = 3;
/// The longest an echo is waited for, however slow earlier ones were.
const ECHO_CAP: Duration = Duration::from_secs(300);

/// A channel that is published to.
#[derive(Debug)]
pub(super) struct Channel {
    settings: ChannelSettings,
    pacer: Pacer,
    flights: VecDeque<Flight>,
    /// Sent and freed as received, still without an echo.
    freed: VecDeque<(Entry, Mono)>,
    /// Times of the channel's newest rows. The service refuses a second row of the same time.
    taken: VecDeque<Utc>,
    /// The latest time that was sent.
    latest: Option<Utc>,
    granted: bool,
    /// Whether an echo was ever seen: only then its absence means something.
    echoes: bool,
    slowest_echo: Duration,
    /// Updates of others since our last one.
    yielded: u32,
    /// The greatest entry id seen in the channel.
    last_id: Option<u64>,
    /// Columns that came back empty, each told once.
    missing: [bool; Column::COUNT],
}

/// An entry that was sent and has no receipt yet.
#[derive(Debug)]
struct Flight {
    key: Key,
    entry: Entry,
    sent_at: Mono,
    /// The number of its last publish, to know which ping covers it.
    publish: u64,
    sends: u32,
    /// Times that it was read by the broker and no echo came. A send that a lost connection cut off proves nothing.
    unechoed: u32,
    state: FlightState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FlightState {
    /// Sent, not known to have arrived.
    Sent,
    /// Read by the broker; its echo is awaited.
    Received(Mono),
    /// To be sent again.
    Again,
}

impl Channel {
    pub(super) fn new(settings: &ChannelSettings) -> Self {
        Self {
            settings: settings.clone(),
            pacer: Pacer::new(settings.interval),
            flights: VecDeque::new(),
            freed: VecDeque::new(),
            taken: VecDeque::new(),
            latest: None,
            granted: false,
            echoes: false,
            slowest_echo: Duration::ZERO,
            yielded: 0,
            last_id: None,
            missing: [false; Column::COUNT],
        }
    }

    pub(super) fn id(&self) -> ChannelId {
        self.settings.id
    }

    pub(super) fn set_granted(&mut self, granted: bool) {
        self.granted = granted;
    }

    /// Sends the next entry if the pace allows it. `publish` is the number this publish would have.
    pub(super) fn publish(&mut self, at: Mono, publish: u64, spool: &mut dyn Spool, actions: &mut Vec<Action>) -> bool {
        if self.pacer.ready_at().is_none_or(|ready| at < ready) {
            return false;
        }
        let again = self.flights.iter().position(|flight| flight.state == FlightState::Again);
        let place = if let Some(place) = again {
            // What may have arrived as a bare value goes out with its time: late, it would get the time of its arrival.
            self.flights[place].entry.form = Form::Feed;
            place
        } else if self.flights.len() < WINDOW
            && let Some(Waiting { key, mut entry, since }) = spool.oldest(self.id())
        {
            spool.take(key);
            if at.since(since) > self.settings.slot {
                entry.form = Form::Feed;
            }
            let (publish, sends, unechoed, state) = (publish, 0, 0, FlightState::Again);
            self.flights.push_back(Flight { key, entry, sent_at: at, publish, sends, unechoed, state });
            self.flights.len() - 1
        } else {
            return false;
        };
        self.restamp(place);
        let flight = &mut self.flights[place];
        flight.state = FlightState::Sent;
        flight.sent_at = at;
        flight.publish = publish;
        flight.sends += 1;
        let (entry, again) = (flight.entry.clone(), flight.sends - 1);
        self.pacer.sent();
        self.yielded = 0;
        actions.push(Action::Publish(entry.clone()));
        actions.push(Action::Notice(Notice::Sent { entry: Box::new(entry), again }));
        true
    }

    /// Moves an entry off a second that another row has taken: the service would refuse it without a word. That it was sent
    /// before changes nothing, since it was refused then. Times still grow.
    fn restamp(&mut self, place: usize) {
        let flight = &self.flights[place];
        if flight.entry.form == Form::Field {
            return;
        }
        let mut at = flight.entry.created_at;
        if flight.sends == 0 {
            at = self.latest.map_or(at, |latest| at.max(latest + SECOND));
        }
        let others =
            |at| self.flights.iter().enumerate().any(|(other, it)| other != place && it.entry.created_at == at);
        while self.taken.contains(&at) || others(at) {
            at = at + SECOND;
        }
        self.latest = self.latest.max(Some(at));
        self.flights[place].entry.created_at = at;
    }

    /// The broker has read every publish up to the number `covered`.
    pub(super) fn received(&mut self, at: Mono, covered: u64, spool: &mut dyn Spool, actions: &mut Vec<Action>) {
        let id = self.id();
        let mut arrived = false;
        for flight in &mut self.flights {
            if flight.state == FlightState::Sent && flight.publish <= covered {
                flight.state = FlightState::Received(at);
                arrived = true;
                let created_at = flight.entry.created_at;
                actions.push(Action::Notice(Notice::Received { channel: id, created_at }));
            }
        }
        if arrived {
            self.pacer.arrived(at);
        }
        let waits_for_echo = self.waits_for_echo();
        let freed = |flight: &Flight| {
            matches!(flight.state, FlightState::Received(_)) && (!waits_for_echo || flight.entry.form == Form::Field)
        };
        while let Some(place) = self.flights.iter().position(freed) {
            let flight = self.flights.remove(place).expect("found above");
            spool.confirm(flight.key);
            if self.freed.len() == REMEMBERED {
                self.freed.pop_front();
            }
            self.freed.push_back((flight.entry, flight.sent_at));
        }
    }

    /// An entry was stored in this channel: ours, or somebody else's.
    pub(super) fn feed(&mut self, now: Now, message: &FeedMessage, spool: &mut dyn Spool, actions: &mut Vec<Action>) {
        if let Some(at) = message.created_at {
            if self.taken.len() == TAKEN {
                self.taken.pop_front();
            }
            self.taken.push_back(at);
        }
        let grown = message.entry_id.zip(self.last_id).is_some_and(|(id, last)| id > last);
        self.last_id = self.last_id.max(message.entry_id);
        let echo = if let Some(place) = self.flights.iter().position(|flight| is_echo(message, &flight.entry)) {
            let flight = self.flights.remove(place).expect("found above");
            spool.confirm(flight.key);
            if flight.state == FlightState::Sent {
                self.pacer.arrived(now.mono);
            }
            Some((flight.entry, flight.sent_at))
        } else {
            let place = self.freed.iter().position(|(entry, _)| is_echo(message, entry));
            place.and_then(|place| self.freed.remove(place))
        };
        if let Some((entry, sent_at)) = echo {
            self.echoes = true;
            let took = now.mono.since(sent_at);
            self.slowest_echo = self.slowest_echo.max(took);
            actions.push(Action::Notice(Notice::Stored {
                channel: self.id(),
                created_at: entry.created_at,
                entry_id: message.entry_id,
                took,
            }));
            self.tell_missing(&entry, message, actions);
        } else if grown || message.created_at.is_none_or(|written| now.utc.since(written) < self.settings.interval) {
            self.stand_back(now.mono, actions);
        }
    }

    /// Somebody else's update, and a fresh one: it has started the channel's interval for us too.
    fn stand_back(&mut self, at: Mono, actions: &mut Vec<Action>) {
        if self.yielded < YIELDS {
            self.pacer.seen(at);
        } else if self.yielded == YIELDS {
            actions.push(Action::Notice(Notice::Crowded(self.id())));
        }
        self.yielded = self.yielded.saturating_add(1);
    }

    fn tell_missing(&mut self, entry: &Entry, message: &FeedMessage, actions: &mut Vec<Action>) {
        for (column, _) in entry.values() {
            let told = &mut self.missing[column.index()];
            if message.column(column).is_none() && !std::mem::replace(told, true) {
                actions.push(Action::Notice(Notice::ColumnMissing { channel: self.settings.id, column }));
            }
        }
    }

    /// Looks for echoes that should have come.
    pub(super) fn expire(&mut self, at: Mono, tuning: &Tuning, spool: &mut dyn Spool, actions: &mut Vec<Action>) {
        let within = self.echo_within(tuning);
        let id = self.id();
        let waiting = self.flights.len();
        self.flights.retain_mut(|flight| {
            let late = matches!(flight.state, FlightState::Received(since) if at >= since + within);
            if !late {
                return true;
            }
            flight.unechoed += 1;
            if flight.unechoed > tuning.resends {
                spool.set_aside(flight.key);
                let created_at = flight.entry.created_at;
                actions.push(Action::Notice(Notice::Doubtful { channel: id, created_at }));
                return false;
            }
            flight.state = FlightState::Again;
            true
        });
        if self.flights.len() < waiting {
            // Perhaps the service tells nothing any more. Until the next echo its absence means nothing (to `auto`): the
            // entries that follow must not all be sent four times, slower than they are made.
            self.echoes = false;
        }
    }

    /// The connection is gone: what had no receipt must be sent again, and may have arrived until now.
    pub(super) fn connection_ended(&mut self, at: Mono) {
        self.pacer.arrived(at);
        for flight in &mut self.flights {
            flight.state = FlightState::Again;
        }
    }

    /// Whether no receipt is open.
    pub(super) fn is_settled(&self) -> bool {
        self.flights.iter().all(|flight| flight.state == FlightState::Again)
    }

    /// Whether an entry could go out now.
    pub(super) fn can_publish(&self, at: Mono, spool: &dyn Spool) -> bool {
        self.pacer.ready_at().is_some_and(|ready| at >= ready) && self.has_next(spool)
    }

    pub(super) fn deadline(&self, tuning: &Tuning, spool: &dyn Spool, renewing: bool) -> Option<Mono> {
        let next = if renewing || !self.has_next(spool) { None } else { self.pacer.ready_at() };
        let within = self.echo_within(tuning);
        let echoes = self.flights.iter().filter_map(|flight| match flight.state {
            FlightState::Received(since) => Some(since + within),
            FlightState::Sent | FlightState::Again => None,
        });
        echoes.chain(next).min()
    }

    fn has_next(&self, spool: &dyn Spool) -> bool {
        let again = self.flights.iter().any(|flight| flight.state == FlightState::Again);
        again || (self.flights.len() < WINDOW && spool.oldest(self.id()).is_some())
    }

    fn waits_for_echo(&self) -> bool {
        match self.settings.confirm {
            Confirm::Received => false,
            Confirm::Stored => self.granted,
            Confirm::Auto => self.granted && self.echoes,
        }
    }

    fn echo_within(&self, tuning: &Tuning) -> Duration {
        tuning.echo_within.max((self.slowest_echo * 3).min(ECHO_CAP))
    }
}

/// Whether a feed message is our entry come back. A bare value has no time of ours, so that its number must do.
fn is_echo(message: &FeedMessage, entry: &Entry) -> bool {
    let same_time = entry.form == Form::Field || message.created_at == Some(entry.created_at);
    same_time && message.same_values(entry)
}
