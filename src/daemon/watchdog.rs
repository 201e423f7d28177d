//! systemd's watchdog: fed by the slots' task while it is awake anyway, as long as nobody is stuck.
//!
//! What hangs in the kernel (a bus without its clock, a device file that never answers) ends with its process at best.
//! Sensors behind it are read by another thread meanwhile; but whoever does not come back for the watchdog's whole interval
//! stops the feeding, and systemd starts the daemon anew.

use std::time::Duration;

use crate::daemon::event::{Event, Observer};
use crate::daemon::heartbeat::{HeartbeatMonitor, Look, Watch};
use crate::daemon::systemd;
use crate::time::Mono;

/// Without a watchdog one that is stuck is told of after this.
const PATIENCE: Duration = Duration::from_secs(180);

/// Looks after everybody, and feeds.
pub(super) struct Watchdog {
    watch: Watch,
    /// systemd's interval, if it has one for us.
    interval: Option<Duration>,
    fed: Option<Mono>,
}

impl Watchdog {
    /// The watchdog that systemd told us of when it started us.
    pub(super) fn new(heartbeats: HeartbeatMonitor) -> Self {
        let interval = systemd::watchdog();
        Self { watch: Watch::new(heartbeats, interval.unwrap_or(PATIENCE)), interval, fed: None }
    }

    /// How long whoever looks may sleep: a third of the interval.
    pub(super) fn look_within(&self, at_most: Duration) -> Duration {
        self.interval.map_or(at_most, |interval| at_most.min(interval / 3))
    }

    /// Looks, tells, and feeds if all is well and it is time.
    pub(super) fn look(&mut self, now: Mono, observer: &Observer) {
        let Look { stuck, back, is_lost } = self.watch.look(now);
        for stuck in &stuck {
            observer(&Event::Stuck(stuck));
        }
        for who in &back {
            observer(&Event::Unstuck(who));
        }
        if is_lost {
            return;
        }
        let Some(interval) = self.interval else { return };
        // Whoever is awake every second need not talk to systemd every second.
        if self.fed.is_none_or(|fed| now.since(fed) >= interval / 4) {
            systemd::feed();
            self.fed = Some(now);
        }
    }
}
