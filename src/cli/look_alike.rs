//! `gatepost run --simulate --sandbox`: any map against a ThingSpeak look-alike that is started for it, with the map's channels, MQTT
//! devices and rights.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use gatepost::config::{Checked, Settings};
use gatepost::entry::ChannelId;
use gatepost::net::{Broker, Transport};
use gatepost::thingspeak::credentials::Source;
use gatepost::thingspeak::license::License;
use thingspeak_sandbox::{Channel, Folder, Options, Rights, Sandbox};

/// The name of the device that others publish with, such as `gatepost sandbox publish`.
const REMOTE: &str = "remote";

/// A running look-alike.
pub(super) struct LookAlike {
    sandbox: Sandbox,
    stand_in: StandIn,
    directory: PathBuf,
}

/// What takes the place of the service in a map.
#[derive(Clone)]
pub(super) struct StandIn {
    port: u16,
    ca_file: PathBuf,
    /// The files of credentials, by the map's names of its devices.
    devices: BTreeMap<String, PathBuf>,
    channels: Vec<ChannelId>,
}

impl LookAlike {
    /// Starts one for a map. Its certificate and credentials are in a temporary directory, which goes with it.
    ///
    /// # Errors
    /// When the directory cannot be written or no port can be had.
    pub(super) async fn start(settings: &Settings) -> anyhow::Result<Self> {
        let directory = std::env::temp_dir().join(format!("gatepost-run-{}", std::process::id()));
        let folder = Folder::create(&directory)?;
        let (mut devices, mut files) = (Vec::new(), BTreeMap::new());
        for (place, of_map) in settings.devices.iter().enumerate() {
            let name = format!("device{}", place + 1);
            let own = settings.channels.iter().filter(|channel| channel.device == place);
            devices.push(own.fold(folder.device(&name)?, |device, channel| device.with(channel.id.0, Rights::ALL)));
            files.insert(of_map.name.clone(), folder.credentials_file(&name));
        }
        let remote = folder.device(REMOTE)?;
        devices.push(settings.channels.iter().fold(remote, |device, channel| device.with(channel.id.0, Rights::ALL)));
        let channel = |channel: &gatepost::config::Channel| match channel.license {
            License::Free => Channel::new(channel.id.0),
            License::Paid => Channel::new(channel.id.0).paid(),
        };
        let options = Options {
            authority: Some(folder.authority()?),
            channels: settings.channels.iter().map(channel).collect(),
            devices,
            ..Options::default()
        };
        let sandbox = Sandbox::start(options).await.context("the look-alike of ThingSpeak")?;
        folder.write_endpoints(&sandbox)?;
        let stand_in = StandIn {
            port: sandbox.addr(thingspeak_sandbox::Transport::Wss).port(),
            ca_file: folder.ca_file(),
            devices: files,
            channels: settings.channels.iter().map(|channel| channel.id).collect(),
        };
        log::info!(
            port = stand_in.port, directory:% = directory.display();
            "a ThingSpeak look-alike listens on wss://localhost:{}/mqtt; a command to it: \
             gatepost sandbox publish --dir {} --channel NUMBER field1=1",
            stand_in.port, directory.display()
        );
        Ok(Self { sandbox, stand_in, directory })
    }

    /// What to put into its maps.
    pub(super) fn stand_in(&self) -> StandIn {
        self.stand_in.clone()
    }

    /// Ends it.
    pub(super) async fn stop(self) {
        self.sandbox.stop().await;
        // It holds throw-away credentials. What cannot be removed is the system's to clean.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

impl StandIn {
    /// Points a map's broker and devices at the look-alike.
    ///
    /// # Errors
    /// When the map has a channel or a device that the look-alike was not started with.
    pub(super) fn replace(&self, checked: &mut Checked) -> Result<(), String> {
        let Settings { broker, devices, channels, .. } = &mut checked.settings;
        let unknown = |what: &str, name: &str| {
            format!("the look-alike was started without the {what} {name} of the new map: restart `gatepost run`")
        };
        if let Some(channel) = channels.iter().find(|channel| !self.channels.contains(&channel.id)) {
            return Err(unknown("channel", &channel.name));
        }
        for device in devices {
            let file = self.devices.get(&device.name).ok_or_else(|| unknown("MQTT device", &device.name))?;
            device.credentials = Source::File(file.clone());
        }
        *broker = Broker {
            ca_file: Some(self.ca_file.clone()),
            renew: broker.renew,
            ..Broker::at("localhost", self.port, Transport::Wss)
        };
        Ok(())
    }
}
