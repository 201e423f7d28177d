//! `gatepost sandbox`: the ThingSpeak look-alike as a subcommand. What it does is its own crate's; here stands what it says of maps.

use std::fmt::Write as _;
use std::process::ExitCode;

use thingspeak_sandbox::Transport;
pub(crate) use thingspeak_sandbox::cli::Args;
use thingspeak_sandbox::cli::{self, Program, Start};

const PROGRAM: Program =
    Program { call: "gatepost sandbox", folder: "gatepost-sandbox", device: "gatepost", client: map };

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    super::block_on(cli::run(args, &PROGRAM))
}

/// The lines of a map for the first device.
fn map(start: &Start<'_>) -> String {
    let Start { sandbox, folder, device, channels } = start;
    let port = sandbox.addr(Transport::Wss).port();
    let (ca_file, credentials) = (folder.ca_file(), folder.credentials_file(device));
    let mut text = format!(
        "\nFor a sensor map:\n\n  [broker]\n  host = \"localhost\"\n  port = {port}\n  transport = \"wss\"\n  ca_file = '{}'\n\n  \
         [device.{device}]\n  credentials = '{}'\n",
        ca_file.display(),
        credentials.display()
    );
    for channel in channels {
        let _ = write!(text, "\n  [channel.channel{channel}]\n  id = {channel}\n  every = \"20s\"\n");
    }
    text
}
