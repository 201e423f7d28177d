//! `gatepost sandbox`: the ThingSpeak look-alike as a program of its own.

mod publish;
mod serve;
mod switches;

use std::process::ExitCode;

use clap::Subcommand;

/// Options of `sandbox`.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Box<serve::Args>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve until Ctrl-C; what `gatepost sandbox` alone does, too
    Serve(Box<serve::Args>),
    /// Send one update to a running sandbox, as another MQTT device would
    Publish(publish::Args),
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.command {
        None => serve::run(&args.serve),
        Some(Command::Serve(args)) => serve::run(args),
        Some(Command::Publish(args)) => publish::run(args),
    }
}
