//! `gatepost run`

use std::process::ExitCode;

/// Options of `run`.
#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args) -> anyhow::Result<ExitCode> {
    todo!()
}
