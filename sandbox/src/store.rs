//! The channels' rows, and the rules by which an update becomes one.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::device::Channel;
use super::record::DropReason;
use super::row::Row;
use super::switches::{Duplicates, Switches};
use super::update::Update;
use crate::time::{Now, Utc};

/// How many rows of a channel are kept and held to be unique: seventeen days at one every 15 s.
const ROWS: usize = 100_000;

/// All channels.
#[derive(Debug)]
pub(super) struct Store {
    channels: BTreeMap<u64, Shelf>,
    /// How many updates kept every rule, lost ones included.
    good: u64,
}

/// One channel with its rows.
#[derive(Debug)]
struct Shelf {
    channel: Channel,
    rows: VecDeque<Row>,
    stored: u64,
    /// What the license's interval counts from.
    window: Option<Duration>,
}

impl Store {
    pub(super) fn channels(&self) -> Vec<u64> {
        self.channels.keys().copied().collect()
    }

    pub(super) fn new(channels: Vec<Channel>) -> Self {
        let empty = |channel: Channel| (channel.id, Shelf { channel, rows: VecDeque::new(), stored: 0, window: None });
        Self { channels: channels.into_iter().map(empty).collect(), good: 0 }
    }

    pub(super) fn channel(&self, id: u64) -> Option<&Channel> {
        self.channels.get(&id).map(|shelf| &shelf.channel)
    }

    pub(super) fn rows(&self, id: u64) -> Vec<Row> {
        self.channels.get(&id).map(|shelf| shelf.rows.iter().cloned().collect()).unwrap_or_default()
    }

    pub(super) fn last(&self, id: u64) -> Option<&Row> {
        self.channels.get(&id)?.rows.back()
    }

    /// Judges an update by the time of its arrival and stores it.
    pub(super) fn store(
        &mut self,
        now: Now,
        by: &str,
        id: u64,
        update: Update,
        switches: &Switches,
    ) -> Result<Row, DropReason> {
        let kept = self.channels.get_mut(&id).ok_or(DropReason::NoRight)?;
        let created_at = update.created_at.unwrap_or(now.utc);
        if let Err(reason) = kept.judge(now.mono, created_at, switches.duplicate) {
            if switches.dropped_restarts_window {
                kept.window = Some(now.mono);
            }
            return Err(reason);
        }
        let turn = self.good;
        self.good += 1;
        if switches.loss.is_some_and(|loss| turn % u64::from(loss.of.max(1)) < u64::from(loss.lost)) {
            return Err(DropReason::Lost);
        }
        kept.window = Some(now.mono);
        kept.stored += 1;
        let row = Row {
            channel: id,
            entry_id: kept.stored,
            created_at,
            fields: update.fields,
            latitude: update.latitude,
            longitude: update.longitude,
            elevation: update.elevation,
            status: update.status,
            arrived: now,
            by: by.to_owned(),
        };
        if kept.rows.len() == ROWS {
            kept.rows.pop_front();
        }
        kept.rows.push_back(row.clone());
        Ok(row)
    }
}

impl Shelf {
    fn judge(&self, now: Duration, created_at: Utc, duplicates: Duplicates) -> Result<(), DropReason> {
        if let Some(window) = self.window {
            let early_by = self.channel.interval.saturating_sub(now.saturating_sub(window));
            if !early_by.is_zero() {
                return Err(DropReason::RateLimited { early_by });
            }
        }
        if duplicates == Duplicates::Refuse && self.rows.iter().any(|row| row.created_at == created_at) {
            return Err(DropReason::Duplicate);
        }
        Ok(())
    }
}
