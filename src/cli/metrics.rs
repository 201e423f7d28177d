//! `gatepost metrics`: how a running daemon stands, for Prometheus.

use std::io::{self, Write as _};
use std::process::ExitCode;

use super::ask::{EXIT_NO_DAEMON, Where};

/// Options of `metrics`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    place: Where,
}

/// Exit code 0, or 3 when no daemon answers.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match args.place.ask("/metrics") {
        Ok(text) => {
            super::unless_closed(io::stdout().write_all(text.as_bytes()))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            super::complain(&format!("gatepost: {error}"));
            Ok(ExitCode::from(EXIT_NO_DAEMON))
        }
    }
}
