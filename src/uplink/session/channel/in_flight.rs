//! An entry on its way.

use std::time::Duration;

use crate::entry::{Column, ColumnSet, Entry, Form};
use crate::spool::Key;
use crate::thingspeak::feed::FeedMessage;
use crate::time::{Mono, Utc};

/// An entry that was sent and has no acknowledgement yet.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is one independent fact about what became of it")]
pub(super) struct InFlight {
    pub(super) entry: Entry,
    /// It was sent first within the slot after its own.
    pub(super) live: bool,
    pub(super) first_sent: Mono,
    pub(super) sent_at: Mono,
    /// The number of its last publish, to know which ping covers it.
    pub(super) publish: u64,
    /// How often it was sent; those of an earlier run count as one.
    pub(super) sends: u32,
    /// How often it was sent with its present second.
    pub(super) sends_here: u32,
    /// Times that it was read by the broker and no echo came, or that its second was another's. A send that a lost connection
    /// cut off proves nothing.
    pub(super) unechoed: u32,
    /// A connection ended while its acknowledgement was open, or an earlier run has sent it: it may be stored though no echo will ever
    /// come.
    pub(super) cut: bool,
    /// A row was stored since it was first sent that nobody has shown us: that may have been this entry.
    pub(super) perhaps_stored: bool,
    /// A row with its second was another's, and yet had something of it.
    pub(super) doubted: bool,
    /// It was moved without a row that was seen in its way: its echo tells whether such rows are in the way of others.
    pub(super) is_probe: bool,
    /// The second it had before its present one.
    pub(super) former: Option<Utc>,
    /// What is on its way still has that former second: it was refused, whatever the broker says to have read.
    pub(super) stale: bool,
    pub(super) state: InFlightState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InFlightState {
    /// Sent, not known to have arrived.
    Sent,
    /// Read by the broker; its echo is awaited for so long.
    Received { since: Mono, within: Duration },
    /// To be sent again.
    Again,
}

impl InFlight {
    /// One that is about to be sent.
    pub(super) fn new(entry: Entry, live: bool, at: Mono) -> Self {
        Self {
            entry,
            live,
            first_sent: at,
            sent_at: at,
            publish: 0,
            sends: 0,
            sends_here: 0,
            unechoed: 0,
            cut: false,
            perhaps_stored: false,
            doubted: false,
            is_probe: false,
            former: None,
            stale: false,
            state: InFlightState::Again,
        }
    }

    /// Whether a row is this entry, stored; under its former second too, where it was sent with that.
    pub(super) fn is_answered_by(&self, row: &FeedMessage, known: ColumnSet) -> bool {
        let is_former = self.former.is_some() && row.created_at == self.former;
        is_echo(row, &self.entry, known) || (is_former && row.same_values(&self.entry, known))
    }

    /// Whether a row has its second that is not this entry.
    pub(super) fn collides_with(&self, row: &FeedMessage, known: ColumnSet) -> bool {
        self.entry.form == Form::Feed
            && row.created_at == Some(self.entry.created_at)
            && is_strange(row, &self.entry, known)
    }

    /// Whether it was cut off and sent again so often that it has to be given up as unconfirmed.
    pub(super) fn is_spent(&self, resends: u32) -> bool {
        self.is_again() && self.cut && self.unechoed >= resends
    }

    /// Whether the service has not got it: what was sent was refused for its second.
    pub(super) fn is_refused(&self) -> bool {
        self.is_again() && self.sends_here == 0
    }

    pub(super) fn is_again(&self) -> bool {
        self.state == InFlightState::Again
    }

    /// Whether it is awaited as one that was sent for the first time, or as one that was sent again.
    pub(super) fn is_awaited(&self, again: bool) -> bool {
        !self.is_again() && (self.sends > 1) == again
    }

    /// When its echo is late; none while it is not waited for.
    pub(super) fn late_at(&self) -> Option<Mono> {
        match self.state {
            InFlightState::Received { since, within } => Some(since + within),
            InFlightState::Sent | InFlightState::Again => None,
        }
    }
}

/// An entry that is out of our hands, and whose echo may still tell something.
#[derive(Debug)]
pub(super) struct Past {
    pub(super) entry: Entry,
    pub(super) sent_at: Mono,
    /// It was sent once, so that the echo tells how long echoes take.
    pub(super) once: bool,
    /// It was given up as unconfirmed: the echo settles it.
    pub(super) unconfirmed: Option<Key>,
}

/// Whether a row is another's, though it has the entry's second: nothing in it is the entry's, or it lacks what the channel is
/// known to store, or it has more. What has a number of ours and leaves doubt may be ours, stored in a way that we do not
/// understand: to take it for another's would make a second row of it.
///
/// A row without anything tells nothing of whose it is: of ours every field may be disabled in the channel.
pub(super) fn is_strange(row: &FeedMessage, entry: &Entry, known: ColumnSet) -> bool {
    if row.same_values(entry, known) {
        return false;
    }
    let is_empty = row.status.is_none() && (0..Column::COUNT).all(|index| row.column(Column::at(index)).is_none());
    let contradicts = row.contradictions(entry, known) != ColumnSet::default();
    contradicts || (!is_empty && row.columns_of(entry) == ColumnSet::default())
}

/// Whether a row is this entry. A bare value has no time of ours, so that its number must do.
pub(super) fn is_echo(row: &FeedMessage, entry: &Entry, known: ColumnSet) -> bool {
    let same_time = entry.form == Form::Field || row.created_at == Some(entry.created_at);
    same_time && row.same_values(entry, known)
}
