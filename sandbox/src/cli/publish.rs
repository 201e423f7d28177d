//! `publish`: one update.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

use super::Program;
use crate::publish::{Outcome, publish};
use crate::{Folder, Transport};

/// Options of `sandbox publish`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The running sandbox's folder [default: its default folder]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The device to publish as: DIR/NAME_credentials.txt
    #[arg(long, default_value = "remote", value_name = "NAME")]
    device: String,
    /// The channel's number
    #[arg(long, value_name = "ID")]
    channel: u64,
    /// What to write: field1 to field8, lat, long, elevation, status, created_at
    #[arg(required = true, value_name = "NAME=VALUE", value_parser = pair)]
    pairs: Vec<(String, String)>,
}

/// Publishes once. Exit code 0 when the update was stored, or when the device may not see whether it was; 1 otherwise.
pub(super) async fn run(args: &Args, program: &Program) -> anyhow::Result<ExitCode> {
    let dir = program.folder(args.dir.as_ref());
    let folder = Folder::open(&dir);
    let hint =
        || format!("{} is not the folder of a running sandbox; start one with `{}`", dir.display(), program.call);
    let addr = folder.endpoint(Transport::Tcp).with_context(hint)?;
    let channels = folder.channels()?;
    if !channels.contains(&args.channel) {
        let numbers: Vec<String> = channels.iter().map(u64::to_string).collect();
        anyhow::bail!("no channel {}: the sandbox has {}", args.channel, numbers.join(", "));
    }
    let device = folder.known_device(&args.device)?;
    let outcome = publish(addr, &device.credentials, args.channel, &args.pairs).await?;
    println!("channel {}: {outcome}", args.channel);
    Ok(if outcome == Outcome::NotSeen { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn pair(text: &str) -> Result<(String, String), String> {
    const OTHERS: [&str; 5] = ["lat", "long", "elevation", "status", "created_at"];
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE, such as field1=1")?;
    let is_field = matches!(name.strip_prefix("field").map(str::as_bytes), Some([b'1'..=b'8']));
    if is_field || OTHERS.contains(&name) {
        Ok((name.to_owned(), value.to_owned()))
    } else {
        Err(format!("a channel has field1 to field8, {}", OTHERS.join(", ")))
    }
}
