//! A field update becomes a checked command.
//!
//! Rubbish is refused here, with words that say what came; whether a good command may act now (age, interlock,
//! min-off) is decided by `output::rules`.

use crate::output::Drive;
use crate::time::Utc;

/// A command that was understood.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Command {
    /// What the output is to be.
    pub drive: Drive,
    /// When it was written to the channel; unknown on a field feed.
    pub written: Option<Utc>,
    /// The entry it came with; unknown on a field feed.
    pub entry_id: Option<u64>,
}
