//! The disk's thread: does the spool's work on the disk, which may take seconds, so that nothing else waits for it.
//!
//! The decisions are the spool's; this only carries them out. It has no timer: whoever is awake anyway rings when something
//! is due.

use std::io::{self, ErrorKind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::config::Settings;
use crate::daemon::alarm::{Alarm, locked};
use crate::daemon::event::{Event, Observer};
use crate::daemon::heartbeat::{Heartbeat, HeartbeatMonitor};
use crate::daemon::new_entries::NewEntries;
use crate::daemon::pipeline::{self, PipelineHandle};
use crate::entry::ChannelId;
use crate::hal::{Clock, Hal};

use crate::spool::{Backlog, Spool, SpoolEvent};
use crate::state::{self, Reason, StateHandle};
use crate::store::journal::Journal;
use crate::store::storage::Storage;
use crate::time::Mono;

/// How long a disk may take for one piece of work: a bad one takes seconds, a dead one for ever.
const WORK_WITHIN: Duration = Duration::from_secs(60);
/// The state directory's lock is looked at so often at most. The slots' task comes by every 30 s at least, so that what happened to it
/// is noticed within a minute.
const LOCK_LOOKED_AT: Duration = Duration::from_secs(25);
/// How often a thread that is to end is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// Where the daemon keeps what must outlive it.
#[derive(Clone)]
pub struct Folders {
    /// Memory-backed: it survives the process and not the machine.
    pub runtime: Arc<dyn Storage>,
    /// On the disk.
    pub state: Arc<dyn Storage>,
    /// An earlier run has used the state directory.
    pub was_used: bool,
}

/// The spool with its thread.
pub(super) struct Disk {
    spool: Arc<Mutex<Spool>>,
    totals: StateHandle,
    notify: SyncSender<()>,
    thread: JoinHandle<()>,
    /// When the thread was last rung to look at its lock.
    looked: Mutex<Mono>,
}

/// The spool of a run, and what its thread will be made of.
pub(super) struct Store {
    spool: Arc<Mutex<Spool>>,
    totals: StateHandle,
    /// The runtime directory; none where all of it ends with the process.
    runtime: Option<Arc<dyn Storage>>,
    /// What the thread works on: the state directory, or a folder in memory.
    disk: Arc<dyn Storage>,
    notify: SyncSender<()>,
    notified: Receiver<()>,
}

/// The totals and switch times that outlive the process: two small files, which the outputs need before anything else.
pub(super) async fn state_handle(settings: &Settings, hal: &Hal, folders: Option<&Folders>) -> StateHandle {
    let (start, kept) = (hal.clock.now().mono, settings.kept());
    let Some(Folders { runtime, state, .. }) = folders.cloned() else {
        return StateHandle::open(start, kept, None, None);
    };
    let open = move || StateHandle::open(start, kept, Some(runtime), Some(&*state));
    tokio::task::spawn_blocking(open).await.expect("reading does not panic")
}

impl Store {
    /// Opens the spool in these folders, or one in memory. Reading what an earlier run left may take a while on a disk.
    pub(super) async fn open(
        settings: &Settings,
        hal: &Hal,
        folders: Option<Folders>,
        totals: StateHandle,
        observer: &Observer,
    ) -> Self {
        let (backlogs, policy) = (backlogs(settings), settings.spool);
        // One is enough: it says that there is something, not how much.
        let (notify, notified) = sync_channel(1);
        let start = (hal.clock.boot(), hal.clock.now());
        let wake = {
            let notify = notify.clone();
            Box::new(move || send_to(&notify))
        };
        let Some(Folders { runtime, state, was_used }) = folders else {
            let (spool, disk) = Spool::in_memory(backlogs, policy, start, wake);
            let (spool, disk) = (Arc::new(Mutex::new(spool)), Arc::new(disk));
            return Self { spool, totals, runtime: None, disk, notify, notified };
        };
        let (fast, disk) = (Arc::clone(&runtime), Arc::clone(&state));
        let open = move || Spool::open(backlogs, policy, start, fast, &*disk, wake);
        let (mut spool, found) = tokio::task::spawn_blocking(open).await.expect("reading does not panic");
        spool.recall(totals.channels(), was_used);
        if spool.outdates_disk() {
            totals.set_channels(hal.clock.now().mono, spool.memory(false), Reason::Outdated);
        }
        observer(&Event::Found(&found));
        let spool = Arc::new(Mutex::new(spool));
        Self { spool, totals, runtime: Some(runtime), disk: state, notify, notified }
    }

    /// The spool as the uplinks see it.
    pub(super) fn spool(&self) -> Arc<Mutex<Spool>> {
        Arc::clone(&self.spool)
    }

    /// Lets the open slots of an earlier run of this boot go on, and keeps them from now on.
    pub(super) fn restore(&self, pipeline: &PipelineHandle, hal: &Hal, observer: &Observer) {
        let Some(runtime) = &self.runtime else { return };
        let journal = Journal::new(Arc::clone(runtime), pipeline::FILE);
        let last_end = |channel| locked(&self.spool).last_end(channel);
        match pipeline.restore_from(journal, Arc::clone(&hal.clock), last_end) {
            Ok(restored) => observer(&Event::Restored(restored)),
            Err(error) => observer(&Event::Slots { error: Some(&error) }),
        }
    }

    /// Starts the thread. `new_entries` is told when entries came from the disk.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(super) fn start(
        self,
        hal: &Hal,
        new_entries: &NewEntries,
        observer: &Observer,
        heartbeats: &HeartbeatMonitor,
        alarm: &Alarm,
    ) -> io::Result<Disk> {
        let Self { spool, totals, disk, notify, notified, .. } = self;
        let worker = Worker {
            spool: Arc::clone(&spool),
            totals: totals.clone(),
            disk,
            clock: Arc::clone(&hal.clock),
            notified,
            new_entries: new_entries.clone(),
            observer: Arc::clone(observer),
            // Entries wait in memory meanwhile; and a process that hangs in the disk's driver does not even end.
            heartbeat: heartbeats.watch_only("the disk"),
            alarm: alarm.clone(),
        };
        let alarm = alarm.clone();
        let thread = thread::Builder::new().name("disk".to_owned()).spawn(move || {
            let _watched = alarm.watch("the disk's thread");
            worker.run();
        })?;
        Ok(Disk { spool, totals, notify, thread, looked: Mutex::default() })
    }
}

struct Worker {
    spool: Arc<Mutex<Spool>>,
    totals: StateHandle,
    disk: Arc<dyn Storage>,
    clock: Arc<dyn Clock>,
    notified: Receiver<()>,
    new_entries: NewEntries,
    observer: Observer,
    heartbeat: Heartbeat,
    alarm: Alarm,
}

impl Worker {
    /// Works until the spool stops and nothing is left that can be done.
    fn run(self) {
        loop {
            let now = self.clock.now().mono;
            if self.totals.deadline().is_some_and(|deadline| deadline <= now) {
                self.totals.set_channels(now, locked(&self.spool).memory(false), Reason::Along);
            }
            if let Some(page) = self.totals.due(now) {
                self.write(page);
            }
            let job = locked(&self.spool).job(self.clock.now());
            let Some(job) = job else {
                if !locked(&self.spool).is_stopping() && self.notified.recv().is_ok() {
                    self.heartbeat.due(self.clock.now().mono + WORK_WITHIN);
                    look_at_state(&*self.disk, &self.alarm, &self.observer);
                    self.heartbeat.rest();
                    continue;
                }
                self.totals.set_channels(self.clock.now().mono, locked(&self.spool).memory(true), Reason::Stop);
                if let Some(page) = self.totals.last() {
                    self.write(page);
                }
                return;
            };
            self.heartbeat.due(self.clock.now().mono + WORK_WITHIN);
            let outcome = job.perform(&*self.disk);
            self.heartbeat.rest();
            let (has_fed, events) = {
                let mut spool = locked(&self.spool);
                (spool.done(self.clock.now(), outcome), spool.take_events())
            };
            report(&events, &self.observer);
            if has_fed {
                self.new_entries.of_any();
            }
        }
    }

    fn write(&self, page: state::Job) {
        self.heartbeat.due(self.clock.now().mono + WORK_WITHIN);
        let outcome = page.perform(&*self.disk);
        self.heartbeat.rest();
        self.totals.done(self.clock.now().mono, outcome);
    }
}

impl Disk {
    /// Wakes the disk thread where something is due on the disk, and reports what happened in the spool.
    pub(super) fn look(&self, now: Mono, observer: &Observer) {
        let (due, events, learned) = {
            let mut spool = locked(&self.spool);
            (spool.due(), spool.take_events(), spool.learned())
        };
        self.totals.set_channels(now, learned, Reason::Learned);
        let due = due.into_iter().chain(self.totals.deadline()).min();
        report(&events, observer);
        // A panic there would leave the disk alone for ever: it ends the process, as any other.
        assert!(!self.thread.is_finished(), "the disk's thread lives as long as the daemon");
        let is_look_due = {
            let mut looked = locked(&self.looked);
            let is_due = now.since(*looked) >= LOCK_LOOKED_AT;
            if is_due {
                *looked = now;
            }
            is_due
        };
        if is_look_due || due.is_some_and(|due| due <= now) {
            send_to(&self.notify);
        }
    }

    /// Writes anew what the runtime directory had: it was removed.
    pub(super) fn keep_anew(&self) {
        locked(&self.spool).keep_anew();
        self.totals.keep_anew();
    }

    /// Writes what waits, for as long as the patience lasts. Returns whether everything is on the disk; `None` where what waits ends
    /// with the process.
    pub(super) fn stop(&self, patience: Duration) -> Option<bool> {
        let until = Instant::now() + patience;
        locked(&self.spool).stop();
        while !self.thread.is_finished() && Instant::now() < until {
            thread::sleep(LOOK);
        }
        let mut spool = locked(&self.spool);
        (!spool.is_in_memory()).then(|| self.thread.is_finished() && spool.is_written())
    }
}

/// Looks whether the state directory is still this process's alone. To be called on the disk's thread.
fn look_at_state(state: &dyn Storage, alarm: &Alarm, observer: &Observer) {
    match state.still_ours() {
        Ok(true) => observer(&Event::Regained { directory: "state directory" }),
        Err(error) if error.kind() == ErrorKind::WouldBlock => alarm.directory_taken("state directory"),
        // Of a disk that is away the writing tells, and entries wait in memory.
        Ok(false) | Err(_) => {}
    }
}

/// A channel that is full has a notification already; one without a receiver needs none.
fn send_to(notify: &SyncSender<()>) {
    let _ = notify.try_send(());
}

fn report(events: &[SpoolEvent], observer: &Observer) {
    for event in events {
        observer(&Event::Spool(event));
    }
}

/// How much of an outage is kept, by channel.
pub(super) fn backlogs(settings: &Settings) -> Vec<(ChannelId, Backlog)> {
    settings.channels.iter().map(|channel| (channel.id, channel.backlog)).collect()
}
