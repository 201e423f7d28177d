//! A sandbox, a map with its files in a folder, and the doctor called to them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use secrecy::ExposeSecret as _;
use tempfile::TempDir;
use thingspeak_sandbox::{Channel, Device, Options, Rights, Sandbox, Switches, Transport};

use crate::{HOUSE, SOON};

/// What the doctor said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    /// The line of a step with these words.
    pub(crate) fn line(&self, verdict: &str, step: &str, words: &str) -> &str {
        let found = self
            .out
            .lines()
            .find(|line| line.starts_with(verdict) && line[9..].trim_start().starts_with(step) && line.contains(words));
        found.unwrap_or_else(|| panic!("no {verdict:?} line of {step:?} with {words:?} in\n{}\n{}", self.out, self.err))
    }
}

/// A house with everything in it that can go wrong.
pub(crate) struct House {
    pub(crate) sandbox: Arc<Sandbox>,
    pub(crate) device: Device,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) transport: Transport,
    /// More lines in the channel's section.
    pub(crate) channel: String,
    folder: TempDir,
}

impl House {
    pub(crate) async fn new() -> Self {
        Self::with(Options::default(), Rights::ALL).await
    }

    pub(crate) async fn switched(switches: Switches) -> Self {
        Self::with(Options { switches, ..Options::default() }, Rights::ALL).await
    }

    pub(crate) async fn with(options: Options, rights: Rights) -> Self {
        let device = Device::generate().with(HOUSE, rights);
        let channels = vec![Channel::new(HOUSE).paid()];
        let options = Options { channels, devices: vec![device.clone()], ..options };
        let sandbox = Arc::new(Sandbox::start(options).await.expect("free ports"));
        let folder = tempfile::tempdir().expect("a folder");
        let port = sandbox.addr(Transport::Wss).port();
        let (host, transport) = ("localhost".to_owned(), Transport::Wss);
        let house = Self { sandbox, device, host, port, transport, channel: String::new(), folder };
        house.write("ca.pem", &house.sandbox.ca_pem());
        house.write("mqtt_credentials.txt", &house.device.credentials_text());
        house.write("level.txt", "21.5\n");
        fs::create_dir(house.path("run")).expect("made");
        house
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file that its owner alone may read.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("written");
        self.set_mode(name, 0o600);
    }

    pub(crate) fn set_mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).expect("one's own file");
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).expect("it was there");
    }

    pub(crate) fn map(&self) -> String {
        format!(
            "version = 1\n[broker]\nhost = \"{}\"\nport = {}\ntransport = \"{}\"\nca_file = \"ca.pem\"\n{}\
             [device.pi]\ncredentials = \"mqtt_credentials.txt\"\n\
             [channel.house]\nid = {HOUSE}\nlicense = \"paid\"\nevery = \"2s\"\n{}\n\
             [[sensor]]\nname = \"tank\"\nuse = \"file\"\npath = \"level.txt\"\nto.value = \"house.field1\"\n",
            self.host,
            self.port,
            self.transport,
            if self.transport.is_encrypted() { "" } else { "allow_plaintext = true\n" },
            self.channel
        )
    }

    /// Calls `gatepost doctor` with the house's map and directories.
    pub(crate) async fn doctor(&self, arguments: &[&str]) -> Said {
        self.write("map.toml", &self.map());
        let mut command = Command::new(env!("CARGO_BIN_EXE_gatepost"));
        command.env_remove("RUST_LOG").env_remove("CREDENTIALS_DIRECTORY").stdin(Stdio::null());
        command.arg("doctor").arg(self.path("map.toml")).args(arguments);
        command.arg("--runtime-dir").arg(self.path("run")).arg("--state-dir").arg(self.path("state"));
        let output = tokio::task::spawn_blocking(move || command.output());
        let output = tokio::time::timeout(SOON, output).await.expect("it ends").expect("no panic").expect("it runs");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        let said = Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) };
        self.assert_kept(&said);
        said
    }

    /// The password is in neither output, in no form in which bytes are printed.
    fn assert_kept(&self, said: &Said) {
        let password = self.device.credentials.password.expose_secret();
        let join =
            |separator: &str, byte: fn(u8) -> String| password.bytes().map(byte).collect::<Vec<_>>().join(separator);
        let forms = [password.to_owned(), join("", |byte| format!("{byte:02x}")), join(", ", |byte| byte.to_string())];
        for form in forms {
            assert!(!said.out.contains(&form) && !said.err.contains(&form), "the password was told: {said:?}");
        }
    }
}
