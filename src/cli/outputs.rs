//! `gatepost outputs`: where the outputs are to be when the daemon does not run, and putting them there.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use gatepost::hal::Hal;
use gatepost::output::levels;
use gatepost::store::storage::{Folder, Storage as _};

use super::directories::{self, Directories};

/// Options of `outputs`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Set every output to its stop level; the systemd unit does this after a crash
    #[arg(long)]
    stop: bool,

    /// The runtime directory of the stopped daemon [default: systemd's, or that of the user's session]
    #[arg(long, value_name = "DIR")]
    runtime_dir: Option<PathBuf>,
}

/// Exit code 1 if an output could not be driven, or while the daemon runs: then they are the daemon's.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    // systemd says so where the daemon has stopped in order: then it has done so itself.
    if args.stop && std::env::var_os("SERVICE_RESULT").is_some_and(|result| result == "success") {
        return Ok(ExitCode::SUCCESS);
    }
    let Some(Directories { runtime, .. }) = Directories::of(args.runtime_dir.clone(), Some(PathBuf::new())) else {
        anyhow::bail!("no runtime directory: name the daemon's with --runtime-dir");
    };
    directories::keep_files_private();
    let folder = directories::of_its_owner(Folder::new(&runtime).shown())?;
    let bytes = match folder.read(levels::FILE) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            println!(
                "no outputs to stop in {}: the daemon there stopped cleanly, or none has run since the last boot",
                runtime.display()
            );
            #[cfg(target_os = "linux")]
            for folder in super::by_hand::folders() {
                println!(
                    "the running daemon is simulated, and so are its outputs: gatepost status --runtime-dir {}",
                    folder.display()
                );
            }
            return Ok(ExitCode::SUCCESS);
        }
        Err(error) => return Err(error).with_context(|| runtime.join(levels::FILE).display().to_string()),
    };
    let levels = levels::read(&bytes)
        .with_context(|| format!("{} is damaged: the outputs are not changed", runtime.join(levels::FILE).display()))?;
    if !args.stop {
        for level in &levels.outputs {
            println!("{} ({}) is set to {} at the stop", level.name, level.target.name(), level.drive());
        }
        return Ok(ExitCode::SUCCESS);
    }
    if let Err(error) = folder.lock() {
        anyhow::ensure!(
            error.kind() != std::io::ErrorKind::WouldBlock,
            "the daemon is running and drives the outputs: stop it first with `{}`",
            super::directories::stop(&folder)
        );
    }
    let hal = Hal::real(levels.gpio)?;
    let mut all = true;
    for (level, driven) in levels.drive(hal.gpio.as_ref(), hal.pwm.as_ref()) {
        match driven {
            Ok(()) => println!("{} ({}) is {}: stop level", level.name, level.target.name(), level.drive()),
            Err(error) => {
                eprintln!("gatepost: {} ({}) cannot be set: {error}", level.name, level.target.name());
                all = false;
            }
        }
    }
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
