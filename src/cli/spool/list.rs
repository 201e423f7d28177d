//! `gatepost spool list`.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};

use gatepost::entry::ChannelId;
use gatepost::spool::size_in_words;
use gatepost::spool::{Found, Listed, State};
use gatepost::thingspeak::update;
use gatepost::time::Utc;
use serde::Serialize;

use super::{Names, Place, Summary, Where, entries, unless_closed};

/// Options of `spool list`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Show each entry instead of a summary
    #[arg(long)]
    entries: bool,

    /// Only this channel, by its number or its name in the map
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<String>,

    /// Print JSON: one object, or with --entries one per line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    place: Where,
}

/// A channel, for programs.
#[derive(Serialize)]
struct Channel<'a> {
    id: u64,
    name: Option<&'a str>,
    waiting: usize,
    oldest: Option<String>,
    newest: Option<String>,
    bytes: u64,
    unconfirmed: usize,
    untimed: usize,
}

/// The summary, for programs.
#[derive(Serialize)]
struct Report<'a> {
    channels: Vec<Channel<'a>>,
    torn: usize,
    damaged: Vec<&'a str>,
    mixed_up: &'a [String],
    unreadable: Vec<File<'a>>,
    copies: Vec<String>,
}

#[derive(Serialize)]
struct File<'a> {
    file: &'a str,
    reason: &'a str,
}

/// An entry, for programs. Values are texts, as in ThingSpeak's own feeds: the digits are those that are published.
#[derive(Serialize)]
struct Entry<'a> {
    channel: u64,
    name: Option<&'a str>,
    created_at: Option<String>,
    state: &'static str,
    values: BTreeMap<String, String>,
    status: Option<&'a str>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let place = args.place.open()?;
    let only = args.channel.as_deref().map(|text| place.names.find(text)).transpose()?;
    let mut out = BufWriter::new(io::stdout().lock());
    if args.entries {
        let mut count = 0;
        let show = |listed: Listed| {
            if only.is_some_and(|only| only != listed.entry.channel) {
                return Ok(());
            }
            count += 1;
            entry(&listed, &place.names, args.json, &mut out)
        };
        let found = match place.survey(show) {
            Ok(found) => found,
            Err(error) => return unless_closed(Err(error)),
        };
        unless_closed(out.flush())?;
        if count == 0 && !args.json {
            eprintln!("{}", place.nothing());
        }
        for remark in place.remarks(&found) {
            eprintln!("{remark}");
        }
        return Ok(());
    }
    let (mut summaries, found) = place.summaries();
    summaries.retain(|id, _| only.is_none_or(|only| only == *id));
    let text = if args.json { report(&place, &summaries, &found)? } else { describe(&place, &summaries, &found) };
    unless_closed(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// The summary for people.
fn describe(place: &Place, summaries: &BTreeMap<ChannelId, Summary>, found: &Found) -> String {
    let mut lines = Vec::new();
    if summaries.is_empty() {
        lines.push(place.nothing());
    }
    for (id, summary) in summaries {
        let name = place.names.of(*id);
        let times = match (summary.oldest, summary.newest) {
            (Some(oldest), Some(newest)) if oldest != newest => format!(", from {oldest} to {newest}"),
            (Some(oldest), _) => format!(", of {oldest}"),
            _ => String::new(),
        };
        lines.push(match summary.waiting {
            0 => format!("{name}: no entry waits"),
            1 => format!("{name}: 1 entry waits ({}){times}", size_in_words(summary.bytes)),
            many => format!("{name}: {} wait ({}){times}", entries(many), size_in_words(summary.bytes)),
        });
        if summary.untimed > 0 {
            lines.push(format!("  {} of them without a time: the clock is not set", summary.untimed));
        }
        if summary.unconfirmed > 0 {
            lines.push(format!(
                "  {} unconfirmed: sent several times, but never seen on the channel",
                summary.unconfirmed
            ));
        }
    }
    lines.extend(place.remarks(found));
    lines.join("\n") + "\n"
}

/// The summary for programs.
fn report(place: &Place, summaries: &BTreeMap<ChannelId, Summary>, found: &Found) -> anyhow::Result<String> {
    let text = |at: Option<Utc>| at.map(|at| at.to_string());
    let channels = summaries.iter().map(|(id, summary)| Channel {
        id: id.0,
        name: place.names.0.get(id).map(String::as_str),
        waiting: summary.waiting,
        oldest: text(summary.oldest),
        newest: text(summary.newest),
        bytes: summary.bytes,
        unconfirmed: summary.unconfirmed,
        untimed: summary.untimed,
    });
    let report = Report {
        channels: channels.collect(),
        torn: found.torn.len(),
        damaged: found.bad.iter().map(|damaged| damaged.file.as_str()).collect(),
        mixed_up: &found.sorted,
        unreadable: found.unreadable.iter().map(|(file, reason)| File { file, reason }).collect(),
        copies: place.copies(),
    };
    Ok(serde_json::to_string_pretty(&report)? + "\n")
}

fn entry(listed: &Listed, names: &Names, json: bool, out: &mut impl Write) -> io::Result<()> {
    let entry = &listed.entry;
    let (state, created_at) = match listed.state {
        State::Waits => ("waits", Some(entry.created_at)),
        State::Untimed => ("untimed", None),
        State::Unconfirmed => ("unconfirmed", Some(entry.created_at)),
    };
    let values = entry.values().filter_map(|(column, cell)| Some((column.to_string(), update::number(cell)?)));
    if json {
        let entry = Entry {
            channel: entry.channel.0,
            name: names.0.get(&entry.channel).map(String::as_str),
            created_at: created_at.map(|at| at.to_string()),
            state,
            values: values.collect(),
            status: entry.status.as_deref(),
        };
        return writeln!(out, "{}", serde_json::to_string(&entry)?);
    }
    let time = created_at.map_or_else(|| "(no time yet)".to_owned(), |at| at.to_string());
    write!(out, "{}  {time:20}  {state:8}", names.of(entry.channel))?;
    for (column, number) in values {
        write!(out, "  {column}={number}")?;
    }
    if let Some(status) = &entry.status {
        // As it is published, so that no byte of it can play tricks with a terminal.
        write!(out, "  status={}", update::status(status))?;
    }
    writeln!(out)
}
