//! `gatepost init`: from the downloaded credentials and a few answers to a first map.
//!
//! Everything is asked, made and checked before the first byte is written: whoever stops at a question leaves nothing behind.

mod ask;
mod questions;
mod target;
mod write;

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use gatepost::config::{self, LoadError, Plan};
use gatepost::first_map::{Answers, FirstMap, Named, offers};
use gatepost::scan::Found;

use ask::Talk;
use target::Target;

/// Options of `init`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The credentials file downloaded from ThingSpeak; a password is never an argument
    #[arg(long, value_name = "FILE")]
    credentials: Option<PathBuf>,

    /// A channel to publish to, with a name for it: room=1234567 (may be given several times)
    #[arg(long, value_name = "NAME=ID", value_parser = Named::parse)]
    channel: Vec<Named>,

    /// A separate channel for commands to outputs
    #[arg(long, value_name = "NAME=ID", value_parser = Named::parse)]
    command_channel: Option<Named>,

    /// The license of the channels' owner
    #[arg(long, value_parser = ["free", "paid"])]
    license: Option<String>,

    /// Publish this sensor to this channel, by the names in the plan: pi=room
    #[arg(long, value_name = "SENSOR=CHANNEL")]
    to: Vec<String>,

    /// Leave this sensor out
    #[arg(long, value_name = "SENSOR")]
    skip: Vec<String>,

    /// Use the output of `gatepost scan --json` from another machine instead of scanning this one
    #[arg(long, value_name = "FILE")]
    found: Option<PathBuf>,

    /// The map to write [default: /etc/gatepost/gatepost.toml for root, ./gatepost.toml for others]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Replace an existing map or existing credentials; the old map is kept beside the new one
    #[arg(long)]
    force: bool,

    /// Ask no questions: use the defaults for what is not given
    #[arg(long, short)]
    yes: bool,
}

/// Exit code 0 when the map was written, 1 when not.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let target = Target::of(args.output.as_deref());
    target.check(args.force)?;
    let found = found(args.found.as_deref())?;
    let offers = offers(&found);
    let mut talk = Talk::new(io::stdin().lock(), io::stdout());
    // A question that nobody sees would be waited for without end.
    let asks = !args.yes && io::stdin().is_terminal() && io::stdout().is_terminal();
    let chosen =
        if asks { questions::ask(&mut talk, args, &target, &offers)? } else { questions::given(args, &offers)? };

    let credentials = target.credentials(&chosen.credentials, args.force)?;
    let answers = Answers { credentials: credentials.written.clone(), ..chosen.answers };
    let map = FirstMap::new(&found, &offers, &answers)?;
    let checked = match config::parse_promised(&map.text, &target.map, &credentials.path) {
        Ok(checked) => checked,
        Err(LoadError::Faults(text)) => {
            bail!("the generated map has faults, which is a bug in gatepost:\n{text}")
        }
        Err(unreadable @ LoadError::Unreadable { .. }) => return Err(unreadable.into()),
    };
    let warnings = checked.render_warnings();
    if !warnings.is_empty() {
        talk.say(&warnings)?;
    }
    talk.say(&format!("\n{}\n{}", Plan::of(&checked.settings), map.todo))?;
    for line in target.deeds(&credentials) {
        talk.say(&line)?;
    }
    if asks && !talk.yes("\nWrite it?", true)? {
        bail!("stopped: nothing was written");
    }
    if let Err(error) = write::write(&target, &credentials, &map.text) {
        let denied = error.downcast_ref::<io::Error>().is_some_and(super::is_denied);
        let is_services = denied && super::is_of_service(&target.map);
        return Err(if is_services { error.context("run this with sudo") } else { error });
    }
    // What was promised is looked at as the daemon will.
    config::load(&target.map).map_err(|error| anyhow::anyhow!("{error}")).context("the map was written, but")?;
    talk.say(&next_steps(&target))?;
    Ok(ExitCode::SUCCESS)
}

/// What the machine has.
fn found(file: Option<&Path>) -> anyhow::Result<Found> {
    let Some(file) = file else { return super::scan::look(false) };
    let text = std::fs::read_to_string(file).with_context(|| {
        let file = file.display();
        format!("cannot read {file}: create it on the other machine (gatepost scan --json > FILE) and copy it here")
    })?;
    serde_json::from_str(&text)
        .with_context(|| format!("{} is not the output of `gatepost scan --json`", file.display()))
}

fn next_steps(target: &Target) -> String {
    let map = target.map.display();
    let (sudo, file, start) = if target.is_service {
        let start = "sudo systemctl start gatepost   # if it is already running: sudo systemctl reload gatepost";
        ("sudo ", String::new(), start.to_owned())
    } else {
        ("", format!(" {map}"), format!("gatepost run --config {map}"))
    };
    format!(
        "\n{map} is written. When the fields and rights above are set on ThingSpeak, run:\n  {sudo}gatepost \
         check{file}\n  {sudo}gatepost doctor{file}\n  {start}"
    )
}

/// Says a line where it may be lost, as with a pipe that closed early.
fn line(mut output: impl io::Write, text: &str) -> anyhow::Result<()> {
    super::unless_closed(writeln!(output, "{text}"))
}

#[cfg(test)]
mod tests;
