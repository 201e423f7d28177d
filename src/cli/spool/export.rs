//! `gatepost spool export`.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use gatepost::entry::ChannelId;
use gatepost::spool::{Listed, State};
use gatepost::thingspeak::import;

use super::{Place, Where, entries, unless_closed};

/// Options of `spool export`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The channel, by its number or its name in the map; optional if only one channel has entries
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<String>,

    /// The unconfirmed entries instead of the waiting ones
    #[arg(long)]
    unconfirmed: bool,

    /// A new file, or - for the standard output
    #[arg(long, short, value_name = "FILE", default_value = "-")]
    output: PathBuf,

    #[command(flatten)]
    place: Where,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let place = args.place.open()?;
    let Some(channel) = channel(args, &place)? else {
        eprintln!("{}", place.nothing());
        return Ok(());
    };
    let is_file = args.output != Path::new("-");
    let mut out: BufWriter<Box<dyn Write>> = BufWriter::new(if is_file {
        let file = OpenOptions::new().write(true).create_new(true).open(&args.output);
        Box::new(file.with_context(|| format!("cannot create {}", args.output.display()))?)
    } else {
        Box::new(io::stdout().lock())
    });
    let (written, untimed) = match export(&place, channel, args.unconfirmed, &mut out) {
        Ok(counts) => counts,
        Err(error) => return unless_closed(Err(error)),
    };
    let name = place.names.of(channel);
    let to = if is_file { format!(" to {}", args.output.display()) } else { String::new() };
    eprintln!("wrote {} of {name}{to}", entries(written));
    if written > 0 && !args.unconfirmed {
        eprintln!(
            "the daemon still sends them. After importing them: gatepost spool drop --channel {channel}{}",
            args.place.given()
        );
    }
    if untimed > 0 {
        eprintln!("left out {} without a time: the clock is not set", entries(untimed));
    }
    if written as u64 > import::MOST_ROWS {
        eprintln!(
            "the page takes {} rows per file: split the file, and repeat the heading line in each part",
            import::MOST_ROWS
        );
    }
    Ok(())
}

/// The channel that is meant; `None` where no channel has such entries.
fn channel(args: &Args, place: &Place) -> anyhow::Result<Option<ChannelId>> {
    if let Some(text) = &args.channel {
        return place.names.find(text).map(Some);
    }
    let (summaries, _) = place.summaries();
    let has_some = |count: usize| count > 0;
    let channels = summaries
        .into_iter()
        .filter(|(_, summary)| has_some(if args.unconfirmed { summary.unconfirmed } else { summary.waiting }));
    let channels: Vec<_> = channels.map(|(id, _)| id).collect();
    match channels[..] {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        _ => {
            let names: Vec<_> =
                channels.iter().map(|id| format!("--channel {id} for {}", place.names.of(*id))).collect();
            bail!("the import page takes one channel per file: choose one with {}", names.join(", "))
        }
    }
}

/// Writes the rows. Returns how many, and how many were left out since they have no time.
fn export(place: &Place, channel: ChannelId, unconfirmed: bool, out: &mut impl Write) -> io::Result<(usize, usize)> {
    let (mut written, mut untimed) = (0, 0);
    out.write_all(import::TITLES.as_bytes())?;
    let found = place.survey(|Listed { entry, state, .. }: Listed| {
        match (state, unconfirmed) {
            _ if entry.channel != channel => {}
            (State::Waits, false) | (State::Unconfirmed, true) => {
                written += 1;
                out.write_all(import::row(&entry).as_bytes())?;
            }
            (State::Untimed, false) => untimed += 1,
            _ => {}
        }
        Ok::<_, io::Error>(())
    })?;
    out.flush()?;
    for remark in place.remarks(&found) {
        eprintln!("{remark}");
    }
    Ok((written, untimed))
}
