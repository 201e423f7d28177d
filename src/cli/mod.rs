//! One file a subcommand. This module alone names clap and anyhow.

#[cfg(unix)]
mod ask;
#[cfg(target_os = "linux")]
mod by_hand;
mod check;
#[cfg(feature = "sandbox")]
mod demo;
mod directories;
#[cfg(feature = "docs")]
mod docs;
#[cfg(target_os = "linux")]
mod doctor;
mod init;
#[cfg_attr(not(feature = "sandbox"), path = "no_look_alike.rs")]
mod look_alike;
#[cfg(unix)]
mod metrics;
mod outputs;
mod run;
#[cfg(feature = "sandbox")]
mod sandbox;
mod scan;
mod spool;
#[cfg(unix)]
mod status;

use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use gatepost::config::LoadError;
use tokio::sync::Notify;

/// The exit code for a map with faults: sysexits' EX_CONFIG, which the unit knows not to restart on.
const EXIT_CONFIG: u8 = 78;

/// Under the list of commands, for who meets them for the first time.
#[cfg(feature = "sandbox")]
const WHERE_TO_BEGIN: &str = "New to gatepost? `gatepost demo` shows it at work, without an account, a Raspberry Pi \
                              or a map.";
#[cfg(not(feature = "sandbox"))]
const WHERE_TO_BEGIN: &str = "New to gatepost? `gatepost check FILE` shows what the daemon would do with a sensor map.";

/// Sensor gateway from a Raspberry Pi to ThingSpeak over MQTT.
#[derive(Parser)]
#[command(version, about, propagate_version = true, after_help = WHERE_TO_BEGIN)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the daemon
    Run(run::Args),
    /// Check a sensor map and show what the daemon would do with it
    Check(check::Args),
    /// Find out what is wrong with this machine, the map or the connection to the broker, and how to fix it
    #[cfg(target_os = "linux")]
    Doctor(Box<doctor::Args>),
    /// Create a first sensor map from the downloaded credentials and a few answers
    Init(init::Args),
    /// List what a map can use on this machine: I2C and 1-Wire parts, serial ports, files
    Scan(scan::Args),
    /// Show the stop levels of the outputs, or set them after a crash
    Outputs(outputs::Args),
    /// Show the state of the running daemon: links, channels, sensors, outputs, waiting entries
    #[cfg(unix)]
    Status(status::Args),
    /// Print the running daemon's metrics in the Prometheus text format
    #[cfg(unix)]
    Metrics(metrics::Args),
    /// List, export or drop the waiting entries
    Spool(spool::Args),
    /// Show gatepost at work on this machine: simulated hardware, a ThingSpeak look-alike, real entries
    #[cfg(feature = "sandbox")]
    Demo(demo::Args),
    /// Run only the ThingSpeak look-alike, or publish to a running one
    #[cfg(feature = "sandbox")]
    Sandbox(sandbox::Args),
    /// Write the man pages, the shell completions, the reference of the map and its JSON schema
    #[cfg(feature = "docs")]
    #[command(hide = true)]
    Docs(docs::Args),
}

/// Parses the command line, runs the subcommand, and says in one line what went wrong.
pub(crate) fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::run(&args),
        #[cfg(target_os = "linux")]
        Command::Doctor(args) => doctor::run(&args),
        Command::Init(args) => init::run(&args),
        Command::Scan(args) => scan::run(&args),
        Command::Outputs(args) => outputs::run(&args),
        #[cfg(unix)]
        Command::Status(args) => status::run(&args),
        #[cfg(unix)]
        Command::Metrics(args) => metrics::run(&args),
        Command::Spool(args) => spool::run(&args),
        #[cfg(feature = "sandbox")]
        Command::Demo(args) => demo::run(&args),
        #[cfg(feature = "sandbox")]
        Command::Sandbox(args) => sandbox::run(&args),
        #[cfg(feature = "docs")]
        Command::Docs(args) => docs::run(&args),
    };
    done.unwrap_or_else(|error| {
        complain(&format!("gatepost: {error:#}"));
        ExitCode::FAILURE
    })
}

/// Runs one subcommand on a runtime of one thread, as the daemon promises. What still hangs in a thread afterwards, such
/// as the look-up of a name without a network, is left to the end of the process.
fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(work);
    runtime.shutdown_background();
    done
}

/// A reader that has seen enough, as with `| head`, is no fault.
fn unless_closed(written: std::io::Result<()>) -> anyhow::Result<()> {
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error).context("cannot write"),
        _ => Ok(()),
    }
}

/// Prints text as it is, for a reader that may have seen enough.
fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    unless_closed(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// Whether standard output is shown in colours: on a terminal, unless NO_COLOR is set (no-color.org).
fn has_colours() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A line beside the output. Where nobody takes it there is no other place for it.
fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// A map that cannot be read, with what to do about it; `name_it` is how another one is named.
fn unreadable_map(error: LoadError, name_it: &str) -> anyhow::Error {
    let hint = match &error {
        LoadError::Unreadable { path, error } if error.kind() == ErrorKind::NotFound => {
            let sudo = if is_of_service(Path::new(path)) { "sudo " } else { "" };
            format!("cannot read the map (create one: `{sudo}gatepost init`; use another: {name_it})")
        }
        LoadError::Unreadable { path, error } if is_denied(error) && is_of_service(Path::new(path)) => {
            "cannot read the map, which belongs to the service: run this with sudo".to_owned()
        }
        _ => format!("cannot read the map (name the file: {name_it})"),
    };
    anyhow::Error::new(error).context(hint)
}

fn is_denied(error: &std::io::Error) -> bool {
    error.kind() == ErrorKind::PermissionDenied
}

/// Whether a file is one of those that root and the group gatepost alone can read.
fn is_of_service(path: &Path) -> bool {
    path.starts_with("/etc/gatepost")
}

/// Ready when the process is asked to stop: SIGTERM, SIGINT, or its terminal was closed. Any other SIGHUP notifies `reload`, for the map to
/// be read again.
///
/// # Errors
/// When the handlers cannot be installed.
#[cfg(unix)]
fn stop_signal(reload: Arc<Notify>) -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    // The controlling terminal, which a service has not: it cannot be opened any more once it was closed (tty(4)).
    let has_terminal = || std::fs::File::open("/dev/tty").is_ok();
    let at_start = has_terminal();
    Ok(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => return,
                _ = interrupt.recv() => return,
                _ = hang_up.recv() => {
                    if at_start && !has_terminal() {
                        log::warn!("the terminal was closed");
                        return;
                    }
                    reload.notify_one();
                }
            }
        }
    })
}

/// Ready at Ctrl-C.
#[cfg(not(unix))]
fn stop_signal(_: Arc<Notify>) -> std::io::Result<impl Future<Output = ()>> {
    Ok(async {
        // Without a handler there is nothing to wait for but the end of the process.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn map_that_cannot_be_read_is_told_with_what_to_do() {
        let told = |path: &str, kind: ErrorKind| {
            let error = LoadError::Unreadable { path: path.to_owned(), error: kind.into() };
            format!("{:#}", unreadable_map(error, "gatepost check FILE"))
        };
        let service = "/etc/gatepost/gatepost.toml";
        assert!(told(service, ErrorKind::PermissionDenied).contains("run this with sudo: /etc/gatepost/"));
        assert!(told(service, ErrorKind::NotFound).contains("create one: `sudo gatepost init`; use another: gatepost"));
        assert!(told("map.toml", ErrorKind::NotFound).contains("(create one: `gatepost init`; "));
        assert!(!told("/home/pi/map.toml", ErrorKind::PermissionDenied).contains("sudo"));
    }
}
