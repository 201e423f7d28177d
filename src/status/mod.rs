//! How a running daemon stands: one [`Report`], of which the JSON, the text for people ([`text`]) and the metrics
//! ([`metrics`]) are three forms.
//!
//! Plain data. The daemon fills it in when somebody asks (`daemon::tracker`); it holds no secret, so that every user of the
//! machine may read it. Times that pass are seconds (`…_s`) as of the asking, measured on the boot clock; stamps are ISO 8601 in
//! UTC. A field that an older daemon does not send has its default.

pub mod metrics;
pub mod text;
pub mod watch;
mod words;

pub(crate) use words::counted;

use serde::{Deserialize, Serialize};

/// The name of the daemon's socket in its runtime directory.
pub const SOCKET: &str = "gatepost.sock";

/// Everything that can be asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// gatepost's version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// The wall clock when this was asked.
    pub asked_at: String,
    /// How long the daemon has run.
    pub uptime_s: f64,
    /// The hardware is simulated: what is published was not measured.
    pub simulated: bool,
    /// How things stand, in one line.
    pub summary: String,
    /// What is down, each in a sentence: a person may have to do something. Empty when all is well.
    pub down: Vec<String>,
    /// What is worth knowing, each in a sentence.
    pub remarks: Vec<String>,
    /// The wall clock of the machine.
    pub clock: Clock,
    /// The MQTT devices of the map.
    pub devices: Vec<Device>,
    /// The channels that are published to.
    pub channels: Vec<Channel>,
    /// The sensors of the map.
    pub sensors: Vec<Sensor>,
    /// The outputs of the map.
    pub outputs: Vec<Output>,
    /// Where entries wait.
    pub spool: Spool,
}

/// The wall clock.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Clock {
    /// It is known to be right; otherwise entries wait for it.
    pub synchronised: bool,
    /// How often it was set by more than some slots since the start.
    pub steps: u64,
    /// By how much the last time: negative where it was set back.
    pub last_step_s: Option<f64>,
    /// How long ago that was.
    pub last_step_age_s: Option<f64>,
}

/// The link of a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Link {
    /// It is made for the first time.
    #[default]
    Connecting,
    /// It stands.
    Up,
    /// It is gone, and tried again.
    Down,
    /// Nothing in the map uses the device.
    Unused,
}

/// An MQTT device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Device {
    /// The map's name for it.
    pub name: String,
    /// Its link.
    pub link: Link,
    /// For how long it has been so.
    pub since_s: f64,
    /// While it is down: why.
    pub failure: Option<String>,
    /// While it is down: how often it was tried in vain.
    pub tries: u32,
    /// While it is down: when it is tried again. 0 while that goes on.
    pub next_try_s: Option<f64>,
    /// While it is up: how old the session is.
    pub session_age_s: Option<f64>,
    /// While it is up: when the session will be renewed.
    pub renews_in_s: Option<f64>,
    /// How often the link came back.
    pub reconnects: u64,
    /// How often the session was renewed.
    pub renewals: u64,
    /// For how long no command could be heard at the last renewal.
    pub last_gap_s: Option<f64>,
}

/// What frees an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Receipt {
    /// Its echo where echoes come, the broker's answer elsewhere.
    #[default]
    Auto,
    /// Its echo on the channel's own feed.
    Stored,
    /// The broker's answer to a ping behind it: what the service then drops is not seen.
    Received,
}

/// How far an entry got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// It waits for its turn.
    #[default]
    Made,
    /// It was handed to the network.
    Sent,
    /// The broker has read it.
    Received,
    /// The service has stored it.
    Stored,
}

/// An entry.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Entry {
    /// Its time.
    pub created_at: String,
    /// How far it got.
    pub stage: Stage,
    /// How long ago that was.
    pub age_s: f64,
    /// Its number in the channel.
    pub entry_id: Option<u64>,
    /// From sending to this acknowledgement.
    pub took_s: Option<f64>,
}

/// A channel that is published to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Channel {
    /// The map's name for it.
    pub name: String,
    /// ThingSpeak's number.
    pub id: u64,
    /// What is to free an entry, as the map says.
    pub confirm: Receipt,
    /// What frees one now.
    pub confirmed_by: Receipt,
    /// The newest entry of this run.
    pub newest: Option<Entry>,
    /// The last acknowledgement of this run.
    pub ack: Option<Entry>,
    /// What waits.
    pub backlog: Backlog,
    /// What is used of the license's year.
    pub quota: Quota,
    /// Counts since the start.
    pub counts: Counts,
}

/// Entries of a channel that wait for their acknowledgement.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Backlog {
    /// How many.
    pub entries: usize,
    /// How many of them are on the disk.
    pub on_disk: usize,
    /// What they take.
    pub bytes: u64,
    /// The time of the oldest, where it is known.
    pub oldest: Option<String>,
    /// What `drains_in_s` rests on.
    pub drain: Drain,
    /// How long what waits takes to go out; none where it does not get less, or the slots leave no time.
    pub drains_in_s: Option<f64>,
}

/// What the forecast of a backlog rests on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Drain {
    /// The map's plan, once the link is up: what drained was not measured for long enough.
    #[default]
    Planned,
    /// What drained in the last half hour, or since the link came up.
    Measured,
    /// The same: nothing drained.
    Stands,
}

/// Messages and the license's year.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Quota {
    /// Messages sent since the start.
    pub sent: u64,
    /// What the map plans for a year.
    pub planned_a_year: u64,
    /// A year at the pace since the start; none in the first hour, which says little.
    pub projected_a_year: Option<u64>,
    /// What the license has for all of its channels.
    pub license_a_year: u64,
}

/// What became of a channel's entries since the start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Entries made.
    pub made: u64,
    /// Updates handed to the network, those sent again included.
    pub sent: u64,
    /// Of them, entries that were sent again.
    pub resent: u64,
    /// Updates that the broker has read.
    pub received: u64,
    /// Entries that the service has stored.
    pub stored: u64,
    /// Entries that got another second, since somebody else's row had theirs.
    pub retimed: u64,
    /// Unconfirmed entries: sent several times without an echo.
    pub unconfirmed: u64,
    /// Entries lost because they were too old.
    pub dropped_for_age: u64,
    /// Entries lost because there was no room.
    pub dropped_for_size: u64,
}

/// Trouble.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Trouble {
    /// What it is, in words.
    pub words: String,
    /// For how long.
    pub since_s: f64,
}

/// A sensor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sensor {
    /// The map's name for it.
    pub name: String,
    /// What it is, as the map's `use` says.
    pub kind: String,
    /// What is wrong.
    pub fault: Option<Trouble>,
    /// Its reads take long: so many seconds for the one that showed it.
    pub slow_read_s: Option<f64>,
    /// What it measures.
    pub quantities: Vec<Quantity>,
}

/// A quantity of a sensor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Quantity {
    /// `temperature`
    pub name: String,
    /// `°C`; empty for bare numbers.
    pub unit: String,
    /// The last value, as read, with the digits that are published of it.
    pub value: Option<f64>,
    /// The same as text.
    pub text: Option<String>,
    /// How old it is.
    pub age_s: Option<f64>,
    /// Values since the start.
    pub values: u64,
    /// Faults since the start.
    pub faults: u64,
}

/// What an output is not allowed to do for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// It goes off then.
    MaxOn,
    /// It may go on then.
    MinOff,
}

/// An output.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Output {
    /// The map's name for it.
    pub name: String,
    /// `on`, `off`, or percent; none before the start.
    pub level: Option<String>,
    /// The same from 0 to 1.
    pub fraction: Option<f64>,
    /// For how long.
    pub since_s: Option<f64>,
    /// Why, in words.
    pub reason: Option<String>,
    /// Which limit holds now.
    pub limit: Option<Limit>,
    /// For how long.
    pub limit_s: Option<f64>,
    /// The commanded level that waits for the end of `min_on` or `min_off`.
    pub next: Option<String>,
    /// For how long it still waits.
    pub next_s: Option<f64>,
    /// Why it cannot be driven.
    pub fault: Option<Trouble>,
    /// The last command that was not obeyed, and how long ago that was.
    pub refused: Option<Trouble>,
    /// How often it was driven since the start.
    pub driven: u64,
    /// Commands that were not obeyed since the start.
    pub refusals: u64,
}

/// Where entries wait.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Spool {
    /// They are kept in directories; otherwise in memory, and lost with the process.
    pub on_disk: bool,
    /// Why the runtime directory cannot be written.
    pub runtime_fault: Option<Trouble>,
    /// Why the state directory cannot be written.
    pub state_fault: Option<Trouble>,
    /// Entries that wait, of all channels of the map.
    pub waiting: usize,
    /// What they take.
    pub bytes: u64,
    /// Groups written to the disk since the start.
    pub groups: u64,
    /// Entries in them.
    pub written: u64,
    /// Entries that the spool took since the start.
    pub taken: u64,
    /// Those that left on an acknowledgement.
    pub acknowledged: u64,
    /// Those that were merged into a neighbour.
    pub merged: u64,
    /// Those lost because they were too old.
    pub dropped_for_age: u64,
    /// Those lost because there was no room.
    pub dropped_for_size: u64,
    /// Those unconfirmed and not settled by a late echo.
    pub unconfirmed: u64,
    /// Those in files that could no longer be read.
    pub unreadable: u64,
}

#[cfg(test)]
mod tests;
