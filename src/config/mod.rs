//! The sensor map: TOML as written → every fault at once → [`Settings`].
//!
//! [`load`] is what both `gatepost check` and `gatepost run` call. Everything a map can say is in [`Settings`]; nothing
//! behind this module reads TOML or knows a default.

mod broker;
mod bus_time;
mod channels;
mod devices;
mod diagnostic;
mod directions;
mod drafts;
mod files;
#[cfg(test)]
pub(crate) mod fixture;
mod formulas;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod kept;
mod license;
mod load;
mod metrics;
mod names;
mod others;
mod outputs;
mod pipeline;
mod plan;
mod programs;
mod proposal;
#[cfg(feature = "docs")]
pub mod reference;
pub(crate) mod registry;
mod resources;
mod rules;
mod secrets;
mod sensors;
mod spool;
mod steps;
mod subscriptions;
mod suggest;
mod syntax;
mod table;
mod values;
mod words;

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;
use toml::de::DeTable;

use self::devices::Promised;
use self::diagnostic::Findings;
use self::drafts::Drafts;
use self::files::{MapFile, Texts};
use self::load::Load;
use self::table::Table;
use crate::entry::{ChannelId, Column, Decimals, Reduce};
use crate::hal::{ClockTrust, GpioBackend};
use crate::net::Broker;
use crate::output;
use crate::pipeline::filter::{self, Step};
use crate::pipeline::slots::{Publish, StatusText};
use crate::reading::Quantity;
use crate::sensor::Kind;
use crate::spool::{Backlog, Policy};
use crate::thingspeak::credentials;
use crate::thingspeak::license::License;
use crate::uplink::{Confirm, Device};

pub use diagnostic::{Diagnostic, Source};
pub use license::Drain;
pub use metrics::Metrics;
pub use plan::Plan;

/// A checked map.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which GPIO back end to take.
    pub gpio: GpioBackend,
    /// What the wall clock needs before entries get its time.
    pub clock: ClockTrust,
    /// Where entries go.
    pub broker: Broker,
    /// How the disk is treated.
    pub spool: Policy,
    /// Who may ask over the network how things stand.
    pub metrics: Metrics,
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
    /// What its license has to bear.
    load: Load,
    /// Its share of its license's year, in messages: as large a part as it has in what the map plans. So a channel that
    /// is sent to each second catches up from as many days' savings as one that is sent to each minute.
    pub messages_a_year: u64,
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
    /// Its quantities that formulas are made of.
    pub inputs: Vec<usize>,
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

impl Route {
    /// Digits after the point that a value of its quantity is published with; `None`: all there are.
    pub fn decimals(&self, quantity: &Quantity) -> Option<Decimals> {
        filter::decimals(&self.filter, quantity.resolution, self.reduce)
    }
}

/// A good map with what is unconfirmed about it.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What the daemon will do.
    pub settings: Settings,
    /// What may surprise; rendered like faults.
    pub warnings: Vec<Diagnostic>,
    /// The map's text without its secrets, to render the warnings with.
    pub source: Source,
}

impl Checked {
    /// The warnings as people read them, with file, line and column; empty where there are none.
    pub fn render_warnings(&self) -> String {
        if self.warnings.is_empty() { String::new() } else { self.source.report(&[], &self.warnings) }
    }
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

/// A larger file is a mistake.
const LARGEST: u64 = 1 << 20;

/// What is in a regular file of at most 1 MiB. A pipe or a device is refused: it might never end, or never begin.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let metadata = fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(io::Error::other("this is a directory"));
    }
    if !metadata.is_file() {
        return Err(io::Error::other("this is not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::other("larger than 1 MiB"));
    }
    Ok(bytes)
}

/// Reads and checks the map at `path`, with the drop-ins `conf.d/*.toml` in its folder. Relative paths are relative to that folder.
///
/// # Errors
/// Every fault at once.
pub fn load(path: &Path) -> Result<Checked, LoadError> {
    load_with(path, &Promised::Nothing)
}

/// As [`load`], for who looks at the files of credentials himself: they are taken for good, whether or not they are there.
///
/// # Errors
/// Every other fault at once.
pub fn load_without_credentials(path: &Path) -> Result<Checked, LoadError> {
    load_with(path, &Promised::Everything)
}

fn load_with(path: &Path, promised: &Promised) -> Result<Checked, LoadError> {
    let unreadable = |path: &Path, error| LoadError::Unreadable { path: path.display().to_string(), error };
    let mut files = vec![map_file(path)?];
    let drop_ins = files::drop_ins(path).map_err(|error| unreadable(&path.with_file_name(files::FOLDER), error))?;
    for drop_in in drop_ins {
        files.push(map_file(&drop_in)?);
    }
    parse_files(&files, promised)
}

fn map_file(path: &Path) -> Result<MapFile, LoadError> {
    let bytes = read_file(path).map_err(|error| LoadError::Unreadable { path: path.display().to_string(), error })?;
    decode(bytes, path)
}

fn decode(bytes: Vec<u8>, path: &Path) -> Result<MapFile, LoadError> {
    match String::from_utf8(bytes) {
        Ok(text) => Ok(MapFile { path: path.to_owned(), text }),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            let fault = Diagnostic::new(&(at..at + 1), "this is not UTF-8", "save the map as UTF-8 in the editor");
            let source = Source::new([(path.display().to_string(), text.as_str())]);
            Err(LoadError::Faults(source.report(&[fault], &[])))
        }
    }
}

/// Checks `text` as if it were the map at `path`: that is the name in faults, and its folder is where relative paths start.
///
/// ```
/// use std::path::Path;
/// use gatepost::config;
///
/// let map = r#"
/// version = 1
/// [device.pi]
/// client_id = "c"
/// username = "c"
/// password = "p"
/// [channel.house]
/// id = 1234567
/// every = "20s"
/// [[sensor]]
/// name = "pi"
/// use = "system"
/// to.load1 = "house.field1"
/// "#;
/// let checked = config::parse(map, Path::new("gatepost.toml"))?;
/// assert_eq!(checked.settings.channels[0].name, "house");
///
/// let faults = config::parse(&map.replace("field1", "feild1"), Path::new("gatepost.toml")).expect_err("a typo");
/// assert!(faults.to_string().contains("did you mean `field1`?"), "{faults}");
/// # Ok::<(), config::LoadError>(())
/// ```
///
/// # Errors
/// Every fault at once.
pub fn parse(text: &str, path: &Path) -> Result<Checked, LoadError> {
    parse_with(text, path, &Promised::Nothing)
}

/// As [`parse`], before the file of credentials is where the map says: the one at `promised` is taken for good.
///
/// # Errors
/// Every other fault at once.
pub fn parse_promised(text: &str, path: &Path, promised: &Path) -> Result<Checked, LoadError> {
    parse_with(text, path, &Promised::File(promised.to_owned()))
}

fn parse_with(text: &str, path: &Path, promised: &Promised) -> Result<Checked, LoadError> {
    parse_files(&[MapFile { path: path.to_owned(), text: text.to_owned() }], promised)
}

/// Checks a map's files, the map itself first.
fn parse_files(files: &[MapFile], promised: &Promised) -> Result<Checked, LoadError> {
    let path = files.first().map_or(Path::new(""), |map| &map.path);
    let around = devices::LoadContext {
        files: files::places(files),
        folder: path.parent().unwrap_or(Path::new("")).to_owned(),
        credentials_directory: credentials::directory(),
        promised: promised.clone(),
    };
    let source = Source::new(files.iter().map(|file| (file.path.display().to_string(), file.text.as_str())));
    let mut findings = Findings::default();
    let texts = Texts::new(files);
    let (root, spoilt) = texts.read(&mut findings);
    let syntax = findings.faults.len();
    let read = read(root, &around, &source, files, &mut findings);
    let Findings { mut faults, mut warnings } = findings;
    // What was read from a line that is no TOML says nothing about the map.
    let own = faults.split_off(syntax);
    faults.extend(own.into_iter().filter(|fault| !spoilt.contains(fault.span.start)));
    faults.sort_by_key(|fault| (fault.span.start, fault.span.end));
    faults.dedup();
    warnings.sort_by_key(|warning| (warning.span.start, warning.span.end));
    match read {
        Some(settings) if faults.is_empty() => Ok(Checked { settings, warnings, source }),
        _ => Err(LoadError::Faults(source.report(&faults, &warnings))),
    }
}

/// Reads the sections of a map. `None` only with faults.
fn read(
    root: DeTable<'_>,
    around: &devices::LoadContext,
    source: &Source,
    files: &[MapFile],
    findings: &mut Findings,
) -> Option<Settings> {
    let mut root = Table::root(root);
    let has_version = root.means("version");
    let general = root.split(&["version", "gpio", "clock"]);
    let broker = broker::read(root.take("broker"), &around.folder, findings);
    let spool = spool::read(root.take("spool"), findings);
    let metrics = metrics::read(root.take("metrics"), findings);
    let devices = devices::read(root.take("device"), around, findings);
    let channels = channels::read(root.take("channel"), &devices, findings);
    let sensors = sensors::read(root.take("sensor"), &channels, &around.folder, findings);
    let outputs = outputs::read(root.take("output"), &channels, findings);
    root.finish(findings);
    let General { gpio, clock, .. } = general_keys(general, has_version, findings);

    let drafts = Drafts { devices, channels, sensors, outputs };
    rules::check(&drafts, source, findings);
    programs::check(&drafts, files, findings);
    let inputs = formulas::inputs(&drafts);
    let Drafts { devices, channels, sensors, outputs } = drafts;

    let ids: Vec<_> = channels.iter().filter_map(|channel| channel.id.as_ref().map(|id| *id.get_ref())).collect();
    let names: Vec<_> = outputs.iter().map(|output| output.name.get_ref().clone()).collect();
    let channels = channels.into_iter().map(channels::Draft::into_channel).collect::<Option<Vec<_>>>()?;
    let sensors = sensors.into_iter().zip(inputs);
    let sensors = sensors.map(|(sensor, inputs)| sensor.into_sensor(inputs, &channels)).collect::<Option<_>>()?;
    let mut settings = Settings {
        gpio,
        clock,
        broker,
        spool,
        metrics,
        devices: devices.into_iter().map(devices::Draft::into_device).collect::<Option<_>>()?,
        channels,
        sensors,
        outputs: outputs.into_iter().map(|output| output.into_settings(&ids, &names)).collect::<Option<_>>()?,
    };
    settings.count_loads();
    Some(settings)
}

/// The keys above all sections.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "docs", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct General {
    /// The version of the map's format, on the first line.
    #[cfg_attr(feature = "docs", schemars(with = "u64", range(min = VERSION, max = VERSION), extend("examples" = [VERSION])))]
    version: Option<Spanned<u64>>,
    /// The driver of the pins.
    #[serde(default)]
    gpio: GpioBackend,
    /// When this machine's clock counts as set. Until then entries wait; they get their times afterwards.
    #[serde(default)]
    clock: ClockTrust,
}

/// The version of the map's form that this gatepost reads.
const VERSION: u64 = 1;

fn general_keys(table: Table<'_>, has_version: bool, findings: &mut Findings) -> General {
    let keys: General = table.read(findings).unwrap_or_default();
    match &keys.version {
        Some(version) if *version.get_ref() != VERSION => {
            let message =
                format!("this gatepost reads version {VERSION} of the map's format, not {}", version.get_ref());
            findings.fault(
                &version.span(),
                message,
                "write `version = 1`, or install a gatepost that reads the other \
                                                      version",
            );
        }
        None if !has_version => {
            findings.fault(&(0..0), "missing `version = 1`", "write `version = 1` on the first line");
        }
        _ => {}
    }
    keys
}

#[cfg(test)]
mod tests;
