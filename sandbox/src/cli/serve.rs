//! `serve`: the sandbox until Ctrl-C.

use std::fmt;
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::sleep;

use super::{Program, Start};
use crate::{Channel, Device, Folder, Mark, Options, Rights, Sandbox, Switches, Transport};

/// Options of `sandbox serve`.
#[derive(clap::Args)]
#[group(id = "serve")]
pub(super) struct Args {
    /// Address to listen on
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST), value_name = "ADDRESS")]
    bind: IpAddr,
    /// Port for MQTT over TCP; 0 takes a free one
    #[arg(long, default_value_t = 18830, value_name = "PORT")]
    tcp: u16,
    /// Port for MQTT over TLS
    #[arg(long, default_value_t = 18883, value_name = "PORT")]
    tls: u16,
    /// Port for MQTT over WebSocket, at /mqtt
    #[arg(long, default_value_t = 18080, value_name = "PORT")]
    ws: u16,
    /// Port for MQTT over WebSocket and TLS, at /mqtt
    #[arg(long, default_value_t = 18443, value_name = "PORT")]
    wss: u16,
    /// Another host name or address for the certificate
    #[arg(long, value_name = "NAME")]
    name: Vec<String>,
    /// Folder for the certificate, the credentials and the addresses; existing files are used again [default: a folder
    /// named after the program, in the working directory]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// A channel; `:paid` allows an update every second instead of every 15 s, and digits name its fields, as in
    /// 5:paid:123 [default: 1, 2 and 3]
    #[arg(long, value_name = "ID[:paid][:FIELDS]")]
    channel: Vec<ChannelArg>,
    /// A device and its channels; `:publish` or `:subscribe` after a channel allows only that [default: two with all
    /// channels, the second named remote]
    #[arg(long, value_name = "NAME=CHANNEL,...")]
    device: Vec<DeviceArg>,
    /// After this time stop reading and answering, with every connection open, such as 1m
    #[arg(long, value_parser = humantime::parse_duration, value_name = "AFTER", help_heading = super::UNKNOWN)]
    half_open: Option<Duration>,
    #[command(flatten)]
    switches: Switches,
}

/// Serves until Ctrl-C.
pub(super) async fn serve(args: &Args, program: &Program) -> anyhow::Result<ExitCode> {
    let folder = Folder::create(&program.folder(args.dir.as_ref()))?;
    let wanted = args.devices(program);
    let devices: Vec<Device> = wanted.iter().map(|device| device.find_in(&folder)).collect::<Result<_, _>>()?;
    let port = |port| Some(SocketAddr::new(args.bind, port));
    let mut names = Options::default().names;
    names.extend(args.name.iter().cloned().chain([args.bind.to_string()]));
    let sandbox = Sandbox::start(Options {
        tcp: port(args.tcp),
        tls: port(args.tls),
        ws: port(args.ws),
        wss: port(args.wss),
        names,
        authority: Some(folder.authority()?),
        channels: args.channels(),
        devices: devices.clone(),
        switches: args.switches.clone(),
    })
    .await?;
    folder.write_endpoints(&sandbox)?;
    let mut mosquitto = PathBuf::new();
    let devices_by_name: Vec<_> = wanted.iter().zip(&devices).collect();
    for (arg, device) in &devices_by_name {
        mosquitto = folder.write_mosquitto_options(&arg.name, device, sandbox.addr(Transport::Tcp))?;
    }
    let welcome = Welcome { program, sandbox: &sandbox, folder: &folder, devices: &devices_by_name, mosquitto };
    let half_open = async {
        match args.half_open {
            Some(after) => sleep(after).await,
            None => std::future::pending().await,
        }
        sandbox.set(Switches { half_open: true, ..sandbox.switches() });
        println!("from now on nothing is read or answered (--half-open)");
        std::future::pending::<()>().await;
    };
    tokio::select! {
        // Ctrl-C must be caught before anyone can read that the sandbox is there.
        biased;
        ended = tokio::signal::ctrl_c() => ended.context("Ctrl-C cannot be waited for")?,
        error = log(&sandbox, &welcome) => return Err(error.into()),
        () = half_open => {}
    }
    sandbox.stop().await;
    println!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Prints what there is to know and then every record; it ends when nobody reads any more.
async fn log(sandbox: &Sandbox, welcome: &Welcome<'_>) -> io::Error {
    let mut mark = Mark::default();
    if let Err(error) = print(welcome) {
        return error;
    }
    loop {
        for record in sandbox.next_records(&mut mark).await {
            if let Err(error) = print(&record) {
                return error;
            }
        }
    }
}

fn print(line: &impl fmt::Display) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}

impl Args {
    fn channels(&self) -> Vec<Channel> {
        if self.channel.is_empty() {
            (1..=3).map(Channel::new).collect()
        } else {
            self.channel.iter().map(|channel| channel.0.clone()).collect()
        }
    }

    fn devices(&self, program: &Program) -> Vec<DeviceArg> {
        if !self.device.is_empty() {
            return self.device.clone();
        }
        let all: Vec<_> = self.channels().iter().map(|channel| (channel.id, Rights::ALL)).collect();
        [program.device, "remote"].map(|name| DeviceArg { name: name.to_owned(), rights: all.clone() }).into()
    }
}

/// A channel of the command line.
#[derive(Clone)]
struct ChannelArg(Channel);

impl FromStr for ChannelArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(':');
        let mut channel = Channel::new(channel_id(parts.next().unwrap_or_default())?);
        for part in parts {
            let fields: Option<Vec<u8>> =
                part.bytes().map(|byte| (b'1'..=b'8').contains(&byte).then(|| byte - b'0')).collect();
            channel = match (part, fields) {
                ("paid", _) => channel.paid(),
                (_, Some(fields)) if !fields.is_empty() => channel.with_fields(&fields),
                _ => return Err(format!("after a channel's number write `paid` or digits from 1 to 8, not `{part}`")),
            };
        }
        Ok(Self(channel))
    }
}

/// A device of the command line.
#[derive(Clone)]
struct DeviceArg {
    name: String,
    rights: Vec<(u64, Rights)>,
}

impl DeviceArg {
    fn find_in(&self, folder: &Folder) -> anyhow::Result<Device> {
        let device = folder.device(&self.name)?;
        Ok(self.rights.iter().fold(device, |device, &(channel, rights)| device.with(channel, rights)))
    }
}

impl FromStr for DeviceArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, channels) = text.split_once('=').ok_or("write NAME=CHANNEL,CHANNEL, such as garden=1,2")?;
        let plain =
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if !plain {
            return Err("a device's name may have letters, digits, - and _, since it is used as a file name".to_owned());
        }
        let right = |text: &str| match text.split_once(':') {
            None => Ok((channel_id(text)?, Rights::ALL)),
            Some((id, "publish")) => Ok((channel_id(id)?, Rights::PUBLISH)),
            Some((id, "subscribe")) => Ok((channel_id(id)?, Rights::SUBSCRIBE)),
            Some((_, other)) => Err(format!("a right is `publish` or `subscribe`, not `{other}`")),
        };
        let rights = channels.split(',').map(right).collect::<Result<_, _>>()?;
        Ok(Self { name: name.to_owned(), rights })
    }
}

fn channel_id(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("`{text}` is not a channel number"))
}

/// What is printed at the start.
struct Welcome<'a> {
    program: &'a Program,
    sandbox: &'a Sandbox,
    folder: &'a Folder,
    devices: &'a [(&'a DeviceArg, &'a Device)],
    /// The last device's options for Mosquitto's clients.
    mosquitto: PathBuf,
}

impl fmt::Display for Welcome<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "ThingSpeak look-alike listening on:")?;
        for transport in Transport::ALL {
            let path = if transport.is_websocket() { "/mqtt" } else { "" };
            writeln!(f, "  {:<4} {}{path}", transport.to_string(), self.sandbox.addr(transport))?;
        }
        writeln!(f, "Its certificate and the credentials of its devices are in {}.", self.folder.path().display())?;
        for (arg, device) in self.devices {
            writeln!(f, "  {} has the client id {}", arg.name, device.credentials.client_id)?;
        }
        if let Some((arg, _)) = self.devices.first() {
            let channels = arg.rights.iter().map(|(channel, _)| *channel).collect();
            let start = Start { sandbox: self.sandbox, folder: self.folder, device: &arg.name, channels };
            f.write_str(&(self.program.client)(&start))?;
        }
        let other = self.devices.last().and_then(|(arg, _)| Some((arg, arg.rights.last()?.0)));
        if let Some((device, channel)) = other {
            self.fmt_other_clients(f, &device.name, channel)?;
        }
        write!(f, "\nLog, until Ctrl-C:")
    }
}

impl Welcome<'_> {
    fn fmt_other_clients(&self, f: &mut fmt::Formatter<'_>, name: &str, channel: u64) -> fmt::Result {
        let dir = self.folder.path().display();
        let call = self.program.call;
        let mosquitto = format!("XDG_CONFIG_HOME='{}'", self.mosquitto.display());
        writeln!(
            f,
            "\nTo publish as the device `{name}` (a device has one connection: stop one program before you start \
             another):\n"
        )?;
        writeln!(f, "  {call} publish --dir '{dir}' --device {name} --channel {channel} field1=1")?;
        writeln!(f, "  {mosquitto} mosquitto_pub -t channels/{channel}/publish -m 'field1=1'")?;
        writeln!(f, "  {mosquitto} mosquitto_sub -t channels/{channel}/subscribe")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_read_with_license_and_fields() {
        let channel = |text: &str| text.parse::<ChannelArg>().map(|channel| channel.0);
        assert_eq!(channel("7"), Ok(Channel::new(7)));
        assert_eq!(channel("7:paid"), Ok(Channel::new(7).paid()));
        assert_eq!(channel("7:128:paid"), Ok(Channel::new(7).paid().with_fields(&[1, 2, 8])));
        for wrong in ["", "x", "7:", "7:free", "7:9", "-7"] {
            assert!(channel(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn devices_are_read_with_their_rights() {
        let device = |text: &str| text.parse::<DeviceArg>().map(|device| (device.name, device.rights));
        let rights = vec![(1, Rights::ALL), (2, Rights::PUBLISH), (3, Rights::SUBSCRIBE)];
        assert_eq!(device("garden=1,2:publish,3:subscribe"), Ok(("garden".to_owned(), rights)));
        for wrong in ["garden", "=1", "garden=", "garden=1:write", "../garden=1", "a b=1"] {
            assert!(device(wrong).is_err(), "{wrong}");
        }
    }
}
