//! What became of a channel's entries, in numbers.

use super::Notice;

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
    /// Entries that were set aside. One whose echo came later counts as stored, too.
    pub doubtful: u64,
}

impl Tally {
    /// Counts what a notice tells. The session itself keeps no numbers: who watches it does.
    pub fn count(&mut self, notice: &Notice) {
        match notice {
            Notice::Sent { again, .. } => {
                self.sent += 1;
                self.resent += u64::from(*again > 0);
            }
            Notice::Received { .. } => self.received += 1,
            Notice::Stored { .. } => self.stored += 1,
            Notice::Retimed { .. } => self.retimed += 1,
            Notice::Doubtful { .. } => self.doubtful += 1,
            Notice::Up { .. }
            | Notice::Down { .. }
            | Notice::StillDown { .. }
            | Notice::Renewed { .. }
            | Notice::NotSubscribed { .. }
            | Notice::Subscribed(_)
            | Notice::PublishSuspected { .. }
            | Notice::PublishAccepted(_)
            | Notice::ColumnMissing { .. }
            | Notice::Crowded(_)
            | Notice::EchoesEnded(_) => {}
        }
    }
}
