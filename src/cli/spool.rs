//! `gatepost spool`: the entries that wait, for people.

mod discard;
mod export;
mod list;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use gatepost::config;
use gatepost::entry::ChannelId;
use gatepost::spool::{Damaged, Found, Listed, State, survey};
use gatepost::store::storage::{Folder, Storage as _};
use gatepost::time::Utc;

use super::directories::{self, Directories, SERVICE};
use super::unless_closed;

/// The map that a service has.
const MAP: &str = "/etc/gatepost/gatepost.toml";

/// Options of `spool`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show the waiting entries by channel; the daemon may be running
    List(list::Args),
    /// Write a channel's entries as CSV for its "Data Import / Export" page on ThingSpeak
    Export(export::Args),
    /// Drop a channel's entries for good; the daemon must be stopped
    Drop(discard::Args),
}

/// Exit code 0 when it was done, 1 when not.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    directories::keep_files_private();
    match &args.command {
        Command::List(args) => list::run(args),
        Command::Export(args) => export::run(args),
        Command::Drop(args) => discard::run(args),
    }?;
    Ok(ExitCode::SUCCESS)
}

/// Where to look.
#[derive(clap::Args)]
struct Where {
    #[arg(long, short, value_name = "FILE", help = format!("The sensor map, for the channels' names [default: {MAP}]"))]
    config: Option<PathBuf>,

    /// The directory in memory for recent entries, as given to `run`
    #[arg(long, value_name = "DIR")]
    runtime_dir: Option<PathBuf>,

    /// The directory on the disk for waiting entries, as given to `run`
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
}

impl Where {
    /// The directories that were given, to be given again to another command.
    fn given(&self) -> String {
        let all = [("--runtime-dir", &self.runtime_dir), ("--state-dir", &self.state_dir)];
        let given = all.iter().filter_map(|(name, folder)| Some(format!(" {name} {}", folder.as_ref()?.display())));
        given.collect()
    }

    fn open(&self) -> anyhow::Result<Place> {
        let directories = Directories::of(self.runtime_dir.clone(), self.state_dir.clone());
        let Directories { runtime, state } =
            directories.context("no directories for entries: name them with --runtime-dir and --state-dir")?;
        let names = Names::read(self.config.as_deref())?;
        // Root works in the service's directories here: nothing that the service's user put there leads out of them.
        let open = |folder| directories::of_its_owner(folder);
        Ok(Place {
            runtime: open(Folder::new(runtime).shown())?,
            state: open(Folder::new(state).locked_with_its_parent())?,
            names,
        })
    }
}

/// The directories of a daemon, and its channels' names.
struct Place {
    runtime: Folder,
    state: Folder,
    names: Names,
}

impl Place {
    /// Shows every entry.
    fn survey<E>(&self, visit: impl FnMut(Listed) -> Result<(), E>) -> Result<Found, E> {
        survey(&self.runtime, &self.state, visit)
    }

    /// The entries in numbers.
    fn summaries(&self) -> (BTreeMap<ChannelId, Summary>, Found) {
        let mut summaries: BTreeMap<ChannelId, Summary> = BTreeMap::new();
        let found = self.survey(|listed| {
            summaries.entry(listed.entry.channel).or_default().add(&listed);
            Ok::<_, std::convert::Infallible>(())
        });
        (summaries, found.unwrap_or_else(|never| match never {}))
    }

    /// That nothing is there, and where that is.
    fn nothing(&self) -> String {
        let (runtime, state) = (self.runtime.path(), self.state.path());
        let mut words = format!("no waiting entries in {} and {}", runtime.display(), state.display());
        let service = Path::new(SERVICE[0]);
        if runtime != service && service.exists() {
            words.push_str("; root can list the service's entries: sudo gatepost spool list");
        }
        words
    }

    /// What is wrong with the files, each in a line.
    fn remarks(&self, found: &Found) -> Vec<String> {
        let mut remarks = Vec::new();
        for file in &found.torn {
            remarks.push(format!(
                "{file} ends in an incomplete record: a daemon is writing it now, or a crash interrupted the write \
                 (the next start repairs it)"
            ));
        }
        for Damaged { file, lost } in &found.bad {
            let lost = counted(*lost, "entry at most is", "entries at most are");
            remarks.push(format!(
                "{file} is damaged: {lost} lost. Its intact entries are listed. The next start keeps them, and keeps \
                 a copy of the damaged file"
            ));
        }
        for file in &found.sorted {
            remarks.push(format!(
                "{file} was renamed, copied or mixed up: each of its entries counts once. The next start puts them in \
                 order"
            ));
        }
        for (file, why) in &found.unreadable {
            remarks.push(format!("{file} cannot be read: {why}"));
        }
        remarks.extend(self.copies().into_iter().map(|file| {
            format!("{}: a copy of a damaged file; it can be removed", self.state.path().join(file).display())
        }));
        remarks
    }

    /// Copies of damaged files that earlier starts kept.
    fn copies(&self) -> Vec<String> {
        let mut names = self.state.list().unwrap_or_default();
        names.retain(|name| Path::new(name).extension().is_some_and(|end| end == "bad"));
        names.sort();
        names
    }
}

/// A channel's entries in numbers.
#[derive(Default)]
struct Summary {
    /// Those that wait, for their acknowledgement or for the clock.
    waiting: usize,
    /// Those of them that wait for the clock.
    untimed: usize,
    unconfirmed: usize,
    oldest: Option<Utc>,
    newest: Option<Utc>,
    /// What those that wait take, in bytes.
    bytes: u64,
}

impl Summary {
    fn add(&mut self, listed: &Listed) {
        match listed.state {
            State::Unconfirmed => {
                self.unconfirmed += 1;
                return;
            }
            State::Untimed => self.untimed += 1,
            State::Waits => {
                self.oldest.get_or_insert(listed.entry.created_at);
                self.newest = Some(listed.entry.created_at);
            }
        }
        self.waiting += 1;
        self.bytes += listed.bytes as u64;
    }
}

/// The channels' names in the map, as far as there is one that can be read.
struct Names(BTreeMap<ChannelId, String>);

impl Names {
    /// Those of a map that was named, or of the service's where there is a good one.
    fn read(path: Option<&Path>) -> anyhow::Result<Self> {
        let checked = match config::load(path.unwrap_or(Path::new(MAP))) {
            Err(error) if path.is_some() => return Err(error).context("cannot read the map"),
            checked => checked.ok(),
        };
        let channels = checked.map(|checked| checked.settings.channels).unwrap_or_default();
        Ok(Self(channels.into_iter().map(|channel| (channel.id, channel.name)).collect()))
    }

    /// What people call a channel.
    fn of(&self, id: ChannelId) -> String {
        self.0.get(&id).map_or_else(|| format!("channel {id}"), |name| format!("{name} ({id})"))
    }

    /// The channel that somebody means: its number, or its name in the map.
    fn find(&self, text: &str) -> anyhow::Result<ChannelId> {
        let named = self.0.iter().find(|(_, name)| *name == text).map(|(id, _)| *id);
        named
            .or_else(|| text.parse().ok().map(ChannelId))
            .with_context(|| format!("the map has no channel `{text}`: name one by its number on ThingSpeak"))
    }
}

/// A number with its word: `1 entry`, `2 entries`.
fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

fn entries(number: usize) -> String {
    counted(number, "entry", "entries")
}
