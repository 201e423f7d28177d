//! `gatepost scan`: what this machine has that a map could name.

use std::process::ExitCode;

use gatepost::hal::{GpioBackend, Hal};
use gatepost::scan::{self, Found};

/// Options of `scan`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Print JSON; `gatepost init --found FILE` reads it on another machine
    #[arg(long)]
    json: bool,

    /// Scan every I2C bus, even those of a mainboard or a screen
    #[arg(long)]
    all_buses: bool,
}

/// Exit code 0, whatever is found: a machine with nothing is no error.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let found = look(args.all_buses)?;
    let text = if args.json { serde_json::to_string_pretty(&found)? + "\n" } else { found.to_string() };
    super::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Looks at this machine.
pub(super) fn look(all_buses: bool) -> anyhow::Result<Found> {
    let hal = Hal::real(GpioBackend::Auto)?;
    Ok(scan::scan(&hal, all_buses))
}
