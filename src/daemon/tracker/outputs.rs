//! The outputs: what they are driven with, and why.

use super::{Since, seconds};
use crate::daemon::event::Wait;
use crate::output::Drive;
use crate::output::rules::Reason;
use crate::status::{self, Limit};
use crate::thingspeak::topic::Topic;
use crate::time::Mono;
use crate::uplink::session::Unheard;

/// One output.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) name: String,
    topic: Topic,
    /// The broker does not let us hear its commands, or seems not to.
    unheard: Option<Unheard>,
    level: Option<Level>,
    /// What it goes to when its dwell is over.
    pub(super) wait: Option<Wait>,
    pub(super) fault: Option<Since>,
    refused: Option<Since>,
    driven: u64,
    refusals: u64,
}

#[derive(Clone, Copy, Debug)]
struct Level {
    drive: Drive,
    reason: Reason,
    since: Mono,
    limit: Option<Mono>,
}

impl Output {
    pub(super) fn new(name: &str, topic: Topic) -> Self {
        Self {
            name: name.to_owned(),
            topic,
            unheard: None,
            level: None,
            wait: None,
            fault: None,
            refused: None,
            driven: 0,
            refusals: 0,
        }
    }

    /// Whether it is the same output in another map.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.name == other.name && self.topic == other.topic
    }

    /// Its commands are heard, or are not.
    pub(super) fn subscribed(&mut self, topic: Topic, unheard: Option<Unheard>) {
        if topic == self.topic {
            self.unheard = unheard;
        }
    }

    pub(super) fn driven(&mut self, now: Mono, drive: Drive, reason: Reason, limit: Option<Mono>) {
        self.driven += 1;
        self.wait = None;
        self.unheard = self.unheard.filter(|_| reason != Reason::Command);
        self.level = Some(Level { drive, reason, since: now, limit });
    }

    /// It goes on over a new map as it was.
    pub(super) fn stays(&mut self, now: Mono, drive: Drive, reason: Reason, limit: Option<Mono>) {
        self.wait = None;
        let since = self.level.filter(|level| level.drive == drive).map_or(now, |level| level.since);
        self.level = Some(Level { drive, reason, since, limit });
    }

    pub(super) fn refused(&mut self, now: Mono, words: String) {
        self.refusals += 1;
        self.refused = Some(Since { at: now, words });
    }

    /// That it cannot be driven, in words.
    pub(super) fn trouble(&self) -> Option<String> {
        self.fault.as_ref().map(|fault| format!("output {} cannot be driven: {}", self.name, fault.words))
    }

    /// That nobody can command it, in words.
    pub(super) fn remark(&self) -> Option<String> {
        let why = self.unheard?;
        let advice = why.advice(&self.topic.channel().to_string());
        Some(format!("output {}: its commands are not heard, since the broker {why}: {advice}", self.name))
    }

    pub(super) fn report(&self, now: Mono) -> status::Output {
        let level = self.level;
        let limit = level.and_then(|level| {
            let left = level.limit.map(|limit| limit.since(now)).filter(|left| !left.is_zero())?;
            Some((if level.drive.is_on() { Limit::MaxOn } else { Limit::MinOff }, seconds(left)))
        });
        status::Output {
            name: self.name.clone(),
            level: level.map(|level| level.drive.to_string()),
            fraction: level.map(|level| level.drive.fraction()),
            since_s: level.map(|level| seconds(now.since(level.since))),
            reason: level.map(|level| level.reason.to_string()),
            limit: limit.map(|(limit, _)| limit),
            limit_s: limit.map(|(_, left)| left),
            next: self.wait.map(|wait| wait.drive.to_string()),
            next_s: self.wait.map(|wait| seconds(wait.until.since(now))),
            fault: self.fault.as_ref().map(|fault| fault.report(now)),
            refused: self.refused.as_ref().map(|refused| refused.report(now)),
            driven: self.driven,
            refusals: self.refusals,
        }
    }
}
