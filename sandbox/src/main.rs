//! The sandbox as a program of its own.

use std::process::ExitCode;

use clap::Parser as _;
use thingspeak_sandbox::cli::{self, Program};

/// A ThingSpeak look-alike for tests of MQTT clients.
#[derive(clap::Parser)]
#[command(version, about)]
struct Cli {
    #[command(flatten)]
    args: cli::Args,
}

const PROGRAM: Program =
    Program { call: "thingspeak-sandbox", folder: "thingspeak-sandbox", device: "device", client: |_| String::new() };

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    cli::run(&Cli::parse().args, &PROGRAM).await.unwrap_or_else(|error| {
        eprintln!("thingspeak-sandbox: {error:#}");
        ExitCode::FAILURE
    })
}
