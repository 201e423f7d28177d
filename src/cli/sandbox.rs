//! `gatepost sandbox`

use std::process::ExitCode;

/// Options of `sandbox`.
#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args) -> anyhow::Result<ExitCode> {
    todo!()
}
