//! `gatepost run`: the daemon.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use gatepost::config::{self, LoadError, Settings};
use gatepost::daemon::event::{Event, Observer};
use gatepost::daemon::{Daemon, Folders, Prepare, Reload, journal, systemd};
use gatepost::hal::Hal;
use gatepost::hal::sim::Sim;
use gatepost::status::SOCKET;
use gatepost::store::storage::Folder;
use gatepost::uplink::session::Tuning;
use tokio::sync::Notify;

use super::directories::{self, Directories};

/// Options of `run`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The sensor map
    #[arg(long, short, value_name = "FILE", default_value = "/etc/gatepost/gatepost.toml")]
    config: PathBuf,

    /// Run the map, unchanged, on simulated hardware
    #[arg(long)]
    simulate: bool,

    /// With --simulate: keep the pins as files in this directory (`echo 0 > DIR/GPIO22` pushes a button to ground), and the
    /// clock (`echo unsynchronised > DIR/clock` plays a boot without the right time)
    #[arg(long, value_name = "DIR", requires = "simulate")]
    pins: Option<PathBuf>,

    /// Where entries wait that were just made: a directory in memory (by default systemd's, or that of the user's session)
    #[arg(long, value_name = "DIR")]
    runtime_dir: Option<PathBuf>,

    /// Where entries wait that stay: a directory on the disk (by default systemd's, or the user's)
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,

    /// Log each entry too
    #[arg(long, short)]
    verbose: bool,
}

/// Exit code 0 after a stop, 78 for a map with faults, 1 for everything else.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    keep_to_itself();
    directories::keep_files_private();
    let _end = journal::start(if args.verbose { log::LevelFilter::Debug } else { log::LevelFilter::Info });
    let checked = match config::load(&args.config) {
        Ok(checked) => checked,
        Err(LoadError::Faults(text)) => {
            super::complain(&text);
            return Ok(ExitCode::from(super::EXIT_CONFIG));
        }
        Err(unreadable @ LoadError::Unreadable { .. }) => {
            return Err(super::unreadable_map(unreadable, "gatepost run --config FILE"));
        }
    };
    let warnings = checked.render_warnings();
    if !warnings.is_empty() {
        super::complain(&warnings);
    }
    let settings = checked.settings;
    super::block_on(async {
        // The signals are taken before the first output moves, so that none is missed.
        let bell = Arc::new(Notify::new());
        let stop = super::stop_signal(Arc::clone(&bell))?;
        let (hal, prepare): (Hal, Prepare) = if args.simulate {
            let sim = Sim::new(args.pins.clone()).context("the directory for the pins")?;
            let hal = sim.hal();
            let prepare = move |settings: &Settings| {
                for sensor in &settings.sensors {
                    sensor.kind.device().simulate(&sim);
                }
            };
            prepare(&settings);
            (hal, Box::new(prepare))
        } else {
            (Hal::real(settings.gpio)?, Box::new(|_| ()))
        };
        let reload = Some(Reload { map: args.config.clone(), bell, prepare });
        let observer = both(journal::observer(), systemd::observer());
        let (folders, socket) = folders(args)?.unzip();
        let tuning = Tuning::default();
        Daemon { settings, hal, folders, socket, observer, tuning, reload }.run(stop).await?;
        Ok(ExitCode::SUCCESS)
    })
}

/// No core dump of this process is written, and no other process of its user looks into its memory: the password is there.
fn keep_to_itself() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable) {
        // Only a kernel that does not know the call refuses it; the unit's limit holds there.
        log::debug!(error:%; "core dumps cannot be switched off: {error}");
    }
}

/// Where the daemon keeps its entries, and its socket. Simulated ones are kept only where that is asked for: they must not
/// end up among those of the service.
fn folders(args: &Args) -> anyhow::Result<Option<(Folders, PathBuf)>> {
    let is_asked_for = args.runtime_dir.is_some() && args.state_dir.is_some();
    if args.simulate && !is_asked_for {
        anyhow::ensure!(
            args.runtime_dir.is_none() && args.state_dir.is_none(),
            "a simulated run keeps its entries only where both --runtime-dir and --state-dir say: the other one would be the service's"
        );
        return Ok(None);
    }
    let Some(Directories { runtime, state }) = Directories::of(args.runtime_dir.clone(), args.state_dir.clone()) else {
        log::warn!("no directory to keep entries in: they wait in memory; --runtime-dir and --state-dir name some");
        return Ok(None);
    };
    let socket = runtime.join(SOCKET);
    // Before this run leaves anything there.
    let was_used = std::fs::read_dir(&state).is_ok_and(|mut files| files.next().is_some());
    let (runtime, state) = (Folder::new(runtime).shown(), Folder::new(state).locked_with_its_parent());
    for (name, folder) in [("runtime", &runtime), ("state", &state)] {
        let advice = "stop that one, or give this one directories of its own with --runtime-dir and --state-dir";
        if let Some(error) = directories::lock(folder, advice)? {
            log::warn!(directory:% = folder.path().display(), reason:% = error; "the {name} directory cannot be used: {error}");
        }
    }
    Ok(Some((Folders { runtime: Arc::new(runtime), state: Arc::new(state), was_used }, socket)))
}

/// Tells both.
fn both(first: Observer, second: Observer) -> Observer {
    Arc::new(move |event: &Event<'_>| {
        first(event);
        second(event);
    })
}
