//! The task that turns ended slots into waiting entries. While it is awake it also looks after the disk and the
//! clock, and tells what the log has counted, so that none of them needs a timer. A read that lasts too long wakes it too.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::config::Settings;
use crate::daemon::alarm::locked;
use crate::daemon::bus_threads::BusThreads;
use crate::daemon::disk::Disk;
use crate::daemon::event::{Event, Observer, Waiting};
use crate::daemon::guard::Guard;
use crate::daemon::journal;
use crate::daemon::new_entries::NewEntries;
use crate::daemon::pipeline::PipelineHandle;
use crate::daemon::watchdog::Watchdog;
use crate::entry::{ChannelId, UntimedEntry};
use crate::hal::timer::Wait;
use crate::hal::{ClockState, ClockTrust, Hal};
use crate::reading::SensorId;
use crate::spool::{Pushed, Spool};
use crate::time::{Mono, Now, StepWatch};
use crate::uplink::session::Tally;

/// Without slots the disk and the clock are looked after this often in any case.
const LOOK_AROUND: Duration = Duration::from_secs(30);
/// A clock that is not right yet is asked this often.
const CLOCK_ASKED: Duration = Duration::from_secs(5);
/// A clock that is not right after this long is told of.
const CLOCK_PATIENCE: Duration = Duration::from_secs(120);

/// A clock that is set by more than so many slots is told of,
const SOME_SLOTS: u32 = 2;
/// but not for less than this, by which a slow machine reads two clocks apart,
const STEP_LEAST: Duration = Duration::from_secs(5);
/// and for this in any case.
const STEP_MOST: Duration = Duration::from_secs(60);

/// Turns ended slots into waiting entries, and looks after reads that last. Waits on the next close, on changes that move it
/// forward, and on their timer.
pub(super) struct SlotTask {
    pub(super) pipeline: PipelineHandle,
    pub(super) spool: Arc<Mutex<Spool>>,
    pub(super) disk: Option<Disk>,
    pub(super) new_entries: NewEntries,
    pub(super) report: Arc<Notify>,
    pub(super) guard: Arc<Guard>,
    pub(super) hal: Hal,
    pub(super) trust: Mutex<ClockTrust>,
    /// Notices when the clock is set.
    pub(super) steps: Mutex<StepWatch>,
    pub(super) started: Mono,
    pub(super) observer: Observer,
}

impl SlotTask {
    pub(super) async fn run(self: Arc<Self>, bus_threads: Arc<BusThreads>, mut watchdog: Watchdog) {
        let mut told_of_clock = false;
        let timer = Wait::new();
        loop {
            let next = self.pipeline.next_close();
            let is_right = locked(&self.spool).is_synchronised();
            let at_most = watchdog.look_within(if is_right { LOOK_AROUND } else { CLOCK_ASKED });
            let wait = next.map_or(at_most, |next| next.since(self.hal.clock.now().mono).min(at_most));
            let due = timer.after(Some(wait));
            tokio::select! {
                () = due => {
                    let now = self.hal.clock.now();
                    if !is_right && !self.ask_the_clock(now) && !told_of_clock {
                        told_of_clock = now.mono.since(self.started) > CLOCK_PATIENCE;
                        if told_of_clock {
                            (self.observer)(&Event::Clock(Waiting::Lasts));
                        }
                    }
                    self.look_at_clock(now);
                    self.close_due();
                    bus_threads.look(now);
                    if let Some(disk) = &self.disk {
                        disk.look(now.mono, &self.observer);
                    }
                    self.guard.look(&self.pipeline, self.disk.as_ref());
                    watchdog.look(now.mono, &self.observer);
                    journal::look();
                }
                () = self.pipeline.sooner().notified() => {}
                () = bus_threads.look_when_due() => {}
            }
        }
    }

    /// Takes what a new map says of the clock.
    pub(super) fn trust(&self, trust: ClockTrust) {
        *self.trust.lock().unwrap_or_else(PoisonError::into_inner) = trust;
    }

    /// Asks the clock for the first time.
    pub(super) fn begin(&self) {
        let now = self.hal.clock.now();
        if !self.believe(now) && !locked(&self.spool).is_synchronised() {
            (self.observer)(&Event::Clock(Waiting::Begins));
        }
    }

    /// Asks the clock again, while entries wait for it. Returns whether it is right now.
    fn ask_the_clock(&self, now: Now) -> bool {
        let is_right = self.believe(now);
        if is_right {
            (self.observer)(&Event::Clock(Waiting::Ends));
            self.new_entries.of_any();
        }
        is_right
    }

    /// Tells the spool that the wall clock is right, if it is.
    fn believe(&self, now: Now) -> bool {
        let trust = *self.trust.lock().unwrap_or_else(PoisonError::into_inner);
        let is_right = trust == ClockTrust::System || self.hal.clock.state() == ClockState::Synchronised;
        let mut spool = locked(&self.spool);
        // An earlier run of this boot may have found it right: what it could not read has its times to come.
        if is_right || spool.is_synchronised() {
            spool.synchronised(now);
        }
        is_right
    }

    /// Tells of a clock that was set by more than some slots, once it is believed.
    fn look_at_clock(&self, now: Now) {
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        if !locked(&self.spool).is_synchronised() {
            return steps.forget();
        }
        let slot = self.pipeline.shortest_slot();
        if let Some(step) = steps.look(now, (slot * SOME_SLOTS).clamp(STEP_LEAST, STEP_MOST)) {
            (self.observer)(&Event::ClockStep(step));
        }
    }

    fn close_due(&self) {
        let now = self.hal.clock.now();
        let mut pushes = Vec::new();
        self.pipeline.close_due(now, |entries| pushes.push(self.push(now, entries)));
        if !pushes.is_empty() {
            self.report.notify_one();
        }
        self.report(&pushes);
    }

    /// Closes all slots, ended or not.
    pub(super) fn close_all(&self) {
        let now = self.hal.clock.now();
        let mut pushes = Vec::new();
        self.pipeline.close_all(now, |entries| pushes.push(self.push(now, entries)));
        self.report(&pushes);
    }

    /// Takes a new map, whose sensors have these numbers.
    pub(super) fn reload(&self, settings: &Settings, ids: &[SensorId]) {
        let now = self.hal.clock.now();
        let mut pushes = Vec::new();
        self.pipeline.reload(now, settings, ids, |entries| pushes.push(self.push(now, entries)));
        self.report(&pushes);
    }

    /// Puts what waits on the disk, for as long as the patience lasts. Returns whether all of it is there; `None` where entries
    /// live in memory.
    pub(super) fn keep(&self, patience: Duration) -> Option<bool> {
        self.disk.as_ref().and_then(|disk| disk.stop(patience))
    }

    /// `kept` says whether everything is on the disk; `None` where entries live in memory. `tally` is what the sessions did.
    pub(super) fn report_shutdown(&self, settings: &Settings, kept: Option<bool>, tally: Tally) {
        let (waiting, counts) = {
            let spool = locked(&self.spool);
            (settings.channels.iter().map(|channel| spool.waiting(channel.id)).sum(), spool.counts())
        };
        (self.observer)(&Event::Stopped { waiting, kept, counts, tally });
    }

    /// Puts a channel's entries, of which there is one at least, into the spool: all or none of them.
    fn push(&self, now: Now, entries: Vec<UntimedEntry>) -> Push {
        let channel = entries[0].channel;
        let mut spool = locked(&self.spool);
        let pushed = spool.push(now, entries.clone());
        let expired = spool.expire(now, channel);
        Push { channel, entries, pushed, expired, waiting: spool.waiting(channel) }
    }

    /// Tells of entries that wait from now on, and their sessions of them.
    fn report(&self, pushes: &[Push]) {
        for Push { channel, entries, pushed, expired, waiting } in pushes {
            for (entry, created_at) in entries.iter().zip(&pushed.created_at) {
                (self.observer)(&Event::Closed { entry, created_at: *created_at, waiting: *waiting });
            }
            let count = pushed.dropped + expired;
            if count > 0 {
                (self.observer)(&Event::Dropped { channel: *channel, count, aged: *expired });
            }
            self.new_entries.of(*channel);
        }
    }
}

/// Entries of a channel that were put into the spool, and what came of it.
struct Push {
    channel: ChannelId,
    entries: Vec<UntimedEntry>,
    pushed: Pushed,
    /// How many of the channel were too old.
    expired: usize,
    /// How many of the channel wait now.
    waiting: usize,
}
