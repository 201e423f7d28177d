//! The channels that are published to.

use std::time::Duration;

use super::drain::{DrainMeter, Forecast};
use super::seconds;
use crate::config::{self, Drain, Settings};
use crate::daemon::messages;
use crate::entry::{ChannelId, Column};
use crate::spool::Status;
use crate::status::{self, Backlog, Counts, Quota, Receipt, Stage};
use crate::thingspeak::topic::Topic;
use crate::time::{Mono, Utc};
use crate::uplink::Confirm;
use crate::uplink::session::{SessionEvent, Tally, Unheard};

/// Before this the pace of the start would be taken for that of the year.
const PACE_AFTER: Duration = Duration::from_secs(3600);
/// A license's year.
const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// One channel.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) id: ChannelId,
    name: String,
    /// The map's name for its MQTT device.
    device: String,
    confirm: Confirm,
    /// How a backlog drains by the map, and how it was seen to while the link is up.
    plan: Option<Drain>,
    drain: Option<DrainMeter>,
    planned_a_year: u64,
    license_a_year: u64,
    made: u64,
    tally: Tally,
    dropped_for_age: u64,
    dropped_for_size: u64,
    /// Entries are being lost: more were since the last acknowledgement, or since the one before.
    losing: Option<bool>,
    newest: Option<Entry>,
    ack: Option<Entry>,
    /// The update that was handed to the network last.
    sent: Option<(Utc, Mono)>,
    remarks: Remarks,
}

/// What a person should know and need not hurry for.
#[derive(Debug, Default)]
struct Remarks {
    unheard: Option<Unheard>,
    /// The broker closed the connection on its entries again and again.
    publish_suspected: bool,
    echoes_ended: bool,
    crowded: bool,
    missing: Vec<Column>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    created_at: Utc,
    stage: Stage,
    at: Mono,
    /// Its number in the channel.
    number: Option<u64>,
    took: Option<Duration>,
}

impl Channel {
    pub(super) fn new(id: ChannelId) -> Self {
        Self {
            id,
            name: String::new(),
            device: String::new(),
            confirm: Confirm::Auto,
            plan: None,
            drain: None,
            planned_a_year: 0,
            license_a_year: 0,
            made: 0,
            tally: Tally::default(),
            dropped_for_age: 0,
            dropped_for_size: 0,
            losing: None,
            newest: None,
            ack: None,
            sent: None,
            remarks: Remarks::default(),
        }
    }

    /// Takes what a map says.
    pub(super) fn set(&mut self, settings: &Settings, channel: &config::Channel) {
        self.name.clone_from(&channel.name);
        self.confirm = channel.confirm;
        self.plan = Some(settings.drain(channel));
        self.device.clone_from(&settings.devices[channel.device].name);
        self.planned_a_year = settings.planned_a_year(channel);
        self.license_a_year = channel.license.messages_a_year();
    }

    /// An entry was made, and so many wait now.
    pub(super) fn made(&mut self, now: Mono, created_at: Option<Utc>, waiting: usize) {
        self.made += 1;
        if let Some(drain) = &mut self.drain {
            drain.look(now, waiting);
        }
        if let Some(created_at) = created_at {
            self.newest = Some(Entry { created_at, stage: Stage::Made, at: now, number: None, took: None });
        }
    }

    /// Whether this MQTT device publishes to it.
    pub(super) fn is_of(&self, device: &str) -> bool {
        self.device == device
    }

    /// The device's link came or went: the pace of before is over.
    pub(super) fn link_changed(&mut self, is_up: bool) {
        self.drain = is_up.then(DrainMeter::default);
    }

    pub(super) fn dropped(&mut self, count: usize, aged: usize) {
        self.dropped_for_age += aged as u64;
        self.dropped_for_size += count.saturating_sub(aged) as u64;
        self.losing = Some(true);
    }

    pub(super) fn notice(&mut self, now: Mono, notice: &SessionEvent) {
        self.tally.count(notice);
        match notice {
            SessionEvent::Sent { entry, .. } => {
                self.sent = Some((entry.created_at, now));
                self.reached(now, entry.created_at, Stage::Sent, None, None);
            }
            SessionEvent::Received { created_at, .. } => {
                let took = self.sent.filter(|(sent, _)| sent == created_at).map(|(_, at)| now.since(at));
                self.received(now, *created_at, Stage::Received, None, took);
            }
            SessionEvent::Stored { created_at, entry_id, took, .. } => {
                (self.remarks.unheard, self.remarks.echoes_ended) = (None, false);
                self.received(now, *created_at, Stage::Stored, *entry_id, Some(*took));
            }
            SessionEvent::Retimed { from, to, .. } => {
                if let Some(newest) = self.newest.as_mut().filter(|newest| newest.created_at == *from) {
                    newest.created_at = *to;
                }
            }
            SessionEvent::EchoesEnded(_) => self.remarks.echoes_ended = true,
            SessionEvent::Crowded(_) => self.remarks.crowded = true,
            SessionEvent::PublishSuspected { .. } => self.remarks.publish_suspected = true,
            SessionEvent::ColumnMissing { column, .. } => self.remarks.missing.push(*column),
            _ => {}
        }
    }

    /// The channel is heard, or is not.
    pub(super) fn subscribed(&mut self, topic: Topic, unheard: Option<Unheard>) {
        if topic == Topic::Subscribe(self.id) {
            self.remarks.unheard = unheard;
        }
    }

    fn received(&mut self, now: Mono, created_at: Utc, stage: Stage, number: Option<u64>, took: Option<Duration>) {
        self.losing = self.losing.filter(|lately| *lately).map(|_| false);
        self.remarks.publish_suspected = false;
        self.ack = Some(Entry { created_at, stage, at: now, number, took });
        self.reached(now, created_at, stage, number, took);
    }

    /// An entry got so far; of those that are not the newest nobody asks.
    fn reached(&mut self, at: Mono, created_at: Utc, stage: Stage, number: Option<u64>, took: Option<Duration>) {
        if self.newest.is_none_or(|newest| newest.created_at == created_at) {
            self.newest = Some(Entry { created_at, stage, at, number, took });
        }
    }

    /// What frees an entry now, where entries of the channel are known to come back or not.
    fn confirmed_by(&self, echoes: bool) -> Receipt {
        match self.confirm {
            Confirm::Received => Receipt::Received,
            _ if self.remarks.unheard.is_some() => Receipt::Received,
            Confirm::Stored => Receipt::Stored,
            Confirm::Auto if echoes => Receipt::Stored,
            Confirm::Auto => Receipt::Received,
        }
    }

    /// That entries are lost or refused, in words.
    pub(super) fn trouble(&self) -> Vec<String> {
        let Self { name, id, losing, remarks, .. } = self;
        let mut words = Vec::new();
        if losing.is_some() {
            words.push(messages::losing(name).text);
        }
        if remarks.publish_suspected {
            words.push(format!(
                "channel {name}: its entries wait, since the broker closes the connection when one is sent: perhaps \"allow publish\" is \
                 not ticked for channel {id} in the MQTT device"
            ));
        }
        words
    }

    /// What is worth knowing.
    pub(super) fn remarks(&self) -> Vec<String> {
        let Self { name, remarks, .. } = self;
        let mut words = Vec::new();
        if let Some(why) = remarks.unheard {
            let advice = why.advice(&self.id.to_string());
            words.push(format!(
                "channel {name}: not subscribed, since the broker {why}; entries count as acknowledged when the broker has read \
                 them: {advice}"
            ));
        }
        if remarks.echoes_ended {
            words.push(format!(
                "channel {name}: echoes no longer arrive; until one does, entries count as acknowledged when the broker has read them"
            ));
        }
        if remarks.crowded {
            words.push(format!("channel {name}: other programs write to it as fast as the license allows"));
        }
        if !remarks.missing.is_empty() {
            let columns: Vec<String> = remarks.missing.iter().map(ToString::to_string).collect();
            words.push(format!(
                "channel {name}: the service does not store {}: enable it in the channel's settings",
                columns.join(", ")
            ));
        }
        words
    }

    pub(super) fn report(&self, now: Mono, uptime: Duration, waiting: Status, echoes: bool) -> status::Channel {
        let sent = self.tally.sent;
        let pace = || {
            let projected = u128::from(sent) * YEAR.as_millis() / uptime.as_millis().max(1);
            u64::try_from(projected).unwrap_or(u64::MAX)
        };
        let forecast = self.drain.as_ref().map_or(Forecast::Unknown, |drain| drain.forecast(now, waiting.waiting));
        let (drain, drains_in) = match forecast {
            Forecast::Unknown => (status::Drain::Planned, self.plan.and_then(|plan| plan.of(waiting.waiting))),
            Forecast::Stands => (status::Drain::Stands, None),
            Forecast::Drains(time) => (status::Drain::Measured, Some(time)),
        };
        status::Channel {
            name: self.name.clone(),
            id: self.id.0,
            confirm: match self.confirm {
                Confirm::Auto => Receipt::Auto,
                Confirm::Stored => Receipt::Stored,
                Confirm::Received => Receipt::Received,
            },
            confirmed_by: self.confirmed_by(echoes),
            newest: self.newest.map(|entry| entry.report(now)),
            ack: self.ack.map(|entry| entry.report(now)),
            backlog: Backlog {
                entries: waiting.waiting,
                on_disk: waiting.on_disk,
                bytes: waiting.bytes,
                oldest: waiting.oldest.map(|oldest| oldest.to_string()),
                drain,
                drains_in_s: drains_in.map(seconds),
            },
            quota: Quota {
                sent,
                planned_a_year: self.planned_a_year,
                projected_a_year: (uptime >= PACE_AFTER).then(pace),
                license_a_year: self.license_a_year,
            },
            counts: Counts {
                made: self.made,
                sent,
                resent: self.tally.resent,
                received: self.tally.received,
                stored: self.tally.stored,
                retimed: self.tally.retimed,
                unconfirmed: self.tally.unconfirmed,
                dropped_for_age: self.dropped_for_age,
                dropped_for_size: self.dropped_for_size,
            },
        }
    }
}

impl Entry {
    fn report(self, now: Mono) -> status::Entry {
        status::Entry {
            created_at: self.created_at.to_string(),
            stage: self.stage,
            age_s: seconds(now.since(self.at)),
            entry_id: self.number,
            took_s: self.took.map(seconds),
        }
    }
}
