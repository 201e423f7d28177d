//! What can be lost, what is kept of an outage, and what the disk has to bear: in figures of the map at hand.

use std::fmt::Write as _;
use std::time::Duration;

use humantime::format_duration;

use super::columns::Columns;
use crate::config::{Channel, Settings, license};
use crate::entry::{Cell, Cells, Column, Decimals, Form, Reduce, UntimedEntry};
use crate::pipeline::slots::Publish;
use crate::spool::size_in_words;
use crate::spool::{Durability, entry_size};
use crate::state;
use crate::time::Mono;

const DAY: Duration = Duration::from_secs(86_400);

/// What a kill and a power cut cost, and how much of an outage is kept.
pub(super) fn losses(settings: &Settings) -> String {
    let mut text = String::new();
    let mut table = Columns::new(["channel", "a power cut costs", "in an outage", "of an outage is kept", "then"]);
    for (channel, bytes) in fed(settings) {
        let wait = settings.spool.unwritten_for();
        // The open slot, and with it what waits to be written; with a healthy link the entry before has its acknowledgement by then.
        let outage = channel.every + wait;
        let healthy = outage.min(channel.every * 2);
        table.row([
            channel.name.clone(),
            format!("up to {}", format_duration(healthy)),
            format!("up to {}", format_duration(outage)),
            kept(channel, bytes),
            beyond(channel, bytes),
        ]);
    }
    let table = table.finish();
    if !table.is_empty() {
        text.push_str("kill -9, or a crash of the daemon, costs at most one reading of each sensor");
        let counters = settings.sensors.iter().filter(|sensor| sensor.kind.device().total().is_some());
        let counters: Vec<_> =
            counters.map(|sensor| format!("{}, read every {}", sensor.name, format_duration(sensor.every))).collect();
        if !counters.is_empty() {
            let _ = write!(text, ";\nfor a counter, the pulses since its last read ({})", counters.join("; "));
        }
        text.push_str(".\n");
        text.push_str(&table);
    }
    if settings.keeps_totals() {
        let every = format_duration(state::TOTALS_EVERY);
        let _ = writeln!(text, "A power cut costs up to {every} of totals and switch times.");
    }
    text
}

/// How long an outage is kept, as far as its age or its size allows.
fn kept(channel: &Channel, bytes: u64) -> String {
    let backlog = &channel.backlog;
    let updates = channel.load.updates_a_slot;
    let by_age = entries_by_age(channel);
    let by_size = backlog.max_size / bytes;
    let entries = by_age.min(by_size);
    let lasts = if by_age <= by_size {
        backlog.keep
    } else {
        // To the minute: the size of an entry is not known better.
        let seconds = channel.every.as_secs() * by_size / u64::from(updates.max(1));
        Duration::from_secs(seconds / 60 * 60)
    };
    let lasts = format_duration(lasts).to_string().replace("day", " day");
    format!("{lasts} ({entries} entries, {})", size_in_words(entries * bytes))
}

/// What becomes of entries that are too old, or have no more room.
fn beyond(channel: &Channel, bytes: u64) -> String {
    let backlog = &channel.backlog;
    let dropped = "the oldest are dropped, and counted";
    let Some(within) = backlog.thin.map(format_duration) else { return dropped.to_owned() };
    let room = backlog.max_size / 4 * 3;
    if !backlog.drains {
        format!("neighbouring entries within {within} are merged at once; {dropped}")
    } else if entries_by_age(channel) * bytes > room {
        format!("from {} on neighbouring entries within {within} are merged; {dropped}", size_in_words(room))
    } else {
        format!("{dropped}; there is room for all, so nothing is merged")
    }
}

/// How many entries the channel makes until they are too old to be kept.
fn entries_by_age(channel: &Channel) -> u64 {
    let slots = channel.backlog.keep.as_secs() / channel.every.as_secs().max(1);
    slots * u64::from(channel.load.updates_a_slot)
}

/// What is written to the disk, with and without a link.
pub(super) fn wear(settings: &Settings) -> String {
    let mut table = Columns::new(["channel", "bytes an entry", "entries a day", "bytes a day", "writes a day"]);
    let is_hasty = settings.spool.durability == Durability::Always;
    for (channel, bytes) in fed(settings) {
        let load = channel.load;
        let entries = load.a_day();
        let writes = entries.div_ceil(settings.spool.group_of(channel.every, load.updates_a_slot));
        table.row([
            channel.name.clone(),
            bytes.to_string(),
            entries.to_string(),
            size_in_words(entries * bytes + writes * crate::spool::GROUP_SIZE),
            writes.to_string(),
        ]);
    }
    let table = table.finish();
    let mut text = String::new();
    if !table.is_empty() {
        text.push_str(if is_hasty {
            "Every entry is written at once (durability = \"always\"):\n"
        } else {
            "With a healthy link no entry is written: 0 bytes a day. In an outage:\n"
        });
        text.push_str(&table);
    }
    let page = settings.kept_size();
    if settings.keeps_totals() {
        let writes = DAY.as_secs().div_ceil(state::TOTALS_EVERY.as_secs());
        let bytes = size_in_words(state::bytes_per_day(page));
        let _ =
            writeln!(text, "Totals and switch times: at most {writes} writes a day, {bytes}, and one at each stop.");
    } else if page > 0 {
        let bytes = size_in_words(page as u64);
        let _ = writeln!(text, "At each stop, and in a channel's first hour: one write of up to {bytes}.");
    }
    if !text.is_empty() {
        text.push_str("The file system adds its own data to each write.\n");
    }
    text
}

/// The channels that are published to, and what an entry of each takes in the log.
fn fed(settings: &Settings) -> Vec<(&Channel, u64)> {
    let mut values: Vec<Vec<Value>> = vec![Vec::new(); settings.channels.len()];
    for sensor in &settings.sensors {
        for route in &sensor.routes {
            values[route.channel].push((route.column, route.publish, sensor.every, route.reduce));
        }
    }
    for (id, column) in settings.outputs.iter().filter_map(|output| output.report) {
        if let Some(place) = settings.channels.iter().position(|channel| channel.id == id) {
            let every = settings.channels[place].every;
            values[place].push((column, license::REPORT, every, Reduce::Last));
        }
    }
    let channels = settings.channels.iter().zip(values).filter(|(channel, _)| settings.feeds(channel));
    channels.map(|(channel, values)| (channel, bytes_an_entry(channel, &values))).collect()
}

/// Where a value goes, when, how often it is read, and how a slot's readings become one.
type Value = (Column, Publish, Duration, Reduce);

/// What an entry of a channel takes in the log: the mean over those of a slot, with all values there and no status.
fn bytes_an_entry(channel: &Channel, values: &[Value]) -> u64 {
    let (mut together, mut entries) = (Cells::default(), Vec::new());
    for &(column, publish, every, reduce) in values {
        let readings = channel.every.as_secs().checked_div(every.as_secs()).unwrap_or(1);
        let count = u32::try_from(readings).unwrap_or(u32::MAX).max(1);
        let cell = Some(Cell { decimals: Some(Decimals::UpTo(2)), ..Cell::new(1.0, count, reduce) });
        match publish {
            Publish::Field => {
                let mut alone = Cells::default();
                alone[column.index()] = cell;
                entries.push((alone, Form::Field));
            }
            Publish::Slot | Publish::OnChange => together[column.index()] = cell,
        }
    }
    if together.iter().any(Option::is_some) {
        entries.push((together, Form::Feed));
    }
    let count = entries.len() as u64;
    // After a month of running, which is when such numbers have grown to their usual length.
    let end = Mono::new(DAY * 30);
    let entry = |(cells, form)| UntimedEntry { channel: channel.id, end, cells, status: None, form };
    let sizes = entries.into_iter().map(|parts| entry_size(entry(parts)) as u64);
    sizes.sum::<u64>().div_ceil(count.max(1)).max(1)
}
