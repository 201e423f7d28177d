//! `gatepost docs`: writes what is made of the code's own words: man pages, shell completions, the page on the map and its
//! schema. It is there only with the feature `docs`, for the package and for the repository; no shipped binary has it.
//!
//! Nothing here lists subcommands, options or keys: they come from clap's definitions and from the map's own structs.

mod man;
mod map;
mod map_man;
mod sensors;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Command, CommandFactory as _};
use clap_complete::Shell;
use gatepost::config::reference::Reference;

/// Options of `docs`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The folder to write to; it is created
    folder: PathBuf,
}

/// Exit code 0 when everything was written.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let folder = &args.folder;
    let command = shown();
    write(folder, "man/gatepost.1", &man::page(&command)?)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut command.clone(), command.get_name(), &mut text);
        let name = clap_complete::Generator::file_name(&shell, command.get_name());
        write(folder, &format!("completions/{name}"), &String::from_utf8(text).context("completions are text")?)?;
    }
    let reference = Reference::new();
    write(folder, "man/gatepost.toml.5", &map_man::page(&reference))?;
    write(folder, "map.md", &map::page(&reference)?)?;
    write(folder, "sensors.md", &sensors::page(&reference))?;
    write(folder, "gatepost.schema.json", &format!("{:#}\n", reference.schema))?;
    Ok(ExitCode::SUCCESS)
}

/// The command line as people see it: without what is hidden, such as this subcommand.
fn shown() -> Command {
    let whole = super::Cli::command();
    let subcommands = whole.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    let mut shown = Command::new("gatepost")
        .version(env!("CARGO_PKG_VERSION"))
        .propagate_version(true)
        .subcommand_required(whole.is_subcommand_required_set())
        .args(whole.get_arguments().cloned())
        .subcommands(subcommands);
    if let Some(about) = whole.get_about() {
        shown = shown.about(about.clone());
    }
    shown.build();
    shown
}

fn write(folder: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let path = folder.join(name);
    let parent = path.parent().unwrap_or(folder);
    fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}
