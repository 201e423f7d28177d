//! gatepost(1): one page with every subcommand.
//!
//! clap_mangen writes the parts of a page for each command; here they are put together, since a page for each subcommand
//! would leave the reader to look them up one by one.

use std::io::{self, Write};

use anyhow::Context as _;
use clap::Command;
use clap_mangen::Man;
use roff::{Inline, Roff, bold, italic, roman};

use super::super::directories::SERVICE;

/// Paths, and what is there.
const FILES: [(&str, &str); 6] = [
    ("/etc/gatepost/gatepost.toml", "The sensor map of the service; see gatepost.toml(5)."),
    ("/etc/gatepost/credentials/", "Credentials of the MQTT devices, readable by root and the group gatepost only."),
    (SERVICE[0], "Recent entries, and the state for a restart: in memory, lost at a power cut."),
    (SERVICE[1], "Entries waiting during an outage, and totals: on the disk."),
    (
        "$XDG_RUNTIME_DIR/gatepost, $XDG_STATE_HOME/gatepost",
        "The same directories for a daemon that a user starts (~/.local/state/gatepost if XDG_STATE_HOME is not set).",
    ),
    ("/usr/share/doc/gatepost/", "Documentation, the JSON schema of the map for editors, and example maps."),
];

/// Exit codes, and what they say.
const EXIT_STATUS: [(&str, &str); 4] = [
    ("0", "Success. For check: the map is valid; there may be warnings."),
    ("1", "Failure; standard error shows why and what to do."),
    ("2", "Invalid command line."),
    (
        "78",
        "The sensor map has faults; standard error shows each with its place. systemd does not restart the service \
         after this.",
    ),
];

/// Variables that are read.
const ENVIRONMENT: [(&str, &str); 5] = [
    (
        "RUNTIME_DIRECTORY, STATE_DIRECTORY",
        "The directories for entries; systemd sets them. Options of a command override them.",
    ),
    (
        "XDG_RUNTIME_DIR, XDG_STATE_HOME, HOME",
        "The directories for entries without systemd, for users other than root.",
    ),
    (
        "CREDENTIALS_DIRECTORY",
        "Where a name without a path in credentials or password_file is looked up first; systemd sets it.",
    ),
    ("SSL_CERT_FILE, SSL_CERT_DIR", "CA certificates to trust instead of the system's, if the map names no ca_file."),
    ("RUST_LOG", "Log levels outside systemd's journal, such as gatepost=debug; -v is the short form."),
];

/// clap's own options, which every command has.
const EVERYWHERE: [&str; 2] = ["help", "version"];

/// The page as roff.
pub(super) fn page(command: &Command) -> anyhow::Result<String> {
    let man = Man::new(command.clone());
    let release = concat!("gatepost ", env!("CARGO_PKG_VERSION"));
    // Without a date: the page is the same whenever it is made.
    let mut page = Roff::new().control("TH", ["GATEPOST", "1", "\"\"", release]).render();
    page += &part(|out| man.render_name_section(out))?;
    page += &introduction().to_roff();
    page += &part(|out| man.render_options_section(out))?;
    page += &Roff::new().control("SH", ["COMMANDS"]).to_roff();
    for subcommand in command.get_subcommands() {
        page += &commands(subcommand, command)?;
    }
    page += &list("FILES", &FILES).to_roff();
    page += &list("EXIT STATUS", &EXIT_STATUS).to_roff();
    page += &list("ENVIRONMENT", &ENVIRONMENT).to_roff();
    let see_also =
        [bold("gatepost.toml"), roman("(5), "), bold("systemctl"), roman("(1), "), bold("journalctl"), roman("(1)")];
    page += &Roff::new().control("SH", ["SEE ALSO"]).text(see_also).to_roff();
    Ok(page)
}

fn introduction() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"])
        .text([bold("gatepost"), roman(" "), italic("COMMAND"), roman(" ["), italic("OPTIONS"), roman("]")])
        .control("SH", ["DESCRIPTION"])
        .text([roman(
            "gatepost reads the sensors of a Raspberry Pi, makes one entry per channel and slot out of the readings, \
             publishes it on ThingSpeak over MQTT, and drives outputs from the field updates that it subscribes to. \
             One file, the sensor map, configures what is measured, where it goes and what may be switched: see ",
        ), bold("gatepost.toml"), roman("(5).")])
        .control("PP", [])
        .text([roman("systemd starts the service with "), bold("gatepost run"), roman(". The other commands are for \
                                                                                       interactive use.")]);
    roff
}

/// A command with its options, and those below it. Options that are its parent's too are named there.
fn commands(command: &Command, parent: &Command) -> anyhow::Result<String> {
    if command.get_name() == "help" {
        return Ok(String::new());
    }
    // Every command has these two: the page says so once.
    let own = command.clone().mut_args(|arg| {
        let is_everywhere = EVERYWHERE.contains(&arg.get_id().as_str());
        arg.hide(is_everywhere)
    });
    let man = Man::new(own.clone());
    let mut text = Roff::new().control("SS", [called(command)]).to_roff();
    text += &below(&part(|out| man.render_description_section(out))?, command);
    for usage in command.clone().render_usage().to_string().lines() {
        let usage = usage.trim().trim_start_matches("Usage: ").to_owned();
        text += &Roff::new().control("PP", []).text([Inline::Bold(usage)]).to_roff();
    }
    if shares_options(&own, parent) {
        let same = [roman("It has the options of "), bold(called(parent)), roman(".")];
        text += &Roff::new().control("PP", []).text(same).to_roff();
    } else {
        text += &below(&part(|out| man.render_options_section(out))?, command);
    }
    if let Some(after) = command.get_after_long_help().or_else(|| command.get_after_help()) {
        text += &literals(&Roff::new().control("PP", []).text([roman(after.to_string())]).to_roff());
    }
    for subcommand in command.get_subcommands() {
        text += &commands(subcommand, command)?;
    }
    Ok(text)
}

/// The words to call a command with: `gatepost spool list`.
fn called(command: &Command) -> &str {
    command.get_bin_name().unwrap_or_else(|| command.get_name())
}

/// Whether a command has options, and all of them are its parent's.
fn shares_options(command: &Command, parent: &Command) -> bool {
    let mut options = command.get_arguments().filter(|arg| !arg.is_hide_set()).peekable();
    options.peek().is_some() && options.all(|arg| parent.get_arguments().any(|other| other.get_id() == arg.get_id()))
}

/// What clap_mangen writes, without the preamble that each of its parts has; the page has it once.
fn part(render: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    render(&mut bytes)?;
    let text = String::from_utf8(bytes).context("a man page is text")?;
    let preamble = Roff::new().render();
    Ok(literals(text.strip_prefix(&preamble).unwrap_or(&text)))
}

/// A part as one of a subcommand: its own headings are too high for that. Groups of options keep theirs as a line.
fn below(text: &str, command: &Command) -> String {
    let groups: Vec<&str> = command.get_arguments().filter_map(clap::Arg::get_help_heading).collect();
    let line = |line: &str| {
        let Some(heading) = line.strip_prefix(".SH ") else { return format!("{line}\n") };
        let group = groups.iter().find(|group| group.to_uppercase() == heading.trim_matches('"'));
        group.map_or_else(String::new, |group| Roff::new().control("PP", []).text([bold(*group)]).to_roff())
    };
    text.lines().map(line).collect()
}

/// What stands in backticks in the help is bold on a man page.
fn literals(text: &str) -> String {
    let line = |line: &str| {
        let parts: Vec<&str> = line.split('`').collect();
        if parts.len().is_multiple_of(2) {
            return format!("{}\n", line.replace('`', "\\(ga"));
        }
        let marked = parts
            .iter()
            .enumerate()
            .map(|(index, part)| if index % 2 == 1 { format!("\\fB{part}\\fR") } else { (*part).to_owned() });
        marked.collect::<String>() + "\n"
    };
    text.lines().map(line).collect()
}

/// A section of names and what they are.
fn list(heading: &str, items: &[(&str, &str)]) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", [heading]);
    for (name, what) in items {
        roff.control("TP", []).text([Inline::Bold((*name).to_owned())]).text([roman(*what)]);
    }
    roff
}
