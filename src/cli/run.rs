//! `gatepost run`: the daemon.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use gatepost::config::{self, LoadError};
use gatepost::daemon::event::{Event, Observer};
use gatepost::daemon::{Daemon, journal, systemd};
use gatepost::hal::Hal;
use gatepost::hal::sim::Sim;
use gatepost::uplink::session::Tuning;

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

    /// Log each entry too
    #[arg(long, short)]
    verbose: bool,
}

/// Exit code 0 after a stop, 78 for a map with faults, 1 for everything else.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    journal::start(if args.verbose { log::LevelFilter::Debug } else { log::LevelFilter::Info });
    let checked = match config::load(&args.config) {
        Ok(checked) => checked,
        Err(LoadError::Faults(text)) => {
            eprintln!("{text}");
            return Ok(ExitCode::from(super::EXIT_CONFIG));
        }
        Err(unreadable @ LoadError::Unreadable { .. }) => {
            return Err(unreadable).context("cannot read the map (name it: gatepost run --config FILE)");
        }
    };
    let warnings = checked.render_warnings();
    if !warnings.is_empty() {
        eprintln!("{warnings}");
    }
    let settings = checked.settings;
    super::block_on(async {
        // The signals are taken before the first output moves, so that none is missed.
        let stop = super::stop_signal()?;
        let hal = if args.simulate {
            let sim = Sim::new(args.pins.clone()).context("the directory for the pins")?;
            for sensor in &settings.sensors {
                sensor.kind.device().simulate(&sim);
            }
            sim.hal()
        } else {
            Hal::real(settings.gpio)?
        };
        let observer = both(journal::observer(&settings), systemd::observer(&settings));
        Daemon { settings, hal, observer, tuning: Tuning::default() }.run(stop).await?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Tells both.
fn both(first: Observer, second: Observer) -> Observer {
    Arc::new(move |event: &Event<'_>| {
        first(event);
        second(event);
    })
}
