//! What a counter has counted, and what its reads say. Pure.

use std::time::Duration;

use super::RATE;
use crate::hal::EdgeEvent;
use crate::reading::Fault;
use crate::sensor::Measured;
use crate::time::Mono;

/// What has been counted. Pure.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) total: u64,
    pub(super) unread: u64,
    read_at: Mono,
    /// Events were lost since the last read, or between the two reads before: a spell that has been told of.
    losing: bool,
    lost_since_read: u64,
    ignore_after: Duration,
    /// The first and the newest pulse that were seen since the last read.
    seen: Option<(Mono, Mono)>,
    /// The newest pulse before that, and whether it came since the read before.
    before: Option<(Mono, bool)>,
}

impl Tally {
    pub(super) const fn new(now: Mono, total: u64) -> Self {
        let ignore_after = Duration::ZERO;
        Self {
            total,
            unread: 0,
            read_at: now,
            losing: false,
            lost_since_read: 0,
            ignore_after,
            seen: None,
            before: None,
        }
    }

    pub(super) const fn ignoring_after(mut self, ignore_after: Duration) -> Self {
        self.ignore_after = ignore_after;
        self
    }

    /// Whether it comes too soon after the last one that counted.
    fn is_too_soon(&self, at: Mono) -> bool {
        let last = self.seen.map(|(_, newest)| newest).or(self.before.map(|(newest, _)| newest));
        last.is_some_and(|last| at.since(last) < self.ignore_after)
    }

    /// Counts an edge and those lost before it. How many were lost, where that begins a spell of losses.
    pub(super) fn edge(&mut self, edge: EdgeEvent) -> Option<u32> {
        if !self.is_too_soon(edge.at) {
            self.seen = Some((self.seen.map_or(edge.at, |(first, _)| first), edge.at));
            // Those that were lost may have been too soon as well: where that matters only what was seen counts.
            let pulses = if self.ignore_after.is_zero() { 1 + u64::from(edge.lost) } else { 1 };
            self.total = self.total.saturating_add(pulses);
            self.unread += pulses;
        }
        if edge.lost == 0 {
            return None;
        }
        self.lost_since_read += u64::from(edge.lost);
        let told = std::mem::replace(&mut self.losing, true);
        (!told).then_some(edge.lost)
    }

    /// Pulses a second: from the newest one of the last read to the newest one of this, or within this where the last had none. A
    /// single one after a pause has the pause's frequency, and the very first that of the read.
    fn frequency(&self, now: Mono) -> Result<f64, Fault> {
        let Some((first, newest)) = self.seen else { return Ok(0.0) };
        let (pulses, time) = match self.before {
            Some((before, is_recent)) if is_recent || first == newest => (self.unread, newest.since(before)),
            _ if first == newest => (self.unread, now.since(self.read_at)),
            _ => (self.unread - 1, newest.since(first)),
        };
        if time.is_zero() {
            return Err(Fault::Garbled("no time has passed between two pulses".to_owned()));
        }
        Ok(scaled(pulses, 1.0) / time.as_secs_f64())
    }

    /// All quantities.
    pub(super) fn read(&mut self, now: Mono, scale: f64) -> Measured {
        let minutes = now.since(self.read_at).as_secs_f64() / 60.0;
        let sum = scaled(self.unread, scale);
        let rate = if minutes > 0.0 {
            Ok(sum / minutes)
        } else {
            Err(Fault::Garbled("no time has passed since the last read".to_owned()))
        };
        let frequency = self.frequency(now);
        self.before = match (self.seen.take(), self.before) {
            (Some((_, newest)), _) => Some((newest, true)),
            (None, before) => before.map(|(newest, _)| (newest, false)),
        };
        self.unread = 0;
        self.read_at = now;
        let missed = std::mem::take(&mut self.lost_since_read);
        self.losing = missed > 0;
        vec![
            finite(sum),
            finite(scaled(self.total, scale)),
            rate.and_then(finite),
            frequency.and_then(finite),
            Ok(scaled(missed, 1.0)),
        ]
    }

    /// Sum and total of what was never read. A moment that the stop has cut short says nothing of the rate: one pulse in
    /// it would be a storm.
    pub(super) fn rest(&mut self, now: Mono, scale: f64) -> Measured {
        let mut values = self.read(now, scale);
        values[RATE] = Err(Fault::Garbled("too short a time for a rate".to_owned()));
        values
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 pulses: at a kilohertz, 285 thousand years")]
fn scaled(pulses: u64, scale: f64) -> f64 {
    pulses as f64 * scale
}

/// A scale near the end of what a number can hold must not make an infinite value.
fn finite(value: f64) -> Result<f64, Fault> {
    if value.is_finite() { Ok(value) } else { Err(Fault::OutOfRange("the scaled count is too large".to_owned())) }
}
