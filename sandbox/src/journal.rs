//! What was seen, kept for tests and for people: records, and the CONNECT and PUBLISH packets as they came.
//!
//! The newest [`KEPT`] of each kind are kept.

use std::collections::VecDeque;
use std::fmt;

use bytes::Bytes;

use super::record::Record;
use super::service::ConnectionId;
use crate::Transport;
use crate::time::Now;

/// How many of each kind are kept: a day of a busy sandbox, in tens of megabytes at the very worst.
pub(super) const KEPT: usize = 20_000;

/// A point between two records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(pub(super) u64);

/// The flags of a CONNECT as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectSeen {
    /// When.
    pub at: Now,
    /// On which connection.
    pub connection: ConnectionId,
    /// How it came.
    pub transport: Transport,
    /// Client id.
    pub client: String,
    /// User name, empty when missing.
    pub username: String,
    /// Whether there was a password.
    pub has_password: bool,
    /// Clean session.
    pub clean_session: bool,
    /// Whether there was a Last Will.
    pub will: bool,
    /// Keep-alive in seconds, 0 for none.
    pub keep_alive: u16,
}

/// A PUBLISH as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishSeen {
    /// When.
    pub at: Now,
    /// On which connection.
    pub connection: ConnectionId,
    /// Who sent it.
    pub client: String,
    /// Its topic.
    pub topic: String,
    /// Its payload.
    pub payload: Bytes,
    /// 0, 1 or 2.
    pub qos: u8,
    /// RETAIN.
    pub retain: bool,
    /// DUP.
    pub dup: bool,
}

/// What was waited for did not come in time. Its text lists what came instead.
#[derive(Clone, Debug, thiserror::Error)]
pub struct NotSeen {
    /// The records that were looked through.
    pub seen: Vec<Record>,
}

impl fmt::Display for NotSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not seen in time; there are {} records:", self.seen.len())?;
        self.seen.iter().try_for_each(|record| write!(f, "\n  {record}"))
    }
}

/// The newest records and packets.
#[derive(Debug, Default)]
pub(super) struct Journal {
    records: VecDeque<Record>,
    /// How many records were dropped from the front.
    forgotten: u64,
    connects: VecDeque<ConnectSeen>,
    publishes: VecDeque<PublishSeen>,
}

impl Journal {
    pub(super) fn record(&mut self, record: Record) {
        if push_bounded(&mut self.records, record) {
            self.forgotten += 1;
        }
    }

    pub(super) fn connect(&mut self, connect: ConnectSeen) {
        push_bounded(&mut self.connects, connect);
    }

    pub(super) fn publish(&mut self, publish: PublishSeen) {
        push_bounded(&mut self.publishes, publish);
    }

    /// The point after the newest record.
    pub(super) fn end(&self) -> Mark {
        Mark(self.forgotten + self.records.len() as u64)
    }

    /// The kept records after a point, oldest first.
    pub(super) fn since(&self, mark: Mark) -> impl Iterator<Item = &Record> {
        let skipped = usize::try_from(mark.0.saturating_sub(self.forgotten)).unwrap_or(usize::MAX);
        self.records.iter().skip(skipped)
    }

    pub(super) fn connects(&self) -> Vec<ConnectSeen> {
        self.connects.iter().cloned().collect()
    }

    pub(super) fn publishes(&self) -> Vec<PublishSeen> {
        self.publishes.iter().cloned().collect()
    }
}

/// Adds to a queue and says whether the oldest had to go.
fn push_bounded<T>(queue: &mut VecDeque<T>, item: T) -> bool {
    let full = queue.len() == KEPT;
    if full {
        queue.pop_front();
    }
    queue.push_back(item);
    full
}
