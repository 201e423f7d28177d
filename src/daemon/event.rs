//! What happens in the daemon, for whoever watches: the log, the demo, tests.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{LoadError, Settings};
use crate::daemon::changes::Changes;
use crate::daemon::heartbeat::Stuck;
use crate::entry::{ChannelId, UntimedEntry};
use crate::hal::HalError;
use crate::output::Drive;
use crate::output::rules::{Reason, Refusal};
use crate::pipeline::HealthChange;
use crate::pipeline::saved::Restored;
use crate::reading::{Reading, SensorId, in_seconds};
use crate::spool::{Counts, Found, SpoolEvent};
use crate::time::{ClockStep, Mono, Utc};
use crate::uplink::session::{SessionEvent, Tally};

/// Entries and the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// At the start it is not known to be right: entries wait for it.
    Begins,
    /// Minutes later they still do.
    Lasts,
    /// It is right now.
    Ends,
}

/// A sensor whose reads take long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slow {
    /// How long the read took that showed it.
    pub took: Duration,
    /// The sensors on its bus wait for it; elsewhere nobody does.
    pub delays_bus: bool,
}

impl fmt::Display for Slow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who =
            if self.delays_bus { "the sensors on its bus wait for it" } else { "the other sensors do not wait for it" };
        write!(f, "a read took {}; {who}", in_seconds(self.took))
    }
}

/// A command that waits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wait {
    /// What its output goes to.
    pub drive: Drive,
    /// For how long it waits.
    pub left: Duration,
    /// Until then.
    pub until: Mono,
}

/// Something that happened. Sensors, devices and outputs are named as the map does.
#[derive(Debug)]
pub enum Event<'a> {
    /// The map that holds from now on, and the numbers of its sensors.
    Map(&'a Settings, &'a [SensorId]),
    /// Outputs are at their start level and sensors are being read.
    Started,
    /// A reading was taken.
    Reading(&'a Reading),
    /// A sensor went silent, or came back.
    Sensor {
        /// Its name.
        name: &'a str,
        /// Which of the two.
        edge: &'a HealthChange,
    },
    /// A sensor's reads take long, or no longer do.
    Slow {
        /// Its name.
        name: &'a str,
        /// How long; `None` when they are quick again.
        slow: Option<Slow>,
    },
    /// A slot was closed and its entry waits for the uplink, or at first for the clock.
    Closed {
        /// The entry, without its time.
        entry: &'a UntimedEntry,
        /// Its time.
        created_at: Option<Utc>,
        /// Entries of its channel that wait now, this one included.
        waiting: usize,
    },
    /// What was found of the slots that the process before this one had open.
    Restored(Restored),
    /// Open slots cannot be kept in the runtime directory, or can again.
    Slots {
        /// Why not; `None` when it works again.
        error: Option<&'a io::Error>,
    },
    /// Entries of a channel were dropped because its backlog is full or too old.
    Dropped {
        /// Whose.
        channel: ChannelId,
        /// How many.
        count: usize,
        /// How many of them were too old; the others had no room.
        aged: usize,
    },
    /// The session of a device.
    Uplink(&'a str, &'a SessionEvent),
    /// An output was driven.
    Driven {
        /// Which.
        output: &'a str,
        /// With what.
        drive: Drive,
        /// Why.
        reason: Reason,
        /// When `max_on` will switch it off; while it is off, when `min_off` lets it go on.
        limit: Option<Mono>,
    },
    /// A command waits until the output's dwell is over, or no longer does though the output did not switch.
    Waits {
        /// Which output.
        output: &'a str,
        /// What it goes to; `None` when nothing waits any more.
        wait: Option<Wait>,
    },
    /// An output goes on over a new map as it was.
    Stays {
        /// Which.
        output: &'a str,
        /// What it is driven with.
        drive: Drive,
        /// Why.
        reason: Reason,
        /// When its limit is over, by the new map.
        limit: Option<Mono>,
    },
    /// A command was not obeyed.
    Refused {
        /// Which output.
        output: &'a str,
        /// Why.
        refusal: &'a Refusal,
    },
    /// What came is no command.
    InvalidCommand {
        /// Which output.
        output: &'a str,
        /// What came, and what would be accepted.
        words: String,
    },
    /// An output cannot be driven, or can again.
    Output {
        /// Which.
        output: &'a str,
        /// Why not; `None` when it works again.
        error: Option<&'a HalError>,
    },
    /// What an earlier run left in the spool.
    Found(&'a Found),
    /// The spool's directories cannot be written, or can again.
    Spool(&'a SpoolEvent),
    /// A directory was removed, or its lock: it was made again, with all that belongs there.
    Regained {
        /// Which of the two.
        directory: &'a str,
    },
    /// The wall clock, on which entries may have to wait.
    Clock(Waiting),
    /// The wall clock was set, by more than some slots.
    ClockStep(ClockStep),
    /// Somebody asked for the map to be read again.
    Reloading,
    /// It has faults or cannot be read: the map that was, holds on.
    MapRefused(&'a LoadError),
    /// It was taken; this is what changed.
    Reloaded(&'a Changes),
    /// Somebody does not come back: a bus that hangs, a task that waits for what never comes.
    Stuck(&'a Stuck),
    /// This one is back.
    Unstuck(&'a str),
    /// New links, addresses and routes are heard of, or are not.
    Routes {
        /// Why not; `None` when they are.
        error: Option<&'a io::Error>,
    },
    /// How things stand cannot be asked here, or can be now.
    Served {
        /// Where: a path, or an address.
        at: &'a str,
        /// Why not; `None` when it works.
        error: Option<&'a io::Error>,
    },
    /// The daemon stops.
    Stopping,
    /// It has stopped.
    Stopped {
        /// Entries that still wait.
        waiting: usize,
        /// Whether they are on the disk; `None` where they are lost with the memory.
        kept: Option<bool>,
        /// What became of the others.
        counts: Counts,
        /// What the sessions did.
        tally: Tally,
    },
}

/// Called for every event, on whichever thread it happened: it must not block.
pub type Observer = Arc<dyn Fn(&Event<'_>) + Send + Sync>;
