//! gatepost with a map whose broker is a double.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::program::{Program, gatepost};

/// A folder with a map and what belongs to it.
pub(crate) struct House {
    folder: TempDir,
}

impl House {
    /// One whose broker is as these lines of `[broker]` say.
    pub(crate) fn new(broker: &str) -> Self {
        let house = Self { folder: tempfile::tempdir().expect("a folder") };
        house.write("mqtt_credentials.txt", "username = pi\nclientId = pi\npassword = sesame-street");
        let map = format!(
            "version = 1\nclock = \"system\"\n\n[broker]\n{broker}\n\n[device.pi]\ncredentials = \"mqtt_credentials.txt\"\n\n\
             [channel.greenhouse]\nid = 1\nlicense = \"paid\"\nevery = \"2s\"\n\n\
             [[sensor]]\nname = \"machine\"\nuse = \"system\"\nevery = \"1s\"\nto.uptime = \"greenhouse.field1\"\n"
        );
        house.write("gatepost.toml", &map);
        house
    }

    /// A file of the folder, as only its owner may read it.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("one's own file");
        path
    }

    /// Starts the daemon, with every entry in its log.
    pub(crate) fn run(&self) -> Program {
        let mut command = command("run");
        command.arg("--config").arg(self.folder.path().join("gatepost.toml"));
        command.args(["--simulate", "--verbose"]).arg("--pins").arg(self.folder.path().join("pins"));
        Program::start(command)
    }

    /// What `doctor` says.
    pub(crate) fn doctor(&self) -> String {
        let mut command = command("doctor");
        let output = command.arg(self.folder.path().join("gatepost.toml")).output().expect("it starts");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

/// gatepost, in an environment without a proxy.
fn command(what: &str) -> Command {
    let mut command = gatepost();
    for name in ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"] {
        command.env_remove(name);
    }
    command.arg(what);
    command
}

/// The most memory that a process has had since [`forget_peak`], in kB.
pub(crate) fn peak(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()).and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// Begins anew to look for a process's greatest memory (proc(5), clear_refs).
pub(crate) fn forget_peak(process: u32) {
    fs::write(format!("/proc/{process}/clear_refs"), "5").expect("a process of one's own");
}
