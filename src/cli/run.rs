//! `gatepost run`: the daemon.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use gatepost::config::{self, Checked, LoadError};
use gatepost::daemon::event::{Event, Observer};
use gatepost::daemon::{Daemon, Folders, Reload, journal, systemd};
use gatepost::hal::Hal;
use gatepost::hal::sim::Sim;
use gatepost::net::Broker;
use gatepost::status::SOCKET;
use gatepost::store::storage::Folder;
use gatepost::uplink::session::Tuning;
use tokio::sync::Notify;

#[cfg(target_os = "linux")]
use super::by_hand;
use super::directories::{self, Directories};
use super::look_alike::{LookAlike, StandIn};

/// Options of `run`.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own on the command line")]
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The sensor map
    #[arg(long, short, value_name = "FILE", default_value = "/etc/gatepost/gatepost.toml")]
    config: PathBuf,

    /// Run the map, unchanged, on simulated hardware
    #[arg(long)]
    simulate: bool,

    /// With --simulate: keep the pins as files in this directory (`echo 0 > DIR/GPIO22` presses a button to ground),
    /// and the clock (`echo unsynchronised > DIR/clock` simulates a boot with the clock not set)
    #[arg(long, value_name = "DIR", requires = "simulate")]
    pins: Option<PathBuf>,

    /// With --simulate: publish to a ThingSpeak look-alike, started for this run with the map's channels. This needs no
    /// account and no credentials
    #[arg(long, requires = "simulate")]
    sandbox: bool,

    /// With --simulate: publish simulated values to any broker. Without this option only a broker on this machine is
    /// allowed
    #[arg(long, requires = "simulate")]
    publish_simulated: bool,

    /// The directory for recent entries, in memory [default: systemd's, or that of the user's session]
    #[arg(long, value_name = "DIR")]
    runtime_dir: Option<PathBuf>,

    /// The directory for waiting entries, on the disk [default: systemd's, or the user's]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,

    /// Log each reading, and each step of an entry
    #[arg(long, short)]
    verbose: bool,

    /// Format of the log on standard error
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    log: LogFormat,
}

/// `--log`
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum LogFormat {
    /// Lines of text, or journal fields under systemd
    Text,
    /// One JSON object per line
    Json,
}

impl From<LogFormat> for journal::Format {
    fn from(format: LogFormat) -> Self {
        match format {
            LogFormat::Text => Self::Text,
            LogFormat::Json => Self::Json,
        }
    }
}

/// Exit code 0 after a stop, 78 for a map with faults, 1 for everything else.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    keep_to_itself();
    directories::keep_files_private();
    let _end = journal::start(args.verbose, args.log.into());
    let load = if args.sandbox { config::load_without_credentials } else { config::load };
    let checked = match load(&args.config) {
        Ok(checked) => checked,
        Err(LoadError::Faults(text)) => {
            super::complain(&text);
            return Ok(ExitCode::from(super::EXIT_CONFIG));
        }
        Err(unreadable @ LoadError::Unreadable { .. }) => {
            return Err(super::unreadable_map(unreadable, "gatepost run --config FILE"));
        }
    };
    let warnings = checked.render_warnings();
    if !warnings.is_empty() {
        super::complain(&warnings);
    }
    if args.simulate && !args.sandbox {
        check_broker(&checked.settings.broker, args.publish_simulated).map_err(anyhow::Error::msg)?;
    }
    super::block_on(async {
        // The signals are taken before the first output moves, so that none is missed.
        let bell = Arc::new(Notify::new());
        let stop = super::stop_signal(Arc::clone(&bell))?;
        if args.simulate {
            log::warn!(
                "SIMULATED: the sensors and pins of this run are simulated; no value that it publishes was measured"
            );
        }
        let look_alike = if args.sandbox { Some(LookAlike::start(&checked.settings).await?) } else { None };
        let preparation = Preparation {
            stand_in: look_alike.as_ref().map(LookAlike::stand_in),
            sim: if args.simulate { Some(simulation(args)?) } else { None },
            publishes: args.publish_simulated,
        };
        let settings = preparation.of(checked).map_err(anyhow::Error::msg)?.settings;
        let hal = match &preparation.sim {
            Some(sim) => sim.hal(),
            None => Hal::real(settings.gpio)?,
        };
        let map = args.config.clone();
        let read = Arc::new(move || preparation.of(load(&map)?).map_err(LoadError::Faults));
        let reload = Some(Reload { read, bell });
        let observer = both(journal::observer(), systemd::observer());
        let (folders, socket) = folders(args)?.unzip();
        #[cfg(target_os = "linux")]
        let by_hand = if socket.is_none() { by_hand() } else { None };
        #[cfg(target_os = "linux")]
        let socket = socket.or_else(|| by_hand.as_ref().map(by_hand::Folder::socket));
        let tuning = Tuning::default();
        Daemon { settings, hal, folders, socket, observer, tuning, reload }.run(stop).await?;
        if let Some(look_alike) = look_alike {
            look_alike.stop().await;
        }
        Ok(ExitCode::SUCCESS)
    })
}

#[cfg(target_os = "linux")]
/// Where `gatepost status` finds a daemon that keeps no directories.
fn by_hand() -> Option<by_hand::Folder> {
    let made = by_hand::Folder::create();
    made.inspect_err(|error| log::warn!(reason:% = error; "`gatepost status` cannot reach this daemon: {error}")).ok()
}

fn simulation(args: &Args) -> anyhow::Result<Sim> {
    Sim::new(args.pins.clone()).context("the directory for the pins")
}

/// What is done with a map before the daemon gets it: the first one, and each new one.
struct Preparation {
    stand_in: Option<StandIn>,
    sim: Option<Sim>,
    /// Simulated values may go to any broker.
    publishes: bool,
}

impl Preparation {
    /// # Errors
    /// Why this map must not be run like that.
    fn of(&self, mut checked: Checked) -> Result<Checked, String> {
        if let Some(stand_in) = &self.stand_in {
            stand_in.replace(&mut checked)?;
        }
        if let Some(sim) = &self.sim {
            check_broker(&checked.settings.broker, self.publishes)?;
            sim.clear_serial();
            for sensor in &checked.settings.sensors {
                sensor.kind.device().simulate(sim);
            }
        }
        Ok(checked)
    }
}

/// What is simulated stays on this machine, unless it is to be published: on the real service it would stand among what was measured,
/// and the MQTT device's one connection would be taken from the daemon that measures.
///
/// # Errors
/// When the broker is elsewhere, with what to do.
fn check_broker(broker: &Broker, publishes: bool) -> Result<(), String> {
    let elsewhere = broker.hosts.iter().find(|host| !is_this_machine(host));
    let Some(host) = elsewhere.filter(|_| !publishes) else { return Ok(()) };
    Err(format!(
        "the map publishes to {host}, where simulated values would look like measured ones.\nTo use a look-alike of \
         the service, without an account: add --sandbox\nTo publish simulated values anyway: add --publish-simulated"
    ))
}

/// Whether a host is certainly this machine: an address of the loopback, or localhost (RFC 6761, section 6.3).
fn is_this_machine(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase();
    match host.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

/// No core dump of this process is written, and no other process of its user looks into its memory: the password is there.
fn keep_to_itself() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable) {
        // Only a kernel that does not know the call refuses it; the unit's limit holds there.
        log::debug!(error:%; "core dumps cannot be disabled: {error}");
    }
}

/// Where the daemon keeps its entries, and its socket. Simulated ones are kept only where that is asked for: they must not
/// end up among those of the service.
fn folders(args: &Args) -> anyhow::Result<Option<(Folders, PathBuf)>> {
    let is_asked_for = args.runtime_dir.is_some() && args.state_dir.is_some();
    if args.simulate && !is_asked_for {
        anyhow::ensure!(
            args.runtime_dir.is_none() && args.state_dir.is_none(),
            "a simulated run needs both --runtime-dir and --state-dir, or neither: the other directory would be the \
             service's"
        );
        return Ok(None);
    }
    let Some(Directories { runtime, state }) = Directories::of(args.runtime_dir.clone(), args.state_dir.clone()) else {
        log::warn!(
            "no directories for entries: they are kept in memory only. Give --runtime-dir and --state-dir to \
                    keep them over a restart"
        );
        return Ok(None);
    };
    let socket = runtime.join(SOCKET);
    // Before this run leaves anything there.
    let was_used = std::fs::read_dir(&state).is_ok_and(|mut files| files.next().is_some());
    let (runtime, state) = (Folder::new(runtime).shown(), Folder::new(state).locked_with_its_parent());
    for (name, folder) in [("runtime", &runtime), ("state", &state)] {
        let advice = "stop that one, or give this one other directories with --runtime-dir and --state-dir";
        if let Some(error) = directories::lock(folder, advice)? {
            log::warn!(directory:% = folder.path().display(), reason:% = error; "the {name} directory cannot be used: {error}");
        }
    }
    Ok(Some((Folders { runtime: Arc::new(runtime), state: Arc::new(state), was_used }, socket)))
}

/// Tells both.
fn both(first: Observer, second: Observer) -> Observer {
    Arc::new(move |event: &Event<'_>| {
        first(event);
        second(event);
    })
}

#[cfg(test)]
mod tests {
    use gatepost::net::Transport;

    use super::*;

    #[test]
    fn simulated_values_go_to_this_machine_alone_unless_they_are_to_be_published() {
        let checked = |host: &str, publishes| check_broker(&Broker::at(host, 443, Transport::Wss), publishes);
        for host in
            ["localhost", "LOCALHOST.", "a.localhost", "127.0.0.1", "127.8.8.8", "::1", "[::1]", "::ffff:127.0.0.1"]
        {
            assert_eq!(checked(host, false), Ok(()), "{host}");
        }
        for host in
            ["mqtt3.thingspeak.com", "192.168.1.5", "localhost.example", "127.0.0.1.example", "notlocalhost", ""]
        {
            let refused = checked(host, false).expect_err(host);
            assert!(refused.contains("--publish-simulated"), "{refused}");
            assert_eq!(checked(host, true), Ok(()), "{host}");
        }
        let broker = Broker {
            hosts: vec!["::1".to_owned(), "mqtt3.thingspeak.com".to_owned()],
            ..Broker::at("", 443, Transport::Wss)
        };
        assert!(check_broker(&broker, false).expect_err("one of two").contains("mqtt3.thingspeak.com"));
    }
}
