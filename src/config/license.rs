//! What the licenses make of a map: how short a slot may be, and how many updates a year has
//! (docs/thingspeak.md, rates and quota).

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::diagnostic::Findings;
use super::drafts::Published;
use super::load::{Load, YEAR};
use super::{Channel, Settings, channels, words};
use crate::entry::ChannelId;
use crate::pipeline::slots::Publish;
use crate::thingspeak::license::License;
use crate::uplink::pacer::{MARGIN, drain_time};

/// When a report of what an output does goes out: at once, so that whoever commands sees it.
pub(super) const REPORT: Publish = Publish::OnChange;

impl Load {
    /// Whether the slots leave time for the backlog of an outage.
    pub(super) fn leaves_time(self, license: License) -> bool {
        drain_time(YEAR, self.slot, self.updates_a_slot, license.interval(), MARGIN).is_some()
    }
}

/// How a channel's backlog drains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    slot: Duration,
    updates_a_slot: u32,
    interval: Duration,
}

impl Drain {
    /// How long the backlog of an outage takes to go out while the link is up; `None` where the slots leave no time for it. See
    /// [`drain_time`].
    pub fn after(self, outage: Duration) -> Option<Duration> {
        drain_time(outage, self.slot, self.updates_a_slot, self.interval, MARGIN)
    }

    /// As [`Drain::after`], for an outage that left so many entries.
    pub fn of(self, waiting: usize) -> Option<Duration> {
        let waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
        self.after(self.slot.saturating_mul(waiting).checked_div(self.updates_a_slot)?)
    }
}

impl Settings {
    /// How the backlog of a channel drains.
    pub fn drain(&self, channel: &Channel) -> Drain {
        let updates_a_slot = channel.load.updates_a_slot;
        Drain { slot: channel.every, updates_a_slot, interval: channel.license.interval() }
    }

    /// How many updates a year the map plans for a channel.
    pub fn planned_a_year(&self, channel: &Channel) -> u64 {
        channel.load.a_year()
    }

    /// Whether anything is published by the device at this place, or heard: only then it has a session.
    pub fn is_used(&self, device: usize) -> bool {
        let mut channels = self.channels.iter().filter(|channel| channel.device == device);
        channels.any(|channel| {
            self.planned_a_year(channel) > 0 || self.outputs.iter().any(|output| output.from.channel == channel.id)
        })
    }

    /// Counts what is published to each channel, and what follows from it: whether there are spare slots for its backlog, and its
    /// share of the license's year.
    pub(super) fn count_loads(&mut self) {
        let places: HashMap<ChannelId, usize> =
            self.channels.iter().enumerate().map(|(place, channel)| (channel.id, place)).collect();
        let routes = self.sensors.iter().flat_map(|sensor| &sensor.routes).map(|route| (route.channel, route.publish));
        let reports = self.outputs.iter().filter_map(|output| output.report);
        let reports = reports.filter_map(|(id, _)| Some((*places.get(&id)?, REPORT)));
        let loads = Load::all(self.channels.iter().map(|channel| channel.every), routes.chain(reports));
        let mut planned: BTreeMap<u64, u128> = BTreeMap::new();
        for (channel, load) in self.channels.iter().zip(&loads) {
            *planned.entry(channel.license.messages_a_year()).or_default() += u128::from(load.a_year());
        }
        for (channel, load) in self.channels.iter_mut().zip(loads) {
            let year = channel.license.messages_a_year();
            let share = u128::from(year) * u128::from(load.a_year()) / planned[&year].max(1);
            channel.load = load;
            channel.messages_a_year = u64::try_from(share).unwrap_or(u64::MAX);
            channel.backlog.drains = load.leaves_time(channel.license);
        }
    }
}

/// Holds each channel's slot against its license.
pub(super) fn rates(channels: &[channels::Draft], published: &[Published<'_>], findings: &mut Findings) {
    for (channel, load) in channels.iter().zip(loads(channels, published)) {
        let updates = load.updates_a_slot;
        let slot = channel.slot();
        let span = channel.every.as_ref().map_or_else(|| channel.name.span(), toml::Spanned::span);
        if channel.every.is_some() && (slot.subsec_nanos() != 0 || slot.is_zero()) {
            findings.fault(&span, "a slot must be a whole number of seconds, since ThingSpeak's times are", "");
            continue;
        }
        if updates == 0 {
            continue;
        }
        let (least, safe) = (channel.license.interval() * updates, channel.license.shortest_safe_slot() * updates);
        let words = humantime::format_duration;
        let why = match updates {
            1 => String::new(),
            _ => format!(" ({updates} updates a slot: a field published by itself is a separate update)"),
        };
        if slot < least {
            findings.fault(
                &span,
                format!(
                    "the license allows one update every {}, so the slot must be at least {}{why}",
                    words(channel.license.interval()),
                    words(least)
                ),
                format!("write `every = \"{}s\"` or more{}", safe.as_secs(), paid_hint(channel.license)),
            );
        } else if slot < safe {
            findings.warning(
                &span,
                format!(
                    "updates will be lost: one that is delayed by a second arrives less than {} before the next \
                     one{why}",
                    words(least)
                ),
                format!(
                    "write `every = \"{}s\"` or more: the service measures the interval on arrival",
                    safe.as_secs()
                ),
            );
        }
        if slot >= least && !load.leaves_time(channel.license) {
            let help = if channel.backlog.thin.is_some() { "" } else { MERGED };
            findings.warning(
                &span,
                "no time to catch up: the backlog of an outage is never sent, and finally dropped",
                format!("write `every = \"{}s\"` or more{help}", safe.as_secs()),
            );
        }
    }
}

/// What helps where the slots cannot be longer.
const MERGED: &str = ", or set `thin` in its `backlog`: then neighbouring entries are merged, which covers more of \
                      the outage";

fn paid_hint(license: License) -> &'static str {
    match license {
        License::Free => ", or `license = \"paid\"` if the channel's owner has one",
        License::Paid => "",
    }
}

/// Holds the sum of all channels against each license's year.
pub(super) fn quotas(channels: &[channels::Draft], published: &[Published<'_>], findings: &mut Findings) {
    let loads = loads(channels, published);
    for license in [License::Free, License::Paid] {
        let counted = channels.iter().zip(&loads).filter(|(channel, _)| channel.license == license);
        let yearly = counted.map(|(channel, load)| (channel, load.a_year()));
        let yearly: Vec<_> = yearly.filter(|(_, updates)| *updates > 0).collect();
        let sum: u64 = yearly.iter().map(|(_, updates)| updates).sum();
        let quota = license.messages_a_year();
        let Some((channel, _)) = yearly.last().filter(|_| sum > quota) else { continue };
        let span = channel.every.as_ref().map_or_else(|| channel.name.span(), toml::Spanned::span);
        let names: Vec<_> = yearly.iter().map(|(channel, _)| channel.name.get_ref()).collect();
        let days = quota * 365 / sum;
        findings.warning(
            &span,
            format!("{sum} updates a year exceed the license's {quota}: it is used up after {days} days"),
            format!("use longer slots for {}", words::list(&names)),
        );
    }
}

fn loads(channels: &[channels::Draft], published: &[Published<'_>]) -> Vec<Load> {
    Load::all(channels.iter().map(channels::Draft::slot), published.iter().map(|one| (one.channel, one.publish)))
}
