//! `gatepost check`

use std::process::ExitCode;

/// Options of `check`.
#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args) -> anyhow::Result<ExitCode> {
    todo!()
}
