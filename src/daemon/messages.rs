//! What people read of each event: one table, for the journal, the terminal and the demo; `status` takes its sentences from here too.
//!
//! A message is a sentence that says all by itself, since `systemctl status` and a terminal show nothing else, and fields, for
//! `journalctl SENSOR=tank` and `run --log json`.

mod found;
mod session;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use log::Level;
use log::kv;

use crate::config::Settings;
use crate::daemon::event::{Event, Slow, Wait, Waiting};
use crate::daemon::heartbeat::Stuck;
use crate::entry::{self, ChannelId, Decimals, Entry};
use crate::pipeline::HealthChange;
use crate::pipeline::filter;
use crate::pipeline::saved::Restored;
use crate::reading::{Reading, SensorId};
use crate::spool::{self, SpoolEvent};
use crate::status::counted;
use crate::thingspeak::update;
use crate::time::Utc;
use crate::uplink::session::Tally;

/// What a message is about: who shows them differently goes by this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// The daemon, its map and its machine.
    Daemon,
    /// A value was read.
    Reading,
    /// A sensor fails, or works again.
    Sensor,
    /// An entry was made or sent.
    Sent,
    /// An entry was acknowledged.
    Acknowledged,
    /// The connection to the broker, and what the broker and the service do.
    Link,
    /// An output and its commands.
    Output,
    /// Entries that wait, and where they are kept.
    Spool,
}

/// A field of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text.
    Text(String),
    /// A number.
    Number(u64),
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Number(number as u64)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// A sentence about what happened.
#[derive(Clone, Debug)]
pub struct Message {
    /// How important it is.
    pub level: Level,
    /// What it is about.
    pub topic: Topic,
    /// The sentence.
    pub text: String,
    /// Its fields.
    pub fields: Vec<(&'static str, Value)>,
    /// The file of the table, and the line: messages of one line say the same thing.
    pub module: &'static str,
    /// See `module`.
    pub line: u32,
}

impl kv::Source for Message {
    fn visit<'kvs>(&'kvs self, visitor: &mut dyn kv::VisitSource<'kvs>) -> Result<(), kv::Error> {
        self.fields.iter().try_for_each(|(name, value)| {
            let value = match value {
                Value::Text(text) => kv::Value::from(text.as_str()),
                Value::Number(number) => kv::Value::from(*number),
            };
            visitor.visit_pair(kv::Key::from_str(name), value)
        })
    }
}

/// A line of the table: topic, level, fields, and the sentence with the fields' names in braces.
macro_rules! message {
    ($topic:ident, $level:ident, $($field:ident $(= $value:expr)?),*; $text:literal) => {{
        $($(let $field = $value;)?)*
        let text = format!($text);
        $crate::daemon::messages::Message {
            level: log::Level::$level,
            topic: $crate::daemon::messages::Topic::$topic,
            text,
            fields: vec![$((stringify!($field), $crate::daemon::messages::Value::from($field))),*],
            module: module_path!(),
            line: line!(),
        }
    }};
    ($topic:ident, $level:ident; $text:literal) => { message!($topic, $level,; $text) };
}
use message;

/// Makes messages of events. It knows the map's names, and what has to be remembered from one event to the next.
#[derive(Debug, Default)]
pub struct Messages {
    /// The map's names for channels. One that a new map no longer has keeps its name: messages about its last entries come later.
    channels: BTreeMap<ChannelId, String>,
    sensors: BTreeMap<SensorId, (String, Vec<Shown>)>,
    /// What is on its way: at most one entry of a channel.
    sent: BTreeMap<ChannelId, (Utc, String)>,
    /// Entries that were dropped in one go.
    dropped: BTreeMap<ChannelId, Dropped>,
}

/// How a quantity is shown.
#[derive(Debug)]
struct Shown {
    name: Cow<'static, str>,
    unit: &'static str,
    decimals: Option<Decimals>,
}

/// Entries of a channel that are dropped are counted. There is a message when the first goes, and one when none went between two
/// acknowledgements.
#[derive(Debug, Default)]
struct Dropped {
    count: usize,
    since_acknowledgement: bool,
}

impl Messages {
    /// The messages of an event: usually one, often none.
    pub fn of(&mut self, event: &Event<'_>) -> Vec<Message> {
        match event {
            Event::Map(settings, ids) => {
                self.learn(settings, ids);
                Vec::new()
            }
            Event::Uplink(device, event) => self.session(device, event),
            Event::Found(found) => found::messages(found, &self.channels),
            Event::Stopped { waiting, kept, counts, tally } => {
                let mut messages = vec![sums(counts, tally)];
                messages.extend(left(*waiting, *kept));
                messages
            }
            event => self.single(event).into_iter().collect(),
        }
    }

    fn learn(&mut self, settings: &Settings, ids: &[SensorId]) {
        self.channels.extend(settings.channels.iter().map(|channel| (channel.id, channel.name.clone())));
        let sensors = ids.iter().zip(&settings.sensors).map(|(id, sensor)| {
            let quantities = sensor.kind.device().quantities().into_iter().map(|quantity| Shown {
                decimals: filter::decimals(&[], quantity.resolution, quantity.reduce),
                name: quantity.name,
                unit: quantity.unit,
            });
            (*id, (sensor.name.clone(), quantities.collect()))
        });
        self.sensors = sensors.collect();
    }

    fn channel(&self, id: ChannelId) -> &str {
        self.channels.get(&id).map_or("?", String::as_str)
    }

    fn single(&mut self, event: &Event<'_>) -> Option<Message> {
        Some(match event {
            Event::Started => message!(Daemon, Info; "running"),
            Event::Reloading => message!(Daemon, Info; "reading the map again"),
            Event::MapRefused(refused) => message!(
                Daemon, Error, reason = refused.to_string();
                "the new map is not used, and the old one stays in force: {reason}"
            ),
            Event::Reloaded(changes) => {
                message!(Daemon, Info, changes = changes.to_string(); "map reloaded: {changes}")
            }
            Event::Stuck(Stuck { who, overdue }) => message!(
                Daemon, Error, who = who.as_str(), overdue = lasting(*overdue);
                "{who} hangs: {overdue} over its limit"
            ),
            Event::Unstuck(who) => message!(Daemon, Warn, who = *who; "{who} no longer hangs"),
            Event::Stopping => message!(Daemon, Info; "stopping"),
            Event::Reading(reading) => self.reading(reading)?,
            Event::Sensor { name, edge: HealthChange::Down(_, fault) } => no_reading(name, &fault.to_string()),
            Event::Sensor { name, edge: HealthChange::Up(_) } => {
                message!(Sensor, Info, sensor = *name; "sensor {sensor}: readings again")
            }
            Event::Slow { name, slow: Some(slow) } => slow_sensor(name, slow),
            Event::Slow { name, slow: None } => {
                message!(Sensor, Info, sensor = *name; "sensor {sensor}: no longer slow")
            }
            Event::Closed { entry, created_at: Some(at), .. } => message!(
                Sent, Debug, channel = self.channel(entry.channel), created_at = at.to_string();
                "channel {channel}: entry of {created_at} made"
            ),
            Event::Closed { entry, created_at: None, .. } => message!(
                Sent, Debug, channel = self.channel(entry.channel);
                "channel {channel}: entry made; it waits until the clock is set"
            ),
            Event::Restored(Restored::State) => message!(Daemon, Debug; "the open slots of the last run go on"),
            Event::Restored(Restored::OtherBoot) => {
                message!(Daemon, Debug; "the open slots of the last run are from before the reboot and are not used")
            }
            Event::Restored(Restored::Damaged) => message!(
                Daemon, Error;
                "the file with the open slots of the last run is damaged: the readings of those slots are lost"
            ),
            Event::Slots { error: Some(error) } => message!(
                Spool, Warn, reason = error.to_string();
                "open slots cannot be saved, so a crash would lose their readings: {reason}"
            ),
            Event::Slots { error: None } => message!(Spool, Info; "open slots are saved again"),
            Event::Spool(event) => self.spool(event),
            Event::ClockStep(step) => message!(
                Daemon, Warn, step = step.to_string();
                "the clock was set {step}: entries from now on have the new time, earlier entries keep theirs"
            ),
            Event::Regained { directory } => message!(
                Spool, Warn, directory = *directory;
                "the {directory} or its lock was removed: created again, with its contents"
            ),
            Event::Clock(Waiting::Begins) => message!(Daemon, Info; "the clock is not set yet: entries wait for it"),
            Event::Clock(Waiting::Ends) => {
                message!(Daemon, Info; "the clock is set: waiting entries have their time now")
            }
            Event::Clock(Waiting::Lasts) => message!(
                Daemon, Warn;
                "the clock is still not set: entries wait for it. `timedatectl` shows why. Without a time server, set the clock by \
                 hand and write clock = \"system\" into the map"
            ),
            Event::Dropped { channel, count, .. } => self.dropped(*channel, *count)?,
            Event::Served { at, error: Some(error) } => not_served(at, &error.to_string()),
            Event::Served { at, error: None } => message!(Daemon, Info, at = *at; "status and metrics: {at}"),
            Event::Routes { error: None } => message!(Daemon, Debug; "watching for new links, addresses and routes"),
            Event::Routes { error: Some(error) } => message!(
                Daemon, Info, reason = error.to_string();
                "new routes cannot be watched: {reason}. The return of a network may be noticed up to a minute late"
            ),
            Event::Driven { .. }
            | Event::Waits { .. }
            | Event::Refused { .. }
            | Event::InvalidCommand { .. }
            | Event::Output { .. } => output(event)?,
            Event::Map(..)
            | Event::Stays { .. }
            | Event::Restored(Restored::Nothing)
            | Event::Uplink(..)
            | Event::Found(_)
            | Event::Stopped { .. } => return None,
        })
    }

    fn reading(&self, reading: &Reading) -> Option<Message> {
        let value = *reading.value.as_ref().ok()?;
        let (sensor, quantities) = self.sensors.get(&reading.sensor)?;
        let Shown { name, unit, decimals } = quantities.get(reading.quantity)?;
        let text = entry::text(value, *decimals)?;
        let gap = if unit.is_empty() || *unit == "°" { "" } else { " " };
        Some(message!(
            Reading, Debug, sensor = sensor.as_str(), quantity = name.as_ref(), value = text, unit = *unit;
            "{sensor}.{quantity} {value}{gap}{unit}"
        ))
    }

    fn spool(&self, event: &SpoolEvent) -> Message {
        match event {
            SpoolEvent::Written { channel, entries, until } => {
                let until = until.map_or_else(|| "one that waits for the clock".to_owned(), |until| until.to_string());
                let count = counted(*entries as u64, "entry", "entries");
                message!(
                    Spool, Debug, channel = self.channel(*channel), entries = *entries, until;
                    "channel {channel}: {count} on the disk, up to {until}"
                )
            }
            SpoolEvent::Runtime(Some(reason)) => message!(
                Spool, Warn, reason = reason.as_str();
                "the runtime directory cannot be written, so a crash would lose entries that are not on the disk yet: {reason}"
            ),
            SpoolEvent::Runtime(None) => message!(Spool, Info; "the runtime directory can be written again"),
            SpoolEvent::State(Some(reason)) => message!(
                Spool, Warn, reason = reason.as_str();
                "the state directory cannot be written, so a power cut would lose the entries that wait: {reason}"
            ),
            SpoolEvent::State(None) => message!(Spool, Info; "the state directory can be written again"),
            SpoolEvent::Unreadable { file, entries, why } => {
                let count = counted(*entries as u64, "entry", "entries");
                message!(
                    Spool, Error, file = file.as_str(), entries = *entries, reason = why.as_str();
                    "{file} can no longer be read, and {count} with it: {reason}"
                )
            }
        }
    }

    fn dropped(&mut self, channel: ChannelId, count: usize) -> Option<Message> {
        let dropped = self.dropped.entry(channel).or_default();
        let is_first = dropped.count == 0;
        *dropped = Dropped { count: dropped.count + count, since_acknowledgement: true };
        is_first.then(|| losing(self.channel(channel)))
    }

    /// After an acknowledgement: that no more entries are dropped, where that is so.
    fn end_of_drops(&mut self, id: ChannelId) -> Option<Message> {
        let dropped = self.dropped.get_mut(&id)?;
        if std::mem::take(&mut dropped.since_acknowledgement) {
            return None;
        }
        let dropped = self.dropped.remove(&id)?;
        let entries = counted(dropped.count as u64, "entry was", "entries were");
        Some(message!(
            Spool, Warn, channel = self.channel(id), count = dropped.count;
            "channel {channel}: no more entries are dropped; {entries}"
        ))
    }
}

/// That a channel drops entries.
pub(in crate::daemon) fn losing(channel: &str) -> Message {
    message!(
        Spool, Error, channel;
        "channel {channel}: entries are dropped, the oldest first: the backlog is full, or entries are older than `keep`"
    )
}

/// That a sensor fails.
pub(in crate::daemon) fn no_reading(sensor: &str, reason: &str) -> Message {
    message!(Sensor, Warn, sensor, reason; "sensor {sensor}: no reading: {reason}")
}

/// That status and metrics cannot be had.
pub(in crate::daemon) fn not_served(at: &str, reason: &str) -> Message {
    message!(Daemon, Warn, at, reason; "status and metrics are not available at {at}: {reason}")
}

/// Columns and values of an entry: `field1=21.5 field2=48`.
pub fn contents(entry: &Entry) -> String {
    let values = entry.values().filter_map(|(column, cell)| Some(format!("{column}={}", update::number(cell)?)));
    let mut pairs: Vec<String> = values.collect();
    pairs.extend(entry.status.iter().map(|status| format!("status={status}")));
    pairs.join(" ")
}

/// What becomes of an output and its commands.
fn output(event: &Event<'_>) -> Option<Message> {
    Some(match event {
        Event::Driven { output, drive, reason, .. } => message!(
            Output, Info, output = *output, level = drive.to_string(), reason = reason.to_string();
            "output {output}: {level} ({reason})"
        ),
        Event::Waits { output, wait } => waiting_command(output, wait.as_ref())?,
        Event::Refused { output, refusal } => message!(
            Output, Warn, output = *output, reason = refusal.to_string();
            "output {output}: command refused: {reason}"
        ),
        Event::InvalidCommand { output, words } => {
            message!(Output, Warn, output = *output, reason = words.as_str(); "output {output}: not a command: {reason}")
        }
        Event::Output { output, error: Some(error) } => message!(
            Output, Error, output = *output, reason = error.to_string(); "output {output}: cannot be driven: {reason}"
        ),
        Event::Output { output, error: None } => {
            message!(Output, Info, output = *output; "output {output}: can be driven again")
        }
        _ => return None,
    })
}

fn slow_sensor(sensor: &str, slow: &Slow) -> Message {
    message!(Sensor, Warn, sensor, reason = slow.to_string(); "sensor {sensor}: slow: {reason}")
}

/// A second is not worth a message: the switch follows at once.
fn waiting_command(output: &str, wait: Option<&Wait>) -> Option<Message> {
    let Wait { drive, left, .. } = wait.filter(|wait| wait.left > Duration::from_secs(1))?;
    let limit = if drive.is_on() { "min_off" } else { "min_on" };
    Some(message!(
        Output, Info, output, level = drive.to_string(), wait = lasting(*left), limit;
        "output {output}: the command {level} waits {wait}, until {limit} is over"
    ))
}

/// What became of the entries of this run, and of those that waited for it.
fn sums(counts: &spool::Counts, tally: &Tally) -> Message {
    let made = counted(counts.pushed, "entry", "entries");
    let updates = counted(tally.sent, "update", "updates");
    message!(
        Daemon, Info,
        pushed = counts.pushed, acknowledged = counts.acknowledged, stored = tally.stored, received = tally.received,
        unconfirmed = counts.unconfirmed, dropped = counts.dropped_for_age + counts.dropped_for_size + counts.unreadable,
        dropped_for_age = counts.dropped_for_age, dropped_for_size = counts.dropped_for_size, unreadable = counts.unreadable,
        merged = counts.merged, sent = tally.sent, resent = tally.resent;
        "stopped: {made} made, {acknowledged} acknowledged ({stored} by echo), {unconfirmed} unconfirmed, {dropped} dropped; \
         {updates} sent, {resent} of them again"
    )
}

/// The entries that are left at the stop.
fn left(waiting: usize, kept: Option<bool>) -> Option<Message> {
    let count = counted(waiting as u64, "entry", "entries");
    let wait = if waiting == 1 { "waits" } else { "wait" };
    match kept {
        _ if waiting == 0 => None,
        Some(true) => Some(message!(Spool, Info, waiting; "{count} {wait} for the next start")),
        Some(false) => Some(message!(
            Spool, Warn, waiting;
            "{count} {wait} for the next start, but the disk did not take all of them: a power cut before then loses them"
        )),
        None => {
            let lost = if waiting == 1 { "is lost: it was" } else { "are lost: they were" };
            Some(message!(Spool, Error, waiting; "{count} {lost} in memory and not sent"))
        }
    }
}

fn lasting(duration: Duration) -> String {
    humantime::format_duration(Duration::from_secs(duration.as_secs())).to_string()
}
