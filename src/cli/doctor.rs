//! `gatepost doctor`: what is wrong, one line a step, and what to do.

mod probe;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use gatepost::config::{self, Channel, LoadError, Settings};
use gatepost::doctor::daemon::Running;
use gatepost::doctor::machine::{Machine, Needs};
use gatepost::doctor::user::{self, User};
use gatepost::doctor::{Conclusion, network, places, sensors};
use gatepost::hal::{Hal, SystemClock};

use super::directories::{Directories, SERVICE};

/// Options of `doctor`.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("writing").args(["publish", "probe"]))]
pub(crate) struct Args {
    /// The sensor map
    #[arg(value_name = "MAP", default_value = "/etc/gatepost/gatepost.toml")]
    map: PathBuf,

    /// Publish one test entry (a status text, no value), and wait for its echo
    #[arg(long)]
    publish: bool,

    /// With --publish or --probe: the channel to write to, by its name in the map
    #[arg(long, value_name = "NAME", requires = "writing")]
    channel: Option<String>,

    /// Log in although a daemon is running. This interrupts the daemon for a moment, since an MQTT device has one
    /// connection
    #[arg(long)]
    take_over: bool,

    /// Print JSON, one object per line: for bug reports and programs
    #[arg(long, conflicts_with = "probe")]
    json: bool,

    /// The directory in memory for recent entries, as given to `run`
    #[arg(long, value_name = "DIR")]
    runtime_dir: Option<PathBuf>,

    /// The directory on the disk for waiting entries, as given to `run`
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,

    #[command(flatten)]
    probe: probe::Args,
}

/// Exit code 0 when all is well (warnings included), 1 when something is wrong, 78 for a map with faults.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    // What the libraries have to say goes to whoever asks for it.
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("off")).init();
    let mut report = Report { args, lines: Vec::new(), written: Ok(()) };
    // The files of credentials have a step of their own.
    let checked = match config::load_without_credentials(&args.map) {
        Ok(checked) => checked,
        Err(LoadError::Faults(text)) => {
            let advice = "fix the map first: the other steps are skipped";
            let mut found = format!("{} has faults", args.map.display());
            if args.json {
                found = format!("{found}:\n{text}");
            }
            report.print(Conclusion::wrong("map", found, advice));
            super::complain(&text);
            super::unless_closed(report.written)?;
            return Ok(ExitCode::from(super::EXIT_CONFIG));
        }
        Err(unreadable @ LoadError::Unreadable { .. }) => {
            return Err(super::unreadable_map(unreadable, "gatepost doctor MAP"));
        }
    };
    let settings = &checked.settings;
    let channel = channel(args, settings)?;
    let running = running(args);
    if let (Some(running), true, true) = (&running, args.publish, args.take_over) {
        anyhow::bail!(
            "--publish does not go with --take-over: the test entry takes longer than the daemon (process {}) stays \
             disconnected. Stop the daemon first with `{}`, and leave out --take-over",
            running.pid,
            running.stop()
        );
    }
    if args.probe.is_asked_for() {
        return probe::run(&args.probe, settings, channel.context("--probe needs --channel NAME")?, running.as_ref());
    }
    report.print(match checked.warnings.len() {
        0 => Conclusion::ok("map", format!("{} is valid", args.map.display())),
        count => {
            super::complain(&checked.render_warnings());
            let warnings = if count == 1 { "a warning".to_owned() } else { format!("{count} warnings") };
            let found = format!("{} is valid, with {warnings} (above)", args.map.display());
            Conclusion::warning("map", found, "`gatepost check` also shows them")
        }
    });
    let machine = Machine::below("/");
    let user = who(&machine);
    local(args, settings, (&machine, &user), running.as_ref(), &mut report);
    let no_login = running.as_ref().filter(|_| !args.take_over).map(|running| {
        let status = running.status();
        format!("the running daemon holds the MQTT device's only connection; `{status}` shows its session")
    });
    let wish = network::Wish {
        user: &user,
        no_login: no_login.as_deref(),
        publish: channel.filter(|_| args.publish),
        rival: running.as_ref(),
    };
    if let (Some(channel), None) = (wish.publish, wish.no_login) {
        let wait = channel.license.interval().as_secs();
        super::complain(&format!(
            "one test entry goes to {} after {wait} s without updates, the license's interval",
            channel.name
        ));
    }
    super::block_on(async {
        network::examine(settings, wish, &SystemClock, &mut |line| report.print(line)).await;
        Ok(())
    })?;
    super::unless_closed(report.written)?;
    Ok(if network::is_well(&report.lines) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What can be found out without a network.
fn local(
    args: &Args,
    settings: &Settings,
    (machine, user): (&Machine, &User),
    running: Option<&Running>,
    report: &mut Report<'_>,
) {
    if let Some(running) = running {
        report.print(running.line(args.take_over));
    }
    report.tell_all(machine.examine(&Needs::of(settings), user));
    match Hal::real(settings.gpio) {
        Ok(hal) => report.tell_all(sensors::examine(settings, &hal, running.is_some(), |part| machine.lacks(part))),
        Err(error) => {
            report.print(Conclusion::wrong("sensors", error.to_string(), "write `gpio = \"auto\"` in the map"));
        }
    }
    report.print(places::clock(settings.clock));
    match Directories::of(args.runtime_dir.clone(), args.state_dir.clone()) {
        Some(Directories { runtime, state }) => {
            report.tell_all(places::directories(&runtime, &state, user));
        }
        None => report.print(Conclusion::warning(
            "directories",
            "no directory for entries: they would be kept in memory only",
            "the service has its own; for a daemon started by hand give --runtime-dir and --state-dir",
        )),
    }
}

/// Root asks for the service's user, everybody else for himself.
fn who(machine: &Machine) -> User {
    let myself = machine.accounts.myself();
    if myself.uid == 0 { machine.accounts.user(user::SERVICE).unwrap_or(myself) } else { myself }
}

/// A daemon with the directory that was named, or this user's, or the service's.
fn running(args: &Args) -> Option<Running> {
    let own = Directories::of(args.runtime_dir.clone(), args.state_dir.clone()).map(|own| own.runtime);
    // Who names a directory means no other daemon.
    let service = args.runtime_dir.is_none().then(|| PathBuf::from(SERVICE[0]));
    Running::find(own.iter().chain(&service).map(PathBuf::as_path).collect::<Vec<&Path>>())
}

/// The channel that was named, or the only one where one is to be written to.
fn channel<'a>(args: &Args, settings: &'a Settings) -> anyhow::Result<Option<&'a Channel>> {
    let names = || settings.channels.iter().map(|channel| channel.name.as_str()).collect::<Vec<_>>().join(", ");
    match &args.channel {
        Some(name) => {
            let found = settings.channels.iter().find(|channel| channel.name == *name);
            Ok(Some(found.with_context(|| format!("the map has no channel `{name}`: its channels are {}", names()))?))
        }
        None if args.publish => match settings.channels.as_slice() {
            [only] => Ok(Some(only)),
            _ => anyhow::bail!("name the channel for the test entry with --channel: one of {}", names()),
        },
        None => Ok(None),
    }
}

/// What was told so far.
struct Report<'a> {
    args: &'a Args,
    lines: Vec<Conclusion>,
    /// Whether all of them could be written: after the first failure none is.
    written: io::Result<()>,
}

impl Report<'_> {
    fn tell_all(&mut self, lines: Vec<Conclusion>) {
        for line in lines {
            self.print(line);
        }
    }

    fn print(&mut self, line: Conclusion) {
        // A line has text and nothing else, so that it can be written as JSON.
        let text = if self.args.json { serde_json::to_string(&line).unwrap_or_default() } else { line.to_string() };
        if self.written.is_ok() {
            self.written = writeln!(io::stdout(), "{text}");
        }
        self.lines.push(line);
    }
}
