//! The simulated machine's time.

use std::sync::Arc;

use super::folder::Folder;
use crate::hal::{Clock, ClockState, SystemClock};
use crate::time::{BootId, Now};

/// This machine's clocks, taken for right: what is simulated is the hardware, and nobody who tries a map on a laptop or in
/// a container wants to wait for a time server.
#[derive(Clone, Copy, Debug)]
pub(super) struct TrustedClock;

impl Clock for TrustedClock {
    fn now(&self) -> Now {
        SystemClock.now()
    }

    fn state(&self) -> ClockState {
        ClockState::Synchronised
    }

    fn boot(&self) -> BootId {
        SystemClock.boot()
    }
}

/// A clock whose word on itself a person can overrule by a file.
pub(super) struct SimClock {
    clock: Arc<dyn Clock>,
    folder: Arc<Folder>,
}

impl SimClock {
    pub(super) fn new(clock: Arc<dyn Clock>, folder: Arc<Folder>) -> Self {
        Self { clock, folder }
    }
}

impl Clock for SimClock {
    fn now(&self) -> Now {
        self.clock.now()
    }

    fn state(&self) -> ClockState {
        self.folder.read_clock().unwrap_or_else(|| self.clock.state())
    }

    fn boot(&self) -> BootId {
        self.clock.boot()
    }
}
