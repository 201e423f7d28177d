//! `[channel.NAME]`: the ThingSpeak channels.

use std::ops::Range;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::Channel;
use super::devices;
use super::diagnostic::Findings;
use super::load::Load;
use super::names::check_name;
use super::table::{Named, Node, Table};
use super::values::{HumanDuration, Size, positive};
use super::words;
use crate::entry::{ChannelId, Column};
use crate::pipeline::slots::StatusText;
use crate::spool::Backlog;
use crate::thingspeak::license::License;
use crate::uplink::Confirm;

/// The slot of a channel that does not say: it fits every license with room for a backlog.
const EVERY: Duration = Duration::from_secs(20);

/// ThingSpeak's numbers have seven digits today; with more than ten it is a key of some kind.
const LARGEST_ID: u64 = 9_999_999_999;

/// The keys that are about entries, and mean nothing where none is published.
const ENTRY_KEYS: [&str; 4] = ["every", "confirm", "backlog", "status"];

/// A channel as far as it could be read.
pub(super) struct Draft {
    /// Its name, at its place.
    pub(super) name: Spanned<String>,
    /// Its number.
    pub(super) id: Option<Spanned<ChannelId>>,
    /// The index of its device.
    pub(super) device: Option<usize>,
    /// The slot, as written.
    pub(super) every: Option<Spanned<HumanDuration>>,
    /// Those of [`ENTRY_KEYS`] that were written, with the places of their values.
    pub(super) entry_keys: Vec<(&'static str, Range<usize>)>,
    /// What it says besides.
    pub(super) confirm: Confirm,
    pub(super) license: License,
    pub(super) backlog: Backlog,
    pub(super) status: StatusText,
}

/// The keys of `[channel.NAME]`, `backlog` aside.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Keys {
    /// The channel's number, at the top of its page on ThingSpeak.
    #[cfg_attr(feature = "docs", schemars(with = "u64", range(min = 1, max = LARGEST_ID), extend("examples" = [1_234_567])))]
    id: Option<Spanned<ChannelId>>,
    /// The MQTT device that serves the channel: the NAME of a `[device.NAME]`. Needed if the map has several.
    #[cfg_attr(feature = "docs", schemars(with = "Option<String>", extend("examples" = ["garden"])))]
    device: Option<Spanned<String>>,
    /// The length of a slot, in whole seconds. gatepost makes one entry from the readings of each slot. Slots are
    /// aligned to the clock: those of `"20s"` end at :00, :20 and :40 of each minute. The free license allows an update
    /// every 15 s, the paid one every second. With the free license `"16s"` is the shortest slot that tolerates a delay
    /// on the way; `"20s"` leaves time to catch up after an outage.
    #[cfg_attr(feature = "docs", schemars(with = "Option<HumanDuration>", extend("default" = HumanDuration(EVERY))))]
    every: Option<Spanned<HumanDuration>>,
    /// What acknowledges an entry. Until then gatepost keeps it and sends it again.
    #[cfg_attr(feature = "docs", schemars(with = "Option<Confirm>", extend("default" = Confirm::default())))]
    confirm: Option<Confirm>,
    /// The license of the channel's owner. gatepost keeps its limits.
    #[cfg_attr(feature = "docs", schemars(with = "Option<License>", extend("default" = License::default())))]
    license: Option<License>,
    /// The status text of entries.
    #[cfg_attr(feature = "docs", schemars(with = "Option<StatusText>", extend("default" = StatusText::default())))]
    status: Option<StatusText>,
}

/// The keys of a channel's `backlog`.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct BacklogKeys {
    /// Older entries are dropped, and counted.
    #[cfg_attr(feature = "docs", schemars(with = "Option<HumanDuration>", extend("default" = HumanDuration(Backlog::default().keep))))]
    keep: Option<Spanned<HumanDuration>>,
    /// The space on the disk for the channel's waiting entries. When it is full, the oldest are dropped, and counted.
    #[cfg_attr(feature = "docs", schemars(with = "Option<Size>", extend("default" = Size(Backlog::default().max_size), "x-range" = Size(LEAST_SIZE).or_more())))]
    max_size: Option<Spanned<Size>>,
    /// Neighbouring entries within this time are merged before entries are dropped for `max_size`. Where the slots
    /// leave no time to catch up, merging begins at once. A mean stays a mean, a sum a sum. Without this key nothing is
    /// merged.
    #[cfg_attr(feature = "docs", schemars(with = "Option<HumanDuration>", extend("examples" = [HumanDuration(Duration::from_secs(300))])))]
    thin: Option<Spanned<HumanDuration>>,
}

impl Draft {
    /// The slot's length.
    pub(super) fn slot(&self) -> Duration {
        self.every.as_ref().map_or(EVERY, |written| written.get_ref().0)
    }

    /// The channel of a map without faults.
    pub(super) fn into_channel(self) -> Option<Channel> {
        let every = self.slot();
        Some(Channel {
            name: self.name.into_inner(),
            id: self.id?.into_inner(),
            device: self.device?,
            every,
            confirm: self.confirm,
            license: self.license,
            backlog: self.backlog,
            status: self.status,
            // Counted when the whole map is read.
            load: Load::default(),
            messages_a_year: 0,
        })
    }
}

/// Reads the channels in the order of the text.
pub(super) fn read(node: Option<Node<'_>>, devices: &[devices::Draft], findings: &mut Findings) -> Vec<Draft> {
    let named = Table::named(node, "channel", findings);
    named.into_iter().map(|named| channel(named, devices, findings)).collect()
}

fn channel(named: Named<'_>, devices: &[devices::Draft], findings: &mut Findings) -> Draft {
    let Named { name, mut table } = named;
    check_name(&name, findings);
    let entry_keys = ENTRY_KEYS.into_iter().filter(|key| table.has(key)).map(|key| (key, table.span_of(key))).collect();
    let header = table.span().clone();
    let id_was_written = table.means("id");
    let backlog = backlog(table.take("backlog"), findings);
    let keys: Keys = table.read(findings).unwrap_or_default();
    match &keys.id {
        Some(id) if id.get_ref().0 == 0 => {
            findings.fault(
                &id.span(),
                "a channel's number cannot be 0",
                "it is at the top of the channel's page on ThingSpeak",
            );
        }
        Some(id) if id.get_ref().0 > LARGEST_ID => {
            findings.fault(
                &id.span(),
                "too long for a channel's number",
                "it is at the top of the channel's page on ThingSpeak",
            );
        }
        None if !id_was_written => findings.fault(
            &header,
            "a channel needs its number",
            "add `id = …`: it is at the top of the channel's page on ThingSpeak",
        ),
        _ => {}
    }
    Draft {
        name,
        id: keys.id,
        device: device(keys.device, &header, devices, findings),
        every: keys.every,
        entry_keys,
        confirm: keys.confirm.unwrap_or_default(),
        license: keys.license.unwrap_or_default(),
        backlog,
        status: keys.status.unwrap_or_default(),
    }
}

fn device(
    written: Option<Spanned<String>>,
    header: &Range<usize>,
    devices: &[devices::Draft],
    findings: &mut Findings,
) -> Option<usize> {
    let names: Vec<&str> = devices.iter().map(|device| device.name.get_ref().as_str()).collect();
    match (written, devices.len()) {
        (Some(written), _) => {
            let found = names.iter().position(|name| *name == written.get_ref());
            if found.is_none() {
                let message = format!("there is no device `{}`", written.get_ref());
                findings.fault(&written.span(), message, words::one_of(written.get_ref(), &names));
            }
            found
        }
        (None, 1) => Some(0),
        (None, 0) => {
            findings.fault(
                header,
                "this channel needs an MQTT device",
                "add `[device.NAME]` with `credentials = \"mqtt_credentials.txt\"`",
            );
            None
        }
        (None, _) => {
            let help = format!("add `device = …`, one of {}", words::list(&names));
            findings.fault(header, "with several devices, a channel needs `device`", help);
            None
        }
    }
}

fn backlog(node: Option<Node<'_>>, findings: &mut Findings) -> Backlog {
    let keys: BacklogKeys = node
        .and_then(|node| Table::of(node, "backlog", findings))
        .and_then(|table| table.read(findings))
        .unwrap_or_default();
    let default = Backlog::default();
    Backlog {
        keep: keys.keep.and_then(|written| positive("keep", &written, findings)).unwrap_or(default.keep),
        max_size: match keys.max_size {
            Some(written) if written.get_ref().0 < LEAST_SIZE => {
                findings.fault(&written.span(), "`max_size` is at least 4KiB", "");
                default.max_size
            }
            Some(written) => written.into_inner().0,
            None => default.max_size,
        },
        thin: keys.thin.and_then(|written| positive("thin", &written, findings)),
        // Whether it drains is known when all routes are (Settings::tell_what_drains).
        drains: default.drains,
    }
}

/// An entry has up to 3000 bytes (docs/thingspeak.md, payload): less would hold none.
const LEAST_SIZE: u64 = 4096;

/// Reads `channel.column`, as routes and outputs write it: the index of the channel and the column.
pub(super) fn place(written: &Spanned<String>, channels: &[Draft], findings: &mut Findings) -> Option<(usize, Column)> {
    const COLUMNS: [&str; 11] =
        ["field1", "field2", "field3", "field4", "field5", "field6", "field7", "field8", "lat", "long", "elevation"];
    let (span, text) = (written.span(), written.get_ref());
    let mut names = channels.iter().map(|channel| channel.name.get_ref().as_str());
    let Some((channel, column)) = text.rsplit_once('.') else {
        let example = names.next().unwrap_or("channel");
        let column = if Column::parse(text).is_some() { text } else { "field1" };
        findings.fault(&span, format!("`{text}` is not a column of a channel"), format!("write `{example}.{column}`"));
        return None;
    };
    let index = names.clone().position(|name| name == channel);
    if index.is_none() {
        let help = match words::one_of(channel, &names.collect::<Vec<_>>()) {
            help if help.is_empty() => format!("add `[channel.{channel}]` with its `id`"),
            help => help,
        };
        findings.fault(&span, format!("there is no channel `{channel}`"), help);
    }
    let parsed = Column::parse(column);
    if parsed.is_none() {
        let number = column.strip_prefix("field").is_some_and(|digits| digits.parse::<u64>().is_ok());
        let help = if number { "a channel has field1 to field8".to_owned() } else { words::one_of(column, &COLUMNS) };
        findings.fault(&span, format!("a channel has no column `{column}`"), help);
    }
    index.zip(parsed)
}
