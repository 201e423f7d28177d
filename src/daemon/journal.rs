//! The log: to the journal under systemd, to the terminal elsewhere. Edges only, each in one sentence.
//!
//! The sentence says all by itself, since `systemctl status` and a terminal show nothing else; the journal keeps the
//! fields too, for `journalctl SENSOR=tank` and the like. How much each cause may write is bounded (`causes`).

mod causes;
mod logger;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use log::{debug, error, info, warn};

use crate::config::Settings;
use crate::daemon::event::{Event, Observer, Wait, Waiting};
use crate::daemon::heartbeat::Stuck;
use crate::entry::ChannelId;
use crate::net::failure::Kind;
use crate::pipeline::HealthChange;
use crate::pipeline::saved::Restored;
use crate::spool::{self, Damaged, Found, SpoolEvent};
use crate::uplink::session::{SessionEvent, Tally, in_words};

pub(in crate::daemon) use logger::look;
pub use logger::{End, start};

/// An observer that writes the log.
pub fn observer() -> Observer {
    let (names, dropped) = (Mutex::default(), Mutex::default());
    Arc::new(move |event| {
        let mut names: MutexGuard<'_, Names> = names.lock().unwrap_or_else(PoisonError::into_inner);
        if let Event::Map(settings, _) = event {
            names.learn(settings);
        }
        log(event, &names, &dropped);
    })
}

/// Entries of a channel that are dropped in a spell are counted, and told when the first goes and when none went between
/// two acknowledgements.
#[derive(Default)]
struct Spell {
    count: usize,
    since_receipt: bool,
}

type Spells = Mutex<BTreeMap<ChannelId, Spell>>;

/// The map's names for channels. One that a new map no longer has keeps its name: its last entries are told of later.
#[derive(Default)]
struct Names {
    channels: BTreeMap<ChannelId, String>,
}

impl Names {
    fn learn(&mut self, settings: &Settings) {
        self.channels.extend(settings.channels.iter().map(|channel| (channel.id, channel.name.clone())));
    }

    fn channel(&self, id: ChannelId) -> &str {
        self.channels.get(&id).map_or("?", String::as_str)
    }

    /// With the number that the web page knows.
    fn numbered(&self, id: ChannelId) -> String {
        format!("{} ({id})", self.channel(id))
    }
}

/// What became of the entries of this run, and of those that waited for it.
fn tell_sums(counts: &spool::Counts, tally: &Tally) {
    let spool::Counts { pushed, dropped_for_age, dropped_for_size, merged, unreadable, .. } = *counts;
    let (acknowledged, unconfirmed) = (counts.acknowledged, counts.unconfirmed);
    let Tally { sent, resent, received, stored, .. } = *tally;
    let dropped = dropped_for_age + dropped_for_size + unreadable;
    info!(
        pushed, acknowledged, dropped_for_age, dropped_for_size, unreadable, unconfirmed, merged, sent, resent, received, stored;
        "stopped; {pushed} entries were made, {acknowledged} acknowledged ({stored} seen stored), {unconfirmed} unconfirmed, \
         {dropped} dropped; {sent} updates were sent, {resent} of them again"
    );
}

fn tell_waiting(waiting: usize, kept: Option<bool>) {
    match kept {
        _ if waiting == 0 => {}
        Some(true) => info!(waiting; "{waiting} entries wait for the next start"),
        Some(false) => warn!(
            waiting;
            "{waiting} entries wait for the next start, but the disk did not take all of them: do not cut the power before"
        ),
        None => error!(waiting; "{waiting} entries that were not sent are lost with the memory they were in"),
    }
}

fn tell_found(found: &Found, names: &Names) {
    for (channel, waiting) in &found.waiting {
        match names.channels.get(channel) {
            Some(channel) => {
                info!(channel = channel.as_str(), waiting; "channel {channel}: {waiting} entries wait from before");
            }
            None => warn!(
                channel = channel.0, waiting;
                "{waiting} entries wait for channel {channel}, which is not in the map: `gatepost spool` exports or drops them"
            ),
        }
    }
    for file in &found.torn {
        info!(file = file.as_str(); "{file}: the last write was cut off when the last run ended; what was whole is kept");
    }
    for Damaged { file, lost } in &found.bad {
        let entries = match lost {
            0 => "no entry is known to be lost".to_owned(),
            1 => "1 entry at most is lost".to_owned(),
            more => format!("{more} entries at most are lost"),
        };
        error!(
            file = file.as_str(), lost;
            "{file} is damaged: {entries}; what is whole in it goes on, and the file as it was stays as {file}.bad"
        );
    }
    for file in &found.sorted {
        warn!(
            file = file.as_str();
            "{file} was renamed, copied or mixed up: each of its entries goes on once, and the file as it was stays as {file}.bad"
        );
    }
    for (file, why) in &found.unreadable {
        error!(file = file.as_str(), reason = why.as_str(); "{file} cannot be read: {why}");
    }
}

fn tell_spool(told: &SpoolEvent, names: &Names) {
    match told {
        SpoolEvent::Written { channel, entries, until: Some(until) } => {
            let channel = names.channel(*channel);
            debug!(channel, entries, until:%; "channel {channel}: {entries} entries are on the disk, up to {until}");
        }
        SpoolEvent::Written { channel, entries, until: None } => {
            let channel = names.channel(*channel);
            debug!(channel, entries; "channel {channel}: {entries} entries are on the disk, up to one that waits for the clock");
        }
        SpoolEvent::Runtime(Some(why)) => warn!(
            reason = why.as_str();
            "the runtime directory cannot be written: a crash would lose what the disk does not have yet: {why}"
        ),
        SpoolEvent::Runtime(None) => info!("the runtime directory can be written again"),
        SpoolEvent::State(Some(why)) => warn!(
            reason = why.as_str();
            "the state directory cannot be written: entries wait in memory, and a power cut would lose them: {why}"
        ),
        SpoolEvent::State(None) => info!("the state directory can be written again"),
        SpoolEvent::Unreadable { file, entries, why } => error!(
            file = file.as_str(), entries, reason = why.as_str();
            "{file} can no longer be read, and {entries} entries with it: {why}"
        ),
    }
}

/// A command that waits. A second is not worth a line: the switch follows at once.
fn tell_wait(output: &str, wait: Option<&Wait>) {
    let Some(Wait { drive, left, .. }) = wait.filter(|wait| wait.left > Duration::from_secs(1)) else { return };
    let dwell = if drive.is_on() { "off" } else { "on" };
    let left = humantime::format_duration(Duration::from_secs(left.as_secs()));
    info!(
        output, level:% = drive;
        "output {output} is commanded {drive}: that waits for {left}, until its least time {dwell} is over"
    );
}

fn log(event: &Event<'_>, names: &Names, dropped: &Spells) {
    match event {
        Event::Started => info!("running"),
        Event::Reloading => info!("reading the map again"),
        Event::MapRefused(refused) => error!("the new map is refused, and the old one goes on: {refused}"),
        Event::Reloaded(changes) => info!("took the new map: {changes}"),
        Event::Stuck(Stuck { who, overdue }) => {
            let overdue = humantime::format_duration(Duration::from_secs(overdue.as_secs()));
            error!(
                who = who.as_str(), overdue:%;
                "{who} hangs, {overdue} longer than it may: what it waits for does not answer"
            );
        }
        Event::Unstuck(who) => warn!(who = *who; "{who} hung for a while, and is back"),
        Event::Stopping => info!("stopping"),
        Event::Stopped { waiting, kept, counts, tally } => {
            tell_sums(counts, tally);
            tell_waiting(*waiting, *kept);
        }
        Event::Map(..) | Event::Reading(_) | Event::Stays { .. } | Event::Restored(Restored::Nothing) => {}
        Event::Sensor { name, edge: HealthChange::Down(_, fault) } => {
            warn!(sensor = *name, reason:% = fault; "sensor {name} has nothing to say: {fault}");
        }
        Event::Sensor { name, edge: HealthChange::Up(_) } => info!(sensor = *name; "sensor {name} measures again"),
        Event::Slow { name, slow: Some(slow) } => warn!(sensor = *name; "sensor {name} is slow: {slow}"),
        Event::Slow { name, slow: None } => info!(sensor = *name; "sensor {name} is quick again"),
        Event::Closed { entry, created_at: Some(created_at), .. } => {
            let channel = names.channel(entry.channel);
            debug!(channel, created_at:%; "channel {channel}: entry of {created_at} waits");
        }
        Event::Closed { entry, created_at: None, .. } => {
            let channel = names.channel(entry.channel);
            debug!(channel; "channel {channel}: an entry waits for the clock to be set");
        }
        Event::Restored(Restored::State) => debug!("what the last run left of its slots was taken over"),
        Event::Restored(Restored::OtherBoot) => debug!("what the last run left of its slots is of another boot"),
        Event::Restored(Restored::Damaged) => {
            error!(
                "readings of the slots that were open when the last run ended are lost: what was kept of them is damaged"
            );
        }
        Event::Slots { error: Some(problem) } => {
            warn!(reason:% = problem; "open slots cannot be kept, so that a crash would lose their readings: {problem}");
        }
        Event::Slots { error: None } => info!("open slots are kept again"),
        Event::Found(found) => tell_found(found, names),
        Event::Spool(told) => tell_spool(told, names),
        Event::ClockStep(step) => warn!(
            step:%;
            "the clock of this machine was set {step}: entries from now on carry their times by it, and those of before keep theirs"
        ),
        Event::Regained { directory } => warn!(
            directory = *directory;
            "somebody removed the {directory} or its lock: it is made again, with what belongs there"
        ),
        Event::Clock(Waiting::Begins) => {
            info!("nothing has set the clock of this machine yet: entries wait for their time");
        }
        Event::Clock(Waiting::Ends) => info!("the clock is right now: entries that waited for it get their times"),
        Event::Clock(Waiting::Lasts) => warn!(
            "the clock of this machine is not set: entries wait for it. `timedatectl` says more; where there is no time \
             server, set the clock by hand and write clock = \"system\" into the map"
        ),
        Event::Dropped { channel, count, .. } => {
            let mut spells = dropped.lock().unwrap_or_else(PoisonError::into_inner);
            let spell = spells.entry(*channel).or_default();
            let name = names.channel(*channel);
            if spell.count == 0 {
                error!(channel = name; "channel {name}: entries are lost: its backlog is full, or too old; the oldest go first");
            }
            *spell = Spell { count: spell.count + count, since_receipt: true };
        }
        Event::Served { at, error: Some(problem) } => warn!(
            at = *at, reason:% = problem;
            "how things stand cannot be asked on {at}: {problem}"
        ),
        Event::Served { at, error: None } => info!(at = *at; "how things stand can be asked on {at}"),
        Event::Routes { error: None } => debug!("watching for new links, addresses and routes"),
        Event::Routes { error: Some(problem) } => info!(
            reason:% = problem; "cannot watch for new routes: {problem}. A network that comes back may be noticed a minute later"
        ),
        Event::Uplink(device, notice) => uplink(device, notice, names, dropped),
        Event::Driven { output, drive, reason, .. } => {
            info!(output = *output, level:% = drive, reason:% = reason; "output {output} is {drive}: {reason}");
        }
        Event::Waits { output, wait } => tell_wait(output, wait.as_ref()),
        Event::Refused { output, refusal } => {
            warn!(output = *output, reason:% = refusal; "a command for output {output} was refused: {refusal}");
        }
        Event::InvalidCommand { output, words } => {
            warn!(output = *output; "what came for output {output} is no command: {words}");
        }
        Event::Output { output, error: Some(problem) } => {
            error!(output = *output, reason:% = problem; "output {output} cannot be driven: {problem}");
        }
        Event::Output { output, error: None } => info!(output = *output; "output {output} can be driven again"),
    }
}

fn uplink(device: &str, notice: &SessionEvent, names: &Names, dropped: &Spells) {
    match notice {
        SessionEvent::Up { after: None } => info!(device; "device {device}: link up"),
        SessionEvent::Up { after: Some((down, tries)) } => {
            // Nobody counts the parts of a second, and "after 0s" reads like a mistake.
            let down = humantime::format_duration(Duration::from_secs(down.as_secs().max(1)));
            info!(device, down:%, tries; "device {device}: link up again after {down}");
        }
        SessionEvent::Down { failure, retry_in } if failure.kind == Kind::Login => {
            error!(device, retry_ms:? = retry_in.as_millis(); "device {device}: link down: {failure}");
        }
        SessionEvent::Down { failure, retry_in } => {
            warn!(device, retry_ms:? = retry_in.as_millis(); "device {device}: link down: {failure}");
        }
        // How the first try of its kind failed was told.
        SessionEvent::StillDown { .. } => {}
        SessionEvent::Renewed { gap } => {
            let gap_ms = u64::try_from(gap.as_millis()).unwrap_or(u64::MAX);
            info!(device, gap_ms; "device {device}: session renewed; no command could be heard for {gap_ms} ms");
        }
        SessionEvent::ColumnMissing { channel, column } => {
            let channel = names.channel(*channel);
            warn!(
                channel, column:%;
                "channel {channel}: the service stores no {column}: enable the field in the channel's settings"
            );
        }
        SessionEvent::EchoesEnded(channel) => {
            let channel = names.channel(*channel);
            warn!(
                channel;
                "channel {channel}: entries no longer come back from the service; until one does, they count as sent when the broker \
                 has read them, and what the service then drops is not seen"
            );
        }
        SessionEvent::Crowded(channel) => {
            let channel = names.channel(*channel);
            warn!(
                channel;
                "channel {channel}: others write to it as fast as the license allows; one of two updates will be dropped by \
                 the service, theirs or ours"
            );
        }
        SessionEvent::NotSubscribed { topic, why, again_in } => {
            let advice = why.advice(&names.numbered(topic.channel()));
            let again = in_words(*again_in);
            warn!(
                device, topic:%, reason:% = why;
                "device {device}: {topic} is not heard, since the broker {why}: {advice}. It is asked for again in {again}; until it is \
                 heard, commands of the channel are missed, and entries count as sent when the broker has read them"
            );
        }
        SessionEvent::Subscribed(topic) => info!(device, topic:%; "device {device}: {topic} is heard from now on"),
        SessionEvent::PublishSuspected { channel, again_in } => {
            let (channel, numbered, again) = (names.channel(*channel), names.numbered(*channel), in_words(*again_in));
            warn!(
                channel;
                "channel {channel}: the broker closed the connection again when an entry was sent: perhaps \"allow publish\" is not ticked \
                 for channel {numbered} in the MQTT device. Its entries wait and are tried again, first in {again}; other channels go on"
            );
        }
        SessionEvent::PublishAccepted(channel) => {
            let channel = names.channel(*channel);
            info!(channel; "channel {channel}: the broker takes its entries again");
        }
        SessionEvent::Sent { entry, again, live } => {
            let (channel, created_at) = (names.channel(entry.channel), entry.created_at);
            debug!(channel, created_at:%, again, live; "channel {channel}: entry of {created_at} sent");
        }
        SessionEvent::Received { channel: id, created_at } => {
            let channel = names.channel(*id);
            debug!(channel, created_at:%; "channel {channel}: entry of {created_at} received by the broker");
            end_of_drops(*id, channel, dropped);
        }
        SessionEvent::Stored { channel: id, created_at, entry_id, took } => {
            let channel = names.channel(*id);
            let entry_id = entry_id.unwrap_or_default();
            let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            debug!(channel, created_at:%, entry_id, took_ms; "channel {channel}: entry of {created_at} stored as {entry_id}");
            end_of_drops(*id, channel, dropped);
        }
        SessionEvent::Retimed { channel, from, to, seen } => {
            let channel = names.channel(*channel);
            let why = if *seen {
                "another entry has the time"
            } else {
                "the service seems to have another entry of the time"
            };
            warn!(
                channel, from:%, to:%;
                "channel {channel}: {why} {from}, and the service takes no second one: ours is sent as of {to}"
            );
        }
        SessionEvent::Unconfirmed { channel, created_at } => {
            let channel = names.channel(*channel);
            warn!(
                channel, created_at:%;
                "channel {channel}: entry of {created_at} is unconfirmed: it was sent several times and its echo did not come, so \
                 that it may be stored already; gatepost spool list shows it"
            );
        }
    }
}

fn end_of_drops(id: ChannelId, channel: &str, dropped: &Spells) {
    let mut spells = dropped.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(spell) = spells.get_mut(&id) else { return };
    if !std::mem::take(&mut spell.since_receipt) {
        let count = spell.count;
        spells.remove(&id);
        warn!(channel, count; "channel {channel}: no more entries are lost; {count} were");
    }
}
