//! What a scenario needs around the daemon, and the end that every scenario has.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gatepost::config;
use gatepost::daemon::{Daemon, DaemonError, Reload};
use gatepost::entry::{ChannelId, Entry};
use gatepost::hal::sim::Sim;
use gatepost::thingspeak::update;
use gatepost::time::Utc;
use gatepost::uplink::session::Tuning;
use secrecy::ExposeSecret;
use tempfile::TempDir;
use thingspeak_sandbox::{Channel, Device, Options, Record, Rights, Row, Sandbox, Switches, Transport};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use crate::observed::{Diary, Observed};
use crate::{HOUSE, SOON, SWITCHES, dump, map, secrets};

/// The session's times for scenarios: a few seconds where the daemon has tens. Long enough for a busy machine to answer.
pub(crate) const QUICK: Tuning = Tuning {
    suback_within: Duration::from_secs(3),
    ping_after: Duration::from_secs(2),
    pong_within: Duration::from_secs(4),
    echo_within: Duration::from_secs(2),
    resends: 4,
    resends_unsure: 2,
    renew_grace: Duration::from_secs(5),
    doubt: [Duration::from_secs(4), Duration::from_secs(8), Duration::from_secs(15), Duration::from_secs(15)],
};

/// What a scenario starts from; [`Plan::of`] is the plain case.
#[derive(Clone)]
pub(crate) struct Plan {
    /// The map from `[channel]` on; the broker and the device are put above it.
    pub(crate) map: String,
    /// How the sandbox behaves at first.
    pub(crate) switches: Switches,
    /// How the daemon goes to it.
    pub(crate) transport: Transport,
    /// What the device may do with [`HOUSE`]; with [`SWITCHES`] it may do everything.
    pub(crate) rights: Rights,
    /// The fields that [`HOUSE`] has.
    pub(crate) fields: Vec<u8>,
    /// The names in the sandbox's certificate; the daemon asks for `localhost`.
    pub(crate) names: Vec<String>,
    /// The session's times.
    pub(crate) tuning: Tuning,
    /// When the session is renewed.
    pub(crate) renew: Duration,
    /// Whether an update of ours may come too early for the license: after one of somebody else, or as a copy that follows
    /// its original over another connection.
    pub(crate) early: bool,
}

impl Plan {
    /// With a map of these pieces.
    pub(crate) fn of(pieces: &[&str]) -> Self {
        Self {
            map: pieces.concat(),
            switches: Switches::default(),
            transport: Transport::Wss,
            rights: Rights::ALL,
            fields: (1..=8).collect(),
            names: vec!["localhost".to_owned()],
            tuning: QUICK,
            renew: Duration::from_secs(3000),
            early: false,
        }
    }
}

/// A plan whose map has a slot of 2 s and the sensor `level`, which reads `/sim/level`. `keys` are more of the channel's.
pub(crate) fn level(keys: &str) -> Plan {
    let sensor = map::file_sensor("level", "/sim/level", "house.field1");
    Plan::of(&[map::HOUSE, "every = \"2s\"\n", keys, &sensor])
}

/// A sandbox, simulated parts and a folder with the map's files.
pub(crate) struct Stage {
    pub(crate) sandbox: Arc<Sandbox>,
    pub(crate) sim: Sim,
    pub(crate) device: Device,
    /// Where the daemon believes the broker to be.
    pub(crate) port: u16,
    plan: Plan,
    folder: TempDir,
}

impl Stage {
    pub(crate) async fn set(plan: Plan) -> Self {
        let device = Device::generate().with(HOUSE.0, plan.rights).with(SWITCHES.0, Rights::ALL);
        secrets::watch(device.credentials.password.expose_secret());
        let options = Options {
            names: plan.names.clone(),
            channels: vec![Channel::new(HOUSE.0).paid().with_fields(&plan.fields), Channel::new(SWITCHES.0).paid()],
            devices: vec![device.clone()],
            switches: plan.switches.clone(),
            ..Options::default()
        };
        let sandbox = Arc::new(Sandbox::start(options).await.expect("a sandbox on free ports"));
        let folder = tempfile::tempdir().expect("a folder");
        let port = sandbox.addr(plan.transport).port();
        let stage = Self { sandbox, sim: Sim::default(), device, port, plan, folder };
        stage.write_ca(&stage.sandbox.ca_pem());
        stage.write_credentials(&stage.device);
        stage
    }

    /// Writes the file of roots.
    pub(crate) fn write_ca(&self, pem: &str) {
        fs::write(self.path("ca.pem"), pem).expect("written");
    }

    /// Writes the file as ThingSpeak offers it for download.
    pub(crate) fn write_credentials(&self, device: &Device) {
        secrets::watch(device.credentials.password.expose_secret());
        write_private(&self.path("mqtt_credentials.txt"), &device.credentials_text());
    }

    /// Writes something else there.
    pub(crate) fn damage_credentials(&self, text: &str) {
        write_private(&self.path("mqtt_credentials.txt"), text);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The whole map: the broker and the device above what the plan, or the scenario, says.
    fn map(&self, map: &str) -> String {
        format!(
            "version = 1\n[broker]\nhost = \"localhost\"\nport = {}\ntransport = \"{}\"\nallow_plaintext = true\n\
             ca_file = \"ca.pem\"\n[device.pi]\ncredentials = \"mqtt_credentials.txt\"\n{map}",
            self.port, self.plan.transport
        )
    }

    /// Writes a new map where the daemon reads it at a reload.
    pub(crate) fn write_map(&self, map: &str) {
        fs::write(self.path("map.toml"), self.map(map)).expect("written");
    }

    /// The checked map, as `gatepost run` has it.
    pub(crate) fn settings(&self) -> config::Settings {
        let text = self.map(&self.plan.map);
        let checked = config::parse(&text, &self.path("map.toml")).unwrap_or_else(|faults| panic!("{faults}"));
        let mut settings = checked.settings;
        // Shorter than `check` would allow.
        settings.broker.renew = self.plan.renew;
        settings
    }

    /// Starts a daemon on this stage; a second one is a second program with the same client id.
    pub(crate) fn start(&self) -> Playing {
        self.start_with(self.settings())
    }

    /// As [`Stage::start`], with a map that was checked before.
    pub(crate) fn start_with(&self, settings: config::Settings) -> Playing {
        for sensor in &settings.sensors {
            sensor.kind.device().simulate(&self.sim);
        }
        let diary = Diary::new();
        let observer = diary.observer();
        let (sim, bell) = (self.sim.clone(), Arc::new(Notify::new()));
        let map = self.path("map.toml");
        let read = Arc::new(move || {
            let checked = config::load(&map)?;
            for sensor in &checked.settings.sensors {
                sensor.kind.device().simulate(&sim);
            }
            Ok(checked)
        });
        let reload = Some(Reload { read, bell: Arc::clone(&bell) });
        let (hal, tuning) = (self.sim.hal(), self.plan.tuning);
        let daemon = Daemon { settings, hal, folders: None, socket: None, observer, tuning, reload };
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(daemon.run(async move {
            let _ = stopped.await;
        }));
        Playing { diary, reload: bell, stop, task }
    }

    /// Starts a daemon and waits until its link is up.
    pub(crate) async fn start_online(&self) -> Playing {
        let playing = self.start();
        playing.diary.wait(0, "the link is up", Observed::is_up).await;
        playing
    }

    /// An update by somebody else, tried until the channel takes it.
    pub(crate) async fn write(&self, channel: ChannelId, pairs: &[(&str, &str)]) -> Row {
        let taken = async {
            loop {
                if let Ok(row) = self.sandbox.publish(channel.0, pairs) {
                    return row;
                }
                // Longer than the license's interval, which each try may start anew.
                tokio::time::sleep(Duration::from_millis(1150)).await;
            }
        };
        tokio::time::timeout(SOON, taken).await.expect("the channel takes it at last")
    }

    /// Waits for a record of the sandbox.
    pub(crate) async fn record(&self, wanted: impl FnMut(&Record) -> bool) -> Record {
        self.sandbox.wait_for(wanted, SOON).await.unwrap_or_else(|missing| panic!("{missing}"))
    }

    /// The rows of [`HOUSE`] that the daemon wrote.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let ours = &self.device.credentials.client_id;
        self.sandbox.rows(HOUSE.0).into_iter().filter(|row| row.by == *ours).collect()
    }

    /// Waits until every one of these entries has a row.
    pub(crate) async fn all_stored(&self, entries: &[Entry], diary: &Diary) {
        let missing = || entries.iter().filter(|entry| !self.rows().iter().any(|row| is_row_of(row, entry))).count();
        let wait = until_within(|| (missing() == 0).then_some(()));
        if wait.await.is_none() {
            let records = self.sandbox.records();
            let records: Vec<_> = records.iter().map(ToString::to_string).collect();
            panic!("{} entries are not stored\n{}\n{}", missing(), diary.text(0), records.join("\n"));
        }
    }

    /// Ends the play, and holds what was sent and logged against what may be. Returns the diary.
    pub(crate) async fn end(&self, playing: Playing) -> Diary {
        let Playing { diary, stop, task, .. } = playing;
        stop.send(()).expect("the daemon runs until it is stopped");
        let ended = tokio::time::timeout(SOON, task).await.expect("it stops").expect("it does not panic");
        assert!(matches!(ended, Ok::<(), DaemonError>(())), "{ended:?}");
        dump::assert_documented(&self.sandbox, &self.device, self.plan.early);
        secrets::assert_kept(self.device.credentials.password.expose_secret());
        diary
    }
}

/// A daemon that runs.
pub(crate) struct Playing {
    pub(crate) diary: Diary,
    /// Rung, it reads its map again.
    pub(crate) reload: Arc<Notify>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), DaemonError>>,
}

/// A row's time, as entries have theirs.
pub(crate) fn time_of(row: &Row) -> Utc {
    Utc::from_seconds(row.created_at.seconds())
}

/// Whether a row holds this entry: all of its numbers, and its time or, where that second was taken, one soon after.
pub(crate) fn is_row_of(row: &Row, entry: &Entry) -> bool {
    let payload = update::encode(entry);
    let mut pairs = payload.split('&').filter_map(|pair| pair.strip_prefix("field")?.split_once('='));
    time_of(row) >= entry.created_at
        && time_of(row).since(entry.created_at) < Duration::from_secs(8)
        && pairs.all(|(field, value)| row.field(field.parse().expect("a number")) == Some(value))
}

/// Looks again and again until there is something.
pub(crate) async fn until<T>(what: impl Fn() -> String, look: impl FnMut() -> Option<T>) -> T {
    until_within(look).await.unwrap_or_else(|| panic!("never came: {}", what()))
}

async fn until_within<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let search = async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SOON, search).await.ok()
}

/// Writes a file in one piece that only its owner may read, as the daemon demands of secrets.
fn write_private(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    fs::write(&beside, text).expect("written");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o600)).expect("made private");
    }
    fs::rename(&beside, path).expect("put in place");
}
