//! What the daemon reports to its observer, kept so that a scenario can wait for it.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use gatepost::daemon::changes::Changes;
use gatepost::daemon::event::{Event, Observer};
use gatepost::daemon::journal;
use gatepost::entry::Entry;
use gatepost::net::failure::{Failure, Kind};
use gatepost::output::Drive;
use gatepost::output::rules::Reason;
use gatepost::pipeline::HealthChange;
use gatepost::reading::Reading;
use gatepost::time::Utc;
use gatepost::uplink::session::SessionEvent;
use tokio::sync::watch;

use crate::{SOON, secrets};

/// An [`Event`] that outlives its call.
#[derive(Clone, Debug)]
pub(crate) enum Observed {
    Started,
    Reading(Reading),
    Sensor(HealthChange),
    Closed(Entry),
    Dropped,
    Uplink(SessionEvent),
    Driven { output: String, drive: Drive, reason: Reason },
    Refused { output: String, words: String },
    InvalidCommand { output: String, words: String },
    OutputFault,
    Restored,
    SlotsFault,
    Kept,
    Reloading,
    MapRefused(String),
    Reloaded(Changes),
    Stuck,
    Stopping,
    Stopped(usize),
}

impl Observed {
    fn of(event: &Event<'_>) -> Self {
        match event {
            Event::Started => Self::Started,
            Event::Reading(reading) => Self::Reading((*reading).clone()),
            Event::Sensor { edge, .. } => Self::Sensor((*edge).clone()),
            Event::Closed { entry, created_at, .. } => {
                Self::Closed((*entry).clone().stamped(created_at.expect("the simulated clock is right")))
            }
            Event::Dropped { .. } => Self::Dropped,
            Event::Uplink(_, notice) => Self::Uplink((*notice).clone()),
            Event::Driven { output, drive, reason, .. } => {
                Self::Driven { output: (*output).to_owned(), drive: *drive, reason: *reason }
            }
            Event::Refused { output, refusal } => {
                Self::Refused { output: (*output).to_owned(), words: refusal.to_string() }
            }
            Event::InvalidCommand { output, words } => {
                Self::InvalidCommand { output: (*output).to_owned(), words: words.clone() }
            }
            Event::Output { .. } => Self::OutputFault,
            Event::Restored(_) => Self::Restored,
            Event::Slots { .. } => Self::SlotsFault,
            Event::Map(..)
            | Event::Slow { .. }
            | Event::Stays { .. }
            | Event::Waits { .. }
            | Event::Found(_)
            | Event::Spool(_)
            | Event::Regained { .. }
            | Event::Routes { .. }
            | Event::Clock(_)
            | Event::ClockStep(_)
            | Event::Served { .. } => Self::Kept,
            Event::Reloading => Self::Reloading,
            Event::MapRefused(refused) => Self::MapRefused(refused.to_string()),
            Event::Reloaded(changes) => Self::Reloaded((*changes).clone()),
            Event::Stuck(_) | Event::Unstuck(_) => Self::Stuck,
            Event::Stopping => Self::Stopping,
            Event::Stopped { waiting, .. } => Self::Stopped(*waiting),
        }
    }

    /// The failure, if this reports that the link is down.
    pub(crate) fn down(&self) -> Option<Failure> {
        match self {
            Self::Uplink(SessionEvent::Down { failure, .. }) => Some(failure.clone()),
            _ => None,
        }
    }

    /// Whether this reports that the link is down for a reason of this kind.
    pub(crate) fn is_down_by(&self, kind: Kind) -> bool {
        self.down().is_some_and(|failure| failure.kind == kind)
    }

    /// Whether this reports that the link is up.
    pub(crate) fn is_up(&self) -> bool {
        matches!(self, Self::Uplink(SessionEvent::Up { .. }))
    }

    /// The entry, if this reports that its slot was closed.
    pub(crate) fn closed(&self) -> Option<&Entry> {
        match self {
            Self::Closed(entry) => Some(entry),
            _ => None,
        }
    }

    /// The time of the entry, if this reports that one was stored.
    pub(crate) fn stored(&self) -> Option<Utc> {
        match self {
            Self::Uplink(SessionEvent::Stored { created_at, .. }) => Some(*created_at),
            _ => None,
        }
    }

    /// Whether this reports that an output was driven so.
    pub(crate) fn is_driven(&self, name: &str, to: Drive, by: Reason) -> bool {
        matches!(self, Self::Driven { output, drive, reason } if (output.as_str(), *drive, *reason) == (name, to, by))
    }
}

/// Everything a daemon reported, in order. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Diary {
    lines: Arc<Mutex<Vec<(Instant, Observed)>>>,
    length: watch::Sender<usize>,
}

impl Diary {
    pub(crate) fn new() -> Self {
        Self { lines: Arc::default(), length: watch::Sender::new(0) }
    }

    /// An observer that writes the diary, and the log as `gatepost run` does.
    pub(crate) fn observer(&self) -> Observer {
        let log = journal::observer();
        let diary = self.clone();
        Arc::new(move |event| {
            log(event);
            secrets::look_at(&format!("{event:?}"));
            let mut lines = diary.lines.lock().expect("nobody panics while writing");
            lines.push((Instant::now(), Observed::of(event)));
            diary.length.send_replace(lines.len());
        })
    }

    /// The point after the newest line.
    pub(crate) fn end(&self) -> usize {
        *self.length.borrow()
    }

    /// The lines since a point.
    pub(crate) fn since(&self, mark: usize) -> Vec<Observed> {
        let lines = self.lines.lock().expect("nobody panics while writing");
        lines[mark..].iter().map(|(_, observed)| observed.clone()).collect()
    }

    /// All lines.
    pub(crate) fn all(&self) -> Vec<Observed> {
        self.since(0)
    }

    /// The entries that were closed so far.
    pub(crate) fn closed(&self) -> Vec<Entry> {
        self.all().iter().filter_map(|observed| observed.closed().cloned()).collect()
    }

    /// The times of the entries that went out for the first time after their slot, in the order of their sending.
    pub(crate) fn backlog(&self) -> Vec<Utc> {
        let late = |observed: &Observed| match observed {
            Observed::Uplink(SessionEvent::Sent { entry, again: 0, live: false }) => Some(entry.created_at),
            _ => None,
        };
        self.all().iter().filter_map(late).collect()
    }

    /// How many lines are the wanted ones.
    pub(crate) fn count(&self, wanted: impl Fn(&Observed) -> bool) -> usize {
        self.all().iter().filter(|observed| wanted(observed)).count()
    }

    /// Waits for a line behind `mark` in which something is found, and returns that.
    pub(crate) async fn find<T>(&self, mark: usize, what: &str, find: impl Fn(&Observed) -> Option<T>) -> T {
        let mut length = self.length.subscribe();
        let mut next = mark;
        let search = async {
            loop {
                let end = *length.borrow_and_update();
                if let Some(found) = self.since(next).iter().find_map(&find) {
                    return found;
                }
                next = end;
                length.changed().await.expect("the sender lives in self");
            }
        };
        let Ok(found) = tokio::time::timeout(SOON, search).await else {
            panic!("never reported: {what}\n{}", self.text(mark));
        };
        found
    }

    /// Waits for a line behind `mark`.
    pub(crate) async fn wait(&self, mark: usize, what: &str, wanted: impl Fn(&Observed) -> bool) {
        self.find(mark, what, |observed| wanted(observed).then_some(())).await;
    }

    /// What was reported, readings left out.
    pub(crate) fn text(&self, mark: usize) -> String {
        let lines = self.lines.lock().expect("nobody panics while writing");
        let first = lines.first().map(|(at, _)| *at);
        let observed = lines[mark..].iter().filter(|(_, observed)| !matches!(observed, Observed::Reading(_)));
        let line = |(at, observed): &(Instant, Observed)| {
            let since = first.map(|first| at.duration_since(first).as_secs_f64()).unwrap_or_default();
            format!("{since:>8.3} {}\n", short(observed))
        };
        observed.map(line).collect()
    }
}

/// One line; an entry is its time and its numbers.
fn short(observed: &Observed) -> String {
    let entry = |entry: &Entry| {
        let values: Vec<_> = entry.values().map(|(column, cell)| format!("{column}={}", cell.value)).collect();
        format!("{} {} {:?}", entry.created_at, values.join(" "), entry.status)
    };
    match observed {
        Observed::Closed(closed) => format!("Closed {}", entry(closed)),
        Observed::Uplink(SessionEvent::Sent { entry: sent, again, live }) => {
            format!("Sent again={again} live={live} {}", entry(sent))
        }
        other => format!("{other:?}"),
    }
}
