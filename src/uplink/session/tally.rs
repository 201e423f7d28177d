//! What became of a channel's entries, in numbers.

use super::SessionEvent;

/// Counts since the start of the daemon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Updates that were handed to the network, those that were sent again included.
    pub sent: u64,
    /// Of them, entries that were sent again.
    pub resent: u64,
    /// Updates that the broker has read.
    pub received: u64,
    /// Entries that the service has stored, as their echoes say.
    pub stored: u64,
    /// Entries that got another second, since somebody else's row had theirs.
    pub retimed: u64,
    /// Entries that were given up as unconfirmed. One whose echo came later counts as stored, too.
    pub unconfirmed: u64,
}

impl Tally {
    /// Counts what a notice tells. The session itself keeps no numbers: who watches it does.
    pub fn count(&mut self, notice: &SessionEvent) {
        match notice {
            SessionEvent::Sent { again, .. } => {
                self.sent += 1;
                self.resent += u64::from(*again > 0);
            }
            SessionEvent::Received { .. } => self.received += 1,
            SessionEvent::Stored { .. } => self.stored += 1,
            SessionEvent::Retimed { .. } => self.retimed += 1,
            SessionEvent::Unconfirmed { .. } => self.unconfirmed += 1,
            SessionEvent::Up { .. }
            | SessionEvent::Down { .. }
            | SessionEvent::StillDown { .. }
            | SessionEvent::Renewed { .. }
            | SessionEvent::NotSubscribed { .. }
            | SessionEvent::Subscribed(_)
            | SessionEvent::PublishSuspected { .. }
            | SessionEvent::PublishAccepted(_)
            | SessionEvent::ColumnMissing { .. }
            | SessionEvent::Crowded(_)
            | SessionEvent::EchoesEnded(_) => {}
        }
    }
}
