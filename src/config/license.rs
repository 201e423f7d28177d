//! What the licenses make of a map: how short a slot may be, and how many updates a year has
//! (thingspeak.md, rates and quota).

use std::time::Duration;

use super::diagnostic::Findings;
use super::rules::Published;
use super::{Channel, Settings, channels, plan, words};
use crate::pipeline::slots::Publish;
use crate::thingspeak::license::License;
use crate::uplink::pacer::{MARGIN, drain_time};

/// A license's year; quotas are whole years of messages.
const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// When a report of what an output does goes out: at once, so that whoever commands sees it.
pub(super) const REPORT: Publish = Publish::OnChange;

/// What a channel's license has to bear.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    slot: Duration,
    /// One for the entry, and one for each field that is published by itself.
    pub(super) updates_a_slot: u32,
}

impl Load {
    /// The load of what is published to a channel with slots of this length.
    pub(super) fn new(slot: Duration, published: impl IntoIterator<Item = Publish>) -> Self {
        let (mut entry, mut fields) = (0, 0);
        for publish in published {
            match publish {
                Publish::Field => fields += 1,
                Publish::Slot | Publish::OnChange => entry = 1,
            }
        }
        Self { slot, updates_a_slot: entry + fields }
    }

    /// How many updates a day makes.
    pub(super) fn a_day(self) -> u64 {
        self.during(Duration::from_secs(86_400))
    }

    /// How many updates a license's year makes.
    pub(super) fn a_year(self) -> u64 {
        self.during(YEAR)
    }

    fn during(self, time: Duration) -> u64 {
        let slots = time.as_secs().checked_div(self.slot.as_secs()).unwrap_or_default();
        slots * u64::from(self.updates_a_slot)
    }
}

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
        let updates_a_slot = plan::load_of(channel, self).updates_a_slot;
        Drain { slot: channel.every, updates_a_slot, interval: channel.license.interval() }
    }

    /// How many updates a year the map plans for a channel.
    pub fn planned_a_year(&self, channel: &Channel) -> u64 {
        plan::load_of(channel, self).a_year()
    }

    /// Whether anything is published by the device at this place, or heard: only then it has a session.
    pub fn is_used(&self, device: usize) -> bool {
        let mut channels = self.channels.iter().filter(|channel| channel.device == device);
        channels.any(|channel| {
            self.planned_a_year(channel) > 0 || self.outputs.iter().any(|output| output.from.channel == channel.id)
        })
    }

    /// Tells each channel's backlog whether there are spare slots for it.
    pub(super) fn tell_what_drains(&mut self) {
        for index in 0..self.channels.len() {
            let channel = &self.channels[index];
            let drains = plan::load_of(channel, self).leaves_time(channel.license);
            self.channels[index].backlog.drains = drains;
        }
    }

    /// A channel's share of its license's year, in messages: as large a part as it has in what the map plans. So a channel that
    /// is sent to each second catches up from as many days' savings as one that is sent to each minute.
    pub fn messages_a_year(&self, channel: &Channel) -> u64 {
        let planned = |channel: &Channel| u128::from(plan::load_of(channel, self).a_year());
        let all: u128 = self.channels.iter().filter(|other| other.license == channel.license).map(planned).sum();
        let share = u128::from(channel.license.messages_a_year()) * planned(channel) / all.max(1);
        u64::try_from(share).unwrap_or(u64::MAX)
    }
}

/// Holds each channel's slot against its license.
pub(super) fn rates(channels: &[channels::UntimedEntry], published: &[Published<'_>], findings: &mut Findings) {
    for (index, channel) in channels.iter().enumerate() {
        let load = load_of(index, channel, published);
        let updates = load.updates_a_slot;
        let slot = channel.slot();
        let span = channel.every.as_ref().map_or_else(|| channel.name.span(), toml::Spanned::span);
        if channel.every.is_some() && (slot.subsec_nanos() != 0 || slot.is_zero()) {
            findings.fault(&span, "a slot is a whole number of seconds, as ThingSpeak's times are", "");
            continue;
        }
        if updates == 0 {
            continue;
        }
        let (least, safe) = (channel.license.interval() * updates, channel.license.shortest_safe_slot() * updates);
        let words = humantime::format_duration;
        let why = match updates {
            1 => String::new(),
            _ => format!(" ({updates} updates a slot: a field published by itself is one of its own)"),
        };
        if slot < least {
            findings.fault(
                &span,
                format!(
                    "the license takes one update every {}, so the slot is at least {}{why}",
                    words(channel.license.interval()),
                    words(least)
                ),
                format!("write `every = \"{}s\"` or more{}", safe.as_secs(), paid_hint(channel.license)),
            );
        } else if slot < safe {
            findings.warning(
                &span,
                format!(
                    "updates will be lost: what is delayed by a second arrives less than {} before the next{why}",
                    words(least)
                ),
                format!("write `every = \"{}s\"` or more: the license is judged where updates arrive", safe.as_secs()),
            );
        }
        if slot >= least && !load.leaves_time(channel.license) {
            let help = if channel.backlog.thin.is_some() { "" } else { MERGED };
            findings.warning(
                &span,
                "no time is left to catch up: what waits after an outage is never sent, and dropped in the end",
                format!("write `every = \"{}s\"` or more{help}", safe.as_secs()),
            );
        }
    }
}

/// What helps where the slots cannot be longer.
const MERGED: &str = ", or set `thin` in its `backlog`: then neighbours are merged, and more of the outage is kept";

fn paid_hint(license: License) -> &'static str {
    match license {
        License::Free => ", or `license = \"paid\"` if the channel's owner has one",
        License::Paid => "",
    }
}

/// Holds the sum of all channels against each license's year.
pub(super) fn quotas(channels: &[channels::UntimedEntry], published: &[Published<'_>], findings: &mut Findings) {
    for license in [License::Free, License::Paid] {
        let counted = channels.iter().enumerate().filter(|(_, channel)| channel.license == license);
        let yearly = counted.map(|(index, channel)| (channel, load_of(index, channel, published).a_year()));
        let yearly: Vec<_> = yearly.filter(|(_, updates)| *updates > 0).collect();
        let sum: u64 = yearly.iter().map(|(_, updates)| updates).sum();
        let quota = license.messages_a_year();
        let Some((channel, _)) = yearly.last().filter(|_| sum > quota) else { continue };
        let span = channel.every.as_ref().map_or_else(|| channel.name.span(), toml::Spanned::span);
        let names: Vec<_> = yearly.iter().map(|(channel, _)| channel.name.get_ref()).collect();
        let days = quota * 365 / sum;
        findings.warning(
            &span,
            format!("{sum} updates a year are more than the license's {quota}: it is used up after {days} days"),
            format!("longer slots for {}", words::list(&names)),
        );
    }
}

fn load_of(index: usize, channel: &channels::UntimedEntry, published: &[Published<'_>]) -> Load {
    Load::new(channel.slot(), published.iter().filter(|one| one.channel == index).map(|one| one.publish))
}
