//! The sensor map: TOML as written → every fault at once → [`Settings`].
//!
//! [`load`] is what both `gatepost check` and `gatepost run` call. Everything a map can say is in [`Settings`]; nothing
//! behind this module reads TOML or knows a default.

use std::path::Path;
use std::time::Duration;

use crate::batch::{Publish, StatusText};
use crate::entry::{ChannelId, Column, Reduce};
use crate::filter::Step;
use crate::hal::GpioBackend;
use crate::output;
use crate::sensor::Kind;
use crate::spool::Backlog;
use crate::thingspeak::license::License;
use crate::uplink::{Broker, Confirm, Device};

/// A checked map.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which GPIO back end to take.
    pub gpio: GpioBackend,
    /// Where entries go.
    pub broker: Broker,
    /// The MQTT devices, in the map's order.
    pub devices: Vec<Device>,
    /// The channels, in the map's order.
    pub channels: Vec<Channel>,
    /// The sensors, in the map's order.
    pub sensors: Vec<Sensor>,
    /// The outputs, in the map's order.
    pub outputs: Vec<output::Settings>,
}

/// A channel of the map.
#[derive(Clone, Debug, PartialEq)]
pub struct Channel {
    /// The map's name for it.
    pub name: String,
    /// ThingSpeak's number.
    pub id: ChannelId,
    /// Index of the MQTT device that serves it.
    pub device: usize,
    /// The slot's length.
    pub every: Duration,
    /// What frees an entry.
    pub confirm: Confirm,
    /// Its limits.
    pub license: License,
    /// How much of an outage is kept.
    pub backlog: Backlog,
    /// What its status column says.
    pub status: StatusText,
}

/// A sensor of the map.
#[derive(Clone, Debug, PartialEq)]
pub struct Sensor {
    /// The map's name for it.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// How often it is read.
    pub every: Duration,
    /// How long a read may take, or a stream be silent.
    pub timeout: Duration,
    /// Where its quantities go.
    pub routes: Vec<Route>,
}

/// Where a quantity goes, and how it is treated on the way.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Index into the device's quantities.
    pub quantity: usize,
    /// Index of the channel.
    pub channel: usize,
    /// Its column.
    pub column: Column,
    /// How a slot's readings become one value.
    pub reduce: Reduce,
    /// When it goes out.
    pub publish: Publish,
    /// What happens to each reading before.
    pub filter: Vec<Step>,
}

/// A good map with what is doubtful about it.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What the daemon will do.
    pub settings: Settings,
    /// What may surprise; rendered like faults.
    pub warnings: Vec<Diagnostic>,
}

/// A fault or warning with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Byte range in the map's text.
    pub span: std::ops::Range<usize>,
    /// What is wrong, in words.
    pub message: String,
    /// What to do, such as the key that was probably meant.
    pub help: Option<String>,
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("{path}: {error}")]
    Unreadable {
        /// The map's path.
        path: String,
        /// The system's words.
        error: std::io::Error,
    },
    /// The map has faults; the text shows every one with file, line, column and caret.
    #[error("{0}")]
    Faults(String),
}

/// Reads and checks the map at `path`. Relative paths in it are relative to its folder.
///
/// # Errors
/// Every fault at once.
pub fn load(path: &Path) -> Result<Checked, LoadError> {
    todo!("{}", path.display())
}
