//! `gatepost spool drop`.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::time::Duration;

use anyhow::{Context as _, bail};
use gatepost::hal::{Clock as _, SystemClock};
use gatepost::spool::{Listed, State, Which, discard};
use gatepost::time::{Utc, parse_duration};

use super::{Place, Where, directories, entries};

/// Options of `spool drop`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The channel: its number, or its name in the map
    #[arg(long, value_name = "CHANNEL")]
    channel: String,

    /// The unconfirmed entries instead of the waiting ones
    #[arg(long)]
    unconfirmed: bool,

    /// Only entries older than this ("3d"); entries without a time are kept
    #[arg(long, value_name = "AGE", value_parser = parse_duration)]
    older_than: Option<Duration>,

    /// Do not ask for confirmation
    #[arg(long, short)]
    yes: bool,

    #[command(flatten)]
    place: Where,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let place = args.place.open()?;
    let channel = place.names.find(&args.channel)?;
    let which = Which { channel, unconfirmed: args.unconfirmed, before: args.older_than.map(before).transpose()? };
    hold(&place)?;
    let name = place.names.of(channel);
    let kind = if args.unconfirmed { "unconfirmed " } else { "" };
    let Matching { count, oldest, newest } = matching(&place, &which);
    if count == 0 {
        println!("{name} has no {kind}entry to drop");
        return Ok(());
    }
    let times = match (oldest, newest) {
        (Some(oldest), Some(newest)) => format!(" (from {oldest} to {newest})"),
        _ => String::new(),
    };
    if !args.yes && !confirmed(&format!("Drop {kind}{} of {name}{times} for good? [y/N] ", entries(count)))? {
        println!("nothing was dropped");
        return Ok(());
    }
    let discarded = discard(&place.runtime, &place.state, &which).context("not all entries were dropped")?;
    println!("dropped {kind}{} of {name}", entries(discarded.entries));
    for (file, why) in &discarded.found.unreadable {
        eprintln!("{file} cannot be read and is kept: {why}");
    }
    Ok(())
}

/// Keeps daemons away from both directories for the rest of this process.
fn hold(place: &Place) -> anyhow::Result<()> {
    // One that is not there has nothing to drop, and is not root's to make.
    for folder in [&place.runtime, &place.state].into_iter().filter(|folder| folder.path().exists()) {
        if let Some(error) = directories::lock(folder, &format!("stop it first: {}", directories::stop(folder)))? {
            return Err(error).with_context(|| format!("cannot use {}", folder.path().display()));
        }
    }
    Ok(())
}

/// The time before which entries are older than this.
fn before(age: Duration) -> anyhow::Result<Utc> {
    let now = SystemClock.now().utc;
    if !now.is_plausible() {
        bail!(
            "this machine's clock is at {now}, so the age of entries is unknown: set the clock, or leave out \
             --older-than"
        );
    }
    Ok(now - age)
}

/// The entries that will go.
#[derive(Default)]
struct Matching {
    count: usize,
    oldest: Option<Utc>,
    newest: Option<Utc>,
}

fn matching(place: &Place, which: &Which) -> Matching {
    let mut matching = Matching::default();
    let counted = place.survey(|Listed { entry, state, .. }: Listed| {
        let is_timed = state != State::Untimed;
        let is_old = which.before.is_none_or(|before| is_timed && entry.created_at < before);
        if entry.channel == which.channel && (state == State::Unconfirmed) == which.unconfirmed && is_old {
            matching.count += 1;
            if is_timed {
                matching.oldest.get_or_insert(entry.created_at);
                matching.newest = Some(entry.created_at);
            }
        }
        Ok::<_, std::convert::Infallible>(())
    });
    counted.unwrap_or_else(|never| match never {});
    matching
}

/// Asks at the terminal.
fn confirmed(question: &str) -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        bail!("not a terminal: pass --yes");
    }
    print!("{question}");
    io::stdout().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
