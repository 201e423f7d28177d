//! What a map's parts must not do to each other: two values in one field, a name given twice, a slot that stays empty.

use std::collections::{BTreeMap, HashMap, HashSet};

use toml::Spanned;

use super::diagnostic::{Findings, Source};
use super::drafts::{Drafts, Published, elsewhere};
use super::{bus_time, channels, directions, formulas, license, outputs, resources, subscriptions};
use crate::entry::Column;
use crate::pipeline::slots::Publish;

/// Channels one MQTT device may be authorised for (docs/thingspeak.md, connection).
const CHANNELS_A_DEVICE: usize = 10;

/// Checks the parts against each other.
pub(super) fn check(drafts: &Drafts, source: &Source, findings: &mut Findings) {
    let published = published(drafts);
    names(drafts, source, findings);
    devices(drafts, source, findings);
    channel_numbers(&drafts.channels, source, findings);
    columns(&published, &drafts.channels, source, findings);
    resources::check(drafts, source, findings);
    empty_slots(drafts, findings);
    outputs::interlocks(&drafts.outputs, findings);
    commands(drafts, &published, findings);
    formulas::check(drafts, findings);
    license::rates(&drafts.channels, &published, findings);
    // What follows from a fault is not told: a misspelt name leaves something unused, a short slot spends the year.
    if findings.faults.is_empty() {
        license::quotas(&drafts.channels, &published, findings);
        subscriptions::check(drafts, &published, findings);
        unused(drafts, &published, findings);
        directions::check(drafts, findings);
        bus_time::check(drafts, findings);
    }
}

fn published(drafts: &Drafts) -> Vec<Published<'_>> {
    let routes = drafts.sensors.iter().flat_map(|sensor| {
        sensor.routes.iter().map(|written| {
            let (span, route) = (written.span(), written.get_ref());
            let (channel, column, publish) = (route.channel, route.column, route.publish);
            Published { channel, column, publish, span, by: sensor.name.get_ref() }
        })
    });
    let reports = drafts.outputs.iter().filter_map(|output| {
        let report = output.report.as_ref()?;
        let (channel, column) = *report.get_ref();
        Some(Published { channel, column, publish: license::REPORT, span: report.span(), by: output.name.get_ref() })
    });
    let mut all: Vec<_> = routes.chain(reports).collect();
    all.sort_by_key(|published| published.span.start);
    all
}

fn names(drafts: &Drafts, source: &Source, findings: &mut Findings) {
    let sensors = drafts.sensors.iter().map(|sensor| &sensor.name);
    let outputs = drafts.outputs.iter().map(|output| &output.name);
    for (what, names) in [("sensor", sensors.collect::<Vec<_>>()), ("output", outputs.collect())] {
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for name in names.into_iter().filter(|name| !name.get_ref().is_empty()) {
            match seen.get(name.get_ref().as_str()) {
                Some(first) => {
                    let message = format!("two {what}s are named `{}`", name.get_ref());
                    findings.fault(&name.span(), message, elsewhere(source, *first));
                }
                None => drop(seen.insert(name.get_ref(), name.span().start)),
            }
        }
    }
}

fn devices(drafts: &Drafts, source: &Source, findings: &mut Findings) {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for device in &drafts.devices {
        let Some(credentials) = device.source.as_ref().and_then(|source| source.read().ok()) else { continue };
        match seen.get(&credentials.client_id) {
            Some(first) => findings.fault(
                &device.source_span,
                "two devices with the same client id disconnect each other",
                format!(
                    "{}; give both channels to one device, or add a device on ThingSpeak",
                    elsewhere(source, *first)
                ),
            ),
            None => drop(seen.insert(credentials.client_id, device.source_span.start)),
        }
    }
    for (index, device) in drafts.devices.iter().enumerate() {
        let served = drafts.channels.iter().filter(|channel| channel.device == Some(index));
        if let Some(channel) = served.clone().nth(CHANNELS_A_DEVICE) {
            findings.fault(
                &channel.name.span(),
                format!(
                    "device `{}` serves {} channels, but ThingSpeak allows 10",
                    device.name.get_ref(),
                    served.count()
                ),
                "add a second MQTT device on ThingSpeak and in this map",
            );
        }
    }
}

fn channel_numbers(channels: &[channels::Draft], source: &Source, findings: &mut Findings) {
    let mut seen: BTreeMap<u64, usize> = BTreeMap::new();
    for id in channels.iter().filter_map(|channel| channel.id.as_ref()) {
        match seen.get(&id.get_ref().0) {
            Some(first) => {
                let message = format!("channel {} is in this map twice", id.get_ref());
                findings.fault(&id.span(), message, format!("{}; write the channel once", elsewhere(source, *first)));
            }
            None => drop(seen.insert(id.get_ref().0, id.span().start)),
        }
    }
}

fn columns(published: &[Published<'_>], channels: &[channels::Draft], source: &Source, findings: &mut Findings) {
    let mut seen: HashMap<(usize, Column), &Published<'_>> = HashMap::new();
    for one in published {
        let first = *seen.entry((one.channel, one.column)).or_insert(one);
        if !std::ptr::eq(first, one) {
            let channel = channels[one.channel].name.get_ref();
            findings.fault(
                &one.span,
                format!("`{channel}.{}` gets values from both `{}` and `{}`", one.column, first.by, one.by),
                format!("{}; give each its own field", elsewhere(source, first.span.start)),
            );
        }
    }
}

/// A sensor that is read less often than its channel's slots end leaves some of them empty.
fn empty_slots(drafts: &Drafts, findings: &mut Findings) {
    for sensor in &drafts.sensors {
        let Some(every) = &sensor.every else { continue };
        // What goes out when it changes leaves nothing empty: no change, no entry.
        let routes = sensor.routes.iter().map(Spanned::get_ref).filter(|route| route.publish != Publish::OnChange);
        let channels = routes.map(|route| &drafts.channels[route.channel]);
        let Some(channel) = channels.min_by_key(|channel| channel.slot()) else { continue };
        if *every.get_ref() > channel.slot() {
            let slot = humantime::format_duration(channel.slot());
            findings.warning(
                &every.span(),
                format!(
                    "this is longer than a slot of `{}` ({slot}): some of the channel's entries lack this value",
                    channel.name.get_ref()
                ),
                "read the sensor more often, or make the channel's slots longer",
            );
        }
    }
}

/// A command within the license's interval of any update of its channel, ours included, is dropped by the service.
fn commands(drafts: &Drafts, published: &[Published<'_>], findings: &mut Findings) {
    for from in drafts.outputs.iter().filter_map(|output| output.from.as_ref()) {
        let (channel, _) = *from.get_ref();
        let Some(rival) = published.iter().find(|one| one.channel == channel) else { continue };
        let channel = &drafts.channels[channel];
        findings.warning(
            &from.span(),
            format!(
                "commands may be lost: `{}` also publishes to `{}`, and ThingSpeak drops a command that arrives \
                 within {} of any update of its channel",
                rival.by,
                channel.name.get_ref(),
                humantime::format_duration(channel.license.interval()),
            ),
            "take commands from a separate channel",
        );
    }
}

fn unused(drafts: &Drafts, published: &[Published<'_>], findings: &mut Findings) {
    if drafts.sensors.is_empty() && drafts.outputs.is_empty() {
        findings.warning(
            &(0..0),
            "this map measures nothing and switches nothing",
            "add a `[[sensor]]` or an `[[output]]`",
        );
    }
    let fed: HashSet<usize> = published.iter().map(|one| one.channel).collect();
    let heard = drafts.outputs.iter().filter_map(|output| output.from.as_ref());
    let heard: HashSet<usize> = heard.map(|from| from.get_ref().0).collect();
    for (index, channel) in drafts.channels.iter().enumerate() {
        let (is_fed, is_heard) = (fed.contains(&index), heard.contains(&index));
        let name = channel.name.get_ref();
        if !is_fed && !is_heard {
            let message = format!("channel `{name}` is not used");
            findings.warning(
                &channel.name.span(),
                message,
                format!("publish something to it, such as `to.… = \"{name}.field1\"`, or remove it"),
            );
        } else if !is_fed {
            for (key, span) in &channel.entry_keys {
                let message = format!("channel `{name}` only carries commands: `{key}` does nothing");
                findings.warning(span, message, "leave it out");
            }
        }
    }
    for (index, device) in drafts.devices.iter().enumerate() {
        if drafts.channels.iter().all(|channel| channel.device != Some(index)) {
            let message = format!("device `{}` serves no channel", device.name.get_ref());
            findings.warning(&device.name.span(), message, "name it in a channel's `device`");
        }
    }
    let inputs = formulas::inputs(drafts);
    let useless =
        drafts.sensors.iter().zip(&inputs).filter(|(sensor, inputs)| sensor.routes.is_empty() && inputs.is_empty());
    for (sensor, _) in useless {
        let message = format!("sensor `{}` is not published", sensor.name.get_ref());
        findings.warning(&sensor.name.span(), message, "add `to.… = \"channel.field1\"`");
    }
}
