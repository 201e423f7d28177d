//! `gatepost demo`: the whole way on this machine, told in words.
//!
//! The daemon runs as it always does; the demo brings the sandbox, the simulated hardware, and a printer that puts the
//! daemon's events into sentences.

mod printer;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use gatepost::config::{self, Settings};
use gatepost::daemon::Daemon;
use gatepost::hal::sim::Sim;
use gatepost::net::{Broker, Transport};
use gatepost::thingspeak::credentials::Source;
use gatepost::uplink::session::Tuning;
use thingspeak_sandbox::{Channel, Device, Folder, Options, Rights, Sandbox};

use self::printer::Screen;

/// The map, shipped inside so that the demo needs nothing but the program.
const MAP: &str = include_str!("../../config/demo.toml");
/// Time for the reader between two commands that the demo sends.
const BETWEEN_COMMANDS: Duration = Duration::from_secs(6);
/// The demo's own commands: field and value of the channel `switches`.
const COMMANDS: [(&str, &str); 4] = [("field1", "1"), ("field2", "on"), ("field1", "0"), ("field2", "maybe")];

/// Options of `demo`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Keep pins, credentials and the certificate in this directory instead of a temporary one
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,

    /// Stop after this many stored entries instead of at Ctrl-C
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    entries: Option<u64>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let directory = match &args.dir {
        Some(path) => path.clone(),
        None => std::env::temp_dir().join(format!("gatepost-demo-{}", std::process::id())),
    };
    let done = super::block_on(demo(args, &directory));
    if args.dir.is_none() {
        // It holds throw-away credentials and pins only. What cannot be removed is the system's to clean.
        let _ = fs::remove_dir_all(&directory);
    }
    done.map(|()| ExitCode::SUCCESS)
}

async fn demo(args: &Args, directory: &Path) -> anyhow::Result<()> {
    let stop = super::stop_signal(Arc::default())?;
    let folder = Folder::create(directory)?;
    let (sandbox, settings) = prepare(&folder).await?;
    let pins = folder.path().join("pins");
    let sim = Sim::new(Some(pins.clone())).context("the directory for the pins")?;
    for sensor in &settings.sensors {
        sensor.kind.device().simulate(&sim);
    }
    let screen = Screen::default();
    screen.say(&welcome(&settings, &sandbox, &folder, &pins));

    let daemon = Daemon {
        settings,
        hal: sim.hal(),
        folders: None,
        socket: None,
        observer: printer::observer(screen.clone(), args.entries),
        tuning: Tuning::default(),
        reload: None,
    };
    let ended = async {
        tokio::select! {
            () = stop => screen.say(""),
            () = screen.enough() => {}
        }
    };
    tokio::select! {
        done = daemon.run(ended) => done?,
        () = commands(&sandbox, &screen) => {}
    }
    sandbox.stop().await;
    Ok(())
}

/// Starts the sandbox and points the map's broker and device at it.
async fn prepare(folder: &Folder) -> anyhow::Result<(Sandbox, Settings)> {
    let gateway = folder.device("demo")?;
    let remote = folder.device("remote")?;
    let map = folder.path().join("demo.toml");
    fs::write(&map, MAP.replace("mqtt_credentials.txt", "demo_credentials.txt")).context("the demo's map")?;
    let mut settings = config::load(&map).context("the demo's own map")?.settings;

    let all = |device: Device| {
        settings.channels.iter().fold(device, |device, channel| device.with(channel.id.0, Rights::ALL))
    };
    let options = Options {
        authority: Some(folder.authority()?),
        channels: settings.channels.iter().map(|channel| Channel::new(channel.id.0).paid()).collect(),
        devices: vec![all(gateway), all(remote.clone())],
        ..Options::default()
    };
    let sandbox = Sandbox::start(options).await.context("the sandbox")?;
    folder.write_endpoints(&sandbox)?;
    folder.write_mosquitto_options("remote", &remote, sandbox.addr(thingspeak_sandbox::Transport::Tcp))?;
    settings.broker = Broker {
        ca_file: Some(folder.ca_file()),
        renew: settings.broker.renew,
        ..Broker::at("localhost", sandbox.addr(thingspeak_sandbox::Transport::Wss).port(), Transport::Wss)
    };
    for device in &mut settings.devices {
        device.credentials = Source::File(folder.credentials_file("demo"));
    }
    Ok((sandbox, settings))
}

/// Sends the demo's commands as somebody else would, then waits for ever.
async fn commands(sandbox: &Sandbox, screen: &Screen) {
    for (field, value) in COMMANDS {
        tokio::time::sleep(BETWEEN_COMMANDS).await;
        screen.say(&format!("  you      ─▶  {field} = {value} written to channel 3 `switches`"));
        if let Err(why) = sandbox.publish(3, &[(field, value)]) {
            screen.say(&format!("  you      ─▶  ThingSpeak dropped it: {why}"));
        }
    }
    std::future::pending::<()>().await;
}

fn welcome(settings: &Settings, sandbox: &Sandbox, folder: &Folder, pins: &Path) -> String {
    let mut text = String::new();
    let port = sandbox.addr(thingspeak_sandbox::Transport::Wss).port();
    let program = program();
    let folder_path = quoted(folder.path());
    let mut line = |words: &str| {
        text.push_str(words);
        text.push('\n');
    };
    line("gatepost demo: simulated sensors and this machine's own readings, published to a ThingSpeak look-alike");
    line(&format!("on wss://localhost:{port}/mqtt (TLS with a temporary CA, verified). Nothing leaves this machine."));
    line("");
    line("Sensors");
    for sensor in &settings.sensors {
        line(&format!("  {:<9}{}", sensor.name, whereabouts(sensor)));
    }
    line("Outputs");
    for output in &settings.outputs {
        let at = output.target.describe();
        line(&format!(
            "  {:<9}{at}, commanded by field{} of channel {}",
            output.name, output.from.field, output.from.channel
        ));
    }
    line("");
    line("Try it from a second terminal:");
    line("  open the door and see it in the next stored entry (on the pin, 1 is closed and 0 is open):");
    line(&format!("    echo 0 > {}", quoted(&pins.join("GPIO22"))));
    line("  switch the lamp as a phone would, then read its pin:");
    line(&format!("    {program} sandbox publish --dir {folder_path} --channel 3 field1=1"));
    line(&format!("    cat {}", quoted(&pins.join("GPIO17"))));
    line("  or with Mosquitto's client:");
    line(&format!(
        "    XDG_CONFIG_HOME={} mosquitto_pub -t channels/3/publish -m field1=0",
        quoted(&folder.path().join("mosquitto-remote"))
    ));
    line("");
    line("Ctrl-C stops it.");
    text
}

/// How the program is called from any directory, so that what is printed can be copied into another terminal.
fn program() -> String {
    let called = std::env::args_os().next().map_or_else(|| PathBuf::from("gatepost"), PathBuf::from);
    // A bare name was found on the PATH, where a second terminal finds it too.
    let is_bare = called.components().count() == 1;
    quoted(&if is_bare { called } else { std::path::absolute(&called).unwrap_or(called) })
}

/// A path as one word of a shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |letter: char| letter.is_alphanumeric() || "/\\._-:~".contains(letter);
    if text.chars().all(is_plain) { text } else { format!("'{text}'") }
}

fn whereabouts(sensor: &config::Sensor) -> String {
    let device = sensor.kind.device();
    let quantities = device.quantities();
    let mut routed: Vec<&str> = sensor.routes.iter().map(|route| quantities[route.quantity].name.as_ref()).collect();
    routed.dedup();
    let pins: Vec<String> = device.lines().iter().map(ToString::to_string).collect();
    let at = if pins.is_empty() { String::new() } else { format!(" on {}", pins.join(", ")) };
    format!("{}{at}: {}", sensor.kind.tag(), routed.join(", "))
}
